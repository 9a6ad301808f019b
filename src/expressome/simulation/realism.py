"""Figures that say how real counts behave, by the same functions for simulated ones."""

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from expressome.errors import EmptySelectionError

__all__ = [
    "REALISM_PATH",
    "ZERO_DEPTHS",
    "CountGroup",
    "Realism",
    "between_study_share",
    "depth_spread",
    "load_realism",
    "mean_variance_slope",
    "measure_realism",
    "zero_fractions",
]

REALISM_PATH = Path(__file__).with_name("data") / "realism.json"

# Reads at which the zero fraction is compared: from shallow to usual bulk RNA-seq.
ZERO_DEPTHS = (1_000_000, 3_000_000, 10_000_000, 30_000_000)

# Genes below one count per million are mostly sampling noise at these depths.
_EXPRESSED_CPM = 1.0
# A variance or a spread over fewer samples says little.
_MIN_SAMPLES = 5


@dataclass(frozen=True, slots=True)
class CountGroup:
    """Samples of one study and one material, such as "liver in GSE1".

    Attributes
    ----------
    study
        Study the samples come from.
    tissue
        Tissue they are labelled with.
    counts
        Read counts, shape (n_samples, n_genes).
    genes
        Gene ids of the columns; groups may differ in what they measured.
    is_complete
        Whether the genes are all genes of the annotation, not only those that
        someone found expressed. Zeros are counted in complete groups only.
    """

    study: str
    tissue: str
    counts: NDArray[np.float64]
    genes: NDArray[np.str_]
    is_complete: bool = True


@dataclass(frozen=True, slots=True)
class Realism:
    """What sets real compendia apart from easy ones.

    Attributes
    ----------
    between_study_share
        Share of the variance of log2(1 + CPM) that lies between the studies of
        one tissue; median over tissues (see `between_study_share`).
    mean_variance_slope
        Slope of log10 variance over log10 mean of counts within a study; median
        over groups (see `mean_variance_slope`).
    zero_fraction
        Reads -> share of protein-coding genes without a read at that depth;
        median over studies (see `zero_fractions`).
    depth_spread_within, depth_spread_between
        Spread of log10 reads within and between studies (see `depth_spread`).
    """

    between_study_share: float
    mean_variance_slope: float
    zero_fraction: dict[int, float]
    depth_spread_within: float
    depth_spread_between: float

    def figures(self) -> dict[str, float]:
        """Give all figures by name, one number each."""
        zeros = {f"zero_fraction_{d}": value for d, value in self.zero_fraction.items()}
        return {
            "between_study_share": self.between_study_share,
            "mean_variance_slope": self.mean_variance_slope,
            **zeros,
            "depth_spread_within": self.depth_spread_within,
            "depth_spread_between": self.depth_spread_between,
        }


def between_study_share(counts: NDArray[np.float64], studies: Sequence[str]) -> float:
    """Compute how much of a tissue's variance lies between its studies.

    Per gene, a one-way random-effects model of y = log2(1 + CPM) with the study
    as factor: MSB and MSW are the mean squares between and within studies, n0 =
    (N - sum n_s^2 / N) / (k - 1), the variance between studies is max(0, (MSB -
    MSW) / n0) and the one within is MSW. The share is the sum of the first over
    the sum of both, over genes with a mean of at least 1 CPM (each study
    weighing one), so that it is a ratio of averages, not an average of ratios.

    Parameters
    ----------
    counts
        Read counts of one tissue, shape (n_samples, n_genes).
    studies
        Study of each sample.

    Returns
    -------
    float
        Between 0 and 1; NaN with fewer than two studies, no study with two
        samples, or no expressed gene.

    References
    ----------
    Searle, Casella and McCulloch 1992, Variance Components, chapter 3.

    Examples
    --------
    >>> counts = np.array([[10, 90], [10, 90], [90, 10], [90, 10]])
    >>> between_study_share(counts, ["a", "a", "b", "b"])
    1.0
    """
    counts = np.asarray(counts, np.float64)
    names, codes, sizes = np.unique(
        np.asarray(studies, str), return_inverse=True, return_counts=True
    )
    n_samples, n_studies = len(counts), len(names)
    if n_studies < 2 or n_samples == n_studies:
        return float("nan")
    cpm = counts / counts.sum(axis=1, keepdims=True) * 1e6
    expressed = _study_means(cpm, codes, sizes).mean(axis=0) >= _EXPRESSED_CPM
    if not expressed.any():
        return float("nan")
    log2_cpm = np.log2(1 + cpm[:, expressed])
    means = _study_means(log2_cpm, codes, sizes)
    within = ((log2_cpm - means[codes]) ** 2).sum(axis=0) / (n_samples - n_studies)
    spread = sizes[:, None] * (means - log2_cpm.mean(axis=0)) ** 2
    mean_size = (n_samples - (sizes**2).sum() / n_samples) / (n_studies - 1)
    between = np.maximum(0, (spread.sum(axis=0) / (n_studies - 1) - within) / mean_size)
    total = float((between + within).sum())
    return float(between.sum()) / total if total > 0 else float("nan")


