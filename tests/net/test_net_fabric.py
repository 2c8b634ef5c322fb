"""The network process, for real: frames through sockets, captures, changes, and deaths on either side."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from swarmrig.api import NodePlan, StepResult
from swarmrig.errors import HostError
from swarmrig.model.network import PERFECT, DevicePlan, Fate, Impairment, LinkPlan, NetworkPlan, PortKind, SwitchPlan
from swarmrig.model.scenario import NetworkSpec, NodeSpec, Scenario, TimeMode, Topology
from swarmrig.net import fabric as fabric_module
from swarmrig.net.control import MAX_MESSAGE, ControlError, MessageBuffer, encode
from swarmrig.net.evidence import FrameTail
from swarmrig.net.fabric import Fabric
from swarmrig.net.topology import AGGREGATOR, plan_network
from swarmrig.wire.csi import Csi
from swarmrig.wire.ethernet import Ethernet, EtherType
from swarmrig.wire.ipv4 import Ipv4, Protocol
from swarmrig.wire.udp import Udp

pytestmark = pytest.mark.anyio

HUB_MAC, LEAF_MAC, BROADCAST = "02:00:00:00:00:01", "02:00:00:00:00:02", "ff:ff:ff:ff:ff:ff"
PATIENCE_S = 20.0
MS = 1_000_000


def ethernet(target: str, source: str, payload: bytes = b"payload") -> bytes:
    return bytes.fromhex((target + source).replace(":", "")) + b"\x88\xb5" + payload


def star(
    impairment: Impairment | None = None, *, leaf: PortKind = PortKind.PACKET, more: tuple[DevicePlan, ...] = ()
) -> NetworkPlan:
    """`hub` at the switch `hub.switch`, `leaf` on the link `hub--leaf`; `more` devices bring their links."""
    impairment = impairment or Impairment(latency_ns=MS)
    devices = (DevicePlan("hub", HUB_MAC, "hub"), DevicePlan("leaf", LEAF_MAC, "hub--leaf", leaf), *more)
    links = (
        LinkPlan("hub", "hub", "hub.switch", PERFECT, PERFECT, access=True),
        LinkPlan("hub--leaf", "hub.switch", "leaf", impairment, impairment),
        *(LinkPlan(device.link, "hub.switch", device.name, impairment, impairment) for device in more),
    )
    return NetworkPlan(7, devices, links, (SwitchPlan("hub.switch"),))


def take(fabric: Fabric, device: str) -> socket.socket:
    """The device's end of its port: blocking, but not for ever."""
    end = socket.socket(fileno=fabric.take_port(device))
    end.settimeout(PATIENCE_S)
    return end


async def receive(end: socket.socket) -> bytes:
    return await anyio.to_thread.run_sync(end.recv, 70_000)


