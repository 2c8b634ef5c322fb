"""A machine's life in real time: power, console, memory, firmware, and what is left of it."""

import os
import signal
import socket
import stat
import subprocess
import sys

import anyio
import pytest
from node_bench import DEADLINE_S, ELF, bench_of, booted, leftovers

from swarmrig.errors import NodeError
from swarmrig.nodes.renode import life
from swarmrig.nodes.renode.door import FD, behind_door
from swarmrig.nodes.renode.errors import CommandError
from swarmrig.nodes.renode.serial import bytes_of, frames_of
from swarmrig.proc import StopLadder

pytestmark = pytest.mark.anyio


async def test_the_machine_is_made_in_the_order_of_the_manual(renode, commands, tmp_path, firmware):
    spec = renode(extra_commands=["sysbus WriteDoubleWord 0x40090030 0x0301"], machine_name="board-7")
    async with booted(tmp_path, spec):
        pass
    made = [command for command in commands() if not command.startswith("emulation Create")]
    assert made == [
        'mach create "board-7"',
        "machine LoadPlatformDescription @platforms/boards/stm32f4_discovery-kit.repl",
        "connector Connect sysbus.usart2 console",
        "sysbus WriteDoubleWord 0x40090030 0x0301",
        "emulation SetSeed 1",
        f"sysbus LoadELF @{firmware}",
        f'macro reset "sysbus LoadELF @{firmware}"',
        "start",
        "quit",
    ]


async def test_nobody_else_can_reach_the_monitor(renode, tmp_path):
    async with booted(tmp_path, renode()) as (_, node, _):
        pid = node.life.renode.process.pid
        assert os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net")
        with socket.socket() as sock, pytest.raises(ConnectionRefusedError):
            sock.connect(("127.0.0.1", 1234))


