"""The page as a reader meets it: opened in a browser, sorted, searched, downloaded, printed."""

import numpy as np
import pytest
from tests.support.browser import CHROMIUM, hold_browser, open_page
from tests.support.content import make_content

from expressome.reporting.page import render_page

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]
DRAWN = "document.documentElement.dataset.drawn === 'all'"
CELLS = "[...document.querySelectorAll('#{} tbody tr')].map(r => r.cells[{}].textContent)"


@pytest.fixture(scope="module", autouse=True)
def _browser():
    with hold_browser():
        yield


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(render_page(make_content(np.random.default_rng(0))), encoding="utf-8")
    return file


@pytest.fixture(scope="module", params=[False, True], ids=["light", "dark"])
def page(file, request):
    with open_page(file, dark=request.param) as page:
        page.wait_for(DRAWN)
        yield page


def test_nothing_is_complained_about_or_fetched(page, file):
    assert page.messages == []
    fetched = [address for address in page.requests if not address.startswith(("data:", "blob:"))]
    assert fetched == [file.as_uri()]


def test_every_figure_is_drawn(page):
    drawn = page.evaluate(
        "[...document.querySelectorAll('.plot')].map(p => !!p.querySelector('svg'))"
    )

    assert len(drawn) == 25
    assert all(drawn)


def test_page_fits_its_width(page):
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_table_sorts_by_a_column_and_back(page):
    page.evaluate("document.querySelectorAll('#labels th button')[4].click()")
    descending = [int(n.replace(",", "")) for n in page.evaluate(CELLS.format("labels", 4))]
    page.evaluate("document.querySelectorAll('#labels th button')[4].click()")
    ascending = [int(n.replace(",", "")) for n in page.evaluate(CELLS.format("labels", 4))]

    assert descending == sorted(descending, reverse=True)
    assert ascending == sorted(ascending)
    sort = "document.querySelectorAll('#labels th')[4].getAttribute('aria-sort')"
    assert page.evaluate(sort) == "ascending"


def test_search_finds_a_gene_and_says_how_many(page):
    page.evaluate("pageTables.get('gene-table').find('GENE77')")

    found = page.evaluate(CELLS.format("gene-table", 0))
    status = page.evaluate("document.querySelector('#gene-table .status').textContent")
    page.evaluate("pageTables.get('gene-table').find('')")

    assert found
    assert all("GENE77" in symbol for symbol in found)
    assert status == f"{len(found)} rows found among 1,500"


def test_chosen_gene_is_marked_in_the_figure(page):
    page.evaluate("document.querySelector('#gene-table .pick').click()")

    marked = page.evaluate("[...document.querySelector('#gene-plane .plot').data.at(-1).text]")
    name = page.evaluate("document.querySelector('#gene-table .pick').textContent")
    page.evaluate("document.querySelector('#gene-table .pick').click()")

    assert marked == [name]


def test_numbers_are_written_alike_with_and_without_scripts(page, file):
    from html.parser import HTMLParser

    class Cells(HTMLParser):
        def __init__(self):
            super().__init__()
            self.cells, self.inside = [], False

        def handle_starttag(self, tag, _attrs):
            self.inside = tag == "td"
            if self.inside:
                self.cells.append("")

        def handle_data(self, data):
            if self.inside:
                self.cells[-1] += data

        def handle_endtag(self, _tag):
            self.inside = False

    page.evaluate("[...pageTables.values()].forEach(t => t.draw())")
    parser = Cells()
    parser.feed(file.read_text(encoding="utf-8"))
    fresh = "new DOMParser().parseFromString(document.documentElement.outerHTML, 'text/html')"
    shown = page.evaluate(f"[...{fresh}.querySelectorAll('td')].map(cell => cell.textContent)")

    assert sorted(shown) == sorted(parser.cells)


def test_figures_and_tables_are_saved(page):
    page.evaluate("window.saved = []; saveText = (name, text) => saved.push([name, text])")
    page.evaluate("pageFigures.get('label-counts').saveSvg()")
    page.evaluate("pageFigures.get('label-counts').saveTsv()")
    page.evaluate("document.querySelector('#gene-table [data-download]').click()")
    page.wait_for("saved.length === 3")

    saved = dict(page.evaluate("saved"))
    assert saved["label-counts.svg"].startswith("<svg")
    assert "liver" in saved["label-counts.svg"]
    assert page.evaluate("fileName('x.tsv')") == "simulated-x.tsv"
    lines = saved["label-counts.tsv"].splitlines()
    assert lines[0].split("\t")[0] == "label"
    assert len(lines) == 25
    assert len(saved["gene-table.tsv"].splitlines()) == 1501


def test_theme_switches_and_figures_follow(page):
    colour = "document.querySelector('#label-counts .plot').layout.font.color"
    before = page.evaluate(colour)

    page.evaluate("document.getElementById('theme').click()")
    after = page.evaluate(colour)
    page.evaluate("document.getElementById('theme').click()")

    assert {before, after} == {"#334155", "#CBD5E1"}


def test_everything_to_click_has_a_name_and_takes_the_focus(page):
    nameless = page.evaluate(
        "[...document.querySelectorAll('button, a, input')].filter(e => !e.closest('[hidden]') && "
        "!(e.getAttribute('aria-label') || e.textContent || e.labels?.length)).length"
    )
    assert nameless == 0
    assert page.evaluate(
        "[...document.querySelectorAll('.scroll')].every(e => e.tabIndex === 0 && "
        "document.getElementById(e.getAttribute('aria-labelledby')))"
    )


def test_no_serious_accessibility_fault_is_found(page):
    assert page.find_faults() == []


@pytest.mark.parametrize("width", [320, 768])
def test_narrow_pages_do_not_scroll_sideways(file, width):
    with open_page(file, width=width) as page:
        page.wait_for(DRAWN)

        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.messages == []


def test_print_holds_all_figures_on_paper(file):
    with open_page(file, dark=True) as page:
        printed = page.call("Page.printToPDF", printBackground=True)["data"]
        drawn = page.evaluate(
            "[...document.querySelectorAll('.plot')].every(p => p.querySelector('svg'))"
        )

    assert drawn
    assert len(printed) > 100_000


def test_hostile_names_run_nothing(tmp_path, rng):
    content = make_content(rng, n_labels=6)
    attack = '<img src=x onerror="window.attacked=1"></script><script>window.attacked=1</script>'
    content.samples.labels.index = [attack, *content.samples.labels.index[1:]]
    content.samples.plane["group"] = attack
    content.genes.table["symbol"] = attack
    file = tmp_path / "hostile.html"
    file.write_text(render_page(content), encoding="utf-8")

    with open_page(file) as page:
        page.wait_for(DRAWN)
        page.evaluate("document.querySelector('#gene-table .pick').click()")

        assert page.evaluate("window.attacked") is None
        assert page.evaluate("document.images.length") == 0
        assert page.messages == []


def test_a_large_page_opens_fast(tmp_path, rng):
    content = make_content(rng, n_samples=120_000, n_labels=200, n_genes=67_000)
    file = tmp_path / "large.html"
    file.write_text(render_page(content), encoding="utf-8")

    with open_page(file) as page:
        # Processor time of the page's thread: tests share their processors, so clocks say little.
        page.call("Performance.enable", timeDomain="threadTicks")
        page.page.reload(wait_until="load")
        metrics = {m["name"]: m["value"] for m in page.call("Performance.getMetrics")["metrics"]}
        assert page.evaluate("document.querySelectorAll('tbody tr').length") > 25

    assert file.stat().st_size < 15_000_000
    assert metrics["TaskDuration"] < 2
