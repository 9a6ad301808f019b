"""Small real work with an installed expressome, in an environment of check_environments."""

import importlib.util
import json
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

# Extra -> a library that only this extra brings.
LIBRARIES = {
    "fast": "isal",
    "report": "plotly",
    "explore": "fastapi",
    "cluster": "distributed",
    "accel": "sklearnex",
    "gan": "torch",
}


def check_libraries(extra):
    """See that this environment has the libraries of its extra, and no other's."""
    for name, library in LIBRARIES.items():
        is_there = importlib.util.find_spec(library) is not None
        assert is_there == (name == extra), f"{library} is {'there' if is_there else 'missing'}"


def check_import():
    """See that importing is cheap, in a process of its own, the best of three."""
    code = "import time; t = time.perf_counter(); import expressome; print(time.perf_counter() - t)"
    command = [sys.executable, "-I", "-c", code]
    took_s = min(
        float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        for _ in range(3)
    )
    assert took_s < 0.3, f"import took {took_s:.2f} s"
    return took_s


def check_types():
    """See that type checkers find the annotations."""
    package = Path(importlib.util.find_spec("expressome").origin).parent
    assert (package / "py.typed").exists()


def do_the_job(folder):
    """Simulate, annotate, normalise, measure, train and predict."""
    import expressome
    from expressome.simulation.compendium import simulate_compendium

    resources = expressome.Resources(workers=2, seed=1)
    simulated = simulate_compendium(
        folder / "x.h5", n_samples=192, n_studies=16, seed=1, resources=resources
    )
    simulated.labels.to_csv(folder / "lists.tsv", sep="\t", index=False)
    expressome.annotate(folder / "x.h5", folder / "lists.tsv", out=folder / "l.parquet")
    atlas, labels = folder / "a.zarr", folder / "l.parquet"
    expressome.normalize(folder / "x.h5", labels=labels, out=atlas, resources=resources)
    expressome.measure(atlas, resources=resources)
    expressome.extract(folder / "x.h5", random=5, out=folder / "y.h5ad", resources=resources)
    expressome.harmonize(folder / "x.h5", out=folder / "m.tsv")
    return atlas, resources


def train_and_predict(folder, atlas, resources):
    """Train on the atlas and label the samples of a file."""
    import expressome

    expressome.train(atlas, out=folder / "model", n_trees=20, n_genes=500, resources=resources)
    return expressome.predict(
        folder / "model", folder / "y.h5ad", out=folder / "p.parquet", resources=resources
    ).figures["n_samples"]


def refuse(extra, call):
    """See that a missing extra is named with what to install."""
    from expressome.errors import MissingExtraError

    try:
        call()
    except MissingExtraError as error:
        said = str(error)
    else:
        said = f"work that needs {extra} was not refused"
    assert f"expressome[{extra}]" in said, said


def check_extras(extra, folder, atlas, resources):
    """Use this environment's extra; be told what the others need."""
    import dataclasses

    import expressome
    from expressome.explorer.server import serve

    page, synthetic = folder / "r.html", folder / "s.h5ad"
    label = expressome.open_atlas(atlas).labels.keys[0]
    settings = {"labels": [label], "n_samples": 3, "method": "gan", "resources": resources}
    work = {
        "report": lambda: expressome.report(atlas, out=page, resources=resources),
        "gan": lambda: expressome.augment(atlas, out=synthetic, **settings),
        "cluster": lambda: expressome.measure(
            atlas, resources=dataclasses.replace(resources, cluster="local:1")
        ),
    }
    for name, call in work.items():
        if name == extra:
            call()
        else:
            refuse(name, call)
    if extra == "explore":
        import_module("expressome.explorer.app")
    else:
        refuse("explore", lambda: serve(atlas, port=0))


def check_command(folder):
    """Run the installed command."""
    command = Path(sys.executable).with_name("expressome")
    done = subprocess.run(
        [str(command), "inspect", str(folder / "x.h5")], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["n_samples"] == 192


def main():
    """Do the work and say so in one line."""
    extra, folder = sys.argv[1], Path(sys.argv[2])
    import warnings

    warnings.simplefilter("ignore")
    check_libraries(extra)
    import_s = check_import()
    check_types()
    start_s = time.perf_counter()
    atlas, resources = do_the_job(folder)
    check_command(folder)
    check_extras(extra, folder, atlas, resources)
    n_predicted = train_and_predict(folder, atlas, resources)
    version = ".".join(map(str, sys.version_info[:3]))
    print(
        f"Python {version}: import {import_s:.2f} s, {n_predicted} samples predicted, "
        f"job {time.perf_counter() - start_s:.0f} s"
    )


if __name__ == "__main__":
    main()
