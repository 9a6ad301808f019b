"""A forest of plain arrays answers as scikit-learn's."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from expressome.classification.forest import Forest, merge_forests
from expressome.classification.forest_growth import fit_forest, to_forest
from expressome.errors import ModelError, ShapeError


@pytest.fixture
def samples(rng):
    values = rng.normal(size=(120, 15)).astype(np.float32)
    classes = (values[:, 0] > 0).astype(int) + 2 * (values[:, 1] > 0.5)
    return values, classes


@pytest.mark.parametrize("class_weight", [None, "balanced"], ids=["plain", "balanced"])
def test_probabilities_equal_scikit_learns(samples, rng, class_weight):
    from sklearn.ensemble import RandomForestClassifier

    values, classes = samples
    estimator = RandomForestClassifier(30, random_state=0, class_weight=class_weight)
    estimator.fit(values, classes)
    unseen = rng.normal(size=(50, 15)).astype(np.float32)

    ours = to_forest(estimator, np.arange(4), 4).predict(unseen)

    # Both average the same leaves; only the order of the sum differs.
    np.testing.assert_allclose(ours, estimator.predict_proba(unseen), atol=1e-9)


def test_parts_survive_the_round_trip(samples):
    values, classes = samples
    forest = fit_forest(values, classes, n_classes=4, seed=0, n_trees=5)

    again = Forest.from_parts(forest.to_parts())

    np.testing.assert_array_equal(again.predict(values), forest.predict(values))
    assert again.n_trees == 5


def test_threads_do_not_change_the_forest(samples):
    values, classes = samples

    one, two = (
        fit_forest(values, classes, n_classes=4, seed=3, n_trees=8, n_workers=n) for n in (1, 2)
    )

    np.testing.assert_array_equal(one.predict(values), two.predict(values))


def test_values_at_an_odd_address_give_the_same_forest(samples):
    values, classes = samples
    odd = np.ndarray(values.shape, np.float32, bytearray(values.nbytes + 1), offset=1)
    odd[:] = values

    forest = fit_forest(odd, classes, n_classes=4, seed=3, n_trees=8)

    assert not odd.flags.aligned
    usual = fit_forest(values, classes, n_classes=4, seed=3, n_trees=8)
    np.testing.assert_array_equal(forest.predict(values), usual.predict(values))


def test_a_class_without_samples_gets_probability_zero(samples):
    values, classes = samples

    shares = fit_forest(values, classes % 2, n_classes=5, seed=0, n_trees=4).predict(values)

    np.testing.assert_allclose(shares[:, 2:], 0)
    np.testing.assert_allclose(shares.sum(axis=1), 1)


def test_one_class_needs_no_tree(samples):
    values, _ = samples

    forest = fit_forest(values, np.full(120, 2), n_classes=4, seed=0)

    assert (forest.predict(values)[:, 2] == 1).all()


def test_other_numbers_of_genes_are_refused(samples):
    values, classes = samples
    forest = fit_forest(values, classes, n_classes=4, seed=0, n_trees=2)

    with pytest.raises(ShapeError, match="the forest reads 15 genes"):
        forest.predict(values[:, :3])


@pytest.mark.parametrize("field", ["left", "right", "genes", "leaf_classes", "roots"])
def test_indices_that_leave_the_arrays_are_refused(samples, field):
    values, classes = samples
    forest = fit_forest(values, classes, n_classes=4, seed=0, n_trees=2)
    broken = getattr(forest, field).copy()
    broken[0] = 10_000

    with pytest.raises(ModelError, match="points outside its own arrays"):
        Forest.from_parts(replace(forest, **{field: broken}).to_parts())


def test_a_walk_that_never_ends_is_refused(samples):
    values, classes = samples
    forest = fit_forest(values, classes, n_classes=4, seed=0, n_trees=2)
    left = forest.left.copy()
    left[np.flatnonzero(forest.genes >= 0)[0]] = 0

    with pytest.raises(ModelError, match="points outside"):
        Forest.from_parts(replace(forest, left=left).to_parts())


def test_an_incomplete_forest_names_what_is_missing(samples):
    values, classes = samples
    parts = fit_forest(values, classes, n_classes=4, seed=0, n_trees=2).to_parts()
    del parts["thresholds"]

    with pytest.raises(ModelError, match="the forest lacks thresholds"):
        Forest.from_parts(parts)


def test_joined_forests_answer_their_mean(rng):
    values = rng.normal(size=(60, 5)).astype(np.float32)
    classes = rng.integers(0, 3, 60)
    one, two = (
        fit_forest(values, classes, n_classes=3, seed=seed, n_trees=n)
        for seed, n in ((0, 10), (1, 30))
    )

    joined = merge_forests([one, two])

    assert joined.n_trees == 40
    np.testing.assert_allclose(
        joined.predict(values), (10 * one.predict(values) + 30 * two.predict(values)) / 40
    )
    assert Forest.from_parts(joined.to_parts()).n_trees == 40


@pytest.mark.parametrize("accelerated", [False, True], ids=["plain", "accelerated"])
def test_both_libraries_take_class_weights_and_depths(rng, accelerated):
    if accelerated:
        pytest.importorskip("sklearnex")
    values = rng.normal(size=(300, 4)).astype(np.float32)
    classes = (rng.random(300) < 0.1).astype(int)

    plain, weighted = (
        fit_forest(
            values, classes, n_classes=2, seed=0, n_trees=30, accelerated=accelerated,
            class_weight=weight, max_depth=2,
        )
        for weight in (None, "balanced")
    )  # fmt: skip

    new = rng.normal(size=(200, 4))
    assert weighted.predict(new)[:, 1].mean() > plain.predict(new)[:, 1].mean() + 0.2
    # Two questions at most: 7 nodes per tree.
    assert len(weighted.genes) <= 30 * 7


@pytest.mark.slow
def test_a_cluster_grows_the_same_trees(rng):
    pytest.importorskip("distributed")
    values = rng.normal(size=(200, 20)).astype(np.float32)
    classes = rng.integers(0, 4, 200)
    grow = partial(fit_forest, values, classes, n_classes=4, seed=0, n_trees=60)

    here, there = grow(), grow(cluster="local:2")

    for name, part in here.to_parts().items():
        np.testing.assert_array_equal(there.to_parts()[name], part)
