"""Order an atlas's genes by what the training samples say about them."""

from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from expressome.atlas import Atlas
from expressome.classification.features import f_statistic, order_genes
from expressome.engine import Resources, map_blocks
from expressome.metrics.signal import upper_percentile
from expressome.metrics.similarity import (
    combine_similarity,
    invert_norms,
    squared_norms,
    sum_tile,
)
from expressome.metrics.windows import GENE_TILE, find_neighbours, join_windows
from expressome.normalization.recipe import Normalizer

__all__ = ["rank_genes"]

# Genes whose windows are compared: those with the highest signal. The classifier
# reads fewer; similarity costs time for each.
_N_CANDIDATES = 6000
_GENES_AT_ONCE = 1024


def rank_genes(
    atlas: Atlas,
    rows: NDArray[np.integer],
    *,
    order: str,
    labels: sparse.csr_array,
    studies: NDArray[np.object_],
    resources: Resources,
) -> NDArray[np.int64]:
    """Order genes by F-test, information or variance on training samples only.

    The gene columns stored in the atlas cover all samples, the test samples
    among them, and are never read here.

    Parameters
    ----------
    atlas
        Where the values are.
    rows
        Positions of the training samples.
    order
        "f-test" (labels against studies), "information" (signal and mean cosine),
        "variance", or "ranks", which takes the order of the F-test.
    labels, studies
        Labels and study of each training sample, for the F-test.
    resources
        Memory and threads.

    Returns
    -------
    ndarray
        Gene positions, best first, shape (n_genes,).
    """
    scale = Normalizer.from_parts(atlas.normalizer_parts).divisor
    figures = np.zeros(atlas.n_genes)
    norms = np.zeros(len(rows))
    for span, block in atlas.gene_blocks(resources=resources):
        values = block[rows]
        # Signal is read before division by gene length, which would rank short genes first.
        before = values if scale is None else values * scale[span].astype(np.float32)
        if order == "information":
            norms += squared_norms(np.nan_to_num(values))
        if order == "variance":
            figures[span] = np.nan_to_num(np.nanvar(before, axis=0))
        elif order == "information":
            figures[span] = np.nan_to_num(upper_percentile(before, 95))
        else:
            figures[span] = f_statistic(values, labels, studies=studies)
        resources.progress("rank genes", span.stop, atlas.n_genes)
    by_figure = np.argsort(-figures, kind="stable")
    if order != "information":
        return by_figure.astype(np.int64)
    candidates = np.sort(by_figure[:_N_CANDIDATES])
    cosine, detected = _similarity(atlas, rows, candidates, norms=norms, resources=resources)
    best = candidates[order_genes(figures[candidates], cosine, neighbours_detected=detected)]
    rest = by_figure[~np.isin(by_figure, candidates)]
    return np.concatenate([best, rest]).astype(np.int64)


def _similarity(
    atlas: Atlas,
    rows: NDArray[np.integer],
    genes: NDArray[np.integer],
    *,
    norms: NDArray[np.float64],
    resources: Resources,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute mean cosine and the share of neighbours that detect each gene."""
    pieces, n_detected = [], []
    for start in range(0, len(genes), _GENES_AT_ONCE):
        chosen = genes[start : start + _GENES_AT_ONCE]
        detected = atlas.detected(rows, chosen)
        pieces.append(find_neighbours(atlas.read(rows, chosen), detected=detected))
        n_detected.append(detected.sum(axis=0))
    windows = join_windows(pieces)
    inverse = invert_norms(norms)
    squared = np.zeros(len(genes))
    for _, block in atlas.gene_blocks(resources=resources):
        values = np.nan_to_num(block[rows])
        tiles = (values[:, a : a + GENE_TILE] for a in range(0, values.shape[1], GENE_TILE))
        work = partial(sum_tile, inverse_norms=inverse, windows=windows)
        for part in map_blocks(work, tiles, resources=resources.here):
            squared += part
    cosine = combine_similarity(
        squared, windows, has_profile=inverse > 0, n_detected=np.concatenate(n_detected)
    )
    return cosine, windows.n_detected / np.maximum(windows.n_rows, 1)
