"""Bring an atlas up to a newer release: new, changed and withdrawn samples."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.archs4.reader import Compendium, open_archs4
from expressome.atlas import Atlas, open_atlas
from expressome.engine import Resources
from expressome.errors import IdentifierError, InvalidValueError
from expressome.manifest import create_manifest
from expressome.normalization.fingerprints import fingerprint_counts, hash_genes
from expressome.normalization.recipe import Normalizer
from expressome.outputs import check_output, staged_output
from expressome.pipeline.appending import JoinWork, open_older, read_new_labels, write_joined
from expressome.pipeline.atlas_matching import check_same_kind, match_genes, read_hashes
from expressome.pipeline.gene_agreeing import warn_of_disagreement
from expressome.pipeline.sample_joining import join_labels, stack_tables
from expressome.pipeline.splicing import Splice
from expressome.results import Summary

__all__ = ["update"]

Withdrawn = Literal["keep", "drop"]
StrPath = str | os.PathLike[str]

# Columns of the sample table that are ours, not the file's.
_OURS = ("study", "split", "n_detected", "counts_hash", "withdrawn")
_N_EXAMPLES = 5


def update(
    atlas: StrPath,
    file: StrPath,
    *,
    labels: StrPath | None = None,
    withdrawn: Withdrawn = "keep",
    report: StrPath | None = None,
    dry_run: bool = False,
    resources: Resources | None = None,
) -> Summary:
    """Bring an atlas up to a newer release of its file.

    New samples are added; samples whose counts changed are normalised again; changed
    metadata replaces the old; samples the release no longer holds are flagged or dropped.
    Genes, recipe, target, labels and split stay, so that models trained on the atlas still fit.

    Parameters
    ----------
    atlas
        Atlas to bring up to date.
    file
        The newer ARCHS4 file.
    labels
        What `annotate` wrote, for the new samples; those of old ones stay.
    withdrawn
        ``"keep"`` keeps withdrawn samples with their labels and part and marks them in the
        column ``withdrawn``, so that nothing vanishes from a training set unseen; ``"drop"``
        removes them.
    report
        New TSV file of every change: what, sample or gene, which fields.
    dry_run
        Whether only to say what would change; the counts of shared samples are read for that.
    resources
        Memory, threads or cluster, seed.

    Returns
    -------
    Summary
        Numbers and a few ids of samples that are new, unchanged, changed in counts, changed in
        metadata, or withdrawn, and of genes that came and went. All ids are kept in the atlas
        as the note ``updated``.

    Raises
    ------
    IdentifierError
        If atlas and file share no sample, species or level differ, or most genes are gone.
    ScaleMismatchError
        If one holds counts and the other TPM.
    AtlasError
        If the atlas keeps no fingerprints of counts.
    OutputExistsError
        If the report exists.

    Warns
    -----
    StudyWarning
        If new series ids connect studies of different parts: parts stay as they are.
    MissingGenesWarning
        If the release lacks genes of the atlas.

    Notes
    -----
    Two passes over the file: one compares a 64-bit fingerprint of each shared sample's counts
    over the atlas's genes with the one kept in ``obs["counts_hash"]``, one normalises what is
    new or changed. A gene that went changes only the samples that had counts for it. Genes that
    came are reported and left out: the target has no place for them. The newer atlas grows
    beside the old one and is exchanged with it in one step.
    """
    resources = resources or Resources()
    if withdrawn not in get_args(Withdrawn):
        msg = f"withdrawn is {withdrawn!r}; choose 'keep' or 'drop'"
        raise InvalidValueError(msg)
    if report is not None:
        check_output(report)
    older = open_atlas(atlas) if dry_run else open_older(atlas)
    compendium = open_archs4(file)
    check_same_kind(compendium, older)
    warn_of_disagreement(compendium)
    changes = _compare(older, compendium, resources)
    figures = {"atlas": older.path, "release": compendium.release, **changes.figures()}
    if report is not None:
        _write_report(changes, Path(report))
        figures["report"] = Path(report)
    if dry_run:
        return Summary("update", {"dry_run": True, **figures})
    is_kept = np.ones(older.n_samples, bool)
    if withdrawn == "drop":
        is_kept = ~older.obs.index.isin(changes.withdrawn)
    manifest = create_manifest(
        "update",
        inputs=[path for path in (compendium.path, labels) if path is not None],
        parameters={"withdrawn": withdrawn},
        seed=resources.seed,
    )
    kept = np.flatnonzero(is_kept)
    work = _plan(older, compendium, changes, kept)
    added = read_new_labels(labels, compendium, changes.new_rows)
    joined = join_labels(older.labels, added, rows=kept)
    figures |= write_joined(work, joined, manifest, resources=resources)
    figures |= {"n_samples": work.splice.n_samples, "n_dropped": older.n_samples - len(kept)}
    open_atlas(atlas).write_note("updated", changes.lists() | {"release": compendium.release})
    return Summary("update", figures, manifest)


@dataclass(frozen=True, slots=True)
class _Changes:
    """What differs between an atlas and a newer file.

    Attributes
    ----------
    new_rows
        Positions in the file of samples the atlas lacks.
    new, counts, withdrawn, genes_came, genes_went
        Ids.
    fields
        Sample -> names of its changed fields.
    n_shared
        Samples in both.
    file_row
        Position in the file of each sample of the atlas, -1 for a withdrawn one.
    """

    new_rows: NDArray[np.int64]
    new: pd.Index
    counts: pd.Index
    withdrawn: pd.Index
    genes_came: pd.Index
    genes_went: pd.Index
    fields: Mapping[str, tuple[str, ...]]
    n_shared: int
    file_row: NDArray[np.int64]

    def lists(self) -> dict[str, Any]:
        """Give all ids as plain values."""
        return {
            "new": list(self.new),
            "changed_counts": list(self.counts),
            "changed_metadata": {sample: list(names) for sample, names in self.fields.items()},
            "withdrawn": list(self.withdrawn),
            "genes_came": list(self.genes_came),
            "genes_went": list(self.genes_went),
        }

    def figures(self) -> dict[str, Any]:
        """Give numbers and a few ids."""
        lists = self.lists()
        n_per_field = pd.Series([n for names in self.fields.values() for n in names], dtype=object)
        n_changed = len(self.fields.keys() | set(self.counts))
        return {
            **{f"n_{name}": len(ids) for name, ids in lists.items()},
            "n_unchanged": self.n_shared - n_changed,
            "changed_fields": {str(k): int(n) for k, n in n_per_field.value_counts().items()},
            "examples": {name: list(ids)[:_N_EXAMPLES] for name, ids in lists.items() if ids},
        }


def _compare(atlas: Atlas, compendium: Compendium, resources: Resources) -> _Changes:
    """Find out what changed; one pass over the shared samples."""
    old, ids = atlas.obs.index, compendium.sample_ids
    file_row = np.asarray(ids.get_indexer(old), np.int64)
    shared = np.flatnonzero(file_row >= 0)
    if not len(shared):
        msg = (
            f"{atlas.path.name} and {compendium.path.name} share no sample; to add its samples, "
            "use normalize with append"
        )
        raise IdentifierError(msg)
    normalizer = Normalizer.from_parts(atlas.normalizer_parts)
    columns, read_ids = match_genes(compendium, normalizer)
    hashes = hash_genes(normalizer.genes if read_ids is None else read_ids)
    found: list[str] = []
    blocks = compendium.blocks(samples=file_row[shared], genes=columns, resources=resources)
    for _, counts in blocks:
        found += fingerprint_counts(counts, hashes)
        resources.progress("compare counts", len(found), len(shared))
    is_changed = np.array(found, dtype=object) != read_hashes(atlas)[shared]
    new_rows = np.flatnonzero(~ids.isin(old))
    genes = pd.Index(normalizer.genes)
    return _Changes(
        new_rows=new_rows,
        new=ids[new_rows],
        counts=old[shared][is_changed],
        withdrawn=old[file_row < 0],
        genes_came=compendium.genes.index.difference(genes, sort=False),
        genes_went=genes.difference(compendium.genes.index, sort=False),
        fields=_compare_fields(atlas.obs.iloc[shared], compendium.samples.iloc[file_row[shared]]),
        n_shared=len(shared),
        file_row=file_row,
    )


def _compare_fields(old: pd.DataFrame, new: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """Name the changed fields of each sample that has any; same rows in both tables."""
    changed: dict[str, list[str]] = {}
    for name in new.columns:
        if name in _OURS or name not in old:
            continue
        before, after = old[name], new[name]
        if pd.api.types.is_numeric_dtype(before) and pd.api.types.is_numeric_dtype(after):
            differs = ~np.isclose(
                before.to_numpy(np.float64), after.to_numpy(np.float64), rtol=1e-12, equal_nan=True
            )
        else:
            texts = [c.astype(object).where(c.notna(), "").astype(str) for c in (before, after)]
            differs = texts[0].to_numpy(dtype=object) != texts[1].to_numpy(dtype=object)
        for sample in old.index[np.flatnonzero(differs)]:
            changed.setdefault(str(sample), []).append(str(name))
    return {sample: tuple(names) for sample, names in changed.items()}


def _plan(
    atlas: Atlas, compendium: Compendium, changes: _Changes, kept: NDArray[np.int64]
) -> JoinWork:
    """Say where each row of the newer atlas comes from, and what is known of its sample."""
    old = atlas.obs.iloc[kept]
    is_changed = old.index.isin(changes.counts)
    splice = Splice(
        np.concatenate([kept, np.full(len(changes.new_rows), -1)]),
        np.concatenate([np.where(is_changed, changes.file_row[kept], -1), changes.new_rows]),
    )
    is_shared = changes.file_row[kept] >= 0
    fresh = compendium.samples.iloc[changes.file_row[kept][is_shared]].drop(columns="study")
    ours = old.loc[is_shared, [name for name in old.columns if name not in fresh.columns]]
    shared = pd.concat([fresh, ours], axis=1)[
        [*old.columns, *(name for name in fresh.columns if name not in old.columns)]
    ]
    together = stack_tables(shared, old[~is_shared]).loc[old.index]
    obs = stack_tables(together, compendium.samples.iloc[changes.new_rows])
    obs["withdrawn"] = np.concatenate([~is_shared, np.zeros(len(changes.new_rows), bool)])
    return JoinWork(atlas, compendium, splice, obs, {"release": compendium.release})


def _write_report(changes: _Changes, path: Path) -> None:
    """Write every change as a line."""
    rows = []
    for change, ids in changes.lists().items():
        fields = changes.fields if change == "changed_metadata" else {}
        noun = "gene" if change.startswith("genes") else "sample"
        rows += [(change, noun, name, ",".join(fields.get(name, ()))) for name in ids]
    table = pd.DataFrame(rows, columns=["change", "of", "id", "fields"])
    with staged_output(path) as partial:
        table.to_csv(partial, sep="\t", index=False)
