"""Percentiles: what a sorted list would say, to one part in a thousand, whatever the order."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmrig.checks.percentiles import Percentiles

NUMBERS = st.lists(st.one_of(st.integers(0, 4096), st.integers(0, 2**62)), min_size=1, max_size=300)


def filled(numbers):
    percentiles = Percentiles()
    for number in numbers:
        percentiles.add(number)
    return percentiles


@given(NUMBERS, st.sampled_from([1, 50, 95, 99, 100]))
def test_never_too_low_and_hardly_too_high(numbers, percent):
    ordered = sorted(numbers)
    exact = ordered[math.ceil(len(ordered) * percent / 100) - 1]
    found = filled(numbers).at(percent)
    assert exact <= found <= exact + exact // 1024
    assert found <= ordered[-1]


@given(NUMBERS)
def test_extremes_and_mean_are_exact(numbers):
    percentiles = filled(numbers)
    assert (percentiles.min, percentiles.max, percentiles.count) == (min(numbers), max(numbers), len(numbers))
    assert percentiles.mean == round(sum(numbers) / len(numbers))
    assert percentiles.at(100) == max(numbers)


@given(NUMBERS, st.randoms())
def test_the_order_does_not_matter(numbers, chance):
    shuffled = numbers[:]
    chance.shuffle(shuffled)
    assert [filled(shuffled).at(p) for p in (50, 95, 99)] == [filled(numbers).at(p) for p in (50, 95, 99)]


@pytest.mark.parametrize("percent", [0, 50, 100])
def test_nothing_has_no_percentile(percent):
    assert Percentiles().at(percent) is None
    assert Percentiles().mean is None


def test_memory_does_not_grow_with_the_numbers():
    percentiles = filled(range(5_000_000, 8_000_000, 7))
    assert len(percentiles._buckets) < 3000
