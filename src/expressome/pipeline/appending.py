"""Add new samples of a file to an atlas, on the atlas's own scale."""

import inspect
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from expressome.archs4.reader import Compendium, open_archs4
from expressome.atlas import Atlas, create_atlas, open_atlas
from expressome.engine import Resources
from expressome.errors import (
    ConfigurationError,
    LabelWarning,
    LeftOutWarning,
    SelectionError,
    first_few,
)
from expressome.manifest import create_manifest
from expressome.normalization.recipe import Normalizer
from expressome.outputs import restore_path
from expressome.pipeline.atlas_matching import check_same_kind, read_hashes
from expressome.pipeline.gene_agreeing import warn_of_disagreement
from expressome.pipeline.label_splitting import match_labels
from expressome.pipeline.sample_joining import JoinedSplit, join_labels, join_split, stack_tables
from expressome.pipeline.splicing import (
    Splice,
    SpliceJob,
    name_splice,
    splice_blocks,
    write_spliced,
)
from expressome.results import LabelMatrix, Summary

__all__ = [
    "Duplicates",
    "JoinWork",
    "append_samples",
    "open_older",
    "read_new_labels",
    "write_joined",
]

Duplicates = Literal["skip", "error"]
StrPath = str | os.PathLike[str]

# Options of `normalize` that an atlas has answered for good.
_DECIDED = (
    "out",
    "split",
    "recipe",
    "target",
    "length_definition",
    "length_unit",
    "gtf",
    "missing_lengths",
    "dtype",
    "overwrite",
)


def append_samples(
    file: StrPath,
    atlas: StrPath,
    *,
    labels: StrPath | None = None,
    duplicates: Duplicates = "skip",
    dry_run: bool = False,
    resources: Resources | None = None,
) -> Summary:
    """Add the samples of a file that an atlas does not hold yet.

    Parameters
    ----------
    file
        ARCHS4 file of the same species, level and unit.
    atlas
        Atlas to extend; its genes, recipe, lengths and target are used, nothing is fitted.
    labels
        What `annotate` wrote, for the new samples; those of old ones stay as they are.
    duplicates
        What to do with samples whose id the atlas holds already: ``"skip"`` leaves them as
        they are in the atlas and says so, ``"error"`` refuses the file. Neither compares counts:
        `update` does.
    dry_run
        Whether only to say what would be done.
    resources
        Memory, threads or cluster, seed.

    Returns
    -------
    Summary
        Samples added and skipped, blocks taken over, genes the file lacks, new samples per
        part, and what was dropped because it held for the old samples only.

    Raises
    ------
    IdentifierError
        If species or level differ, or most genes are missing.
    ScaleMismatchError
        If one holds counts and the other TPM.
    SelectionError
        If ids occur in both and `duplicates` is ``"error"``.
    AtlasError
        If the atlas keeps no fingerprints of counts.

    Notes
    -----
    One pass over the new samples. The new atlas grows beside the old one, which stays
    whole until the two are exchanged in one step; blocks that do not change are linked,
    not copied. A killed run goes on from its finished blocks when it is started again.
    """
    resources = resources or Resources()
    older = open_older(atlas)
    compendium = open_archs4(file)
    check_same_kind(compendium, older)
    warn_of_disagreement(compendium)
    ids = compendium.sample_ids
    is_known = ids.isin(older.obs.index)
    _check_known(ids[is_known], duplicates, older)
    rows = np.flatnonzero(~is_known)
    splice = Splice(
        np.concatenate([np.arange(older.n_samples), np.full(len(rows), -1)]),
        np.concatenate([np.full(older.n_samples, -1), rows]),
    )
    figures: dict[str, Any] = {
        "atlas": older.path,
        "n_samples": splice.n_samples,
        "n_added": len(rows),
        "n_skipped": int(is_known.sum()),
    }
    added = read_new_labels(labels, compendium, rows)
    if dry_run or not len(rows):
        figures |= {"n_labelled": int(added.is_labelled.sum())}
        return Summary("normalize", {"dry_run": True, **figures} if dry_run else figures)
    manifest = create_manifest(
        "append",
        inputs=[path for path in (compendium.path, labels) if path is not None],
        parameters={"duplicates": duplicates},
        seed=resources.seed,
    )
    work = JoinWork(
        older, compendium, splice, stack_tables(older.obs, compendium.samples.iloc[rows])
    )
    figures |= write_joined(
        work,
        join_labels(older.labels, added, rows=np.arange(older.n_samples)),
        manifest,
        resources=resources,
    )
    return Summary("normalize", figures, manifest)


def refuse_decided(given: Mapping[str, Any], signature: inspect.Signature) -> None:
    """Refuse options that an atlas to be extended has decided.

    Parameters
    ----------
    given
        Option -> value of a call of `normalize`.
    signature
        Its parameters with their defaults.

    Raises
    ------
    ConfigurationError
        If one differs from its default.
    """
    names = [name for name in _DECIDED if given[name] != signature.parameters[name].default]
    if names:
        msg = (
            f"append keeps what {Path(given['append']).name} was made with, so {', '.join(names)} "
            "cannot be given; leave them out"
        )
        raise ConfigurationError(msg)


