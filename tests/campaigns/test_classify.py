"""What is judged, what is tried again, what is refused."""

import pytest

from swarmrig.campaigns.classify import classify
from swarmrig.campaigns.task import Ending, Execution

NODES = [{"id": "a", "kind": "qemu"}, {"id": "p", "kind": "process"}]


def result(verdict="PASS", *, failures=(), interrupted=False):
    results = {"run": {"interrupted": interrupted}, "verdict": verdict, "nodes": NODES, "failures": list(failures)}
    return {"kind": "result", "directory": "/x", "results": results}


def error(kind, message="no"):
    return {"kind": "error", "errors": [{"type": kind, "message": message}]}


def execution(*documents, code=0, **more):
    return Execution(exit_code=code, documents=documents, **more)


@pytest.mark.parametrize("verdict", ["PASS", "WARN", "FAIL", "FATAL"])
def test_a_verdict_is_judged_however_bad(verdict):
    found = classify(execution(result(verdict), code=2))
    assert (found.ending, found.reason) == (Ending.JUDGED, "")


@pytest.mark.parametrize(
    ("failure", "ending"),
    [
        ("node a ended by itself: exit 1\nlast words", Ending.JUDGED),
        ("node a ended by itself: SIGSEGV", Ending.INFRASTRUCTURE),  # the emulator crashed
        ("node p ended by itself: SIGSEGV", Ending.JUDGED),  # the program did
        ("node p ended by itself: SIGKILL", Ending.INFRASTRUCTURE),  # nobody kills itself: the kernel did, or a person
        ("the network process ended by itself: exit 1", Ending.INFRASTRUCTURE),
        ("node a: no sign of life for 30 s: in the kernel", Ending.INFRASTRUCTURE),
        ("process 12 (sleep) was left over", Ending.INFRASTRUCTURE),
    ],
)
def test_failures_are_of_a_node_or_of_the_infrastructure(failure, ending):
    found = classify(execution(result("FATAL", failures=["node p ended by itself: exit 2", failure]), code=3))
    assert found.ending is ending
    assert found.reason == ("" if ending is Ending.JUDGED else failure)


@pytest.mark.parametrize(
    ("given", "ending", "reason"),
    [
        (execution(result(), lost="it did not end within 3 s"), Ending.INFRASTRUCTURE, "it did not end within 3 s"),
        (execution(result(), no_space=True), Ending.INFRASTRUCTURE, "a disk is full"),
        (execution(result(interrupted=True), code=130), Ending.INTERRUPTED, "interrupted"),
        (execution(error("KeyboardInterrupt"), code=130), Ending.INTERRUPTED, "interrupted"),
        (execution(code=130), Ending.INTERRUPTED, "interrupted"),
        (execution(error("ScenarioError", "a.yml:1:1: wrong"), code=3), Ending.REFUSED, "a.yml:1:1: wrong"),
        (execution(error("MissingExtraError"), code=3), Ending.REFUSED, "no"),
        (execution(error("HostError", "no\n qemu"), code=3), Ending.INFRASTRUCTURE, "no qemu"),
        (execution(error("NodeError"), code=3), Ending.INFRASTRUCTURE, "no"),
        (execution(code=-9, last_words="Killed"), Ending.INFRASTRUCTURE, "the process was ended by SIGKILL: Killed"),
        (execution(code=-77), Ending.INFRASTRUCTURE, "the process was ended by signal 77"),
        (execution(code=None), Ending.INFRASTRUCTURE, "it did not come to an end"),
        (execution(code=3, last_words="a\nboom"), Ending.INFRASTRUCTURE, "(exit 3): boom"),
        (execution(code=0), Ending.INFRASTRUCTURE, "ended without a result (exit 0)"),
    ],
)
def test_what_has_no_verdict(given, ending, reason):
    found = classify(given)
    assert found.ending is ending
    assert reason in found.reason
    assert "\n" not in found.reason


def test_a_reason_is_a_line_and_not_a_book():
    assert len(classify(execution(error("HostError", "x" * 9000), code=3)).reason) == 500
