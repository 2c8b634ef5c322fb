"""The client against a monitor in a process of its own: also one that is late, hangs, dies, or serves somebody else."""

import itertools
import socket
import time
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from monitor_process import served

from swarmrig.nodes.renode import monitor as monitor_module
from swarmrig.nodes.renode import wording
from swarmrig.nodes.renode.errors import CommandError, MonitorError, MonitorLostError, MonitorTimeoutError
from swarmrig.nodes.renode.monitor import _reach, connected

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("colours", [False, True])
async def test_commands_are_answered(version, colours, tmp_path):
    with served(tmp_path / "s", version=version, colours=colours) as server:
        async with server.monitor() as monitor:
            assert await monitor.execute('mach create "x"') == ""
            assert (await monitor.execute("version")).startswith(f"Renode, version {version}")
            assert await monitor.execute("sysbus ReadDoubleWord 0x10") == "0x00000000"
            assert await monitor.execute("start") == "Starting emulation..."


REFUSED = [
    ("nosuch", "No such command or device: nosuch"),
    ("mach set 5", "Wrong machine number. Type mach to show a list of available machines."),
    ('mach set "zzz"', "Machine zzz not found."),
    ("mach", "Bad parameters for command mach"),
    ("connector Connect sysbus.nope term", "Parameters did not match the signature"),
    ("sysbus LoadELF @/no/such", "File does not exist: /no/such"),
    ('"unterminated', "Could not tokenize here:"),
]


async def test_a_refused_command_is_an_error_with_the_whole_answer(version, tmp_path):
    with served(tmp_path / "s", version=version) as server:
        async with server.monitor() as monitor:
            await monitor.execute('mach create "x"')
            for (command, said), foreign in itertools.product(REFUSED, (False, True)):
                with pytest.raises(CommandError) as caught:
                    await monitor.execute(command, foreign=foreign)
                assert said in caught.value.answer
            assert await monitor.execute('echo "fine"') == "fine"


async def test_what_only_looks_like_an_error_or_a_prompt_is_none(version, tmp_path):
    texts = [
        "Error budget ok",
        "No such command or device: x",
        "(x) ",
        "(monitor) ",
        "There was an error executing command 'x'",
    ]
    with served(tmp_path / "s", version=version) as server:
        async with server.monitor() as monitor:
            await monitor.execute('mach create "x"')
            for text in texts:
                assert await monitor.execute(f'echo "{text}"', foreign=True) == text.strip()
                assert (await monitor.execute("version")).startswith("Renode")


async def test_commands_at_the_same_time_do_not_mix(version, tmp_path):
    answers = {}

    async def ask(monitor, number):
        answers[number] = await monitor.execute(f'echo "n{number}"', foreign=number % 2 == 0)

    with served(tmp_path / "s", version=version) as server:
        async with server.monitor() as monitor, anyio.create_task_group() as tasks:
            for number in range(12):
                tasks.start_soon(ask, monitor, number)
    assert answers == {number: f"n{number}" for number in range(12)}


async def test_a_second_machine_changes_the_prompt(version, tmp_path):
    with served(tmp_path / "s", version=version) as server:
        async with server.monitor() as monitor:
            for command, selected in (
                ('mach create "x"', "x"),
                ('mach create "other one"', "other one"),
                ("mach create", "machine-0"),
                ('mach set "x"; mach set 1', "other one"),
                ("mach clear", "monitor"),
                ("mach set 2", "machine-0"),
            ):
                await monitor.execute(command, foreign=True)
                assert monitor.machine == selected
                assert await monitor.execute('echo "here"') == "here"


async def test_one_client_is_served_at_a_time(tmp_path):
    with served(tmp_path / "s") as server:
        async with server.monitor() as first:
            with pytest.raises(MonitorTimeoutError, match="no answer to 'its greeting'"):
                async with server.monitor(deadline_s=0.3):
                    pass
            assert await first.execute('echo "still there"') == "still there"
        async with server.monitor() as second:
            assert await second.execute('echo "my turn"') == "my turn"


async def test_half_a_line_of_somebody_before_is_not_ours(version, tmp_path):
    with served(tmp_path / "s", version=version) as server:
        async with server.monitor() as first:
            await first._send("mach create nonse")
        async with server.monitor() as second:
            assert await second.execute('echo "clean"') == "clean"
        assert server.commands == []


