"""An atlas opened for questions: tables in memory, values read when asked for."""

import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from threading import BoundedSemaphore, Lock
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.atlas import Atlas, open_atlas
from expressome.engine import Resources
from expressome.outputs import check_input
from expressome.pipeline.input_reading import PredictionInput, open_input
from expressome.pipeline.placing import AtlasMap, open_map
from expressome.pipeline.predicting import Model, load_model
from expressome.reporting.palette import CATEGORIES, DARK, GRID, MUTED, SEQUENTIAL, SYMBOLS, TEXT

__all__ = ["AtlasFacts", "AtlasView", "open_view", "palette", "shared_asset"]

_PREDICTED = ("label", "confidence", "unknown", "reason")
_PREDICTIONS = "predictions"
_N_REMEMBERED = 256
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
        Label, confidence, unknown and reason of every sample; None without a model.
    compendium
        ARCHS4 file to search in, or None.
    resources
        Memory and threads.
    """

    atlas: Atlas
    map: AtlasMap | None
    model: Model | None
    predictions: pd.DataFrame | None
    compendium: Path | None
    resources: Resources
    _reading: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(2), repr=False)
    _lock: Any = field(default_factory=Lock, repr=False)
    _answers: OrderedDict[Any, Any] = field(default_factory=OrderedDict, repr=False)

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
    def prediction_input(self) -> PredictionInput | None:
        """The atlas on the model's scale."""
        if self.model is None:
            return None
        return open_input(self.model.trained, self.atlas.path, resources=self.resources)

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
        keys = self.atlas.labels.keys
        held = matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]]
        return [keys[int(k)] for k in np.sort(held)]

    def gene_values(self, gene: int) -> NDArray[np.float32]:
        """Read one gene of all samples; only the chunk that holds it is opened.

        Parameters
        ----------
        gene
            Its position.

        Returns
        -------
        ndarray
            float32, shape (n_samples,), NaN where unmeasured.
        """
        # A few at a time: more readers at once would only wait for the same disk.
        with self._reading:
            return self.atlas.read(genes=[gene])[:, 0]

    def remember(self, key: Any, answer: Callable[[], Answer]) -> Answer:  # noqa: ANN401
        """Give an answer again without computing it anew; the last few hundred are kept.

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
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
                found: Answer = self._answers[key]
                return found
        made = answer()
        with self._lock:
            self._answers[key] = made
            while len(self._answers) > _N_REMEMBERED:
                self._answers.popitem(last=False)
        return made


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
    view = AtlasView(opened, placed, loaded, None, file, resources)
    if loaded is None:
        return view
    return AtlasView(opened, placed, loaded, _predict_all(view, loaded), file, resources)


def _predict_all(view: AtlasView, model: Model) -> pd.DataFrame:
    """Label every sample once per model, and keep the answers in the atlas."""
    sums = (model.path / "SHA256SUMS").read_bytes()
    key = hashlib.sha256(sums + view.atlas.fingerprint.encode()).hexdigest()
    stored = view.atlas.read_section(_PREDICTIONS)
    if stored is not None and view.atlas.read_note(_PREDICTIONS).get("key") == key:
        table: pd.DataFrame = stored
        return table
    opened = view.prediction_input
    if opened is None:
        msg = "a model is needed to label samples"
        raise ValueError(msg)
    pieces = []
    for span, values in opened.blocks(np.arange(view.atlas.n_samples)):
        samples = opened.samples[span]
        answers = model.trained.answer(values, samples, n_missing=opened.n_missing)
        pieces.append(answers.set_index("sample")[list(_PREDICTED)])
        view.resources.progress("serve: label samples", span.stop, view.atlas.n_samples)
    table = pd.concat(pieces)
    try:
        view.atlas.write_section(_PREDICTIONS, table)
        view.atlas.write_note(_PREDICTIONS, {"key": key})
    except OSError:
        return table  # an atlas that cannot be written to: labelled again at the next start
    return table


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
