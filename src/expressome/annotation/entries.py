"""Label entries: one row per sample and label, as a source lists them."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

__all__ = ["ENTRY_FIELDS", "NO_LABEL", "canonical_kind", "make_entries", "normalise_blanks"]

ENTRY_FIELDS = ("sample", "label", "kind", "system", "source")

# What a cell holds where a sample has no value.
NO_LABEL = frozenset(
    {"", "NA", "na", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "missing", "Missing"}
)

# Spellings of the two kinds of ARCHS4's site, folders of its scripts included.
_KINDS = {
    "cellline": "cell_line",
    "celllines": "cell_line",
    "tissuetype": "tissue",
    "tissuetypes": "tissue",
    "tissues": "tissue",
}


def canonical_kind(kind: str) -> str:
    """Give the one spelling of a kind.

    Parameters
    ----------
    kind
        As written: a column's entry or a folder's name.

    Returns
    -------
    str
        ``cell_line`` and ``tissue`` for their variants, else the text itself.

    Examples
    --------
    >>> canonical_kind("Cell lines"), canonical_kind("tissue_types"), canonical_kind("organ")
    ('cell_line', 'tissue', 'organ')
    """
    text = kind.strip()
    folded = text.casefold().replace("_", "").replace("-", "").replace(" ", "")
    return "tissue" if folded == "tissue" else _KINDS.get(folded, text)


def normalise_blanks(text: str) -> str:
    """Trim a name and join its words by single blanks.

    Parameters
    ----------
    text
        A label as written.

    Returns
    -------
    str
        The same words.

    Examples
    --------
    >>> normalise_blanks("  bone   marrow ")
    'bone marrow'
    """
    return " ".join(text.split())


def make_entries(
    samples: Iterable[str], *, label: str, kind: str, source: Path, system: str = ""
) -> pd.DataFrame:
    """List the samples of one label.

    Parameters
    ----------
    samples
        Sample ids as listed; empty strings are no samples and left out.
    label
        Name of the label.
    kind
        Its kind; empty if the source does not say.
    source
        Where the list was read.
    system
        The system of the label, if the source says.

    Returns
    -------
    DataFrame
        Columns sample, label, kind, system, source.

    Examples
    --------
    >>> make_entries(["GSM1", ""], label="Liver", kind="tissue", source=Path("Liver.R"))["sample"]
    0    GSM1
    Name: sample, dtype: object
    """
    listed = [sample.strip() for sample in samples if sample.strip()]
    return pd.DataFrame(
        {
            "sample": pd.Series(listed, dtype=object),
            "label": label,
            "kind": kind,
            "system": system,
            "source": str(source),
        },
        columns=list(ENTRY_FIELDS),
    )
