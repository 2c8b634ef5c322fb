"""Processes that behave, and processes that do not; all of them real."""

import os
import signal
import time
from pathlib import Path

import anyio
import pytest

from swarmrig.api.nodes import ExitStatus
from swarmrig.errors import HostError, NodeError
from swarmrig.proc import LeftoverError, StopLadder, open_spawner, probe, wait_until_ready

pytestmark = pytest.mark.anyio
QUICK = StopLadder(polite_s=0.2, term_s=0.2, kill_s=2.0)
DEAF = "trap '' TERM INT HUP; echo ready; while :; do sleep 100; done"


async def line_of(path, text="ready", *, deadline_s=30):
    """Wait until the file has the text; the way any reader of a growing log would."""
    with anyio.fail_after(deadline_s):
        while text not in (path.read_text() if path.exists() else ""):
            await anyio.sleep(0.005)
    return path.read_text()


async def test_exit_code_signal_and_output(scope):
    async with open_spawner(scope) as spawner:
        completed = await spawner.run(["sh", "-c", "echo out; echo err >&2; exit 7"], deadline_s=30)
        killed = await spawner.run(["sh", "-c", "kill -SEGV $$"], deadline_s=30)
    assert (completed.exit, completed.stdout, completed.stderr) == (ExitStatus(7, None), b"out\n", b"err\n")
    assert not completed.ok and not completed.truncated
    assert killed.exit == ExitStatus(None, signal.SIGSEGV)


async def test_the_environment_is_minimal_and_tagged(scope, monkeypatch):
    monkeypatch.setenv("SECRET", "1")
    monkeypatch.setenv("SWARMRIG_RUN", "of another run")
    async with open_spawner(scope) as spawner:
        completed = await spawner.run(["env", "-0"], env={"EXTRA": "a\nb", "SWARMRIG_RUN": "forged"}, deadline_s=30)
        seen = dict(entry.split("=", 1) for entry in completed.stdout.decode().strip("\0").split("\0"))
        assert (scope.temporary_directory.stat().st_mode & 0o777) == 0o700
    assert seen == {
        "PATH": os.environ["PATH"],
        "HOME": os.environ["HOME"],
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "TMPDIR": str(scope.temporary_directory),
        "EXTRA": "a\nb",
        "SWARMRIG_RUN": scope.run_id,
    }


async def test_a_process_ends_with_its_context(scope, gone):
    async with open_spawner(scope) as spawner:
        async with spawner.process(["sleep", "100"], name="sleeper") as process:
            assert process.exit_status is None
            assert probe.stat(process.pid).session == process.pid
        assert process.exit_status == ExitStatus(None, signal.SIGTERM)
        assert gone(process.pid)


async def test_polite_request_comes_first(scope, python):
    async with open_spawner(scope) as spawner:
        reading, writing = os.pipe()
        program = python("import os; os.read(5, 1); os._exit(42)")

        async def ask():
            os.write(writing, b"x")

        async with spawner.process(program, name="polite", fds={5: reading}, polite=ask) as process:
            os.close(reading)
        os.close(writing)
    assert process.exit_status == ExitStatus(42, None)


@pytest.mark.parametrize("fault", ["hangs", "fails", "does nothing"])
async def test_a_polite_request_that_does_not_work_is_followed_by_sigterm(scope, fault):
    async def ask():
        if fault == "hangs":
            await anyio.sleep_forever()
        if fault == "fails":
            raise ConnectionResetError

    async with open_spawner(scope) as spawner:
        began = time.monotonic()
        async with spawner.process(["sleep", "100"], name="sleeper", polite=ask, stop=QUICK) as process:
            pass
        assert time.monotonic() - began < 20
    assert process.exit_status == ExitStatus(None, signal.SIGTERM)


async def test_one_that_ignores_sigterm_is_killed_with_its_group(scope, gone):
    out = scope.run_directory / "out"
    async with open_spawner(scope) as spawner:
        program = ["sh", "-c", f"({DEAF}) & echo child $!; {DEAF}"]
        async with spawner.process(program, name="deaf", stdout=out, stop=QUICK) as process:
            text = await line_of(out, "ready\nready")
        assert process.exit_status == ExitStatus(None, signal.SIGKILL)
    child = next(int(line.split()[1]) for line in text.splitlines() if line.startswith("child"))
    assert gone(process.pid) and gone(child)


async def test_a_stopped_process_can_be_stopped(scope):
    async with open_spawner(scope) as spawner:
        async with spawner.process(["sleep", "100"], name="stopped", stop=QUICK) as process:
            process.send_signal(signal.SIGSTOP)
        assert process.exit_status == ExitStatus(None, signal.SIGTERM)


async def test_the_group_of_a_process_that_ended_by_itself_ends_too(scope, gone):
    out = scope.run_directory / "out"
    async with open_spawner(scope) as spawner:
        async with spawner.process(["sh", "-c", "sleep 100 & echo $!"], name="parent", stdout=out) as process:
            assert await process.wait() == ExitStatus(0, None)
            child = int(out.read_text())
            assert not gone(child)
        assert gone(child)


