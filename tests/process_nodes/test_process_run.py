"""Runs with processes, from file to verdict; failure policies; and nothing of them is left, whatever happens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from swarmrig.errors import ScenarioError
from swarmrig.model.verdict import Outcome
from swarmrig.plugins import Registry
from swarmrig.proc import probe
from swarmrig.runtime.plan import make_plan
from swarmrig.runtime.run import FinishedRun, RunOptions, run
from swarmrig.scenario.load import load_scenario

pytestmark = pytest.mark.anyio
HERE = Path(__file__).parent
TALK = f"""
swarmrig: 1
name: talk
duration: 60s
network: {{link: {{latency: 2ms}}}}
defaults: {{kind: process, command: [{sys.executable}, -S, {HERE}/talker.py]}}
nodes:
  server: {{role: coordinator, ready: {{port: 4711}}}}
  client: {{environment: {{SERVER: server}}, ends_with: [0]}}
checks:
  - console: {{node: client, matches: "^1000000 bytes, checked"}}
  - exit: {{node: client, code: 0}}
  - frames: {{filter: ip.proto == 6, count: {{min: 20}}}}
"""


AT_THE_END = "  - no_heap_errors\n"
"""A check that is decided at the end only."""


async def finished(text: str, directory: Path) -> FinishedRun:
    path = directory / "file.swarmrig.yml"
    path.write_text(text)
    registry = Registry.load()
    plan = await make_plan(load_scenario(path, registry=registry), registry)
    return await run(plan, RunOptions(output_dir=directory / "runs"))


def shell(script: str, more: str = "", duration: str = "120s") -> str:
    return f"""
swarmrig: 1
duration: {duration}
nodes:
  a: {{kind: process, command: [sh, -c, '{script}']{more}}}
