"""Sequence numbers, table driven: what arrives, what is concluded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmrig.nodes.python.sequence import CLOSE, MAX_GAP, WINDOW, Arrival, SequenceTracker

TOP = 2**32


def track(numbers: list[int]) -> SequenceTracker:
    tracker = SequenceTracker()
    for number in numbers:
        tracker.observe(number % TOP)
    return tracker


def concluded(numbers: list[int]) -> dict[str, int]:
    tracker = track(numbers)
    assert tracker.frames == len(numbers)
    counts = {name: getattr(tracker, name) for name in ("gaps", "duplicates", "reorders", "restarts")}
    return {name: count for name, count in counts.items() if count}


def upto(end: int, start: int = 0) -> list[int]:
    return list(range(start, end))


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        pytest.param([], {}, id="nothing"),
        pytest.param([0], {}, id="one"),
        pytest.param(upto(1000), {}, id="in order"),
        pytest.param([70000, 70001], {}, id="what came before the first is not missed"),
        pytest.param([0, 1, 3], {"gaps": 1}, id="one lost"),
        pytest.param([0, 1, 9, 10, 12], {"gaps": 8}, id="several lost"),
        pytest.param([0, 100_000], {"gaps": 99_999}, id="a long cut"),
        pytest.param([0, 1, 1, 2], {"duplicates": 1}, id="duplicate of the newest"),
        pytest.param([0, 1, 2, 3, 1, 4], {"duplicates": 1}, id="duplicate of an older one"),
        pytest.param([0, 0, 1, 1, 2, 2, 3, 3, 4, 4], {"duplicates": 5}, id="everything twice"),
        pytest.param([0, 1, 1, 1, 1, 2], {"duplicates": 3}, id="one four times"),
        pytest.param([0, 2, 1, 3], {"reorders": 1}, id="two swapped"),
        pytest.param([0, 4, 1, 2, 3, 5], {"reorders": 3}, id="one overtook three"),
        pytest.param([0, 9, *upto(9, 1), 10], {"reorders": 8}, id="one overtook many"),
        pytest.param([0, 3, 1, 4], {"gaps": 1, "reorders": 1}, id="late and lost"),
        pytest.param([0, 2, 1, 1, 3], {"reorders": 1, "duplicates": 1}, id="late, then again"),
        pytest.param([5, 4, 6], {"reorders": 1}, id="the first two swapped"),
        pytest.param([5, 4, 4, 6], {"reorders": 1, "duplicates": 1}, id="the first two swapped, one twice"),
        # Wrap-around.
        pytest.param([TOP - 2, TOP - 1, 0, 1], {}, id="wraps in order"),
        pytest.param([TOP - 2, 1], {"gaps": 2}, id="wraps over a gap"),
        pytest.param([TOP - 2, TOP - 1, 1, 0, 2], {"reorders": 1}, id="wraps with a swap"),
        pytest.param([TOP - 1, 0, TOP - 1, 1], {"duplicates": 1}, id="wraps with a duplicate"),
        pytest.param([*upto(TOP + 5, TOP - 5), *upto(3)], {"restarts": 1}, id="restart after a wrap"),
        # Restarts.
        pytest.param([*upto(2000), *upto(10)], {"restarts": 1}, id="restart after many"),
        pytest.param([*upto(100), *upto(10)], {"restarts": 1}, id="restart within the window"),
        pytest.param([*upto(50), *upto(10)], {"restarts": 1}, id="restart after few"),
        pytest.param([*upto(5), *upto(10)], {"restarts": 1}, id="restart after very few"),
        pytest.param([*upto(50), *upto(100)], {"restarts": 1}, id="goes past where it was"),
        pytest.param([*upto(50), 0, 1, 3, 4, 5], {"restarts": 1, "gaps": 1}, id="a loss right after the restart"),
        pytest.param([*upto(50), 2, 3, 4, 5], {"restarts": 1}, id="the first frames of the new life lost"),
        pytest.param([*upto(50), *upto(4), 2, 4], {"restarts": 1, "duplicates": 1}, id="a duplicate after the restart"),
        pytest.param([*upto(300), *upto(200), *upto(9)], {"restarts": 2}, id="two restarts"),
        pytest.param([*upto(10, 3), *upto(9)], {"restarts": 1}, id="restart before what was first seen"),
        pytest.param([0, 1, *upto(30, 5), *upto(9)], {"restarts": 1, "gaps": 3}, id="restart runs over an old gap"),
        pytest.param([4_000_000_000, 0, 1], {"restarts": 1}, id="restart from a high number"),
        pytest.param([3_000_000_000, 5], {"restarts": 1}, id="not a billion gaps"),
        pytest.param([0, MAX_GAP], {"gaps": MAX_GAP - 1}, id="the longest gap"),
        pytest.param([0, MAX_GAP + 1], {"restarts": 1}, id="too long for a gap"),
        pytest.param(
            [0, 1, *upto(3 + WINDOW, 3), 2], {"gaps": 1, "restarts": 1}, id="too late to be told from a restart"
        ),
        pytest.param([0, 1, *upto(2 + WINDOW, 3), 2], {"reorders": 1}, id="as late as can be"),
        pytest.param([*upto(CLOSE + 1), 0], {"duplicates": 1}, id="the furthest duplicate"),
        pytest.param([*upto(CLOSE + 2), 0], {"restarts": 1}, id="too far for a duplicate"),
        pytest.param([*upto(50), 7, 50, 7, 51, 7, 52], {"duplicates": 3}, id="progress between them: duplicates"),
    ],
)
def test_what_is_concluded(numbers: list[int], expected: dict[str, int]) -> None:
    assert concluded(numbers) == expected


def test_each_arrival_is_named() -> None:
    tracker = SequenceTracker()
    arrivals = [tracker.observe(number) for number in (5, 6, 8, 7, 7, 5000, 6)]
    assert arrivals == [
        Arrival.FIRST, Arrival.NEXT, Arrival.GAP, Arrival.LATE, Arrival.DUPLICATE, Arrival.GAP, Arrival.RESTART,
    ]  # fmt: skip


@given(st.lists(st.integers(0, TOP - 1), max_size=60))
def test_counts_never_go_below_zero(numbers: list[int]) -> None:
    tracker = track(numbers)
    assert tracker.frames == len(numbers)
    assert min(tracker.gaps, tracker.duplicates, tracker.reorders, tracker.restarts) >= 0


@given(st.lists(st.integers(0, 12), max_size=40))
def test_counts_stay_sane_close_to_each_other(numbers: list[int]) -> None:
    tracker = track(numbers)
    assert min(tracker.gaps, tracker.duplicates, tracker.reorders, tracker.restarts) >= 0
    assert tracker.duplicates <= len(numbers)


@given(st.sets(st.integers(1, 300), max_size=100), st.integers(0, TOP - 1))
def test_losses_are_counted_exactly_wherever_the_numbers_start(lost: set[int], start: int) -> None:
    numbers = [start + number for number in range(302) if number not in lost]
    assert concluded(numbers) == ({"gaps": len(lost)} if lost else {})


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_swapped_neighbours_lose_nothing(swaps: list[bool]) -> None:
    numbers = list(range(2 * len(swaps)))
    for pair, swap in enumerate(swaps):
        if swap:
            numbers[2 * pair : 2 * pair + 2] = reversed(numbers[2 * pair : 2 * pair + 2])
    tracker = track(numbers)
    assert (tracker.gaps, tracker.duplicates, tracker.restarts) == (0, 0, 0)
    assert tracker.reorders == sum(swaps)
