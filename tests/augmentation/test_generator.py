"""The generator learns, repeats itself, stays on the scale and refuses what it cannot do."""

import builtins

import numpy as np
import pytest
from scipy import sparse
from sklearn.ensemble import RandomForestClassifier

from expressome.augmentation import generator as training
from expressome.augmentation.checkpoint import read_checkpoint, write_checkpoint
from expressome.augmentation.generator import GeneratorSettings, fit_generator
from expressome.augmentation.study_effects import fit_study_effects
from expressome.augmentation.training_samples import collect_training
from expressome.errors import InvalidValueError, LabelError, MissingExtraError

QUICK = GeneratorSettings(n_steps=40, check_every=20, n_components=4)


@pytest.fixture
def generator(planted):
    return fit_generator(planted, settings=QUICK, rng=np.random.default_rng(1))


def test_same_seed_same_samples(planted, generator):
    again = fit_generator(planted, settings=QUICK, rng=np.random.default_rng(1))

    first = generator.sample("liver", 20, rng=np.random.default_rng(2))
    second = again.sample("liver", 20, rng=np.random.default_rng(2))

    np.testing.assert_array_equal(first, second)
    assert generator.model_hash == again.model_hash


def test_another_seed_gives_other_samples(generator):
    first = generator.sample("liver", 20, rng=np.random.default_rng(2))
    second = generator.sample("liver", 20, rng=np.random.default_rng(3))

    assert not np.array_equal(first, second)


@pytest.mark.parametrize("is_new", [False, True], ids=["seen studies", "new studies"])
def test_every_sample_has_the_values_of_a_real_one(is_new, planted, generator, rng):
    effects = fit_study_effects(planted.values, planted.labels, planted.studies)

    made = generator.sample("brain", 10, rng=rng, effects=effects if is_new else None)

    real = {tuple(row) for row in np.sort(planted.values[planted.holders("brain")], axis=1)}
    assert made.min() >= 0
    assert made.dtype == np.float32
    assert all(tuple(np.sort(row)) in real for row in made)


def test_no_sample_copies_a_real_one(planted, generator, rng):
    made = generator.sample("brain", 30, rng=rng)

    real = planted.values
    nearest = np.abs(made[:, None] - real[None]).sum(axis=2).min(axis=1)
    assert nearest.min() > 1


def test_a_forest_recovers_the_label_asked_for(planted, generator, rng):
    forest = RandomForestClassifier(50, random_state=0)
    forest.fit(planted.values, planted.labels.toarray().argmax(axis=1))

    found = [forest.predict(generator.sample(key, 50, rng=rng)) for key in ("liver", "brain")]

    assert (found[0] == 0).mean() >= 0.9
    assert (found[1] == 1).mean() >= 0.9


def test_genes_of_a_module_stay_correlated(planted, generator, rng):
    real = planted.values[planted.holders("liver")]
    made = generator.sample("liver", 60, rng=rng)
    detected = np.flatnonzero((real > 0).mean(axis=0) > 0.9)
    pairs = np.triu_indices(len(detected), 1)

    agreement = np.corrcoef(
        np.corrcoef(real[:, detected].T)[pairs], np.corrcoef(made[:, detected].T)[pairs]
    )[0, 1]

    assert agreement > 0.9


def test_more_samples_than_a_block_are_made_in_even_blocks(generator, rng):
    assert generator.sample("liver", 300, rng=rng).shape == (300, 60)


def test_few_samples_of_a_label_keep_its_studies_apart():
    # 60 samples in two studies, whose genes lie at 2 and at 12: quantiles of the label would
    # move genes between the studies wherever fewer samples hold them by chance.
    rng = np.random.default_rng(5)
    levels = np.repeat([2.0, 12.0], [45, 15])[:, None]
    values = np.maximum(levels + rng.normal(scale=0.3, size=(60, 50)), 0)
    studies = np.repeat(["A", "B"], [45, 15])
    labels = sparse.csr_array(np.ones((60, 1), dtype=np.uint8))
    samples = collect_training(values, labels, studies, keys=["liver"])
    fitted = fit_generator(samples, settings=QUICK, rng=rng)

    made = np.vstack([fitted.sample("liver", 36, rng=rng) for _ in range(3)])

    is_high = made > 7
    assert (is_high.all(axis=1) | ~is_high.any(axis=1)).all()
    assert is_high.all(axis=1).sum() == 27