async def receive_exactly(end: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = await anyio.to_thread.run_sync(end.recv, size - len(data))
        assert piece
        data += piece
    return data


async def counted(fabric: Fabric, device: str, key: str, value: object) -> None:
    """Return when a port's counter has a value."""
    with anyio.fail_after(PATIENCE_S):
        while (await fabric.statistics())["devices"][device][key] != value:
            await anyio.sleep(0.01)


async def test_a_frame_crosses_and_is_recorded(network: Any, tmp_path: Path) -> None:
    plan = star()
    async with network(plan) as fabric:
        with take(fabric, "hub") as hub, take(fabric, "leaf") as leaf:
            leaf.send(ethernet(BROADCAST, LEAF_MAC))
            assert await receive(hub) == ethernet(BROADCAST, LEAF_MAC)
            hub.send(ethernet(LEAF_MAC, HUB_MAC, bytes(1400)))
            assert await receive(leaf) == ethernet(LEAF_MAC, HUB_MAC, bytes(1400))
            await fabric.flush()
            frames = FrameTail(plan, tmp_path / "net").poll()
    assert [(frame.link, frame.sender, len(frame.data)) for frame in frames] == [
        ("hub--leaf", "leaf", 21),
        ("hub", "hub.switch", 21),
        ("hub", "hub", 1414),
        ("hub--leaf", "hub.switch", 1414),
    ]
    assert frames[1].t_ns - frames[0].t_ns == MS  # modelled time, not that of the loop
    assert all(frame.delivered for frame in frames)
    assert (tmp_path / "net" / "fabric.stderr.log").read_text() == ""


async def test_captures_grow_by_themselves(network: Any, tmp_path: Path) -> None:
    plan = star()
    async with network(plan) as fabric:
        tail = FrameTail(plan, tmp_path / "net")
        with take(fabric, "leaf") as leaf:
            leaf.send(ethernet(BROADCAST, LEAF_MAC))
            frames = tail.poll()
            with anyio.fail_after(PATIENCE_S):
                while len(frames) < 2:
                    await anyio.sleep(0.02)
                    frames += tail.poll()
    assert {frame.link for frame in frames} == {"hub", "hub--leaf"}


async def test_links_change_and_counts_add_up(network: Any, tmp_path: Path) -> None:
    plan = star(Impairment(latency_ns=0))
    async with network(plan) as fabric:
        with take(fabric, "hub") as hub, take(fabric, "leaf") as leaf:
            leaf.send(ethernet(BROADCAST, LEAF_MAC, b"before"))
            assert (await receive(hub)).endswith(b"before")
            cut_ns = await fabric.set_link("hub--leaf", {"up": False})
            for _ in range(5):
                leaf.send(ethernet(BROADCAST, LEAF_MAC, b"lost"))
            await counted(fabric, "leaf", "received", 6)
            heal_ns = await fabric.set_link("hub--leaf", {"up": True})
            leaf.send(ethernet(BROADCAST, LEAF_MAC, b"after"))
            assert (await receive(hub)).endswith(b"after")
        statistics = await fabric.statistics()
    assert statistics["links"]["hub--leaf"]["drops"] == {"drop: link down": 5}
    assert statistics["links"]["hub--leaf"]["frames"] == 7
    assert statistics["links"]["hub--leaf"]["delivered"] == 2
    assert statistics["capture_error"] is None
    assert statistics["now_ns"] > heal_ns > cut_ns > 0
    lost = [f for f in FrameTail(plan, tmp_path / "net").poll() if f.fate is Fate.DOWN]
    assert len(lost) == 5
    assert all(cut_ns <= frame.t_ns <= heal_ns for frame in lost)


async def test_mistakes_are_answered_and_harmless(network: Any) -> None:
    async with network(star()) as fabric:
        with pytest.raises(ValueError, match="there is no link 'hub--nobody'"):
            await fabric.set_link("hub--nobody", {"up": False})
        with pytest.raises(ValueError, match="did you mean 'latency_ns'"):
            await fabric.set_link("hub--leaf", {"latency": 1})
        with pytest.raises(ValueError, match="unknown command 'dance'"):
            await fabric._request("dance")
        with pytest.raises(ValueError, match="runs already"):
            await fabric._request("start", start_ns=0)
        assert (await fabric.statistics())["links"]["hub--leaf"]["frames"] == 0
        os.close(fabric.take_port("hub"))
        with pytest.raises(KeyError):
            fabric.take_port("hub")


async def test_a_device_that_dies_is_detached_and_may_come_back(network: Any) -> None:
    async with network(star()) as fabric:
        leaf = take(fabric, "leaf")
        take(fabric, "hub").close()
        await counted(fabric, "hub", "attached", False)
        leaf.send(ethernet(BROADCAST, LEAF_MAC, b"to nobody"))
        await counted(fabric, "hub", "missed", 1)
        with socket.socket(fileno=await fabric.renew_port("hub")) as hub:
            hub.settimeout(PATIENCE_S)
            leaf.send(ethernet(BROADCAST, LEAF_MAC, b"again"))
            assert (await receive(hub)).endswith(b"again")
        leaf.close()


async def test_empty_and_short_messages_are_no_frames(network: Any) -> None:
    async with network(star()) as fabric:
        with take(fabric, "leaf") as leaf:
            leaf.send(b"")
            leaf.send(b"short")
            leaf.send(ethernet(BROADCAST, LEAF_MAC))
            await counted(fabric, "leaf", "received", 1)
            statistics = await fabric.statistics()
            assert statistics["devices"]["leaf"]["malformed"] == 2
            assert statistics["devices"]["leaf"]["attached"]
            assert statistics["links"]["hub--leaf"]["frames"] == 1


async def test_a_reader_that_sleeps_overruns_apart_from_modelled_loss(network: Any, tmp_path: Path) -> None:
    plan = star(Impairment(latency_ns=0, loss=0.5))
    count = 12_000
    async with network(plan) as fabric:
        with take(fabric, "hub"), take(fabric, "leaf") as leaf:
            payload = bytes(1400)
            await anyio.to_thread.run_sync(
                lambda: [leaf.send(ethernet(BROADCAST, LEAF_MAC, payload)) for _ in range(count)]
            )
            await counted(fabric, "leaf", "received", count)
            await fabric.settle()
            statistics = await fabric.statistics()
            await fabric.flush()
            frames = FrameTail(plan, tmp_path / "net").poll()
    uplink, access = statistics["links"]["hub--leaf"], statistics["links"]["hub"]
    assert set(uplink["drops"]) == {"drop: loss"}
    assert set(access["drops"]) == {"overrun"}
    assert access["frames"] == uplink["delivered"] == access["delivered"] + access["drops"]["overrun"]
    assert access["delivered"] == statistics["devices"]["hub"]["sent"] > 100
    overruns = [frame for frame in frames if frame.fate is Fate.OVERRUN]
    assert len(overruns) == access["drops"]["overrun"]
    assert {(frame.link, frame.sender, frame.delivered) for frame in overruns} == {("hub", "hub.switch", False)}


async def test_stream_ports_carry_a_length_before_each_frame(network: Any) -> None:
    async with network(star(leaf=PortKind.STREAM)) as fabric:
        with take(fabric, "hub") as hub, take(fabric, "leaf") as leaf:
            frames = [ethernet(BROADCAST, LEAF_MAC, bytes(size)) for size in (0, 46, 1400)]
            data = b"".join(struct.pack(">I", len(frame)) + frame for frame in (b"runt", *frames))
            for at in range(0, len(data), 7):  # in crumbs
                leaf.send(data[at : at + 7])
            assert [await receive(hub) for _ in frames] == frames
            hub.send(ethernet(LEAF_MAC, HUB_MAC))
            assert await receive_exactly(leaf, 25) == (struct.pack(">I", 21) + ethernet(LEAF_MAC, HUB_MAC))
            assert (await fabric.statistics())["devices"]["leaf"]["malformed"] == 1


async def test_a_stream_that_is_read_late_gets_whole_frames(network: Any) -> None:
    count = 3_000
    async with network(star(Impairment(latency_ns=0), leaf=PortKind.STREAM)) as fabric:
        with take(fabric, "hub") as hub, take(fabric, "leaf") as leaf:
            frame = ethernet(BROADCAST, HUB_MAC, bytes(1400))
            await anyio.to_thread.run_sync(lambda: [hub.send(frame) for _ in range(count)])
            await counted(fabric, "hub", "received", count)
            await fabric.settle()
            statistics = await fabric.statistics()
            sent = statistics["devices"]["leaf"]["sent"]
            data = await receive_exactly(leaf, sent * (4 + len(frame)))
    assert data == (struct.pack(">I", len(frame)) + frame) * sent
    assert sent + statistics["links"]["hub--leaf"]["drops"].get("overrun", 0) == count


async def test_a_stream_out_of_step_is_detached(network: Any) -> None:
    async with network(star(leaf=PortKind.STREAM)) as fabric:
        with take(fabric, "leaf") as leaf:
            leaf.send(b"GET / HTTP/1.1\r\n")
            await counted(fabric, "leaf", "attached", False)
            assert await receive(leaf) == b""


async def test_settle_waits_for_what_is_under_way(network: Any) -> None:
    async with network(star(Impairment(latency_ns=300 * MS))) as fabric:
        with take(fabric, "leaf") as leaf, take(fabric, "hub") as hub:
            leaf.send(ethernet(BROADCAST, LEAF_MAC))
            await counted(fabric, "leaf", "received", 1)
            assert not await fabric.settle(10 * MS)
            assert await fabric.settle()
            hub.setblocking(False)
            assert len(hub.recv(100)) == 21
        assert await fabric.settle()


async def test_death_of_the_network_process_is_noticed(network: Any) -> None:
    async with network(star()) as fabric:
        os.kill(fabric.pid, signal.SIGKILL)
        with anyio.fail_after(PATIENCE_S):
            assert str(await fabric.wait_exited()) == "SIGKILL"
        with pytest.raises(HostError, match=r"the network process .* ended .*SIGKILL"):
            await fabric.statistics()
        with pytest.raises(HostError, match="the network process"):
            await fabric.set_link("hub--leaf", {"up": False})


async def test_a_question_that_is_under_way_when_the_process_dies(network: Any) -> None:
    async with network(star(Impairment(latency_ns=3_000 * MS))) as fabric:
        with take(fabric, "leaf") as leaf:
            leaf.send(ethernet(BROADCAST, LEAF_MAC))
            await counted(fabric, "leaf", "received", 1)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_settle_fails, fabric)
                await anyio.wait_all_tasks_blocked()
                os.kill(fabric.pid, signal.SIGKILL)


