"""Read what submitters wrote of samples, some thousand samples at a time."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd

from expressome.archs4.fields import read_field
from expressome.archs4.reader import Compendium, open_archs4
from expressome.archs4.storage import open_file
from expressome.atlas import Atlas, open_atlas
from expressome.errors import MissingFieldError
from expressome.pipeline.inspection import tell_kind
from expressome.results import LabelMatrix

__all__ = ["TEXT_FIELDS", "Texts", "open_texts"]

TEXT_FIELDS = ("title", "source", "characteristics")
# Samples whose texts are in memory at once: a few megabytes.
_BLOCK = 10_000

StrPath = str | os.PathLike[str]
_Reader = Callable[[slice], pd.DataFrame]


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of all samples of an ARCHS4 file or an atlas.

    Attributes
    ----------
    n_samples
        Samples.
    species
        As the file says; empty if it does not.
    labels
        Of an atlas; None for a file.
    """

    n_samples: int
    species: str
    labels: LabelMatrix | None
    _open: Callable[[], AbstractContextManager[_Reader]]

    def blocks(self) -> Iterator[pd.DataFrame]:
        """Read all samples, in order.

        Yields
        ------
        DataFrame
            Those of title, source and characteristics that there are, for some thousand
            samples; index: samples.
        """
        with self._open() as read:
            # One empty block where there is no sample: it still has columns.
            for start in range(0, max(1, self.n_samples), _BLOCK):
                yield read(slice(start, min(start + _BLOCK, self.n_samples)))


def open_texts(file: StrPath) -> Texts:
    """Find the texts of an ARCHS4 file or an atlas.

    Parameters
    ----------
    file
        Either of them.

    Returns
    -------
    Texts
        Read block by block, so that memory does not grow with what people wrote.

    Raises
    ------
    MissingFieldError
        If there is none of title, source and characteristics.
    """
    if tell_kind(file) == "archs4":
        compendium = open_archs4(file)
        return _of_compendium(compendium, _find_fields(compendium, file))
    atlas = open_atlas(file)
    names = [name for name in TEXT_FIELDS if name in atlas.obs.columns]
    _check_any(names, file)
    return _of_atlas(atlas, names)


def _check_any(names: list[str], file: StrPath) -> None:
    if not names:
        msg = (
            f"{file} holds none of the sample fields {', '.join(TEXT_FIELDS)}; "
            "there is no text to read"
        )
        raise MissingFieldError(msg)


def _find_fields(compendium: Compendium, file: StrPath) -> list[str]:
    """Name the text fields that a file has."""
    first = np.arange(min(1, compendium.n_samples))
    with open_file(compendium.path) as opened:
        names = [
            name
            for name in TEXT_FIELDS
            if read_field(opened, compendium.layout_row, name, rows=first) is not None
        ]
    _check_any(names, file)
    return names


def _of_compendium(compendium: Compendium, names: list[str]) -> Texts:
    @contextmanager
    def open_reader() -> Iterator[_Reader]:
        ids, layout = compendium.sample_ids, compendium.layout_row
        with open_file(compendium.path) as file:

            def read(span: slice) -> pd.DataFrame:
                rows = np.arange(span.start, span.stop)
                columns = {name: read_field(file, layout, name, rows=rows) for name in names}
                return pd.DataFrame(columns, index=ids[span])

            yield read

    return Texts(compendium.n_samples, str(compendium.species), None, open_reader)


def _of_atlas(atlas: Atlas, names: list[str]) -> Texts:
    @contextmanager
    def open_reader() -> Iterator[_Reader]:
        texts = atlas.obs[names]
        yield lambda span: texts.iloc[span]

    species = str(atlas.description.get("species", "human"))
    return Texts(atlas.n_samples, species, atlas.labels, open_reader)
