"""The section on synthetic samples."""

from collections.abc import Mapping

import pandas as pd

from expressome.reporting import figures
from expressome.reporting.content import Histogram, Synthetic
from expressome.reporting.figures.frame import Figure, histogram_table
from expressome.reporting.figures.samples import write_number
from expressome.reporting.figures.synthetic import scale_fidelity
from expressome.reporting.section import Section
from expressome.reporting.tables import Column, Table

__all__ = ["build_synthetic"]


def build_synthetic(part: Synthetic | None) -> Section:
    """Build the section on synthetic samples.

    Parameters
    ----------
    part
        Synthetic beside real samples; None where there are none.

    Returns
    -------
    Section
        Plane, distances, fidelity, training curve.
    """
    title = "Synthetic against real"
    lead = "Whether made-up samples look like real ones, without copying them."
    if part is None:
        return Section(
            "synthetic",
            title,
            lead,
            absent="No synthetic samples were given: make them with "
            "`expressome augment` and pass the file with `--synthetic`.",
        )
    made = [
        _synthetic_plane(part),
        _distances(part),
        _representative(part),
        _fidelity(part),
        _training(part),
    ]
    columns = (
        Column("index", "label"),
        Column("n_synthetic", "synthetic", "integer"),
        Column("n_real", "real", "integer"),
    )
    tables = [
        Table("synthetic-counts", "Synthetic and real samples per label", columns, part.counts)
    ]
    if len(part.fidelity):
        measured = (
            Column("method", "method"),
            Column("metric", "metric"),
            Column("value", "value", "number"),
            Column("ceiling", "ceiling", "number", "Real samples against other real samples"),
            Column("floor", "floor", "number", "Noise against real samples"),
        )
        frame = part.fidelity.assign(metric=part.fidelity["metric"].str.replace("_", " "))
        tables.append(Table("fidelity-table", "Fidelity per method and metric", measured, frame))
    return Section(
        "synthetic",
        title,
        lead,
        facts={"method": part.method, **part.facts},
        figures=tuple(figure for figure in made if figure is not None),
        tables=tuple(tables),
    )


def _synthetic_plane(part: Synthetic) -> Figure | None:
    if part.plane is None:
        return None
    n_synthetic = int(part.plane["synthetic"].sum())
    return Figure(
        "synthetic-plane",
        "Real and synthetic samples in one plane",
        "Open marks (synthetic) should spread as far as filled ones (real) of their colour, not "
        "sit in one spot.",
        f"{n_synthetic:,} synthetic and {len(part.plane) - n_synthetic:,} real samples in the "
        "plane of the real samples' first two principal components.",
        figures.draw_synthetic_plane(part.plane, part.explained),
        part.plane,
    )


def _distances(part: Synthetic) -> Figure | None:
    if not part.distances:
        return None
    return Figure(
        "distances",
        "Distance to the nearest real sample",
        "Synthetic far left of real would mean copies; far right, samples unlike any real one.",
        _write_medians(part.distances),
        figures.draw_distances(part.distances, to="nearest"),
        _tabulate(part.distances),
    )


def _representative(part: Synthetic) -> Figure | None:
    if not part.representative:
        return None
    return Figure(
        "representative",
        "Distance to the representative sample",
        "The representative is the most central real sample of the label. The two lines should lie "
        "on each other: synthetic samples left of real ones crowd the centre.",
        _write_medians(part.representative),
        figures.draw_distances(part.representative, to="most central"),
        _tabulate(part.representative),
    )


def _write_medians(distances: Mapping[str, Histogram]) -> str:
    bins = "; ".join(f"{name}, {_write_bin(found)}" for name, found in distances.items())
    return f"Distances in the space of the principal components. Median bins: {bins}."


def _tabulate(distances: Mapping[str, Histogram]) -> pd.DataFrame:
    tables = [
        histogram_table(histogram, "distance", "samples").assign(comparison=name)
        for name, histogram in distances.items()
    ]
    return pd.concat(tables, ignore_index=True)


def _write_bin(histogram: Histogram) -> str:
    low, high = histogram.median_bin
    return f"{write_number(low)} to {write_number(high)}"


def _fidelity(part: Synthetic) -> Figure | None:
    if part.fidelity.empty:
        return None
    places = pd.Series(scale_fidelity(part.fidelity)).groupby(part.fidelity["method"].to_numpy())
    middle = "; ".join(f"{method} {place:.2f}" for method, place in places.median().items())
    return Figure(
        "fidelity",
        "Between noise and real",
        "1 is as good as other real samples, 0 no better than noise; right of 1 samples are closer "
        "to the real ones than real ones are, which may mean copies. Places beyond the axis are "
        "drawn at its end.",
        f"Median place over {part.fidelity['metric'].nunique()} metrics: {middle}.",
        figures.draw_fidelity(part.fidelity, part.method),
        part.fidelity,
        is_wide=True,
    )


def _training(part: Synthetic) -> Figure | None:
    if part.training is None or part.training.empty:
        return None
    return Figure(
        "training",
        "Training of the generator",
        "Curves that level off: it has learnt what it can; a curve that runs away: it has not.",
        f"{len(part.training.columns)} curves over {len(part.training)} recorded steps.",
        figures.draw_training(part.training),
        part.training.reset_index(names="step"),
    )
