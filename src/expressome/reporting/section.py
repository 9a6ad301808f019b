"""The sections of the page: which figures and tables, and the words around them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from expressome.reporting.content import ReportContent, Samples
from expressome.reporting.figures.frame import Figure
from expressome.reporting.tables import Table

__all__ = ["Section", "Tile", "list_tiles", "share"]


@dataclass(frozen=True, slots=True)
class Section:
    """One section of the page.

    Attributes
    ----------
    key
        Anchor, unique on the page.
    title
        Heading.
    lead
        What the section answers, in one or two sentences.
    facts
        Term -> value, shown as a list of terms.
    figures, tables
        In order.
    absent
        Where the section is empty: what is missing and how to get it.
    points
        Plain sentences, such as citations.
    documents
        Name -> text that opens on demand, such as a manifest.
    """

    key: str
    title: str
    lead: str
    facts: Mapping[str, str] = field(default_factory=dict)
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    absent: str = ""
    points: tuple[str, ...] = ()
    documents: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tile:
    """One of the figures at the head of the page.

    Attributes
    ----------
    value
        The number, written out.
    name
        What it counts.
    note
        A few words below.
    """

    value: str
    name: str
    note: str = ""


def share(part: float, whole: float) -> str:
    """Write a share as a percentage; two digits where it is small.

    Parameters
    ----------
    part, whole
        Numbers of things; a whole of zero gives a dash.

    Returns
    -------
    str
        Such as ``"42%"``.

    Examples
    --------
    >>> share(21, 50), share(1, 400), share(0, 0)
    ('42%', '0.25%', '-')
    """
    if not whole:
        return "-"
    percent = 100 * part / whole
    return f"{percent:.0f}%" if percent >= 10 or percent == 0 else f"{percent:.2g}%"


def list_tiles(content: ReportContent) -> list[Tile]:
    """Choose the figures at the head of the page.

    Parameters
    ----------
    content
        The whole report.

    Returns
    -------
    list of Tile
        Sizes first, then the scores that are there.
    """
    tiles = _size_tiles(content.samples)
    results = content.classification
    if results is not None and "test" in results.scores.index:
        f1 = results.scores["f1_samples"].astype(float)
        score = f1["test"]
        note = ""
        if results.leak:
            note = f"random split of a plain forest: {f1[results.leak]:.2f}"
        tiles.append(Tile(f"{score:.2f}", "F1 on unseen studies", note))
    if content.predictions is not None:
        made = content.predictions
        note = f"{share(made.n_unknown, made.n_samples)} called unknown"
        tiles.append(Tile(f"{made.n_samples:,}", "samples predicted", note))
    if content.synthetic is not None:
        n_synthetic = int(content.synthetic.counts["n_synthetic"].sum())
        n_labels = len(content.synthetic.counts)
        note = f"of {n_labels} label{'' if n_labels == 1 else 's'}"
        tiles.append(Tile(f"{n_synthetic:,}", "synthetic samples", note))
    return tiles


def _size_tiles(samples: Samples) -> list[Tile]:
    labelled = f"{share(samples.n_labelled, samples.n_samples)} with a label"
    kinds = samples.labels["kind"].nunique() if len(samples.labels) else 0
    return [
        Tile(f"{samples.n_samples:,}", "samples", labelled),
        Tile(f"{samples.n_studies:,}", "studies", "connected groups of series"),
        Tile(f"{samples.n_genes:,}", "genes"),
        Tile(f"{len(samples.labels):,}", "labels", f"of {kinds} kind{'' if kinds == 1 else 's'}"),
    ]
