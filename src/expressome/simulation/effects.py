"""What sets samples apart besides their label: study, protocol, donor, condition."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from expressome.simulation.materials import CONTAMINANTS, Material
from expressome.simulation.profiles import Profiles

__all__ = ["GeneAxes", "Noise", "StudyEffects", "draw_study", "find_axes", "mix_profile"]

# Directions in which real profiles differ that studies and donors move along.
_N_MODULES = 48
# Genes of the Y chromosome that men express everywhere.
_Y_GENES = ("DDX3Y", "EIF1AY", "KDM5D", "RPS4Y1", "USP9Y", "UTY", "ZFY")


@dataclass(frozen=True, slots=True)
class Noise:
    """How large each effect is, in log2 units unless said otherwise.

    Attributes
    ----------
    study_module
        Standard deviation per gene of a study's shift along expression modules.
    study_gene
        The same for shifts that each gene makes on its own.
    protocol
        Spread between studies of the slope along gene length and sequence.
    tumour_share
        Share of studies of a tissue that hold tumours (where TCGA has them).
    contamination
        Largest share of other tissue in the samples of a study.
    donor_module, donor_gene
        Shifts of one sample: along modules, and per gene as a multiple of the
        gene's spread between GTEx donors.
    condition
        Shift of the genes that answer a study's treatment.
    excess_tpm
        The atlas's consensus takes the highest of several values per gene, so
        low ones are too high: x becomes x^2 / (x + excess).
    background_tpm
        Reads of genes that a tissue does not express, from leaky transcription,
        other cells and wrong alignments; median over genes.
    depth_mean, depth_between, depth_within
        log10 reads: mean, spread between studies and within.
    """

    study_module: float = 1.5
    study_gene: float = 0.6
    protocol: float = 0.5
    tumour_share: float = 0.45
    contamination: float = 0.35
    donor_module: float = 0.2
    donor_gene: float = 0.95
    condition: float = 0.8
    excess_tpm: float = 0.3
    background_tpm: float = 0.001
    depth_mean: float = 7.15
    depth_between: float = 0.42
    depth_within: float = 0.13


@dataclass(frozen=True, slots=True)
class GeneAxes:
    """Directions over genes along which samples move together.

    Attributes
    ----------
    modules
        Main differences between real profiles, shape (n_modules, n_genes), root
        mean square 1.
    length
        Standardised log length, shape (n_genes,): degraded RNA and 3' protocols.
    sequence
        Fixed pseudo-random number per gene id, in place of its GC content.
    mitochondrial, ribosomal, y_linked
        Which genes these are, shape (n_genes,).
    scale
        How strongly a gene reacts to a study, around 1.
    """

    modules: NDArray[np.float32]
    length: NDArray[np.float32]
    sequence: NDArray[np.float32]
    mitochondrial: NDArray[np.bool_]
    ribosomal: NDArray[np.bool_]
    y_linked: NDArray[np.bool_]
    scale: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class StudyEffects:
    """One study's own way of looking at every sample.

    Attributes
    ----------
    shift
        Added to every sample's log2 expression, shape (n_genes,).
    condition
        Added to the treated samples, shape (n_genes,).
    is_treatment
        Whether half of the samples are treated.
    is_tumour
        Whether the samples are tumours, where the tissue has some.
    log10_depth
        Mean log10 reads.
    """

    shift: NDArray[np.float32]
    condition: NDArray[np.float32]
    is_treatment: bool
    is_tumour: bool
    log10_depth: float


def find_axes(profiles: Profiles) -> GeneAxes:
    """Derive the directions from the shipped profiles.

    Parameters
    ----------
    profiles
        Mean expression per tissue and tumour.

    Returns
    -------
    GeneAxes
        The same for every seed.

    Examples
    --------
    >>> from expressome.simulation.profiles import load_profiles
    >>> find_axes(load_profiles()).modules.shape
    (48, 19758)
    """
    log2_tpm = np.log2(profiles.tpm + 0.1)
    centred = log2_tpm - log2_tpm.mean(axis=0)
    # Through the small matrix of profiles x profiles: the same directions, at once.
    _, weights = np.linalg.eigh(centred @ centred.T)
    modules = weights[:, ::-1][:, :_N_MODULES].T @ centred
    modules /= np.sqrt((modules**2).mean(axis=1, keepdims=True))
    # The sign of a direction is arbitrary; fix it so that every machine agrees.
    modules *= np.sign(modules[np.arange(_N_MODULES), np.abs(modules).argmax(axis=1)])[:, None]
    log_length = np.log2(profiles.genes["length_bp"].to_numpy())
    symbols = profiles.genes["symbol"]
    return GeneAxes(
        modules=np.clip(modules, -4, 4).astype(np.float32),
        length=((log_length - log_length.mean()) / log_length.std()).astype(np.float32),
        sequence=_hash_normal([str(name) for name in profiles.genes.index]),
        mitochondrial=symbols.str.startswith("MT-").to_numpy(),
        ribosomal=symbols.str.match(r"RP[LS]\d").to_numpy(),
        y_linked=symbols.isin(_Y_GENES).to_numpy(),
        scale=_reaction_scale(profiles.spread_log2),
    )


def _reaction_scale(spread_log2: NDArray[np.float64]) -> NDArray[np.float32]:
    """Say which genes react most: those that differ most between donors, tempered."""
    scale = np.sqrt(spread_log2 / np.median(spread_log2))
    return np.clip(scale, 0.5, 2.0).astype(np.float32)


def _hash_normal(ids: Sequence[str]) -> NDArray[np.float32]:
    """Give each id a fixed number, together about standard normal."""
    digests = [hashlib.sha256(str(name).encode()).digest()[:8] for name in ids]
    order = np.argsort(np.argsort([int.from_bytes(digest) for digest in digests]))
    # Sum of twelve uniforms would do; the ranks of the hashes through a logistic are closer.
    uniform = (order + 0.5) / len(order)
    return (np.log(uniform / (1 - uniform)) / 1.8138).astype(np.float32)


def draw_study(axes: GeneAxes, noise: Noise, rng: np.random.Generator) -> StudyEffects:
    """Draw how one study differs from all others.

    Parameters
    ----------
    axes
        Directions over genes.
    noise
        Size of each effect.
    rng
        The study's own source of randomness.

    Returns
    -------
    StudyEffects
        Shared by all samples of the study.

    Examples
    --------
    >>> from expressome.simulation.profiles import load_profiles
    >>> axes = find_axes(load_profiles())
    >>> draw_study(axes, Noise(), np.random.default_rng(0)).shift.shape
    (19758,)
    """
    n_modules, n_genes = axes.modules.shape
    along = rng.standard_normal(n_modules, np.float32) * (noise.study_module / np.sqrt(n_modules))
    shift = along @ axes.modules
    shift += noise.study_gene * axes.scale * rng.standard_normal(n_genes, np.float32)
    shift += np.float32(rng.normal(0, noise.protocol)) * axes.length
    shift += np.float32(rng.normal(0, noise.protocol)) * axes.sequence
    # Extraction and depletion move these as blocks: whole organelles are kept or lost.
    shift[axes.mitochondrial] += np.float32(rng.normal(-1.5, 1.2))
    shift[axes.ribosomal] += np.float32(rng.normal(0, 0.7))
    responds = rng.random(n_genes) < rng.uniform(0.02, 0.2)
    condition = noise.condition * responds * rng.standard_normal(n_genes, np.float32)
    return StudyEffects(
        shift=shift,
        condition=np.asarray(condition, np.float32),
        is_treatment=bool(rng.random() < 0.6),
        is_tumour=bool(rng.random() < noise.tumour_share),
        log10_depth=float(rng.normal(noise.depth_mean, noise.depth_between)),
    )


def mix_profile(
    material: Material,
    profiles: Profiles,
    noise: Noise,
    *,
    is_tumour: bool,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Mix what the samples of one label in one study consist of.

    Tissue: one region, part of it tumour in tumour studies, with some other
    tissue in it. Cell line: the tumour of its tissue without other cells, and a
    genome of its own that every study of the line shares.

    Parameters
    ----------
    material
        The label.
    profiles
        Shipped profiles.
    noise
        Size of each effect.
    is_tumour
        Whether a tissue sample is a tumour, where the tissue has one.
    rng
        The study's own source of randomness.

    Returns
    -------
    ndarray
        TPM, shape (n_genes,), sum 1e6.

    Examples
    --------
    >>> from expressome.simulation.materials import MATERIALS
    >>> from expressome.simulation.profiles import load_profiles
    >>> tpm = mix_profile(
    ...     MATERIALS[0], load_profiles(), Noise(), is_tumour=False, rng=np.random.default_rng(0)
    ... )
    >>> round(tpm.sum())
    1000000
    """
    if material.kind == "cell line":
        return _mix_line(material, profiles)
    tpm = profiles.row(str(rng.choice(material.normal))).copy()
    if is_tumour and material.tumour:
        share = rng.uniform(0.3, 0.9)
        tpm = (1 - share) * tpm + share * profiles.row(str(rng.choice(material.tumour)))
    foreign = noise.contamination * rng.random() ** 2
    tpm = (1 - foreign) * tpm + foreign * profiles.row(str(rng.choice(CONTAMINANTS)))
    tpm = tpm * tpm / (tpm + noise.excess_tpm)
    return np.asarray(tpm * (1e6 / tpm.sum()))


def _mix_line(material: Material, profiles: Profiles) -> NDArray[np.float64]:
    """Give a cell line's profile: tumour minus stroma, under a genome of its own."""
    log2_tumour = np.log2(np.mean([profiles.row(n) for n in material.tumour], axis=0) + 0.05)
    log2_normal = np.log2(profiles.row(material.normal[0]) + 0.05)
    stroma = np.log2(np.mean([profiles.row(n) for n in CONTAMINANTS], axis=0) + 0.05)
    own = np.random.default_rng(list(material.label.encode()))
    n_genes = len(log2_tumour)
    # Genes that only other cells express are lost in culture.
    lost = 0.6 * np.clip(stroma - log2_normal, 0, 5)
    # Dedifferentiated, with deletions and amplifications: a fifth of the genes move.
    moved = own.standard_normal(n_genes) * (own.random(n_genes) < 0.2)
    tpm = np.exp2(0.8 * log2_tumour + 0.2 * log2_normal - lost + moved)
    return np.asarray(tpm * (1e6 / tpm.sum()))