def _study_means(
    values: NDArray[np.float64], codes: NDArray[np.intp], sizes: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Average the rows of each study, shape (n_studies, n_genes)."""
    sums = np.zeros((len(sizes), values.shape[1]))
    np.add.at(sums, codes, values)
    return sums / sizes[:, None]


def mean_variance_slope(counts: NDArray[np.float64]) -> float:
    """Fit how the variance of a gene's counts grows with their mean.

    Counts are brought to the median depth of the group, then log10 variance is
    regressed on log10 mean over the genes with a mean of at least one count.
    Pure sampling gives 1, a constant coefficient of variation 2.

    Parameters
    ----------
    counts
        Read counts of one material in one study, shape (n_samples, n_genes).

    Returns
    -------
    float
        The slope; NaN with fewer than 5 samples or 10 such genes.

    Examples
    --------
    >>> means = np.geomspace(10, 1e5, 500)
    >>> counts = np.random.default_rng(0).poisson(means, size=(50, 500))
    >>> round(mean_variance_slope(counts), 1)
    1.0
    """
    counts = np.asarray(counts, np.float64)
    if len(counts) < _MIN_SAMPLES:
        return float("nan")
    depths = counts.sum(axis=1, keepdims=True)
    scaled = counts / depths * np.median(depths)
    mean, variance = scaled.mean(axis=0), scaled.var(axis=0, ddof=1)
    used = (mean >= 1) & (variance > 0)
    if used.sum() < 10:
        return float("nan")
    return float(np.polyfit(np.log10(mean[used]), np.log10(variance[used]), 1)[0])


def zero_fractions(counts: NDArray[np.float64], depth: int) -> NDArray[np.float64]:
    """Compute the share of genes without a read if a sample had fewer reads.

    Thinning a sample of D reads to d keeps each read with probability d / D, so
    a gene with c reads is lost with probability (1 - d / D)^c. That takes depth
    out of the comparison between samples.

    Parameters
    ----------
    counts
        Read counts, shape (n_samples, n_genes).
    depth
        Reads to thin to, over these genes.

    Returns
    -------
    ndarray
        Expected share, shape (n_samples,); NaN for samples with fewer reads.

    Examples
    --------
    >>> zero_fractions(np.array([[8, 0], [1, 1]]), depth=4).tolist()
    [0.501953125, nan]
    """
    counts = np.asarray(counts, np.float64)
    depths = counts.sum(axis=1)
    kept = np.divide(depth, depths, out=np.full(len(depths), np.nan), where=depths >= depth)
    result: NDArray[np.float64] = ((1 - kept[:, None]) ** counts).mean(axis=1)
    return result


def depth_spread(depths: NDArray[np.float64], studies: Sequence[str]) -> tuple[float, float]:
    """Compute how library sizes vary within and between studies.

    Parameters
    ----------
    depths
        Reads per sample, shape (n_samples,), > 0.
    studies
        Study of each sample.

    Returns
    -------
    within : float
        Median over studies (of at least 5 samples) of the standard deviation of
        log10 reads.
    between : float
        Standard deviation over studies of the mean log10 reads.

    Examples
    --------
    >>> depth_spread(np.array([1e6] * 5 + [1e7] * 5), ["a"] * 5 + ["b"] * 5)
    (0.0, 0.7071067811865476)
    """
    log10_depths, names = np.log10(depths), np.asarray(studies, str)
    parts = [log10_depths[names == name] for name in np.unique(names)]
    spreads = [float(part.std(ddof=1)) for part in parts if len(part) >= _MIN_SAMPLES]
    means = [float(part.mean()) for part in parts]
    within = float(np.median(spreads)) if spreads else float("nan")
    return within, float(np.std(means, ddof=1)) if len(means) > 1 else float("nan")


def measure_realism(groups: Sequence[CountGroup]) -> Realism:
    """Compute all figures over many groups of samples, real or simulated.

    Parameters
    ----------
    groups
        One per study and material. For the share between studies, groups of one
        tissue are compared over the genes they all measured.

    Returns
    -------
    Realism
        NaN where the groups cannot tell.

    Raises
    ------
    EmptySelectionError
        If there is no group.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> genes = np.array([f"g{i}" for i in range(300)])
    >>> groups = [
    ...     CountGroup(study, "liver", rng.poisson(30, (6, 300)), genes) for study in "ab"
    ... ]
    >>> measure_realism(groups).between_study_share < 0.2
    True
    """
    if not groups:
        msg = "no group of samples to measure; pass at least one per study and material"
        raise EmptySelectionError(msg)
    shares = [_tissue_share(groups, tissue) for tissue in sorted({g.tissue for g in groups})]
    slopes = [mean_variance_slope(group.counts) for group in groups]
    depths = np.concatenate([group.counts.sum(axis=1) for group in groups])
    studies = [group.study for group in groups for _ in range(len(group.counts))]
    within, between = depth_spread(depths, studies)
    return Realism(
        between_study_share=_median(shares),
        mean_variance_slope=_median(slopes),
        zero_fraction={depth: _median(_study_zeros(groups, depth)) for depth in ZERO_DEPTHS},
        depth_spread_within=within,
        depth_spread_between=between,
    )


def _median(values: Sequence[float]) -> float:
    known = np.asarray(values)[~np.isnan(values)]
    return float(np.median(known)) if len(known) else float("nan")


def _tissue_share(groups: Sequence[CountGroup], tissue: str) -> float:
    """Compute the share between studies of one tissue over its common genes."""
    members = [group for group in groups if group.tissue == tissue]
    if len({group.study for group in members}) < 2:
        return float("nan")
    common = functools.reduce(np.intersect1d, [group.genes for group in members])
    picked = []
    for group in members:
        order = np.argsort(group.genes)
        picked.append(group.counts[:, order[np.searchsorted(group.genes, common, sorter=order)]])
    studies = [group.study for group in members for _ in range(len(group.counts))]
    return between_study_share(np.concatenate(picked), studies)


def _study_zeros(groups: Sequence[CountGroup], depth: int) -> list[float]:
    """Average the zero fraction over the samples of each study."""
    by_study: dict[str, list[float]] = {}
    for group in groups:
        if group.is_complete:
            values = zero_fractions(group.counts, depth)
            by_study.setdefault(group.study, []).extend(values[~np.isnan(values)].tolist())
    return [float(np.mean(values)) for values in by_study.values() if values]


def load_realism() -> Realism:
    """Load the figures that were estimated on published count tables.

    Returns
    -------
    Realism
        What the simulated compendium is held against.

    Examples
    --------
    >>> 1 < load_realism().mean_variance_slope < 2
    True
    """
    content = json.loads(REALISM_PATH.read_text(encoding="utf-8"))["figures"]
    zeros = {depth: float(content[f"zero_fraction_{depth}"]) for depth in ZERO_DEPTHS}
    return Realism(
        between_study_share=float(content["between_study_share"]),
        mean_variance_slope=float(content["mean_variance_slope"]),
        zero_fraction=zeros,
        depth_spread_within=float(content["depth_spread_within"]),
        depth_spread_between=float(content["depth_spread_between"]),
    )
