"""What a report shows, as plain tables and arrays; computed elsewhere, drawn here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = [
    "BatchEffects",
    "Classification",
    "Density",
    "Genes",
    "Histogram",
    "Normalization",
    "Predictions",
    "ReportContent",
    "Samples",
    "Synthetic",
]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many values fall into each bin.

    Attributes
    ----------
    edges
        Bin borders, shape (n_bins + 1,), ascending.
    counts
        Values per bin, shape (n_bins,).
    """

    edges: Floats
    counts: Floats

    @property
    def total(self) -> float:
        """Values in all bins."""
        return float(self.counts.sum())

    @property
    def median_bin(self) -> tuple[float, float]:
        """Borders of the bin that holds the median."""
        total = np.cumsum(self.counts)
        k = min(int(np.searchsorted(total, total[-1] / 2)), len(total) - 1)
        return float(self.edges[k]), float(self.edges[k + 1])


@dataclass(frozen=True, slots=True)
class Density:
    """How many points fall into each cell of a plane.

    Attributes
    ----------
    x_edges, y_edges
        Cell borders, shapes (n_x + 1,) and (n_y + 1,), ascending.
    counts
        Points per cell, shape (n_y, n_x).
    """

    x_edges: Floats
    y_edges: Floats
    counts: Floats


@dataclass(frozen=True, slots=True)
class Samples:
    """What the atlas holds.

    Attributes
    ----------
    facts
        Heading -> value in words, for the table of the atlas (species, recipe, ...).
    n_samples, n_genes, n_studies, n_labelled
        Sizes; a labelled sample carries at least one label.
    labels
        One row per label, index its key, columns ``kind``, ``parent``,
        ``ontology_id``, ``n_samples``, ``n_studies``; most frequent first.
    parts
        One row per part of the split (train, validation, test, unlabelled),
        columns ``n_samples`` and ``n_studies``.
    labels_per_sample
        Samples that carry 0, 1, 2, ... labels, shape (n_most + 1,).
    cooccurrence
        Samples that carry both labels, square, index and columns label keys,
        the most frequent labels only.
    depth
        Aligned reads per sample, in log10; None where the file has no such field.
    study_sizes
        Studies by their number of samples; a bin holds its lower border, not its upper.
    detected
        Genes with a count above zero per sample; None where it was not recorded.
    single_cell
        Single-cell probability of the samples; None where the file has no such field.
    n_single_cell
        Samples whose single-cell probability is 0.5 or more.
    plane
        Samples in the plane of the first two principal components, columns
        ``x``, ``y``, ``group`` (a frequent label, ``"other labels"``, ``"unlabelled"``),
        ``sample`` and ``study``; None where it was not computed.
    explained
        Share of the variance on the two axes of `plane`.
    """

    facts: Mapping[str, str]
    n_samples: int
    n_genes: int
    n_studies: int
    n_labelled: int
    labels: pd.DataFrame
    parts: pd.DataFrame
    labels_per_sample: NDArray[np.int64]
    cooccurrence: pd.DataFrame
    depth: Histogram | None = None
    study_sizes: Histogram | None = None
    detected: Histogram | None = None
    single_cell: Histogram | None = None
    n_single_cell: int = 0
    plane: pd.DataFrame | None = None
    explained: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Normalization:
    """What normalisation changed.

    Attributes
    ----------
    recipe
        Name of the recipe.
    points
        Where the densities are given, on the scale log2(1 + count), shape (n_points,).
    before, after
        Share of genes per unit of that scale, smoothed, one row per sample
        shown, shape (n_shown, n_points).
    bandwidth
        Standard deviation of the smoothing, on that scale.
    target
        The target's values at evenly spaced ranks, shape (n_points,), ascending.
    n_target_samples
        Samples the target was averaged over.
    length_effect
        One row per bin of genes of similar length, columns ``length_bp``,
        ``before``, ``before_low``, ``before_high``, ``after``, ``after_low``,
        ``after_high``: median and quartiles of the genes' means; None where
        the recipe does not divide by length.
    length_sources
        Genes per origin of their length.
    """

    recipe: str
    points: Floats
    before: Floats
    after: Floats
    bandwidth: float
    target: Floats
    n_target_samples: int
    length_effect: pd.DataFrame | None = None
    length_sources: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BatchEffects:
    """How much of the variance after normalisation is study, label and depth.

    Attributes
    ----------
    table
        One row per principal component, index ``component`` from 1; columns ``variance``
        (share of the total), ``study``, ``label``, ``study_within_label``, ``residual`` and
        ``depth``: shares of the component, NaN where they cannot be told.
    overall
        The same shares, averaged over the components by their variance.
    n_samples, n_studies
        Samples analysed (those with a label, if there are any) and their studies.
    n_genes
        Genes the components were taken from.
    has_labels
        Whether label and study could be told apart.
    """

    table: pd.DataFrame
    overall: Mapping[str, float]
    n_samples: int
    n_studies: int
    n_genes: int
    has_labels: bool


