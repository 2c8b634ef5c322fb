"""Whole runs in paced time: guests beside a node that lives by this machine's clock; what is repeated, what is said.

That node is an emulator, too: one whose arguments keep it from virtual time. So these tests need no privileges.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import pytest

from swarmrig.errors import HostError, SwarmrigError
from swarmrig.model.facts import FaultStage
from swarmrig.model.network import PortKind
from swarmrig.model.scenario import TimeMode
from swarmrig.model.verdict import Outcome
from swarmrig.plugins import Registry
from swarmrig.replay.alone import SoloOptions, replay_node
from swarmrig.replay.finished import FinishedDirectory, IncomparableError, open_finished
from swarmrig.replay.runs import RepeatOptions, compare_runs, repeat_run
from swarmrig.reports.results import results, schema
from swarmrig.reports.write import write_reports
from swarmrig.runtime.plan import RunPlan, make_plan
from swarmrig.runtime.run import FinishedRun, RunOptions, run
from swarmrig.runtime.schedule import Schedule
from swarmrig.scenario.load import load_scenario

pytestmark = pytest.mark.anyio
MS = 10**6
REAL = 'args: ["-smp", "1"]'
"""Keeps an emulator from virtual time, and changes nothing else."""
MIXED = f"""
swarmrig: 1
name: mixed
duration: 3s
seed: 4
network: {{topology: star, hub: hub, link: {{latency: 5ms, jitter: 1ms}}}}
nodes:
  hub: {{role: coordinator}}
  s1: {{role: sensor, config: {{scenario: 2, tdm_slot: 1}}}}
  s2: {{role: sensor, config: {{scenario: 3, tdm_slot: 2}}, {REAL}}}
faults:
  - {{at: 600ms, pause: {{node: s2, for: 600ms}}, required: false}}
  - {{at: 700ms, cut: {{between: [hub, s1], for: 500ms}}}}
  - {{at: 1500ms, power_cycle: {{node: s1, for: 500ms}}}}
  - {{when: {{node: s2, console: app_main}}, console_type: {{node: hub, text: stats, says: uptime_ms=}}}}
  - {{when: {{node: s1, console: app_main, count: 2}}, reset: {{node: hub}}}}
checks:
  - all_nodes_boot
  - no_crashes
  - coordinator_receives_from_all