async def _settle_fails(fabric: Fabric) -> None:
    with pytest.raises(HostError, match="SIGKILL"):
        await fabric.settle()


async def test_a_plan_that_cannot_run_says_why_at_once(network: Any) -> None:
    broken = DevicePlan("model", "02:00:00:00:00:03", "hub--model", PortKind.PYTHON, factory="no.such.module:Model")
    with anyio.fail_after(PATIENCE_S), pytest.raises(HostError, match="No module named 'no'"):
        async with network(star(more=(broken,))):
            pytest.fail("must not start")


async def test_a_stopped_process_is_not_waited_for_for_ever(network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with network(star()) as fabric:
        monkeypatch.setattr(fabric_module, "ANSWER_TIMEOUT_S", 0.2)
        os.kill(fabric.pid, signal.SIGSTOP)
        with pytest.raises(HostError, match="did not answer 'flush' in time"):
            await fabric.flush()
        os.kill(fabric.pid, signal.SIGCONT)


async def test_captures_that_cannot_grow_are_reported_and_the_network_goes_on(
    network: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fabric_module, "CAPTURE_LIMIT", 4_000)  # as good as a full disk
    plan = star(Impairment(latency_ns=0))
    async with network(plan) as fabric:
        with take(fabric, "hub") as hub, take(fabric, "leaf") as leaf:
            for number in range(100):
                leaf.send(ethernet(BROADCAST, LEAF_MAC, bytes([number])))
                assert (await receive(hub))[-1] == number
                await fabric.flush()
        statistics = await fabric.statistics()
    assert "hub--leaf.pcapng: File too large" in statistics["capture_error"]
    assert statistics["links"]["hub--leaf"]["delivered"] == 100
    frames = FrameTail(plan, tmp_path / "net").poll()  # whole blocks only
    assert 30 < len([frame for frame in frames if frame.link == "hub--leaf"]) < 100
    assert (tmp_path / "net" / "fabric.stderr.log").read_text() == ""


async def test_a_capture_that_cannot_be_made_is_an_error(network: Any, tmp_path: Path) -> None:
    (tmp_path / "net" / "hub--leaf.pcapng").mkdir(parents=True)
    with pytest.raises(HostError, match=r"hub--leaf\.pcapng"):
        async with network(star()):
            pytest.fail("must not start")


class Model:
    """A Python node: greets at 1 ms, and breaks on request."""

    resolution_ns = 1

    def __init__(self, name: str, config: Mapping[str, Any]) -> None:
        self.config = config
        self.greeted = False
        self.got: list[str] = []

    def deliver(self, t_ns: int, frame: bytes) -> None:
        self.got.append(frame[14:].decode())
        if self.got[-1] == "break":
            raise RuntimeError("broken as asked")

    def advance(self, horizon_ns: int) -> StepResult:
        if self.greeted:
            return StepResult([], [])
        self.greeted = True
        frame = ethernet(BROADCAST, self.config["mac"], b"greetings")
        return StepResult([(MS, frame)], [(MS, "said hello")])

    def next_deadline_ns(self) -> int | None:
        return None if self.greeted else MS

    def report(self) -> Mapping[str, Any]:
        return {"got": self.got}


async def test_python_nodes_live_in_the_network_process(network: Any, tmp_path: Path, monkeypatch: Any) -> None:
    # Their modules are found where the rig finds them: on its sys.path.
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "own_model.py").write_text(Path(__file__).read_text())
    mac = "02:00:00:00:00:03"
    device = DevicePlan("model", mac, "hub--model", PortKind.PYTHON, factory="own_model:Model", config={"mac": mac})
    plan = star(more=(device,))
    async with network(plan) as fabric:
        with take(fabric, "hub") as hub:
            for text in (b"hello", b"break", b"unheard"):
                hub.send(ethernet(mac, HUB_MAC, text))
                await fabric.settle()
            statistics = await fabric.statistics()
            assert statistics["console"] == {"model": [[MS, "said hello"]]}
            assert "broken as asked" in statistics["node_turns"]["model"][0][1]
            assert (await fabric.statistics())["console"] == {}
    greeting = next(frame for frame in FrameTail(plan, tmp_path / "net").poll() if frame.sender == "model")
    assert (greeting.t_ns, greeting.data[14:]) == (MS, b"greetings")


