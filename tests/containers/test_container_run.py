"""Runs with containers, from file to verdict; and nothing of them is left, whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from swarmrig.errors import NodeError
from swarmrig.model.verdict import Outcome
from swarmrig.plugins import Registry
from swarmrig.proc import probe
from swarmrig.proc.clean import clean
from swarmrig.runtime.plan import make_plan
from swarmrig.runtime.run import FinishedRun, RunOptions, run
from swarmrig.scenario.load import load_scenario

pytestmark = [pytest.mark.anyio, pytest.mark.root]
TWO = """
swarmrig: 1
name: two
duration: 20s
nodes:
  server:
    kind: container
    image: swarmrig-test:1
    role: coordinator
    command: [sh, -c, "trap 'exit 0' TERM; while :; do nc -l -p 80 -e echo hello; done"]
  client:
    kind: container
    image: swarmrig-test:1
    command: [sh, -c, "trap 'exit 0' TERM; while ! nc server 80; do sleep 0.1; done; while :; do sleep 0.1; done"]
checks:
  - console: {node: client, matches: "^hello"}
  - frames: {filter: ip.proto == 6, count: {min: 6}}
"""
ONE = """
swarmrig: 1
name: one
duration: 20s
nodes:
  only: {kind: container, image: "swarmrig-test:1", %s}
checks:
  - console: {node: only, matches: "^never said"}
