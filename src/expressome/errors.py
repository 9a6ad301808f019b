"""Errors and warnings, each catchable by what it means."""

from collections.abc import Iterable
from itertools import islice

__all__ = [
    "AtlasError",
    "ClusterError",
    "ConfigurationError",
    "DamagedFileError",
    "DiskSpaceError",
    "EmptySelectionError",
    "ExpressomeError",
    "ExpressomeWarning",
    "FileFormatError",
    "FractionalCountsWarning",
    "IdentifierError",
    "IdentifierWarning",
    "ImputedLengthWarning",
    "InputNotFoundError",
    "InvalidCountsError",
    "InvalidValueError",
    "LabelError",
    "LabelWarning",
    "LeftOutWarning",
    "MissingExtraError",
    "MissingFieldError",
    "MissingGenesWarning",
    "ModelError",
    "OutputExistsError",
    "ProgramError",
    "RemoteError",
    "ScaleMismatchError",
    "SelectionError",
    "ShapeError",
    "StudyWarning",
    "first_few",
]


class ExpressomeError(Exception):
    """Root of every expected failure; its text says what to do."""


class ShapeError(ExpressomeError, ValueError):
    """Arrays or tables do not fit each other."""


class InvalidValueError(ExpressomeError, ValueError):
    """An argument lies outside what it may be."""


class InvalidCountsError(ExpressomeError, ValueError):
    """Counts are negative, NaN, infinite or not counts at all."""


class ScaleMismatchError(ExpressomeError, ValueError):
    """Values are on another scale (TPM, FPKM, logarithms) than the method expects."""


class EmptySelectionError(ExpressomeError, ValueError):
    """Nothing is left to work on: no sample, no gene or no label."""


class SelectionError(ExpressomeError, LookupError):
    """Samples or genes were asked for that are not there."""


class MissingFieldError(ExpressomeError, LookupError):
    """A file lacks a field that the work needs."""


class IdentifierError(ExpressomeError, ValueError):
    """Sample or gene ids are repeated, unknown or ambiguous."""


class LabelError(ExpressomeError, ValueError):
    """Labels are missing, unknown or contradict each other."""


class FileFormatError(ExpressomeError, ValueError):
    """A file is not what its place in the work demands."""


class DamagedFileError(ExpressomeError, OSError):
    """A file has the right form but part of it cannot be read or has changed."""


class AtlasError(ExpressomeError, ValueError):
    """An atlas is incomplete, of another format version or lacks a step."""


class ModelError(ExpressomeError, ValueError):
    """A model directory is incomplete, altered or made for something else."""


class InputNotFoundError(ExpressomeError, FileNotFoundError):
    """An input file or folder does not exist."""


class OutputExistsError(ExpressomeError, FileExistsError):
    """The output exists and overwriting was not asked for."""


class MissingExtraError(ExpressomeError, ImportError):
    """An optional library is not installed."""


class ConfigurationError(ExpressomeError, ValueError):
    """A configuration file or an option combination is wrong."""


class ClusterError(ExpressomeError, RuntimeError):
    """The Dask cluster cannot be reached or lost the work."""


class RemoteError(ExpressomeError, ConnectionError):
    """A web server cannot be reached, does not answer as it must, or its file changed."""


class DiskSpaceError(ExpressomeError, OSError):
    """The disk has no room for an output."""


class ProgramError(ExpressomeError, RuntimeError):
    """An external program is not installed or failed."""


class ExpressomeWarning(UserWarning):
    """Root of every warning: the result is right but not what one may expect."""


class FractionalCountsWarning(ExpressomeWarning):
    """Estimated counts were rounded half to even."""


class IdentifierWarning(ExpressomeWarning):
    """Gene or sample ids were ambiguous, unmapped or made unique."""


class LeftOutWarning(ExpressomeWarning):
    """Part of the input was left out."""


class LabelWarning(ExpressomeWarning):
    """A label is too rare, untestable, absent or in conflict."""


class StudyWarning(ExpressomeWarning):
    """Samples carry no series id and became studies of their own."""


class MissingGenesWarning(ExpressomeWarning):
    """Genes that a model or a target needs are absent from the input."""


class ImputedLengthWarning(ExpressomeWarning):
    """Gene lengths were imputed or genes without length dropped."""


def first_few(names: Iterable[object], n_shown: int = 5) -> str:
    """Write the first few names, and how many more there are.

    Parameters
    ----------
    names
        What to list, in order.
    n_shown
        Names written out; five fit on a line.

    Returns
    -------
    str
        ``"a, b, c, d, e and 37 more"``.

    Examples
    --------
    >>> first_few(["TP53", "ALB"])
    'TP53, ALB'
    >>> first_few(range(8), n_shown=2)
    '0, 1 and 6 more'
    """
    remaining = iter(names)
    shown = [str(name) for name in islice(remaining, n_shown)]
    n_more = sum(1 for _ in remaining)
    text = ", ".join(shown)
    return f"{text} and {n_more} more" if n_more else text
