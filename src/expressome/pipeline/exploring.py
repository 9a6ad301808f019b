"""An atlas opened for questions: tables in memory, values read when asked for."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.atlas import Atlas, open_atlas
from expressome.atlas.shards import BLOCK_SAMPLES
from expressome.classification.model import TrainedModel
from expressome.engine import Resources
from expressome.errors import AtlasError
from expressome.outputs import check_input
from expressome.pipeline.answer_keeping import KeptAnswers, keep_answers
from expressome.pipeline.input_reading import PredictionInput, open_input
from expressome.pipeline.placing import AtlasMap, open_map
from expressome.pipeline.predicting import Model, load_model
from expressome.pipeline.remembering import Recent
from expressome.reporting.palette import CATEGORIES, DARK, GRID, MUTED, SEQUENTIAL, SYMBOLS, TEXT

__all__ = ["TEXTS", "AtlasFacts", "AtlasView", "open_view", "palette", "shared_asset"]

# Columns of the sample table that are searched and shown.
TEXTS = ("series", "study", "title", "source", "characteristics")

# Answers are kilobytes; values are 4 bytes per sample, 0.5 MB of 120,000.
_N_REMEMBERED, _N_GENES_REMEMBERED = 64, 8
# What all questions share, such as names arranged for search; never as many.
_N_KEPT = 64
# One gene is read by so many threads, in pieces of so many samples.
_N_READERS = 2
_SAMPLES_AT_ONCE = 16 * BLOCK_SAMPLES
# Parts of the report's page that the explorer shows too: one look, one copy.
_ASSETS = {
    "plotly.js": ("vendor", "plotly-cartesian.min.js"),
    "look.css": ("templates", "page.css"),
    "tables.js": ("templates", "tables.js"),
    "figures.js": ("templates", "figures.js"),
}

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class AtlasFacts:
    """What an atlas is, for the head of the page.

    Attributes
    ----------
    name
        Its folder's name.
    n_samples, n_studies, n_genes, n_labels, n_labelled
        Counts.
    species, level, recipe
        As it was made.
    has_model, has_map, has_compendium
        What else can be asked.
    labels
        Key, kind and number of samples of each label, most frequent first.
    simulated
        Whether the samples come from the simulator.
    """

    name: str
    n_samples: int
    n_studies: int
    n_genes: int
    n_labels: int
    n_labelled: int
    species: str
    level: str
    recipe: str
    has_model: bool
    has_map: bool
    has_compendium: bool
    labels: list[dict[str, Any]]
    simulated: bool


@dataclass(frozen=True)
class AtlasView:
    """An atlas and what is asked together with it.

    Attributes
    ----------
    atlas
        The atlas.
    map
        Where its samples and genes lie; None for the tiniest.
    model
        What labels samples, or None.
    predictions
        The model's answers for every sample; None without a model.
    compendium
        ARCHS4 file to search in, or None.
    resources
        Memory and threads.
    """

    atlas: Atlas
    map: AtlasMap | None
    model: Model | None
    predictions: KeptAnswers | None
    compendium: Path | None
    resources: Resources
    _kept: Recent = field(default_factory=lambda: Recent(_N_KEPT), repr=False)
    _recent: Recent = field(default_factory=lambda: Recent(_N_REMEMBERED), repr=False)
    _values: Recent = field(default_factory=lambda: Recent(_N_GENES_REMEMBERED), repr=False)
    _readers: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(_N_READERS, "read"), repr=False
    )

    @cached_property
    def symbols(self) -> NDArray[np.object_]:
        """Symbol of each gene, its id where there is none."""
        ids = self.atlas.var.index.to_numpy(dtype=object)
        if "symbol" not in self.atlas.var:
            return ids
        given = self.atlas.var["symbol"].astype(str).to_numpy(dtype=object)
        return np.where(given == "", ids, given)

    @cached_property
    def label_columns(self) -> Any:  # noqa: ANN401 - scipy's csc_array
        """Labels by column."""
        return self.atlas.labels.matrix.tocsc()

    @cached_property
    def prediction_input(self) -> tuple[TrainedModel, PredictionInput]:
        """The model, and the atlas on its scale.

        Raises
        ------
        AtlasError
            If there is no model.
        """
        if self.model is None:
            msg = "this needs a model; start the explorer with one"
            raise AtlasError(msg)
        trained = self.model.trained
        return trained, open_input(trained, self.atlas, resources=self.resources)

    @cached_property
    def keys(self) -> list[str]:
        """Keys of the labels."""
        return self.atlas.labels.keys

    def texts(self, name: str) -> NDArray[np.object_]:
        """Give a column of the sample table as text, empty where there is none.

        Parameters
        ----------
        name
            Of the column.

        Returns
        -------
        ndarray
            Shape (n_samples,).
        """
        return self._columns.get(name, self._empty)

    @cached_property
    def _columns(self) -> dict[str, NDArray[np.object_]]:
        obs = self.atlas.obs
        return {name: obs[name].astype(str).to_numpy(dtype=object) for name in TEXTS if name in obs}

    @cached_property
    def _empty(self) -> NDArray[np.object_]:
        return np.full(self.atlas.n_samples, "", dtype=object)

    @cached_property
    def facts(self) -> AtlasFacts:
        """What the atlas is."""
        atlas, described = self.atlas, self.atlas.description
        n_each = np.asarray(atlas.labels.matrix.sum(axis=0)).ravel().astype(int)
        kinds = atlas.labels.labels["kind"].astype(str)
        order = np.argsort(-n_each, kind="stable")
        keys = atlas.labels.keys
        titles = atlas.obs["title"].astype(str).head(200) if "title" in atlas.obs else pd.Series([])
        return AtlasFacts(
            name=atlas.path.name,
            n_samples=atlas.n_samples,
            n_studies=int(atlas.obs["study"].nunique()) if "study" in atlas.obs else 0,
            n_genes=atlas.n_genes,
            n_labels=len(keys),
            n_labelled=int(atlas.labels.is_labelled.sum()) if keys else 0,
            species=str(described.get("species", "")),
            level=str(described.get("level", "")),
            recipe=atlas.recipe,
            has_model=self.model is not None,
            has_map=self.map is not None,
            has_compendium=self.compendium is not None,
            labels=[
                {"key": keys[k], "kind": kinds.iloc[k], "n_samples": int(n_each[k])} for k in order
            ],
            simulated=len(titles) > 0
            and bool(titles.str.lower().str.startswith("simulated").mean() > 0.5),
        )

    def labels_of(self, row: int) -> list[str]:
        """Name the labels that a sample carries.

        Parameters
        ----------
        row
            Its position.

        Returns
        -------
        list of str
            Keys.
        """
        matrix = self.atlas.labels.matrix
        held = matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]]
        return [self.keys[k] for k in sorted(held.tolist())]

    def gene_values(self, gene: int) -> NDArray[np.float32]:
        """Read one gene of all samples; only the chunk that holds it is opened.

        Parameters
        ----------
        gene
            Its position.

        Returns
        -------
        ndarray
            float32, shape (n_samples,), NaN where unmeasured. Not to be written to: those of
            the last eight genes are kept.
        """
        return self._values.remember(gene, lambda: self._read_gene(gene))

    def _read_gene(self, gene: int) -> NDArray[np.float32]:
        matrix, n_samples = self.atlas.matrix("X"), self.atlas.n_samples

        def read(start: int) -> NDArray[np.float32]:
            n_rows = min(_SAMPLES_AT_ONCE, n_samples - start)
            return matrix.read_gene(gene, first_block=start // BLOCK_SAMPLES, n_rows=n_rows)

        # All questions share the readers: more at once would wait for the same disk.
        return np.concatenate(list(self._readers.map(read, range(0, n_samples, _SAMPLES_AT_ONCE))))

    def keep(self, key: str, made: Callable[[], Answer]) -> Answer:
        """Give what all questions share, made at the first of them.

        Parameters
        ----------
        key
            What it is.
        made
            Makes it.

        Returns
        -------
        object
            As it was made.
        """
        return self._kept.remember(key, made)

    def remember(self, key: Any, answer: Callable[[], Answer]) -> Answer:  # noqa: ANN401
        """Give an answer again without computing it anew; the last 64 are kept.

        Parameters
        ----------
        key
            What was asked.
        answer
            Computes it; small, never the values themselves.

        Returns
        -------
        object
            The answer.
        """
        return self._recent.remember(key, answer)


def open_view(
    atlas: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str] | None = None,
    compendium: str | os.PathLike[str] | None = None,
    resources: Resources | None = None,
) -> AtlasView:
    """Open an atlas for questions.

    The first time, all samples are placed on a map, all genes among genes, and all samples
    labelled by the model; this is stored in the atlas (`obsm/pca`, `obsm/map`,
    `varm/similarity`) and read at the next start.

    Parameters
    ----------
    atlas
        Folder that `normalize` wrote.
    model
        Folder that `train` wrote.
    compendium
        ARCHS4 file whose texts are searched; without it those of the atlas.
    resources
        Memory, threads, seed and progress of the first time.

    Returns
    -------
    AtlasView
        Ready for questions from several threads.

    Raises
    ------
    InputNotFoundError, AtlasError, ModelError
        If one of them is absent, damaged or does not fit the others.

    Examples
    --------
    >>> open_view("/tmp")
    Traceback (most recent call last):
    expressome.errors.AtlasError: /tmp is not an atlas; make one with normalize
    """
    resources = resources or Resources()
    opened = open_atlas(atlas)
    loaded = None if model is None else load_model(model)
    file = None if compendium is None else check_input(compendium)
    placed = open_map(opened, resources=resources)
    answers = None if loaded is None else keep_answers(opened, loaded, resources=resources)
    return AtlasView(opened, placed, loaded, answers, file, resources)


def shared_asset(name: str) -> bytes:
    """Give a part of the report's page that the explorer shows too.

    Parameters
    ----------
    name
        ``plotly.js``, ``look.css``, ``tables.js`` or ``figures.js``.

    Returns
    -------
    bytes
        The file.

    Examples
    --------
    >>> shared_asset("look.css")[:5]
    b':root'
    """
    return files("expressome.reporting").joinpath(*_ASSETS[name]).read_bytes()


def palette() -> dict[str, Any]:
    """Give the colours of the report's figures.

    Returns
    -------
    dict
        categories, symbols, sequential, text, grid, muted and dark (light -> dark).

    Examples
    --------
    >>> palette()["categories"][0]
    '#0072B2'
    """
    return {
        "categories": CATEGORIES,
        "symbols": SYMBOLS,
        "sequential": SEQUENTIAL,
        "text": TEXT,
        "grid": GRID,
        "muted": MUTED,
        "dark": DARK,
    }