checks:
  - console: {{node: a, matches: "^up"}}
{AT_THE_END}"""


async def test_two_programs_talk_over_the_fabric(tmp_path: Path) -> None:
    done = await finished(TALK, tmp_path)
    assert done.record.verdict is Outcome.PASS, done.record
    assert done.record.failures == ()


async def test_each_time_that_one_is_ready_is_told(tmp_path: Path) -> None:
    script = "echo up; test -e again || { touch again; sleep 0.2; exit 4; }; exec sleep 60"
    restart = "on_failure: {policy: restart, after: 0s}"
    more = f', ready: {{log: "^up"}}, {restart}}}\n  b: {{kind: process, command: [sleep, "60"]'
    done = await finished(
        shell(script, more).replace(AT_THE_END, "  - max_boot_time_s: 60\n").replace("120s", "3s"), tmp_path
    )
    told = [json.loads(line) for line in (done.directory / "events.jsonl").read_text().splitlines()]
    lives = [event["kind"] for event in told if event["source"] == "a" and event["kind"].startswith("node.")]
    assert lives == ["node.started", "node.ready", "node.exited", "node.started", "node.ready", "node.stopped"]
    assert not any(event["kind"] == "node.ready" for event in told if event["source"] == "b")
    booted = {node.id: node.boot_ns for node in done.record.nodes}
    assert booted["a"] is not None and booted["b"] is None
    assert done.record.metrics["nodes.a.boot_ns"] == booted["a"]


async def test_one_that_ends_by_itself_fails_the_run(tmp_path: Path) -> None:
    done = await finished(shell("echo out of paper; exit 4"), tmp_path)
    (failure,) = done.record.failures
    assert failure == "node a ended by itself: exit 4\nout of paper"
    assert done.record.verdict is not Outcome.PASS


@pytest.mark.parametrize(("code", "fails"), [(0, False), (3, False), (4, True)])
async def test_one_may_end_as_the_file_says(tmp_path: Path, code: int, fails: bool) -> None:
    done = await finished(shell(f"echo up; exit {code}", ", ends_with: [0, 3]"), tmp_path)
    assert bool(done.record.failures) is fails
    assert (done.record.verdict is Outcome.PASS) is not fails


async def test_a_run_may_go_on_without_one(tmp_path: Path) -> None:
    text = shell("echo up; exit 4", ", on_failure: ignore")
    done = await finished(text, tmp_path)
    assert done.record.verdict is Outcome.PASS, done.record
    assert any("ended by itself: exit 4" in each and "goes on without it" in each for each in done.record.warnings)


async def test_one_that_fails_is_started_again_and_then_fails_the_run(tmp_path: Path) -> None:
    policy = ", on_failure: {policy: restart, after: 20ms, factor: 2, limit: 2}"
    done = await finished(shell("echo up; exit 4", policy), tmp_path)
    (failure,) = done.record.failures
    assert failure == "node a ended by itself: exit 4\nup\nit has been started again 2 times before"
    told = [each.splitlines()[-1] for each in done.record.warnings]
    assert told == ["started again after 20ms (1 of 2)", "started again after 40ms (2 of 2)"]
    assert (done.directory / "nodes" / "a" / "console.log").read_text() == "up\nup\nup\n"


async def test_one_that_is_well_the_second_time_is_well(tmp_path: Path) -> None:
    script = "test -e again || {{ touch again; exit 4; }}; echo up; exec sleep 60".replace("{{", "{").replace("}}", "}")
    more = ", on_failure: {policy: restart, after: 0s}"
    done = await finished(shell(script, more).replace(AT_THE_END, ""), tmp_path)
    assert done.record.verdict is Outcome.PASS, done.record
    assert len(done.record.warnings) == 1


async def test_one_that_is_not_ready_fails_by_its_policy(tmp_path: Path) -> None:
    more = ", ready: {port: 1, deadline: 100ms}, on_failure: ignore"
    done = await finished(shell("echo up; exec sleep 60", more), tmp_path)
    assert done.record.failures == ()
    assert any("not ready after 100ms: nobody listens on port 1" in each for each in done.record.warnings)


async def test_no_restart_outlasts_the_run(tmp_path: Path) -> None:
    more = ", on_failure: {policy: restart, after: 1h, at_most: 1h}"
    done = await finished(shell("echo up; exit 4", more, "1s"), tmp_path)
    assert done.record.failures == ()


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ("command: [./nowhere]", "node a: command: .*/nowhere is no program"),
        ("command: [no-such-program]", "node a: command: there is no program no-such-program in PATH"),
        ("command: [sh], working_dir: nowhere", "node a: working_dir: .*/nowhere is no directory"),
        ("command: [sh], ready: {command: [no-such-program]}", "there is no program no-such-program"),
        ("command: []", "command: .* at least 1 item"),
        ("command: [sh], ready: {port: 1, log: x}", "expected one of `port`, `log`, `file` and `command`"),
        ("command: [sh], ready: {log: '('}", "is no regular expression"),
        ("command: [sh], limits: {memory: lots}", "memory: expected a size such as"),
        ("command: [sh], ends_with: [256]", "ends_with"),
        ("command: [sh], environment: {1A: x}", "is no name of an environment variable"),
        ("command: [sh], network: bridge", "network: expected one of fabric, none, host"),
        ("command: [sh], comand: x", "unknown key .comand."),
    ],
)
async def test_mistakes_are_found_before_anything_is_run(tmp_path: Path, node: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=message) as caught:
        await finished(f"swarmrig: 1\nnodes:\n  a: {{kind: process, {node}}}\n", tmp_path)
    assert "file.swarmrig.yml:3:" in str(caught.value)


@pytest.mark.parametrize(("network", "words"), [("host", "in the network of this machine"), ("none", "has no network")])
async def test_who_is_not_on_the_fabric_is_told_of(tmp_path: Path, network: str, words: str) -> None:
    script = "cut -d: -f1 /proc/net/dev; readlink /proc/self/ns/net; echo up; exec sleep 60"
    text = shell(script, f", network: {network}", "60s").replace(AT_THE_END, "")
    done = await finished(text, tmp_path)
    assert done.record.verdict is Outcome.PASS, done.record
    assert any(words in warning for warning in done.record.warnings)
    said = (done.directory / "nodes" / "a" / "console.log").read_text()
    assert (os.readlink("/proc/self/ns/net") in said) is (network == "host")
    assert "eth0" not in said.split("net:")[0] or network == "host"


def until(condition: Callable[[], Any], deadline_s: float = 60.0) -> Any:
    end = time.monotonic() + deadline_s
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)
    return found


def test_when_the_rig_is_killed_its_programs_and_their_networks_go(tmp_path: Path) -> None:
    path = tmp_path / "file.swarmrig.yml"
    path.write_text(
        f"swarmrig: 1\nnodes:\n  a: {{kind: process, command: [{sys.executable}, -S, {HERE}/daemon.py]}}\n"
        'checks:\n  - console: {node: a, matches: "never"}\n'
    )
    command = [sys.executable, "-m", "swarmrig", "run", str(path), "--output-dir", str(tmp_path / "runs")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as rig:
        try:
            (line,) = until(lambda: [log.read_text() for log in tmp_path.glob("runs/*/nodes/a/console.log")
                                     if log.read_text().endswith("\n")])  # fmt: skip
            daemon = int(line.split()[1])
            network = os.stat(f"/proc/{daemon}/ns/net").st_ino
            assert network != os.stat("/proc/self/ns/net").st_ino
            rig.kill()
            until(lambda: not probe.is_running(daemon))
            until(lambda: network not in networks())
            until(lambda: list(tmp_path.glob("runs/*/aborted.json")))
        finally:
            rig.send_signal(signal.SIGKILL)


def networks() -> set[int]:
    """The network namespaces that any process is in."""
    found = set()
    for pid in probe.all_pids():
        with suppress(OSError):
            found.add(os.stat(f"/proc/{pid}/ns/net").st_ino)
    return found


async def test_the_how_to_works(tmp_path: Path, busybox: str) -> None:
    page = (HERE.parents[1] / "docs" / "howto" / "use-processes.md").read_text()
    example = page.split("```yaml\n")[1].split("```")[0]
    assert "busybox wget" in example and "python3" in example
    done = await finished(example.replace("python3", sys.executable).replace("20s", "60s"), tmp_path)
    assert done.record.verdict is Outcome.PASS, done.record
