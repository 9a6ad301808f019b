"""The gene table of a measured atlas: its columns, its summary, its file."""

import gzip
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.atlas import Atlas
from expressome.metrics.windows import NeighbourWindows
from expressome.outputs import staged_output

__all__ = ["make_columns", "say_measured", "write_gene_table"]

# Below half the window, zeros chosen by chance decide the likeness.
_MIN_DETECTED_SHARE = 0.5


def make_columns(
    found: Mapping[str, NDArray[np.float64]], windows: NeighbourWindows, genes: pd.Index
) -> pd.DataFrame:
    """Make the new columns of the gene table.

    Parameters
    ----------
    found
        Metric -> value per gene; each gets a rank.
    windows
        The samples of each gene.
    genes
        Ids.

    Returns
    -------
    DataFrame
        The metrics, ``neighbours_detected``, and ``rank_*`` among genes detected in at least
        half of their window.
    """
    share = np.full(len(genes), np.nan)
    np.divide(windows.n_detected, windows.n_rows, out=share, where=windows.n_rows > 0)
    columns = pd.DataFrame({**found, "neighbours_detected": share}, index=genes)
    is_ranked = columns["neighbours_detected"] >= _MIN_DETECTED_SHARE
    for name in found:
        ranked = columns[name].where(is_ranked)
        columns[f"rank_{name}"] = ranked.rank(ascending=False, method="min")
    return columns


def say_measured(atlas: Atlas, columns: pd.DataFrame) -> dict[str, Any]:
    """Collect the figures that are printed.

    Parameters
    ----------
    atlas
        What was measured.
    columns
        New columns of its gene table.

    Returns
    -------
    dict
        Numbers, and the ten genes with the best rank.
    """
    best = columns["rank_mean_cosine"].dropna().sort_values(kind="stable").index[:10]
    symbols = atlas.var.get("symbol")
    return {
        "atlas": atlas.path,
        "n_samples": atlas.n_samples,
        "n_genes": atlas.n_genes,
        "n_measured": int(columns["mean_cosine"].notna().sum()),
        "n_ranked": int(columns["rank_mean_cosine"].notna().sum()),
        "highest_mean_cosine": [
            {
                "gene": gene,
                "symbol": "" if symbols is None else symbols[gene],
                "mean_cosine": float(columns["mean_cosine"][gene]),
            }
            for gene in best
        ],
    }


def write_gene_table(
    atlas: Atlas, path: str | os.PathLike[str], *, by_label: bool, overwrite: bool = False
) -> Path:
    """Write the gene table of an atlas for other programs.

    Parameters
    ----------
    atlas
        After `measure`.
    path
        ``.parquet``, or tab-separated text under any other name (``.gz`` compresses).
    by_label
        Whether to add the columns ``mean:LABEL`` and ``p95:LABEL``.
    overwrite
        Whether an existing file may be replaced.

    Returns
    -------
    Path
        The file.
    """
    table, place = atlas.var.copy(), Path(path)
    if by_label:
        for name in ("mean", "p95"):
            values = atlas.element(f"varm/label_{name}")
            names = [f"{name}:{key}" for key in atlas.labels.keys]
            table = table.join(pd.DataFrame(values, index=table.index, columns=names))
    with staged_output(place, overwrite=overwrite) as partial:
        if place.suffix == ".parquet":
            table.reset_index().to_parquet(partial, index=False)
        else:
            opened = gzip.open if place.suffix == ".gz" else open
            with opened(partial, "wt", encoding="utf-8", newline="") as file:
                table.to_csv(file, sep="\t", index_label="gene")
    return place
