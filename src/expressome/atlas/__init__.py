"""The atlas on disk: created, read, extended, resumed, verified."""

from expressome.atlas.checking import describe_atlas, verify_atlas
from expressome.atlas.handle import Atlas, open_atlas
from expressome.atlas.writing import AtlasWriter, create_atlas, write_block

__all__ = [
    "Atlas",
    "AtlasWriter",
    "create_atlas",
    "describe_atlas",
    "open_atlas",
    "verify_atlas",
    "write_block",
]