async def test_after_a_late_answer_nothing_more_is_asked_until_reconnected(version, tmp_path):
    with served(tmp_path / "s", version=version, late={"echo late": 0.6}) as server:
        async with server.monitor() as monitor:
            with pytest.raises(MonitorTimeoutError, match=r"no answer to 'echo late' within 0\.1 s"):
                await monitor.execute("echo late", deadline_s=0.1)
            for _ in range(2):
                with pytest.raises(MonitorError, match="no answer to 'echo late'"):
                    await monitor.execute('echo "next"')
        async with server.monitor() as monitor:
            assert await monitor.execute('echo "next"') == "next"


async def test_after_a_late_answer_the_next_command_has_a_connection_of_its_own(version, tmp_path):
    with served(tmp_path / "s", version=version, late={"echo late": 0.6}) as server:
        async with server.monitor(reconnects=True) as monitor:
            await monitor.execute('mach create "another"', foreign=True)
            with pytest.raises(MonitorTimeoutError):
                await monitor.execute("echo late", deadline_s=0.1)
            assert await monitor.execute('echo "next"') == "next"  # with a prompt that it has not seen before
            with anyio.move_on_after(0.1):
                await monitor.execute("echo late", foreign=True)
            assert await monitor.execute('echo "next"', foreign=True) == "next"


async def test_who_hangs_is_not_waited_for_on_a_new_connection_either(tmp_path, monkeypatch):
    monkeypatch.setattr(monitor_module, "CONNECT_S", 0.1)
    with served(tmp_path / "s", hang=["emulation RunFor"]) as server:
        async with server.monitor(reconnects=True) as monitor:
            with pytest.raises(MonitorTimeoutError, match="RunFor"):
                await monitor.execute('emulation RunFor "1"', deadline_s=0.1)
            for _ in range(2):
                with pytest.raises(MonitorTimeoutError, match="its greeting"):
                    await monitor.execute("version")
            monitor.break_off("its power is off")
            with pytest.raises(MonitorLostError, match="its power is off"):
                await monitor.execute("version")


async def test_a_cancelled_command_leaves_no_answer_for_the_next_one(tmp_path):
    with served(tmp_path / "s", hang=["emulation RunFor"]) as server:
        async with server.monitor() as monitor:
            with anyio.move_on_after(0.1):
                await monitor.execute('emulation RunFor "1"')
            with pytest.raises(MonitorError, match="interrupted"):
                await monitor.execute("version")


async def test_a_hang_in_run_for_ends_at_the_deadline_or_as_soon_as_somebody_knows(tmp_path):
    with served(tmp_path / "s", hang=["emulation RunFor"]) as server:
        async with server.monitor() as monitor, anyio.create_task_group() as tasks:
            tasks.start_soon(_break_off, monitor)
            began = time.monotonic()
            with pytest.raises(MonitorLostError, match="CPU abort"):
                await monitor.execute('emulation RunFor "1"')
            assert time.monotonic() - began < 25


async def _break_off(monitor):
    await anyio.lowlevel.checkpoint()
    monitor.break_off("CPU abort [PC=0x9ABCDEF0]")


async def test_sudden_death_is_noticed_at_once(tmp_path):
    with served(tmp_path / "s", hang=["emulation RunFor"]) as server:
        async with server.monitor() as monitor, anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, server.kill)
            with pytest.raises(MonitorLostError, match="closed"):
                await monitor.execute('emulation RunFor "1"')
            with pytest.raises(MonitorLostError):
                await monitor.execute("version")


async def test_death_while_a_command_is_executed(version, tmp_path):
    with served(tmp_path / "s", version=version, die_at="mach create") as server:
        async with server.monitor() as monitor:
            with pytest.raises(MonitorLostError):
                await monitor.execute('mach create "x"')


async def test_quit_ends_and_does_not_wait_for_ever(tmp_path):
    with served(tmp_path / "s") as server:
        async with server.monitor() as monitor:
            await monitor.quit(30)
            with pytest.raises(MonitorError):
                await monitor.execute("version")
        assert server.process.wait(30) == 0
    with served(tmp_path / "h", hang=["quit"]) as server:
        async with server.monitor() as monitor:
            await monitor.quit(0.1)


async def test_nobody_listens(tmp_path):
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        with pytest.raises(MonitorTimeoutError, match="nobody listens"):
            async with connected("m1", socket.socket, reserved.getsockname()[1], "x", deadline_s=0.2):
                pass


async def test_who_listens_is_no_monitor(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(MonitorTimeoutError, match="the monitor said nothing"):
            async with connected("m1", socket.socket, other.getsockname()[1], "x", deadline_s=0.2):
                pass
        half_open, _ = other.accept()
        with half_open:
            assert half_open.recv(100).startswith(b"\xff")
            assert half_open.recv(100) == b"", "it was closed"


async def test_a_monitor_that_begins_to_listen_later_is_reached(tmp_path):
    with socket.socket() as later:
        later.bind(("127.0.0.1", 0))
        port = later.getsockname()[1]
        with socket.socket() as sock:
            sock.setblocking(False)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_reach, "m1", sock, port, 30.0)
                await anyio.wait_all_tasks_blocked()
                later.listen()