async def test_the_aggregator_counts_what_a_node_sends(network: Any) -> None:
    nodes = (NodeSpec("n0", 0), NodeSpec("n1", 1), NodeSpec("n2", 2))
    scenario = Scenario("t", 10**9, 1, TimeMode.REAL, NetworkSpec(Topology.LINE), nodes)
    plan = plan_network(scenario, [NodePlan(node, ()) for node in nodes])
    device = plan.device("n2")
    assert device.gateway is not None
    gateway = next(f.mac for r in plan.routers for f in r.interfaces if f.ip == device.gateway)
    async with network(plan) as fabric:
        with take(fabric, "n2") as node:
            for number in range(20):
                csi = Csi(2, 1, 52, 2437, number, -50, -90, bytes(104)).pack()
                packet = Ipv4(device.ip, "10.0.0.1", Protocol.UDP, Udp(4000, 5005, csi).pack(device.ip, "10.0.0.1"))
                node.send(Ethernet(gateway, device.mac, EtherType.IPV4, packet.pack()).pack())
            await counted(fabric, "n2", "received", 20)
            assert await fabric.settle()
            statistics = await fabric.statistics()
    report = statistics["nodes"][AGGREGATOR]
    drops = sum(sum(link["drops"].values()) for link in statistics["links"].values())
    waiting = sum(router["drops"].get("arp: queue full", 0) for router in statistics["routers"].values())
    assert report["nodes"]["2"]["frames"] == 20 - waiting
    assert drops == 0
    assert statistics["node_turns"] == {}