@pytest.mark.parametrize("how", ["setsid", "double fork", "qemu"])
async def test_a_daemon_that_is_left_over_is_removed_and_is_a_failure(scope, python, gone, below, how):
    pid_file = scope.run_directory / "pid"
    programs = {
        "setsid": ["setsid", "--fork", "sh", "-c", f"echo $$ > {pid_file}; {DEAF}"],
        "double fork": python(
            """
            import os, sys, signal
            if os.fork(): os._exit(0)
            os.setsid()
            if os.fork(): os._exit(0)
            for number in (1, 2, 15): signal.signal(number, signal.SIG_IGN)
            os.environ.clear()
            open(sys.argv[1], "w").write(f"{os.getpid()}\\n")
            signal.pause()
            """,
            pid_file,
        ),
        "qemu": [
            "qemu-system-riscv32",
            "-M",
            "none",
            "-nodefaults",
            "-display",
            "none",
            "-daemonize",
            "-pidfile",
            str(pid_file),
        ],
    }
    with pytest.raises(LeftoverError, match=r"left over.*process \d+") as caught:
        async with open_spawner(scope) as spawner:
            async with spawner.process(programs[how], name="daemon") as process:
                assert (await process.wait()).code == 0
                await line_of(pid_file, "\n")
            daemon = int(pid_file.read_text())
            assert not gone(daemon)
    assert str(daemon) in caught.value.leftovers[0]
    assert gone(daemon) and not below()
    assert not scope.state_directory.exists()


async def test_leftovers_are_a_note_on_an_error_that_is_on_its_way(scope, daemon):
    with pytest.raises(RuntimeError, match="mine") as caught:
        async with open_spawner(scope) as spawner:
            await spawner.run(daemon, deadline_s=30)
            raise RuntimeError("mine")
    assert "left over" in caught.value.__notes__[0]


async def test_a_process_that_is_about_to_end_is_no_leftover(scope):
    async with open_spawner(scope) as spawner:
        await spawner.run(["setsid", "--fork", "sleep", "0.05"], deadline_s=30)


async def test_zombies_of_orphans_are_reaped(scope):
    async with open_spawner(scope) as spawner:
        for _ in range(5):
            await spawner.run(["setsid", "--fork", "true"], deadline_s=30)
        guardian = spawner._client.guardian_pid
        with anyio.fail_after(30):
            while probe.children(guardian):
                await anyio.sleep(0.005)


async def test_filling_stderr_stalls_nobody_and_the_last_words_are_kept(scope):
    async with open_spawner(scope) as spawner:
        program = "yes noise | head -c 3000000 >&2; printf 'b\\303\\244d \\033[31mend' >&2; exec sleep 100"
        async with spawner.process(["sh", "-c", program], name="chatty") as process:
            await line_of(process.stderr_path, "end")
            words = process.last_words(3)
    assert words.splitlines() == ["noise", "noise", "bäd \N{REPLACEMENT CHARACTER}[31mend"]
    assert process.stderr_path == scope.run_directory / "processes" / "chatty.stderr.log"


async def test_a_runaway_log_ends_its_writer_not_the_disk(scope):
    log = scope.run_directory / "log"
    async with open_spawner(scope) as spawner:
        async with spawner.process(["yes"], name="yes", stdout=log, file_size_limit=100_000) as process:
            assert await process.wait() == ExitStatus(None, signal.SIGXFSZ)
    assert log.stat().st_size == 100_000


async def test_no_core_files(scope):
    async with open_spawner(scope) as spawner:
        assert (await spawner.run(["sh", "-c", "ulimit -c"], deadline_s=30)).stdout == b"0\n"


async def test_output_is_cut_at_its_limit(scope):
    async with open_spawner(scope) as spawner:
        completed = await spawner.run(["sh", "-c", "echo 12345"], output_limit=3, deadline_s=30)
    assert (completed.stdout, completed.truncated) == (b"123", True)


async def test_a_command_past_its_deadline_is_killed_and_quoted(scope, below):
    async with open_spawner(scope) as spawner:
        with pytest.raises(HostError, match=r"sh -c 'echo why >&2; sleep 100' did not end within 0.3 s.*\nwhy"):
            await spawner.run(["sh", "-c", "echo why >&2; sleep 100"], deadline_s=0.3)
        assert len(below()) == 1  # the guardian


async def test_every_command_is_logged_quoted(scope):
    async with open_spawner(scope) as spawner:
        await spawner.run(["echo", "two words", "$HOME", "ä"], name="echo", deadline_s=30)
    text = (scope.run_directory / "commands.log").read_text()
    assert text.startswith("echo[") and text.endswith("]: echo 'two words' '$HOME' 'ä'\n")


