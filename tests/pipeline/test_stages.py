"""Stages run once, resume after a stop and never replace what they did not make."""

import json

import pytest

from expressome.errors import ConfigurationError, FileFormatError, OutputExistsError
from expressome.outputs import partial_path
from expressome.pipeline.stages import Stage, read_record, run_stages
from expressome.results import Summary


@pytest.fixture
def calls():
    return []


def write_stage(name, output, calls, *, inputs=(), parameters=None):
    def function(overwrite):
        calls.append((name, overwrite))
        output.write_text(name)
        return Summary(name, {"path": output})

    return Stage(name, function, (output,), tuple(inputs), parameters or {})


def chain(folder, calls, n_samples=10):
    first = write_stage("first", folder / "a", calls, parameters={"n_samples": n_samples})
    second = write_stage("second", folder / "b", calls, inputs=[folder / "a"])
    third = write_stage("third", folder / "c", calls, inputs=[folder / "b"])
    return [first, second, third]


def test_finished_stages_are_skipped_and_said_so(tmp_path, calls):
    lines = []
    record = tmp_path / "record.json"

    ran = run_stages(chain(tmp_path, calls), record=record)
    skipped = run_stages(chain(tmp_path, calls), record=record, announce=lines.append)

    assert calls == [("first", False), ("second", False), ("third", False)]
    assert [result.skipped for result in ran] == [False] * 3
    assert [result.skipped for result in skipped] == [True] * 3
    assert skipped[1].figures == {"path": str(tmp_path / "b")}
    assert lines[2] == "[3/3] third: skipped, done before with the same settings and inputs"
    assert json.loads(record.read_text())["complete"] is True


def test_a_lost_output_remakes_its_stage_and_what_builds_on_it(tmp_path, calls):
    record = tmp_path / "record.json"
    run_stages(chain(tmp_path, calls), record=record)
    (tmp_path / "b").unlink()
    calls.clear()

    run_stages(chain(tmp_path, calls), record=record)

    assert calls == [("second", True), ("third", True)]


def test_a_stopped_run_goes_on_where_it_was(tmp_path, calls):
    record = tmp_path / "record.json"
    stages = chain(tmp_path, calls)

    def stop(overwrite):
        partial_path(tmp_path / "b").write_text("half")
        raise KeyboardInterrupt

    broken = Stage("second", stop, stages[1].outputs, stages[1].inputs)
    with pytest.raises(KeyboardInterrupt):
        run_stages([stages[0], broken, stages[2]], record=record)
    left = sorted(path.name for path in tmp_path.iterdir())
    complete = json.loads(record.read_text())["complete"]
    calls.clear()
    run_stages(stages, record=record)

    assert left == ["a", "record.json"]
    assert complete is False
    assert [name for name, _ in calls] == ["second", "third"]


def test_an_unfinished_output_stays_where_the_verb_resumes(tmp_path, calls):
    def fail(overwrite):
        partial_path(tmp_path / "a").write_text("half")
        msg = "disk full"
        raise OSError(msg)

    with pytest.raises(OSError, match="disk full") as caught:
        run_stages(
            [Stage("write", fail, (tmp_path / "a",))],
            record=tmp_path / "record.json",
            keep_partial=True,
        )

    assert partial_path(tmp_path / "a").exists()
    assert caught.value.__notes__ == ["in the stage 'write'"]


def test_other_settings_are_refused_by_name_and_value(tmp_path, calls):
    record = tmp_path / "record.json"
    run_stages(chain(tmp_path, calls), record=record)
    calls.clear()

    with pytest.raises(OutputExistsError, match=r"'first' with other .*n_samples: 10, now 20"):
        run_stages(chain(tmp_path, calls, n_samples=20), record=record)
    assert calls == []

    run_stages(chain(tmp_path, calls, n_samples=20), record=record, overwrite=True)
    assert calls == [("first", True), ("second", True), ("third", True)]


def test_an_output_that_was_not_made_here_is_kept(tmp_path, calls):
    (tmp_path / "b").write_text("precious")

    with pytest.raises(OutputExistsError, match="does not say that the stage 'second' made it"):
        run_stages(chain(tmp_path, calls), record=tmp_path / "record.json")

    assert calls == []
    assert (tmp_path / "b").read_text() == "precious"


def test_a_changed_input_file_remakes_everything_after_it(tmp_path, calls):
    source = tmp_path / "source"
    source.write_text("1")
    stages = [write_stage("first", tmp_path / "a", calls, inputs=[source])]
    run_stages(stages, record=tmp_path / "record.json")
    source.write_text("2")

    run_stages(stages, record=tmp_path / "record.json")

    assert calls == [("first", False), ("first", True)]


def test_a_changed_input_folder_is_seen(tmp_path, calls):
    source = tmp_path / "lists"
    source.mkdir()
    stages = [write_stage("first", tmp_path / "a", calls, inputs=[source])]
    run_stages(stages, record=tmp_path / "record.json")
    (source / "liver.R").write_text("samp = c()")

    run_stages(stages, record=tmp_path / "record.json")

    assert len(calls) == 2


def test_a_stage_that_adds_to_an_output_follows_the_stage_that_made_it(tmp_path, calls):
    atlas = tmp_path / "atlas"
    make = write_stage("normalize", atlas, calls)
    add = Stage("measure", lambda _overwrite: calls.append("measure") or {}, (atlas,), (atlas,))
    run_stages([make, add], record=tmp_path / "record.json")
    atlas.unlink()

    run_stages([make, add], record=tmp_path / "record.json")

    assert calls.count("measure") == 2


def test_time_and_memory_are_measured_per_stage(tmp_path):
    def allocate(overwrite):
        block = bytearray(200 * 2**20)
        block[::4096] = b"x" * len(block[::4096])
        return {"n_bytes": len(block)}

    stages = [
        Stage("large", allocate, ()),
        Stage("small", lambda _overwrite: {}, ()),
    ]

    large, small = run_stages(stages, record=tmp_path / "record.json")

    assert large.peak_memory_bytes - small.peak_memory_bytes > 150 * 2**20
    assert large.elapsed_s >= 0


def test_two_stages_with_one_name_are_refused(tmp_path):
    stage = Stage("same", lambda _overwrite: {}, ())

    with pytest.raises(ConfigurationError, match="2 stages have 1 names"):
        run_stages([stage, stage], record=tmp_path / "record.json")


def test_a_foreign_file_is_not_taken_for_a_record(tmp_path):
    record = tmp_path / "manifest.json"
    record.write_text('{"verb": "pack"}')

    with pytest.raises(FileFormatError, match="is not a record of finished stages"):
        read_record(record)
