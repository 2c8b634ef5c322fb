from dataclasses import replace

import anyio
import pytest

from swarmrig.errors import HostError
from swarmrig.model.network import Impairment
from swarmrig.model.scenario import LinkSpec, NetworkMode, NetworkSpec, NodeSpec, Scenario, TimeMode
from swarmrig.runtime.tempo import settle_time

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
    scenario, reasons = settle(SCENARIO)
    assert (scenario.time, reasons) == (TimeMode.VIRTUAL, ())


def test_real_when_the_file_says_so():
    scenario, reasons = settle(replace(SCENARIO, time=TimeMode.REAL))
    assert scenario.time is TimeMode.REAL
    assert "asks for real time" in reasons[0]


@pytest.mark.parametrize(
    ("other", "reason"),
    [(Unable, "node b: its emulator has no plugin support"), (Silent, "nodes of kind odd do not say that they can")],
)
def test_the_node_that_prevents_it_is_named(other, reason):
    scenario, reasons = settle(SCENARIO, other)
    assert scenario.time is TimeMode.REAL
    assert reason in reasons[0]
    with pytest.raises(HostError, match=reason):
        settle(replace(SCENARIO, time=TimeMode.VIRTUAL), other)


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (NetworkSpec(mode=NetworkMode.USER), "network mode user"),
        (NetworkSpec(impairment=Impairment(latency_ns=0)), "latency of 0"),
        (NetworkSpec(links=(LinkSpec(("a", "b"), Impairment(latency_ns=1, reorder=0.5)),)), "latency of 0"),
    ],
)
def test_the_network_that_prevents_it_is_named(network, reason):
    scenario, reasons = settle(replace(SCENARIO, network=network))
    assert scenario.time is TimeMode.REAL
    assert reason in reasons[0]
