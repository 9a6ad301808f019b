"""Blocks of an atlas as bytes: one Zarr shard holds 256 samples by all genes."""

import hashlib
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from google_crc32c import value as crc32c
from numcodecs import Blosc  # type: ignore[import-untyped]  # has no types
from numpy.typing import DTypeLike, NDArray

from expressome.blocks import TILE_SAMPLES
from expressome.errors import DamagedFileError

__all__ = [
    "BLOCK_SAMPLES",
    "CHUNK_GENES",
    "COMPRESSION_LEVEL",
    "block_path",
    "encode_block",
    "n_blocks",
    "read_chunks",
    "write_pieces",
]

# One shard is one block of samples: written at once, checked at once, resumed at once.
BLOCK_SAMPLES = TILE_SAMPLES

# Inside a shard, chunks of 256 samples x 128 genes (128 kB of float32) serve both a
# pass over samples (all chunks, one read) and a pass over genes (one chunk of each shard).
CHUNK_GENES = 128

# Chosen by measurement (docs/atlas-format.md): normalised values shrink by an eighth
# whatever is tried, and LZ4 after a byte shuffle costs least to write and to read.
COMPRESSION_LEVEL = 5

_INDEX_ENTRY_BYTES = 16
_CHECKSUM_BYTES = 4


def _codec(dtype: np.dtype[Any]) -> Any:  # noqa: ANN401 - numcodecs has no types
    shuffle = Blosc.SHUFFLE if dtype.itemsize > 1 else Blosc.BITSHUFFLE
    return Blosc(cname="lz4", clevel=COMPRESSION_LEVEL, shuffle=shuffle)


def n_blocks(n_samples: int) -> int:
    """Count the blocks that hold so many samples.

    Parameters
    ----------
    n_samples
        Samples of the atlas.

    Returns
    -------
    int
        Blocks of 256, the last one perhaps not full.

    Examples
    --------
    >>> n_blocks(257)
    2
    """
    return -(-n_samples // BLOCK_SAMPLES)


def block_path(atlas: Path, array: str, block: int) -> Path:
    """Say where one block of an array lies.

    Parameters
    ----------
    atlas
        Folder of the atlas.
    array
        ``"X"`` or ``"layers/detected"``.
    block
        Number of the block, from 0.

    Returns
    -------
    Path
        File of the shard.

    Examples
    --------
    >>> block_path(Path("a.zarr"), "X", 3).as_posix()
    'a.zarr/X/c/3/0'
    """
    return atlas / array / "c" / str(block) / "0"


def encode_block(values: NDArray[Any]) -> Iterator[bytes]:
    """Turn the values of one block into the pieces of a Zarr shard.

    Parameters
    ----------
    values
        Shape (<= 256, n_genes); rows and columns that fill the last chunk up are 0.

    Yields
    ------
    bytes
        Compressed chunks, then their index (offset and length of each, as 64-bit
        little-endian) and its CRC-32C, as Zarr's ``sharding_indexed`` codec says; one
        at a time, so that a block is never held twice.

    Examples
    --------
    >>> [len(piece) for piece in encode_block(np.zeros((2, 3), np.float32))][1:]
    [16, 4]
    """
    codec = _codec(values.dtype)
    index: list[int] = []
    offset = 0
    for start in range(0, values.shape[1], CHUNK_GENES):
        part = values[:, start : start + CHUNK_GENES]
        chunk = np.zeros((BLOCK_SAMPLES, CHUNK_GENES), values.dtype)
        chunk[: part.shape[0], : part.shape[1]] = part
        encoded = codec.encode(chunk)
        index += [offset, len(encoded)]
        offset += len(encoded)
        yield encoded
    packed = struct.pack(f"<{len(index)}Q", *index)
    yield packed
    yield struct.pack("<I", crc32c(packed))


def write_pieces(path: Path, encoded: Iterable[bytes]) -> str:
    """Write a file so that it is either complete or not there; give its checksum.

    Parameters
    ----------
    path
        Where to; folders are made.
    encoded
        Its content, piece after piece.

    Returns
    -------
    str
        SHA-256, 64 hexadecimal digits.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "c" / "0"
    >>> write_pieces(path, [b"ab", b"c"])[:8]
    'ba7816bf'
    >>> path.read_bytes()
    b'abc'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    digest = hashlib.sha256()
    with beside.open("wb") as file:
        for piece in encoded:
            digest.update(piece)
            file.write(piece)
    beside.replace(path)
    return digest.hexdigest()


def read_chunks(
    path: Path, chunks: Sequence[int], *, n_genes: int, dtype: DTypeLike
) -> NDArray[Any]:
    """Read some chunks of one block.

    Parameters
    ----------
    path
        File of the shard.
    chunks
        Numbers of the chunks, ascending; each holds 128 genes.
    n_genes
        Genes of the atlas.
    dtype
        Type of the array.

    Returns
    -------
    ndarray
        Shape (256, 128 * len(chunks)), the chunks side by side.

    Raises
    ------
    DamagedFileError
        If the file is missing, cut short, or a chunk cannot be decoded.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "0"
    >>> _ = write_pieces(path, encode_block(np.array([[1.5, 2.5]], np.float32)))
    >>> read_chunks(path, [0], n_genes=2, dtype=np.float32)[0, :2]
    array([1.5, 2.5], dtype=float32)
    """
    dtype = np.dtype(dtype)
    codec = _codec(dtype)
    values = np.empty((BLOCK_SAMPLES, CHUNK_GENES * len(chunks)), dtype)
    try:
        with path.open("rb") as file:
            index = _read_index(file, -(-n_genes // CHUNK_GENES))
            first, last = index[chunks[0]], index[chunks[-1]]
            # Chunks lie in order: one read covers those that follow each other closely.
            is_dense = last[0] + last[1] - first[0] <= 2 * int(index[chunks, 1].sum())
            window = _read_at(file, first[0], last[0] + last[1] - first[0]) if is_dense else b""
            for position, chunk in enumerate(chunks):
                offset, length = index[chunk]
                if is_dense:
                    encoded = window[offset - first[0] : offset - first[0] + length]
                else:
                    encoded = _read_at(file, offset, length)
                decoded = np.frombuffer(codec.decode(encoded), dtype)
                columns = slice(position * CHUNK_GENES, (position + 1) * CHUNK_GENES)
                values[:, columns] = decoded.reshape(BLOCK_SAMPLES, CHUNK_GENES)
    except (OSError, ValueError, RuntimeError, struct.error) as error:
        msg = f"{path} cannot be read ({error}); make the atlas again or restore this file"
        raise DamagedFileError(msg) from error
    return values


def _read_at(file: BinaryIO, offset: int, length: int) -> bytes:
    file.seek(int(offset))
    return file.read(int(length))


def _read_index(file: BinaryIO, n_chunks: int) -> NDArray[np.int64]:
    """Read offset and length of each chunk, shape (n_chunks, 2)."""
    n_bytes = n_chunks * _INDEX_ENTRY_BYTES
    n_file = file.seek(0, os.SEEK_END)
    packed = _read_at(file, max(n_file - n_bytes - _CHECKSUM_BYTES, 0), n_bytes + _CHECKSUM_BYTES)
    (checksum,) = struct.unpack("<I", packed[n_bytes:])
    if crc32c(packed[:n_bytes]) != checksum:
        msg = "its index has changed"
        raise ValueError(msg)
    return np.frombuffer(packed[:n_bytes], "<u8").astype(np.int64).reshape(n_chunks, 2)
