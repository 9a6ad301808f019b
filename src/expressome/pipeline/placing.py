"""Place every sample on a map and every gene among genes: one pass, kept in the atlas."""

import logging
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from expressome.atlas import Atlas
from expressome.blocks import tiles
from expressome.engine import Resources
from expressome.errors import AtlasError
from expressome.pipeline.gene_sketching import GeneSketch
from expressome.pipeline.mapping import Excerpt, SamplePlane, fit_plane, read_excerpt

__all__ = ["AtlasMap", "open_map"]

_LOG = logging.getLogger(__name__)
_SECTION = "map"
_STAGE = "serve"
# Raised when what is stored changes: maps of another form are computed anew.
_FORM = "1"
# Components in which samples are near each other; tissues and studies need more than a picture.
_N_COMPONENTS = 50
# Kobak & Berens 2019: perplexity 30, and new samples at the median of their 10 nearest.
_PERPLEXITY = 30
_N_NEAREST = 10
_ROWS_AT_ONCE = 1024

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class AtlasMap:
    """Where samples and genes of an atlas lie.

    Attributes
    ----------
    scores
        Principal components of each sample, float32, shape (n_samples, n_components).
    places
        Its place on the map, float32, shape (n_samples, 2).
    landmarks
        Positions of the samples that the map was drawn with, ascending.
    gene_vectors
        Unit vectors whose products estimate correlations of genes, float32, shape
        (n_genes, n_columns); zeros for genes that do not vary.
    plane
        Principal components, to place samples from elsewhere.
    plane_genes
        Positions of the genes that the plane reads.
    plane_lengths
        What undoes the division by length for these genes.
    """

    scores: Floats
    places: Floats
    landmarks: NDArray[np.int64]
    gene_vectors: Floats
    plane: SamplePlane
    plane_genes: NDArray[np.int64]
    plane_lengths: NDArray[np.float64]

    @cached_property
    def squares(self) -> Floats:
        """Squared length of each sample's components, shape (n_samples,)."""
        lengths: Floats = np.einsum("ij,ij->i", self.scores, self.scores)
        return lengths

    def score(self, values: NDArray[np.floating]) -> Floats:
        """Give the components of samples on the atlas's scale.

        Parameters
        ----------
        values
            Of the genes `plane_genes`, NaN where unmeasured, shape (n_samples, n_plane_genes).

        Returns
        -------
        ndarray
            float32, shape (n_samples, n_components).
        """
        return self.plane.place(values * self.plane_lengths).astype(np.float32)

    def place(self, scores: Floats) -> Floats:
        """Place samples among the landmarks: the median of the ten nearest.

        Parameters
        ----------
        scores
            What `score` gives, shape (n_samples, n_components).

        Returns
        -------
        ndarray
            float32, shape (n_samples, 2).
        """
        return _place_among(scores, self.scores[self.landmarks], self.places[self.landmarks])

    def nearest_samples(
        self, scores: Floats, n_nearest: int
    ) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Find the samples nearest to one sample, by Euclidean distance of the components.

        Parameters
        ----------
        scores
            Components of one sample, shape (n_components,).
        n_nearest
            How many.

        Returns
        -------
        rows : ndarray
            Positions in the atlas, nearest first.
        distances : ndarray
            Same order.
        """
        nearness = self.squares - 2 * (self.scores @ scores)
        # Rounding may exchange close ones: some more are taken and measured exactly.
        n_taken = min(2 * n_nearest + 10, len(nearness))
        near = np.argpartition(nearness, n_taken - 1)[:n_taken]
        offset = self.scores[near].astype(np.float64) - scores
        distance = np.sqrt((offset**2).sum(axis=1))
        order = np.lexsort((near, distance))[:n_nearest]
        return near[order], distance[order]


def open_map(atlas: Atlas, *, resources: Resources) -> AtlasMap | None:
    """Read the map of an atlas; compute and store it where there is none of its values.

    Samples: principal components of up to 4,000 samples (random ones, and some of each
    label) on the 2,000 genes that vary most, onto which all samples are projected. The
    plane of the map is the t-SNE of those samples; every other sample lies at the median
    of its ten nearest among them. Genes: see `GeneSketch`.

    Parameters
    ----------
    atlas
        The atlas. If it cannot be written to, the map lives as long as the process.
    resources
        Memory, threads, seed and progress.

    Returns
    -------
    AtlasMap or None
        None if there are fewer than three samples or genes that vary.

    References
    ----------
    Kobak & Berens 2019, doi:10.1038/s41467-019-13056-x (t-SNE from principal components,
    new samples at the median of their nearest; here Euclidean in the components).
    """
    key = f"{_FORM} {atlas.fingerprint} {resources.seed}"
    found = _read_map(atlas, key)
    if found is not None:
        return found
    excerpt = read_excerpt(atlas, resources=resources, stage=_STAGE)
    plane = fit_plane(excerpt, seed=resources.seed, n_components=_N_COMPONENTS)
    if plane is None:
        return None
    scores, gene_vectors = _sweep(atlas, excerpt, plane, resources)
    landmarks = excerpt.rows.astype(np.int64)
    resources.progress(f"{_STAGE}: draw the map", 0, 1)
    drawn = _draw(scores[landmarks], resources.seed)
    places = _place_among(scores, scores[landmarks], drawn)
    places[landmarks] = drawn
    resources.progress(f"{_STAGE}: draw the map", 1, 1)
    genes = excerpt.genes.astype(np.int64)
    made = AtlasMap(
        scores, places, landmarks, gene_vectors, plane, genes, excerpt.lengths[excerpt.genes]
    )
    _store_map(atlas, made, key)
    return made


def _sweep(
    atlas: Atlas, excerpt: Excerpt, plane: SamplePlane, resources: Resources
) -> tuple[Floats, Floats]:
    """Project all samples and sketch all genes in one pass."""
    scores = np.zeros((atlas.n_samples, len(plane.axes)), np.float32)
    sketch = GeneSketch(atlas.n_genes, len(plane.axes), resources.rng("gene sketch"))
    fill = np.nan_to_num(excerpt.gene_mean / excerpt.lengths).astype(np.float32)
    lengths = excerpt.lengths[excerpt.genes]
    for span, values in atlas.blocks(resources=resources):
        scores[span] = plane.place(values[:, excerpt.genes] * lengths)
        for tile in tiles(len(values)):
            # A gene that a study did not measure is taken at its mean: it adds no likeness.
            known = np.where(np.isnan(values[tile]), fill, values[tile])
            sketch.add(known, scores[span][tile])
        resources.progress(f"{_STAGE}: place samples and genes", span.stop, atlas.n_samples)
    return scores, sketch.vectors()


def _draw(scores: Floats, seed: int) -> Floats:
    """Lay samples out in a plane so that near ones stay near."""
    n_samples = len(scores)
    first: Floats = scores[:, :2] - scores[:, :2].mean(axis=0)
    if n_samples < 10:
        return first
    start = first / max(float(first[:, 0].std()), 1e-12) * 1e-4
    perplexity = min(_PERPLEXITY, (n_samples - 1) / 3)
    model = TSNE(perplexity=perplexity, init=start, learning_rate="auto", random_state=seed)
    # Threads would wait for each other in each of 1,000 steps: on a busy machine, for minutes.
    with threadpool_limits(1, user_api="openmp"):
        drawn: Floats = model.fit_transform(scores).astype(np.float32)
    return drawn


def _place_among(scores: Floats, known: Floats, places: Floats) -> Floats:
    """Give the median place of the nearest known samples."""
    placed = np.empty((len(scores), 2), np.float32)
    squares = (known**2).sum(axis=1)
    n_nearest = min(_N_NEAREST, len(known))
    for start in range(0, len(scores), _ROWS_AT_ONCE):
        span = slice(start, start + _ROWS_AT_ONCE)
        nearness = squares - 2 * scores[span] @ known.T
        nearest = np.argpartition(nearness, n_nearest - 1, axis=1)[:, :n_nearest]
        placed[span] = np.median(places[nearest], axis=1)
    return placed


def _read_map(atlas: Atlas, key: str) -> AtlasMap | None:
    """Read a stored map of exactly these values."""
    parts = atlas.read_section(_SECTION)
    if parts is None or str(parts["key"]) != key:
        return None
    try:
        scores, places = atlas.element("obsm/pca"), atlas.element("obsm/map")
        vectors = atlas.element("varm/similarity").astype(np.float32)
    except AtlasError:
        return None
    plane = SamplePlane(parts["centre"], parts["axes"], tuple(parts["explained"]))
    return AtlasMap(
        scores,
        places,
        parts["landmarks"],
        vectors,
        plane,
        parts["genes"],
        parts["lengths"],
    )


def _store_map(atlas: Atlas, made: AtlasMap, key: str) -> None:
    """Keep the map in the atlas; its key last, so that a torn write is computed anew."""
    parts = {
        "key": key,
        "centre": made.plane.centre,
        "axes": made.plane.axes,
        "explained": np.array(made.plane.explained),
        "genes": made.plane_genes,
        "lengths": made.plane_lengths,
        "landmarks": made.landmarks,
    }
    try:
        atlas.write_obsm("pca", made.scores)
        atlas.write_obsm("map", made.places)
        atlas.write_varm("similarity", made.gene_vectors.astype(np.float16))
        atlas.write_section(_SECTION, parts)
    except OSError as error:
        _LOG.warning("%s cannot keep its map (%s); it is computed at each start", atlas.path, error)