"""


async def planned(text: str, directory: Path, time_mode: TimeMode | None = None) -> RunPlan:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "file.swarmrig.yml"
    path.write_text(text)
    registry = Registry.load()
    return await make_plan(load_scenario(path, registry=registry, time=time_mode), registry)


async def finished(text: str, directory: Path, time_mode: TimeMode | None = None) -> FinishedRun:
    done = await run(await planned(text, directory, time_mode), RunOptions(output_dir=directory / "runs"))
    write_reports(done.record, done.directory)
    return done


def stages(done: FinishedRun, kind: str) -> dict[FaultStage, int]:
    (found,) = [fault for fault in done.record.faults if fault.kind == kind]
    return dict(found.stages)


async def test_what_can_is_virtual_and_the_rest_lives_beside_it(tmp_path: Path) -> None:
    plan = await planned(MIXED, tmp_path)
    assert plan.scenario.time is TimeMode.PACED and plan.tier == "recorded"
    assert plan.reasons == ("no virtual time: node s2: `args` has -smp, which virtual time settles itself "
                            "(with one processor)",)  # fmt: skip
    ports = {node.spec.id: node.port for node in plan.nodes}
    assert ports == {"hub": PortKind.LOCKSTEP, "s1": PortKind.LOCKSTEP, "s2": PortKind.PACKET}
    assert plan.scenario_of("s2").time is TimeMode.REAL
    assert plan.scenario_of("s1").time is TimeMode.VIRTUAL


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """A finished run, which nobody changes."""
    return anyio.run(finished, MIXED, tmp_path_factory.mktemp("mixed"))


async def test_a_mixed_run_is_judged_and_says_its_tier(mixed: FinishedRun) -> None:
    record = mixed.record
    # The machine may be too busy for the node outside to be heard often enough before its pause.
    turned = [check.label for check in record.checks if check.judgement.counted is not Outcome.PASS]
    assert [label for label in turned if "pause" not in label] == [], record
    assert not record.failures
    assert (record.tier, record.digest, record.run_ns) == ("recorded", None, 3000 * MS)
    assert record.pace is not None and record.pace.handed_over > 20
    document = results(record)
    assert document["run"]["pace"]["lost"] == 0
    assert set(document["run"]["pace"]) == set(schema()["properties"]["run"]["properties"]["pace"]["required"])


async def test_faults_of_guests_and_links_act_at_exact_times(mixed: FinishedRun) -> None:
    cut, power = stages(mixed, "cut"), stages(mixed, "power_cycle")
    assert (cut[FaultStage.INJECTED], cut[FaultStage.HEALED]) == (700 * MS, 1200 * MS)
    assert (power[FaultStage.INJECTED], power[FaultStage.HEALED]) == (1500 * MS, 2000 * MS)
    text = (mixed.directory / "events.jsonl").read_text()
    said = [event for event in map(json.loads, text.splitlines()) if "app_main" in str(event["data"].get("text"))]
    second = [event["t"] for event in said if event["source"] == "s1"][1]
    assert stages(mixed, "reset")[FaultStage.INJECTED] == second + 10 * MS


async def test_faults_of_nodes_outside_act_when_the_clock_is_there(mixed: FinishedRun) -> None:
    pause = stages(mixed, "pause")
    assert pause[FaultStage.INJECTED] >= 600 * MS
    assert pause[FaultStage.HEALED] >= 1200 * MS
    text = (mixed.directory / "events.jsonl").read_text()
    said = [event for event in map(json.loads, text.splitlines()) if event["source"] == "s2"]
    (booted,) = [event["t"] for event in said if "app_main" in str(event["data"].get("text"))]
    assert stages(mixed, "console_type")[FaultStage.INJECTED] >= booted + 10 * MS


@pytest.mark.parametrize("node", ["hub", "s1"])
async def test_a_guest_is_repeated_to_the_byte(mixed: FinishedRun, tmp_path: Path, node: str) -> None:
    comparison = await replay_node(
        open_finished(mixed.directory), node, Registry.load(), SoloOptions(tmp_path / "solo")
    )
    assert comparison.equal and not comparison.warnings, comparison
    assert int(comparison.compared.rpartition("sent (")[2].split()[0]) > 20


async def test_what_cannot_be_repeated_is_refused_in_words(mixed: FinishedRun, tmp_path: Path) -> None:
    run_before = open_finished(mixed.directory)
    with pytest.raises(IncomparableError, match="no recorded inputs of a node 's2'") as caught:
        await replay_node(run_before, "s2", Registry.load(), SoloOptions(tmp_path))
    assert "hub, s1" in str(caught.value.hint)
    with pytest.raises(IncomparableError, match=r"had nodes that lived in real time: .*\(--node\)"):
        await repeat_run(run_before, Registry.load(), RepeatOptions(tmp_path))
    with pytest.raises(IncomparableError, match="had nodes that lived in real time"):
        compare_runs(run_before, run_before)
    assert compare_runs(run_before, run_before, anyway=True).equal


async def test_a_guest_is_repeated_without_what_others_need(mixed: FinishedRun, tmp_path: Path) -> None:
    """The node outside cannot be planned any more, as when the engine of a container is gone."""
    found = open_finished(mixed.directory)
    copy = tmp_path / "run"
    copy.mkdir()
    for name in ("results.json", "events.jsonl", "net", "nodes", "provenance.json"):
        (copy / name).symlink_to(mixed.directory / name)
    text = (mixed.directory / "scenario.yml").read_text()
    assert text.count("machine: refnode-rv32") == 3
    head, tail = text.split("  s2:")
    (copy / "scenario.yml").write_text(f"{head}  s2:{tail.replace('machine: refnode-rv32', 'machine: esp32s3', 1)}")
    comparison = await replay_node(
        FinishedDirectory(copy, found.results), "s1", Registry.load(), SoloOptions(tmp_path / "solo")
    )
    assert comparison.equal


ALONE = MIXED.replace(f", {REAL}", "")


async def test_guests_alone_give_the_bytes_of_virtual_time_at_the_pace_of_the_clock(tmp_path: Path) -> None:
    text = ALONE.replace("node: s2, console", "node: s1, console").replace("duration: 3s", "duration: 2500ms")
    text = text.replace("checks:", 'checks:\n  - console: {node: s1, matches: "never said"}')
    parts = []
    for mode in (TimeMode.VIRTUAL, TimeMode.PACED):
        before_ns = time.monotonic_ns()
        done = await finished(text, tmp_path / mode.value, mode)
        if mode is TimeMode.PACED:
            assert time.monotonic_ns() - before_ns >= 2500 * MS
            assert done.record.tier == "recorded"
        files = [*done.directory.glob("net/*.pcapng"), *done.directory.glob("net/*.inputs")]
        files += done.directory.glob("nodes/*/console.log")
        parts.append({str(file.relative_to(done.directory)): file.read_bytes() for file in files})
        events = map(json.loads, (done.directory / "events.jsonl").read_text().splitlines())
        # Only that the machine was too busy may be told of the one and not of the other.
        told = [(event["t"], event["source"], event["data"]) for event in events if event["kind"] != "warning"]
        parts[-1]["events"] = repr(told).encode()
    assert parts[0].keys() == parts[1].keys()
    assert [name for name in parts[0] if parts[0][name] != parts[1][name]] == []


async def test_the_run_ends_when_it_is_decided(tmp_path: Path) -> None:
    text = MIXED.partition("faults:")[0].replace("3s", "1h") + "checks:\n  - all_nodes_boot\n"
    done = await finished(text, tmp_path)
    assert done.record.verdict is Outcome.PASS
    assert 0 < done.record.run_ns < 3600 * 10**9


async def test_where_paced_time_is_not_possible_it_is_refused(tmp_path: Path) -> None:
    text = MIXED.replace("latency: 5ms, jitter: 1ms", "latency: 0ms")
    with pytest.raises(HostError, match=r"paced time is not possible here:\n  a link with a latency of 0"):
        await planned(text, tmp_path, TimeMode.PACED)
    assert (await planned(text, tmp_path)).scenario.time is TimeMode.REAL


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


async def test_an_interrupted_run_is_judged(tmp_path: Path) -> None:
    text = MIXED.partition("faults:")[0].replace("3s", "1h") + "checks:\n  - console: {node: s1, matches: never}\n"
    path = tmp_path / "file.swarmrig.yml"
    path.write_text(text)
    environment = {**os.environ, "SWARMRIG_STATE_DIR": str(tmp_path / "state"), "NO_COLOR": "1"}
    command = [sys.executable, "-m", "swarmrig", "run", str(path), "--output-dir", str(tmp_path / "runs"), "--json"]
    process = await anyio.open_process(command, stderr=subprocess.STDOUT, env=environment)
    async with process:
        assert process.stdout is not None
        said = b""
        async for data in process.stdout:
            said += data
            if said.count(b'"node.booted"') >= 3 and b"asked" not in said:
                said += b"asked"
                process.send_signal(signal.SIGINT)
        assert await process.wait() == 130
    (directory,) = (tmp_path / "runs").iterdir()
    found = json.loads((directory / "results.json").read_text())
    assert found["run"]["interrupted"] is True and found["run"]["tier"] == "recorded"
    assert 0 < found["run"]["run_ns"] < 3600 * 10**9
    assert not found["failures"]


class Stopper:
    """Stops a node's emulator when it has booted, until the run has noticed: to the run, the machine is too slow."""

    def __init__(self, node: str, place: Path) -> None:
        self._node, self._place = node, place
        self.stopped: list[int] = []

    def on_event(self, event: Any) -> None:
        if event.kind == "node.booted" and event.source == self._node and not self.stopped:
            for entry in Path("/proc").iterdir():
                words = _read(entry / "cmdline") if entry.name.isdigit() else b""
                if f"guest={self._node}".encode() in words and str(self._place).encode() in words:
                    self.stopped.append(int(entry.name))
                    os.kill(int(entry.name), signal.SIGSTOP)
        if event.kind == "warning" and "cannot keep up" in event.data["message"]:
            for pid in self.stopped:
                os.kill(pid, signal.SIGCONT)

    def progress(self, snapshot: Any) -> None: ...


