"""Quantile normalisation as a scikit-learn transformer."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from expressome.errors import IdentifierError, InvalidCountsError
from expressome.normalization.quantile import apply_target, fit_target
from expressome.normalization.recipe import Normalizer
from expressome.results import Target

__all__ = ["QuantileNormalizer"]


class QuantileNormalizer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]  # sklearn has no types
    """Put samples on the scale of the samples it was fitted on.

    The face of `fit_target` and `apply_target` for pipelines and for people's own
    samples: fitted on a compendium, it maps each new sample onto that scale by
    itself, whatever else is transformed with it.

    Parameters
    ----------
    align_genes
        Whether `transform` finds the columns of a DataFrame by gene id, drops the
        genes it does not know before ranking, and gives NaN for those that are absent. By
        default it wants the same genes in the same order, as scikit-learn does.

    Attributes
    ----------
    target_
        The fitted `Target`; `save_target` writes it.
    n_features_in_
        Number of genes.
    feature_names_in_
        Gene ids, where it was fitted on a DataFrame.

    Examples
    --------
    >>> counts = np.array([[7, 1, 3], [3, 0, 15]])
    >>> QuantileNormalizer().fit(counts).transform([[9, 0, 0]])
    array([[3.5 , 1.25, 1.25]], dtype=float32)
    """

    def __init__(self, *, align_genes: bool = False) -> None:
        self.align_genes = align_genes

    @classmethod
    def from_target(cls, target: Target, *, align_genes: bool = False) -> "QuantileNormalizer":
        """Make a fitted transformer from a saved target.

        Parameters
        ----------
        target
            What `load_target` gave, or `Atlas.target`.
        align_genes
            See the class.

        Returns
        -------
        QuantileNormalizer
            Ready to transform.

        Examples
        --------
        >>> target = Target(np.array([0.0, 2.0]), 1)
        >>> QuantileNormalizer.from_target(target).transform([[5, 1]])
        array([[2., 0.]], dtype=float32)
        """
        normalizer = cls(align_genes=align_genes)
        normalizer.target_ = target
        normalizer.n_features_in_ = target.n_genes
        if target.genes:
            normalizer.feature_names_in_ = np.array(target.genes, dtype=object)
        return normalizer

    def fit(self, X: Any, y: Any = None) -> "QuantileNormalizer":  # noqa: ANN401, ARG002, N803 - sklearn's names
        """Fit the target on training samples.

        Parameters
        ----------
        X
            Read counts, shape (n_samples, n_genes), >= 0; array or DataFrame.
        y
            Ignored.

        Returns
        -------
        QuantileNormalizer
            Itself.
        """
        counts = self._validate(X, reset=True)
        names = getattr(self, "feature_names_in_", ())
        self.target_ = fit_target(counts, genes=tuple(str(name) for name in names))
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:  # noqa: ANN401, N803
        """Give every sample the distribution of the target.

        Parameters
        ----------
        X
            Read counts, shape (n_samples, n_genes), >= 0; array or DataFrame.

        Returns
        -------
        ndarray
            float32, shape (n_samples, n_genes of the target); a DataFrame after
            ``set_output(transform="pandas")``.
        """
        check_is_fitted(self, "target_")
        if self.align_genes and hasattr(X, "columns"):
            return self._transform_aligned(X)
        return apply_target(self._validate(X, reset=False), self.target_)

    def _transform_aligned(self, table: Any) -> NDArray[np.float32]:  # noqa: ANN401
        if not self.target_.genes:
            msg = (
                "the target names no genes, so columns cannot be found by id; fit on a DataFrame "
                "or load a target saved with its genes"
            )
            raise IdentifierError(msg)
        normalizer = Normalizer("log2-quantile", self.target_.genes, self.target_)
        return normalizer.apply(table.to_numpy(), genes=[str(name) for name in table.columns])

    def _validate(self, X: Any, *, reset: bool) -> NDArray[Any]:  # noqa: ANN401, N803
        counts: NDArray[Any] = validate_data(
            self, X, reset=reset, dtype="numeric", ensure_all_finite="allow-nan"
        )
        if (n_negative := int((counts < 0).sum())) > 0:
            # scikit-learn's own checks look for the first four words.
            msg = (
                f"Negative values in data: {n_negative} of {counts.size}; pass raw counts, not "
                "logarithms or centred values"
            )
            raise InvalidCountsError(msg)
        return counts

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = []
        return tags
