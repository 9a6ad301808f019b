"""The page is one file that is whole, safe and small, whatever is in it."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from tests.support.content import make_content, make_names, make_samples

from expressome.errors import MissingExtraError
from expressome.reporting.page import build_sections, render_page

VOID = {"meta", "link", "input", "br", "img", "hr"}
HOSTILE = '</script><script>alert("x")</script><img src=x onerror=alert(1)>&\u2028'


class Reader(HTMLParser):
    """Reads a page, checks that elements nest, and keeps what tests ask for."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.words, self.scripts = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append([dict(attrs), ""])

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1][1] += data
        elif not self.open or self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def named(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def read(page):
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader


@pytest.fixture(scope="module")
def page():
    return render_page(make_content(np.random.default_rng(0)))


def test_page_is_well_formed(page):
    reader = read(page)

    assert page.startswith("<!doctype html>")
    assert reader.open == []
    ids = [a["id"] for _, a in reader.elements if "id" in a]
    assert len(ids) == len(set(ids))


def test_every_section_has_its_heading_and_its_place_in_the_contents(page):
    reader = read(page)
    keys = [section["id"] for section in reader.named("section")]

    assert keys == [
        "data",
        "normalisation",
        "batch",
        "genes",
        "classification",
        "predictions",
        "synthetic",
        "provenance",
        "citations",
    ]
    assert [f"#{key}" for key in keys] == [
        a["href"] for a in reader.named("a") if a["href"].startswith("#") and a["href"] != "#main"
    ]


def test_every_figure_has_a_caption_and_a_text_alternative(page):
    reader = read(page)
    plots = [a for a in reader.named("div") if a.get("class") == "plot"]

    assert len(plots) == len(reader.named("figure")) == len(reader.named("figcaption")) == 25
    assert all(plot["role"] == "img" for plot in plots)
    assert all(len(plot["aria-label"]) > 40 for plot in plots)
    assert all(re.search(r"\d", plot["aria-label"]) for plot in plots)


def test_every_figure_carries_its_plot_and_its_data(page):
    embedded = [text for attrs, text in read(page).scripts if attrs.get("class") == "figure-data"]

    for text in embedded:
        figure = json.loads(text)
        sizes = {len(column) for column in figure["table"].values()}
        assert figure["plot"]["data"]
        assert len(sizes) == 1, figure["table"].keys()


def test_every_table_has_a_caption_and_headed_columns(page):
    reader = read(page)

    assert len(reader.named("table")) == len(reader.named("caption")) == 9
    assert all(a["scope"] == "col" for a in reader.named("th"))


def test_nothing_is_loaded_from_anywhere(page):
    reader = read(page)

    loaded = [
        a[name] for _, a in reader.elements for name in ("src", "data-src", "srcset") if name in a
    ]
    linked = [a["href"] for a in reader.named("link")]
    assert loaded == []
    assert linked == ["data:,"]
    outward = [a["href"] for a in reader.named("a") if not a["href"].startswith("#")]
    assert outward
    assert all(address.startswith("https://doi.org/10.") for address in outward)
    style = page[page.index("<style>") : page.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_policy_allows_our_scripts_only(page):
    reader = read(page)
    policy = next(a["content"] for a in reader.named("meta") if "http-equiv" in a)
    allowed = set(re.findall(r"'sha256-([^']+)'", policy))

    running = [text for attrs, text in reader.scripts if attrs.get("type") != "application/json"]
    hashes = {base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in running}
    assert hashes == allowed
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy


def test_hostile_names_stay_text(rng):
    content = make_content(rng, n_labels=6)
    names = [HOSTILE, *make_names(6)[1:]]
    for part in (content.samples.labels, content.samples.cooccurrence, content.genes.markers):
        part.index = [HOSTILE, *part.index[1:]]
    content.samples.plane["group"] = HOSTILE
    content.samples.plane["sample"] = HOSTILE
    content.classification.per_label.index = names
    content.classification.confusion.index = names
    content.genes.table["symbol"] = HOSTILE
    content.synthetic.plane["group"] = HOSTILE
    content.manifests["atlas"]["parameters"][HOSTILE] = HOSTILE

    page = render_page(content)

    plain = read(render_page(make_content(rng, n_labels=6)))
    hostile = read(page)
    assert len(hostile.scripts) == len(plain.scripts)
    assert hostile.named("img") == []
    assert 'alert("x")' in hostile.text
    figures = [text for attrs, text in hostile.scripts if attrs.get("class") == "figure-data"]
    for text in figures:
        drawn = json.dumps(json.loads(text)["plot"])
        assert "<img" not in drawn
        assert "<script" not in drawn


def test_simulated_data_are_named_as_such_on_top(rng):
    real = render_page(make_content(rng, simulated=False))
    simulated = render_page(make_content(rng))

    assert "Simulated data." not in read(real).text
    reader = read(simulated)
    assert reader.text.index("Simulated data.") < reader.text.index("samples")
    assert any(a.get("role") == "note" for a in reader.named("aside"))


def test_a_page_without_parts_says_how_to_get_them(rng):
    text = read(render_page(make_content(rng, parts=False))).text

    for words in ("expressome measure", "--model", "--predictions", "--synthetic"):
        assert words in text
    assert "Lachmann A" in text


def test_parts_may_be_missing_one_by_one(rng):
    import dataclasses

    content = make_content(rng)

    for name in ("normalization", "genes", "classification", "predictions", "synthetic"):
        sections = build_sections(dataclasses.replace(content, **{name: None}))
        assert sum(bool(section.absent) for section in sections) == 1


def test_an_atlas_without_labels_can_be_shown(rng):
    samples = make_samples(rng, 50, 3)
    import dataclasses

    bare = dataclasses.replace(
        samples,
        labels=samples.labels.iloc[:0],
        cooccurrence=samples.cooccurrence.iloc[:0, :0],
        n_labelled=0,
        labels_per_sample=np.array([50]),
        depth=None,
        detected=None,
        single_cell=None,
        plane=None,
    )
    content = dataclasses.replace(make_content(rng, parts=False), samples=bare)

    text = read(render_page(content)).text

    assert "0 labels" in text
    assert "0% with a label" in text


def test_a_large_compendium_stays_small_enough_to_send(rng):
    content = make_content(rng, n_samples=120_000, n_labels=200, n_genes=67_000)

    page = render_page(content)

    # 15 MB is what the report promises; the vendored library is 1.5 MB of it.
    assert len(page.encode()) < 15_000_000
    assert page.count("<tr>") < 1500


def test_long_tables_show_a_page_and_carry_all_rows(rng):
    page = render_page(make_content(rng, n_genes=900))

    reader = read(page)
    tables = [json.loads(t) for a, t in reader.scripts if a.get("class") == "table-data"]
    genes = next(t for t in tables if t["linked"])
    assert genes["pageRows"] == 25
    assert {len(values) for values in genes["values"]} == {900}
    assert genes["linked"] in {a["id"] for a in reader.named("figure")}


@pytest.mark.parametrize("library", ["plotly.graph_objects", "jinja2"])
def test_missing_library_is_named_with_its_cure(library, rng, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, library, None)

    with pytest.raises(MissingExtraError, match=r"pip install 'expressome\[report\]'"):
        render_page(make_content(rng, parts=False))


def test_tiles_tell_the_leak_beside_the_score(page):
    text = read(page).text

    assert "0.74 " in text
    assert "random split of a plain forest: 0.93" in text


def test_label_without_test_samples_is_counted_not_scored(rng):
    content = make_content(rng, n_labels=5)
    content.classification.per_label.loc[:, "support"] = [4, 0, 3, 0, 9]

    text = read(render_page(content)).text

    assert "2 without test samples cannot be scored" in text
    assert "of 3 labels with test samples" in text


def test_every_score_of_a_label_is_in_the_table(rng):
    content = make_content(rng, n_labels=4)
    content.classification.per_label.iloc[1] = pd.Series(
        {
            "precision": 0.111,
            "recall": 0.222,
            "f1": 0.333,
            "average_precision": 0.444,
            "auroc": 0.555,
            "support": 77,
            "threshold": 0.666,
            "testable": True,
        }
    )

    text = read(render_page(content)).text

    for written in ("0.11", "0.22", "0.33", "0.44", "0.56", "77", "0.67"):
        assert f" {written} " in text
