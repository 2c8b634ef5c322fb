"""What is done to a node in virtual time happens at exactly the time at which time stands, and every time the same."""

from __future__ import annotations

import re
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from virtual_swarm import HUB, MS, SENSOR, S, Swarm, swarm

from swarmrig.api.nodes import HasFlash
from swarmrig.errors import NodeError
from swarmrig.model.scenario import REACTION_NS, ConsoleSeen, FirmwareSpec, FramesSeen, NodeSpec
from swarmrig.net.pcapng import PcapngReader
from swarmrig.testing.contract import CAPABILITIES
from swarmrig.wire.filter import compile_filter

pytestmark = pytest.mark.anyio

RAM = 0x80F0_0000
BEYOND = 0x8100_0000
UART = 0x1000_0000
CODE = 0x8000_1000
AT = 2 * S + 1234567


async def test_its_capabilities_are_those_of_its_plan(tmp_path: Path) -> None:
    async with swarm(tmp_path) as made:
        offered = {name for name, protocol in CAPABILITIES.items() if isinstance(made.nodes["s1"], protocol)}
        assert offered == made.plans["s1"].capabilities
        assert offered >= {"HasConsole", "CanPause", "CanReset", "CanKill", "CanPowerCycle", "HasMemory", "HasFlash"}
        assert made.nodes["s1"].flash_path == tmp_path / "nodes" / "s1" / "flash.bin"
        assert made.nodes["s1"].flash_base == 0x2200_0000
        assert not hasattr(made.nodes["s1"], "nmi")


async def typed(made: Swarm) -> None:
    await made.nodes["s1"].write_console(b"stats\r")


async def reset(made: Swarm) -> None:
    await made.nodes["s1"].reset()


async def paused(made: Swarm) -> None:
    await made.nodes["s1"].pause()
    await made.until(AT + S)
    await made.nodes["s1"].resume()


async def flipped(made: Swarm) -> None:
    await made.nodes["s1"].flip_memory(CODE, b"\x01" * 0x4000)


async def killed(made: Swarm) -> None:
    await made.nodes["s1"].kill()


async def power_cycled(made: Swarm) -> None:
    await made.nodes["s1"].power_off()
    await made.until(AT + S)
    await made.nodes["s1"].power_on()


async def held(made: Swarm) -> None:
    async with made.nodes["s1"].held() as emulator:
        assert (await emulator.monitor.execute("query-status"))["status"] == "paused"


async def debugged(made: Swarm) -> None:
    """By a debugger that reads all registers, and leaves as debuggers do: the machine goes on."""
    async with made.nodes["s1"].held() as emulator:
        path = made.directory / "gdb"
        await emulator.monitor.execute(
            "human-monitor-command", **{"command-line": f"gdbserver unix:{path},server=on,wait=off"}
        )
        async with await anyio.connect_unix(path) as gdb:
            for question, size in ((b"$g#67", 2 * 33 * 4), (b"$D#44", 2)):
                await gdb.send(question)
                answer = b""
                while answer.count(b"#") < 1 or len(answer.partition(b"#")[2]) < 2:
                    answer += await gdb.receive()
                assert len(answer.partition(b"$")[2].partition(b"#")[0]) == size
                await gdb.send(b"+")


async def nothing(made: Swarm) -> None:
    pass


