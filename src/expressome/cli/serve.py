"""The command `serve`."""

import webbrowser
from pathlib import Path

import click

from expressome.cli.options import expected_failures, resource_options
from expressome.engine import Resources
from expressome.results import to_json

__all__ = ["serve"]

_EXISTING = click.Path(path_type=Path)


@click.command()
@click.argument("atlas", type=_EXISTING)
@click.option("--model", type=_EXISTING, default=None, help="Folder that `train` wrote.")
@click.option(
    "--compendium", type=_EXISTING, default=None, help="ARCHS4 file whose texts are searched."
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; any other lets everybody who reaches it read the atlas.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="0 takes a free one.",
)
@click.option("--open", "open_page", is_flag=True, help="Open the page in a browser.")
@resource_options
@expected_failures
def serve(
    atlas: Path,
    model: Path | None,
    compendium: Path | None,
    host: str,
    port: int,
    open_page: bool,
    resources: Resources,
) -> None:
    """Explore ATLAS in a browser, on this machine only, until Ctrl-C.

    The first start places all samples on a map and stores it in the atlas.

    \b
    Example:
        expressome serve human.zarr --model model --open
    """
    from expressome.explorer.server import serve as run

    def announce(url: str) -> None:
        click.echo(to_json({"verb": "serve", "url": url, "atlas": atlas, "model": model}))
        if open_page:
            webbrowser.open(url)

    run(
        atlas,
        model=model,
        compendium=compendium,
        host=host,
        port=port,
        on_ready=announce,
        resources=resources,
    )
