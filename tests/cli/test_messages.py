import io
import json
import logging
import pstats
import re
import warnings

import pytest
from click.testing import CliRunner
from tests.support.build import make_archs4
from tests.support.terminal import messages_of

import expressome.cli.progress as progress_module
from expressome.cli.main import cli, main
from expressome.cli.messages import Messages, describe_size, messages
from expressome.cli.progress import choose_listener
from expressome.engine import ignore_progress


def call(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def lines_of(result):
    return [json.loads(line) for line in result.stderr.splitlines()]


@pytest.fixture
def path(tmp_path):
    return make_archs4(tmp_path / "x.h5", n_samples=6, n_genes=8)


def test_a_command_ends_with_what_it_took(path):
    result = call("inspect", path)

    pattern = (
        r"inspect: done in [\d.]+ s; read \S+ \w+, wrote \S+ \w+, peak memory \S+ [MG]B(\n  .*)*\n"
    )
    assert re.fullmatch(pattern, result.stderr)
    assert messages_of(result) == ""


@pytest.mark.parametrize("order", ["before", "after"])
def test_quiet_writes_the_result_alone(path, order):
    words = ["-q", "inspect", path] if order == "before" else ["inspect", path, "-q"]

    result = call(*words)

    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout)["verb"] == "inspect"


@pytest.mark.filterwarnings("default")
def test_messages_as_json_are_one_object_per_line(path, tmp_path):
    result = call(
        "--log-json", "extract", path, "--samples", "GSM1,GSM99", "--out", tmp_path / "y.h5"
    )

    warned, summary = lines_of(result)
    assert (warned["level"], warned["event"]) == ("warning", "warning")
    assert warned["message"].startswith("1 of 2 samples and series asked for are not in x.h5")
    assert (summary["event"], summary["command"]) == ("summary", "extract")
    assert summary["elapsed_s"] == pytest.approx(
        sum(stage["elapsed_s"] for stage in summary["stages"].values()), abs=0.01
    )
    assert "extract" in summary["stages"]
    assert {"bytes_read", "bytes_written", "peak_memory_bytes", "time"} <= set(summary)


def test_an_error_as_json_names_its_kind(tmp_path):
    result = call("inspect", tmp_path / "absent.h5", "--log-json")

    (line,) = lines_of(result)
    assert result.exit_code == 1
    assert (line["event"], line["level"]) == ("error", "error")
    assert line["error"] == "InputNotFoundError"
    assert "absent.h5 does not exist" in line["message"]


def test_wrong_usage_as_json_is_one_line(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["inspect", "--log-json"])

    line = json.loads(capsys.readouterr().err)
    assert stop.value.code == 2
    assert (line["event"], line["message"]) == ("usage", "Missing argument 'PATH'.")


def test_a_bug_as_json_keeps_its_trace(capsys, monkeypatch, path):
    def fail(_path):
        return 1 // 0

    monkeypatch.setattr("expressome.pipeline.inspect", fail, raising=False)

    with pytest.raises(SystemExit) as stop:
        main(["--log-json", "inspect", str(path)])

    trace, bug = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert stop.value.code == 3
    assert "ZeroDivisionError" in trace["message"]
    assert bug["event"] == "bug"


def test_log_records_are_messages(capsys):
    logger = logging.getLogger("expressome.test")

    messages.configure(as_json=True, quiet=False, verbosity=1)
    logger.info("read %d chunks", 3)
    messages.configure(as_json=False, quiet=False, verbosity=0)
    logger.info("not shown")
    logger.warning("odd")
    messages.configure(as_json=False, quiet=True, verbosity=0)
    logger.warning("not shown either")

    first, second = capsys.readouterr().err.splitlines()
    line = json.loads(first)
    assert (line["event"], line["level"], line["message"]) == ("log", "info", "read 3 chunks")
    assert line["logger"] == "expressome.test"
    assert second == "WARNING expressome.test: odd"


def test_a_library_that_sets_its_own_level_is_heard_from_warnings_on(capsys):
    logger = logging.getLogger("expressome.tests.talkative")
    logger.setLevel(logging.INFO)

    messages.configure(as_json=False, quiet=False, verbosity=0)
    logger.info("closing comms")
    logger.warning("a worker was lost")

    assert capsys.readouterr().err == ("WARNING expressome.tests.talkative: a worker was lost\n")


