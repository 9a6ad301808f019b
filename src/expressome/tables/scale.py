"""Tell read counts from TPM, FPKM, CPM and logarithms, column by column."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.errors import InvalidCountsError, ScaleMismatchError, first_few

__all__ = ["ColumnProfile", "refuse_bad_values", "refuse_other_scales"]

# Counts estimated by kallisto, salmon or RSEM are mostly whole, since reads that
# fit one gene only count as one: 11% of the values of a real table are fractional.
# TPM, FPKM and logarithms are fractional nearly everywhere.
_FRACTIONAL_SHARE = 0.75
# A TPM or CPM column sums to a million by definition; a few rows may have been cut.
_PER_MILLION = 1e6
_PER_MILLION_TOLERANCE = 0.02
# Rounding each value to a whole number moves the sum of a TPM column by less than 0.1%.
_ROUNDED_TOLERANCE = 0.002
# One library may hold a million reads by chance; two or more that agree so are scaled.
_N_ROUNDED = 2
# Lengths and depths leave no whole number behind; halves and quarters come from
# reads shared between genes, so multiples of a half do not count here.
_WHOLLY_FRACTIONAL_SHARE = 0.98
# One read in a deep library is far less than 0.5 TPM or FPKM, but no estimated
# count of a gene that was really hit is that small very often.
_SMALL_VALUE = 0.5
_SMALL_SHARE = 0.1
# log2 of the largest 32-bit count.
_LARGEST_LOG2 = 32.0
# Below this number of positive values a column is too short to judge by shares.
_N_JUDGED = 20
_LARGEST_COUNT = np.iinfo(np.uint32).max


@dataclass(slots=True)
class ColumnProfile:
    """What the values of each sample look like, gathered block by block.

    Attributes
    ----------
    n_values, n_positive, n_fractional, n_uneven, n_small
        Values in all, above 0, not whole, no multiple of a half, and above 0
        but below 0.5; each of shape (n_samples,).
    total, largest
        Sum and maximum per sample, shape (n_samples,).
    n_bad
        Negative, missing, infinite and too large values of the whole table.
    first_bad
        Gene, sample position and value of the first of each.
    """

    n_values: NDArray[np.int64]
    n_positive: NDArray[np.int64]
    n_fractional: NDArray[np.int64]
    n_uneven: NDArray[np.int64]
    n_small: NDArray[np.int64]
    total: NDArray[np.float64]
    largest: NDArray[np.float64]
    n_bad: dict[str, int] = field(default_factory=dict)
    first_bad: dict[str, tuple[str, int, float]] = field(default_factory=dict)

    @classmethod
    def empty(cls, n_samples: int) -> "ColumnProfile":
        """Start a profile.

        Parameters
        ----------
        n_samples
            Columns of the table.

        Returns
        -------
        ColumnProfile
            All zero.
        """
        return cls(
            np.zeros(n_samples, np.int64),
            np.zeros(n_samples, np.int64),
            np.zeros(n_samples, np.int64),
            np.zeros(n_samples, np.int64),
            np.zeros(n_samples, np.int64),
            np.zeros(n_samples),
            np.zeros(n_samples),
        )

    def add(
        self, values: NDArray[np.float64], genes: Sequence[str], *, first_sample: int = 0
    ) -> None:
        """Take in a block.

        Parameters
        ----------
        values
            Shape (n_genes_of_block, n_samples_of_block), as written in the table.
        genes
            Their ids, for messages.
        first_sample
            Position of the block's first sample.
        """
        span = slice(first_sample, first_sample + values.shape[1])
        with np.errstate(invalid="ignore"):
            masks = {
                "negative": values < 0,
                "missing": np.isnan(values),
                "too large": values > _LARGEST_COUNT,
            }
            fractional = values != np.rint(values)
            uneven = 2 * values != np.rint(2 * values)
            small = (values > 0) & (values < _SMALL_VALUE)
        for name, mask in masks.items():
            if mask.any():
                g, i = divmod(int(mask.argmax()), mask.shape[1])
                self.n_bad[name] = self.n_bad.get(name, 0) + int(mask.sum())
                self.first_bad.setdefault(name, (genes[g], first_sample + i, float(values[g, i])))
        self.n_values[span] += len(values)
        self.n_positive[span] += (values > 0).sum(axis=0)
        self.n_fractional[span] += fractional.sum(axis=0)
        self.n_uneven[span] += uneven.sum(axis=0)
        self.n_small[span] += small.sum(axis=0)
        self.total[span] += np.nansum(values, axis=0)
        if len(values):
            self.largest[span] = np.fmax(self.largest[span], np.nan_to_num(values).max(axis=0))


def refuse_bad_values(profile: ColumnProfile, samples: pd.Index, path: Path) -> None:
    """Raise if a value cannot be a count.

    Parameters
    ----------
    profile
        Of the whole table.
    samples
        Sample ids, shape (n_samples,).
    path
        Where the table was read, for the message.

    Raises
    ------
    InvalidCountsError
        If values are negative, missing, infinite or above 4,294,967,295.

    Examples
    --------
    >>> profile = ColumnProfile.empty(1)
    >>> profile.add(np.array([[3.0], [-1.0]]), ["TP53", "ALB"])
    >>> refuse_bad_values(profile, pd.Index(["S1"]), Path("x.tsv"))
    Traceback (most recent call last):
    expressome.errors.InvalidCountsError: 1 of 2 values in x.tsv are negative ...
    """
    remedies = {
        "negative": "counts are never negative: pass raw read counts, not logarithms or z-scores",
        "missing": "a count that was not measured cannot be guessed: remove the gene or the sample",
        "too large": "a count holds at most 4,294,967,295: check the table",
    }
    for name, remedy in remedies.items():
        if name not in profile.first_bad:
            continue
        gene, i, value = profile.first_bad[name]
        msg = (
            f"{profile.n_bad[name]:,} of {int(profile.n_values.sum()):,} values in {path} are "
            f"{name} (first: {value:g} for gene {gene}, sample {samples[i]}); {remedy}"
        )
        raise InvalidCountsError(msg)


def _reasons(profile: ColumnProfile) -> list[tuple[str, NDArray[np.bool_]]]:
    """Give each reason for refusal and the samples it holds for."""
    n_positive = np.maximum(profile.n_positive, 1)
    share = profile.n_uneven / n_positive
    long_enough = profile.n_positive >= _N_JUDGED
    fractional = share >= _FRACTIONAL_SHARE
    per_million = np.abs(profile.total / _PER_MILLION - 1) <= _PER_MILLION_TOLERANCE
    small = profile.n_small / n_positive >= _SMALL_SHARE
    shallow = (share >= _WHOLLY_FRACTIONAL_SHARE) & (profile.total <= _PER_MILLION)
    return [
        (
            "are fractional and sum to a million, as TPM or CPM do",
            fractional & per_million,
        ),
        (
            "are fractional and never exceed 32, as logarithms do",
            fractional & long_enough & (profile.largest <= _LARGEST_LOG2),
        ),
        (
            "are fractional with small values or a small total, as TPM or FPKM are",
            long_enough & (fractional & small | shallow),
        ),
        (
            "sum to a million, as TPM or CPM rounded to whole numbers do",
            _are_rounded(profile, long_enough & ~fractional),
        ),
    ]


def _are_rounded(profile: ColumnProfile, judged: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Say which samples sum to a million, where nearly all of the table do."""
    close = judged & (np.abs(profile.total / _PER_MILLION - 1) <= _ROUNDED_TOLERANCE)
    totals = profile.total[close]
    # The same number of reads drawn from each library gives the very same total.
    is_table = len(totals) >= max(_N_ROUNDED, 0.9 * judged.size) and np.ptp(totals) > 0
    return close if is_table else np.zeros_like(close)


