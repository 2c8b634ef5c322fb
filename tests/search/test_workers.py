"""Workers that die, and what is left when the search itself is killed."""

import errno
import io
import json
import os
import select
import signal
import subprocess

import anyio
import pytest
from search_cases import GOOD, command_line, environment

from swarmrig.errors import HostError
from swarmrig.proc import RunScope, open_spawner, probe
from swarmrig.scenario.resolved import dump_scenario
from swarmrig.search.crew import open_crew
from swarmrig.search.log import RunLog, open_log
from swarmrig.search.observation import broken_run
from swarmrig.search.orders import Order
from swarmrig.search.schedule import Strike, scheduled

S = 1_000_000_000
RESET = scheduled([Strike("reset", S, None, {"node": "s"})], 0)


@pytest.fixture
def order(pair_space, tmp_path):
    (tmp_path / "scenario.yml").write_text(dump_scenario(pair_space().scenario).replace("10s", "2s"))
    (tmp_path / "work").mkdir()
    return Order(str(tmp_path / "scenario.yml"), str(tmp_path / "work"), (), None, 60.0, S)


@pytest.mark.anyio
async def test_a_worker_that_was_killed_is_replaced(order, tmp_path):
    async with open_spawner(RunScope(tmp_path)) as spawner, open_crew(order, 1, spawner) as crew:
        first = await crew.run(RESET)
        os.kill(crew._idle[0].process.pid, signal.SIGKILL)
        again = await crew.run(RESET)
    assert first.digest == again.digest is not None
    assert first.proofs == {"reset-1": "proved"}
    assert not os.listdir(tmp_path / "work")


@pytest.mark.anyio
async def test_what_kills_every_worker_is_told(order, tmp_path, monkeypatch):
    monkeypatch.setattr("swarmrig.search.crew.PROGRAM", "swarmrig.search.nobody")
    async with open_spawner(RunScope(tmp_path)) as spawner, open_crew(order, 1, spawner) as crew:
        found = await crew.run(RESET)
    (failure,) = found.failures
    assert failure.startswith("the process that ran it ended (exit 1")
    assert "No module named swarmrig.search.nobody" in failure


@pytest.mark.anyio
async def test_what_the_user_must_repair_is_raised(order, tmp_path):
    (tmp_path / "scenario.yml").write_text("swarmrig: 1\nnodes: 7\n")
    async with open_spawner(RunScope(tmp_path)) as spawner, open_crew(order, 1, spawner) as crew:
        with pytest.raises(HostError, match=r"a run of the search failed: .*nodes"):
            await crew.run(RESET)


@pytest.mark.anyio
async def test_runs_that_are_given_up_leave_nothing(order, tmp_path):
    async with open_spawner(RunScope(tmp_path)) as spawner, open_crew(order, 1, spawner) as crew:
        await crew.run(RESET)
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(crew.run, RESET)
                while not os.listdir(tmp_path / "work"):
                    await anyio.lowlevel.checkpoint()
                scope.cancel()


def opened(pid):
    """A descriptor that becomes readable when the process has ended; none for one that has gone."""
    try:
        return [os.pidfd_open(pid)]
    except ProcessLookupError:
        return []


def test_a_search_that_is_killed_leaves_no_process(place):
    file = place / "pair.swarmrig.yml"
    file.write_text(GOOD)
    out = place / "killed"
    command = command_line("explore", file, "--json", "--output-dir", out, "--schedules", "9", "--jobs", "2")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment(place), cwd=place) as process:
        assert json.loads(process.stdout.readline())["kind"] == "progress"
        below = [fd for pid in probe.descendants(process.pid) for fd in opened(pid)]
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert below
    for fd in below:
        assert select.select([fd], [], [], 60)[0], "a process lives on"
        os.close(fd)
    (directory,) = out.iterdir()
    with open_log(directory) as log:
        assert len(log) >= 1


def test_a_torn_line_of_the_log_does_not_count(tmp_path):
    with open_log(tmp_path) as log:
        log.remember(RESET, 0, broken_run("a"), 1.5)
    path = tmp_path / "runs.jsonl"
    whole = path.read_text()
    path.write_text(whole + whole[:40])
    with open_log(tmp_path) as log:
        assert (len(log), log.elapsed_s) == (1, 1.5)
        assert log.recall(RESET) == broken_run("a")
        assert log.recall(RESET, 1) is None
    assert path.read_text() == whole


def test_a_log_of_something_else_is_refused(tmp_path):
    (tmp_path / "runs.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(HostError, match=r"runs.jsonl:1 is not what a search writes"), open_log(tmp_path):
        pass


class Full(io.StringIO):
    name = "runs.jsonl"

    def write(self, text):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_told():
    log = RunLog(Full(), {}, 0.0)
    with pytest.raises(HostError, match="No space left"):
        log.remember(RESET, 0, broken_run("a"), 1.0)
