"""The JSON API over an atlas, and the page that asks it."""

import dataclasses
import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi import Path as InPath
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response

from expressome.errors import (
    AtlasError,
    ExpressomeError,
    InvalidValueError,
    SelectionError,
)
from expressome.explorer.guard import Guard
from expressome.explorer.uploads import AnswerStore, TooLargeError, make_folder, receive_table
from expressome.pipeline.exploring import AtlasFacts, AtlasView, palette, shared_asset
from expressome.pipeline.gene_exploring import GeneHit, GenePage, describe_gene, find_genes
from expressome.pipeline.map_exploring import MapBox, MapPicture, draw_map
from expressome.pipeline.reason_exploring import SampleReasons, explain_sample
from expressome.pipeline.sample_exploring import (
    SampleHits,
    SamplePage,
    describe_sample,
    find_samples,
)
from expressome.pipeline.upload_exploring import UploadAnswer, answer_upload
from expressome.results import to_plain
from expressome.version import __version__

__all__ = ["create_app"]

# What may be asked for by name; nothing else of the disk is ever read for a page.
_SHARED = {
    "plotly.js": "text/javascript",
    "look.css": "text/css",
    "tables.js": "text/javascript",
    "figures.js": "text/javascript",
}
_OWN = {
    "app.css": "text/css",
    "app.js": "text/javascript",
    "parts.js": "text/javascript",
    "places.js": "text/javascript",
    "genes.js": "text/javascript",
    "samples.js": "text/javascript",
    "upload.js": "text/javascript",
    "about.js": "text/javascript",
}
_PAGES = ("/", "/gene/{name}", "/samples", "/sample/{name}", "/map", "/upload", "/upload/{token}")

_Name = Annotated[str, InPath(max_length=200, description="Symbol or id.")]
_Words = Annotated[str, Query(max_length=300)]


class _Json(Response):
    """Strict JSON of any result; NaN is null."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:  # noqa: ANN401
        try:
            return _write(content)
        except ValueError:  # there is a NaN in it: every single value has to be looked at
            return _write(to_plain(content))


def _write(content: Any) -> bytes:  # noqa: ANN401
    text = json.dumps(
        content, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_open
    )
    return text.encode()


def _open(value: Any) -> Any:  # noqa: ANN401
    """Turn what JSON does not know into what it knows, without looking into lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return to_plain(value)


def create_app(
    view: AtlasView, *, hosts: frozenset[str], allows_addresses: bool = False
) -> FastAPI:
    """Build the application.

    Parameters
    ----------
    view
        The atlas, opened.
    hosts
        Names that a request may be addressed to.
    allows_addresses
        Whether any numeric address may be asked for.

    Returns
    -------
    FastAPI
        Its description is at ``/api/openapi.json``.
    """
    app = FastAPI(
        title="expressome explorer",
        version=__version__,
        description="Questions to an atlas of gene expression. Answers are JSON; errors are "
        '`{"error": "what is wrong and what to do"}`.',
        openapi_url="/api/openapi.json",
        # Their pages load scripts from elsewhere; ours shows the same description.
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(Guard, hosts=hosts, allows_addresses=allows_addresses)
    _add_errors(app)
    _add_questions(app, view)
    _add_uploads(app, view)
    _add_pages(app)
    return app


def _add_errors(app: FastAPI) -> None:
    """Say every failure in the same form."""

    @app.exception_handler(ExpressomeError)
    async def explain(_request: Request, error: ExpressomeError) -> Response:
        return _Json({"error": _write_error(error)}, status_code=_status(error))

    @app.exception_handler(RequestValidationError)
    async def refuse(_request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][1:])
        return _Json({"error": f"{place}: {first['msg']}"}, status_code=400)

    @app.exception_handler(HTTPException)
    async def say(_request: Request, error: HTTPException) -> Response:
        texts = {404: "there is no such page", 405: "this cannot be asked that way"}
        text = texts.get(error.status_code, str(error.detail))
        return _Json({"error": text}, status_code=error.status_code)


def _status(error: ExpressomeError) -> int:
    """Choose the HTTP status of an expected failure."""
    kinds = (
        (SelectionError, 404),
        (InvalidValueError, 400),
        (AtlasError, 409),
        (TooLargeError, 413),
    )
    return next((status for kind, status in kinds if isinstance(error, kind)), 422)


def _write_error(error: ExpressomeError) -> str:
    notes = getattr(error, "__notes__", [])
    return "; ".join([str(error), *notes])


