"""The public names exist, are documented, and no module hides a verb."""

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys

import pytest

import expressome

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(expressome.__path__, "expressome.")
    if not module.name.endswith("__main__")
)


def public_functions():
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            if inspect.isfunction(value) and value.__module__ == module_name:
                yield pytest.param(value, id=f"{module_name.removeprefix('expressome.')}.{name}")


FUNCTIONS = list(public_functions())


@pytest.mark.parametrize("name", sorted(set(expressome.__all__) - {"__version__"}))
def test_a_public_name_is_not_hidden_by_a_module(name):
    value = getattr(expressome, name)

    assert callable(value)
    assert not inspect.ismodule(value)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'normalise'"):
        _ = expressome.normalise


@pytest.mark.parametrize("module_name", MODULES)
def test_what_a_module_offers_exists(module_name):
    module = importlib.import_module(module_name)

    assert [name for name in getattr(module, "__all__", ()) if not hasattr(module, name)] == []
    assert (module.__doc__ or "").strip(), "a module says in one line what it is for"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_documented_parameters_are_the_real_ones(function):
    docstring = inspect.getdoc(function) or ""
    match = re.search(r"Parameters\n-+\n(.*?)(?=\n\n[A-Z][a-z]+\n-+|\Z)", docstring, re.DOTALL)
    documented = re.findall(r"^([\w*, ]+?)(?: :.*)?$", match[1], re.MULTILINE) if match else []
    documented = [name.strip(" *") for line in documented for name in line.split(",")]

    real = [name for name in inspect.signature(function).parameters if not name.startswith("_")]
    missing = [name for name in real if name not in documented]

    is_command = function.__module__.startswith("expressome.cli.")
    assert is_command or not missing
    assert docstring.splitlines()[0].endswith("."), "the first line is a sentence"


def test_help_loads_no_heavy_library():
    code = (
        "import sys; from expressome.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'numba', 'h5py', 'zarr', 'anndata', 'sklearn', 'torch', 'plotly', 'pandas'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )

    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout

    assert output.splitlines()[-1] == "[]"
