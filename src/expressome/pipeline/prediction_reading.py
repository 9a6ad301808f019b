"""Read what `predict` wrote."""

import os
from collections.abc import Sequence

import pandas as pd

from expressome.errors import FileFormatError, MissingFieldError
from expressome.outputs import check_input

__all__ = ["read_predictions"]


def read_predictions(
    path: str | os.PathLike[str], needed: Sequence[str], *, optional: Sequence[str] = ()
) -> pd.DataFrame:
    """Read columns of a file of predictions.

    Parameters
    ----------
    path
        Parquet file that `predict` wrote.
    needed
        Columns that it must have.
    optional
        Columns to read if they are there.

    Returns
    -------
    DataFrame
        One row per sample; the needed columns, then the optional ones that there are.

    Raises
    ------
    FileFormatError
        If it is not a Parquet file, or a damaged one.
    MissingFieldError
        If a column is missing.

    Examples
    --------
    >>> import tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "predictions.parquet")
    >>> pd.DataFrame({"sample": ["S1"], "label": ["liver"]}).to_parquet(path)
    >>> read_predictions(path, ["sample"], optional=["unknown"]).columns.tolist()
    ['sample']
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    place = check_input(path)
    try:
        names = pq.read_schema(place).names
        missing = [name for name in needed if name not in names]
        wanted = [*needed, *(name for name in optional if name in names)]
        table: pd.DataFrame | None = None
        if not missing:
            # Without pandas's notes, which say nothing that is needed and may be spoilt.
            read = pq.read_table(place, columns=wanted).replace_schema_metadata()
            table = read.to_pandas()[wanted]
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        msg = (
            f"{path} is not a Parquet file, or a damaged one; pass the predictions that predict "
            "wrote"
        )
        raise FileFormatError(msg) from error
    if table is None:
        msg = (
            f"{path} lacks {len(missing)} of the {len(needed)} columns of predictions "
            f"({', '.join(missing)}); pass the file that predict wrote"
        )
        raise MissingFieldError(msg)
    return table