def open_older(atlas: StrPath) -> Atlas:
    """Open an atlas that is to be replaced by a longer or newer one.

    Parameters
    ----------
    atlas
        Its folder; one whose replacement was killed between two moves is restored.

    Returns
    -------
    Atlas
        With fingerprints of counts.

    Raises
    ------
    AtlasError
        If it is no atlas or keeps no fingerprints.
    """
    restore_path(Path(atlas))
    older = open_atlas(atlas)
    read_hashes(older)
    return older


def _check_known(known: pd.Index, duplicates: Duplicates, atlas: Atlas) -> None:
    """Refuse or announce samples that the atlas holds already."""
    if not len(known):
        return
    text = f"{len(known)} samples are in {atlas.path.name} already ({first_few(known)})"
    if duplicates == "error":
        msg = f"{text}; leave them out of the file, pass duplicates='skip', or use update"
        raise SelectionError(msg)
    warnings.warn(f"{text}; they stay as they are", LeftOutWarning, stacklevel=4)


def read_new_labels(
    labels: StrPath | None, compendium: Compendium, rows: NDArray[np.int64]
) -> LabelMatrix:
    """Read the labels of the new samples of a file.

    Parameters
    ----------
    labels
        What `annotate` wrote, or None.
    compendium
        The file.
    rows
        Positions of the new samples.

    Returns
    -------
    LabelMatrix
        One row per new sample; labels that none of them carries are left out.

    Warns
    -----
    LabelWarning
        If labels were given and no new sample carries one.
    """
    with warnings.catch_warnings():
        # That none is left to predict is a matter of the whole atlas, not of the new samples.
        warnings.filterwarnings("ignore", message="all .* samples carry a label")
        matched = match_labels(labels, compendium)
    matrix = sparse.csr_array(matched.matrix[rows])
    carried = np.flatnonzero(np.asarray(matrix.sum(axis=0)).ravel() > 0)
    if labels is not None and not len(carried):
        text = f"none of the {len(rows)} new samples carries a label of {Path(labels).name}"
        warnings.warn(text, LabelWarning, stacklevel=3)
    return LabelMatrix(
        compendium.sample_ids[rows],
        matched.labels.iloc[carried],
        sparse.csr_array(matrix[:, carried]),
    )


@dataclass(frozen=True, slots=True)
class JoinWork:
    """What makes a new atlas of an older one and a file.

    Attributes
    ----------
    atlas
        The older atlas.
    compendium
        The file.
    splice
        Where each row comes from.
    obs
        One row per sample of the new atlas.
    description
        Entries of the description that the file changes.
    """

    atlas: Atlas
    compendium: Compendium
    splice: Splice
    obs: pd.DataFrame
    description: Mapping[str, Any] | None = None


def write_joined(
    work: JoinWork,
    labels: LabelMatrix,
    manifest: Mapping[str, Any],
    *,
    resources: Resources,
) -> dict[str, Any]:
    """Write the new atlas and put it in the place of the older one.

    Parameters
    ----------
    work
        What to do.
    labels
        Labels of all samples of the new atlas.
    manifest
        Of this run.
    resources
        Memory, threads or cluster, seed.

    Returns
    -------
    dict
        Figures: blocks taken over and written, genes the file lacks, labels, parts, and
        what was dropped.
    """
    older, splice = work.atlas, work.splice
    normalizer = Normalizer.from_parts(older.normalizer_parts)
    place = older.path
    with create_atlas(
        place,
        shape=(splice.n_samples, normalizer.n_genes),
        key=name_splice(older, manifest),
        dtype="float16" if older.dtype == np.float16 else "float32",
        overwrite=True,
    ) as writer:
        job = SpliceJob.of(older, work.compendium, splice, folder=writer.folder)
        n_linked = splice_blocks(job, writer, resources)
        obs = work.obs.assign(
            counts_hash=writer.collect("counts_hash"), n_detected=writer.collect("n_detected")
        )
        joined = _split(obs, splice, labels, older, resources)
        obs = obs.assign(study=joined.studies, split=joined.parts)
        described = dict(work.description or {})
        if joined.report:
            described["split_report"] = joined.report
        dropped = write_spliced(
            job,
            writer,
            obs=obs,
            labels=labels,
            description=described,
            manifest=manifest,
            resources=resources,
        )
    n_read = normalizer.n_genes if job.base.gene_ids is None else len(job.base.gene_ids)
    return {
        "n_blocks_kept": n_linked,
        "n_blocks_written": len(writer.records) - n_linked,
        "n_genes": normalizer.n_genes,
        "n_genes_missing": normalizer.n_genes - n_read,
        "n_genes_left_out": work.compendium.n_genes - n_read,
        "n_labels": labels.n_labels,
        "n_labelled": int(labels.is_labelled.sum()),
        **joined.figures,
        "dropped": dropped,
    }


def _split(
    obs: pd.DataFrame,
    splice: Splice,
    labels: LabelMatrix,
    older: Atlas,
    resources: Resources,
) -> JoinedSplit:
    """Give the new samples their parts, by the fractions the atlas was made with."""
    fractions: Sequence[float] = older.manifest.get("parameters", {}).get("split", (70, 15, 15))
    return join_split(obs, splice.old_rows < 0, labels, fractions=fractions, resources=resources)
