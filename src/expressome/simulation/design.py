"""Which studies there are, what they hold, and which samples are labelled."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.errors import InvalidValueError
from expressome.simulation.materials import Material, choose_materials

__all__ = ["Design", "design_compendium"]

# Bounds of a study's size; most published ones lie between.
_STUDY_SIZES = (5, 60)
# Share of common studies that also hold samples of a second common label.
_SECOND_LABEL_SHARE = 0.25
# Studies that a rare label is scattered over, and its samples in each.
_RARE_STUDIES = (3, 4)
_RARE_SAMPLES = (3, 6)
# Half of the unlabelled samples come in studies that nobody annotated.
_WHOLE_STUDY_SHARE = 0.5
# No label loses so many studies to that that fewer than this many keep it.
_LABELLED_STUDIES = 4
# Share of studies whose series are part of a super-series and list both ids.
_SUPER_SERIES_SHARE = 0.06
# Share of cell-line studies that the tissue's list names as well.
_LISTED_TWICE_SHARE = 0.08


@dataclass(frozen=True, slots=True)
class Design:
    """Who is in the compendium, before any count is drawn.

    Attributes
    ----------
    samples
        Index sample id; columns ``study`` (position, 0-based), ``material``
        (position in `materials`), ``is_labelled``, ``listed_twice``.
    series
        Series ids of each study, as the file writes them.
    materials
        Labels that occur.
    """

    samples: pd.DataFrame
    series: tuple[str, ...]
    materials: tuple[Material, ...]


def design_compendium(
    n_samples: int, n_studies: int, *, unlabelled: float, rng: np.random.Generator
) -> Design:
    """Lay out studies, labels and annotation.

    Parameters
    ----------
    n_samples
        Samples in all, at least 8 per study.
    n_studies
        Studies, at least 12.
    unlabelled
        Share of samples that no list names.
    rng
        Source of randomness.

    Returns
    -------
    Design
        Sample ids are ``GSM9...`` with eight digits and series ids ``GSE9...``
        with seven, numbers that GEO has not reached.

    Raises
    ------
    InvalidValueError
        If there are too few studies or samples, or the share is not below 1.

    Examples
    --------
    >>> design = design_compendium(200, 20, unlabelled=0.2, rng=np.random.default_rng(0))
    >>> len(design.samples), design.samples.study.nunique()
    (200, 20)
    """
    _check_sizes(n_samples, n_studies, unlabelled)
    materials = choose_materials(n_studies)
    sizes = _draw_sizes(n_samples, n_studies, rng)
    contents = _fill_studies(materials, sizes, rng)
    study = np.repeat(np.arange(n_studies), sizes)
    material = np.concatenate(contents)
    is_rare = np.array([m.is_rare for m in materials])
    samples = pd.DataFrame(
        {
            "study": study,
            "material": material,
            "is_labelled": ~_draw_unlabelled(
                study, material, is_rare[material], unlabelled=unlabelled, rng=rng
            ),
            "listed_twice": _draw_listed_twice(study, material, materials, rng=rng),
        },
        index=pd.Index([f"GSM{90_000_001 + i}" for i in range(n_samples)], name="sample"),
    )
    return Design(samples, _name_series(n_studies, rng), materials)


def _check_sizes(n_samples: int, n_studies: int, unlabelled: float) -> None:
    if n_studies < 12:
        msg = f"n_studies is {n_studies}; a compendium of several labels needs at least 12"
        raise InvalidValueError(msg)
    if not 8 * n_studies <= n_samples <= 40 * n_studies:
        msg = (
            f"n_samples is {n_samples}, but {n_studies} studies of 5 to 60 samples hold between "
            f"{8 * n_studies} and {40 * n_studies}; change one of them"
        )
        raise InvalidValueError(msg)
    if not 0 <= unlabelled <= 0.8:
        msg = f"unlabelled is {unlabelled}; give the share of samples without label, from 0 to 0.8"
        raise InvalidValueError(msg)


def _draw_sizes(n_samples: int, n_studies: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw study sizes that add up: log-normal, 5 to 60 samples."""
    low, high = _STUDY_SIZES
    raw = np.exp(rng.normal(0, 0.6, n_studies))
    sizes: NDArray[np.intp] = np.round(raw * n_samples / raw.sum()).astype(np.intp)
    sizes = np.asarray(sizes.clip(low, high), np.intp)
    while (excess := int(sizes.sum()) - n_samples) != 0:
        movable = np.flatnonzero(sizes > low if excess > 0 else sizes < high)
        chosen = rng.choice(movable, min(abs(excess), len(movable)), replace=False)
        sizes[chosen] -= np.sign(excess)
    return sizes