async def test_tshark_reads_a_running_capture(network: Any, tmp_path: Path) -> None:
    async with network(star(Impairment(latency_ns=0, loss=0.5))) as fabric:
        with take(fabric, "leaf") as leaf:
            for _ in range(50):
                leaf.send(ethernet(BROADCAST, LEAF_MAC))
            await counted(fabric, "leaf", "received", 50)
            await fabric.flush()
            path = tmp_path / "net" / "hub--leaf.pcapng"
            command = ["tshark", "-r", path, "-T", "fields", "-e", "frame.interface_name", "-e", "frame.comment"]
            result = await anyio.to_thread.run_sync(
                lambda: subprocess.run(command, capture_output=True, text=True, check=True)
            )
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert {row[0] for row in rows} == {"leaf"}
    assert {row[1] for row in rows} == {"", "drop: loss"}
    assert "cut short" not in result.stderr


async def test_a_hundred_devices_attach(network: Any) -> None:
    more = tuple(DevicePlan(f"d{n}", f"02:00:00:00:01:{n:02x}", f"hub--d{n}") for n in range(250))
    async with network(star(Impairment(latency_ns=0), more=more)) as fabric:
        with take(fabric, "hub") as hub, take(fabric, "d249") as last:
            hub.send(ethernet(BROADCAST, HUB_MAC))
            assert await receive(last) == ethernet(BROADCAST, HUB_MAC)
            assert await fabric.settle()
            links = (await fabric.statistics())["links"]
    assert sum(link["frames"] for link in links.values()) == 252


def test_messages_are_put_together_from_any_pieces() -> None:
    data = encode({"a": 1}) + encode({"b": ["ü"]})
    buffer = MessageBuffer()
    found = [message for at in range(len(data)) for message in buffer.feed(data[at : at + 1])]
    assert found == [{"a": 1}, {"b": ["ü"]}]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (struct.pack("<I", MAX_MESSAGE + 1), "too long"),
        (struct.pack("<I", 2) + b"[]", "not an object"),
        (struct.pack("<I", 3) + b"{x}", "not JSON"),
        (struct.pack("<I", 2) + b"\xff\xff", "not JSON"),
    ],
)
def test_what_is_no_message(data: bytes, message: str) -> None:
    with pytest.raises(ControlError, match=message):
        MessageBuffer().feed(data)


