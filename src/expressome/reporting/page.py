"""Put sections into one self-contained page."""

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import Any

from expressome.errors import MissingExtraError
from expressome.reporting.content import ReportContent
from expressome.reporting.figures.frame import Figure, load_plotly
from expressome.reporting.palette import DARK
from expressome.reporting.section import Section, list_tiles
from expressome.reporting.sections import (
    build_batch,
    build_classification,
    build_data,
    build_genes,
    build_normalization,
    build_predictions,
    build_synthetic,
)
from expressome.reporting.tables import embed_json, to_columns
from expressome.results import to_json
from expressome.version import __version__

__all__ = ["build_sections", "render_page"]


def build_sections(content: ReportContent) -> list[Section]:
    """Build all sections of the page, in order.

    Parameters
    ----------
    content
        What to show.

    Returns
    -------
    list of Section
        Always the same nine; one without content says how to get it.
    """
    return [
        build_data(content.samples),
        build_normalization(content.normalization),
        build_batch(content.batch),
        build_genes(content.genes),
        build_classification(content.classification),
        build_predictions(content.predictions),
        build_synthetic(content.synthetic),
        _build_provenance(content),
        _build_citations(content),
    ]


def _build_provenance(content: ReportContent) -> Section:
    facts: dict[str, str] = {"report written": f"{content.created}, expressome {__version__}"}
    for name, manifest in content.manifests.items():
        made = str(manifest.get("created", "")).replace("T", " ").removesuffix("+00:00")
        versions = manifest.get("versions", {})
        version = versions.get("expressome", "") if isinstance(versions, dict) else ""
        words = [f"{made} UTC" if made else "", f"expressome {version}" if version else ""]
        if manifest.get("seed") is not None:
            words.append(f"seed {manifest['seed']}")
        facts[name] = ", ".join(word for word in words if word) or "no details recorded"
    return Section(
        "provenance",
        "Provenance",
        "Where every number comes from: inputs with checksums, settings, seeds and versions.",
        facts=facts,
        documents={name: to_json(manifest) for name, manifest in content.manifests.items()},
    )


def _build_citations(content: ReportContent) -> Section:
    return Section(
        "citations",
        "Citations",
        "Please cite the source of the data and the methods used here.",
        points=content.citations,
    )


def _read_part(*names: str) -> str:
    return files("expressome.reporting").joinpath(*names).read_text(encoding="utf-8")


@cache
def _read_scripts() -> tuple[str, ...]:
    """Give the scripts of the page: the charting library and our own."""
    own = [_read_part("templates", name) for name in ("tables.js", "figures.js", "page.js")]
    return (_read_part("vendor", "plotly-cartesian.min.js"), "\n".join(own))


def _hash_script(script: str) -> str:
    """Give the source expression that allows exactly this inline script."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _write_policy(scripts: tuple[str, ...]) -> str:
    """Allow our own scripts and nothing from anywhere else."""
    allowed = " ".join(_hash_script(script) for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _embed_figure(figure: Figure) -> str:
    """Write a figure and its data as JSON that may stand inside a script element."""
    table = {str(name): to_columns(figure.table[name].tolist()) for name in figure.table.columns}
    plot, data = embed_json(figure.plot.to_json()), embed_json(table)
    return f'{{"plot":{plot},"table":{data}}}'


def _link_doi(sentence: str, markup: Any) -> Any:  # noqa: ANN401 - jinja2's safe text
    """Turn the doi in a sentence into a link; everything else is escaped."""
    before, mark, rest = sentence.partition("doi:")
    if not mark:
        return markup.escape(sentence)
    doi, space, after = rest.partition(" ")
    return markup('{}<a href="https://doi.org/{}" rel="noopener noreferrer">doi:{}</a>{}{}').format(
        before, doi, doi, space, after
    )


def _mark_commands(sentence: str, markup: Any) -> Any:  # noqa: ANN401 - jinja2's safe text
    """Set what stands between backticks as code."""
    parts = sentence.split("`")
    pattern = "".join("<code>{}</code>" if i % 2 else "{}" for i in range(len(parts)))
    return markup(pattern).format(*parts)


def _load_jinja() -> Any:  # noqa: ANN401 - the module
    try:
        import jinja2
    except ImportError:
        msg = (
            "a report needs plotly and jinja2; install them with: pip install 'expressome[report]'"
        )
        raise MissingExtraError(msg) from None
    return jinja2


def render_page(content: ReportContent) -> str:
    """Write the whole report as one HTML page that needs nothing else.

    Parameters
    ----------
    content
        What to show; names in it are data and are escaped everywhere.

    Returns
    -------
    str
        HTML. Nothing is loaded when it is opened: scripts, styles and data are inside, and
        the page's content security policy allows nothing else.

    Raises
    ------
    MissingExtraError
        If plotly or jinja2 is not installed.
    """
    load_plotly()
    jinja2 = _load_jinja()
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: _read_part("templates", name)),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    markup = jinja2.utils.markupsafe.Markup
    scripts = _read_scripts()
    page: str = environment.get_template("page.html.j2").render(
        content=content,
        sections=build_sections(content),
        tiles=list_tiles(content),
        policy=_write_policy(scripts),
        # Our own files and escaped JSON: what may stand in the page as it is.
        scripts=[markup(script) for script in scripts],
        style=markup(_read_part("templates", "page.css")),
        dark=markup(embed_json(DARK)),
        embed_figure=lambda figure: markup(_embed_figure(figure)),
        embed_table=lambda table: markup(table.to_embedded()),
        link_doi=lambda sentence: _link_doi(sentence, markup),
        mark_commands=lambda sentence: _mark_commands(sentence, markup),
        version=__version__,
    )
    return page
