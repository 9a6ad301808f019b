"""What the atlas answers about genes, samples, its map and tables from outside."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from tests.support.explored import MARKER_OF_LIVER, TISSUES, write_table

from expressome.engine import Resources
from expressome.errors import AtlasError, InvalidValueError, SelectionError
from expressome.pipeline import placing
from expressome.pipeline.exploring import open_view
from expressome.pipeline.gene_exploring import describe_gene, find_genes
from expressome.pipeline.gene_sketching import LOWEST_SIMILARITY, GeneSketch
from expressome.pipeline.map_exploring import MapBox, _find_most_frequent, draw_map
from expressome.pipeline.placing import open_map
from expressome.pipeline.reason_exploring import explain_sample
from expressome.pipeline.sample_exploring import describe_sample, find_samples
from expressome.pipeline.upload_exploring import answer_upload


def test_facts_count_what_is_there(view):
    facts = view.facts

    assert (facts.n_samples, facts.n_genes, facts.n_labels) == (108, 300, 4)
    assert (facts.n_studies, facts.n_labelled) == (36, 96)
    assert {label["key"]: label["n_samples"] for label in facts.labels} == dict.fromkeys(
        TISSUES, 24
    )
    assert facts.has_model
    assert facts.has_map


@pytest.mark.parametrize("name", ["symbol", "lower", "id", "version"])
def test_a_gene_is_found_by_each_of_its_names(view, name):
    gene = view.atlas.var.index[MARKER_OF_LIVER]
    symbol = view.atlas.var["symbol"].iloc[MARKER_OF_LIVER]
    query = {"symbol": symbol, "lower": symbol.lower(), "id": gene, "version": f"{gene}.12"}[name]

    assert find_genes(view, query)[0].gene == gene


def test_beginnings_come_before_parts_and_short_symbols_first(view):
    symbols = view.atlas.var["symbol"].astype(str).str.upper()
    query = symbols.iloc[MARKER_OF_LIVER][:2]

    found = [hit.symbol.upper() for hit in find_genes(view, query, limit=200)]

    begins = [symbol.startswith(query) for symbol in found]
    assert begins == sorted(begins, reverse=True)
    assert set(found) >= set(symbols[symbols.str.startswith(query)])


def test_nothing_is_found_by_nothing(view):
    assert find_genes(view, "  ") == []


def test_a_marker_of_liver_is_highest_in_liver(view):
    page = describe_gene(view, view.atlas.var.index[MARKER_OF_LIVER])

    assert page.labels[0].label == "liver"
    assert page.labels[-1].label == ""
    assert [one.median for one in page.labels[:-1]] == sorted(
        (one.median for one in page.labels[:-1]), reverse=True
    )


def test_distributions_are_those_of_the_values(view):
    page = describe_gene(view, view.atlas.var.index[3])
    held = view.atlas.labels.matrix.toarray()[:, view.atlas.labels.keys.index("heart")] > 0

    heart = next(one for one in page.labels if one.label == "heart")

    values = view.atlas.read(genes=[3])[held, 0]
    assert (heart.n_samples, heart.n_studies) == (24, 8)
    np.testing.assert_allclose(heart.median, np.median(values), rtol=1e-6)
    np.testing.assert_allclose(heart.quantiles, np.sort(values), atol=1e-4)


def test_metrics_of_the_gene_table_are_given(view):
    page = describe_gene(view, view.atlas.var.index[7])

    assert page.metrics["mean_cosine"] == view.atlas.var["mean_cosine"].iloc[7]


def test_similar_genes_are_those_of_the_highest_correlation(view):
    values = view.atlas.read().astype(np.float64)
    exact = np.corrcoef(values.T)
    np.fill_diagonal(exact, -1)

    page = describe_gene(view, view.atlas.var.index[MARKER_OF_LIVER])

    best = set(view.atlas.var.index[np.argsort(-exact[MARKER_OF_LIVER])[:10]])
    assert len(best & {hit.gene for hit in page.similar}) >= 9
    for hit in page.similar:
        position = view.atlas.var.index.get_loc(hit.gene)
        assert abs(hit.similarity - exact[MARKER_OF_LIVER, position]) < 0.2
        assert hit.similarity >= LOWEST_SIMILARITY


def test_an_unknown_gene_is_named_with_near_ones(view):
    symbol = view.atlas.var["symbol"].iloc[0]

    with pytest.raises(SelectionError, match=f"no gene of the atlas is named.*near: .*{symbol}"):
        describe_gene(view, f"{symbol}ZZ")


def test_sketch_estimates_correlations_within_its_error(rng):
    n_samples, n_genes = 400, 60
    hidden = rng.normal(size=(n_samples, 3))
    values = hidden @ rng.normal(size=(3, n_genes)) + rng.normal(size=(n_samples, n_genes))
    values[:, 5] = 2.0
    sketch = GeneSketch(n_genes, 3, np.random.default_rng(1))
    for start in range(0, n_samples, 64):
        sketch.add(values[start : start + 64], hidden[start : start + 64])

    vectors = sketch.vectors()

    kept = np.delete(np.arange(n_genes), 5)
    error = (vectors @ vectors.T)[np.ix_(kept, kept)] - np.corrcoef(values[:, kept].T)
    assert np.sqrt((error**2).mean()) < 1 / 16
    assert not vectors[5].any()


def test_words_and_label_find_samples_in_order(view):
    every = find_samples(view)
    liver = find_samples(view, label="liver", offset=20, limit=200)
    series = find_samples(view, "GSE7 gsm2")

    assert (every.n_found, len(every.hits)) == (108, 25)
    assert (liver.n_found, len(liver.hits)) == (24, 4)
    assert all(hit.labels == ["liver"] for hit in liver.hits)
    assert {hit.study for hit in series.hits} == {"GSE7"}
    assert not every.ranked


def test_catalogue_ranks_samples_of_the_file_and_marks_absent_ones(tmp_path, view):
    from tests.support.build import make_archs4, make_counts, make_genes, make_samples

    samples = make_samples(120)
    genes = make_genes(8)
    file = make_archs4(tmp_path / "x.h5", counts=make_counts(120, 8), samples=samples, genes=genes)
    opened = dataclasses.replace(view, compendium=file)

    found = find_samples(opened, "title:liver OR liver", limit=200)

    assert found.ranked
    assert found.n_found == 40
    assert {hit.in_atlas for hit in found.hits} == {True, False}
    absent = [hit.sample for hit in found.hits if not hit.in_atlas]
    assert all(int(sample.removeprefix("GSM")) >= 108 for sample in absent)


@pytest.mark.parametrize(("offset", "limit"), [(-1, 10), (0, 0), (0, 201)])
def test_impossible_pages_are_refused_with_both_numbers(view, offset, limit):
    with pytest.raises(InvalidValueError, match=f"offset is {offset} and limit {limit}"):
        find_samples(view, offset=offset, limit=limit)


def test_an_unknown_label_is_refused(view):
    with pytest.raises(SelectionError, match="no label of the atlas is 'spleen'; it has 4"):
        find_samples(view, label="spleen")


def test_a_sample_has_labels_prediction_and_neighbours_of_its_tissue(explored):
    _, truth, _, view = explored

    page = describe_sample(view, "GSM60")

    assert page.labels == ["liver"]
    assert page.prediction.label == "liver"
    assert page.prediction.probabilities[0]["label"] == "liver"
    assert page.is_labelled
    assert "GSM60" not in {hit.sample for hit in page.nearest}
    assert [hit.distance for hit in page.nearest] == sorted(hit.distance for hit in page.nearest)
    tissues = truth.loc[[hit.sample for hit in page.nearest], "label"]
    assert (tissues == "liver").mean() > 0.9


def test_kept_answers_are_those_of_the_model(view):
    answers = view.model.predict(view.atlas.path).set_index("sample")

    for sample in ("GSM0", "GSM50", "GSM107"):
        kept, answer = describe_sample(view, sample).prediction, answers.loc[sample]
        assert kept.label == answer["label"]
        assert kept.confidence == pytest.approx(answer["confidence"])
        assert kept.reason == answer["reason"]
        assert kept.labels == list(answer["labels"])
        assert [one["probability"] for one in kept.probabilities] == sorted(
            answer.filter(like="p:"), reverse=True
        )
        for one in kept.probabilities:
            assert one["probability"] == answer[f"p:{one['label']}"]


def test_markers_speak_for_the_label_of_a_sample(view):
    reasons = explain_sample(view, "GSM60")

    markers = set(view.atlas.var.index[40:60])
    assert reasons.label == "liver"
    assert reasons.genes_for[0].gene in markers
    effects = [one.log_odds for one in reasons.genes_for]
    assert effects == sorted(effects, reverse=True)
    assert all(one.log_odds < 0 for one in reasons.genes_against)


def test_reasons_without_a_model_are_refused(view):
    bare = dataclasses.replace(view, model=None, predictions=None)

    with pytest.raises(AtlasError, match="reasons need a model"):
        explain_sample(bare, "GSM60")


def test_an_unknown_sample_is_refused(view):
    with pytest.raises(SelectionError, match="no sample of the atlas is named 'GSM999999'"):
        describe_sample(view, "GSM999999")


def test_samples_of_a_tissue_lie_together_on_the_map(explored):
    _, truth, _, view = explored
    places = view.map.places
    distance = ((places[:, None] - places[None]) ** 2).sum(axis=2)
    np.fill_diagonal(distance, np.inf)

    nearest = truth["label"].to_numpy()[distance.argmin(axis=1)]

    assert (nearest == truth["label"].to_numpy()).mean() > 0.95


def test_map_is_kept_in_the_atlas_and_read_again(explored):
    folder, _, _, view = explored

    again = open_view(folder / "atlas.zarr", model=folder / "model")

    np.testing.assert_array_equal(again.map.places, view.map.places)
    np.testing.assert_allclose(again.map.gene_vectors, view.map.gene_vectors, atol=2e-3)
    np.testing.assert_array_equal(again.predictions.confidence, view.predictions.confidence)
    assert again.atlas.element("obsm/map").shape == (108, 2)


def test_map_does_not_depend_on_how_blocks_are_cut(explored, monkeypatch):
    *_, view = explored
    monkeypatch.setattr(placing, "_read_map", lambda *_: None)
    monkeypatch.setattr(placing, "_store_map", lambda *_: None)

    cut = open_map(view.atlas, resources=Resources(memory_bytes=64 * 2**20, workers=1))

    np.testing.assert_array_equal(cut.scores, view.map.scores)
    np.testing.assert_array_equal(cut.places, view.map.places)


def test_a_sample_placed_again_lies_among_its_own(explored, tmp_path):
    _, _, counts, view = explored
    table = write_table(tmp_path / "again.tsv", view, counts[[60]], ["mine"])

    answer = answer_upload(view, table)

    assert answer.samples[0].nearest[0].sample == "GSM60"
    assert answer.samples[0].nearest[0].distance < 1e-3
    assert answer.samples[0].prediction.label == "liver"
    assert answer.n_missing_genes == 0


def test_a_table_without_a_model_gets_places_but_no_labels(explored, tmp_path):
    _, _, counts, view = explored
    bare = dataclasses.replace(view, model=None, predictions=None)
    table = write_table(tmp_path / "bare.tsv", bare, counts[:2], ["a", "b"])

    answer = answer_upload(bare, table)

    assert [one.prediction for one in answer.samples] == [None, None]
    assert all(one.place for one in answer.samples)


def test_rounded_counts_are_told(explored, tmp_path):
    _, _, counts, view = explored
    estimated = counts[[0]].astype(float)
    estimated[0, :5] += 0.25
    table = write_table(tmp_path / "half.tsv", view, estimated, ["a"])

    notes = answer_upload(view, table).notes

    assert any("rounded" in note for note in notes)


def test_few_samples_are_points_with_names(view):
    picture = draw_map(view, "label")

    assert (picture.kind, picture.n_samples) == ("points", 108)
    assert picture.categories == [*sorted(TISSUES), "no label"]
    counts = {group.name: group.n_samples for group in picture.groups}
    assert counts == {**dict.fromkeys(TISSUES, 24), "no label": 12}
    for group in picture.groups:
        if group.name == "no label":
            assert group.place is None
            continue
        own = [
            (x, y)
            for x, y, value in zip(picture.x, picture.y, picture.value, strict=True)
            if picture.categories[int(value)] == group.name
        ]
        low, high = np.min(own, axis=0) - 0.01, np.max(own, axis=0) + 0.01
        assert (low <= group.place).all()
        assert (group.place <= high).all()
    assert len(picture.x) == len(picture.samples) == 108
    row = picture.samples.index("GSM60")
    assert picture.categories[int(picture.value[row])] == "liver"


def test_many_samples_are_squares_that_hold_them_all(view, monkeypatch):
    from expressome.pipeline import map_exploring

    monkeypatch.setattr(map_exploring, "_N_POINTS", 10)
    by_label = draw_map(view, "label")
    by_gene = draw_map(view, f"gene:{view.atlas.var.index[0]}")

    assert by_label.kind == by_gene.kind == "density"
    assert sum(by_label.n) == sum(by_gene.n) == 108
    mean = np.average(by_gene.value, weights=by_gene.n)
    np.testing.assert_allclose(mean, view.atlas.read(genes=[0]).mean(), rtol=1e-5)


def test_a_square_has_the_colour_of_its_most_frequent_label(view, monkeypatch):
    from expressome.pipeline import map_exploring

    monkeypatch.setattr(map_exploring, "_N_POINTS", 10)
    picture = draw_map(view, "label", ratio=2.0)

    assert picture.grid == [91, 45]
    for value, text, n in zip(picture.value, picture.texts, picture.n, strict=True):
        name, _, share = text.rpartition(", ")
        assert name == picture.categories[int(value)]
        assert share.endswith("%")
        assert n > 1 or share == "100%"


def test_most_frequent_group_of_a_square_is_not_outvoted_by_all_others_together():
    square = np.array([0, 0, 0, 0, 0, 1, 1])
    groups = np.array([0, 0, 1, 2, 3, 3, 2])

    winner, n_winner = _find_most_frequent(square, groups, 3)

    assert winner.tolist() == [0, 2, 0]
    assert n_winner.tolist() == [2, 1, 0]
    labelled, _ = _find_most_frequent(square, groups, 3, without=0)
    assert labelled.tolist() == [1, 2, 0]


def test_studies_in_view_have_the_colours_and_the_rest_is_pooled(view):
    picture = draw_map(view, "study")

    assert len(picture.categories) == 9
    assert picture.categories[-1] == "other"
    assert sum(group.n_samples for group in picture.groups) == 108
    assert len(picture.groups) == 36
    row = view.map.places[60].astype(float)
    near = draw_map(
        view, "study", box=MapBox(row[0] - 1e-3, row[0] + 1e-3, row[1] - 1e-3, row[1] + 1e-3)
    )
    assert describe_sample(view, "GSM60").fields["study"] in near.categories
    assert "other" not in near.categories


def test_a_picture_of_impossible_shape_is_refused(view):
    with pytest.raises(InvalidValueError, match=r"ratio is 9.0; .* 0.2 to 5"):
        draw_map(view, ratio=9.0)


def test_a_part_of_the_map_holds_what_lies_in_it(view):
    x, y = view.map.places[60].astype(float)

    picture = draw_map(view, "study", box=MapBox(x - 1e-3, x + 1e-3, y - 1e-3, y + 1e-3))

    assert "GSM60" in picture.samples
    assert picture.n_samples < 108


@pytest.mark.parametrize("color", ["label", "study", "confidence", "density", "label:liver"])
def test_every_colour_draws_all_samples(view, color):
    assert draw_map(view, color).n_samples == 108


@pytest.mark.parametrize(
    ("color", "error", "words"),
    [
        ("rainbow", InvalidValueError, "there is no colour 'rainbow'"),
        ("label:spleen", InvalidValueError, "no label of the atlas is 'spleen'; it has 4"),
        ("gene:NOPE9", SelectionError, "no gene of the atlas is named 'NOPE9'"),
    ],
    ids=["colour", "label", "gene"],
)
def test_unknown_colours_are_refused(view, color, error, words):
    with pytest.raises(error, match=words):
        draw_map(view, color)


def test_confidence_without_a_model_is_refused(view):
    bare = dataclasses.replace(view, model=None, predictions=None)

    with pytest.raises(AtlasError, match="confidence needs a model"):
        draw_map(bare, "confidence")


def test_no_box_is_refused():
    with pytest.raises(InvalidValueError, match="give x0 < x1"):
        MapBox(1, 1, 0, 2)


def test_tiny_atlas_has_no_map_but_answers(tmp_path):
    from tests.support.build import make_archs4, make_genes

    from expressome.pipeline.normalizing import normalize
    from expressome.reference.lengths import load_lengths

    genes = make_genes(4)
    genes.index = pd.Index(load_lengths("human").index[:4], name="gene", dtype=object)
    make_archs4(tmp_path / "x.h5", counts=np.array([[5, 1, 0, 9], [4, 2, 1, 7]]), genes=genes)
    normalize(tmp_path / "x.h5", out=tmp_path / "a.zarr")

    view = open_view(tmp_path / "a.zarr")

    assert view.map is None
    assert not view.facts.has_map
    assert describe_gene(view, genes.index[0]).similar == []
    with pytest.raises(AtlasError, match="too few for a map"):
        draw_map(view)
