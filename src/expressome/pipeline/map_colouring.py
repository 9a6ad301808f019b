"""What the colours of the map stand for: labels, studies, one gene, confidence."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.errors import AtlasError, InvalidValueError
from expressome.pipeline.exploring import AtlasView
from expressome.pipeline.gene_exploring import find_gene

__all__ = ["Colouring", "choose_colouring", "pool_groups"]

_N_CATEGORIES = 8
_OTHERS, _NONE = "other", "no label"


@dataclass(frozen=True, slots=True)
class Colouring:
    """A colour for every sample.

    Attributes
    ----------
    words
        What it stands for; empty for none.
    groups
        Names of the groups, the most frequent of the atlas first; empty for numbers.
    values
        Number of the group, or the number itself (NaN where unknown), shape (n_samples,).
    without
        Number of the group of samples that belong to none; -1 where there is no such group.
    """

    words: str
    groups: list[str]
    values: NDArray[np.integer] | NDArray[np.floating]
    without: int = -1


def choose_colouring(view: AtlasView, color: str) -> Colouring:
    """Colour all samples.

    Parameters
    ----------
    view
        The atlas.
    color
        ``label``, ``study``, ``confidence``, ``gene:NAME``, ``label:KEY`` (carried or not)
        or ``density``.

    Returns
    -------
    Colouring
        In the order of the samples.

    Raises
    ------
    AtlasError
        If there is no model to be confident.
    InvalidValueError, SelectionError
        If there is no such colour, gene or label.
    """
    kind, _, name = color.partition(":")
    if kind == "gene" and name:
        position = find_gene(view, name)
        return Colouring(str(view.symbols[position]), [], view.gene_values(position))
    if kind == "label" and name:
        return Colouring(name, [name, _OTHERS], _without(view, name))
    if color == "confidence":
        if view.predictions is None:
            msg = "confidence needs a model; start the explorer with one"
            raise AtlasError(msg)
        return Colouring("confidence", [], view.predictions.confidence)
    if color == "density":
        return Colouring("", [], np.full(view.atlas.n_samples, np.nan))
    if color == "study":
        return view.keep("map by study", lambda: _by_study(view))
    if color == "label":
        return view.keep("map by label", lambda: _by_label(view))
    msg = (
        f"there is no colour {color[:40]!r}; "
        "choose label, label:KEY, study, confidence, gene:NAME or density"
    )
    raise InvalidValueError(msg)


def pool_groups(
    colouring: Colouring, counts: NDArray[np.integer]
) -> tuple[list[str], NDArray[np.int64]]:
    """Give a colour each to the most frequent groups in view, and one to all others.

    Parameters
    ----------
    colouring
        With groups.
    counts
        Samples of each group in view.

    Returns
    -------
    categories : list of str
        Up to eight groups, in the order of the atlas, then ``other`` and ``no label`` if seen.
    numbers : ndarray
        Category of each group.

    Examples
    --------
    >>> colouring = Colouring("label", ["liver", "lung", "no label"], np.array([0, 1, 2]), 2)
    >>> pool_groups(colouring, np.array([0, 3, 1]))
    (['lung', 'no label'], array([1, 0, 1]))
    """
    most = [int(g) for g in np.argsort(-counts, kind="stable") if counts[g]]
    named = sorted([g for g in most if g != colouring.without][:_N_CATEGORIES])
    categories = [colouring.groups[g] for g in named]
    numbers = np.full(len(colouring.groups), len(named))
    numbers[named] = np.arange(len(named))
    n_rest = int(counts.sum()) - int(counts[named].sum())
    if colouring.without >= 0:
        n_rest -= int(counts[colouring.without])
    if n_rest:
        categories.append(_OTHERS)
    if colouring.without >= 0 and counts[colouring.without]:
        numbers[colouring.without] = len(categories)
        categories.append(_NONE)
    return categories, numbers


def _without(view: AtlasView, name: str) -> NDArray[np.int64]:
    """Give 0 for the samples of a label, 1 for the others."""
    if name not in view.keys:
        msg = f"no label of the atlas is {name[:60]!r}; it has {len(view.keys)} labels"
        raise InvalidValueError(msg)
    k, columns = view.keys.index(name), view.label_columns
    values = np.ones(view.atlas.n_samples, np.int64)
    values[columns.indices[columns.indptr[k] : columns.indptr[k + 1]]] = 0
    return values


def _by_study(view: AtlasView) -> Colouring:
    if "study" not in view.atlas.obs.columns:
        return Colouring("study", [_OTHERS], np.zeros(view.atlas.n_samples, np.int64))
    codes, names = pd.factorize(view.texts("study"))
    order = np.argsort(-np.bincount(codes), kind="stable")
    numbers = np.empty(len(order), np.int64)
    numbers[order] = np.arange(len(order))
    return Colouring("study", [str(names[g]) for g in order], numbers[codes])


def _by_label(view: AtlasView) -> Colouring:
    columns = view.label_columns
    totals = np.diff(columns.indptr)
    order = [int(k) for k in np.argsort(-totals, kind="stable") if totals[k]]
    values = np.full(view.atlas.n_samples, len(order))
    for number, k in enumerate(order):
        # From the most frequent on: a rarer label of a sample says more and stays.
        values[columns.indices[columns.indptr[k] : columns.indptr[k + 1]]] = number
    return Colouring("label", [*(view.keys[k] for k in order), _NONE], values, len(order))
