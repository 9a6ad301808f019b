"""Isotonic maps per label, and the choice between them and one temperature."""

import numpy as np
import pytest
from scipy import sparse

from expressome.classification.calibration import apply_temperature
from expressome.classification.label_maps import LabelMaps, choose_calibration, fit_label_maps
from expressome.classification.label_sets import LabelSets
from expressome.errors import ModelError


def test_the_knots_equal_isotonic_regression_at_their_centres(rng):
    from sklearn.isotonic import IsotonicRegression

    scores = rng.random((60, 1))
    truth = (rng.random((60, 1)) < scores**2).astype(np.uint8)
    studies = np.arange(60)

    maps = fit_label_maps(sparse.csr_array(truth), scores, studies, parents=[-1])

    fitted = IsotonicRegression(y_min=0, y_max=1).fit(scores[:, 0], truth[:, 0])
    np.testing.assert_allclose(
        np.unique(maps.outputs),
        np.unique(np.minimum(fitted.predict(scores[:, 0]), 1 - 1 / 122)),
        atol=1e-9,
    )
    assert (np.diff(maps.apply(np.linspace(0, 1, 50)[:, None])[:, 0]) >= 0).all()


def test_a_rare_label_takes_the_map_of_all(rng):
    truth = np.zeros((40, 2), np.uint8)
    truth[:20, 0], truth[20:22, 1] = 1, 1
    scores = rng.random((40, 2))

    maps = fit_label_maps(sparse.csr_array(truth), scores, np.arange(40), parents=[-1, -1])
    pooled = fit_label_maps(
        sparse.csr_array(truth.reshape(-1, 1)),
        scores.reshape(-1, 1),
        np.repeat(np.arange(40), 2),
        parents=[-1],
    )

    grid = np.linspace(0, 1, 20)[:, None]
    np.testing.assert_allclose(
        maps.apply(np.repeat(grid, 2, axis=1))[:, 1], pooled.apply(grid)[:, 0], atol=1e-9
    )


def test_a_parent_stays_at_least_as_probable_as_its_child():
    maps = LabelMaps(
        np.array([0, 2, 4]),
        np.array([0.0, 1, 0, 1]),
        np.array([0.0, 0.2, 0, 1]),
        np.array([-1, 0]),
    )

    assert maps.apply(np.array([[0.9, 0.8]])).tolist() == [[0.8, 0.8]]


def test_maps_survive_being_written_and_bad_ones_are_named():
    maps = LabelMaps(np.array([0, 1]), np.array([0.5]), np.array([0.25]), np.array([-1]))
    content = maps.to_plain()

    assert LabelMaps.from_plain(content).apply(np.array([[0.9]])).tolist() == [[0.25]]
    with pytest.raises(ModelError, match="lack outputs"):
        LabelMaps.from_plain({k: v for k, v in content.items() if k != "outputs"})
    with pytest.raises(ModelError, match="of 1 labels do not fit"):
        LabelMaps.from_plain(content | {"parents": [-1, 0]})


def draw(rng, n, *, twisted):
    """Draw two classes; twisted: class 0 is overconfident, class 1 the opposite."""
    truth = rng.beta(0.5, 0.5, n)
    classes = (rng.random(n) < truth).astype(np.int64)
    given = truth
    if twisted:
        given = np.where(truth > 0.5, 0.5 + (truth - 0.5) ** 4 * 8, 1e-3 + truth**3)
    return np.column_stack([1 - given, given]), classes


@pytest.mark.parametrize("twisted", [False, True], ids=["temperature", "isotonic"])
def test_what_errs_less_on_other_studies_is_chosen(rng, twisted):
    votes, classes = draw(rng, 2000, twisted=twisted)
    sets = LabelSets(np.eye(2, dtype=bool), np.array([5, 5]))
    studies = np.array([f"s{i % 40}" for i in range(2000)], dtype=object)

    temperature, maps, report = choose_calibration(
        votes, classes, studies, label_sets=sets, parents=[-1, -1], best_of_set=np.arange(2)
    )

    assert report["chosen"] == ("isotonic" if twisted else "temperature")
    assert (maps is not None) == twisted
    new, known = draw(rng, 2000, twisted=twisted)
    scaled = apply_temperature(new, temperature)
    given = scaled if maps is None else maps.apply(scaled)
    assert abs(given[:, 1].mean() - known.mean()) < 0.03


def test_few_studies_take_the_temperature():
    sets = LabelSets(np.eye(2, dtype=bool), np.array([5, 5]))
    votes = np.array([[0.6, 0.4], [0.4, 0.6]])

    _, maps, report = choose_calibration(
        votes,
        np.array([0, 1]),
        np.array(["a", "b"], dtype=object),
        label_sets=sets,
        parents=[-1, -1],
        best_of_set=np.arange(2),
    )

    assert maps is None
    assert report == {"chosen": "temperature", "n_studies": 2, "squared_error": None}
