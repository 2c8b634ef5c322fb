"""What a program has, says and does as a node, and how it ends."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import anyio
import pytest

from swarmrig.errors import HostError, NodeError
from swarmrig.proc import probe

pytestmark = pytest.mark.anyio
DAEMON = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
reading, writing = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.environ.clear()
        print("daemon", os.getpid(), flush=True)
        os.write(writing, b"!")
        while True: time.sleep(60)
    os._exit(0)
os.read(reading, 1)
os.wait()
%s
"""


async def said(trace: Any, pattern: str) -> str:
    await trace.wait_for_console(pattern, deadline_s=30)
    return str(trace.text)


async def test_it_has_its_place_in_the_network(started: Any, shell: Any) -> None:
    script = "cat /sys/class/net/eth0/address /etc/hosts; ip -o addr show eth0; cat /proc/net/dev | wc -l; echo done"
    async with started(shell(script + "; exec sleep 60")) as (_, trace, bench):
        text = await said(trace, "^done")
        device = bench.network.device("prog")
        assert f"{device.ip}/{device.prefix}" in text
        assert f"{device.ip} prog\n" in text and "127.0.0.1 localhost\n" in text
        assert "\n4\n" in text  # two lines of heading, lo and eth0: nothing of this machine


async def test_it_knows_where_it_is(started: Any, shell: Any, tmp_path: Path) -> None:
    script = 'pwd; echo "$SWARMRIG_NODE $SWARMRIG_ADDRESS $SWARMRIG_PORT $WORD"; ls -d "$SWARMRIG_DIRECTORY"; echo done'
    spec = shell(script + "; exec sleep 60", environment={"WORD": 7}, working_dir=str(tmp_path))
    async with started(spec) as (_, trace, bench):
        lines = (await said(trace, "^done")).splitlines()
        assert lines[:3] == [str(tmp_path), f"prog {bench.network.device('prog').ip} 5005 7", f"{tmp_path}/nodes/prog"]


async def test_standard_output_can_be_opened_by_name(started: Any, shell: Any) -> None:
    async with started(shell("echo one > /dev/stdout; echo two > /dev/stderr; exec sleep 60")) as (_, trace, _):
        await said(trace, "^two")


async def test_how_it_ended_is_told_with_its_last_words(started: Any, shell: Any) -> None:
    async with started(shell("echo out of paper >&2; exit 7")) as (node, trace, _):
        status = await node.wait_exited()
        assert (status.code, status.signal) == (7, None)
        assert node.last_words() == "out of paper" and "out of paper" in trace.text


async def test_a_signal_that_ended_it_is_told(started: Any, shell: Any) -> None:
    async with started(shell("kill -SEGV $$")) as (node, _, _):
        assert (await node.wait_exited()).signal == 11


@pytest.mark.parametrize("ending", ["time.sleep(60)", "sys.exit(0)"])
async def test_daemons_that_ignore_signals_end_with_it(started: Any, python: Any, ending: str) -> None:
    async with started(python(DAEMON % ending, stop_timeout="50ms")) as (_, trace, _):
        text = await said(trace, r"^daemon \d+")
        daemon = int(text.split()[1])
    assert not probe.is_running(daemon)


async def test_one_that_daemonises_lives_as_long_as_its_daemon(started: Any, python: Any) -> None:
    script = DAEMON.replace("while True: time.sleep(60)", "sys.stdin.readline(); print('bye', flush=True)")
    async with started(python(script % "sys.exit(0)", forks=True)) as (node, trace, _):
        await said(trace, r"^daemon \d+")
        with anyio.move_on_after(0.3) as waiting:
            await node.wait_exited()
        assert waiting.cancelled_caught
        await node.write_console(b"go\n")
        assert (await node.wait_exited()).code == 0
        assert "bye" in trace.text


async def test_it_is_asked_to_end_before_it_is_made_to(started: Any, shell: Any) -> None:
    script = "trap 'echo goodbye; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    async with started(shell(script, stop_timeout="20s")) as (_, trace, _):
        await said(trace, "^up")
    assert "goodbye" in trace.text


async def test_a_pause_holds_everything_that_it_started(started: Any, shell: Any) -> None:
    script = "(while :; do echo child; sleep 0.02; done) & while :; do echo parent; sleep 0.02; done"
    async with started(shell(script)) as (node, trace, _):
        await said(trace, "child")
        await node.pause()
        before = trace.text
        for pid in probe.descendants(node.life.keeper.process.pid):
            stat = probe.stat(pid)
            assert stat is None or stat.state in "TtZD"  # D: it waits for a child that stands still
        await node.resume()
        await trace.wait_for(lambda: trace.text.count("child") > before.count("child"), "a word of the child", 30)


