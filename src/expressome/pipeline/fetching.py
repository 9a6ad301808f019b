"""Fetch some samples of a remote ARCHS4 file as a smaller ARCHS4 file."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expressome.addresses import RemotePath
from expressome.archs4.reader import Compendium, open_archs4
from expressome.archs4.remote import open_remote
from expressome.archs4.subset import missing_bytes, read_sample_fields
from expressome.archs4.writing import write_archs4
from expressome.engine import Resources
from expressome.errors import EmptySelectionError, InvalidValueError, first_few
from expressome.manifest import create_manifest
from expressome.outputs import check_output
from expressome.pipeline.choosing import choose_samples, report_choice
from expressome.pipeline.label_gathering import open_labels
from expressome.results import Summary, to_json

__all__ = ["fetch"]

StrPath = str | os.PathLike[str]


def fetch(
    file: StrPath,
    *,
    out: StrPath,
    samples: Sequence[str] | None = None,
    series: Sequence[str] | None = None,
    search: str | None = None,
    where: Iterable[str] = (),
    random: int | None = None,
    labels: StrPath | None = None,
    dry_run: bool = False,
    overwrite: bool = False,
    resources: Resources | None = None,
) -> Summary:
    """Fetch samples by HTTP ranges; all their fields and all genes come along.

    Only the chunks that hold the samples cross the network, and what has arrived is
    cached: a run that was stopped goes on where it was.

    Parameters
    ----------
    file
        Address of an ARCHS4 file of any release (or a path, for which this is a copy).
    out
        The new ARCHS4 file (layout v2.6); samples are in the order of the file.
    samples
        Sample ids, or text files that list them.
    series
        Series ids, or text files that list them.
    search
        Full-text query. The first one of a file reads the texts of all its samples.
    where
        Conditions on sample fields, such as ``"platform_id=GPL16791"``.
    random
        Draw so many of what is left; the seed is in `resources`.
    labels
        What `annotate` wrote, or a list, folder or sheet that it takes: the labelled
        samples are named.
    dry_run
        Say how many samples and bytes it would be; fetch no counts.
    overwrite
        Whether an existing file may be replaced, once the new one is complete.
    resources
        Memory, threads, seed.

    Returns
    -------
    Summary
        Numbers of samples and genes, bytes needed and moved, what was not found.

    Raises
    ------
    InvalidValueError
        If nothing chooses samples: the whole file is for `download`.
    EmptySelectionError
        If no sample is left.
    RemoteError
        If the server cannot be reached or gives no parts of files.
    OutputExistsError
        If the output exists and `overwrite` is False.

    Warns
    -----
    LeftOutWarning
        If samples or series were asked for that the file does not have.

    Examples
    --------
    >>> fetch("https://example.org/human.h5", series=["GSE64016"], out="x.h5")  # doctest: +SKIP
    """
    resources = resources or Resources()
    conditions = list(where)
    if not any((samples, series, search, conditions, random, labels)):
        msg = (
            "nothing says which samples to fetch; name samples, series, a search, a condition, "
            "labels or a number, or get the whole file with `expressome download`"
        )
        raise InvalidValueError(msg)
    place = check_output(out, overwrite=overwrite)
    compendium = open_archs4(file)
    with _counting(compendium, resources) as moved:
        named = [*(samples or ()), *_name_labelled(compendium, labels)]
        choice = choose_samples(
            compendium,
            samples=named or None,
            series=series,
            search=search,
            where=conditions,
            random=random,
            resources=resources,
        )
        rows = np.sort(choice.positions)
        n_needed = missing_bytes(compendium, rows)
        moved.expect(n_needed)
        figures: dict[str, Any] = {
            "url": compendium.path,
            "out": place,
            **report_choice(choice),
            "n_samples": len(rows),
            "n_genes": compendium.n_genes,
            "bytes_needed": n_needed,
        }
        parameters = {**report_choice(choice), "labels": None if labels is None else str(labels)}
        manifest = create_manifest(
            "fetch", inputs=[compendium.path], parameters=parameters, seed=resources.seed
        )
        if dry_run:
            return Summary("fetch", figures | {"dry_run": True}, manifest)
        _write(compendium, rows, place, manifest, overwrite=overwrite, resources=resources)
    return Summary("fetch", figures | {"bytes_moved": moved.n_bytes}, manifest)


def _name_labelled(compendium: Compendium, labels: StrPath | None) -> list[str]:
    """Give the samples that carry a label; those the file lacks are told with the others."""
    if labels is None:
        return []
    listed = open_labels(labels)
    named = listed.samples[listed.is_labelled]
    if not named.isin(compendium.sample_ids).any():
        msg = (
            f"none of the {compendium.n_samples} samples of {compendium.path.name} carries a "
            f"label in {labels}, which lists {len(named)} ({first_few(named, 2)}); give labels "
            "of this file's samples"
        )
        raise EmptySelectionError(msg)
    return [str(name) for name in named]


class _Counter:
    """Bytes that came, as progress of those expected."""

    def __init__(self, resources: Resources) -> None:
        self.n_bytes = 0
        self._total = 0
        self._before = 0
        self._progress = resources.progress

    def expect(self, n_bytes: int) -> None:
        """Begin to show progress: so many bytes are to come."""
        self._before, self._total = self.n_bytes, n_bytes

    def note(self, n_bytes: int) -> None:
        """Count what came; the index of the file comes besides what was expected."""
        self.n_bytes = n_bytes
        if self._total:
            done = min(n_bytes - self._before, self._total)
            self._progress("fetch, bytes", done, self._total)


@contextmanager
def _counting(compendium: Compendium, resources: Resources) -> Iterator[_Counter]:
    """Count the bytes that cross the network while the block runs."""
    counter = _Counter(resources)
    if not isinstance(compendium.path, RemotePath):
        yield counter
        return
    source = open_remote(compendium.path)
    n_before = source.n_moved
    source.on_arrival = lambda n_moved: counter.note(n_moved - n_before)
    try:
        yield counter
    finally:
        source.on_arrival = None


def _write(
    compendium: Compendium,
    rows: NDArray[np.int64],
    place: StrPath,
    manifest: dict[str, Any],
    *,
    overwrite: bool,
    resources: Resources,
) -> None:
    """Write the samples as an ARCHS4 file that says where it comes from."""
    groups = compendium.measured_groups()
    tables = measured = None
    if groups is not None:
        used, tables = np.unique(groups[0][rows], return_inverse=True)
        measured = groups[1][used]
    identity = compendium.path.identity if isinstance(compendium.path, RemotePath) else {}
    write_archs4(
        place,
        samples=read_sample_fields(compendium, rows),
        genes=compendium.genes,
        blocks=(counts for _, counts in compendium.blocks(rows, resources=resources)),
        level=compendium.level,
        unit=compendium.unit,
        species=compendium.species,
        tables=tables,
        measured=measured,
        info={
            "source": str(compendium.path),
            "source-release": compendium.release,
            "source-samples": str(compendium.n_samples),
            "source-etag": str(identity.get("etag", "")),
            "manifest": to_json(manifest),
        },
        overwrite=overwrite,
    )