async def test_names_of_processes_cannot_leave_the_directory(scope):
    async with open_spawner(scope) as spawner:
        async with spawner.process(["true"], name="../../a b\n") as process:
            await process.wait()
    assert process.stderr_path == scope.run_directory / "processes" / ".._.._a_b_.stderr.log"


async def test_a_relative_run_directory_works(scope, monkeypatch):
    monkeypatch.chdir(scope.run_directory.parent)
    from dataclasses import replace

    async with open_spawner(replace(scope, run_directory=Path("run"))) as spawner:
        completed = await spawner.run(["pwd"], deadline_s=30)
    assert completed.stdout.decode().strip() == str(scope.run_directory)


async def test_cancelling_the_body_stops_everything(scope, gone):
    with anyio.CancelScope() as cancel:
        async with open_spawner(scope) as spawner:
            async with spawner.process(["sleep", "100"], name="sleeper") as process:
                cancel.cancel()
                await anyio.sleep_forever()
    assert process.exit_status == ExitStatus(None, signal.SIGTERM)
    assert gone(process.pid) and not scope.state_directory.exists()


async def test_cancelling_a_spawn_loses_no_process(scope, below):
    """The event loop's own cancellation knows no shields; the process that nobody awaits is released."""
    import asyncio

    async with open_spawner(scope) as spawner:

        async def start():
            async with spawner.process(["sleep", "100"], name="sleeper"):
                await anyio.sleep_forever()

        for turns in range(1, 12):
            task = asyncio.ensure_future(start())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    assert not below()


async def test_ready_is_returned(scope):
    async with open_spawner(scope) as spawner:
        async with spawner.process(["sleep", "100"], name="sleeper") as process:

            async def ready():
                return 42

            assert await wait_until_ready(process, ready, deadline_s=30) == 42


@pytest.mark.parametrize("probe_fails", [False, True])
async def test_one_that_dies_before_it_is_ready_is_reported_at_once_in_its_own_words(scope, probe_fails):
    async def ready():
        if probe_fails:
            raise ConnectionResetError("the socket closed")
        await anyio.sleep_forever()

    async with open_spawner(scope) as spawner:
        program = "echo 'could not load the flash' >&2; exit 1"
        async with spawner.process(["sh", "-c", program], name="n1") as process:
            began = time.monotonic()
            with pytest.raises(
                NodeError, match=r"(?s)node n1: ended .exit 1. before it was up.*load the flash"
            ) as error:
                await wait_until_ready(process, ready, deadline_s=30, what="up")
            assert time.monotonic() - began < 20
            assert error.value.log == str(process.stderr_path)


async def test_one_that_is_never_ready_runs_into_the_deadline(scope):
    async with open_spawner(scope) as spawner:
        async with spawner.process(["sleep", "100"], name="n1") as process:
            with pytest.raises(NodeError, match=r"was not ready within 0.05 s; it wrote nothing"):
                await wait_until_ready(process, anyio.sleep_forever, deadline_s=0.05)


async def test_an_error_of_the_readiness_probe_of_a_living_process_is_not_hidden(scope):
    async def ready():
        raise ValueError("a bug")

    async with open_spawner(scope) as spawner:
        async with spawner.process(["sleep", "100"], name="n1") as process:
            with pytest.raises(ValueError, match="a bug"):
                await wait_until_ready(process, ready, deadline_s=30)


async def test_fifty_at_once(scope):
    """Overlapping requests get their own answers, exits included, in whatever order they come."""
    results = {}

    async def one(number):
        completed = await spawner.run(["sh", "-c", f"echo {number}; exit {number}"], name=f"n{number}", deadline_s=60)
        results[number] = (completed.exit.code, int(completed.stdout))

    async with open_spawner(scope) as spawner:
        async with anyio.create_task_group() as group:
            for number in range(50):
                group.start_soon(one, number)
    assert results == {number: (number, number) for number in range(50)}


async def test_two_rigs_at_once_know_only_their_own(tmp_path, gone, daemon):
    from swarmrig.proc import RunScope

    scopes = []
    for name in "ab":
        (tmp_path / name).mkdir()
        scopes.append(RunScope(tmp_path / name, state_root=tmp_path / "state"))
    async with open_spawner(scopes[0]) as first:
        async with first.process(["sleep", "100"], name="sleeper") as process:
            with pytest.raises(LeftoverError):
                async with open_spawner(scopes[1]) as second:
                    await second.run(daemon, deadline_s=30)
            assert not gone(process.pid)
            assert scopes[0].state_directory.exists() and not scopes[1].state_directory.exists()


async def test_the_rig_is_a_subreaper_no_longer_than_needed(scope):
    before = probe.be_subreaper(False)
    try:
        async with open_spawner(scope):
            assert probe.be_subreaper(True)
        assert not probe.be_subreaper(False)
    finally:
        probe.be_subreaper(before)