def _fill_studies(
    materials: Sequence[Material], sizes: NDArray[np.intp], rng: np.random.Generator
) -> list[NDArray[np.intp]]:
    """Give every study a main label, some a second one, and scatter the rare ones."""
    common = np.array([k for k, m in enumerate(materials) if not m.is_rare])
    rare = [k for k, m in enumerate(materials) if m.is_rare]
    weights = np.array([materials[k].weight for k in common])
    main = _share_out(common, weights, n_studies=len(sizes), rng=rng)
    contents = [np.full(n, k) for n, k in zip(sizes, main, strict=True)]
    for s in rng.permutation(len(sizes))[: round(_SECOND_LABEL_SHARE * len(sizes))]:
        second = rng.choice(common[common != main[s]])
        contents[s][len(contents[s]) * 3 // 5 :] = second
    # Rare samples take the first places of studies, which a second label never fills.
    hosts = [int(s) for s in rng.permutation(len(sizes))]
    for k in rare:
        for _ in range(int(rng.integers(_RARE_STUDIES[0], _RARE_STUDIES[1] + 1))):
            s = hosts.pop()
            n_here = min(int(rng.integers(*_RARE_SAMPLES)), len(contents[s]) * 3 // 5 - 1)
            contents[s][:n_here] = k
    return contents


def _share_out(
    common: NDArray[np.intp],
    weights: NDArray[np.float64],
    *,
    n_studies: int,
    rng: np.random.Generator,
) -> NDArray[np.intp]:
    """Give each label its number of studies by weight, at least two, in random order."""
    exact = weights / weights.sum() * n_studies
    numbers = np.maximum(2, np.floor(exact).astype(int))
    order = np.argsort(numbers - exact)
    i = 0
    while (missing := n_studies - int(numbers.sum())) != 0:
        k = order[i % len(order)]
        if missing > 0 or numbers[k] > 2:
            numbers[k] += np.sign(missing)
        i += 1
    return rng.permutation(np.repeat(common, numbers))


def _draw_unlabelled(
    study: NDArray[np.intp],
    material: NDArray[np.intp],
    is_rare: NDArray[np.bool_],
    *,
    unlabelled: float,
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """Leave out whole studies first, then single samples; rare labels keep theirs."""
    n_wanted = round(unlabelled * len(study))
    left_out = np.zeros(len(study), dtype=bool)
    pairs = {(int(s), int(k)) for s, k in zip(study, material, strict=True)}
    n_studies = np.bincount([k for _, k in pairs], minlength=int(material.max()) + 1)
    hosts = set(study[is_rare].tolist())
    for s in rng.permutation(np.unique(study)):
        held = np.unique(material[study == s])
        spared = int(s) in hosts or (n_studies[held] <= _LABELLED_STUDIES).any()
        if left_out.sum() >= _WHOLE_STUDY_SHARE * n_wanted:
            break
        if not spared:
            left_out |= study == s
            n_studies[held] -= 1
    others = np.flatnonzero(~left_out & ~is_rare)
    n_more = min(max(0, n_wanted - int(left_out.sum())), len(others))
    left_out[rng.choice(others, n_more, replace=False)] = True
    return left_out


def _draw_listed_twice(
    study: NDArray[np.intp],
    material: NDArray[np.intp],
    materials: Sequence[Material],
    *,
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """Choose cell-line samples that the list of the parent tissue names, too."""
    tissues = {m.label for m in materials if m.kind == "tissue"}
    can = np.array([m.parent in tissues for m in materials])[material]
    chosen = rng.random(int(study.max()) + 1) < _LISTED_TWICE_SHARE
    return np.asarray(can & chosen[study])


def _name_series(n_studies: int, rng: np.random.Generator) -> tuple[str, ...]:
    """Name the series; some belong to a super-series of their own as well."""
    names = [f"GSE{9_000_001 + 2 * s}" for s in range(n_studies)]
    in_super = rng.random(n_studies) < _SUPER_SERIES_SHARE
    return tuple(
        f"{name},GSE{9_000_002 + 2 * s}" if in_super[s] else name for s, name in enumerate(names)
    )
