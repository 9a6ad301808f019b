"""Simulate a compendium of many studies and write it as an ARCHS4 file."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.archs4.writing import write_archs4
from expressome.blocks import TILE_SAMPLES, tiles
from expressome.engine import Resources, map_blocks
from expressome.simulation.descriptions import describe_samples
from expressome.simulation.design import Design, design_compendium
from expressome.simulation.effects import (
    GeneAxes,
    Noise,
    StudyEffects,
    draw_study,
    find_axes,
    mix_profile,
)
from expressome.simulation.profiles import Profiles, load_profiles

__all__ = ["NOTICE", "Simulated", "list_labels", "simulate_compendium"]

NOTICE = (
    "SIMULATED data: no sample exists. Mean profiles from the Human Protein Atlas "
    "(proteinatlas.org, CC BY-SA 4.0) and TCGA, spread from GTEx."
)

# Share of samples that are single cells pooled or shallow, and what their depth loses (log10).
_SINGLE_CELL_SHARE = 0.02
_SINGLE_CELL_LOSS = 1.6


@dataclass(frozen=True, slots=True)
class Simulated:
    """The truth about a simulated compendium.

    Attributes
    ----------
    labels
        What label lists say: columns ``sample``, ``label``, ``kind``; some
        samples stand in two rows.
    truth
        What every sample is, also the unlabelled ones: index sample, columns
        ``label``, ``kind``, ``study``.
    unlabelled
        Samples in no list, in file order.
    n_genes
        Genes of the file.
    """

    labels: pd.DataFrame
    truth: pd.DataFrame
    unlabelled: list[str]
    n_genes: int


@dataclass(frozen=True, slots=True)
class _Recipe:
    """All that a block of counts is drawn from."""

    profiles: Profiles
    axes: GeneAxes
    noise: Noise
    design: Design
    studies: list[StudyEffects]
    samples: pd.DataFrame
    seed: int
    mixes: dict[tuple[int, int], NDArray[np.float32]] = field(default_factory=dict)


def simulate_compendium(  # noqa: PLR0913 - sizes, seed and where to
    path: str | os.PathLike[str],
    *,
    n_samples: int = 2400,
    n_studies: int = 150,
    unlabelled: float = 0.25,
    seed: int = 0,
    noise: Noise | None = None,
    overwrite: bool = False,
    resources: Resources | None = None,
) -> Simulated:
    """Simulate bulk RNA-seq counts of many studies as an ARCHS4 file.

    A sample of label k in study s has log2 expression = mix of real profiles
    (region, tumour, other tissue) + study shift (along expression modules, per
    gene, along gene length and sequence, mitochondrial and ribosomal blocks) +
    condition + donor (along modules, per gene by its GTEx spread, sex); counts
    are Poisson around depth times TPM times length, so that over samples they
    are Poisson-lognormal. It knows nothing of any model that is tested on it.

    Parameters
    ----------
    path
        The new file, layout v2.6.
    n_samples, n_studies
        Size. All 30 labels occur from 96 studies on.
    unlabelled
        Share of samples that no list names.
    seed
        The same seed gives the same counts, however many workers draw them.
    noise
        Size of each effect; the default matches published counts (`load_realism`).
    overwrite
        Whether an existing file may be replaced.
    resources
        Workers and progress.

    Returns
    -------
    Simulated
        Label lists and truth.

    Raises
    ------
    InvalidValueError
        If the sizes do not fit each other.
    OutputExistsError
        If the file exists and `overwrite` is False.

    Notes
    -----
    Memory: a few blocks of 256 samples x 19,758 genes (20 MB as float32, about
    eight such arrays per worker).

    References
    ----------
    Uhlen et al. 2015, doi:10.1126/science.1260419 (profiles)

    Examples
    --------
    >>> import tempfile
    >>> simulated = simulate_compendium(
    ...     tempfile.mkdtemp() + "/small.h5", n_samples=96, n_studies=12
    ... )
    >>> len(simulated.truth), len(simulated.unlabelled)
    (96, 24)
    """
    resources = resources or Resources()
    profiles, noise = load_profiles(), noise or Noise()
    rng = _design_rng(seed)
    design = design_compendium(n_samples, n_studies, unlabelled=unlabelled, rng=rng)
    axes = find_axes(profiles)
    studies = [
        draw_study(axes, noise, np.random.default_rng([seed, s, *b"study"]))
        for s in range(n_studies)
    ]
    drawn = _draw_samples(design, studies, noise, rng=rng)
    recipe = _Recipe(profiles, axes, noise, design, studies, drawn, seed)
    _mix_materials(recipe)
    write_archs4(
        path,
        samples=describe_samples(design, studies, drawn, rng=rng),
        genes=profiles.genes.assign(biotype="protein_coding")[["symbol", "biotype"]],
        blocks=_draw_blocks(recipe, resources),
        info={
            "author": "expressome simulator",
            "laboratory": NOTICE,
            "version": "2.6",
            "simulated": NOTICE,
        },
        overwrite=overwrite,
    )
    return _tell_truth(design, len(profiles.genes))


def list_labels(
    *, n_samples: int = 2400, n_studies: int = 150, unlabelled: float = 0.25, seed: int = 0
) -> Simulated:
    """Give the labels of a simulated compendium without drawing its counts.

    Parameters
    ----------
    n_samples, n_studies, unlabelled, seed
        As for `simulate_compendium`.

    Returns
    -------
    Simulated
        What `simulate_compendium` gives for the same arguments.

    Raises
    ------
    InvalidValueError
        If the sizes do not fit each other.

    Examples
    --------
    >>> sorted(list_labels(n_samples=96, n_studies=12).truth.label.unique())
    ['HEPG2', 'MCF7', 'brain', 'breast', 'liver', 'lung']
    """
    design = design_compendium(n_samples, n_studies, unlabelled=unlabelled, rng=_design_rng(seed))
    return _tell_truth(design, len(load_profiles().genes))


def _design_rng(seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, *b"design"])


def _draw_samples(
    design: Design, studies: list[StudyEffects], noise: Noise, *, rng: np.random.Generator
) -> pd.DataFrame:
    """Draw what concerns one sample: depth, sex, treatment, whether it is single-cell."""
    study = design.samples["study"].to_numpy()
    n_samples = len(study)
    single_cell = rng.random(n_samples) < _SINGLE_CELL_SHARE
    log10_depth = np.array([effects.log10_depth for effects in studies])[study]
    log10_depth = log10_depth + rng.normal(0, noise.depth_within, n_samples)
    treated = np.array([effects.is_treatment for effects in studies])[study]
    return pd.DataFrame(
        {
            "depth": 10 ** np.clip(log10_depth - _SINGLE_CELL_LOSS * single_cell, 4.5, 8.2),
            "is_single_cell": single_cell,
            "is_male": rng.random(n_samples) < 0.55,
            "is_treated": treated & (rng.random(n_samples) < 0.5),
        },
        index=design.samples.index,
    )


def _mix_materials(recipe: _Recipe) -> None:
    """Mix the profile of every label in every study that holds it, as log2 TPM."""
    pairs = recipe.design.samples[["study", "material"]].drop_duplicates()
    for s, k in pairs.itertuples(index=False):
        rng = np.random.default_rng([recipe.seed, s, k, *b"mix"])
        tpm = mix_profile(
            recipe.design.materials[k],
            recipe.profiles,
            recipe.noise,
            is_tumour=recipe.studies[s].is_tumour,
            rng=rng,
        )
        leak = recipe.noise.background_tpm * np.exp(rng.normal(0, 1.5, len(tpm)))
        recipe.mixes[int(s), int(k)] = np.log2(tpm + leak).astype(np.float32)


def _draw_blocks(recipe: _Recipe, resources: Resources) -> Iterator[NDArray[np.uint32]]:
    """Draw counts tile by tile; a tile's numbers depend on the seed and its place only."""
    n_samples = len(recipe.samples)
    spans = list(tiles(n_samples))

    def draw(i: int) -> NDArray[np.uint32]:
        return _draw_tile(recipe, spans[i], np.random.default_rng([recipe.seed, i, *b"tile"]))

    blocks = map_blocks(draw, range(len(spans)), resources=resources, n_ahead=resources.n_workers)
    for i, block in enumerate(blocks):
        yield block
        resources.progress("simulate", min((i + 1) * TILE_SAMPLES, n_samples), n_samples)