async def life(directory: Path, act: Callable[[Swarm], Awaitable[None]], latency_ns: int = 5 * MS, *stops: int) -> str:
    """The digest of some seconds in which something is done to the sensor, with stops on the way."""
    async with swarm(directory, latency_ns=latency_ns) as made:
        for stop in sorted(stops):
            await made.until(stop)
        assert await made.until(AT) == AT
        await act(made)
        await made.until(AT + 3 * S // 2)
        return await made.digest()


@pytest.mark.parametrize("act", [typed, reset, paused, flipped, killed, power_cycled], ids=lambda act: act.__name__)
async def test_what_is_done_has_an_effect_and_always_the_same(tmp_path: Path, act: Any) -> None:
    first = await life(tmp_path / "a", act)
    assert await life(tmp_path / "b", act, 5 * MS, 777_777, S, S + 1, AT - 1) == first
    assert await life(tmp_path / "c", nothing) != first


@pytest.mark.parametrize("act", [held, debugged], ids=lambda act: act.__name__)
async def test_a_hold_leaves_no_trace(tmp_path: Path, act: Any) -> None:
    assert await life(tmp_path / "a", act) == await life(tmp_path / "b", nothing)


# --- each of them, more closely ----------------------------------------------------------------------------------


async def test_what_is_typed_is_typed_from_then_on(tmp_path: Path) -> None:
    async with swarm(tmp_path) as made:
        await made.until(AT)
        await typed(made)
        await made.until(AT + 100 * MS)
        (said,) = made.times("s1", "stats")[-1:]
        typing_ns = len(b"stats\r") * 86_806  # 115200 bit/s
        assert AT + typing_ns - 86_806 <= said < AT + typing_ns + MS


async def test_a_reset_is_at_its_instant(tmp_path: Path) -> None:
    async with swarm(tmp_path) as made:
        await made.until(AT)
        first = made.times("s1", "rst:0x1")[0]
        await reset(made)
        await made.until(AT + 100 * MS)
        assert made.times("s1", "rst:0x1") == [first, pytest.approx(AT + first, abs=1000)]


async def test_memory(tmp_path: Path) -> None:
    async with swarm(tmp_path) as made:
        node = made.nodes["s1"]
        await made.until(AT)
        await node.write_memory(RAM, b"swarmrig")
        assert await node.read_memory(RAM + 1, 3) == b"war"
        assert await node.flip_memory(RAM, b"\x01\x00\x80") == (b"swa", b"rw\xe1")
        assert await node.read_memory(RAM, 8) == b"rw\xe1rmrig"
        long = bytes(range(256)) * 5000  # more than one command may carry
        await node.write_memory(RAM - (2 << 20), long)
        assert await node.read_memory(RAM - (2 << 20), len(long)) == long
        before, after = await node.flip_memory(RAM - (2 << 20), b"\xff" * len(long))
        assert before == long and after == bytes(255 - byte for byte in long)
        assert await made.until(AT) == AT, "no time has passed"


async def test_what_cannot_be_done_is_refused_with_the_reason(tmp_path: Path) -> None:
    async with swarm(tmp_path) as made:
        node = made.nodes["s1"]
        await made.until(AT)
        with pytest.raises(NodeError, match="node s1: read: nothing can be read at this address"):
            await node.read_memory(BEYOND, 4)
        with pytest.raises(NodeError, match="flip: "):
            await node.flip_memory(UART, b"\x01")
        with pytest.raises(NodeError, match="console: the guest has not read its console for too long"):
            for _ in range(3):
                await node.write_console(b"x" * 500_000)
        for address, size in ((-1, 4), (RAM, 0), (2**64 - 1, 2)):
            with pytest.raises(ValueError, match="no memory range"):
                await node.read_memory(address, size)
        with pytest.raises(ValueError, match="there is no command 'explode'"):
            await made.network.command("s1", "explode")
        with pytest.raises(ValueError, match="nobody is no guest"):
            await made.network.command("nobody", "reset")


async def test_a_node_without_power(tmp_path: Path) -> None:
    async with swarm(tmp_path) as made:
        node = made.nodes["s1"]
        await made.until(AT)
        with pytest.raises(NodeError, match="its power is on"):
            await node.power_on()
        boots = len(made.times("s1", "app_main"))
        await node.power_off()
        for act in (node.reset, node.power_off, node.kill, lambda: node.read_memory(RAM, 4)):
            with pytest.raises(NodeError, match="its power is off"):
                await act()
        await made.until(AT + 5 * S)
        assert not [line for line in made.lines["s1"] if line[0] > AT + 16], "it is silent"
        with node.flash_path.open("r+b") as flash:
            flash.seek(0x110000)
            flash.write(b"changed")
        await node.power_on()
        await made.until(AT + 6 * S)
        assert await node.read_memory(node.flash_base + 0x110000, 7) == b"changed"
        assert len(made.times("s1", "app_main")) == boots + 1
        assert AT + 5 * S < made.times("s1", "rst:0x1")[-1] < AT + 5 * S + MS


async def test_a_guest_does_not_notice_when_it_was_switched_on(tmp_path: Path) -> None:
    """Its clock begins at 0 then; frames and lines have the network's time."""
    async with swarm(tmp_path, SENSOR) as made:
        await made.until(S)
        node = made.nodes["s1"]
        await node.power_off()
        await made.until(AT)
        await node.power_on()
        await made.until(AT + S)
        before = [(t_ns, line) for t_ns, line in made.lines["s1"] if t_ns < S]
        after = [(t_ns - AT, line) for t_ns, line in made.lines["s1"] if t_ns > AT]
        assert before and after[: len(before)] == before


async def test_frames_for_a_node_without_power_are_lost(tmp_path: Path) -> None:
    async with swarm(tmp_path, HUB, SENSOR) as made:
        await made.until(AT)
        await made.nodes["s1"].power_off()
        await made.until(AT + 2 * S)
        counters = (await made.collect())["links"]["hub--s1"]
        assert counters["forward"]["under_way"] + counters["backward"]["under_way"] <= 1


async def test_its_own_end_is_told_with_time_and_place(tmp_path: Path) -> None:
    async with swarm(tmp_path) as made:
        node = made.nodes["s1"]
        assert await made.until(AT) == AT
        await node.kill()
        with anyio.fail_after(5):
            assert str(await node.wait_exited()) == "SIGKILL"
        assert AT <= node.ended_ns < AT + 16
        assert f"last seen at {node.ended_ns / 1e9:.9f} s of virtual time, program counter 0x80" in node.last_words()
        with pytest.raises(NodeError, match="has ended before"):
            await node.kill()
        with pytest.raises(NodeError, match="cannot be switched off: it has ended before"):
            await node.power_off()
        with pytest.raises(NodeError, match="reset: its power is off, or it has ended"):
            await node.reset()
        await made.until(AT + S)


async def test_a_held_guest_answers_its_monitor_and_no_commands(tmp_path: Path) -> None:
    async with swarm(tmp_path) as made:
        await made.until(AT)
        async with made.nodes["s1"].held() as emulator:
            registers = await emulator.monitor.execute("human-monitor-command", **{"command-line": "info registers"})
            assert "pc" in registers
            with pytest.raises(NodeError, match="its machine is held"):
                await made.nodes["s1"].reset()
            with pytest.raises(NodeError, match="hold: it cannot be held while it runs, or is held"):
                async with made.nodes["s1"].held():
                    pass
            assert await made.nodes["hub"].read_memory(RAM, 1), "others answer"
        assert await made.until(AT + S) == AT + S


async def test_a_held_guest_that_dies(tmp_path: Path) -> None:
    async with swarm(tmp_path) as made:
        await made.until(AT)
        async with made.nodes["s1"].held() as emulator:
            emulator.process.send_signal(9)
            await made.nodes["s1"].wait_exited()
        assert await made.until(AT + S) == AT + S


async def test_who_does_not_hold_time_stops_it_for_a_moment(tmp_path: Path) -> None:
    """Interactive use: at some time as soon as possible, and everything holds together."""
    async with swarm(tmp_path) as made, anyio.create_task_group() as tasks:
        tasks.start_soon(made.until, 8 * S)
        reads = [await made.nodes["s1"].read_memory(RAM, 4) for _ in range(6)]
        assert len(set(reads)) == 1
        async with made.network.standing() as now_ns:
            await made.nodes["s1"].power_off()
            await made.nodes["s1"].power_on()
            changed = await made.network.set_link("hub--s1", {"latency_ns": 1000})
            assert changed == now_ns
        await made.nodes["s1"].pause()
        await made.nodes["s1"].resume()


async def test_a_link_that_takes_no_time_is_refused(tmp_path: Path) -> None:
    async with swarm(tmp_path) as made:
        await made.until(S)
        with pytest.raises(ValueError, match="in virtual time the link hub--s1 needs a latency"):
            await made.network.set_link("hub--s1", {"latency_ns": 0})
        await made.network.set_link("hub--s1", {"latency_ns": 1000})
        await made.until(2 * S)


async def test_lower_latencies_on_the_way(tmp_path: Path) -> None:
    """The hub's beacons reach the sensor so much earlier; nothing comes into anybody's past."""
    digests = set()
    for name, stops in (("a", ()), ("b", (S // 3, S + 5, 2 * S - 1))):
        async with swarm(tmp_path / name, latency_ns=50 * MS) as made:
            for stop in (*stops, 2 * S):
                await made.until(stop)
            await made.network.set_link("hub--s1", {"latency_ns": 2 * MS})
            await made.until(3 * S)
            await made.network.set_link("hub--s1", {"latency_ns": 80 * MS, "reorder": 0.5})
            await made.until(5 * S)
            digests.add(await made.digest())
            assert (await made.collect())["failure"] is None
    assert len(digests) == 1


# --- waiting for something ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "after_ns"),
    [
        (ConsoleSeen("s1", r"motion|fall|vitals|CSI", 3), 0),
        (ConsoleSeen("hub", "app_main"), 70 * MS),
        (FramesSeen("hub--s1", "udp.dport == 5005", 7), 0),
        (FramesSeen("hub", "arp"), 123_456_789),
    ],
)
async def test_time_stops_exactly_so_long_after_what_is_seen(tmp_path: Path, condition: Any, after_ns: int) -> None:
    times, digests = [], set()
    for name, latency_ns in (("a", 50 * MS), ("b", 50 * MS)):
        async with swarm(tmp_path / name, latency_ns=latency_ns) as made:
            with anyio.fail_after(60):
                now_ns = await made.network.reach_seen(0, condition, after_ns)
            statistics = await made.collect()
            assert statistics["now_ns"] == now_ns
            times.append(now_ns)
            await typed(made)
            await made.until(now_ns + S)
            digests.add(await made.digest())
            seen_ns = now_ns - max(after_ns, REACTION_NS)
            if isinstance(condition, ConsoleSeen):
                found = [t for t, line in made.lines[condition.node] if re.search(condition.pattern, line)]
            else:
                await made.network.flush()
                capture = PcapngReader().feed((made.directory / "net" / f"{condition.link}.pcapng").read_bytes())
                accepts = compile_filter(condition.filter)
                found = [packet.t_ns for packet in capture if accepts.matches(packet.data)]
            assert found[condition.count - 1] == seen_ns
    assert len(set(times)) == 1 and len(digests) == 1


async def test_what_is_never_seen_holds_nobody_up(tmp_path: Path) -> None:
    async with swarm(tmp_path, end_ns=3 * S, waiters=2) as made, anyio.create_task_group() as tasks:
        tasks.start_soon(made.network.reach_seen, 1, ConsoleSeen("s1", "no such words"), 0)
        assert await made.until(3 * S) == 3 * S
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        (ConsoleSeen("s1", "("), "no regular expression"),
        (FramesSeen("nowhere", "arp"), "no link 'nowhere'"),
        (FramesSeen("hub", "arp =="), "column"),
    ],
)
async def test_a_condition_that_is_none(tmp_path: Path, condition: Any, said: str) -> None:
    async with swarm(tmp_path) as made:
        with pytest.raises(ValueError, match=said):
            await made.network.reach_seen(0, condition)


async def test_those_who_wait_for_one_time_have_turns(tmp_path: Path) -> None:
    async with swarm(tmp_path, waiters=3) as made:
        order: list[str] = []

        async def act(token: int) -> None:
            await made.network.reach(token, AT)
            order.append(f"{token} begins")
            await made.nodes["s1"].read_memory(RAM, 4)
            order.append(f"{token} ends")
            await made.network.release(token)

        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                for token in (2, 1, 0):
                    tasks.start_soon(act, token)
        assert order == [f"{token} {what}" for token in (0, 1, 2) for what in ("begins", "ends")]


# --- a machine with a non-maskable interrupt ---------------------------------------------------------------------


def nmi_image() -> bytes:
    """Hand-assembled for the UART of mps2-an385 (Arm DAI 0385): says N and a newline for each NMI."""
    reset = [0x4C06, 0x2110, 0x6121, 0x2101, 0x60A1, 0xBF30, 0xE7FD]  # at 0x10; literal at 0x2c
    nmi = [0x4C03, 0x214E, 0x6021, 0x210A, 0x6021]  # at 0x1e
    body = struct.pack("<12H", *reset, *nmi)
    return struct.pack("<4I", 0x20010000, 0x11, 0x1F, 0x11) + body + struct.pack("<HHI", 0x4770, 0xBF00, 0x40004000)


async def test_a_non_maskable_interrupt(tmp_path: Path) -> None:
    image = tmp_path / "nmi.bin"
    image.write_bytes(nmi_image())
    options = {"arch": "arm", "qemu_machine": "mps2-an385", "onboard_nic": "lan9118"}
    board = NodeSpec("board", 1, machine="generic", firmware=FirmwareSpec(image=image), options=options)
    async with swarm(tmp_path, board) as made:
        assert "HasNmi" in made.plans["board"].capabilities
        assert not isinstance(made.nodes["board"], HasFlash)
        await made.until(S)
        await made.nodes["board"].nmi()
        await made.until(2 * S)
        await made.nodes["board"].nmi()
        await made.until(3 * S)
        assert [(round(t_ns / S), line) for t_ns, line in made.lines["board"]] == [(1, "N"), (2, "N")]