@dataclass(frozen=True, slots=True)
class Genes:
    """How informative the genes are.

    Attributes
    ----------
    table
        One row per gene, index its id, columns ``symbol``, ``biotype``,
        ``length_bp``, ``n_detected``, ``p95``, ``p95_ratio``, ``mean_cosine``,
        ``neighbours_detected``, ``rank_p95_ratio``, ``rank_mean_cosine`` as far
        as they were measured; best ranks first.
    density
        Genes in the plane of log10 `p95_ratio` and `mean_cosine`.
    markers
        One row per label, index its key, columns ``genes`` (symbols of the
        genes that tell it apart best, best first) and ``n_samples``; None where
        it was not computed.
    """

    table: pd.DataFrame
    density: Density | None
    markers: pd.DataFrame | None = None


@dataclass(frozen=True, slots=True)
class Classification:
    """How well labels are predicted.

    Attributes
    ----------
    scores
        One row per part or baseline, index its key, columns ``title`` (in
        words), ``f1_samples``,
        ``f1_micro``, ``f1_macro``, ``n_samples``, ``n_studies``, ``role``
        (``"model"`` or ``"baseline"``) and, where known, ``low`` and ``high``:
        the interval of ``f1_samples``.
    per_label
        One row per label on the test studies, index its key, columns
        ``precision``, ``recall``, ``f1``, ``average_precision``, ``auroc``,
        ``support``, ``threshold``, ``testable``.
    confusion
        Test samples by true label (rows) and predicted label (columns).
    reliability
        Columns ``confidence``, ``accuracy``, ``n``; None where absent.
    risk_coverage
        Columns ``coverage``, ``risk``; None where absent.
    settings
        Settings of the model, as plain values.
    leak
        Key of the baseline that splits at random, or empty.
    markers
        One row per label, index its key, columns ``high`` and ``low`` (genes that its answers
        on unseen studies rest on, best first) and ``lost`` (what the first one is worth).
    utility
        What synthetic samples of rare labels gain on validation studies: columns ``method``,
        ``n_pairs``, ``average_precision``, ``gain``, ``low``, ``high``, ``f1`` and ``used``;
        None where it was not tried.
    """

    scores: pd.DataFrame
    per_label: pd.DataFrame
    confusion: pd.DataFrame | None = None
    reliability: pd.DataFrame | None = None
    risk_coverage: pd.DataFrame | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    leak: str = ""
    markers: pd.DataFrame | None = None
    utility: pd.DataFrame | None = None


@dataclass(frozen=True, slots=True)
class Predictions:
    """What the model says of samples without labels.

    Attributes
    ----------
    n_samples, n_unknown
        Samples predicted, and those called unknown.
    counts
        One row per label, index its key, column ``n_samples``; most frequent first.
    confidence_known, confidence_unknown
        Calibrated probability of the label named, same bins.
    reasons
        Why samples are unknown, samples per reason.
    agreement
        One row per label that texts suggest, columns ``n_compared`` and ``n_agree``: how
        often text and expression say the same; None where no text was compared.
    n_compared, n_agree
        The same over all samples.
    """

    n_samples: int
    n_unknown: int
    counts: pd.DataFrame
    confidence_known: Histogram
    confidence_unknown: Histogram
    reasons: Mapping[str, int] = field(default_factory=dict)
    agreement: pd.DataFrame | None = None
    n_compared: int = 0
    n_agree: int = 0


@dataclass(frozen=True, slots=True)
class Synthetic:
    """Synthetic samples beside real ones.

    Attributes
    ----------
    method
        Name of the method.
    counts
        One row per label, index its key, columns ``n_synthetic`` and ``n_real``.
    plane
        Columns ``x``, ``y``, ``group`` (a label or ``"other labels"``) and ``synthetic``.
    explained
        Share of the variance on the two axes.
    fidelity
        Columns ``method``, ``metric``, ``value``, ``ceiling``, ``floor``.
    distances
        Name of a comparison -> distances to the nearest real sample, same bins.
    training
        One row per recorded step, index the step, one column per curve; None where absent.
    facts
        Heading -> value in words.
    representative
        Name of a comparison -> distances to the label's most central real sample, same bins.
    """

    method: str
    counts: pd.DataFrame
    plane: pd.DataFrame | None
    explained: tuple[float, float]
    fidelity: pd.DataFrame
    distances: Mapping[str, Histogram]
    training: pd.DataFrame | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    representative: Mapping[str, Histogram] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReportContent:
    """Everything on the page; a part that is None is left out, and the page says so.

    Attributes
    ----------
    title
        Heading of the page.
    created
        Date of the report, in words.
    samples
        Always there.
    simulated
        Whether the data come from the simulator.
    manifests
        Name of an output -> its manifest.
    citations
        What to cite, one sentence each.
    """

    title: str
    created: str
    samples: Samples
    simulated: bool = False
    normalization: Normalization | None = None
    batch: BatchEffects | None = None
    genes: Genes | None = None
    classification: Classification | None = None
    predictions: Predictions | None = None
    synthetic: Synthetic | None = None
    manifests: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    citations: tuple[str, ...] = ()