async def test_limits_hold(started: Any, python: Any) -> None:
    script = (
        "import resource, sys; print(*[resource.getrlimit(n) for n in (resource.RLIMIT_AS, resource.RLIMIT_NOFILE,"
        "resource.RLIMIT_CPU, resource.RLIMIT_FSIZE)], flush=True)\ntry: bytearray(1 << 30)\n"
        "except MemoryError: sys.exit('no memory')"
    )
    limits = {"memory": "256MiB", "open_files": 64, "cpu_time": "9500ms", "file_size": "1MiB"}
    async with started(python(script, limits=limits)) as (node, trace, _):
        assert (await node.wait_exited()).code == 1
        words = trace.text
        assert f"({256 << 20}, {256 << 20}) (64, 64) (10, 10) ({1 << 20}, {1 << 20})" in words and "no memory" in words


async def test_what_cannot_be_executed_says_why(started: Any, command: Any, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/no/such/interpreter\n")
    broken.chmod(0o755)
    with pytest.raises(HostError, match=r"the interpreter or loader that .*broken asks for does not exist"):
        async with started(command(str(broken))):
            pass


@pytest.mark.parametrize(
    "ready",
    [
        {"port": 4711},
        {"log": "^listening"},
        {"file": "{dir}/up"},
        {"command": ["sh", "-c", "test -e {dir}/up"]},
    ],
    ids=lambda ready: next(iter(ready)),
)
async def test_one_that_is_ready_in_time_lives_on(
    started: Any, python: Any, ready: dict[str, Any], tmp_path: Path
) -> None:
    script = (
        "import socket, time; s = socket.socket(); s.bind(('127.0.0.1', 4711)); s.listen();"
        f"print('listening', flush=True); open({str(tmp_path / 'up')!r}, 'w'); time.sleep(60)"
    )
    found = {
        kind: [word.replace("{dir}", str(tmp_path)) for word in value] if isinstance(value, list)
        else value.replace("{dir}", str(tmp_path)) if isinstance(value, str) else value
        for kind, value in ready.items()
    }  # fmt: skip
    async with started(python(script, ready={**found, "deadline": "60s"})) as (node, trace, _):
        await said(trace, "^listening")
        with anyio.fail_after(30):
            await node.life.ready()
        with anyio.move_on_after(0.1) as waiting:
            await node.wait_exited()
        assert waiting.cancelled_caught


@pytest.mark.parametrize(
    ("ready", "reason"),
    [
        ({"port": 4711}, "nobody listens on port 4711"),
        ({"log": "^listening"}, "no line of its output matches"),
        ({"file": "never-there"}, "there is no .*never-there"),
        ({"command": ["false"]}, "false does not end with exit 0"),
    ],
)
async def test_one_that_is_not_ready_in_time_cannot_go_on(
    started: Any, shell: Any, ready: dict[str, Any], reason: str
) -> None:
    async with started(shell("exec sleep 60", ready={**ready, "deadline": "100ms"})) as (node, _, _):
        with pytest.raises(NodeError, match=f"node prog: not ready after 100ms: {reason}"):
            await node.wait_exited()


async def test_one_that_ends_before_it_is_ready_has_just_ended(started: Any, shell: Any) -> None:
    async with started(shell("exit 5", ready={"log": "never"})) as (node, _, _):
        assert (await node.wait_exited()).code == 5


async def test_its_interface_goes_with_it(started: Any, shell: Any) -> None:
    """So the network lets go of it, whatever holds its namespace."""
    async with started(shell("echo up; exec sleep 60")) as (node, trace, _):
        await said(trace, "^up")
        keeper = node.life.keeper.process.pid
        assert os.readlink(f"/proc/{keeper}/ns/net") != os.readlink("/proc/self/ns/net")
        await node.kill()
        assert (await node.wait_exited()).signal == 9
    assert not probe.is_running(keeper)


async def test_a_keeper_that_is_killed_takes_its_program_with_it(started: Any, shell: Any) -> None:
    async with started(shell("echo up $$; exec sleep 60")) as (node, trace, _):
        pid = int((await said(trace, r"^up \d+")).split()[1])
        probe.kill(node.life.keeper.process.pid)
        assert (await node.wait_exited()).signal == 9
        with anyio.fail_after(30):
            while probe.is_running(pid):
                await anyio.sleep(0.01)


async def test_its_input_waits_for_it(started: Any, shell: Any) -> None:
    """As that of any program: reading blocks until something is typed, also when it is opened by name."""
    async with started(shell("cat; exit")) as (node, trace, _):
        await node.write_console(b"one\n")
        await said(trace, "^one")
        await node.write_console(b"two\n")
        await said(trace, "^two")
        with anyio.move_on_after(0.1) as waiting:
            await node.wait_exited()
        assert waiting.cancelled_caught
