"""The rig's side of a user-mode network, with the test as the emulators: dumps into pipes, datagrams to the port."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import anyio
import pytest

from swarmrig.api import NodePlan
from swarmrig.errors import HostError
from swarmrig.model.network import Fate, NetworkPlan, PortKind
from swarmrig.model.scenario import NetworkMode, NetworkSpec, NodeSpec, Role, Scenario, TimeMode
from swarmrig.net.evidence import FrameTail
from swarmrig.net.pcapng import PcapngReader
from swarmrig.net.receiver import BATCH
from swarmrig.net.user_network import PIPE_BYTES, UserNetwork, open_user_network
from swarmrig.net.usermode import LISTEN_IP, forwarded_port, plan_user_network
from swarmrig.wire.csi import Csi

HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65536, 1)
GUEST, HOST = bytes.fromhex("525400020001"), bytes.fromhex("52550a000202")
NODES = (NodeSpec("coord", 0, role=Role.COORDINATOR), NodeSpec("s1", 1))


def free_port() -> int:
    """An aggregator port that is free, and so are its forwards."""
    for slot in range(50):  # neighbours, and their forwards, keep apart
        port = 20_000 + (os.getpid() + slot) % 50 * 200
        try:
            with bound(port), bound(port + 100), bound(port + 101):
                return port
        except OSError:
            continue
    raise AssertionError("no free ports")


@contextmanager
def bound(port: int) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((LISTEN_IP, port))
        yield sock


def scenario(port: int) -> Scenario:
    return Scenario(
        "x", 10**10, 0, TimeMode.REAL, NetworkSpec(mode=NetworkMode.USER), NODES, aggregator_port=port
    )  # fmt: skip


def planned(port: int) -> NetworkPlan:
    return plan_user_network(scenario(port), [NodePlan(node, (), PortKind.USER) for node in NODES])


@asynccontextmanager
async def running(directory: Path, port: int) -> AsyncIterator[UserNetwork]:
    spawner = None  # nothing is spawned
    async with open_user_network(
        planned(port),
        directory=directory,
        spawner=spawner,
        start_ns=time.monotonic_ns(),  # type: ignore[arg-type]
    ) as network:
        yield network


def ethernet(source: bytes, payload: bytes) -> bytes:
    return b"\xff" * 6 + source + b"\x88\xb5" + payload


def dumped(stamp_us: int, frame: bytes) -> bytes:
    return struct.pack("<IIII", *divmod(stamp_us, 10**6), len(frame), len(frame)) + frame


def csi(node: int, sequence: int) -> bytes:
    return Csi(node, 1, 2, 2437, sequence, -50, -90, bytes(4)).pack()


@pytest.mark.anyio
async def test_what_the_dump_holds_becomes_capture_and_facts(tmp_path: Path) -> None:
    port = free_port()
    async with running(tmp_path, port) as network:
        tail = FrameTail(network.plan, tmp_path)
        with os.fdopen(network.take_port("s1"), "wb", buffering=0) as dump:
            dump.write(HEADER + dumped(1000, ethernet(GUEST, b"out")) + dumped(3000, ethernet(HOST, b"in")))
            dump.write(dumped(9000, ethernet(GUEST, b"half"))[:-1])  # the emulator is killed in the middle
        await network.settle()
        frames = tail.poll()
        statistics = await network.statistics()
        assert tail.poll() == []
    assert [(frame.link, frame.sender, frame.number) for frame in frames] == [("s1", "s1", 1), ("s1", "host", 2)]
    assert all(frame.fate is Fate.DELIVERED and frame.delivered for frame in frames)
    packets = PcapngReader()
    assert [packet.data for packet in packets.feed((tmp_path / "s1.pcapng").read_bytes())] == [
        ethernet(GUEST, b"out"),
        ethernet(HOST, b"in"),
    ]
    assert packets.interfaces == ["s1", "host"]
    link = statistics["links"]["s1"]
    assert (link["frames"], link["delivered"], link["bytes"], link["drops"]) == (2, 2, 14 * 2 + 5, {})
    assert link["forward"]["frames"] == link["backward"]["frames"] == 1
    assert statistics["links"]["coord"]["frames"] == 0
    assert statistics["capture_error"] is None
    assert (tmp_path / "plan.json").is_file()


@pytest.mark.anyio
async def test_frames_are_recorded_as_they_come(tmp_path: Path) -> None:
    """Without being asked, and stamped with run time."""
    async with running(tmp_path, free_port()) as network:
        tail = FrameTail(network.plan, tmp_path)
        began = time.monotonic_ns()
        with os.fdopen(network.take_port("s1"), "wb", buffering=0) as dump:
            dump.write(HEADER + dumped(77_000_000, ethernet(GUEST, b"now")))
            with anyio.fail_after(10):
                while not (frames := tail.poll()):
                    await anyio.lowlevel.checkpoint()
        assert 0 <= frames[0].t_ns <= time.monotonic_ns() - began + 10**9


@pytest.mark.anyio
async def test_a_dump_longer_than_its_pipe_is_read_whole(tmp_path: Path) -> None:
    count = 3 * PIPE_BYTES // 1000
    async with running(tmp_path, free_port()) as network:
        with os.fdopen(network.take_port("s1"), "wb", buffering=0) as dump:

            def write() -> None:
                dump.write(HEADER)
                for number in range(count):
                    dump.write(dumped(number, ethernet(GUEST, bytes(1000))))

            await anyio.to_thread.run_sync(write)
        await network.flush()
        assert (await network.statistics())["links"]["s1"]["frames"] == count


@pytest.mark.anyio
async def test_a_guest_that_never_stops_does_not_hold_up_the_rig(tmp_path: Path) -> None:
    over = threading.Event()
    async with running(tmp_path, free_port()) as network:
        dump = os.fdopen(network.take_port("s1"), "wb", buffering=0)

        def flood() -> None:
            with dump:
                dump.write(HEADER)
                while not over.is_set():
                    dump.write(dumped(1, ethernet(GUEST, bytes(50))) * 500)

        thread = threading.Thread(target=flood)
        thread.start()
        try:
            with anyio.fail_after(20):
                for _ in range(5):
                    await network.settle()
                    await network.statistics()
        finally:
            over.set()
            await anyio.to_thread.run_sync(thread.join)
        await network.settle()
        assert (await network.statistics())["links"]["s1"]["frames"] % 500 == 0


@pytest.mark.anyio
async def test_a_damaged_dump_is_said_and_does_not_block_the_emulator(tmp_path: Path) -> None:
    async with running(tmp_path, free_port()) as network:
        with os.fdopen(network.take_port("s1"), "wb", buffering=0) as dump:
            await anyio.to_thread.run_sync(lambda: dump.write(b"nonsense" * (PIPE_BYTES // 4)))
        statistics = await network.statistics()
    assert "dump of s1 is damaged" in statistics["capture_error"]
    assert statistics["links"]["s1"]["frames"] == 0


@pytest.mark.anyio
async def test_datagrams_are_counted_by_the_aggregator(tmp_path: Path) -> None:
    port = free_port()
    async with running(tmp_path, port) as network:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for sequence in (0, 1, 3):
                sender.sendto(csi(1, sequence), (LISTEN_IP, port))
            sender.sendto(b"?", (LISTEN_IP, port))
            sender.sendto(bytes(60_000), (LISTEN_IP, port))  # more than any frame of a guest
        await network.settle()
        statistics = await network.statistics()
        assert (await network.statistics())["console"] == {}
    report = statistics["nodes"]["aggregator"]
    assert report["datagrams"] == 5 and sum(report["malformed"].values()) == 2
    assert report["nodes"]["1"]["frames"] == 3 and report["nodes"]["1"]["gaps"] == 1
    assert report["nodes"]["0"]["frames"] == 0  # never heard of, and said so
    assert report["overruns"] == 0
    lines = [text for _, text in statistics["console"]["aggregator"]]
    assert "listening" in lines[0] and "node_id=1" in lines[1]


@pytest.mark.anyio
async def test_a_burst_is_counted_or_counted_as_lost(tmp_path: Path) -> None:
    port, count = free_port(), 3 * BATCH + 1
    async with running(tmp_path, port) as network:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for sequence in range(count):
                sender.sendto(csi(1, sequence), (LISTEN_IP, port))
            await network.settle()
            sender.sendto(csi(1, count), (LISTEN_IP, port))  # the kernel tells its count with the next datagram
        await network.settle()
        report = (await network.statistics())["nodes"]["aggregator"]
    assert report["datagrams"] + report["overruns"] == count + 1


@pytest.mark.anyio
async def test_a_failing_model_is_told_and_the_network_lives_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swarmrig.net.user_network.load_factory", lambda device: Failing())
    async with running(tmp_path, free_port()) as network:
        await network.settle()
        statistics = await network.statistics()
    assert "no disk" in statistics["node_turns"]["aggregator"][0][1]
    assert statistics["nodes"]["aggregator"] == {}


class Failing:
    resolution_ns = 1

    def advance(self, horizon_ns: int) -> None:
        raise RuntimeError("no disk")


@pytest.mark.anyio
@pytest.mark.parametrize("number", [None, 1])
async def test_a_port_in_use_is_named_before_anything_starts(tmp_path: Path, number: int | None) -> None:
    port = free_port()
    taken = port if number is None else forwarded_port(scenario(port), number)
    with bound(taken), pytest.raises(HostError) as caught:
        async with running(tmp_path, port):
            pass
    assert f"UDP port {taken} of 127.0.0.1" in caught.value.message
    assert "aggregator_port" in caught.value.message
    assert "aggregator_port" in (caught.value.hint or "")
    if number is not None:
        assert "node s1" in caught.value.message


@pytest.mark.anyio
async def test_links_cannot_be_changed(tmp_path: Path) -> None:
    async with running(tmp_path, free_port()) as network:
        with pytest.raises(HostError, match="cannot be changed"):
            await network.set_link("s1", {"up": False})


@pytest.mark.anyio
async def test_a_port_is_taken_once_and_the_network_never_ends_by_itself(tmp_path: Path) -> None:
    async with running(tmp_path, free_port()) as network:
        os.close(network.take_port("s1"))
        with pytest.raises(KeyError):
            network.take_port("s1")
        with anyio.move_on_after(0.05) as scope:
            await network.wait_exited()
        assert scope.cancelled_caught
