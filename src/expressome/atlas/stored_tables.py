"""Tables, labels and texts of an atlas."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from expressome.atlas.schema import SECTION, damage_named, replace_element, to_storable
from expressome.errors import AtlasError, ShapeError
from expressome.results import LABEL_FIELDS, LabelMatrix, to_json

__all__ = ["StoredTables"]


class StoredTables:
    """Everything of an atlas but its values.

    Parameters
    ----------
    path
        Folder of the atlas.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def element(self, name: str) -> Any:  # noqa: ANN401 - whatever AnnData stored
        """Read one element of the store, such as ``"obsm/pca"``.

        Parameters
        ----------
        name
            Its path inside the atlas.

        Returns
        -------
        object
            Table, array, sparse matrix or dictionary.

        Raises
        ------
        AtlasError
            If the atlas holds no such element, or it cannot be read.
        """
        import zarr
        from anndata.io import read_elem

        with damage_named(self.path, name):
            root = zarr.open_group(str(self.path), mode="r")
            if name not in root:
                msg = f"{self.path.name} holds no {name}; make it with the verb that computes it"
                raise AtlasError(msg)
            return read_elem(root[name])

    @cached_property
    def obs(self) -> pd.DataFrame:
        """One row per sample, index ``sample``."""
        table: pd.DataFrame = self.element("obs")
        return table

    @cached_property
    def var(self) -> pd.DataFrame:
        """One row per gene, index ``gene``."""
        table: pd.DataFrame = self.element("var")
        return table

    @cached_property
    def labels(self) -> LabelMatrix:
        """Labels of all samples; without annotation it has no column."""
        table = self.element(f"{SECTION}/labels")
        matrix = sparse.csr_array(self.element("obsm/labels").astype(np.uint8))
        return LabelMatrix(self.obs.index, table[list(LABEL_FIELDS)], matrix)

    @cached_property
    def _texts(self) -> Mapping[str, Any]:
        described: Mapping[str, Any] = json.loads(str(self.element(f"{SECTION}/description")))
        return described

    @property
    def manifest(self) -> dict[str, Any]:
        """Origin of the atlas."""
        return dict(self._texts["manifest"])

    @property
    def description(self) -> dict[str, Any]:
        """Species, level, unit and format version."""
        return {key: value for key, value in self._texts.items() if key != "manifest"}

    @cached_property
    def distributions(self) -> dict[str, NDArray[Any]]:
        """Histograms of a few samples before and after normalisation."""
        found: dict[str, NDArray[Any]] = self.element(f"{SECTION}/distributions")
        return found

    def update_obs(self, columns: pd.DataFrame) -> None:
        """Add or replace columns of the sample table.

        Parameters
        ----------
        columns
            One row per sample of the atlas, same index and order.

        Raises
        ------
        ShapeError
            If the index differs from the atlas's.
        """
        self._update("obs", self.obs, columns)

    def update_var(self, columns: pd.DataFrame) -> None:
        """Add or replace columns of the gene table.

        Parameters
        ----------
        columns
            One row per gene of the atlas, same index and order.

        Raises
        ------
        ShapeError
            If the index differs from the atlas's.
        """
        self._update("var", self.var, columns)

    def drop_var(self, names: Iterable[str]) -> None:
        """Take columns out of the gene table.

        Parameters
        ----------
        names
            Columns; those that are not there are passed over.
        """
        gone = [name for name in names if name in self.var.columns]
        if gone:
            replace_element(self.path, "var", self.var.drop(columns=gone))
            self.__dict__.pop("var", None)

    def write_note(self, name: str, content: Mapping[str, Any]) -> None:
        """Store plain values beside the atlas's own section, such as a manifest.

        Parameters
        ----------
        name
            What it is about; an older note of that name is replaced.
        content
            What JSON can hold.
        """
        text = to_json(content)
        replace_element(self.path, f"{SECTION}/note_{name}", text)

    def read_note(self, name: str) -> dict[str, Any]:
        """Read what `write_note` stored; empty if there is none.

        Parameters
        ----------
        name
            What it is about.

        Returns
        -------
        dict
            Plain values.
        """
        if not (self.path / SECTION / f"note_{name}").is_dir():
            return {}
        found: dict[str, Any] = json.loads(str(self.element(f"{SECTION}/note_{name}")))
        return found

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the checksums of all blocks of values: it changes when a value does."""
        checksums = self.element(f"{SECTION}/checksums_x")
        return hashlib.sha256("".join(map(str, checksums.tolist())).encode()).hexdigest()

    def write_varm(self, name: str, values: NDArray[Any]) -> None:
        """Store numbers per gene, such as its place among other genes.

        Parameters
        ----------
        name
            Such as ``"similarity"``.
        values
            Shape (n_genes, n_columns).

        Raises
        ------
        ShapeError
            If the number of rows differs from the genes of the atlas.
        """
        if len(values) != len(self.var):
            msg = f"{name} has {len(values)} rows, the atlas {len(self.var)} genes; pass one each"
            raise ShapeError(msg)
        replace_element(self.path, f"varm/{name}", np.asarray(values))

    def write_section(self, name: str, content: pd.DataFrame | Mapping[str, Any]) -> None:
        """Store a table or arrays in the atlas's own section, beside its notes.

        Parameters
        ----------
        name
            What it is; an older one of that name is replaced. `read_section` gives it back.
        content
            Table with plain columns, or a dictionary of arrays and text.
        """
        stored = to_storable(content) if isinstance(content, pd.DataFrame) else dict(content)
        replace_element(self.path, f"{SECTION}/{name}", stored)

    def read_section(self, name: str) -> Any:  # noqa: ANN401 - a table or a dictionary
        """Read what `write_section` stored; None if there is none.

        Parameters
        ----------
        name
            What it is.

        Returns
        -------
        DataFrame, dict or None
            As it was written.
        """
        return self.element(f"{SECTION}/{name}") if (self.path / SECTION / name).is_dir() else None

    def _update(self, name: str, table: pd.DataFrame, columns: pd.DataFrame) -> None:
        if not table.index.equals(pd.Index([str(i) for i in columns.index])):
            msg = f"the new columns have {len(columns)} rows, {name} {len(table)}; use its index"
            raise ShapeError(msg)
        updated = table.copy()
        for column, values in to_storable(columns).items():
            updated[column] = values.to_numpy()
        replace_element(self.path, name, updated)
        self.__dict__.pop(name, None)
