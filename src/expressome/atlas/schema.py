"""The form of an atlas on disk: AnnData's Zarr format with a section of its own."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import DTypeLike

from expressome.atlas.shards import BLOCK_SAMPLES, CHUNK_GENES, COMPRESSION_LEVEL
from expressome.errors import AtlasError

__all__ = [
    "ARRAYS",
    "FORMAT_VERSION",
    "SECTION",
    "StoredType",
    "anndata_writer",
    "create_array",
    "create_root",
    "damage_named",
    "replace_element",
    "to_storable",
]

FORMAT_VERSION = "1"
SECTION = "uns/expressome"

# The sharded matrices and what readers give for them.
ARRAYS = {"X": np.float32, "layers/detected": np.bool_}

# How X may be stored; readers give float32 either way.
StoredType = Literal["float32", "float16"]


@contextmanager
def anndata_writer() -> Iterator[Any]:
    """Give AnnData's element writer, set to Zarr 3 without its own sharding."""
    import anndata

    # auto_shard_zarr_v3 came with anndata 0.12.8; unset, later versions warn.
    wanted = {"zarr_write_format": 3, "auto_shard_zarr_v3": False}
    known = {name: value for name, value in wanted.items() if hasattr(anndata.settings, name)}
    with anndata.settings.override(**known):
        yield anndata.io.write_elem


def to_storable(table: pd.DataFrame) -> pd.DataFrame:
    """Give a table whose columns AnnData can write: text without gaps, numbers, booleans.

    Parameters
    ----------
    table
        Any table with a text index.

    Returns
    -------
    DataFrame
        Missing text is empty; categories become text; nullable numbers become float64.

    Examples
    --------
    >>> to_storable(pd.DataFrame({"series": ["GSE1", None]}, index=["a", "b"]))["series"].tolist()
    ['GSE1', '']
    """
    plain = pd.DataFrame(index=pd.Index([str(i) for i in table.index], name=table.index.name))
    for name in table.columns:
        column = table[name]
        kind = getattr(column.dtype, "kind", "O")
        if isinstance(column.dtype, np.dtype) and kind in "biuf":
            plain[str(name)] = column.to_numpy()
        elif kind in "iuf" and not isinstance(column.dtype, np.dtype):
            plain[str(name)] = column.to_numpy(np.float64, na_value=np.nan)
        else:
            text = column.astype(object)
            plain[str(name)] = ["" if pd.isna(item) else str(item) for item in text]
    return plain


def create_root(path: Path) -> Any:  # noqa: ANN401 - zarr's group
    """Start an AnnData store without content.

    Parameters
    ----------
    path
        Folder of the store; what it holds already is kept.

    Returns
    -------
    zarr.Group
        The open root, with every empty section of AnnData.
    """
    import zarr

    root = zarr.open_group(str(path), mode="a", zarr_format=3)
    root.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
    with anndata_writer() as write:
        for name in ("layers", "obsm", "obsp", "uns", "varm", "varp"):
            if name not in root:
                write(root, name, {})
        write(root, SECTION, {})
    return root


def create_array(
    root: Any,  # noqa: ANN401
    name: str,
    shape: tuple[int, int],
    *,
    dtype: DTypeLike | None = None,
) -> None:
    """Write the description of a sharded array; its blocks come later.

    Parameters
    ----------
    root
        Open root of the store.
    name
        ``"X"`` or a layer, a key of `ARRAYS`.
    shape
        (n_samples, n_genes).
    dtype
        How values are stored; as readers give them by default.
    """
    from zarr.codecs import BloscCodec

    dtype = np.dtype(ARRAYS[name] if dtype is None else dtype)
    n_chunks = max(1, -(-shape[1] // CHUNK_GENES))
    array = root.create_array(
        name,
        shape=shape,
        dtype=dtype,
        shards=(BLOCK_SAMPLES, CHUNK_GENES * n_chunks),
        chunks=(BLOCK_SAMPLES, CHUNK_GENES),
        compressors=BloscCodec(
            typesize=dtype.itemsize,
            shuffle="shuffle" if dtype.itemsize > 1 else "bitshuffle",
            cname="lz4",
            clevel=COMPRESSION_LEVEL,
        ),
        fill_value=False if dtype == np.bool_ else 0,
        overwrite=True,
    )
    array.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})


def replace_element(path: Path, name: str, element: pd.DataFrame | Mapping[str, Any] | Any) -> None:  # noqa: ANN401
    """Write one element of a store beside the old one, then move it into place.

    Parameters
    ----------
    path
        Folder of the store.
    name
        Place of the element, such as ``"var"`` or ``"obsm/pca"``.
    element
        Table, mapping or array, as AnnData stores it.

    Raises
    ------
    DiskSpaceError
        If the disk is full; the old element stays.
    """
    import zarr

    from expressome.outputs import full_disk_named, remove_path, replace_path

    place = path / name
    beside = place.with_name(f".{place.name}.new")
    # What zarr was writing when an earlier process was killed.
    for leftover in {*path.glob("zarr.*.partial"), *place.parent.glob("zarr.*.partial")}:
        leftover.unlink(missing_ok=True)
    inside = str(beside.relative_to(path))
    with full_disk_named(place):
        try:
            root = zarr.open_group(str(path), mode="a")
            with anndata_writer() as write:
                write(root, inside, element)
        except OSError:
            remove_path(beside)
            raise
    replace_path(beside, place)


@contextmanager
def damage_named(folder: Path, element: str) -> Iterator[None]:
    """Say which element of which atlas cannot be read.

    Parameters
    ----------
    folder
        The atlas.
    element
        Path inside it.

    Raises
    ------
    AtlasError
        If the body meets metadata or values that cannot be decoded.
    """
    try:
        yield
    except (ValueError, KeyError, TypeError, RuntimeError, OSError) as error:
        if isinstance(error, AtlasError):
            raise
        msg = (
            f"{folder}: {element} cannot be read ({type(error).__name__}: {error}); the atlas is "
            "damaged: take it from a backup, or make it again with normalize"
        )
        raise AtlasError(msg) from error