def test_one_sample_is_not_the_median(generator):
    made = [generator.sample("liver", 1, rng=np.random.default_rng(i))[0] for i in range(8)]

    assert np.std(made, axis=0).mean() > 0.3


def test_new_study_effects_move_the_samples(planted, generator):
    effects = fit_study_effects(planted.values, planted.labels, planted.studies)

    seen = generator.sample("liver", 40, rng=np.random.default_rng(0))
    moved = generator.sample("liver", 40, rng=np.random.default_rng(0), effects=effects)

    assert np.abs(seen - moved).mean() > 0.05


def test_validation_samples_choose_the_checkpoint(planted, rng):
    rows = rng.permutation(planted.n_samples)
    validation = planted.select(rows[:20])

    fitted = fit_generator(
        planted.select(rows[20:]), validation=validation, settings=QUICK, rng=rng
    )

    assert fitted.checked_on == "validation studies"
    assert [entry["step"] for entry in fitted.curve] == [0, 20, 40]


def stop_after(n_checks, monkeypatch):
    """Let training die as if killed, right after so many checkpoints were written."""
    written = []

    def write_then_die(path, checkpoint):
        write_checkpoint(path, checkpoint)
        written.append(path)
        if len(written) == n_checks:
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "write_checkpoint", write_then_die)


@pytest.mark.parametrize("n_checks", [1, 2, 3])
def test_a_stopped_training_resumes_to_the_same_result(
    n_checks, planted, generator, tmp_path, monkeypatch
):
    place = tmp_path / "training.npz"
    with monkeypatch.context() as patched:
        stop_after(n_checks, patched)
        with pytest.raises(KeyboardInterrupt):
            fit_generator(planted, settings=QUICK, checkpoint=place, rng=np.random.default_rng(1))
    steps = []
    advance = training.Contest.advance
    monkeypatch.setattr(
        training.Contest, "advance", lambda self, n: steps.append(n) or advance(self, n)
    )

    resumed = fit_generator(planted, settings=QUICK, checkpoint=place, rng=np.random.default_rng(1))

    assert sum(steps) == 40 - 20 * (n_checks - 1)
    np.testing.assert_array_equal(
        [list(entry.values()) for entry in resumed.curve],
        [list(entry.values()) for entry in generator.curve],
    )
    assert resumed.model_hash == generator.model_hash


def test_a_checkpoint_of_another_training_is_not_used(planted, generator, tmp_path):
    place = tmp_path / "training.npz"
    fit_generator(planted, settings=QUICK, checkpoint=place, rng=np.random.default_rng(9))

    fitted = fit_generator(planted, settings=QUICK, checkpoint=place, rng=np.random.default_rng(1))

    assert fitted.model_hash == generator.model_hash


def test_a_damaged_checkpoint_is_not_used(planted, generator, tmp_path):
    place = tmp_path / "training.npz"
    place.write_bytes(b"PK half a file")

    fitted = fit_generator(planted, settings=QUICK, checkpoint=place, rng=np.random.default_rng(1))

    assert fitted.model_hash == generator.model_hash


def test_a_checkpoint_is_read_as_it_was_written(planted, tmp_path):
    place = tmp_path / "training.npz"
    fit_generator(planted, settings=QUICK, checkpoint=place, rng=np.random.default_rng(1))
    with np.load(place) as file:
        identity = str(file["notes"]).split('"')[3]

    found = read_checkpoint(place, identity)

    assert [entry["step"] for entry in found.curve] == [0, 20, 40]
    assert [weights.shape[0] for weights, _ in found.best] == [128, 128, 4]
    assert read_checkpoint(place, "another") is None
    assert [path.name for path in tmp_path.iterdir()] == ["training.npz"]