def _add_questions(app: FastAPI, view: AtlasView) -> None:
    """Add what can be asked of the atlas."""

    @app.get("/api/atlas", response_model=AtlasFacts, summary="What the atlas is", tags=["atlas"])
    def atlas() -> Response:
        return _Json(view.facts)

    @app.get("/api/genes", response_model=list[GeneHit], summary="Find genes", tags=["genes"])
    def genes(q: _Words = "", limit: Annotated[int, Query(ge=1, le=200)] = 20) -> Response:
        return _Json(find_genes(view, q, limit=limit))

    @app.get("/api/genes/{name}", response_model=GenePage, summary="One gene", tags=["genes"])
    def gene(name: _Name) -> Response:
        return _Json(describe_gene(view, name))

    @app.get("/api/samples", response_model=SampleHits, summary="Find samples", tags=["samples"])
    def samples(
        *,
        q: _Words = "",
        label: _Words = "",
        offset: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=200)] = 25,
    ) -> Response:
        return _Json(find_samples(view, q, label=label, offset=offset, limit=limit))

    @app.get(
        "/api/samples/{name}", response_model=SamplePage, summary="One sample", tags=["samples"]
    )
    def sample(name: _Name) -> Response:
        return _Json(describe_sample(view, name))

    @app.get(
        "/api/samples/{name}/reasons",
        response_model=SampleReasons,
        summary="Why the model gives a sample its label",
        tags=["samples"],
    )
    def reasons(name: _Name) -> Response:
        return _Json(explain_sample(view, name))

    @app.get("/api/map", response_model=MapPicture, summary="The map of samples", tags=["map"])
    def plane(
        *,
        color: Annotated[
            str,
            Query(
                max_length=200,
                description="label, label:KEY, study, confidence, gene:NAME or density",
            ),
        ] = "label",
        x0: float | None = None,
        x1: float | None = None,
        y0: float | None = None,
        y1: float | None = None,
        ratio: Annotated[
            float, Query(description="width over height of the picture, 0.2 to 5")
        ] = 1.0,
    ) -> Response:
        bounds = (x0, x1, y0, y1)
        given = [bound for bound in bounds if bound is not None]
        if len(given) not in (0, 4):
            msg = "a part of the map needs all of x0, x1, y0 and y1"
            raise InvalidValueError(msg)
        box = MapBox(given[0], given[1], given[2], given[3]) if given else None
        return _Json(draw_map(view, color, box=box, ratio=ratio))


def _add_uploads(app: FastAPI, view: AtlasView) -> None:
    """Add what is done with a table from outside."""
    store = AnswerStore()

    @app.post(
        "/api/uploads",
        status_code=201,
        summary="Label the samples of a count table",
        description="The body is the table itself: raw counts, genes x samples as TSV, CSV "
        "(gzipped or not) or Parquet, or h5ad, at most 64 MB. `token` names the answer for a "
        "while; the table is not kept.",
        tags=["uploads"],
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/octet-stream": {"schema": {"format": "binary"}}},
            }
        },
        responses={413: {"description": "Too large"}, 422: {"description": "Not a count table"}},
    )
    async def upload(request: Request, name: _Words = "table.tsv") -> Response:
        length = request.headers.get("content-length", "")
        with make_folder() as folder:
            path = await receive_table(
                request.stream(),
                Path(folder),
                name=name,
                declared_bytes=int(length) if length.isdecimal() else None,
            )
            try:
                answer = await run_in_threadpool(answer_upload, view, path)
            except ExpressomeError as error:
                text = _write_error(error).replace(f"{folder}/", "")
                return _Json({"error": text}, status_code=_status_of_table(error))
        return _Json({"token": store.keep(answer), "answer": answer}, status_code=201)

    @app.get(
        "/api/uploads/{token}",
        response_model=UploadAnswer,
        summary="An answer again",
        tags=["uploads"],
    )
    def uploaded(token: _Name) -> Response:
        answer = store.find(token)
        if answer is None:
            msg = "this answer is gone; drop the table again"
            raise SelectionError(msg)
        return _Json(answer)


def _status_of_table(error: ExpressomeError) -> int:
    return 413 if isinstance(error, TooLargeError) else 422


@cache
def _read_page() -> bytes:
    """Give the page, with the colours that its figures take in the dark."""
    text = files("expressome.explorer").joinpath("static", "index.html").read_text("utf-8")
    # Only colours: nothing in them could end the element that they stand in.
    return text.replace("{{colours}}", json.dumps(palette()["dark"])).encode()


@cache
def _read_file(name: str) -> bytes:
    if name in _SHARED:
        return shared_asset(name)
    return files("expressome.explorer").joinpath("static", name).read_bytes()


def _add_pages(app: FastAPI) -> None:
    """Add the page at each of its addresses, and its files."""

    async def page() -> Response:
        return Response(_read_page(), media_type="text/html")

    for address in (*_PAGES, "/about"):
        app.add_api_route(address, page, include_in_schema=False)

    @app.get("/static/{name}", include_in_schema=False)
    async def static(name: str) -> Response:
        kind = _SHARED.get(name) or _OWN.get(name)
        if kind is None:
            raise HTTPException(404)
        headers = {"cache-control": "no-cache"}
        return Response(_read_file(name), media_type=kind, headers=headers)

    @app.get("/api/palette", include_in_schema=False)
    async def colours() -> Response:
        return _Json(palette())
