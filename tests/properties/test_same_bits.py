"""Neither cuts, threads, clusters nor the order of samples leave a trace in results."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pipeline.test_normalizing import write_label_file
from tests.support.build import make_archs4, make_counts, make_samples

from expressome.atlas import open_atlas, verify_atlas
from expressome.blocks import row_spans
from expressome.engine import Resources, hold_cluster
from expressome.metrics.similarity import mean_cosine
from expressome.normalization.quantile import apply_target, fit_target, save_target
from expressome.pipeline import gene_tiling
from expressome.pipeline.appending import append_samples
from expressome.pipeline.measuring import measure
from expressome.pipeline.normalizing import normalize
from expressome.pipeline.updating import update

MIB = 2**20
METRICS = ["p95", "p95_ratio", "mean_cosine", "neighbours_detected"]
CLUSTER = Resources(cluster="local:2")


@settings(max_examples=25, deadline=None)
@given(
    n_samples=st.integers(1, 700),
    rows=st.integers(1, 700),
    workers=st.integers(1, 4),
    seed=st.integers(0, 2**16),
)
def test_no_cut_and_no_number_of_threads_changes_a_bit(n_samples, rows, workers, seed):
    counts = make_counts(n_samples, 11, seed)
    threads = Resources(workers=workers)
    spans = row_spans(n_samples, row_bytes=1, budget_bytes=rows)

    whole = fit_target(counts, resources=Resources(workers=1))
    cut = fit_target((counts[span] for span in spans), resources=threads)
    values = apply_target(counts, whole, resources=threads)

    assert cut.profile.tobytes() == whole.profile.tobytes()
    assert values.tobytes() == b"".join(apply_target(row[None], cut).tobytes() for row in counts)
    one, many = (
        mean_cosine(values, 6, resources=Resources(workers=n_threads)) for n_threads in (1, workers)
    )
    assert one.tobytes() == many.tobytes()


@settings(max_examples=25, deadline=None)
@given(n_samples=st.integers(2, 600), seed=st.integers(0, 2**16))
def test_the_order_of_samples_changes_the_target_by_rounding_alone(n_samples, seed):
    counts = make_counts(n_samples, 13, seed)
    order = np.random.default_rng(seed).permutation(n_samples)

    given_order, other_order = fit_target(counts), fit_target(counts[order])

    np.testing.assert_allclose(other_order.profile, given_order.profile, rtol=1e-12)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("way", [True, False], ids=["pairs", "sums"])
def test_the_order_of_samples_leaves_metrics_equal_with_ties_broken_by_id(
    seed, way, tmp_path, monkeypatch
):
    monkeypatch.setattr(gene_tiling, "prefers_gram", lambda *_: way)
    # Few reads, so that most genes have ties around their percentile.
    counts = make_counts(600, 150, seed) // 50
    samples = make_samples(600)
    order = np.random.default_rng(seed).permutation(600)
    target = fit_target(counts, genes=[f"ENSG{g + 1:011d}" for g in range(150)])
    save_target(target, tmp_path / "target.npz")
    found = []
    for name, rows in (("given", np.arange(600)), ("other", order)):
        make_archs4(tmp_path / f"{name}.h5", counts=counts[rows], samples=samples.iloc[rows])
        out = tmp_path / f"{name}.zarr"
        options = {"recipe": "log2-quantile", "target": tmp_path / "target.npz"}
        normalize(tmp_path / f"{name}.h5", out=out, **options)
        measure(out, n_neighbours=20)
        found.append(open_atlas(out))

    given_order, other_order = found

    assert (given_order.read(samples.index) == other_order.read(samples.index)).all()
    assert given_order.var["mean_cosine"].notna().sum() > 50
    pd.testing.assert_frame_equal(
        given_order.var[METRICS], other_order.var[METRICS], rtol=1e-12, atol=1e-12
    )


def bytes_of(atlas):
    """Every stored array but texts that state times."""
    return {
        str(path.relative_to(atlas)): path.read_bytes()
        for path in sorted(atlas.rglob("*"))
        if path.is_file() and "description" not in path.parts and "note_" not in str(path)
    }


@pytest.mark.slow
@pytest.mark.parametrize("way", [True, False], ids=["pairs", "sums"])
def test_two_worker_processes_make_the_atlas_that_threads_make(way, tmp_path, monkeypatch):
    monkeypatch.setattr(gene_tiling, "prefers_gram", lambda *_: way)
    make_archs4(tmp_path / "x.h5", n_samples=1100, n_genes=300)
    options = {"recipe": "log2-quantile"}
    with hold_cluster(CLUSTER):
        for name, resources in (
            ("cluster", CLUSTER),
            ("threads", Resources(workers=2)),
            ("thread", Resources(memory_bytes=96 * MIB, workers=1)),
        ):
            normalize(
                tmp_path / "x.h5", out=tmp_path / f"{name}.zarr", resources=resources, **options
            )
            measure(tmp_path / f"{name}.zarr", n_neighbours=30, resources=resources)
            assert verify_atlas(tmp_path / f"{name}.zarr", resources=resources)["is_whole"]

    cluster, threads, thread = (
        bytes_of(tmp_path / f"{name}.zarr") for name in ("cluster", "threads", "thread")
    )

    assert any(name.startswith("X/c/4") for name in threads)
    assert cluster == threads == thread


@pytest.mark.slow
def test_an_atlas_survives_a_worker_killed_on_the_way(tmp_path):
    import os
    import signal

    import distributed

    make_archs4(tmp_path / "x.h5", n_samples=3000, n_genes=300)
    killed = []

    def kill_once(stage, n_done, _n_total):
        if stage == "normalize" and n_done == 3 and not killed:
            killed.extend(distributed.get_client().run(os.getpid).values())
            os.kill(killed[0], signal.SIGKILL)

    cluster = Resources(cluster="local:2", progress=kill_once)
    for name, resources in (("cluster", cluster), ("threads", Resources())):
        out = tmp_path / f"{name}.zarr"
        normalize(tmp_path / "x.h5", out=out, recipe="log2-quantile", resources=resources)

    assert len(killed) == 2
    assert bytes_of(tmp_path / "cluster.zarr") == bytes_of(tmp_path / "threads.zarr")


@pytest.mark.slow
def test_two_worker_processes_extend_update_and_measure_as_threads_do(tmp_path):
    counts, samples = make_counts(900, 300, 3), make_samples(900)

    def write(name, rows, changed=()):
        own = counts[rows].copy()
        own[np.isin(rows, changed), 5] += 7
        make_archs4(tmp_path / name, counts=own, samples=samples.iloc[rows])
        return tmp_path / name

    first = write("first.h5", np.arange(500))
    second = write("second.h5", np.arange(500, 800))
    release = write("release.h5", np.arange(900), changed=[7, 600])
    write_label_file(
        tmp_path / "l.parquet",
        {"liver": range(0, 400, 2), "brain": range(1, 400, 2)},
        samples.index,
    )
    with hold_cluster(CLUSTER):
        for name, resources in (("cluster", CLUSTER), ("threads", Resources(workers=2))):
            out, use = tmp_path / f"{name}.zarr", {"resources": resources}
            labels = tmp_path / "l.parquet"
            normalize(first, out=out, labels=labels, recipe="log2-quantile", **use)
            append_samples(second, out, **use)
            update(out, release, **use)
            measure(out, by="label", approximate=64, n_neighbours=30, **use)

    cluster, threads = (bytes_of(tmp_path / f"{name}.zarr") for name in ("cluster", "threads"))

    assert any(name.startswith("varm/label_mean") for name in threads)
    assert cluster == threads
