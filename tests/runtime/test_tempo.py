from dataclasses import replace

import anyio
import pytest

from swarmrig.errors import HostError
from swarmrig.model.network import Impairment
from swarmrig.model.scenario import LinkSpec, NetworkMode, NetworkSpec, NodeSpec, Scenario, TimeMode
from swarmrig.runtime.tempo import seen_by, settle_time

SCENARIO = Scenario("s", 10**9, 0, TimeMode.AUTO, NetworkSpec(), (NodeSpec("a", 0), NodeSpec("b", 1, kind="odd")))


class Able:
    async def prevents_virtual_time(self, spec):
        return None


class Unable:
    async def prevents_virtual_time(self, spec):
        return "its emulator has no plugin support"


class Silent:
    """A third party's backend that never heard of virtual time."""


def settle(scenario, other=Able):
    return anyio.run(settle_time, scenario, {"qemu": Able(), "odd": other()})


def test_virtual_when_every_node_can():
    tempo = settle(SCENARIO)
    assert (tempo.scenario.time, tempo.reasons, tempo.outside) == (TimeMode.VIRTUAL, (), frozenset())
    assert seen_by("b", tempo.scenario, tempo.outside) is tempo.scenario


def test_real_when_the_file_says_so():
    tempo = settle(replace(SCENARIO, time=TimeMode.REAL), Unable)
    assert tempo.scenario.time is TimeMode.REAL and not tempo.outside
    assert "asks for real time" in tempo.reasons[0]


@pytest.mark.parametrize(
    ("other", "reason"),
    [(Unable, "node b: its emulator has no plugin support"), (Silent, "nodes of kind odd do not say that they can")],
)
def test_paced_when_some_can_and_the_others_are_named(other, reason):
    for mode in (TimeMode.AUTO, TimeMode.PACED):
        tempo = settle(replace(SCENARIO, time=mode), other)
        assert (tempo.scenario.time, tempo.outside) == (TimeMode.PACED, frozenset({"b"}))
        assert reason in tempo.reasons[0]
        assert seen_by("a", tempo.scenario, tempo.outside).time is TimeMode.VIRTUAL
        assert seen_by("b", tempo.scenario, tempo.outside).time is TimeMode.REAL
    with pytest.raises(HostError, match=reason):
        settle(replace(SCENARIO, time=TimeMode.VIRTUAL), other)


def test_paced_when_the_file_says_so_though_every_node_can_be_virtual():
    tempo = settle(replace(SCENARIO, time=TimeMode.PACED))
    assert tempo.scenario.time is TimeMode.PACED and not tempo.outside
    assert "asks for paced time" in tempo.reasons[0]


def test_real_when_no_node_can():
    tempo = settle(replace(SCENARIO, nodes=SCENARIO.nodes[1:]), Unable)
    assert tempo.scenario.time is TimeMode.REAL


def test_a_bridge_to_this_machine_is_somebody_outside():
    bridged = replace(SCENARIO, network=NetworkSpec(mode=NetworkMode.BRIDGE))
    tempo = settle(bridged)
    assert tempo.scenario.time is TimeMode.PACED and not tempo.outside
    assert "this machine is part of a network of mode bridge" in tempo.reasons[0]


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (NetworkSpec(mode=NetworkMode.USER), "network mode user"),
        (NetworkSpec(impairment=Impairment(latency_ns=0)), "latency of 0"),
        (NetworkSpec(links=(LinkSpec(("a", "b"), Impairment(latency_ns=1, reorder=0.5)),)), "latency of 0"),
    ],
)
def test_the_network_that_prevents_it_is_named(network, reason):
    tempo = settle(replace(SCENARIO, network=network))
    assert tempo.scenario.time is TimeMode.REAL
    assert reason in tempo.reasons[0]
    for mode in (TimeMode.VIRTUAL, TimeMode.PACED):
        with pytest.raises(HostError, match=rf"{mode} time is not possible here:\n  .*{reason}"):
            settle(replace(SCENARIO, network=network, time=mode))
