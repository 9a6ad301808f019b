"""How an ARCHS4 file is put together: its matrix, its axes, the names of its fields."""

from typing import Any

import numpy as np

from expressome.archs4.layouts import EXPRESSION, INFO_GROUPS, LAYOUTS, Layout
from expressome.archs4.storage import read_array, type_of
from expressome.errors import DamagedFileError, FileFormatError

__all__ = [
    "check_axes",
    "check_matrix",
    "explain_unknown_layout",
    "gene_datasets",
    "list_fields",
    "read_info",
    "sample_datasets",
]


def check_matrix(file: Any) -> tuple[np.dtype[Any], tuple[int, int]]:  # noqa: ANN401
    """Give type and shape of the matrix.

    Parameters
    ----------
    file
        Open HDF5 file.

    Returns
    -------
    tuple of dtype and shape
        Type in this machine's byte order; shape as stored.

    Raises
    ------
    FileFormatError
        If there is no matrix, or it is not a table of numbers.
    DamagedFileError
        If its type cannot be read.
    """
    dataset = file.get(EXPRESSION)
    if dataset is None or not hasattr(dataset, "shape"):
        raise FileFormatError(explain_unknown_layout(file))
    dtype = type_of(dataset)
    if dataset.ndim != 2 or dtype.kind not in "iuf":
        msg = (
            f"{file.filename}: {EXPRESSION} holds {dtype} of shape {dataset.shape}, not "
            "a table of integers or floats; pass an ARCHS4 expression file"
        )
        raise FileFormatError(msg)
    return dtype.newbyteorder("="), dataset.shape


def explain_unknown_layout(file: Any) -> str:  # noqa: ANN401
    """Say what a file holds instead of a known layout.

    Parameters
    ----------
    file
        Open HDF5 file.

    Returns
    -------
    str
        One line.
    """
    groups = [str(name) for name in file]
    groups += [f"meta/{name}" for name in file.get("meta", ())]
    known = ", ".join(layout.name for layout in LAYOUTS)
    return (
        f"{file.filename} follows no known ARCHS4 layout: it holds "
        f"{', '.join(groups[:12]) or 'nothing'}, but {EXPRESSION} with sample ids in "
        f"{LAYOUTS[-1].sample_id} or {LAYOUTS[0].sample_id} is needed (known: {known}); "
        "pass an ARCHS4 file, or pack count tables into one"
    )


def _length(item: Any) -> int:  # noqa: ANN401
    """Give the length of a field; 0 for what is no list."""
    shape: tuple[int, ...] = getattr(item, "shape", ())
    return int(shape[0]) if len(shape) == 1 else 0


def check_axes(file: Any, layout: Layout, *, n_samples: int, n_genes: int) -> None:  # noqa: ANN401
    """Refuse a matrix whose axes do not fit its ids.

    Parameters
    ----------
    file
        Open HDF5 file.
    layout
        Its layout.
    n_samples
        Samples of the matrix.
    n_genes
        Genes of the matrix.

    Raises
    ------
    FileFormatError
        If ids and matrix disagree in number.
    """
    n_ids = _length(file[layout.sample_id])
    n_keys = max(map(_length, gene_datasets(file, layout).values()), default=0)
    if (n_ids, n_keys) != (n_samples, n_genes):
        msg = (
            f"{file.filename}: {EXPRESSION} has {n_samples} samples and {n_genes} genes (layout "
            f"{layout.name}: {' x '.join(layout.axes)}), but there are {n_ids} sample ids and "
            f"{n_keys} gene names; the file is incomplete or of another layout"
        )
        raise FileFormatError(msg)


def read_info(file: Any) -> dict[str, str]:  # noqa: ANN401
    """Read what a file says of itself.

    Parameters
    ----------
    file
        Open HDF5 file.

    Returns
    -------
    dict
        Field -> text; empty if there is no such group.
    """
    group = next((name for name in INFO_GROUPS if name in file), None)
    if group is None:
        return {}
    info = {}
    for name in file[group]:
        value = np.ravel(read_array(file, f"{group}/{name}"))[:1]
        item = value[0] if value.size else ""
        info[name] = item.decode(errors="replace") if isinstance(item, bytes) else str(item)
    return info


def _list_items(file: Any, group: str) -> list[tuple[str, Any]]:  # noqa: ANN401
    """List a group; names and types that cannot be read mean damage."""
    items: list[tuple[str, Any]] = []
    name: Any = "?"
    try:
        for name, item in file[group].items():
            # h5py gives names that are not UTF-8 as bytes, and looks at types when asked.
            items.append((name.decode() if isinstance(name, bytes) else name, item))
            _ = getattr(item, "dtype", None)
    except (UnicodeDecodeError, TypeError, ValueError) as error:
        msg = (
            f"{file.filename}: the description of the field {name!r} in {group} is damaged "
            f"({error}); download or copy the file again"
        )
        raise DamagedFileError(msg) from error
    return items


def sample_datasets(file: Any, layout: Layout) -> dict[str, Any]:  # noqa: ANN401
    """Give the datasets that describe samples, but for their ids.

    Parameters
    ----------
    file
        Open HDF5 file.
    layout
        Its layout.

    Returns
    -------
    dict
        Name -> dataset; v1-v8's prefix ``Sample_`` is removed.
    """
    group, id_name = layout.sample_id.rsplit("/", 1)
    prefix = id_name.removesuffix("geo_accession")
    found = {}
    for name, item in _list_items(file, group):
        is_gene_field = not layout.genes and name.startswith("gene")
        if hasattr(item, "shape") and name != id_name and not is_gene_field:
            found[name.removeprefix(prefix).replace("%2F", "/")] = item
    return found


def gene_datasets(file: Any, layout: Layout) -> dict[str, Any]:  # noqa: ANN401
    """Give the datasets that describe genes.

    Parameters
    ----------
    file
        Open HDF5 file.
    layout
        Its layout.

    Returns
    -------
    dict
        Name -> dataset.
    """
    items = _list_items(file, layout.genes or "meta")
    return {
        name.replace("%2F", "/"): item
        for name, item in items
        if hasattr(item, "shape") and (layout.genes or name.startswith("gene"))
    }


def list_fields(file: Any, layout: Layout) -> dict[str, list[str]]:  # noqa: ANN401
    """Name the fields as the file does.

    Parameters
    ----------
    file
        Open HDF5 file.
    layout
        Its layout.

    Returns
    -------
    dict
        ``samples`` and ``genes``: names, without group or prefix, sorted.
    """
    id_name = layout.sample_id.rsplit("/", 1)[1].removeprefix("Sample_")
    return {
        "samples": sorted([id_name, *sample_datasets(file, layout)]),
        "genes": sorted(gene_datasets(file, layout)),
    }