def test_a_message_that_is_too_long_is_not_sent() -> None:
    with pytest.raises(ControlError, match="too long"):
        encode({"x": "x" * MAX_MESSAGE})


async def test_frames_are_injected_read_back_and_dropped_into_a_black_hole(network: Any, tmp_path: Path) -> None:
    plan = star()
    extra = ethernet(LEAF_MAC, HUB_MAC, b"extra")
    async with network(plan) as fabric:
        with take(fabric, "leaf") as leaf:
            t_ns = await fabric.inject_frames("hub--leaf", "hub.switch", [(0, extra), (0, extra)])
            assert t_ns > 0
            assert [leaf.recv(2048) for _ in range(2)] == [extra, extra]
            recorded = await fabric.recorded_frames("hub--leaf", "hub.switch", 0)
            assert recorded == [(t_ns, extra)] * 2
            assert await fabric.recorded_frames("hub--leaf", "leaf", 0) == []
            assert await fabric.recorded_frames("hub--leaf", "hub.switch", t_ns + 1) == []
            later = await fabric.set_filter("hub--leaf", f"eth.src == {HUB_MAC}", layer="x")
            await fabric.inject_frames("hub--leaf", "hub.switch", [(0, extra)])
            await fabric.set_filter("hub--leaf", None, layer="x")
            await fabric.settle()
            assert later >= t_ns
    frames = FrameTail(plan, tmp_path / "net").poll()
    assert [(frame.fate, frame.note) for frame in frames] == [
        (Fate.DELIVERED, "injected"), (Fate.DELIVERED, "injected"), (Fate.BLACKHOLE, "drop: blackhole; injected")
    ]  # fmt: skip


async def test_more_frames_than_a_message_holds(network: Any) -> None:
    frames = [(0, ethernet(LEAF_MAC, HUB_MAC, bytes(1400)))] * 2000
    async with network(star()) as fabric:
        await fabric.inject_frames("hub--leaf", "hub.switch", frames)
        await fabric.settle()
        counters = (await fabric.statistics())["links"]["hub--leaf"]
        assert counters["forward"]["frames"] == 2000


async def test_wrong_injections_are_answered(network: Any) -> None:
    async with network(star()) as fabric:
        with pytest.raises(ValueError, match="the ends of the link hub--leaf are"):
            await fabric.inject_frames("hub--leaf", "hub", [(0, ethernet(LEAF_MAC, HUB_MAC))])
        with pytest.raises(ValueError, match="no frame to inject"):
            await fabric.inject_frames("hub--leaf", "leaf", [])
        with pytest.raises(ValueError, match="expected a field"):
            await fabric.set_filter("hub--leaf", "")
        with pytest.raises(ValueError, match="need a layer"):
            await fabric.set_link("hub--leaf", {"loss": 1.0}, frames=3)


async def test_changes_part_the_frames_by_their_times(network: Any, tmp_path: Path) -> None:
    """What entered before a change lived by the former rules, what entered after it by the new ones."""
    plan = star()
    turns: list[tuple[int, bool]] = []
    async with network(plan) as fabric:
        with take(fabric, "hub") as hub, take(fabric, "leaf") as leaf:
            leaf.setblocking(False)
            for turn in range(12):
                for _ in range(40):
                    hub.send(ethernet(LEAF_MAC, HUB_MAC))
                up = bool(turn % 2)
                changes: dict[str, Any] = {} if up else {"up": False}
                turns.append((await fabric.set_link("hub--leaf", changes, layer="flap"), up))
            await fabric.settle()
    frames = FrameTail(plan, tmp_path / "net").poll()
    entered = [frame for frame in frames if frame.link == "hub--leaf" and frame.fate is not Fate.OVERRUN]
    assert len(entered) == 12 * 40
    assert [t_ns for t_ns, _ in turns] == sorted(t_ns for t_ns, _ in turns)
    for frame in entered:
        if all(t_ns != frame.t_ns for t_ns, _ in turns):
            up = ([True] + [up for t_ns, up in turns if t_ns < frame.t_ns])[-1]
            assert (frame.fate is Fate.DELIVERED) is up, (frame, turns)
