"""Split labelled samples by study, with every label shared out."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from expressome.classification.stratification import (
    ABSENT_TEST,
    ABSENT_TRAINING,
    ABSENT_VALIDATION,
    Demand,
    assign_studies,
)
from expressome.errors import (
    EmptySelectionError,
    InvalidValueError,
    LabelWarning,
    SelectionError,
    ShapeError,
    first_few,
)

__all__ = ["PARTS", "StudySplit", "join_duplicates", "split_by_study"]

# In the order of the fractions that people write: 70/15/15.
PARTS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class StudySplit:
    """Which part each sample belongs to, and what balance was reachable.

    Attributes
    ----------
    parts
        "train", "validation" or "test" per sample, shape (n_samples,), object.
    report
        Plain values: ``fractions``, ``reached``, ``n_samples``, ``n_studies``
        per part; ``labels``: per label its samples and studies per part, whether
        it is testable and, if not, the reason; ``untestable``: those labels;
        ``largest_deviation``: the label whose test share is furthest off.
    """

    parts: NDArray[np.object_]
    report: dict[str, Any]


def split_by_study(
    labels: sparse.csr_array,
    studies: ArrayLike,
    *,
    fractions: Sequence[float] = (70, 15, 15),
    rng: np.random.Generator,
    label_keys: Sequence[str] = (),
    is_synthetic: ArrayLike | None = None,
    known: ArrayLike | None = None,
) -> StudySplit:
    """Split samples into train, validation and test without cutting a study.

    Samples of one study resemble each other more than samples of one tissue, so
    a study on both sides of a split lets a model recognise the study instead of
    the tissue. Every study goes to one part; every label is shared out in the
    asked fractions as far as its studies allow. A label that one study alone
    carries stays in training with that study and is named as untestable.

    Parameters
    ----------
    labels
        0/1, shape (n_samples, n_labels); rows are labelled samples.
    studies
        Study of each sample, shape (n_samples,).
    fractions
        Shares of train, validation and test, in any unit. 70/15/15 leaves a
        label of seven equal studies one in each of the smaller parts.
    rng
        Draws the orders in which studies are tried.
    label_keys
        Names for the report; column numbers where absent.
    is_synthetic
        Whether each sample was generated, shape (n_samples,); such samples may
        not be split, because their likeness to real ones crosses every cut.
    known
        Part each sample has already, empty text for a new one, shape (n_samples,): its whole
        study keeps that part, and new studies fill up what is lacking.

    Returns
    -------
    StudySplit
        Part of each sample, and the report.

    Raises
    ------
    EmptySelectionError
        If there is no sample.
    ShapeError
        If the lengths disagree.
    InvalidValueError
        If the fractions are not three numbers >= 0 with a training share, or a study has
        samples of two known parts.
    SelectionError
        If synthetic samples are among the rows.

    Warns
    -----
    LabelWarning
        If labels are carried by one study only (named, with their number).

    References
    ----------
    Sechidis, Tsoumakas, Vlahavas 2011, doi:10.1007/978-3-642-23808-6_10; here
    with groups that stay whole.

    Examples
    --------
    >>> labels = sparse.csr_array(np.ones((10, 1), np.uint8))
    >>> studies = np.repeat(["GSE1", "GSE2", "GSE3", "GSE4", "GSE5"], 2)
    >>> split = split_by_study(labels, studies, fractions=(60, 20, 20),
    ...                        rng=np.random.default_rng(0), label_keys=["liver"])
    >>> split.report["n_studies"]
    {'train': 3, 'validation': 1, 'test': 1}
    """
    shares = _check_fractions(fractions)
    labels = sparse.csr_array(labels)
    names, owner = check_samples(labels, studies, is_synthetic)
    amounts, sizes = count_per_study(labels, owner, len(names))
    n_carriers = np.bincount(amounts.indices, minlength=labels.shape[1])
    single = np.flatnonzero(n_carriers == 1)
    fixed = np.full(len(names), -1, np.int64)
    fixed[np.isin(np.arange(len(names)), amounts[:, single].nonzero()[0])] = 0
    if known is not None:
        kept = _parts_of_studies(known, owner, names)
        fixed = np.where(kept >= 0, kept, fixed)
    study_parts = _assign(amounts, sizes, shares, fixed=fixed, rng=rng)
    keys = list(label_keys) if len(label_keys) else [str(k) for k in range(labels.shape[1])]
    report = _report(amounts, sizes, study_parts=study_parts, shares=shares, keys=keys)
    if shares[2] > 0:
        _warn_untestable(report)
    parts = np.array(PARTS, dtype=object)[study_parts[owner]]
    return StudySplit(parts, report)


def join_duplicates(studies: ArrayLike, contents: ArrayLike) -> NDArray[np.object_]:
    """Join studies that hold the same sample under two ids.

    Parameters
    ----------
    studies
        Study of each sample, shape (n_samples,).
    contents
        Fingerprint of each sample's counts, shape (n_samples,); equal values
        mean equal counts.

    Returns
    -------
    ndarray
        Study of each sample after joining (the first name in sorted order),
        shape (n_samples,).

    Examples
    --------
    >>> join_duplicates(["GSE2", "GSE1", "GSE3"], ["aa", "aa", "bb"]).tolist()
    ['GSE1', 'GSE1', 'GSE3']
    """
    names, owner = np.unique(np.asarray(studies, dtype=str), return_inverse=True)
    _, content = np.unique(np.asarray(contents), return_inverse=True)
    n_nodes = len(names) + int(content.max(initial=-1)) + 1
    links = sparse.coo_array(
        (np.ones(len(owner)), (owner, len(names) + content)), shape=(n_nodes, n_nodes)
    )
    _, component = connected_components(links, directed=False)
    first = np.full(n_nodes, len(names))
    np.minimum.at(first, component[: len(names)], np.arange(len(names)))
    return np.asarray(names.astype(object)[first[component[owner]]])


def _parts_of_studies(
    known: ArrayLike, owner: NDArray[np.int64], names: NDArray[np.str_]
) -> NDArray[np.int64]:
    """Give the part each study has already, -1 for a new one."""
    codes = pd.Index(PARTS).get_indexer(pd.Index(np.asarray(known, dtype=str)))
    highest = np.full(len(names), -1)
    np.maximum.at(highest, owner, codes)
    is_torn = (codes >= 0) & (codes != highest[owner])
    if is_torn.any():
        torn = names[np.unique(owner[is_torn])]
        msg = (
            f"{len(torn)} studies have samples in two parts ({first_few(torn)}); "
            "leave the new samples out or split all samples anew"
        )
        raise InvalidValueError(msg)
    return np.asarray(highest, dtype=np.int64)


def _check_fractions(fractions: Sequence[float]) -> NDArray[np.float64]:
    shares = np.asarray(fractions, dtype=float)
    if shares.shape != (3,) or not np.isfinite(shares).all() or (shares < 0).any():
        msg = f"fractions are {tuple(fractions)}; write three numbers >= 0, such as (70, 15, 15)"
        raise InvalidValueError(msg)
    if shares[0] <= 0:
        msg = f"the training share is {shares[0]:g}; it must be above 0"
        raise InvalidValueError(msg)
    return np.asarray(shares / shares.sum())


def check_samples(
    labels: sparse.csr_array, studies: ArrayLike, is_synthetic: ArrayLike | None
) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    """Give study names and the study number of each sample."""
    names, owner = np.unique(np.asarray(studies, dtype=str), return_inverse=True)
    if owner.size != labels.shape[0]:
        msg = f"{labels.shape[0]} samples have labels but {owner.size} have a study; pass both"
        raise ShapeError(msg)
    if owner.size == 0:
        msg = "no labelled sample to split; check the labels and their sample ids"
        raise EmptySelectionError(msg)
    if is_synthetic is not None and (n_synthetic := int(np.asarray(is_synthetic).sum())):
        msg = (
            f"{n_synthetic} of {owner.size} samples are synthetic; they belong to training "
            "only: split the real samples and add them afterwards"
        )
        raise SelectionError(msg)
    return names, owner.astype(np.int64)


def count_per_study(
    labels: sparse.csr_array, owner: NDArray[np.int64], n_studies: int
) -> tuple[sparse.csr_array, NDArray[np.int64]]:
    """Count samples per study and label, and per study."""
    n_samples = owner.size
    members = sparse.csr_array(
        (np.ones(n_samples, np.int64), (owner, np.arange(n_samples))),
        shape=(n_studies, n_samples),
    )
    amounts = sparse.csr_array(members @ labels.astype(np.int64))
    amounts.eliminate_zeros()
    amounts.sort_indices()
    return amounts, np.bincount(owner, minlength=n_studies).astype(np.int64)


def _assign(
    amounts: sparse.csr_array,
    sizes: NDArray[np.int64],
    shares: NDArray[np.float64],
    *,
    fixed: NDArray[np.int64],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Assign studies to those parts that are to have a share."""
    wanted = np.flatnonzero(shares > 0)
    if wanted.size == 1:
        return np.zeros(sizes.size, np.int64)
    demand = Demand(
        shares[wanted],
        np.array([ABSENT_TRAINING, ABSENT_VALIDATION, ABSENT_TEST])[wanted],
        # One study can serve training only, the second goes to the test.
        np.array([1, 3, 2])[wanted],
    )
    places = np.append(np.searchsorted(wanted, np.arange(len(shares))), -1)
    parts = assign_studies(amounts, sizes, demand=demand, fixed=places[fixed], rng=rng)
    return np.asarray(wanted[parts], dtype=np.int64)


