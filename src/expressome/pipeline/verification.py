"""Read all of an ARCHS4 file, an atlas or a model, and compare checksums."""

import os
from pathlib import Path

from expressome.archs4.description import verify_archs4
from expressome.engine import Resources
from expressome.manifest import fingerprint_file
from expressome.pipeline.inspection import tell_kind
from expressome.results import Summary

__all__ = ["verify"]


def verify(path: str | os.PathLike[str], *, resources: Resources | None = None) -> Summary:
    """Check that all of a file, an atlas or a model can be read and is unchanged.

    Parameters
    ----------
    path
        ARCHS4 file or its https address (every field and every chunk is read, and
        every number must be finite and >= 0), atlas folder or model folder (their
        checksums are compared).
    resources
        Memory and threads to use.

    Returns
    -------
    Summary
        What was read, ``"intact": true``, and the checksum of an ARCHS4 file.

    Raises
    ------
    DamagedFileError
        If a part cannot be read or has changed; the message names the part.
    InputNotFoundError
        If nothing is there.
    FileFormatError
        If it is neither file, atlas nor model of ours.

    Examples
    --------
    >>> verify("human_gene_v2.6.h5").figures["intact"]  # doctest: +SKIP
    True
    """
    resources = resources or Resources()
    kind = tell_kind(path)
    if kind == "atlas":
        from expressome.atlas import verify_atlas

        figures = verify_atlas(Path(path), resources=resources)
    elif kind == "model":
        from expressome.classification.model_file import verify_model

        figures = verify_model(Path(path))
    else:
        figures = verify_archs4(path, resources=resources)
        figures |= fingerprint_file(figures["path"])
    return Summary("verify", {"kind": kind, "path": Path(path), **figures, "intact": True})
