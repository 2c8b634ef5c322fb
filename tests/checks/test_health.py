"""no_crashes and no_heap_errors: absence is judged at the end, and only where there was something to search."""

import pytest

from swarmrig.checks.health import NoCrashes, NoHeapErrors
from swarmrig.model.facts import NodeState
from swarmrig.model.scenario import CheckSpec, FaultSpec
from swarmrig.model.verdict import Outcome

S = 1_000_000_000
PANIC = "Guru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled."
OOM = "E (9000) heap: HEAP_ERROR: out of memory, malloc(1024) failed"


@pytest.mark.parametrize("check", [NoCrashes, NoHeapErrors])
def test_healthy(swarm, judged, check):
    swarm.started()
    swarm.booted()
    assert swarm.judge(check, final=False) is None
    judgement = judged(swarm.judge(check), Outcome.PASS)
    assert len(judgement.evidence) == 3


@pytest.mark.parametrize("check", [NoCrashes, NoHeapErrors])
def test_without_any_fact(swarm, judged, check):
    judgement = judged(swarm.judge(check), Outcome.INCONCLUSIVE, "coord, s1, s2")
    assert judgement.counted is check.severity


@pytest.mark.parametrize(("check", "text", "outcome"), [(NoCrashes, PANIC, Outcome.FATAL),
                                                        (NoHeapErrors, OOM, Outcome.FAIL)])  # fmt: skip
def test_an_offending_line(swarm, judged, check, text, outcome):
    swarm.started()
    swarm.booted()
    swarm.line("s1", text)
    swarm.line("s1", text)
    assert swarm.judge(check, final=False).outcome is outcome  # nothing that comes later makes it good
    judgement = judged(swarm.judge(check), outcome, "s1", text, "1 more")
    assert judgement.evidence[0].file == "nodes/s1/console.log"
    assert judgement.evidence[0].line == 2


@pytest.mark.parametrize("check", [NoCrashes, NoHeapErrors])
def test_a_console_that_was_not_heard_to_its_end_proves_no_absence(swarm, judged, check):
    swarm.started()
    swarm.booted()
    swarm.change("s1", NodeState.UNHEARD, S)
    judged(swarm.judge(check), Outcome.INCONCLUSIVE, "s1 said too much")
    swarm.line("s2", f"{PANIC} {OOM}")
    judged(swarm.judge(check), check.severity, "s2", "not judged: s1 said too much")


def test_each_notices_only_its_own(swarm, judged):
    swarm.started()
    swarm.booted()
    swarm.line("s1", OOM)
    judged(swarm.judge(NoCrashes), Outcome.PASS)
    swarm.line("s1", PANIC)
    assert "HEAP_ERROR" in judged(swarm.judge(NoHeapErrors), Outcome.FAIL).message


def test_stack_overflow_is_a_memory_error(swarm, judged):
    swarm.booted()
    swarm.line("s2", "***ERROR*** A stack overflow in task main has been detected.")
    judged(swarm.judge(NoHeapErrors), Outcome.FAIL, "s2")


def test_a_silent_node_is_no_crash_but_says_nothing_of_its_heap(swarm, judged):
    swarm.started()
    swarm.booted("coord", "s1")
    judged(swarm.judge(NoCrashes), Outcome.PASS)
    judged(swarm.judge(NoHeapErrors), Outcome.INCONCLUSIVE, "s2")


def test_process_state_alone_is_evidence(swarm, judged):
    swarm.started()
    for node in swarm.ids:
        swarm.change(node, NodeState.STOPPED, 60 * S)
    judgement = judged(swarm.judge(NoCrashes), Outcome.PASS)
    assert "did not exit" in judgement.evidence[0].note


def test_an_emulator_that_ended_is_a_crash(swarm, judged):
    swarm.started()
    swarm.booted()
    swarm.exited("s1", code=0)
    judged(swarm.judge(NoCrashes), Outcome.FATAL, "s1 ended by itself (exit 0)")


def test_its_last_words_are_told(swarm, judged):
    swarm.started()
    swarm.exited("s1", signal=11, stderr="first\nqemu: fatal: lockup\n")
    judgement = judged(swarm.judge(NoCrashes), Outcome.FATAL, "signal 11", "qemu: fatal: lockup")
    assert judgement.evidence[0].file == "nodes/s1/stderr.log"


def test_a_launch_that_failed(swarm, judged):
    swarm.started("coord", "s1")
    swarm.change("s2", NodeState.EXITED, 1, status="qemu-system-riscv32 not found")
    judged(swarm.judge(NoCrashes), Outcome.FATAL, "qemu-system-riscv32 not found")


def test_an_end_that_the_scenario_expects_is_no_crash(swarm_of, judged):
    expected = CheckSpec("exit", "exit", {"node": "s1", "code": 3, "signal": None})
    swarm = swarm_of(checks=(expected,))
    swarm.started()
    swarm.exited("s1", code=3)
    judged(swarm.judge(NoCrashes), Outcome.PASS)
    swarm.exited("s2", code=3)
    judged(swarm.judge(NoCrashes), Outcome.FATAL, "s2")


def test_evidence_is_a_handful_on_a_console_full_of_panics(swarm_of, judged):
    swarm = swarm_of(sensors=40)
    swarm.started()
    for node in swarm.ids:
        swarm.line(node, PANIC)
    judgement = judged(swarm.judge(NoCrashes), Outcome.FATAL, "and 36 more")
    assert len(judgement.evidence) <= 8
    assert len(judgement.message) < 1000


def test_a_node_that_a_fault_kills_has_not_crashed(swarm_of, judged):
    swarm = swarm_of(faults=(FaultSpec("crash-1", "crash", 5 * S, None, {"node": 1}),))
    swarm.started()
    swarm.booted()
    swarm.exited("s1", signal=9)
    judged(swarm.judge(NoCrashes), Outcome.PASS)
    swarm.exited("s2", signal=9)
    judged(swarm.judge(NoCrashes), Outcome.FATAL, "s2 ended by itself (signal 9)")
