"""One module per section of the page: its figures and tables, and the words around them."""

from expressome.reporting.sections.batch import build_batch
from expressome.reporting.sections.classification import build_classification
from expressome.reporting.sections.data import build_data
from expressome.reporting.sections.genes import build_genes
from expressome.reporting.sections.normalization import build_normalization
from expressome.reporting.sections.predictions import build_predictions
from expressome.reporting.sections.synthetic import build_synthetic

__all__ = [
    "build_batch",
    "build_classification",
    "build_data",
    "build_genes",
    "build_normalization",
    "build_predictions",
    "build_synthetic",
]
