"""Figures show the numbers they were given."""

import numpy as np
import pandas as pd
from tests.support.content import make_content, make_names

from expressome.reporting import figures
from expressome.reporting.content import Histogram


def test_bars_carry_the_samples_of_each_label_in_order():
    labels = pd.DataFrame(
        {"kind": ["tissue", "cell_line"], "n_samples": [9, 4], "n_studies": [3, 2]},
        index=["liver", "HeLa"],
    )

    figure = figures.draw_label_counts(labels)

    assert [list(bar.x) for bar in figure.data] == [[9], [4]]
    assert [bar.name for bar in figure.data] == ["tissue", "cell line"]
    assert list(figure.layout.yaxis.ticktext) == ["liver", "HeLa"]


def test_only_forty_bars_are_drawn(rng):
    labels = make_content(rng, n_labels=200).samples.labels

    figure = figures.draw_label_counts(labels)

    assert sum(len(bar.x) for bar in figure.data) == 40


def test_cooccurrence_is_a_share_of_the_row():
    counts = pd.DataFrame([[10, 5], [5, 20]], index=["a", "b"], columns=["a", "b"])

    grid = figures.draw_cooccurrence(counts).data[0]

    np.testing.assert_array_equal(grid.z, [[np.nan, 0.5], [0.25, np.nan]])
    np.testing.assert_array_equal(grid.customdata, counts)


def test_confusion_leaves_labels_without_samples_blank():
    counts = pd.DataFrame([[3, 1], [0, 0]], index=["a", "b"], columns=["a", "b"])

    grid = figures.draw_confusion(counts).data[0]

    np.testing.assert_array_equal(grid.z, [[0.75, 0.25], [np.nan, np.nan]])


def test_names_of_large_grids_are_left_to_hovering(rng):
    confusion = make_content(rng, n_labels=80).classification.confusion

    figure = figures.draw_confusion(confusion)

    assert len(figure.layout.xaxis.ticktext) == 0
    assert len(figure.data[0].x) == 80


def test_logarithmic_bins_are_labelled_with_plain_numbers():
    histogram = Histogram(np.array([6.0, 7.0, 8.0]), np.array([2.0, 1.0]))

    figure = figures.draw_histogram(histogram, x="reads", log10=True)

    assert list(figure.layout.xaxis.ticktext) == ["1M", "10M", "100M"]
    assert list(figure.data[0].customdata[0]) == ["1M", "10M"]


def test_sizes_are_named_by_whole_numbers():
    histogram = Histogram(np.array([1.0, 2.0, 3.0, 5.0]), np.array([4.0, 2.0, 1.0]))

    figure = figures.draw_sizes(histogram, x="samples", counted="studies")

    assert list(figure.layout.xaxis.ticktext) == ["1", "2", "3 to 4"]


def test_plane_draws_every_sample_once_and_quiet_groups_first(rng):
    plane = make_content(rng).samples.plane

    figure = figures.draw_plane(plane, (0.5, 0.25))

    assert sum(len(series.x) for series in figure.data) == len(plane)
    assert [series.name for series in figure.data][:2] == ["unlabelled", "other labels"]
    assert "50%" in figure.layout.xaxis.title.text


def test_target_is_drawn_against_the_share_of_genes():
    line = figures.draw_target(np.array([0.0, 1.0, 2.0, 5.0])).data[0]

    np.testing.assert_allclose(line.x, [0.125, 0.375, 0.625, 0.875])
    np.testing.assert_array_equal(line.y, [0, 1, 2, 5])


def test_fidelity_is_placed_between_floor_and_ceiling():
    fidelity = pd.DataFrame(
        [
            ("gan", "auc", 0.75, 0.5, 1.0),
            ("gan", "recall", 0.5, 0.75, 0.25),
            ("gan", "without span", 0.5, 0.5, 0.5),
        ],
        columns=["method", "metric", "value", "ceiling", "floor"],
    )

    figure = figures.draw_fidelity(fidelity)

    np.testing.assert_allclose(figure.data[0].x, [0.5, 0.5])
    assert list(figure.layout.yaxis.ticktext) == ["auc", "recall"]


def test_distances_are_shares_so_that_sizes_do_not_matter():
    edges = np.array([0.0, 1.0, 2.0])
    figure = figures.draw_distances(
        {
            "few": Histogram(edges, np.array([1.0, 3.0])),
            "many": Histogram(edges, np.array([100.0, 300.0])),
        },
        to="nearest",
    )

    np.testing.assert_array_equal(figure.data[0].y, figure.data[1].y)
    np.testing.assert_array_equal(figure.data[0].x, [0, 1, 1, 2])
    assert figure.layout.xaxis.title.text == "distance to the nearest real sample"


def test_genes_named_in_the_plane_do_not_cover_each_other(rng):
    genes = make_content(rng, n_genes=3000).genes
    best = genes.table.dropna().head(60)

    figure = figures.draw_gene_plane(genes.density, best)

    named = [name for name in figure.data[1].text if name]
    assert 3 <= len(named) <= 16
    assert figure.data[0].z.shape == genes.density.counts.shape
    assert len(figure.data[2].x) == 0


def test_known_and_unknown_predictions_are_stacked(rng):
    predictions = make_content(rng).predictions

    figure = figures.draw_confidence(predictions)

    assert figure.layout.barmode == "stack"
    assert sum(sum(bar.y) for bar in figure.data) == predictions.n_samples


def test_scores_without_interval_have_no_error_bar(rng):
    scores = make_content(rng).classification.scores

    bars = figures.draw_scores(scores).data[0]

    np.testing.assert_allclose(bars.error_x.array[:2], [0.05, 0.05])
    assert np.isnan(bars.error_x.array[2:]).all()
    assert list(bars.marker.color).count("#0072B2") == 2


def test_weak_labels_differ_by_shape_and_colour(rng):
    per_label = make_content(rng, n_labels=3).classification.per_label
    per_label["f1"] = [0.9, 0.2, 0.8]
    per_label["support"] = [9.0, 4.0, 1.0]

    points = figures.draw_label_scores(per_label).data[0]

    assert list(points.marker.symbol) == ["circle", "diamond", "circle"]
    assert len(set(points.marker.color)) == 2


def test_reliability_and_risk_show_their_curves(rng):
    part = make_content(rng, n_labels=4).classification

    reliability = figures.draw_reliability(part.reliability)
    risk = figures.draw_risk_coverage(part.risk_coverage)

    np.testing.assert_array_equal(reliability.data[1].y, part.reliability["accuracy"])
    assert "25.0%" in risk.layout.shapes[0].label.text


def test_training_curves_and_lengths_are_drawn(rng):
    content = make_content(rng)

    training = figures.draw_training(content.synthetic.training)
    effect = figures.draw_length_effect(content.normalization.length_effect)

    assert [line.name for line in training.data] == ["critic", "generator"]
    np.testing.assert_array_equal(effect.data[1].y, content.normalization.length_effect["before"])


def test_synthetic_samples_are_open_marks(rng):
    content = make_content(rng)

    figure = figures.draw_synthetic_plane(content.synthetic.plane, (0.4, 0.2))

    symbols = {series.name: series.marker.symbol for series in figure.data}
    liver = make_names(1)[0]
    assert symbols[f"{liver}, synthetic"] == f"{symbols[f'{liver}, real']}-open"