def _report(
    amounts: sparse.csr_array,
    sizes: NDArray[np.int64],
    *,
    study_parts: NDArray[np.int64],
    shares: NDArray[np.float64],
    keys: list[str],
) -> dict[str, Any]:
    """Say what each part holds of each label, and which labels cannot be tested."""
    one_hot = np.eye(3, dtype=np.int64)[study_parts]
    samples = amounts.T @ one_hot
    carriers = (amounts > 0).astype(np.int64).T @ one_hot
    labels: dict[str, Any] = {}
    for k, key in enumerate(keys):
        entry: dict[str, Any] = {
            part: {"samples": int(samples[k, p]), "studies": int(carriers[k, p])}
            for p, part in enumerate(PARTS)
        }
        reason = _untestable_reason(carriers[k])
        labels[key] = entry | {"testable": not reason, "reason": reason}
    deviations = np.abs(samples / np.maximum(1, samples.sum(axis=1, keepdims=True)) - shares)
    testable = [k for k, key in enumerate(keys) if labels[key]["testable"]]
    worst = max(testable, key=lambda k: deviations[k].max(), default=None)
    n_samples = sizes @ one_hot
    return {
        "fractions": [float(share) for share in shares],
        "reached": [float(n / max(1, sizes.sum())) for n in n_samples],
        "n_samples": {part: int(n_samples[p]) for p, part in enumerate(PARTS)},
        "n_studies": {part: int(one_hot[:, p].sum()) for p, part in enumerate(PARTS)},
        "labels": labels,
        "untestable": {key: e["reason"] for key, e in labels.items() if not e["testable"]},
        "mean_deviation": float(deviations[testable].mean()) if testable else None,
        "largest_deviation": None
        if worst is None
        else {"label": keys[worst], "share_points": float(deviations[worst].max())},
    }


def _untestable_reason(carriers: NDArray[np.int64]) -> str:
    if carriers.sum() == 0:
        return "no sample carries it"
    if carriers.sum() == 1:
        return "carried by one study only, which stays in training"
    if carriers[2] == 0:
        return f"none of its {carriers.sum()} studies could go to the test part"
    if carriers[0] == 0:
        return "no training study carries it"
    return ""


def _warn_untestable(report: dict[str, Any]) -> None:
    untestable = report["untestable"]
    if untestable:
        msg = (
            f"{len(untestable)} of {len(report['labels'])} labels cannot be tested on an unseen "
            f"study and serve for training only: {first_few(sorted(untestable))}"
        )
        warnings.warn(msg, LabelWarning, stacklevel=3)
