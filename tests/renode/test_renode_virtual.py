"""Machines in virtual time: what they say and hear has exact times, whatever the coordinator allows them at a time."""

import os
import signal
from contextlib import asynccontextmanager

import anyio
import pytest
from node_bench import ELF
from virtual_swarm import MS, swarm

from swarmrig.errors import NodeError
from swarmrig.nodes.renode import stepping
from swarmrig.nodes.renode.backend import RenodeBackend

pytestmark = pytest.mark.anyio
LATENCY_NS = 3 * MS


@asynccontextmanager
async def pair(tmp_path, renode, *, name="run", **options):
    """Two machines whose second UARTs are joined by one link."""
    specs = (
        renode("left", 1, serial="sysbus.usart1", **options),
        renode("right", 2, serial="sysbus.usart1", **options),
    )
    directory = tmp_path / name
    async with swarm(directory, *specs, backend=RenodeBackend(), latency_ns=LATENCY_NS) as made:
        yield made


@pytest.mark.parametrize("step", ["1ms", "500us"])
async def test_lines_have_the_time_at_which_they_were_said(renode, tmp_path, step, version):
    async with pair(tmp_path, renode, step=step, behaviour={"version": version}) as made:
        await made.until(41 * MS)
        for node in ("left", "right"):
            assert made.times(node, "tick") == [5 * MS * (number + 1) for number in range(8)]


async def test_a_coarse_step_makes_coarse_times(renode, tmp_path):
    async with pair(tmp_path, renode, step="4ms") as made:
        await made.until(21 * MS)
        assert made.times("left", "tick") == [8 * MS, 12 * MS, 16 * MS, 20 * MS]


async def test_joined_uarts_hear_each_other_after_the_latency_of_their_link(renode, tmp_path):
    async with pair(tmp_path, renode) as made:
        await made.until(70 * MS)
        for node in (
            "left",
            "right",
        ):  # sent at 20 ms, there at 23 ms, and said by the end of the slice that begins then
            assert made.times(node, "peer says: ping 1") == [24 * MS]
            assert made.times(node, "peer says: ping 2") == [44 * MS]
            assert made.times(node, "peer says: ping 3") == [64 * MS]


async def test_it_is_the_same_however_far_they_may_run_at_a_time(renode, tmp_path):
    digests = []
    for number, stops in enumerate(([70 * MS], [7 * MS + 1, 23 * MS, 49_999_999, 70 * MS])):
        async with pair(tmp_path, renode, name=f"run{number}") as made:
            for stop in stops:
                await made.until(stop)
            digests.append(await made.digest())
    assert len(set(digests)) == 1


async def test_what_is_typed_is_heard_in_the_next_slice(renode, tmp_path):
    async with pair(tmp_path, renode) as made:
        await made.until(10 * MS + 300_000)
        await made.nodes["left"].write_console(b"hi\r")
        await made.until(30 * MS)
        assert made.times("left", "heard: hi") == [11 * MS]


async def test_a_long_line_takes_its_time(renode, tmp_path):
    """115200 bit/s: eleven bytes in a slice of a millisecond."""
    async with pair(tmp_path, renode) as made:
        await made.until(10 * MS)
        await made.nodes["left"].write_console(b"x" * 40 + b"\r")
        await made.until(30 * MS)
        assert made.times("left", "heard: xxx") == [14 * MS]


async def test_a_paused_machine_stands_still_and_so_does_its_clock(renode, tmp_path):
    async with pair(tmp_path, renode) as made:
        await made.until(12 * MS)
        await made.nodes["left"].pause()
        await made.until(42 * MS)
        await made.nodes["left"].resume()
        await made.until(60 * MS)
        assert made.times("left", "tick") == [5 * MS, 10 * MS, 45 * MS, 50 * MS, 55 * MS, 60 * MS]
        assert len(made.times("right", "tick")) == 12


async def test_reset_happens_at_an_exact_time(renode, tmp_path):
    async with pair(tmp_path, renode) as made:
        await made.until(12 * MS)
        await made.nodes["left"].reset()
        await made.until(25 * MS)
        assert made.times("left", "boot") == [1 * MS, 13 * MS]
        assert made.times("left", "tick") == [5 * MS, 10 * MS, 17 * MS, 22 * MS]


async def test_memory_at_an_exact_time(renode, tmp_path):
    async with pair(tmp_path, renode) as made:
        await made.until(5 * MS + 1)
        node = made.nodes["left"]
        await node.write_memory(0x2000_0001, b"abc")
        assert await node.read_memory(0x2000_0000, 6) == b"\0abc\0\0"
        assert await node.flip_memory(0x2000_0001, b"\x01") == (b"a", b"`")
        with pytest.raises(NodeError, match="65536 at most"):
            await node.read_memory(0, 1 << 17)


