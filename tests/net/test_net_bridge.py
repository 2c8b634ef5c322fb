"""The host in the network: a real bridge and TAP, pings from the kernel, and nothing left afterwards."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from swarmrig.api import NodePlan
from swarmrig.errors import HostError, MissingExtraError, ScenarioError
from swarmrig.model.network import NetworkPlan
from swarmrig.model.scenario import NetworkMode, NetworkSpec, NodeSpec, Scenario, TimeMode, Topology
from swarmrig.net import bridge, tap
from swarmrig.net.evidence import FrameTail
from swarmrig.net.topology import HOST, plan_network
from swarmrig.wire.arp import Arp, reply_frame
from swarmrig.wire.ethernet import Ethernet, EtherType
from swarmrig.wire.icmp import ECHO_REPLY, ECHO_REQUEST, Icmp
from swarmrig.wire.ipv4 import Ipv4, Protocol

root = pytest.mark.skipif(os.geteuid() != 0 or not Path("/dev/net/tun").exists(), reason="needs root and TUN/TAP")
pytestmark = [pytest.mark.anyio, pytest.mark.root]


def plan(topology: Topology = Topology.MESH, *ids: str) -> NetworkPlan:
    nodes = tuple(NodeSpec(node, number) for number, node in enumerate(ids or ("a", "b")))
    network = NetworkSpec(topology, mode=NetworkMode.BRIDGE)
    scenario = Scenario("t", 10**9, 1, TimeMode.REAL, network, nodes)
    return plan_network(scenario, [NodePlan(node, (), address_by_dhcp=True) for node in nodes])


def interfaces() -> dict[str, str]:
    """Names and aliases of the links that are runs' own."""
    found = {link.name: link / "ifalias" for link in Path("/sys/class/net").iterdir() if link.name.startswith("sr")}
    return {name: alias.read_text().strip() for name, alias in found.items() if alias.exists()}


def ping(target: str, interface: str) -> Icmp:
    """The kernel's own stack asks over the bridge; what it is answered."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        raw.settimeout(20)
        raw.sendto(Icmp(ECHO_REQUEST, 0, 77, 1, b"from the host").pack(), (target, 0))
        return Icmp.parse(Ipv4.parse(raw.recv(2000)).payload)


@root
async def test_the_host_talks_to_the_network_and_leaves_nothing(network: Any, tmp_path: Path) -> None:
    before = interfaces()
    given = plan()
    async with network(given):
        made = {name: alias for name, alias in interfaces().items() if name not in before}
        (name,) = (name for name in made if name.endswith("br"))
        assert len(made) == 2
        assert len(set(made.values())) == 1
        assert next(iter(made.values())).startswith("swarmrig:")
        for target in ("10.0.0.254", "10.0.0.1"):  # the services router, and the aggregator over a 5 ms link
            reply = await anyio.to_thread.run_sync(ping, target, name)
            assert (reply.type, reply.id, reply.payload) == (ECHO_REPLY, 77, b"from the host")
    assert interfaces() == before
    frames = [Ethernet.parse(frame.data) for frame in FrameTail(given, tmp_path / "net").poll() if frame.sender == HOST]
    assert {frame.src for frame in frames} == {given.device(HOST).mac}
    assert {frame.type for frame in frames} == {EtherType.ARP, EtherType.IPV4}  # no chatter of IPv6


@root
async def test_a_nodes_ping_is_answered_by_the_hosts_kernel(network: Any) -> None:
    given = plan()
    node, host = given.device("a"), given.device(HOST)
    async with network(given) as fabric:
        with socket.socket(fileno=fabric.take_port("a")) as port:
            port.settimeout(20)
            echo = Ipv4(node.ip, host.ip, Protocol.ICMP, Icmp(ECHO_REQUEST, 0, 1, 1, b"from a node").pack()).pack()
            port.send(Ethernet(host.mac, node.mac, EtherType.IPV4, echo).pack())
            while True:
                frame = Ethernet.parse(await anyio.to_thread.run_sync(port.recv, 2000))
                if frame.type == EtherType.ARP:  # the kernel asks who we are
                    port.send(reply_frame(node.mac, Arp.parse(frame.payload)))
                elif frame.type == EtherType.IPV4:
                    break
    packet = Ipv4.parse(frame.payload)
    assert (packet.src, packet.dst) == (host.ip, node.ip)
    reply = Icmp.parse(packet.payload)
    assert (reply.type, reply.payload) == (ECHO_REPLY, b"from a node")


@root
async def test_a_tap_that_vanishes_is_detached(network: Any) -> None:
    before = interfaces()
    async with network(plan()) as fabric:
        (tap,) = (name for name in interfaces() if name not in before and name.endswith("t0"))
        await anyio.to_thread.run_sync(lambda: subprocess.run(["ip", "link", "del", tap], check=True))
        with anyio.fail_after(20):
            while (await fabric.statistics())["devices"][HOST]["attached"]:
                await anyio.sleep(0.01)


@root
async def test_an_error_half_way_removes_what_was_made(network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = interfaces()
    real = bridge._iproute()

    class Refusing(real):  # type: ignore[misc, valid-type]
        def addr(self, *arguments: object, **more: object) -> None:
            raise OSError(17, "address exists")

    monkeypatch.setattr(bridge, "_iproute", lambda: Refusing)
    with pytest.raises(HostError, match=r"cannot make the bridge sr.*br with 10\.0\.0\.253/16"):
        async with network(plan()):
            pytest.fail("must not start")
    assert interfaces() == before


@root
async def test_without_the_extra_the_error_names_it(network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = interfaces()
    monkeypatch.setitem(sys.modules, "pyroute2", None)
    with pytest.raises(MissingExtraError, match=r"swarmrig\[bridge\]"):
        async with network(plan()):
            pytest.fail("must not start")
    assert interfaces() == before


async def test_without_a_tun_device_the_error_says_what_to_do(
    network: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tap, "TUN_DEVICE", tmp_path / "tun")
    with pytest.raises(HostError, match="modprobe tun"):
        async with network(plan()):
            pytest.fail("must not start")


async def test_a_device_node_that_is_no_tun(network: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tap, "TUN_DEVICE", Path("/dev/null"))
    with pytest.raises(HostError, match="cannot make the TAP interface"):
        async with network(plan()):
            pytest.fail("must not start")


def test_the_host_is_on_the_segment() -> None:
    star = plan(Topology.STAR, "hub", "leaf")
    link = star.link("host--hub")
    assert (link.a, link.b, link.access) == ("host", "hub.switch", True)
    assert star.device(HOST).ip == "10.0.0.253"


def test_bridging_needs_one_segment_and_the_name() -> None:
    with pytest.raises(ScenarioError, match="needs one segment"):
        plan(Topology.LINE, "a", "b")
    with pytest.raises(ScenarioError, match="'host' is used by the network itself"):
        plan(Topology.MESH, "a", "host")
