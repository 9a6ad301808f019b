"""The examples run from top to bottom, on a compendium that is small but real in its parts."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.fixture(scope="module")
def workplace(small_demo, tmp_path_factory):
    """A folder in which the demo lies, so that examples find it done."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "demo").symlink_to(small_demo, target_is_directory=True)
    (small_demo / "report.html").touch()
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(workplace, example, monkeypatch, capsys):
    monkeypatch.chdir(workplace)

    runpy.run_path(str(example), run_name="__main__")

    said = {
        "demo_to_figures": "480 samples x 19,758 genes",
        "marker_gene": "lowest study of liver: ",
        "my_counts": "of the atlas's 19,758 genes are in the table",
        "rare_label": "training samples",
    }
    assert said[example.stem] in capsys.readouterr().out


def test_the_site_shows_every_example():
    page = (ROOT / "docs" / "examples.md").read_text()

    assert len(EXAMPLES) == 4
    assert [path.name for path in EXAMPLES if f"../examples/{path.name}" not in page] == []