async def test_firmware_is_changed_while_time_stands(renode, tmp_path):
    other = tmp_path / "other.elf"
    other.write_bytes(ELF)
    async with pair(tmp_path, renode) as made:
        await made.until(12 * MS)
        await made.nodes["left"].flash(other)
        await made.until(20 * MS)
        assert made.times("left", "boot") == [1 * MS, 13 * MS]


async def test_power_cycles_begin_at_an_exact_time(renode, tmp_path):
    async with pair(tmp_path, renode) as made:
        await made.until(12 * MS)
        await made.nodes["left"].power_off()
        await made.until(30 * MS)
        await made.nodes["left"].power_on()
        await made.until(42 * MS)
        assert made.times("left", "tick") == [5 * MS, 10 * MS, 35 * MS, 40 * MS]
        assert made.times("right", "peer says") == []  # 20 ms fell into the time without power
        with pytest.raises(NodeError):
            await made.nodes["left"].power_on()


async def test_a_killed_machine_has_ended_where_time_stands(renode, tmp_path):
    async with pair(tmp_path, renode) as made:
        await made.until(12 * MS)
        await made.nodes["left"].kill()
        assert (await made.nodes["left"].wait_exited()).signal == signal.SIGKILL
        assert made.nodes["left"].ended_ns == 12 * MS
        await made.until(60 * MS)
        assert len(made.times("right", "tick")) == 12


async def test_a_machine_that_dies_by_itself_does_not_hold_up_the_others(renode, tmp_path):
    async with pair(tmp_path, renode) as made:
        await made.until(12 * MS)
        os.kill(made.nodes["left"].life.renode.process.pid, signal.SIGKILL)
        with anyio.fail_after(60):
            await made.nodes["left"].wait_exited()
        await made.until(60 * MS)
        assert len(made.times("right", "tick")) == 12


async def test_firmware_that_aborts_the_processor_in_virtual_time(renode, tmp_path):
    image = tmp_path / "abort.elf"
    image.write_bytes(ELF + b"abort")
    async with pair(tmp_path, renode, image=image) as made, anyio.create_task_group() as tasks:
        tasks.start_soon(made.until, 10 * MS)
        for node in made.nodes.values():
            with anyio.fail_after(60), pytest.raises(NodeError, match="CPU abort"):
                await node.wait_exited()


async def test_a_hang_in_a_slice_is_the_nodes_failure(renode, tmp_path, monkeypatch):
    monkeypatch.setattr(stepping, "SLICE_S", 0.3)
    async with pair(tmp_path, renode, behaviour={"hang": ["emulation RunFor"]}) as made:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(made.until, 10 * MS)
            for node in made.nodes.values():
                with anyio.fail_after(60), pytest.raises(NodeError, match="no answer to 'emulation RunFor"):
                    await node.wait_exited()


async def test_slices_are_asked_for_in_plain_quoted_decimals(renode, tmp_path, commands):
    async with pair(tmp_path, renode, step="500us") as made:
        await made.until(2 * MS)
    slices = [command for command in commands("left") if "RunFor" in command]
    assert slices and set(slices) == {'emulation RunFor "0.0005"'}
    assert "start" not in commands("left")


async def test_a_script_that_starts_the_machine_is_refused(renode, tmp_path):
    script = tmp_path / "own.resc"
    script.write_text('mach create "mine"\nsysbus LoadELF @' + str(tmp_path / "fw.elf") + "\nstart\n")
    with pytest.raises(NodeError, match="leave `start` out of the script"):
        async with pair(tmp_path, renode, script=script, platform=None, machine_name="mine"):
            pass


async def test_the_rig_is_not_bound_to_a_core_as_emulators_are(renode, tmp_path):
    before = os.sched_getaffinity(0)
    async with pair(tmp_path, renode) as made:
        await made.until(2 * MS)
        assert os.sched_getaffinity(0) == before


@pytest.mark.parametrize("step", ["mach create", "sysbus.usart2 CreateFileBackend", "emulation SetGlobalAdvance"])
async def test_death_at_a_step_of_power_on_in_virtual_time(renode, tmp_path, step):
    with pytest.raises(NodeError, match=r"ended [(]exit 1[)](.|\n)*Out of memory"):
        async with swarm(tmp_path / "run", renode(behaviour={"die_at": step}), backend=RenodeBackend()):
            pytest.fail("it has started")


async def test_the_name_of_the_uart_is_wrong_in_virtual_time(renode, tmp_path):
    with pytest.raises(NodeError, match=r"has the platform a UART sysbus\.nope"):
        async with swarm(tmp_path / "run", renode(uart="sysbus.nope"), backend=RenodeBackend()):
            pytest.fail("it has started")


async def test_ethernet_keeps_a_node_from_virtual_time(renode):
    reason = await RenodeBackend().prevents_virtual_time(renode(ethernet="sysbus.ethernet"))
    assert reason is not None and "TAP" in reason
    assert await RenodeBackend().prevents_virtual_time(renode(serial="sysbus.usart1")) is None