"""
STEADY = 'command: [sh, -c, "trap : TERM; echo up; while :; do sleep 0.1; done"]'


@pytest.fixture(autouse=True)
def own_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """`clean` looks at runs of this test only."""
    monkeypatch.setenv("SWARMRIG_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


async def finished(text: str, directory: Path) -> FinishedRun:
    path = directory / "file.swarmrig.yml"
    path.write_text(text)
    registry = Registry.load()
    plan = await make_plan(load_scenario(path, registry=registry), registry)
    return await run(plan, RunOptions(output_dir=directory / "runs"))


async def test_two_containers_talk_over_the_fabric(engine: Any, tmp_path: Path) -> None:
    done = await finished(TWO, tmp_path)
    assert done.record.verdict is Outcome.PASS, done.record
    assert engine.containers(f"swarmrig.run={_run_id(tmp_path)}") == []
    provenance = (done.directory / "provenance.json").read_text()
    assert "sha256:" in provenance and "Engine" in provenance


async def test_what_is_built_is_built_before_the_run_begins(engine: Any, tmp_path: Path) -> None:
    app = tmp_path / "app"
    app.mkdir()
    (app / "Dockerfile").write_text('FROM swarmrig-test:1\nARG WORD\nRUN echo $WORD > /word\nCMD ["cat", "/word"]\n')
    text = ONE.replace("never said", "built") % "build: {context: app, args: {WORD: built}}"
    text = text.replace('image: "swarmrig-test:1", ', "").replace("checks:", "checks:\n  - exit: {node: only, code: 0}")
    done = await finished(text, tmp_path)
    assert done.record.verdict is Outcome.PASS, done.record
    assert "RUN echo $WORD" in (done.directory / "nodes" / "only" / "build.log").read_text()


async def test_a_build_that_fails_shows_its_log(engine: Any, tmp_path: Path) -> None:
    app = tmp_path / "app"
    app.mkdir()
    (app / "Dockerfile").write_text("FROM swarmrig-test:1\nRUN echo compiling; echo no such header; false\n")
    text = ONE.replace('image: "swarmrig-test:1", ', "") % "build: {context: app}"
    with pytest.raises(NodeError, match=r"(?s)node only: .*no such header.*returned a non-zero code: 1") as caught:
        await finished(text, tmp_path)
    assert caught.value.log is not None
    assert "compiling" in Path(caught.value.log).read_text()


async def test_one_that_ends_by_itself_fails_the_run(engine: Any, tmp_path: Path) -> None:
    done = await finished(ONE % 'command: [sh, -c, "echo out of licences >&2; exit 4"]', tmp_path)
    assert done.record.verdict is not Outcome.PASS
    (failure,) = done.record.failures
    assert "node only ended by itself: exit 4\nout of licences" in str(failure)


async def test_an_unhealthy_one_fails_the_run(engine: Any, tmp_path: Path) -> None:
    health = 'health: {command: [sh, -c, "echo no database; exit 1"], interval: 50ms, retries: 1}'
    done = await finished(ONE % f"{STEADY}, {health}", tmp_path)
    (failure,) = done.record.failures
    assert "it is unhealthy; its check says (exit 1): no database" in str(failure)


async def test_when_one_does_not_start_the_others_are_removed(engine: Any, tmp_path: Path) -> None:
    bad = '  second: {kind: container, image: "swarmrig-test:1", user: ghost, command: [cat]}\nchecks:'
    done = await finished((ONE % STEADY).replace("checks:", bad), tmp_path)
    (failure,) = done.record.failures
    assert "node second: it cannot be started: the engine says:" in str(failure) and "ghost" in str(failure)
    assert engine.containers(f"swarmrig.run={_run_id(tmp_path)}") == []


async def test_when_the_third_of_four_does_not_start_all_of_them_are_removed(engine: Any, tmp_path: Path) -> None:
    """Also the fourth, which is being made at that time."""
    node = '  n%s: {kind: container, image: "swarmrig-test:1", %s}\n'
    nodes = [node % (number, STEADY) for number in (1, 2, 4)]
    nodes.insert(2, node % (3, "user: ghost, command: [cat]"))
    text = f"swarmrig: 1\nname: four\nduration: 60s\nnodes:\n{''.join(nodes)}checks: [no_crashes]\n"
    made: set[str] = set()

    async def look() -> None:
        while True:
            made.update(name for one in engine.containers("swarmrig.run") for name in one["Names"])
            await anyio.sleep(0.01)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(look)
        done = await finished(text, tmp_path)
        tasks.cancel_scope.cancel()
    (failure,) = done.record.failures
    assert failure.startswith("node n3: it cannot be started: the engine says:")
    run_id = _run_id(tmp_path)
    assert {f"/swarmrig-{run_id}-n{number}" for number in (1, 2, 3)} <= made
    assert engine.containers(f"swarmrig.run={run_id}") == []
    assert done.record.run_ns < 30_000_000_000  # it ended with that, and did not wait for its end


async def test_an_engine_that_dies_fails_the_run_and_leaves_no_process(
    own_engine: Callable[[], Any], tmp_path: Path
) -> None:
    first = own_engine()
    pids: list[int] = []

    async def kill_engine() -> None:
        """Once the container is up; what it has started lives on, as it does with any engine."""
        while not (logs := list(tmp_path.glob("runs/*/nodes/only/console.log"))) or b"up" not in logs[0].read_bytes():
            await anyio.sleep(0.02)
        pids.append(first.inspect(_run_id(tmp_path))["State"]["Pid"])
        first.crash()

    done: list[FinishedRun] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(kill_engine)
        done.append(await finished(ONE % STEADY, tmp_path))
    text = "\n".join(map(str, done[0].record.failures))
    assert "the container engine at" in text and "does not answer" in text
    assert "containers labelled swarmrig.run=" in text  # they are still in its books
    with anyio.fail_after(5):  # killed, but a container's first process takes all others with it
        while probe.is_running(pids[0]):
            await anyio.sleep(0.02)
    report = clean()
    assert not report.ok
    own_engine()
    report = clean()
    assert report.ok
    assert any("container swarmrig-" in line for cleaned in report.runs for line in cleaned.removed)


def _run_id(directory: Path) -> str:
    """Of the one run there is."""
    (run_directory,) = directory.glob("runs/*")
    return run_directory.name.rsplit("-", 1)[-1]


@contextmanager
def rig(directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`swarmrig run` as a process, whose container is up."""
    path = directory / "file.swarmrig.yml"
    path.write_text(ONE % STEADY)
    command = [sys.executable, "-m", "swarmrig", "run", str(path), "--output-dir", str(directory / "runs")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: any(b"up" in log.read_bytes() for log in directory.glob("runs/*/nodes/only/console.log")))
            yield process
        finally:
            process.kill()


def until(condition: Callable[[], Any], deadline_s: float = 30.0) -> Any:
    end = time.monotonic() + deadline_s
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)
    return found


