import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expressome.blocks import as_blocks, parse_memory, prefetch, row_spans, tiles
from expressome.errors import InvalidValueError, ShapeError


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [("2GiB", 2**31), ("500MB", 500_000_000), ("1.5 GiB", 1_610_612_736), ("100000000", 10**8)],
)
def test_memory_sizes_are_read_with_their_units(text, size_bytes):
    assert parse_memory(text) == size_bytes


@pytest.mark.parametrize("text", ["2 apples", "", "-1GiB", "GiB", "2i"])
def test_a_word_that_is_no_size_is_refused(text):
    with pytest.raises(InvalidValueError, match="is not a memory size"):
        parse_memory(text)


def test_a_budget_too_small_for_samples_is_refused():
    with pytest.raises(InvalidValueError, match="10MiB is below 64MiB"):
        parse_memory("10MiB")


@given(
    n_rows=st.integers(0, 2000),
    row_bytes=st.integers(1, 100),
    budget_bytes=st.integers(0, 5000),
    multiple=st.integers(1, 300),
)
def test_spans_cover_all_rows_once_in_multiples(n_rows, row_bytes, budget_bytes, multiple):
    spans = list(
        row_spans(n_rows, row_bytes=row_bytes, budget_bytes=budget_bytes, multiple=multiple)
    )

    covered = [i for span in spans for i in range(span.start, span.stop)]
    assert covered == list(range(n_rows))
    assert all((span.stop - span.start) % multiple == 0 for span in spans[:-1])
    assert all(
        (span.stop - span.start) * row_bytes <= max(budget_bytes, multiple * row_bytes)
        for span in spans
    )


def test_tiles_hold_256_samples():
    assert [(span.start, span.stop) for span in tiles(513)] == [(0, 256), (256, 512), (512, 513)]


def test_blocks_that_disagree_on_genes_name_both_sizes():
    with pytest.raises(ShapeError, match="has 2 genes, but the blocks before it have 3"):
        list(as_blocks([np.ones((1, 3)), np.ones((1, 2))]))


def test_a_block_with_one_axis_is_refused():
    with pytest.raises(ShapeError, match="a block has 1 axes"):
        list(as_blocks(np.ones(3)))


def test_prefetch_keeps_order_and_raises_in_place():
    def source():
        yield 1
        yield 2
        msg = "chunk 3"
        raise OSError(msg)

    items = prefetch(source())

    assert next(items) == 1
    assert next(items) == 2
    with pytest.raises(OSError, match="chunk 3"):
        next(items)


def test_prefetch_stops_its_thread_when_the_reader_leaves():
    drawn = []

    def source():
        for i in range(1000):
            drawn.append(i)
            yield i

    items = prefetch(source(), n_ahead=2)
    next(items)
    items.close()
    n_drawn = len(drawn)
    time.sleep(0.05)

    assert len(drawn) == n_drawn <= 5
