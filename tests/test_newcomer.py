"""The way of somebody new: clone, data, own counts, prediction, by the README's own words."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from expressome.archs4.reader import open_archs4
from expressome.simulation.compendium import simulate_compendium

ROOT = Path(__file__).resolve().parents[1]
# Verbs of the README's list, in its order.
VERBS = ["inspect", "search", "extract", "annotate", "normalize", "measure", "train", "predict"]
VERBS += ["augment", "report", "serve"]


def read_commands(text):
    """Give the commands of the README's first list, without their comments."""
    block = re.search(r"## What it does\n\n```console\n(.*?)```", text, re.DOTALL)[1]
    return [line.split("  #")[0].strip() for line in block.splitlines() if line.strip()]


def test_the_readme_names_every_step_of_the_way():
    text = (ROOT / "README.md").read_text()

    named = [command.split()[1] for command in read_commands(text)]
    assert [verb for verb in named if verb in VERBS] == VERBS
    assert "make demo" in text
    assert "make test" in text


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    folder = tmp_path_factory.mktemp("newcomer") / "expressome"
    subprocess.run(
        ["git", "clone", "--quiet", "--depth", "1", ROOT.as_uri(), str(folder)], check=True
    )
    return folder


@pytest.fixture(scope="module")
def desk(clone):
    """Lay out what the README's commands read: a compendium, label lists, a table of counts."""
    simulated = simulate_compendium(
        clone / "human_gene_v2.6.h5", n_samples=192, n_studies=16, seed=3
    )
    lists = clone / "label_lists" / "tissue_types"
    lists.mkdir(parents=True)
    for label, rows in simulated.labels.groupby("label"):
        quoted = ",".join(f'"{sample}"' for sample in rows["sample"])
        (lists / f"{label}.R").write_text(
            f'destination_file = "human_matrix.h5"\nsamp = c({quoted},"")\n'
            f'extracted_expression_file = "{label}_expression_matrix.tsv"\n'
        )
    compendium = open_archs4(clone / "human_gene_v2.6.h5")
    mine = compendium.sample_ids[:4]
    table = pd.DataFrame(
        compendium.counts(samples=list(mine)).T.astype(np.int64),
        index=pd.Index(compendium.genes.index, name="gene"),
        columns=["mine 1", "mine 2", "mine 3", "mine 4"],
    )
    table.to_csv(clone / "my_counts.tsv", sep="\t")
    return clone, compendium.samples["series"].iloc[0], simulated.labels["label"].iloc[0]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_commands_of_the_readme_run_one_after_another_in_a_clone(desk):
    folder, series, label = desk
    replaced = {
        "GSE30352": series,
        "--label brain --samples 100": f"--label '{label}' --samples 3",
        "--sample S1": "--sample 'mine 1'",
    }
    program = f"{sys.executable} -m expressome"

    commands = read_commands((folder / "README.md").read_text())
    # The explorer runs until it is stopped; it has tests of its own.
    for command in [command for command in commands if command.split()[1] != "serve"]:
        for written, ours in replaced.items():
            command = command.replace(written, ours)  # noqa: PLW2901 - two small replacements
        if command.split()[1] == "augment":
            # Which method is best takes minutes to find out; a plain one is enough here.
            command += " --method gaussian"  # noqa: PLW2901
        if command.split()[1] == "train":
            # Settings are chosen in minutes; fixed ones take seconds.
            command += " --n-trees 20 --n-genes 500 --time-budget-s 0"  # noqa: PLW2901
        done = subprocess.run(
            command.replace("expressome", program, 1),
            shell=True,
            cwd=folder,
            env={"PYTHONPATH": str(folder / "src"), "PATH": "/usr/bin:/bin", "HOME": str(folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"

    predictions = pd.read_parquet(folder / "predictions.parquet")
    assert predictions["sample"].tolist() == ["mine 1", "mine 2", "mine 3", "mine 4"]
    assert (folder / "report.html").stat().st_size > 100_000
