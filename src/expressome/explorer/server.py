"""Serve the explorer on this machine."""

import os
import socket
from collections.abc import Callable

from expressome.engine import Resources
from expressome.errors import ConfigurationError, MissingExtraError
from expressome.explorer.guard import allowed_hosts, is_loopback
from expressome.pipeline.exploring import AtlasView, open_view
from expressome.pipeline.gene_exploring import describe_gene
from expressome.pipeline.reason_exploring import explain_sample
from expressome.pipeline.sample_exploring import describe_sample, find_samples

__all__ = ["serve"]


def serve(
    atlas: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str] | None = None,
    compendium: str | os.PathLike[str] | None = None,
    host: str = "127.0.0.1",
    port: int = 8765,
    on_ready: Callable[[str], None] | None = None,
    resources: Resources | None = None,
) -> None:
    """Serve an atlas as a page and a JSON API until interrupted.

    Parameters
    ----------
    atlas
        Folder that `normalize` wrote. At the first start its map is computed and stored in it.
    model
        Folder that `train` wrote, to label samples.
    compendium
        ARCHS4 file whose texts are searched.
    host
        Address to listen on. The default reaches this machine only; with any other, everybody
        who reaches the address can read the atlas, and there is no password.
    port
        0 takes a free one.
    on_ready
        Called with the address of the page once it can be opened.
    resources
        Memory, threads, seed and progress.

    Raises
    ------
    MissingExtraError
        If FastAPI or uvicorn is not installed.
    ConfigurationError
        If the address cannot be listened on.
    InputNotFoundError, AtlasError, ModelError
        If atlas, model or compendium cannot be opened.

    Examples
    --------
    >>> serve("/tmp/no-such-atlas")
    Traceback (most recent call last):
    expressome.errors.InputNotFoundError: /tmp/no-such-atlas does not exist; ...
    """
    try:
        import uvicorn

        from expressome.explorer.app import create_app
    except ImportError as error:
        msg = (
            f"the explorer needs fastapi and uvicorn ({error.name} is missing); "
            "install them with: pip install 'expressome[explore]'"
        )
        raise MissingExtraError(msg) from None
    view = open_view(atlas, model=model, compendium=compendium, resources=resources)
    _ask_first(view)
    listening = _listen(host, port)
    app = create_app(view, hosts=allowed_hosts(host), allows_addresses=not is_loopback(host))
    settings = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="none",
        lifespan="off",
        # Longer than people think between two questions: their browser's connection stays.
        timeout_keep_alive=75,
    )
    shown = f"[{host}]" if ":" in host else host
    with listening:
        if on_ready is not None:
            on_ready(f"http://{shown}:{listening.getsockname()[1]}/")
        try:
            uvicorn.Server(settings).run(sockets=[listening])
        except KeyboardInterrupt:
            return  # the way it is meant to end


def _ask_first(view: AtlasView) -> None:
    """Have the first visitor not wait for tables to be read and names to be arranged."""
    if view.facts.n_samples and view.facts.n_genes:
        describe_sample(view, str(view.atlas.obs.index[0]))
        describe_gene(view, str(view.atlas.var.index[0]))
        find_samples(view, "a")
        if view.model is not None:
            explain_sample(view, str(view.atlas.obs.index[0]))


def _listen(host: str, port: int) -> socket.socket:
    """Open the port before anything is printed."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # Named as TCP, or asyncio leaves Nagle's algorithm on: 40 ms more for every answer.
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(128)
    except OSError as error:
        msg = f"cannot listen on {host}, port {port} ({error}); choose another port, or 0 for any"
        raise ConfigurationError(msg) from None
    return listening
