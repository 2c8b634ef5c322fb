"""exit: a node that must end by itself, in a certain way."""

import pytest
from pydantic import ValidationError

from swarmrig.checks.exit import Exit, ExitParams
from swarmrig.model.facts import NodeState
from swarmrig.model.verdict import Outcome


def test_expected_code(swarm, judged):
    swarm.started()
    assert swarm.judge(Exit, node="s1", code=3, final=False) is None
    swarm.exited("s1", code=3)
    judgement = judged(swarm.judge(Exit, node="s1", code=3, final=False), Outcome.PASS, "exit 3")
    assert judgement.evidence[0].file == "events.jsonl"


def test_zero_is_the_default(swarm, judged):
    swarm.exited("s1", code=0)
    judged(swarm.judge(Exit, node=1), Outcome.PASS)


def test_expected_signal(swarm, judged):
    swarm.exited("s1", signal=9)
    judged(swarm.judge(Exit, node="s1", signal="SIGKILL"), Outcome.PASS, "signal 9")
    judged(swarm.judge(Exit, node="s1", signal=15), Outcome.FAIL, "signal 9, expected signal 15")
    judged(swarm.judge(Exit, node="s1", code=9), Outcome.FAIL, "expected exit 9")


def test_another_code(swarm, judged):
    swarm.exited("s1", code=1)
    judgement = judged(swarm.judge(Exit, node="s1", code=0), Outcome.FAIL, "ended with exit 1")
    assert judgement.evidence[1].file == "nodes/s1/stderr.log"


def test_still_running(swarm, judged):
    swarm.started()
    judged(swarm.judge(Exit, node="s1"), Outcome.FAIL, "still running")


def test_stopped_by_the_rig_is_not_by_itself(swarm, judged):
    swarm.started()
    swarm.change("s1", NodeState.STOPPED)
    judged(swarm.judge(Exit, node="s1"), Outcome.FAIL)


def test_nothing(swarm, judged):
    swarm.exited("s2", code=0)
    judged(swarm.judge(Exit, node="s1"), Outcome.INCONCLUSIVE, "neither a start nor an end of s1")


def test_unknown_node(swarm, judged):
    judged(swarm.judge(Exit, node="s9"), Outcome.INCONCLUSIVE, "no node s9")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "node"),
        ({"node": "s1", "code": 256}, "less than or equal to 255"),
        ({"node": "s1", "signal": "SIGNOPE"}, "unknown signal"),
        ({"node": "s1", "code": 0, "signal": 9}, "either code or signal"),
        ("s1", "dictionary"),
    ],
)
def test_wrong_parameters(params, message):
    with pytest.raises(ValidationError, match=message):
        ExitParams.model_validate(params)


def test_signals_by_short_name():
    assert ExitParams(node="s1", signal="term").signal == 15