# --- what must not get through -------------------------------------------------------------------------------------

ATTACKS = {
    "line feed": "version\nquit",
    "carriage return": "version\rquit",
    "Ctrl-C": "version\x03quit",
    "escape": "\x1b[Aquit",
    "tab": "ver\t",
    "NUL": "version\0quit",
    "next line": "version\x85quit",
    "line separator": "version\u2028quit",
    "paragraph separator": "version\u2029quit",
    "text without end": 'macro reset """',
    "empty": "  ",
    "too long": "echo " + "x" * 5000,
    "surrogate": "echo \udc80",
}


async def test_what_is_no_single_line_never_reaches_the_monitor(tmp_path):
    with served(tmp_path / "s") as server:
        async with server.monitor() as monitor:
            for attack in ATTACKS.values():
                with pytest.raises(ValueError, match="monitor command"):
                    await monitor.execute(attack, foreign=True)
                assert await monitor.execute('echo "fine"') == "fine"
        assert server.commands == []


PATHS = [
    "/f.elf;quit",
    '/f".elf',
    "/f'.elf",
    "/f`quit`.elf",
    "/f$x.elf",
    "/f\\ .elf",
    "/f\n.elf",
    "/f\t.elf",
    "/f\u00a0.elf",
]


@pytest.mark.parametrize("text", [*PATHS, "/f\u2003.elf", "relative.elf", "/f\udc80.elf", "/f "])
def test_a_path_that_renode_cannot_be_told_is_refused(text):
    for word in (wording.path, wording.path_text):
        with pytest.raises(ValueError, match=r"path|absolute"):
            word(Path(text))


async def test_paths_with_blanks_and_signs_arrive_as_they_are(version, tmp_path):
    places = [
        tmp_path / name for name in ("with blanks in it.elf", "@at", "#hash", "ž[]<>=,.elf", "a:b", "-dash", "(x)")
    ]
    with served(tmp_path / "s", version=version) as server:
        async with server.monitor() as monitor:
            await monitor.execute('mach create "x"')
            for place in places:
                place.touch()
                await monitor.execute(f"sysbus LoadELF {wording.path(place)}")


@pytest.mark.parametrize(
    "name", ["sysbus.uart0;quit", "sysbus uart0", "", ".uart", "sysbus.", "sysbus.uart0\n", "a" + '"']
)
def test_a_name_of_a_peripheral_is_a_name(name):
    with pytest.raises(ValueError, match="peripheral"):
        wording.peripheral(name)


@pytest.mark.parametrize("name", ["monitor", 'x"', "x y", "", "x;quit", "x\n", "x" * 100])
def test_a_name_of_a_machine_is_a_name(name):
    with pytest.raises(ValueError, match="machine"):
        wording.machine(name)


@pytest.mark.parametrize(
    "command", ["quit", "LoadELF;quit", "sysbus quit", "sysbus sysbus LoadELF", "loadelf", "LoadELF "]
)
def test_only_commands_that_load_load(command):
    with pytest.raises(ValueError, match="does not load firmware"):
        wording.load_command(command)


@pytest.mark.parametrize(
    "name", ["platforms/../../etc/x.repl", "/x.repl", "http://x/y.repl", "x", "platforms/x y.repl", "a//b.repl"]
)
def test_what_ships_with_renode_has_a_plain_name(name):
    with pytest.raises(ValueError, match="ships with"):
        wording.shipped(name)


@pytest.mark.parametrize("version_of_it", wording.LOAD_COMMANDS)
def test_load_commands_may_be_given_with_their_device(version_of_it):
    assert wording.load_command(f"sysbus {version_of_it}") == wording.load_command(version_of_it) == version_of_it


@given(st.integers(1, 10**13))
def test_times_are_quoted_plain_decimals(time_ns):
    text = wording.seconds(time_ns)
    assert text[0] == text[-1] == '"' and set(text[1:-1]) <= set("0123456789.")
    whole, _, rest = text[1:-1].partition(".")
    assert int(whole) * 10**9 + int(rest.ljust(9, "0")) == time_ns


@pytest.mark.parametrize("time_ns", [0, -1])
def test_no_time_is_no_time(time_ns):
    with pytest.raises(ValueError, match="a time of"):
        wording.seconds(time_ns)