def refuse_other_scales(profile: ColumnProfile, samples: pd.Index, path: Path) -> None:
    """Raise if samples look normalised or logarithmic.

    Parameters
    ----------
    profile
        Of the whole table, with whole counts still unrounded.
    samples
        Sample ids, shape (n_samples,).
    path
        Where the table was read, for the message.

    Raises
    ------
    ScaleMismatchError
        If at least 75% of the positive values of a sample are fractional and
        (a) they sum to a million within 2%, or (b) none is above 32, or (c) 10%
        of them lie below 0.5; or (d) 98% are fractional and they sum to less than
        a million. Multiples of a half are not called fractional here. Or (e) if at
        least two samples, and 90% of the table, sum to a million within 0.2% but not
        all to the same number.

    Notes
    -----
    (b) to (e) need 20 positive values. A single sample of rounded TPM, and rounded
    FPKM, cannot be told from counts; counts that were scaled by length and fall
    under a million reads cannot be told from FPKM.

    Examples
    --------
    >>> profile = ColumnProfile.empty(1)
    >>> profile.add(np.array([[400000.3], [599999.7]]), ["TP53", "ALB"])
    >>> refuse_other_scales(profile, pd.Index(["S1"]), Path("x.tsv"))
    Traceback (most recent call last):
    expressome.errors.ScaleMismatchError: 1 of 1 samples in x.tsv are fractional and sum to ...
    """
    for reason, mask in _reasons(profile):
        if not mask.any():
            continue
        chosen = np.flatnonzero(mask)
        i = int(chosen[0])
        msg = (
            f"{len(chosen)} of {len(samples)} samples in {path} {reason} "
            f"({first_few(samples[chosen], 3)}; {samples[i]}: {profile.n_fractional[i]:,} of "
            f"{profile.n_positive[i]:,} positive values are fractional, total "
            f"{profile.total[i]:,.6g}, largest {profile.largest[i]:,.6g}); pass raw read counts"
        )
        raise ScaleMismatchError(msg)
