"""The group of commands; each is loaded when it is called."""

import difflib
import importlib
import sys
import traceback
from pathlib import Path
from typing import Any

import click

from expressome.cli.messages import messages
from expressome.version import __version__

__all__ = ["COMMANDS", "cli", "main"]

# Command -> module of this package and one line of help, so that `--help` loads nothing else.
COMMANDS = {
    "demo": ("demo", "Do the whole job on a simulated compendium."),
    "run": ("run", "Do the whole job on your files, as a TOML file says."),
    "download": ("download", "Download a published ARCHS4 file, resumed and checked."),
    "fetch": ("fetch", "Fetch some samples of a remote ARCHS4 file."),
    "pack": ("pack", "Turn count tables into an ARCHS4 file."),
    "quantify": ("quantify", "Turn FASTQ files into a count table, by kallisto."),
    "inspect": ("inspect", "Show what is in a file, an atlas or a model."),
    "search": ("search", "Find samples by what was written of them."),
    "extract": ("extract", "Write chosen samples as h5ad, Zarr, Parquet, TSV or ARCHS4."),
    "verify": ("verify", "Read every part of a file, atlas or model and check it."),
    "annotate": ("annotate", "Label samples from ARCHS4 lists, folders or sheets."),
    "harmonize": ("harmonize", "Read sex, age, disease, tissue, ... from what was written."),
    "normalize": ("normalize", "Normalise counts into an atlas."),
    "update": ("update", "Bring an atlas up to a newer release of its file."),
    "measure": ("measure", "Measure how informative each gene of an atlas is."),
    "train": ("train", "Train a classifier on the labelled samples of an atlas."),
    "evaluate": ("evaluate", "Score a model on the test studies of an atlas."),
    "predict": ("predict", "Label samples without annotation."),
    "explain": ("explain", "Say why a model gives one sample its label."),
    "augment": ("augment", "Generate synthetic samples of rare labels."),
    "report": ("report", "Draw an atlas and a model as one HTML page."),
    "serve": ("serve", "Explore an atlas in a browser, on this machine."),
}


# Options of the group that people also write behind a command, and those with a value.
_FLAGS = ("-v", "-vv", "--verbose", "-q", "--quiet", "--debug", "--log-json")
_WITH_VALUE = ("--profile",)


def _bring_forward(words: list[str]) -> list[str]:
    """Put the group's options first, wherever they were written; after -- nothing is an option."""
    end = words.index("--") if "--" in words else len(words)
    first: list[str] = []
    rest: list[str] = []
    position = 0
    while position < end:
        word = words[position]
        taken = 2 if word in _WITH_VALUE else 1
        is_ours = word in _FLAGS or word.split("=")[0] in _WITH_VALUE
        (first if is_ours else rest).extend(words[position : min(position + taken, end)])
        position += taken
    return [*first, *rest, *words[end:]]


class _LazyGroup(click.Group):
    """A group that imports a command only when it runs."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, _bring_forward(args))

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"expressome.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0].lower(), COMMANDS, n=3, cutoff=0.5)
            hint = f" (close: {', '.join(close)})" if close else ""
            ctx.fail(f"no such command '{args[0]}'{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="expressome")
@click.option("-v", "--verbose", count=True, help="Log what is done; twice for more.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bars and no warnings.")
@click.option("--debug", is_flag=True, help="Show the trace of an error.")
@click.option("--log-json", is_flag=True, help="Messages as JSON, one object per line.")
@click.option(
    "--profile",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write where time is spent: .prof for calls of the main thread (pstats), any other "
    "name for stacks of all threads (flame graphs).",
)
@click.pass_context
def cli(
    ctx: click.Context,
    verbose: int,
    quiet: bool,
    debug: bool,
    log_json: bool,
    profile: Path | None,
) -> None:
    """Turn an ARCHS4 file into a labelled, normalised, measured, model-ready atlas.

    Results go to standard output, messages to standard error. Exit status: 0
    done, 1 expected failure, 2 usage, 3 a bug of ours, 130 interrupted. The
    options here may also follow the command.
    """
    messages.configure(as_json=log_json, quiet=quiet, verbosity=verbose)
    ctx.obj = {"quiet": quiet, "debug": debug}
    if profile is not None:
        if profile.exists() or not profile.absolute().parent.is_dir():
            msg = f"--profile {profile} exists, or its folder does not; choose another file"
            raise click.UsageError(msg)
        from expressome.cli.profiling import start_profile

        ctx.call_on_close(start_profile(profile))


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and end the process with its exit status.

    Parameters
    ----------
    arguments
        Words after the program's name; the process's own by default.
    """
    try:
        status: Any = cli.main(args=arguments, prog_name="expressome", standalone_mode=False)
    except click.exceptions.Exit as stop:
        status = stop.exit_code
    except click.ClickException as error:
        if messages.as_json:
            messages.say(error.format_message(), event="usage", level="error")
        else:
            error.show()
        status = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        messages.say("interrupted; nothing was replaced", event="interrupted", level="error")
        status = 130
    except BrokenPipeError:
        # The reader of our output has gone, as in `| head`: end quietly.
        sys.stderr.close()
        status = 0
    except Exception:  # noqa: BLE001 - the outermost place: whatever reaches it is our bug
        messages.say(traceback.format_exc(), event="trace", level="error")
        messages.say(
            "this is a bug in expressome; please report it with the lines above and the command",
            event="bug",
            level="error",
        )
        status = 3
    sys.exit(status if isinstance(status, int) else 0)