def test_words_after_two_dashes_are_no_options(path):
    result = call("search", path, "--", "-q")

    assert "done in" in result.stderr or result.exit_code == 1


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1500, "1.5 kB"),
        (999_900, "1 MB"),
        (2**31, "2.15 GB"),
        (None, "unknown"),
    ],
)
def test_sizes_read_well(n_bytes, text):
    assert describe_size(n_bytes) == text


class Clock:
    def __init__(self):
        self.now_s = 0.0

    def monotonic(self):
        return self.now_s


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress_module, "time", clock)
    return clock


def test_progress_without_a_terminal_is_a_line_every_ten_seconds(clock, capsys):
    listener = choose_listener(Messages())

    for second in range(26):
        clock.now_s = float(second)
        listener("normalize", 100 * second, 10_000)

    assert capsys.readouterr().err.splitlines() == [
        "normalize: 1,000 of 10,000 (100/s, 1 min 30 s left)",
        "normalize: 2,000 of 10,000 (100/s, 1 min 20 s left)",
    ]


def test_progress_of_bytes_is_written_in_bytes(clock, capsys):
    listener = choose_listener(Messages())

    listener("download, bytes", 0, 3 * 10**9)
    clock.now_s = 10.0
    listener("download, bytes", 10**6, 3 * 10**9)

    assert capsys.readouterr().err == (
        "download, bytes: 1 MB of 3 GB (100 kB/s, 8 h 19 min left)\n"
    )


def test_progress_as_json_is_for_programs(clock, capsys):
    listener = choose_listener(Messages(as_json=True))

    listener("train", 0, 4)
    clock.now_s = 20.0
    listener("train", 1, 4)

    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["stage"], line["n_done"], line["n_total"]) == (
        "progress", "train", 1, 4,
    )  # fmt: skip
    assert (line["per_second"], line["seconds_left"]) == (0.05, 60.0)


def test_quiet_progress_is_silent():
    assert choose_listener(Messages(quiet=True)) is ignore_progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_bars_on_a_terminal_show_rate_and_time_left(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    listener = choose_listener(Messages())

    for n_done in range(0, 200, 10):
        listener("fit target", n_done, 200)
        progress_module.time.sleep(0.02)
    listener("fit target", 200, 200)

    drawn = terminal.getvalue()
    assert "fit target" in drawn
    assert "/200" in drawn
    assert "/s" in drawn
    assert re.search(r"\d:\d\d:\d\d", drawn)


def test_a_profile_of_calls_is_read_by_pstats(path, tmp_path):
    result = call("inspect", path, "--profile", tmp_path / "p.prof")

    assert result.exit_code == 0
    functions = {name for _, _, name in pstats.Stats(str(tmp_path / "p.prof")).stats}
    assert "inspect" in functions


def test_a_profile_of_stacks_names_functions_and_counts(path, tmp_path):
    with warnings.catch_warnings():
        result = call("--profile", tmp_path / "p.txt", "extract", path, "--out", tmp_path / "y.h5")

    assert result.exit_code == 0
    lines = (tmp_path / "p.txt").read_text().splitlines()
    assert lines
    assert all(re.fullmatch(r"\S.* \d+", line) for line in lines)
    assert any("expressome.cli." in line for line in lines)


def test_a_profile_replaces_nothing(path):
    before = path.read_bytes()

    result = call("--profile", path, "inspect", path)

    assert result.exit_code == 2
    assert "exists" in result.stderr
    assert path.read_bytes() == before


@pytest.mark.parametrize(("shell", "sign"), [("bash", "complete"), ("zsh", "#compdef")])
def test_the_shell_completes_commands(shell, sign, capsys, monkeypatch):
    monkeypatch.setenv("_EXPRESSOME_COMPLETE", f"{shell}_source")
    monkeypatch.setattr(
        "click.shell_completion.BashComplete._check_version", staticmethod(lambda: None)
    )

    with pytest.raises(SystemExit) as stop:
        main([])

    assert stop.value.code == 0
    assert sign in capsys.readouterr().out


def test_completion_offers_commands_that_begin_so(capsys, monkeypatch):
    monkeypatch.setenv("_EXPRESSOME_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "expressome nor")
    monkeypatch.setenv("COMP_CWORD", "1")

    with pytest.raises(SystemExit):
        main([])

    assert capsys.readouterr().out == "plain,normalize\n"
