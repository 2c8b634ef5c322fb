"""What a guest has of a line that has not ended: a prompt."""

from __future__ import annotations

from swarmrig.timebase.lines import LineJoiner
from swarmrig.timebase.protocol import Line


def test_a_line_that_has_not_ended_can_be_seen_and_stays():
    joiner = LineJoiner()
    assert joiner.rest == b""
    assert list(joiner.feed([Line(5, b"booted\n", True), Line(9, b"login: ", False)])) == [(5, b"booted\n")]
    assert joiner.rest == joiner.rest == b"login: "
    assert list(joiner.feed([Line(12, b"root\n", True)])) == [(12, b"login: root\n")]
    assert joiner.rest == b""