def _draw_tile(recipe: _Recipe, span: slice, rng: np.random.Generator) -> NDArray[np.uint32]:
    """Draw the counts of one tile of samples."""
    axes, noise = recipe.axes, recipe.noise
    members = recipe.design.samples.iloc[span]
    drawn = recipe.samples.iloc[span]
    n_modules, n_genes = axes.modules.shape
    spread = (noise.donor_gene * recipe.profiles.spread_log2).astype(np.float32)
    log2_tpm = rng.standard_normal((len(members), n_genes), np.float32)
    log2_tpm *= np.minimum(spread, 2)
    along = rng.standard_normal((len(members), n_modules), np.float32)
    log2_tpm += (along * np.float32(noise.donor_module / np.sqrt(n_modules))) @ axes.modules
    rows = zip(members["study"], members["material"], drawn.itertuples(index=False), strict=True)
    for i, (s, k, sample) in enumerate(rows):
        log2_tpm[i] += recipe.mixes[s, k] + recipe.studies[s].shift
        if sample.is_treated:
            log2_tpm[i] += recipe.studies[s].condition
        if not sample.is_male:
            log2_tpm[i, axes.y_linked] -= 8
    return _draw_counts(log2_tpm, recipe, drawn, rng=rng)


def _draw_counts(
    log2_tpm: NDArray[np.float32],
    recipe: _Recipe,
    drawn: pd.DataFrame,
    *,
    rng: np.random.Generator,
) -> NDArray[np.uint32]:
    """Turn expression into reads: depth times TPM times length, Poisson."""
    expected = np.exp2(log2_tpm).astype(np.float64)
    expected *= recipe.profiles.genes["length_bp"].to_numpy()
    expected *= (drawn["depth"].to_numpy() / expected.sum(axis=1))[:, None]
    return rng.poisson(expected).astype(np.uint32)


def _tell_truth(design: Design, n_genes: int) -> Simulated:
    """Write down what every sample is and what the lists say."""
    labels = np.array([m.label for m in design.materials])[design.samples["material"]]
    kinds = np.array([m.kind for m in design.materials])[design.samples["material"]]
    parents = np.array([m.parent for m in design.materials])[design.samples["material"]]
    truth = pd.DataFrame(
        {"label": labels, "kind": kinds, "study": design.samples["study"]},
        index=design.samples.index,
    )
    listed = truth[design.samples["is_labelled"]]
    twice = (design.samples["is_labelled"] & design.samples["listed_twice"]).to_numpy()
    again = pd.DataFrame({"label": parents[twice], "kind": "tissue"}, index=truth.index[twice])
    lists: Any = pd.concat([listed[["label", "kind"]], again])
    order = truth.index.get_indexer(lists.index).argsort(kind="stable")
    unlabelled = design.samples.index[~design.samples["is_labelled"]]
    return Simulated(
        labels=lists.iloc[order].reset_index(names="sample"),
        truth=truth,
        unlabelled=[str(sample) for sample in unlabelled],
        n_genes=n_genes,
    )