async def test_a_machine_that_is_too_slow_is_told(tmp_path: Path) -> None:
    text = MIXED.partition("faults:")[0].replace("3s", "1500ms") + "checks:\n  - console: {node: s1, matches: never}\n"
    stopper = Stopper("s1", tmp_path)
    done = await run(await planned(text, tmp_path), RunOptions(output_dir=tmp_path / "runs", observer=stopper))
    assert stopper.stopped and done.record.pace is not None and done.record.pace.slipped_ns > 0
    (warning,) = [text for text in done.record.warnings if text.startswith("time: ")]
    assert "could not keep up: 1.500 s of run time took" in warning and "never more than 100ms behind" in warning


class NotingClock:
    """Notes who would have time stand, and lets nobody wait."""

    start_ns = 0

    def __init__(self) -> None:
        self.noted: list[bool] = []

    def now_ns(self) -> int:
        return 0

    def waiter(self, *, holds: bool = True) -> Any:
        self.noted.append(holds)
        return self

    async def until(self, t_ns: int) -> None:
        raise SwarmrigError("nobody waits here")

    async def release(self) -> None: ...


async def test_only_faults_of_what_lives_in_virtual_time_have_it_stand(tmp_path: Path) -> None:
    faults = """
faults:
  - {at: 1s, id: a, pause: s1}
  - {at: 1100ms, id: b, pause: s2}
  - {at: 1200ms, cut: {between: [hub, s2], for: 100ms}}
  - {at: 1500ms, heal: a}
  - {at: 1600ms, heal: b}
"""
    plan = await planned(MIXED.partition("faults:")[0] + faults, tmp_path)
    clock = NotingClock()
    with pytest.raises(BaseExceptionGroup):
        await Schedule(plan, clock, None, {}, lambda _: None).live()
    assert clock.noted == [True, False, True, True, False]
