"""Training takes synthetic samples only where they win, and only on the training side."""

import json
import warnings

import numpy as np
import pytest
from click.testing import CliRunner
from tests.support.studies import make_study_atlas

import expressome
from expressome.atlas import open_atlas
from expressome.augmentation.baselines import METHODS
from expressome.augmentation.rare_labels import make_rare
from expressome.augmentation.utility import Trial
from expressome.classification.split import split_by_study
from expressome.cli.main import cli
from expressome.cli.train import AUGMENT as COMMAND_AUGMENT
from expressome.errors import InvalidValueError, LabelWarning, MissingExtraError, SelectionError
from expressome.pipeline import method_choosing
from expressome.pipeline.method_choosing import AUGMENT, _decide, check_augment
from expressome.pipeline.training import train


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three tissues in twelve studies each; lung with two samples per study is rare."""
    place = tmp_path_factory.mktemp("choosing")
    tissues = np.concatenate([np.repeat(["liver", "heart"], 72), np.repeat(["lung"], 24)])
    studies = np.concatenate([np.repeat(np.arange(24), 6), np.repeat(np.arange(24, 36), 2)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LabelWarning)
        make_study_atlas(place, tissues, studies)
    return place


@pytest.fixture(scope="module")
def mixed(folder):
    """Train with mixup; tell what synthetic samples were made from, before division, and all."""
    given = []

    def note(values, *rest, **options):
        given.append(np.array(values))
        return make_rare(values, *rest, **options)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(method_choosing, "make_rare", note)
        summary = train(
            folder / "atlas.zarr", out=folder / "mixed", augment="mixup", refit="none", n_trees=10,
            time_budget_s=0,
        )  # fmt: skip
    return given, summary


def test_synthetic_samples_are_made_from_training_samples_only(folder, mixed):
    watched, _ = mixed
    atlas = open_atlas(folder / "atlas.zarr")
    model = expressome.load_model(folder / "mixed")
    genes = atlas.var.index.get_indexer(model.genes)
    divisor = 1000 / atlas.var["length_bp"].to_numpy()[genes]
    parts = atlas.obs["split"].astype(str).to_numpy()
    held_out = atlas.read(np.flatnonzero(parts == "test"), genes) / divisor
    assert watched
    for values in watched:
        gaps = np.abs(held_out[:, None, : values.shape[1]] - values[None]).max(axis=2)
        assert gaps.min() > 1e-3
    # The model lists real samples alone.
    real = set(atlas.obs.index.astype(str))
    assert set(model.trained.description["training"]["samples"]) <= real


def test_metrics_and_card_say_which_method_was_used(folder, mixed):
    _, summary = mixed

    said = json.loads((folder / "mixed" / "metrics.json").read_text())["settings"]["augmentation"]
    assert (said["asked"], said["used"]) == ("mixup", "mixup")
    assert summary.figures["augmentation"]["used"] == "mixup"
    card = (folder / "mixed" / "README.md").read_text()
    assert "fewer than 50 samples were added to training (`mixup`: asked for" in card
    assert "None is among the samples of any figure." in card


@pytest.mark.slow
def test_auto_compares_every_method_on_validation_studies(folder):
    out = folder / "auto"

    command = ["train", str(folder / "atlas.zarr"), "--out", str(out), "--n-trees", "10"]
    command += ["--time-budget-s", "0"]
    result = CliRunner().invoke(cli, [*command, "--augment", "auto"])

    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)["augmentation"]
    assert [row["method"] for row in said["trials"]] == ["none", *METHODS]
    assert "lung" in said["rare_labels"]
    gains = {row["method"]: row["average_precision"] for row in said["trials"]}
    assert said["used"] == "none" or gains[said["used"]]["low"] > 0
    assert said["used"] != "none" or not any(
        row["low"] > 0 and row["gain"] >= 0.01 for row in gains.values()
    )
    assert "average precision" in said["reason"]
    assert said["used"] in (out / "README.md").read_text() or said["used"] == "none"


def test_synthetic_samples_are_refused_by_the_split():
    with pytest.raises(SelectionError, match="1 of 3 samples are synthetic"):
        split_by_study(
            np.ones((3, 1)),
            ["A", "B", "C"],
            rng=np.random.default_rng(0),
            is_synthetic=[False, True, False],
        )


def trials(*, spread=0.001, n_pairs=8, **precision):
    """Trials whose gains over none differ by the spread from pair to pair, up and down."""
    return [
        Trial("lung", 9, repeat, method, value + (method != "none") * shift, 0.0, 4)
        for repeat, shift in enumerate(np.resize([spread, -spread], n_pairs))
        for method, value in precision.items()
    ]


def test_the_method_that_gained_most_wins_where_the_gain_is_certain():
    found = _decide(trials(none=0.5, mixup=0.55, smote=0.6))

    assert (found.asked, found.used) == ("auto", "smote")
    # Two methods, so 0.975 one-sided: t(7) = 2.365 times 0.001 * sqrt(8 / 7) / sqrt(8).
    low = 0.1 - 2.365 * 0.001 / np.sqrt(7)
    assert found.trials[2]["average_precision"]["low"] == pytest.approx(low, abs=1e-6)
    assert found.reason == (
        "gained +0.100 in average precision over none (at least +0.099 with 95% certainty for "
        "2 methods together), over 1 rare labels on validation studies"
    )
    assert [row["method"] for row in found.trials] == ["none", "mixup", "smote"]


def test_a_gain_whose_interval_holds_0_is_no_reason():
    found = _decide(trials(none=0.5, mixup=0.55, smote=0.4, spread=0.1))

    # 0.05 - 2.365 * 0.1 / sqrt(7)
    assert found.used == "none"
    assert found.reason == (
        "no method gained 0.01 or more in average precision for certain over 1 rare labels on "
        "validation studies; the best, mixup, gained +0.050 (at least -0.039 with 95% certainty "
        "for 2 methods together)"
    )


def test_a_certain_gain_beats_a_larger_uncertain_one():
    sure = trials(none=0.5, mixup=0.55)
    unsure = [trial for trial in trials(gan=0.6, spread=0.3) if trial.method == "gan"]

    assert _decide(sure + unsure).used == "mixup"


def test_the_bound_widens_with_the_number_of_methods():
    alone = trials(none=0.5, mixup=0.55, spread=0.05)
    many = trials(none=0.5, mixup=0.55, smote=0.4, copula=0.4, gaussian=0.4, gan=0.4, spread=0.05)

    assert _decide(alone).used == "mixup"
    assert _decide(many).used == "none"


def test_one_comparison_is_no_reason():
    found = _decide(trials(none=0.5, mixup=0.9, n_pairs=1))

    assert found.used == "none"
    assert "gained +0.401 (one comparison, so without a bound)" in found.reason


def test_a_gain_below_the_margin_is_no_reason():
    found = _decide(trials(none=0.5, mixup=0.505, smote=0.3))

    assert found.used == "none"
    assert found.augment is None
    assert "the best, mixup, gained +0.005" in found.reason


def test_without_a_rare_label_nothing_is_added():
    found = _decide([])

    assert found.used == "none"
    assert "no label with fewer than 50 training samples" in found.reason


def test_unknown_methods_and_missing_extras_are_refused_before_any_work(monkeypatch):
    with pytest.raises(InvalidValueError, match="augment is 'magic'; choose one of none, auto"):
        train("/tmp/no-such.zarr", out="/tmp/model", augment="magic")

    monkeypatch.setattr(method_choosing.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"gan needs torch; install it with: pip install"):
        check_augment("gan")


def test_the_command_offers_what_the_library_does():
    assert COMMAND_AUGMENT == AUGMENT
