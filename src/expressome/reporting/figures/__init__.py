"""Figures: functions that take a part of the content and return a plotly figure."""

from expressome.reporting.figures.batch import draw_variance_shares
from expressome.reporting.figures.classification import (
    draw_confusion,
    draw_label_scores,
    draw_reliability,
    draw_risk_coverage,
    draw_scores,
)
from expressome.reporting.figures.frame import Figure
from expressome.reporting.figures.genes import draw_gene_plane
from expressome.reporting.figures.normalization import (
    draw_densities,
    draw_length_effect,
    draw_target,
)
from expressome.reporting.figures.predictions import draw_confidence, draw_predicted_labels
from expressome.reporting.figures.samples import (
    draw_cooccurrence,
    draw_histogram,
    draw_label_counts,
    draw_plane,
    draw_sizes,
)
from expressome.reporting.figures.synthetic import (
    draw_distances,
    draw_fidelity,
    draw_synthetic_plane,
    draw_training,
)

__all__ = [
    "Figure",
    "draw_confidence",
    "draw_confusion",
    "draw_cooccurrence",
    "draw_densities",
    "draw_distances",
    "draw_fidelity",
    "draw_gene_plane",
    "draw_histogram",
    "draw_label_counts",
    "draw_label_scores",
    "draw_length_effect",
    "draw_plane",
    "draw_predicted_labels",
    "draw_reliability",
    "draw_risk_coverage",
    "draw_scores",
    "draw_sizes",
    "draw_synthetic_plane",
    "draw_target",
    "draw_training",
    "draw_variance_shares",
]
