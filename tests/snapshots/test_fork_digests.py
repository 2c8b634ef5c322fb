"""A run that is forked is the run that is booted, to the byte."""

import json
import re
from dataclasses import replace

import pytest

from swarmrig.nodes.qemu import snapshot
from swarmrig.timebase.recording import read_recording

pytestmark = pytest.mark.anyio

FAULTS = """
- {id: cut, at: 1.5s, cut: {between: [c, a], for: 300ms}}
- {id: loss, at: 1.6s, degrade: {between: [c, r], loss: 50%, for: 500ms}}
- {id: pause, at: 1.5s, pause: {node: r, for: 200ms}}
- {id: reset-arm, at: 1.7s, reset: {node: a}}
- {id: reset-riscv, at: 1.7s, reset: {node: r}}
- {id: power, at: 1.5s, power_cycle: {node: r, for: 100ms}}
- {id: crash, at: 2s, crash: {node: a}}
- {id: typed, at: 1.55s, console_type: {node: r, text: stats, says: uptime_ms=}}
- {id: memory, at: 1.55s, memory_flip: {node: a, for: 300ms}}
- {id: settings, at: 1.5s, nvs_corrupt: {node: r}}
- {id: replayed, at: 1.6s, replay: {between: [c, r], last: 1s}}
- {id: flood, at: 1.5s, ring_flood: {node: r}}
"""
FILES = ("events.jsonl", "net/*.pcapng", "net/*.inputs", "nodes/*/console.log", "nodes/*/flash*.bin")


def files(directory):
    found = sorted(path for pattern in FILES for path in directory.glob(pattern))
    return {str(path.relative_to(directory)): path.read_bytes() for path in found}


async def test_kinds_of_faults_on_both_machines(swept):
    forked, booted = await swept(FAULTS, "always"), await swept(FAULTS, "never")
    assert set(forked.why_booted.values()) == {None}
    assert set(booted.why_booted.values()) == {"as it was asked for"}
    assert forked.digests == booted.digests
    assert None not in forked.digests.values()
    assert len(set(forked.digests.values())) == len(FAULTS.strip().splitlines())
    for name in forked.runs:
        theirs, ours = files(booted.directory(name)), files(forked.directory(name))
        assert theirs.keys() == ours.keys()
        assert [path for path in theirs if theirs[path] != ours[path]] == []
        assert forked.results(name)["checks"] == booted.results(name)["checks"]
        assert forked.results(name)["links"] == booted.results(name)["links"]
        assert forked.results(name)["metrics"] == booted.results(name)["metrics"]


async def test_what_is_told(swept):
    forked = await swept(FAULTS.strip().splitlines()[0] + "\n" + FAULTS.strip().splitlines()[3])
    done = forked.done.as_json()
    assert [run.branch.name for run in forked.told] == ["cut", "reset-arm"]
    assert 1.3 < done["forked_at_s"] < 1.5
    assert done["boot_and_warm_up_s"] > 0 and done["fork_s"] > 0
    assert [(run["name"], run["began"], run["faults"]) for run in done["runs"]] == [
        ("cut", "forked", ["cut"]), ("reset-arm", "forked", ["reset-arm"]),
    ]  # fmt: skip
    events = [json.loads(line) for line in (forked.directory("cut") / "events.jsonl").read_text().splitlines()]
    assert [event["t"] for event in events if event["kind"] == "run.started"] == [0]
    assert "-incoming" in (forked.directory("cut") / "nodes" / "r" / "argv").read_text()


async def test_inputs_of_a_fork_are_those_of_a_whole_life(swept):
    forked = await swept("- {id: cut, at: 1.5s, cut: {between: [c, a], for: 300ms}}")
    for node in "car":
        (life,) = read_recording(forked.directory("cut") / "net" / f"{node}.inputs")
        assert life.power_on_ns == 0
        assert life.end_ns == 2_500_000_000
        assert life.inputs[0].t_ns < 1_300_000_000 and life.inputs[-1].t_ns > 1_500_000_000


async def test_a_fork_somewhere_else_is_the_same_run(swept):
    """Where a swarm is held is not to be seen in what it does."""
    fault = "- {id: cut, at: 2s, cut: {between: [c, a], for: 100ms}}"
    digests = {
        (await swept(fault, at_ns=at_ns)).digests["cut"] for at_ns in (300_000_000, 1_000_123_457, 2_000_000_000)
    }
    assert digests == {(await swept(fault, "never")).digests["cut"]}


@pytest.mark.parametrize("wrong", ["missing", "late"])
async def test_a_guest_that_is_not_as_it_was_is_noticed(swept, monkeypatch, wrong):
    """The timer that migration leaves out is not armed again, or a little late: the fork is no fork."""
    stores = snapshot.TickTimer.stores

    def spoiled(self, *arguments):
        right = stores(self, *arguments)
        return () if wrong == "missing" else tuple(((delay + 1) % 100, *rest) for delay, *rest in right)

    monkeypatch.setattr(snapshot.TickTimer, "stores", spoiled)
    forked = await swept("- {id: cut, at: 1.5s, cut: {between: [c, a], for: 300ms}}", "always")
    monkeypatch.undo()
    assert re.search(r"the fork failed: .*(c|r) is not as it was: it acts next at \S+ ns", forked.why_booted["cut"])
    assert forked.digests == (await swept("- {id: cut, at: 1.5s, cut: {between: [c, a], for: 300ms}}", "never")).digests


async def test_a_state_that_cannot_be_read(swept, monkeypatch):
    """The emulators end at once, with their own words; the run is booted instead."""
    whole = snapshot.WithSnapshot.snapshot

    async def broken(self, directory):
        kept = await whole(self, directory)
        kept.state.write_bytes(b"no state of any machine")
        return replace(kept)

    monkeypatch.setattr(snapshot.WithSnapshot, "snapshot", broken)
    forked = await swept("- {id: cut, at: 1.5s, cut: {between: [c, a], for: 300ms}}")
    assert re.search("the fork failed: node . ended by itself: exit 1", forked.why_booted["cut"])
    assert forked.runs["cut"].finished.record.digest
