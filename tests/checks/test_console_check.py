"""console: a text that must appear, so often and so early, or never."""

import pytest
from pydantic import ValidationError

from swarmrig.checks.console import Console, ConsoleParams
from swarmrig.model.facts import NodeState
from swarmrig.model.verdict import Outcome

S = 1_000_000_000


def test_it_appears(swarm, judged):
    swarm.line("s1", "boring")
    assert swarm.judge(Console, node="s1", matches="edge tier", final=False) is None
    swarm.line("s1", "I (2) edge: edge tier 2")
    judgement = judged(swarm.judge(Console, node="s1", matches="edge tier \\d", final=False), Outcome.PASS)
    assert judgement.evidence[0].line == 2


def test_it_does_not_appear(swarm, judged):
    swarm.line("s1", "boring")
    swarm.line("s2", "edge tier 2")
    judgement = judged(swarm.judge(Console, node="s1", matches="edge tier"), Outcome.FAIL, "s1: 0 lines")
    assert judgement.evidence[0].note == "searched 1 lines, the last is this"


@pytest.mark.parametrize("params", [{"matches": "x"}, {"absent": "x"}, {"matches": "x", "within": 1}])
def test_an_empty_console(swarm, judged, params):
    swarm.started()
    judged(swarm.judge(Console, node="s1", **params), Outcome.INCONCLUSIVE, "the console of s1 is empty")


def test_absent(swarm, judged):
    swarm.booted()
    assert swarm.judge(Console, absent="panic", final=False) is None
    judged(swarm.judge(Console, absent="panic"), Outcome.PASS, "coord, s1, s2")
    swarm.line("s2", "panic!")
    judgement = judged(swarm.judge(Console, absent="panic"), Outcome.FAIL, "s2: 1 lines match", "no line matches")
    assert judgement.evidence[0].line == 2


def test_every_node_without_a_name_and_some_with_names(swarm, judged):
    for node in ("s1", "s2"):
        swarm.line(node, "ready")
    swarm.line("coord", "waiting")
    judged(swarm.judge(Console, matches="ready"), Outcome.FAIL, "coord: 0 lines")
    judged(swarm.judge(Console, nodes=["s1", 2], matches="ready"), Outcome.PASS, "s1, s2")


@pytest.mark.parametrize(
    ("count", "outcome", "early"),
    [
        (3, Outcome.PASS, None),
        (2, Outcome.FAIL, None),
        ({"min": 2}, Outcome.PASS, Outcome.PASS),
        ({"min": 4}, Outcome.FAIL, None),
        ({"max": 3}, Outcome.PASS, None),
        ({"max": 2}, Outcome.FAIL, None),
        ({"min": 1, "max": 5}, Outcome.PASS, None),
        (0, Outcome.FAIL, None),
    ],
)
def test_count(swarm, judged, count, outcome, early):
    for _ in range(3):
        swarm.line("s1", "tick")
    judged(swarm.judge(Console, node="s1", matches="tick", count=count), outcome)
    decided = swarm.judge(Console, node="s1", matches="tick", count=count, final=False)
    assert (decided.outcome if decided else None) is early


def test_zero_lines_are_right_when_zero_are_expected(swarm, judged):
    swarm.line("s1", "tock")
    judged(swarm.judge(Console, node="s1", matches="tick", count=0), Outcome.PASS)


def test_within_counts_from_the_nodes_start(swarm, judged):
    swarm.started(t=5 * S)
    swarm.line("s1", "ready", t=7 * S)
    judged(swarm.judge(Console, node="s1", matches="ready", within="2s", final=False), Outcome.PASS, "within 2s")
    judged(swarm.judge(Console, node="s1", matches="ready", within="1.9s"), Outcome.FAIL, "s1: 0 lines")
    judged(swarm.judge(Console, node="s1", absent="ready", within="1.9s"), Outcome.PASS)
    judged(swarm.judge(Console, node="s1", absent="ready", within="2s"), Outcome.FAIL)


def test_within_needs_a_start(swarm, judged):
    swarm.line("s1", "ready")
    assert swarm.judge(Console, node="s1", matches="ready", within="2s", final=False) is None
    judged(swarm.judge(Console, node="s1", matches="ready", within="2s"), Outcome.INCONCLUSIVE, "start of s1")


@pytest.mark.parametrize(
    ("params", "outcome"),
    [
        ({"matches": "tick"}, Outcome.PASS),
        ({"matches": "tock"}, Outcome.INCONCLUSIVE),
        ({"matches": "tick", "count": 1}, Outcome.INCONCLUSIVE),
        ({"matches": "tick", "count": 0}, Outcome.FAIL),
        ({"absent": "tock"}, Outcome.INCONCLUSIVE),
        ({"absent": "tick"}, Outcome.FAIL),
    ],
)
def test_a_console_that_was_not_heard_to_its_end(swarm, judged, params, outcome):
    swarm.line("s1", "tick")
    swarm.change("s1", NodeState.UNHEARD)
    judged(swarm.judge(Console, node="s1", **params), outcome)


def test_unknown_nodes(swarm, judged):
    swarm.booted()
    judged(swarm.judge(Console, node="s9", matches="app_main"), Outcome.INCONCLUSIVE, "no node s9")


def test_a_long_line_is_not_searched_to_its_end(swarm, judged):
    swarm.line("s1", "x" * 10_000 + "needle")
    judged(swarm.judge(Console, node="s1", matches="needle"), Outcome.FAIL)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "either matches or absent"),
        ({"matches": "a", "absent": "b"}, "either matches or absent"),
        ({"matches": "("}, "not a regular expression"),
        ({"matches": "a", "node": "s1", "nodes": ["s2"]}, "either node or nodes"),
        ({"absent": "a", "count": 2}, "count goes with matches"),
        ({"matches": "a", "within": "2 fortnights"}, "unknown unit"),
        ({"matches": "a", "count": {"min": 3, "max": 2}}, "greater than max"),
        ({"matches": "a", "count": {}}, "needs min, max or both"),
        ({"matches": "a", "nodes": []}, "at least 1 item"),
        ({"matches": "a", "regex": "b"}, "Extra inputs"),
    ],
)
def test_wrong_parameters(params, message):
    with pytest.raises(ValidationError, match=message):
        ConsoleParams(**params)
