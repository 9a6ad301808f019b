"""The layouts ARCHS4 has published, as a table; nothing is guessed from shapes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "CANONICAL_FIELDS",
    "EXPRESSION",
    "GENE_FIELDS",
    "INFO_GROUPS",
    "LAYOUTS",
    "NA_TOKENS",
    "NUMERIC_FIELDS",
    "Layout",
    "match_layout",
]

Axis = Literal["samples", "genes"]
Level = Literal["gene", "transcript"]
Unit = Literal["counts", "tpm"]

# The one dataset that every release has, and where the matrix is.
EXPRESSION = "data/expression"

# Where releases keep version, author and dates; the first that exists wins.
INFO_GROUPS = ("meta/info", "info")

# What stands for "no value" in ARCHS4's text fields, besides the empty string.
NA_TOKENS = frozenset({"", "na", "NA", "null", "NULL", "missing"})

# Our column -> names it has had; v1-v8 prefix each with "Sample_" or write it bare.
CANONICAL_FIELDS = {
    "series": ("series_id",),
    "title": ("title",),
    "source": ("source_name_ch1",),
    "characteristics": ("characteristics_ch1",),
    "platform": ("platform_id",),
    "aligned_reads": ("alignedreads", "readsaligned", "reads_aligned"),
    "single_cell_probability": ("singlecellprobability",),
}

# Columns that are numbers whatever way a release stores them.
NUMERIC_FIELDS = frozenset({"aligned_reads", "single_cell_probability"})

# Our gene column -> names it has had. "ensembl" becomes the index, not a column.
GENE_FIELDS = {
    "ensembl": ("ensembl_gene", "ensembl_gene_id", "gene_ensemblid", "ensembl_id"),
    "symbol": ("symbol", "gene_symbol", "genes"),
    "biotype": ("biotype", "gene_biotype"),
}


@dataclass(frozen=True, slots=True)
class Layout:
    """Where one family of releases keeps what.

    Attributes
    ----------
    name
        Releases it covers, as `inspect` prints it.
    level
        What a row of the gene axis is.
    unit
        What the numbers are.
    axes
        Meaning of the two axes of the matrix, as h5py shows them.
    sample_id
        Path of the sample ids.
    genes
        Group of the gene fields; empty where they lie bare under ``meta``.
    required
        Paths that must exist besides the matrix and the sample ids.
    is_float
        Whether the matrix must hold floats (True), must not (False) or may (None).
    """

    name: str
    level: Level
    unit: Unit
    axes: tuple[Axis, Axis]
    sample_id: str
    genes: str
    required: tuple[str, ...]
    is_float: bool | None = None

    @property
    def is_transposed(self) -> bool:
        """Whether genes are the first axis, as in every release since v9."""
        return self.axes[0] == "genes"


_FLAT: tuple[Axis, Axis] = ("samples", "genes")
_TURNED: tuple[Axis, Axis] = ("genes", "samples")
_IDS = "meta/samples/geo_accession"

# Order matters where field names overlap: the more demanding row comes first.
# Sources: the layouts of the published releases 1-11 and 2.1-2.6 (archs4.org).
LAYOUTS = (
    Layout(
        name="v1-v8",
        level="gene",
        unit="counts",
        axes=_FLAT,
        sample_id="meta/Sample_geo_accession",
        genes="",
        required=("meta/genes",),
    ),
    Layout(
        name="tpm",
        level="transcript",
        unit="tpm",
        axes=_TURNED,
        sample_id=_IDS,
        genes="meta/transcripts",
        required=("meta/transcripts",),
        is_float=True,
    ),
    Layout(
        name="transcript",
        level="transcript",
        unit="counts",
        axes=_TURNED,
        sample_id=_IDS,
        genes="meta/transcripts",
        required=("meta/transcripts",),
        is_float=False,
    ),
    Layout(
        name="v9-v11",
        level="gene",
        unit="counts",
        axes=_TURNED,
        sample_id=_IDS,
        genes="meta/genes",
        required=("meta/genes/genes",),
    ),
    Layout(
        name="v2.1",
        level="gene",
        unit="counts",
        axes=_TURNED,
        sample_id=_IDS,
        genes="meta/genes",
        required=("meta/genes/gene_symbol",),
    ),
    Layout(
        name="v2.2",
        level="gene",
        unit="counts",
        axes=_TURNED,
        sample_id=_IDS,
        genes="meta/genes",
        required=("meta/genes/symbol", "meta/genes/ensembl_gene_id"),
    ),
    Layout(
        name="v2.3-v2.6",
        level="gene",
        unit="counts",
        axes=_TURNED,
        sample_id=_IDS,
        genes="meta/genes",
        required=("meta/genes/symbol",),
    ),
)


def match_layout(has: Callable[[str], bool], *, is_float: bool) -> Layout | None:
    """Find the layout a file follows from the paths it holds.

    Parameters
    ----------
    has
        Says whether the file holds a path.
    is_float
        Whether the matrix holds floats.

    Returns
    -------
    Layout or None
        The first row of the table whose paths are all there; None if there is none.

    Examples
    --------
    >>> paths = {"meta/samples/geo_accession", "meta/genes/symbol", "meta/genes/ensembl_gene"}
    >>> match_layout(paths.__contains__, is_float=False).name
    'v2.3-v2.6'
    """
    for layout in LAYOUTS:
        if layout.is_float is not None and layout.is_float != is_float:
            continue
        if has(layout.sample_id) and all(has(path) for path in layout.required):
            return layout
    return None