@pytest.mark.parametrize("capability", ["sys_admin", "none"])
def test_a_network_of_its_own_needs_no_privilege(capability):
    """As root outright; without the capability for that, inside of a user namespace."""
    without = ["setpriv", f"--bounding-set=-{capability}", f"--inh-caps=-{capability}"] if capability != "none" else []
    ours, theirs = socket.socketpair()
    command = [*without, *behind_door([sys.executable, "-c", "import os; print(os.readlink('/proc/self/ns/net'))"])]
    with ours, theirs:
        os.set_inheritable(theirs.fileno(), True)
        command[command.index(str(FD), -6)] = str(theirs.fileno())
        done = subprocess.run(command, pass_fds=[theirs.fileno()], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() != os.readlink("/proc/self/ns/net")
        _, fds, _, _ = socket.recv_fds(ours, 16, 10)
    for fd in fds:
        os.close(fd)
    assert len(fds) == 7


async def test_links_and_pid_files_go_with_each_life(renode, tmp_path):
    async with bench_of(tmp_path, renode()) as bench:
        async with bench.node() as node:
            await bench.trace().wait_for_console("boot", deadline_s=DEADLINE_S)
            assert leftovers(bench) == ["console", "renode.pid"]
            await node.power_off()
            assert leftovers(bench) == []
            await node.power_on()
            await bench.trace().wait_for_console("boot", count=2, deadline_s=DEADLINE_S)
        assert leftovers(bench) == []


async def test_what_a_killed_renode_left_does_not_keep_the_next_one_from_starting(renode, tmp_path):
    async with bench_of(tmp_path, renode()) as bench:
        place = bench.spawner.scope.temporary_directory / "renode-m1"
        place.mkdir(mode=0o700)
        (place / "console").symlink_to("/dev/pts/nothing")
        (place / "renode.pid").write_text("1")
        async with bench.node():
            await bench.trace().wait_for_console("boot", deadline_s=DEADLINE_S)


async def test_a_console_on_a_socket(renode, tmp_path, version):
    spec = renode(console="socket", behaviour={"version": version})
    async with booted(tmp_path, spec) as (_, node, trace):
        await node.write_console(b"hello\r")
        await trace.wait_for_console("heard: hello", deadline_s=DEADLINE_S)


async def test_a_machine_that_says_a_lot_is_never_held_up(renode, tmp_path):
    """A pseudo-terminal that nobody reads would hold up everything."""
    async with booted(tmp_path, renode(serial="sysbus.usart1")) as (_, node, trace):
        await node.write_console(b"flood\r")
        await trace.wait_for_console("flood is over", deadline_s=DEADLINE_S)
        assert trace.count("^x{78}") == 4000
        assert await node.read_memory(0x2000_0000, 4) == b"\0\0\0\0"


async def test_a_quit_that_is_not_answered_does_not_hold_up_the_end(renode, tmp_path, monkeypatch):
    monkeypatch.setattr(life, "QUIT_S", 0.1)
    monkeypatch.setattr(life, "STOP", StopLadder(polite_s=0.2, term_s=30.0, kill_s=30.0))
    with anyio.fail_after(50):
        async with booted(tmp_path, renode(behaviour={"hang": ["quit"]})) as (_, node, _):
            process = node.life.renode.process
    assert process.exit_status.signal == signal.SIGTERM


async def test_a_machine_that_has_died_is_told_with_its_last_words(renode, tmp_path):
    async with booted(tmp_path, renode()) as (_, node, _):
        os.kill(node.life.renode.process.pid, signal.SIGSEGV)
        assert (await node.wait_exited()).signal == signal.SIGSEGV
        with pytest.raises(NodeError, match="ended before"):
            await node.power_off()
        with pytest.raises(NodeError):
            await node.pause()


# --- memory, reset, pause ------------------------------------------------------------------------------------------


async def test_memory_is_read_and_written_where_it_is_not_aligned_either(renode, tmp_path):
    async with booted(tmp_path, renode()) as (_, node, _):
        await node.write_memory(0x2000_0003, bytes(range(1, 12)))
        assert await node.read_memory(0x2000_0000, 16) == bytes((0, 0, 0, *range(1, 12), 0, 0))
        before, after = await node.flip_memory(0x2000_0004, b"\xff\x01")
        assert (before, after) == (b"\x02\x03", b"\xfd\x02")
        for wrong in ((-1, 4), (0, 0), (1 << 64, 1), (0, 1 << 20)):
            with pytest.raises(ValueError, match="memory"):
                await node.read_memory(*wrong)


async def test_a_flip_happens_while_the_machine_stands_still(renode, commands, tmp_path):
    async with booted(tmp_path, renode()) as (_, node, _):
        await node.flip_memory(0x2000_0000, b"\x01\0\0\0")
        await node.pause()
        await node.flip_memory(0x2000_0000, b"\x01\0\0\0")
    words = [command.split()[-1 if "sysbus" not in command else 1] for command in commands()]
    flip = ["ReadDoubleWord", "WriteDoubleWord", "ReadDoubleWord"]
    begin = words.index("pause")
    assert words[begin:] == ["pause", *flip, "start", "pause", *flip, "quit"]


async def test_reset_loads_the_firmware_anew(renode, commands, tmp_path):
    async with booted(tmp_path, renode()) as (_, node, trace):
        await node.reset()
        await trace.wait_for_console("boot", count=2, deadline_s=DEADLINE_S)
    assert commands()[-4:] == ["pause", "machine Reset", "start", "quit"]


async def test_a_paused_machine_stays_paused_through_a_reset(renode, commands, tmp_path):
    async with booted(tmp_path, renode()) as (_, node, trace):
        await node.pause()
        await node.reset()
        assert commands()[-1] == "machine Reset"
        await node.resume()
        await trace.wait_for_console("boot", count=2, deadline_s=DEADLINE_S)


# --- firmware ------------------------------------------------------------------------------------------------------


async def test_firmware_is_changed_while_the_machine_runs(renode, commands, tmp_path, firmware):
    other = tmp_path / "other.elf"
    other.write_bytes(ELF + b"other")
    async with booted(tmp_path, renode()) as (bench, node, trace):
        await node.flash(other)
        other.unlink()  # it has a copy
        await trace.wait_for_console("boot", count=2, deadline_s=DEADLINE_S)
        (copy,) = copies(bench)
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        load = f"sysbus LoadELF @{copy}"
        assert commands()[-5:] == ["pause", load, f'macro reset "{load}"', "machine Reset", "start"]
        await node.power_off()
        await node.power_on()  # from then on it boots from that
        assert load in commands()[-4:]
        await node.reset()
        await trace.wait_for_console("boot", count=4, deadline_s=DEADLINE_S)
        await node.flash(firmware)  # of two copies, the first goes
        assert copies(bench) != [copy] and len(copies(bench)) == 1
    assert leftovers(bench) == []


async def test_firmware_that_cannot_be_loaded_changes_nothing(renode, commands, tmp_path, firmware):
    spec = renode(behaviour={"refuses": {"sysbus LoadELF @/": "Out of luck"}}, image=None)
    async with bench_of(tmp_path, spec) as bench, bench.node() as node:
        with pytest.raises(CommandError, match="Out of luck"):
            await node.flash(firmware)
        assert copies(bench) == []
        assert not any(command.startswith("macro") for command in commands())
    ready = renode(platform=None, machine="stm32f4-discovery", image=None)
    async with bench_of(tmp_path, ready) as bench, bench.node() as node:
        told = len(commands())
        with pytest.raises(NodeError, match="is RISC-V code, but stm32f4-discovery runs Arm"):
            await node.flash(firmware)
        assert copies(bench) == [] and len(commands()) == told


def copies(bench):
    return list((bench.spawner.scope.temporary_directory / "renode-m1").glob("firmware-*"))


async def test_firmware_that_is_given_without_power_is_for_the_next_time(renode, commands, tmp_path, firmware):
    other = tmp_path / "other.elf"
    other.write_bytes(ELF)
    async with booted(tmp_path, renode()) as (_, node, trace):
        await node.power_off()
        told = len(commands())
        await node.flash(other)
        assert len(commands()) == told
        await node.power_on()
        await trace.wait_for_console("boot", count=2, deadline_s=DEADLINE_S)
        assert not any(str(firmware) in command for command in commands()[told:])


async def test_a_machine_without_firmware_waits_for_some(renode, commands, tmp_path):
    raw = tmp_path / "image.bin"
    raw.write_bytes(b"\0" * 64)
    async with bench_of(tmp_path, renode(image=None)) as bench:
        assert any("no firmware" in warning for warning in bench.plans["m1"].warnings)
        async with bench.node() as node:
            assert "start" not in commands()
            await node.flash(raw, load_address=0x0800_0000)
            await bench.trace().wait_for_console("boot", deadline_s=DEADLINE_S)
    loads = [command for command in commands() if command.startswith("sysbus Load")]
    assert len(loads) == 1 and loads[0].startswith("sysbus LoadBinary @") and loads[0].endswith(" 0x8000000")


async def test_what_does_not_load_firmware_is_refused(renode, commands, tmp_path, firmware):
    raw = tmp_path / "image.bin"
    raw.write_bytes(b"\0" * 64)
    async with booted(tmp_path, renode()) as (_, node, _):
        told = len(commands())
        for command in ("quit", "LoadELF;quit", "sysbus WriteDoubleWord"):
            with pytest.raises(ValueError, match="does not load firmware"):
                await node.flash(firmware, load_command=command)
        with pytest.raises(NodeError, match="needs `load_address`"):
            await node.flash(raw)
        with pytest.raises(NodeError, match="is no ELF file"):
            await node.flash(raw, load_command="sysbus LoadELF")
        with pytest.raises(NodeError, match="cannot be read"):
            await node.flash(tmp_path / "none.elf")
        assert len(commands()) == told


# --- raw commands --------------------------------------------------------------------------------------------------


async def test_raw_commands_are_refused_unless_they_are_allowed(renode, commands, tmp_path):
    async with booted(tmp_path, renode()) as (_, node, _):
        told = len(commands())
        with pytest.raises(NodeError, match="not allowed") as caught:
            await node.monitor("version")
        assert "allow_raw_monitor: true" in str(caught.value)
        assert len(commands()) == told


async def test_raw_commands_where_they_are_allowed(renode, tmp_path, version):
    spec = renode(allow_raw_monitor=True, behaviour={"version": version})
    async with booted(tmp_path, spec) as (_, node, _):
        assert (await node.monitor("version")).startswith("Renode, version")
        assert await node.monitor('echo "(machine-0) "') == "(machine-0)"
        with pytest.raises(CommandError, match="No such command"):
            await node.monitor("nosuch")
        with pytest.raises(ValueError, match="one line"):
            await node.monitor("version\nquit")
        assert await node.read_memory(0x2000_0000, 4) == b"\0\0\0\0"


# --- the network ---------------------------------------------------------------------------------------------------


async def test_a_serial_line_is_joined_to_the_network(renode, tmp_path):
    async with booted(tmp_path, renode(serial="sysbus.usart1")) as (bench, _, trace):
        await trace.wait_for(lambda: trace.frame_count > 2, "frames", DEADLINE_S)
        assert b"ping 1\n" in b"".join(map(bytes_of, trace.frames))
        for frame in frames_of("02:00:00:00:00:01", b"hello there\n"):
            bench.ports["m1"].send(frame)
        bench.ports["m1"].send(b"\xff" * 60)  # what is none of its frames is nothing to it
        await trace.wait_for_console("peer says: hello there", deadline_s=DEADLINE_S)


@pytest.mark.root
async def test_an_ethernet_controller_is_joined_through_a_tap(renode, tmp_path):
    async with booted(tmp_path, renode(ethernet="sysbus.ethernet")) as (bench, _, trace):
        await trace.wait_for(lambda: trace.frame_count > 2, "frames", DEADLINE_S)
        assert {len(frame) for frame in trace.frames} == {60}  # their checksums are not for the network
        assert trace.frames[0].startswith(b"\xff" * 6 + b"\x02\0\0\0\0\x99\x88\xb5")
        bench.ports["m1"].send(b"\xff" * 6 + b"\x02\0\0\0\0\x01\x12\x34" + b"\0" * 46)
        await trace.wait_for_console("rx len 0040 type 1234", deadline_s=DEADLINE_S)


async def test_what_is_sent_to_a_machine_without_a_network_is_taken_and_lost(renode, tmp_path):
    async with booted(tmp_path, renode()) as (bench, _, _):
        with anyio.fail_after(DEADLINE_S):
            for _ in range(3000):
                await anyio.wait_writable(bench.ports["m1"])
                bench.ports["m1"].send(b"\xff" * 1000)
