"""Rooms import only what the plan of the house allows."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "expressome"
COMMON = {
    "addresses",
    "blocks",
    "clusters",
    "engine",
    "errors",
    "manifest",
    "metering",
    "notebook",
    "outputs",
    "results",
    "version",
}
ROOMS = {
    "archs4",
    "tables",
    "atlas",
    "reference",
    "annotation",
    "normalization",
    "metrics",
    "classification",
    "augmentation",
    "quantification",
}
ALLOWED = {
    "cli": {"pipeline", "explorer"},
    "explorer": {"pipeline"},
    "pipeline": ROOMS | {"reporting", "simulation"},
    "reporting": {"atlas"},
    "simulation": {"archs4", "reference"},
    "__main__": {"cli"},
} | {room: set() for room in ROOMS}
# A library -> the places that may import it.
LIBRARIES = {
    "h5py": {"archs4"},
    "zarr": {"atlas"},
    "anndata": {"atlas", "tables"},
    "click": {"cli"},
    "rich": {"cli"},
    "torch": {"augmentation"},
    "plotly": {"reporting"},
    "jinja2": {"reporting"},
    "fastapi": {"explorer"},
    "starlette": {"explorer"},
    "uvicorn": {"explorer"},
    "sklearn": {"classification", "normalization", "augmentation", "pipeline"},
    "distributed": {"clusters"},
    "dask": {"clusters"},
}
FILES = sorted(SOURCE.rglob("*.py"))


def imports_of(path):
    """Give every module name imported anywhere in a file, outside TYPE_CHECKING."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module
            if node.module == "expressome":
                yield from (f"expressome.{alias.name}" for alias in node.names)


def room_of(path):
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return parts[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_room_imports_only_what_the_plan_allows(path):
    room = room_of(path)

    imported = {
        name.split(".")[1]
        for name in imports_of(path)
        if name.startswith("expressome.") and len(name.split(".")) > 1
    }
    forbidden = imported - COMMON - {room} - ALLOWED.get(room, set())

    assert not forbidden or room == "__init__"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_library_is_imported_only_in_its_room(path):
    room = room_of(path)

    imported = {name.split(".")[0] for name in imports_of(path)}
    strays = {name for name in imported & set(LIBRARIES) if room not in LIBRARIES[name]}

    assert not strays


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_module_outgrows_400_lines(path):
    assert len(path.read_text().splitlines()) <= 400


# Calls that read or write text.
TEXT_CALLS = {"read_text", "write_text", "open", "fdopen", "NamedTemporaryFile", "TextIOWrapper"}
# Functions of these names that are not those of Python.
NOT_FILES = {"h5py", "webbrowser", "_remote_files", "gzip"}


def unnamed_encodings(path):
    """Give the lines that leave the encoding to the system: on Windows it is not UTF-8."""
    for call in ast.walk(ast.parse(path.read_text())):
        # A bare `read_text` is a function of the package's own.
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            continue
        owner, name = ast.unparse(call.func.value), call.func.attr
        words = [
            part.value
            for part in [*call.args, *(k.value for k in call.keywords if k.arg == "mode")]
            if isinstance(part, ast.Constant) and isinstance(part.value, str)
        ]
        is_bytes = name not in {"read_text", "write_text"} and any("b" in word for word in words)
        is_named = "utf-8" in words or any(k.arg == "encoding" for k in call.keywords)
        if name in TEXT_CALLS and not (is_bytes or is_named or owner in NOT_FILES):
            yield call.lineno


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_text_files_name_their_encoding(path):
    assert list(unnamed_encodings(path)) == []
