import json
import pickle
import sys
import time

import numpy as np
import pytest
from tests.support.build import make_archs4

import expressome
from expressome.engine import Resources
from expressome.manifest import create_manifest
from expressome.metering import RunMeter, current_meter, meter_run, meter_stage, metered
from expressome.results import to_json

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts per process")


def test_stages_are_named_by_progress_and_add_up_to_the_whole():
    resources = Resources(workers=1)

    with meter_run("normalize") as meter:
        time.sleep(0.02)
        resources.progress("fit target", 0, 2)
        time.sleep(0.03)
        resources.progress("fit target", 2, 2)
        resources.progress("normalize", 1, 2)
        resources.progress("normalize", 2, 2)
        time.sleep(0.02)

    seconds = {name: figures["elapsed_s"] for name, figures in meter["stages"].items()}
    assert list(seconds) == ["other", "fit target", "normalize"]
    assert seconds["other"] >= 0.04
    assert seconds["fit target"] >= 0.03
    assert sum(seconds.values()) == pytest.approx(meter["elapsed_s"], abs=0.005)


def test_the_time_before_a_first_report_of_work_done_belongs_to_that_stage():
    with meter_run("measure") as meter:
        time.sleep(0.02)
        meter.report("measure signal", 1, 1)

    assert meter["stages"]["measure signal"]["elapsed_s"] >= 0.02


@on_linux
def test_memory_of_one_stage_does_not_show_in_the_next():
    with meter_run("work") as meter:
        block = np.ones(40_000_000)
        meter.note("large")
        del block
        meter.note("release")
        small = np.ones(1000)
        meter.note("small")

    peaks = {name: figures["peak_memory_bytes"] for name, figures in meter["stages"].items()}
    assert small.sum() == 1000
    assert peaks["large"] - peaks["small"] > 250 * 2**20
    assert meter["peak_memory_bytes"] == max(peaks.values())


@on_linux
def test_bytes_are_those_that_were_read_and_written(tmp_path):
    with meter_run("copy") as meter:
        (tmp_path / "a").write_bytes(bytes(3_000_000))
        meter.note("write")
        (tmp_path / "a").read_bytes()
        meter.note("read")

    stages = meter["stages"]
    assert 3_000_000 <= stages["write"]["bytes_written"] < 3_100_000
    assert 3_000_000 <= stages["read"]["bytes_read"] < 3_100_000
    assert stages["read"]["bytes_written"] < 100_000


def test_a_stage_of_a_longer_run_has_its_own_figures_and_counts_once():
    start = time.perf_counter()
    with meter_run("demo") as whole:
        with meter_stage("simulate") as inner:
            assert current_meter() is inner
            time.sleep(0.1)
        time.sleep(0.01)
    elapsed_s = time.perf_counter() - start

    assert whole["stages"]["simulate"]["elapsed_s"] == pytest.approx(inner["elapsed_s"], abs=0.002)
    assert inner["elapsed_s"] + 0.01 <= whole["elapsed_s"] + 0.001 <= elapsed_s + 0.002
    assert current_meter() is None


def test_a_failed_stage_ends_its_meter():
    with pytest.raises(ZeroDivisionError), meter_run("work"):
        _ = 1 // 0

    assert current_meter() is None


def test_a_manifest_holds_the_figures_of_the_moment_it_is_written():
    with meter_run("pack") as meter:
        manifest = create_manifest("pack")
        meter.note("read tables")
        written = json.loads(to_json(manifest))

    assert list(written["run"]["stages"]) == ["read tables"]
    assert written["run"]["elapsed_s"] >= 0


def test_a_manifest_outside_a_run_has_no_figures():
    assert "run" not in create_manifest("pack")


def test_a_meter_travels_as_its_figures():
    with meter_run("fit") as meter:
        meter.note("one")

    assert pickle.loads(pickle.dumps(meter)) == dict(meter)


def test_reports_after_the_end_change_nothing():
    with meter_run("fit") as meter:
        pass
    before = dict(meter)

    meter.report("late", 1, 1)

    assert dict(meter) == before
    assert isinstance(meter, RunMeter)


def test_a_metered_verb_keeps_name_and_documentation():
    verb = metered(create_manifest)

    assert (verb.__name__, verb.__doc__) == ("create_manifest", create_manifest.__doc__)


def test_a_verb_called_from_python_writes_its_figures(tmp_path):
    path, out = make_archs4(tmp_path / "x.h5", n_samples=12, n_genes=40), tmp_path / "y.h5ad"

    summary = expressome.extract(path, out=out)

    assert summary.manifest["run"]["elapsed_s"] > 0
    assert "extract" in summary.manifest["run"]["stages"]