def test_when_the_rig_is_killed_its_containers_go_at_once(engine: Any, tmp_path: Path) -> None:
    with rig(tmp_path) as process:
        run_id = _run_id(tmp_path)
        assert len(engine.containers(f"swarmrig.run={run_id}")) == 1
        process.kill()
        until(lambda: not engine.containers(f"swarmrig.run={run_id}"), 10)
        (told,) = until(lambda: list(tmp_path.glob("runs/*/aborted.json")))
        until(lambda: not (Path(os.environ["SWARMRIG_STATE_DIR"]) / run_id).exists())
        assert f"swarmrig-{run_id}-only" in told.read_text()


def test_when_the_guardian_is_killed_too_clean_finds_them(engine: Any, tmp_path: Path) -> None:
    with rig(tmp_path) as process:
        run_id = _run_id(tmp_path)
        guardian = next(pid for pid in probe.children(process.pid) if "swarmrig.proc.guardian" in probe.command(pid))
        os.kill(process.pid, signal.SIGSTOP)  # or it would do the guardian's work
        probe.kill(guardian)
        process.kill()
        process.wait()
        before = engine.containers(f"swarmrig.run={run_id}")
        assert len(before) == 1
        dry = [line for cleaned in clean(dry_run=True).runs if cleaned.run_id == run_id for line in cleaned.removed]
        assert f"container swarmrig-{run_id}-only" in dry
        assert [each["Id"] for each in engine.containers(f"swarmrig.run={run_id}")] == [each["Id"] for each in before]
        report = clean()
        assert report.ok, report
        assert engine.containers(f"swarmrig.run={run_id}") == []


async def test_one_that_loses_its_power_comes_back_to_its_place(engine: Any, tmp_path: Path) -> None:
    text = """
swarmrig: 1
name: power
duration: 4s
network: {link: {latency: 1ms}}
nodes:
  server:
    kind: container
    image: swarmrig-test:1
    role: coordinator
    command: [sh, -c, "trap 'exit 0' TERM; echo ready; while :; do echo beat; sleep 0.05; done"]
  client:
    kind: container
    image: swarmrig-test:1
    command: [sh, -c, "trap 'exit 0' TERM; while :; do ping -c 1 -W 1 server; sleep 0.05; done"]
faults:
  - {at: 1500ms, power_cycle: {node: server, says: "^ready", for: 700ms}}
checks:
  - console: {node: server, matches: "^ready"}
  - no_crashes  # decided at the end only
"""
    done = await finished(text, tmp_path)
    (fault,) = done.record.faults
    assert done.record.verdict is Outcome.PASS, done.record
    assert fault.status.value == "proved"
    said = (done.directory / "nodes" / "client" / "console.log").read_text().splitlines()
    answers = [" 0% packet loss" in line for line in said if "packet loss" in line]
    assert answers[answers.index(False) :].count(True) > 0, said  # it was gone, and is heard again
    assert (done.directory / "nodes" / "server" / "console.log").read_text().count("ready") == 2


async def test_the_how_to_works(engine: Any, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "howto" / "use-containers.md").read_text()
    example = page.split("```yaml\n")[1].split("```")[0]
    assert "busybox:1" in example
    done = await finished(example.replace("busybox:1", "swarmrig-test:1"), tmp_path)
    assert done.record.verdict is Outcome.PASS, done.record


async def test_ports_of_a_network_of_the_engine(engine: Any, tmp_path: Path, free_port: int) -> None:
    """The engine publishes them; a run off the fabric needs no interface of ours."""
    name = f"swarmrig-{free_port}"
    try:
        network = engine.ask("POST", "/networks/create", f'{{"Name": "{name}", "CheckDuplicate": true}}'.encode())
    except AssertionError as error:
        pytest.skip(f"the engine makes no bridge here: {error}")
    script = "trap 'exit 0' TERM; while :; do nc -l -p 80 -e echo hello; done"
    text = (ONE % f'network: {name}, ports: ["{free_port}:80"], command: [sh, -c, "{script}"]').replace("20s", "2s")
    answers: list[bytes] = []

    async def ask() -> None:
        while not answers:
            with suppress(OSError, anyio.EndOfStream, anyio.BrokenResourceError):
                async with await anyio.connect_tcp("127.0.0.1", free_port) as stream:
                    answers.append(await stream.receive())
            await anyio.sleep(0.05)

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            with anyio.fail_after(60):
                done = await finished(text, tmp_path)
            tasks.cancel_scope.cancel()
    finally:
        engine.ask("DELETE", f"/networks/{network['Id']}")
    assert answers == [b"hello\n"], done.record.failures