def test_training_stops_when_no_check_gets_better(planted):
    settings = GeneratorSettings(n_steps=400, check_every=1, patience=2, n_components=4)

    fitted = fit_generator(planted, settings=settings, rng=np.random.default_rng(1))

    distances = [entry["energy_distance"] for entry in fitted.curve]
    assert len(distances) < 401
    assert min(distances[:-2]) < min(distances[-2:])


def test_nearness_to_the_real_sample_is_what_was_set(plant, rng):
    samples = plant(rng, n_per_group=60)
    correlations = {}
    for kept in (0.0, 0.8):
        settings = GeneratorSettings(n_steps=1, check_every=1, n_components=4, kept=kept)
        fitted = fit_generator(samples, settings=settings, rng=np.random.default_rng(0))
        bases = fitted.holders("liver")
        scores = fitted._draw_scores(bases, bases, np.random.default_rng(0))
        own = fitted.decoder.scores[bases]
        correlations[kept] = np.mean([np.corrcoef(own[:, c], scores[:, c])[0, 1] for c in range(3)])

    assert correlations[0.8] == pytest.approx(0.8, abs=0.08)
    assert correlations[0.0] == pytest.approx(0, abs=0.2)


def test_training_lowers_the_energy_distance(plant, rng):
    samples = plant(rng, n_per_group=100)
    # The spread depends on the label: the network must learn to look at its condition.
    narrow = samples.holders("brain")
    centre = samples.values[narrow].mean(axis=0)
    samples.values[narrow] = centre + 0.2 * (samples.values[narrow] - centre)
    settings = GeneratorSettings(n_steps=200, n_components=3, patience=9)

    fitted = fit_generator(samples, settings=settings, rng=np.random.default_rng(0))

    distances = [entry["energy_distance"] for entry in fitted.curve]
    assert min(distances) < 0.7 * distances[0]


def test_the_network_is_small(generator):
    assert generator.n_parameters < 20_000_000


def test_unknown_label_lists_close_matches(generator, rng):
    with pytest.raises(LabelError, match=r"label 'Livr' is not among the 3 labels .*close: liver"):
        generator.sample("Livr", 5, rng=rng)


def test_two_samples_are_refused_with_the_way_out(generator, rng):
    with pytest.raises(LabelError, match=r"'retina' has 2 training samples, .* needs 3; use "):
        generator.sample("retina", 5, rng=rng)


def test_no_label_with_three_samples_is_refused(planted, rng):
    with pytest.raises(LabelError, match="most frequent label has 1 training samples"):
        fit_generator(planted.select(np.array([0, 59, 61])), rng=rng)


def test_no_samples_asked_is_refused(generator, rng):
    with pytest.raises(InvalidValueError, match="n_samples is 0"):
        generator.sample("liver", 0, rng=rng)


def test_studies_of_one_sample_each_still_work(planted, rng):
    from expressome.augmentation.training_samples import collect_training

    rows = planted.holders("liver")[:5]
    alone = collect_training(
        planted.values[rows], planted.labels[rows], list("ABCDE"), keys=planted.keys
    )

    made = fit_generator(alone, settings=QUICK, rng=rng).sample("liver", 7, rng=rng)

    assert made.shape == (7, 60)
    assert np.isfinite(made).all()


def test_without_torch_the_extra_is_named(planted, rng, monkeypatch):
    imports = builtins.__import__

    def refuse(name, *arguments, **options):
        if name == "torch":
            raise ImportError(name)
        return imports(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)

    with pytest.raises(MissingExtraError, match=r"pip install 'expressome\[gan\]'"):
        fit_generator(planted, rng=rng)
