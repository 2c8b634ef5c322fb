"""Guests in lockstep and somebody outside, for real: causality, exactness, what is held, what breaks."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

import anyio
import pytest
from paced_swarm import MS, OUTSIDE, PATIENCE_S, PacedSwarm, paced_swarm

from swarmrig.errors import HostError
from swarmrig.model.scenario import ConsoleSeen, FramesSeen, NodeSpec
from swarmrig.net.pcapng import Packet, PcapngReader
from swarmrig.timebase.pace import BEHIND_LIMIT_NS, SLICE_NS
from swarmrig.timebase.recording import read_recording

pytestmark = pytest.mark.anyio


def packets(made: PacedSwarm, link: str, sender: int) -> list[Packet]:
    """What that end of the link has sent."""
    found = PcapngReader().feed((made.directory / "net" / f"{link}.pcapng").read_bytes())
    return [packet for packet in found if packet.interface == sender and not packet.inbound]


async def test_a_guest_answers_somebody_outside(tmp_path: Path) -> None:
    async with paced_swarm(tmp_path, waiters=0) as made:
        await made.network.begun()
        for number in range(5):
            begun_ns = time.monotonic_ns()
            await made.ping("hub", number)
            assert time.monotonic_ns() - begun_ns >= 10 * MS  # the links' latency there and back
        await made.network.flush()
        # What comes from outside has the time of a slice, and not one that was over when it was sent.
        asked = [packet for packet in packets(made, "hub--ext", 1) if packet.data[23:24] == b"\x01"]
        assert len(asked) >= 5 and all(packet.t_ns % SLICE_NS == 0 for packet in asked)
        answered = [packet for packet in packets(made, "hub--ext", 0) if packet.data[23:24] == b"\x01"]
        assert len(answered) >= 5 and any(packet.t_ns % SLICE_NS for packet in answered)
        pace = (await made.collect())["pace"]
        assert pace["handed_over"] >= 5 and pace["lost"] == 0


async def test_nothing_arrives_outside_before_its_time(tmp_path: Path) -> None:
    async with paced_swarm(tmp_path, waiters=0) as made:
        await made.network.begun()
        origin_ns = made.network.origin_ns  # later on it may be later, when the clock had to wait
        assert origin_ns is not None
        arrived: list[tuple[int, bytes]] = []
        while len(arrived) < 20:
            frame = await made.frame()
            arrived.append((time.monotonic_ns(), frame))
        await made.network.flush()
        sent = packets(made, "hub--ext", 0)
        for (read_ns, frame), packet in zip(arrived, sent, strict=False):
            assert frame == packet.data
            assert read_ns >= origin_ns + packet.t_ns + 5 * MS


async def test_guests_live_as_in_virtual_time_when_nobody_outside_says_anything(tmp_path: Path) -> None:
    lives = []
    for number in range(2):
        async with paced_swarm(tmp_path / str(number)) as made:
            assert await made.until(700 * MS + number) == 700 * MS + number
            lives.append((made.lines, (tmp_path / str(number) / "net" / "hub--s1.pcapng").read_bytes()))
    assert lives[0] == lives[1]
    assert lives[0][0]["s1"]


async def test_a_stop_is_reached_when_the_clock_is_there(tmp_path: Path) -> None:
    async with paced_swarm(tmp_path) as made:
        before_ns = time.monotonic_ns()  # time begins when the first stop is known
        assert await made.until(0) == 0
        assert await made.until(300 * MS) == 300 * MS
        assert time.monotonic_ns() - before_ns >= 300 * MS
        # Somebody else acts in between: nobody is in the past of what he does.
        async with made.network.standing() as at_ns:
            assert at_ns == 300 * MS


async def test_what_is_done_to_guests_has_its_exact_time_and_is_recorded(tmp_path: Path) -> None:
    at_ns = 400 * MS + 1234567
    async with paced_swarm(tmp_path) as made:
        await made.until(at_ns)
        await made.nodes["s1"].write_console(b"stats\r")
        before, after = await made.nodes["hub"].flip_memory(0x80F0_0000, b"\x01")
        assert before != after
        await made.until(at_ns + 100 * MS)
        await made.nodes["hub"].reset()
        await made.until(at_ns + 300 * MS)
        assert any("stats" in text for _, text in made.lines["s1"])
        assert any(t_ns > at_ns + 100 * MS and "rst:" in text for t_ns, text in made.lines["hub"])
    (life,) = read_recording(tmp_path / "net" / "s1.inputs")
    assert at_ns in {one.t_ns for one in life.inputs}


async def test_links_change_at_once_and_without_delay_while_time_runs(tmp_path: Path) -> None:
    """Nobody holds time here; what is done to a link is not put off until somebody reports."""
    async with paced_swarm(tmp_path, waiters=0) as made:
        await made.network.begun()
        await made.ping("hub", 1)
        times = [await made.network.set_link("hub--ext", {"up": up}) for up in (False, True) * 10]
        assert times == sorted(times)
        await made.ping("hub", 2)
        with pytest.raises(ValueError, match="needs a latency"):
            await made.network.set_link("hub--s1", {"latency_ns": 0})


async def test_conditions_on_guests_and_links_act_at_exact_times(tmp_path: Path) -> None:
    async with paced_swarm(tmp_path, waiters=2) as made:
        at: dict[int, int] = {}

        async def wait(token: int, condition: Any) -> None:
            at[token] = await made.network.reach_seen(token, condition)
            await made.network.release(token)

        with anyio.fail_after(PATIENCE_S):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wait, 0, ConsoleSeen("s1", "app_main"))
                tasks.start_soon(wait, 1, FramesSeen("hub--ext", "icmp.type == 8"))
                await made.network.begun()
                await made.ping("hub", 1)
        await made.collect()
        (said,) = [t_ns for t_ns, text in made.lines["s1"] if "app_main" in text]
        asked = next(packet for packet in packets(made, "hub--ext", 1) if packet.data[23:24] == b"\x01")
        assert at == {0: said + 10 * MS, 1: asked.t_ns + 10 * MS}


async def test_time_that_is_held_is_not_lost_but_told(tmp_path: Path) -> None:
    async with paced_swarm(tmp_path, waiters=0) as made:
        await made.network.begun()
        await made.ping("s1", 1)
        async with made.network.hold("s1") as at_ns:
            with anyio.fail_after(PATIENCE_S):
                while (await made.collect())["pace"]["held_ns"] < 50 * MS:
                    await anyio.sleep(0.02)
            statistics = await made.collect()
            assert statistics["now_ns"] == at_ns
            assert statistics["pace"]["clock_ns"] <= at_ns + BEHIND_LIMIT_NS
            made.sock.send(made.echo_request("s1", 2))
        await made.answer(2)
        assert (await made.collect())["pace"]["lost"] == 0


async def test_a_token_that_is_parked_holds_nobody_up(tmp_path: Path) -> None:
    async with paced_swarm(tmp_path) as made:
        await made.until(100 * MS)
        await made.network.park(0)
        await made.ping("hub", 1)
        assert await made.until(0) > 100 * MS  # it is told of a time again


async def test_guests_are_switched_off_and_on_beside_others_who_live_on(tmp_path: Path) -> None:
    async with paced_swarm(tmp_path, waiters=0) as made:
        await made.network.begun()
        await made.ping("s1", 1)
        await made.nodes["s1"].power_off()
        await made.ping("hub", 2)
        await made.nodes["s1"].power_on()
        await made.ping("s1", 3)
        await made.nodes["s1"].kill()
        await made.ping("hub", 4)
    assert len(read_recording(tmp_path / "net" / "s1.inputs")) == 2


async def test_a_device_outside_may_go_and_come_again(tmp_path: Path) -> None:
    async with paced_swarm(tmp_path, waiters=0) as made:
        await made.network.begun()
        await made.ping("hub", 1)
        made.sock.close()
        with anyio.fail_after(PATIENCE_S):
            while (await made.collect())["devices"][OUTSIDE]["attached"]:
                await anyio.sleep(0.01)
        fd = await made.network.renew_port(OUTSIDE)
        made.sock = socket.socket(fileno=fd)
        made.sock.setblocking(False)
        with made.sock:
            await made.ping("hub", 2)


async def test_without_guests_the_network_keeps_the_clock(tmp_path: Path) -> None:
    """Python nodes alone, the aggregator here, and somebody outside."""
    async with paced_swarm(tmp_path, NodeSpec("only", 1, kind="ext"), waiters=0, backend=Outsiders()) as made:
        await made.network.begun()
        await made.ping("aggregator", 1)
        first, second = (await made.collect())["now_ns"], (await made.collect())["now_ns"]
        assert 0 < first <= second
        assert (await made.collect())["failure"] is None


async def test_a_guest_that_dies_is_missed_by_nobody_else(tmp_path: Path) -> None:
    async with paced_swarm(tmp_path, waiters=0) as made:
        await made.network.begun()
        await made.ping("s1", 1)
        os.kill(made.nodes["s1"].pid, signal.SIGKILL)
        with anyio.fail_after(PATIENCE_S):
            await made.nodes["s1"].wait_exited()
        await made.ping("hub", 2)
        assert (await made.collect())["failure"] is None


async def test_a_guest_that_stops_living_is_named_after_the_patience(tmp_path: Path) -> None:
    async with paced_swarm(tmp_path, waiters=0, patience_s=1.0) as made:
        await made.network.begun()
        await made.ping("s1", 1)
        os.kill(made.nodes["s1"].pid, signal.SIGSTOP)
        with anyio.fail_after(PATIENCE_S):
            while (failure := (await made.collect())["failure"]) is None:
                await anyio.sleep(0.05)
        os.kill(made.nodes["s1"].pid, signal.SIGCONT)
        assert "no sign of life for 1 s: s1 was last seen at" in failure
        pace = (await made.collect())["pace"]
        assert pace["slipped_ns"] > 0 and pace["behind_max_ns"] <= BEHIND_LIMIT_NS


async def test_what_cannot_be_attached_is_refused(tmp_path: Path) -> None:
    async with paced_swarm(tmp_path, waiters=0) as made:
        with pytest.raises(ValueError, match="no place"):
            await made.network.attach("aggregator", made.sock.fileno())
        await made.ping("hub", 1)


async def test_who_knows_nothing_of_the_network_hears_of_its_end(tmp_path: Path) -> None:
    async with paced_swarm(tmp_path) as made:
        waiting: list[BaseException] = []

        async def wait() -> None:
            try:
                await made.network.begun()
            except HostError as error:
                waiting.append(error)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await made.collect()
            os.kill(made.network.pid, signal.SIGKILL)
        assert waiting
        made.network.end_guests = _nothing  # type: ignore[method-assign]


async def _nothing() -> None:
    """There is nobody to tell."""


class Outsiders:
    """A backend whose nodes are not opened here: places in the network for whoever comes."""

    async def plan(self, spec: NodeSpec, _: Any) -> Any:
        from swarmrig.api import NodePlan

        return NodePlan(spec, ())

    def open(self, plan: Any, context: Any) -> Any:
        from contextlib import nullcontext

        os.close(context.port_fd)
        return nullcontext(plan)
