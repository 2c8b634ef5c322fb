"""What faults have in common: facts are assigned to before, during and after, whenever they become known."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmrig.api import ProofStatus
from swarmrig.faults.observation import ObservedFault, evidence_data, node_or_place, pointer
from swarmrig.model.facts import ConsoleLine, FaultStage, Frame, NodeChange, NodeState
from swarmrig.model.network import Fate
from swarmrig.model.scenario import FaultSpec, NetworkSpec, NodeSpec, Scenario, TimeMode


class Lamp(ObservedFault):
    """Seen by what a console says."""

    contrary_words = "was lit"

    @classmethod
    def target(cls, spec, scenario, network):
        return "lamp"

    def shows_effect(self, fact):
        return fact.text == "dark"

    def shows_contrary(self, fact):
        return fact.text == "light"

    def shows_end(self, fact):
        return fact.text == "light"


class Flash(Lamp):
    heals = False

    def shows_contrary(self, fact):
        return fact.text == "nothing happened"


def lamp(kind=Lamp, at_ns=10, for_ns=10):
    stages = []
    context = SimpleNamespace(
        scenario=None, network=None, emit=lambda stage, data: stages.append((stage, data["t_ns"]))
    )
    return kind(FaultSpec("x", "lamp", at_ns, for_ns, {}), context), stages


def say(fault, t_ns, text):
    fault.observe(ConsoleLine(t_ns, "a", t_ns, text))


def test_an_instant_has_no_end_to_be_seen():
    flash, stages = lamp(Flash, for_ns=None)
    say(flash, 10, "dark")
    flash.injected(10)
    assert flash.proved().status is ProofStatus.INDETERMINATE
    say(flash, 11, "dark")
    assert flash.proved().status is ProofStatus.PROVED
    assert stages == [(FaultStage.INJECTED, 10), (FaultStage.OBSERVED, 11)]
    say(flash, 12, "nothing happened")
    assert flash.proved().status is ProofStatus.FAILED


def test_what_was_never_touched_failed():
    fault, _ = lamp()
    say(fault, 11, "dark")
    fault.conclude()
    assert fault.proved().status is ProofStatus.FAILED


def test_before_conditions_are_met_memory_is_bounded():
    fault, _ = lamp(at_ns=None)
    for t_ns in range(1, 20_000):
        say(fault, t_ns, "dark")
    fault.injected(19_990)
    assert fault._effect.found.t_ns == 19_991


LIFE = [(8, "dark"), (9, "light"), (12, "dark"), (13, "dark"), (21, "light"), (22, "light")]


@given(st.randoms(use_true_random=False), st.sampled_from([None, 15]))
def test_the_verdict_does_not_depend_on_when_facts_become_known(chance: random.Random, leak: int | None):
    fault, stages = lamp()
    facts = sorted([*LIFE, *([(leak, "light")] if leak else [])])
    calls = [lambda: fault.injected(10), lambda: fault.healed(20)]
    while facts or calls:
        if facts and (not calls or chance.random() < 0.5):
            say(fault, *facts.pop(0))
        else:
            calls.pop(0)()
    fault.conclude()
    proof = fault.proved()
    if leak:
        assert (proof.status, proof.message) == (ProofStatus.FAILED, "nodes/a/console.log:15 was lit")
    else:
        assert proof.status is ProofStatus.PROVED
        assert "console.log:12 shows it, nodes/a/console.log:21 shows that it is over" in proof.message
    assert {stage for stage, _ in stages} == {
        FaultStage.INJECTED, FaultStage.OBSERVED, FaultStage.HEALED, FaultStage.HEAL_OBSERVED,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fact", "place", "data"),
    [
        (
            Frame(5, "a--b", "a", 7, b"", Fate.DOWN, False), "net/a--b.pcapng#7",
            {"link": "a--b", "capture": "net/a--b.pcapng", "frame": 7, "t_ns": 5},
        ),
        (
            ConsoleLine(5, "a", 3, "hello"), "nodes/a/console.log:3",
            {"node": "a", "console": "nodes/a/console.log", "line": 3, "text": "hello", "t_ns": 5},
        ),
        (NodeChange(5, "a", NodeState.EXITED), "events.jsonl", {"t_ns": 5}),
    ],
)  # fmt: skip
def test_facts_are_pointed_to_where_people_can_look(fact, place, data):
    assert pointer(fact) == place
    assert evidence_data(fact) == data


def test_nodes_are_named_by_id_or_number():
    scenario = Scenario("s", 1, 0, TimeMode.REAL, NetworkSpec(), (NodeSpec("a", 3), NodeSpec("b", 1)))
    assert [node_or_place(name, scenario) for name in ("a", 1, 3, "lan")] == ["a", "b", "a", "lan"]
