"""The command `download`."""

from pathlib import Path
from typing import Any

import click

from expressome.cli.options import (
    dry_run_option,
    expected_failures,
    overwrite_option,
    resource_options,
)
from expressome.engine import Resources

__all__ = ["download"]

# Written out here so that `--help` loads nothing; a test holds them equal to the library's.
LEVELS = ("gene", "transcript", "tpm")
INDEX_URL = "https://archs4.org/api/versionfile"


@click.command()
@click.argument("what", metavar="human|mouse|URL")
@click.option(
    "--level",
    type=click.Choice(LEVELS),
    default="gene",
    show_default=True,
    help="Gene counts, transcript counts, or transcript TPM.",
)
@click.option("--version", default="2.6", show_default=True, help="Release, or 2.latest.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path(),
    show_default="this folder",
    help="Folder for the file.",
)
@click.option(
    "--index-url",
    default=INDEX_URL,
    show_default=True,
    help="List of files with sizes and SHA1; empty to ask nobody.",
)
@click.option(
    "--mirror",
    multiple=True,
    metavar="URL",
    help="Folder to take the file from instead of ARCHS4's; several are tried in turn.",
)
@click.option("--sha256", default="", help="Checksum the file must have, if you know it.")
@overwrite_option
@dry_run_option
@resource_options
@expected_failures
def download(what: str, resources: Resources, **options: Any) -> None:  # noqa: ANN401 - by name
    """Download a published ARCHS4 file, or any file by its URL.

    A run that was stopped goes on where it was when it is started again. The checksum is
    compared where one is published, and always recorded in NAME.manifest.json.

    \b
    Example:
        expressome download human --level gene --dry-run
    """
    from expressome import pipeline

    click.echo(pipeline.download(what, resources=resources, **options).to_json())
