import dataclasses

import numpy as np
from tests.support.content import make_batch, make_content

from expressome.reporting.content import BatchEffects
from expressome.reporting.figures import draw_variance_shares
from expressome.reporting.sections import build_batch, build_predictions


def test_the_bars_of_a_component_are_its_variance():
    part = make_batch(np.random.default_rng(0))

    plot = draw_variance_shares(part.table, has_labels=True)

    heights = np.sum([np.asarray(trace.y) for trace in plot.data], axis=0)
    np.testing.assert_allclose(heights, part.table["variance"])
    assert [trace.name for trace in plot.data] == [
        "label", "study beyond the label", "within studies",
    ]  # fmt: skip


def test_without_labels_only_the_study_is_named():
    whole = make_batch(np.random.default_rng(0))
    table = whole.table.assign(label=np.nan, study_within_label=np.nan)
    overall = dict(whole.overall) | {"label": float("nan"), "study_within_label": float("nan")}

    section = build_batch(BatchEffects(table, overall, 500, 60, 1000, has_labels=False))

    assert "by the study alone" in section.facts
    assert "explained by the label" not in section.facts
    assert "label" not in section.tables[0].frame.columns
    assert len(section.figures[0].plot.data) == 2


def test_the_section_says_what_normalisation_leaves_even_without_figures():
    section = build_batch(None)

    assert "nothing to measure" in section.absent
    assert any("ComBat" in point for point in section.points)


def test_agreement_of_text_and_expression_is_listed():
    part = make_content(np.random.default_rng(0)).predictions
    table = part.counts.iloc[:2].rename(columns={"n_samples": "n_compared"})
    table["n_agree"] = table["n_compared"] // 2

    section = build_predictions(
        dataclasses.replace(part, agreement=table, n_compared=10, n_agree=4)
    )

    assert section.facts["text and expression agree"] == "4 of 10 (40%)"
    assert section.tables[0].frame["share"].between(0, 1).all()
