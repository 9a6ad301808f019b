"""The state of a training that may be stopped, as a file of plain arrays."""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expressome.augmentation.sampling import Layers
from expressome.outputs import partial_path, replace_path

__all__ = ["Checkpoint", "read_checkpoint", "write_checkpoint"]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """All that a training needs to go on as if it had not been stopped.

    Attributes
    ----------
    identity
        Hash of the samples, the settings and the seed.
    state
        Weights, optimisers and random state of the networks, by name.
    curve
        Checks so far.
    best
        Weights of the generator at the best check.
    """

    identity: str
    state: dict[str, NDArray[Any]]
    curve: list[dict[str, float]]
    best: Layers


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; the old one stays until the new one is complete.

    Parameters
    ----------
    path
        File to write or replace.
    checkpoint
        What to write.
    """
    arrays = {f"state/{name}": part for name, part in checkpoint.state.items()}
    for i, (weights, biases) in enumerate(checkpoint.best):
        arrays |= {f"best/{i}/weights": weights, f"best/{i}/biases": biases}
    notes = {"identity": checkpoint.identity, "curve": checkpoint.curve}
    partial = partial_path(path)
    with partial.open("wb") as file:
        np.savez(file, notes=np.array(json.dumps(notes)), **arrays)  # type: ignore[arg-type]  # numpy's stub takes the names for its own option
    replace_path(partial, path)


def read_checkpoint(path: Path, identity: str) -> Checkpoint | None:
    """Read a checkpoint of the same training.

    Parameters
    ----------
    path
        File that `write_checkpoint` wrote; it need not exist.
    identity
        Hash of the samples, the settings and the seed of the training asked for.

    Returns
    -------
    Checkpoint or None
        None if there is no file, or it is damaged or of another training:
        then training starts anew, which is right, only slower.

    Examples
    --------
    >>> read_checkpoint(Path("/tmp/no-such-checkpoint"), "abc") is None
    True
    """
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None
    notes = json.loads(str(arrays.pop("notes")))
    if notes["identity"] != identity:
        return None
    n_layers = sum(name.endswith("/weights") for name in arrays)
    best = tuple((arrays[f"best/{i}/weights"], arrays[f"best/{i}/biases"]) for i in range(n_layers))
    state = {
        name.removeprefix("state/"): part
        for name, part in arrays.items()
        if name.startswith("state/")
    }
    return Checkpoint(identity, state, notes["curve"], best)
