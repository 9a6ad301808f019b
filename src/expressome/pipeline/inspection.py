"""Say what is in an ARCHS4 file, an atlas or a model."""

import os
from pathlib import Path
from typing import Literal

from expressome.addresses import is_url
from expressome.archs4.description import describe_archs4
from expressome.archs4.reader import open_archs4
from expressome.errors import FileFormatError
from expressome.outputs import check_input
from expressome.pipeline.gene_agreeing import measure_agreement
from expressome.results import Summary

__all__ = ["inspect", "tell_kind"]


def tell_kind(path: str | os.PathLike[str]) -> Literal["archs4", "atlas", "model"]:
    """Tell an ARCHS4 file, an atlas and a model apart by what is on disk.

    Parameters
    ----------
    path
        File, folder, or https address of a file.

    Returns
    -------
    str
        ``"archs4"`` for any file, ``"atlas"`` for a Zarr folder, ``"model"`` for a
        folder with ``model.json``.

    Raises
    ------
    InputNotFoundError
        If nothing is there.
    FileFormatError
        If it is a folder of another kind.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "model.json").write_text("{}")
    >>> tell_kind(folder)
    'model'
    """
    if isinstance(path, str) and is_url(path):
        return "archs4"
    path = check_input(path)
    if not path.is_dir():
        return "archs4"
    if any((path / name).exists() for name in ("zarr.json", ".zgroup", ".zattrs")):
        return "atlas"
    if (path / "model.json").exists():
        return "model"
    msg = (
        f"{path} is a folder, but neither an atlas (it has no zarr.json) nor a model (it has no "
        "model.json); pass an ARCHS4 file, an atlas or a model"
    )
    raise FileFormatError(msg)


def inspect(path: str | os.PathLike[str]) -> Summary:
    """Say what is in an ARCHS4 file, an atlas or a model; no counts are read.

    Parameters
    ----------
    path
        ARCHS4 file of any release (or its https address), atlas folder or model folder.

    Returns
    -------
    Summary
        For an ARCHS4 file: release, layout, stored axes, species, level, unit, type,
        chunks, compression, numbers of samples, genes and studies, field names,
        symbols that several genes share, genes without Ensembl id, share of genes whose
        Ensembl id and symbol mean the same gene (null where that cannot be told). For atlas and
        model: what their own descriptions hold.

    Raises
    ------
    InputNotFoundError
        If nothing is there.
    FileFormatError
        If it is none of the three.
    DamagedFileError
        If it is damaged.

    Examples
    --------
    >>> inspect("human_gene_v2.6.h5").figures["species"]  # doctest: +SKIP
    'human'
    """
    kind = tell_kind(path)
    if kind == "atlas":
        from expressome.atlas import describe_atlas

        figures = describe_atlas(Path(path))
    elif kind == "model":
        from expressome.classification.model_file import describe_model

        figures = describe_model(Path(path))
    else:
        figures = describe_archs4(path)
        figures["ensembl_symbol_agreement"] = measure_agreement(open_archs4(path))
    return Summary("inspect", {"kind": kind, "path": Path(path), **figures})
