import threading

import pytest

from expressome.engine import Resources, map_blocks
from expressome.errors import InvalidValueError


def double(value):
    return 2 * value


def test_results_come_in_the_order_of_the_items():
    results = list(map_blocks(double, range(50), resources=Resources(workers=4)))

    assert results == [2 * i for i in range(50)]


def test_no_more_items_than_allowed_are_under_way():
    lock = threading.Lock()
    under_way, most = set(), 0

    def items():
        nonlocal most
        for i in range(30):
            with lock:
                under_way.add(i)
                most = max(most, len(under_way))
            yield i

    for result in map_blocks(double, items(), resources=Resources(workers=2), n_ahead=3):
        with lock:
            under_way.discard(result // 2)

    assert most <= 4


def test_an_error_in_a_block_reaches_the_caller():
    with pytest.raises(ZeroDivisionError):
        list(map_blocks(lambda value: 1 // value, [1, 0], resources=Resources(workers=1)))


def test_a_stage_draws_the_same_numbers_whatever_others_draw():
    first = Resources(seed=3).rng("split").random(3)
    other = Resources(seed=3).rng("train").random(3)

    assert (Resources(seed=3).rng("split").random(3) == first).all()
    assert (first != other).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "workers is 0"),
        ({"memory_bytes": 5}, "below 64MiB"),
    ],
)
def test_resources_no_run_could_use_are_refused(options, message):
    with pytest.raises(InvalidValueError, match=message):
        Resources(**options)
