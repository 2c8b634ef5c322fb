"""This machine as somebody outside of virtual time, over a real bridge."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import anyio.to_thread
import pytest

from swarmrig.api import NodePlan
from swarmrig.model.scenario import NetworkMode, NetworkSpec, NodeSpec, Scenario, TimeMode, Topology
from swarmrig.net.topology import AGGREGATOR, plan_network
from swarmrig.proc import RunScope, open_spawner
from swarmrig.timebase.paced_fabric import open_paced_fabric
from swarmrig.timebase.stepping import Stepping
from swarmrig.wire.icmp import ECHO_REPLY, ECHO_REQUEST, Icmp
from swarmrig.wire.ipv4 import Ipv4

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0 or not Path("/dev/net/tun").exists(), reason="needs root and TUN/TAP"),
]


def ping(target: str, interface: str) -> Icmp:
    """The kernel's own stack asks over the bridge; what it is answered."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        raw.settimeout(30)
        raw.sendto(Icmp(ECHO_REQUEST, 0, 78, 1, b"from the host").pack(), (target, 0))
        while (reply := Icmp.parse(Ipv4.parse(raw.recv(2000)).payload)).id != 78:
            pass
        return reply


async def test_this_machine_pings_what_lives_in_virtual_time(tmp_path: Path) -> None:
    node = NodeSpec("a", 1)
    network = NetworkSpec(Topology.MESH, mode=NetworkMode.BRIDGE)
    plan = plan_network(Scenario("t", 10**9, 1, TimeMode.PACED, network, (node,)), [NodePlan(node, ())])
    before = {link.name for link in Path("/sys/class/net").iterdir()}
    async with (
        open_spawner(RunScope(tmp_path)) as spawner,
        open_paced_fabric(plan, directory=tmp_path / "net", spawner=spawner, start_ns=0) as fabric,
    ):
        os.close(fabric.take_port("a"))
        await fabric.go(10**12, 0, Stepping())
        (bridge,) = (
            link.name
            for link in Path("/sys/class/net").iterdir()
            if link.name not in before and link.name.endswith("br") and spawner.scope.run_id[:6] in link.name
        )
        reply = await anyio.to_thread.run_sync(ping, plan.device(AGGREGATOR).ip, bridge)
        assert (reply.type, reply.payload) == (ECHO_REPLY, b"from the host")
    assert not (Path("/sys/class/net") / bridge).exists()
