"""Attaching to a run, and freezing it: whoever looks changes nothing, whoever types is told of in the results."""

from __future__ import annotations

import json
import os
from dataclasses import asdict

import anyio
import pytest

from swarmrig.errors import SwarmrigError
from swarmrig.plugins import Registry
from swarmrig.proc import RunScope
from swarmrig.runtime.attach import MAX_LINE, NotLiveError, attached, event_of, programme_of, snapshot_of
from swarmrig.runtime.audience import MAX_REQUEST, SOCKET, Seat, snapshot_json
from swarmrig.runtime.brake import PAUSED, Brake
from swarmrig.runtime.events import Event
from swarmrig.runtime.observer import Snapshot
from swarmrig.runtime.plan import make_plan
from swarmrig.runtime.run import RunOptions, run
from swarmrig.scenario.load import load_scenario

pytestmark = pytest.mark.anyio

SCENARIO = """\
swarmrig: 1
name: pair
duration: 4s
time: virtual
nodes: {a: {role: coordinator}, b: {role: sensor}}
checks:
  - all_nodes_boot
  - console: {node: b, matches: "samples="}
"""


class Watching:
    """An observer that says when the swarm stands still."""

    def __init__(self) -> None:
        self.paused = anyio.Event()

    def on_event(self, event: Event) -> None:
        if event.kind == PAUSED:
            self.paused.set()

    def progress(self, snapshot: Snapshot) -> None: ...


async def pair(tmp_path):
    path = tmp_path / "pair.swarmrig.yml"
    path.write_text(SCENARIO)
    return await make_plan(load_scenario(path, registry=Registry.load()), Registry.load())


@pytest.fixture
async def frozen(tmp_path):
    """A swarm that stands still at its end because a check would fail; ends when it is released."""
    plan, watching, brake = await pair(tmp_path), Watching(), Brake()
    finished = []

    async def go() -> None:
        finished.append(await run(plan, RunOptions(output_dir=tmp_path / "runs", observer=watching, brake=brake)))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(go)
        await watching.paused.wait()
        (directory,) = (tmp_path / "runs").iterdir()
        yield directory, finished
        brake.release()


async def talk(there, *wishes):
    """Ask all of these while news are read; returns the news up to then."""
    heard = []
    async with anyio.create_task_group() as tasks:

        async def read() -> None:
            async for news in there.news():
                heard.append(news)
            tasks.cancel_scope.cancel()

        tasks.start_soon(read)
        for do, details in wishes:
            await there.ask(do, **details)
        if wishes and wishes[-1][0] == "release":
            await anyio.sleep_forever()
        tasks.cancel_scope.cancel()
    return heard


async def test_who_comes_late_is_told_what_happened_and_sees_the_end(frozen):
    directory, _ = frozen
    run_id = directory.name.rpartition("-")[2]
    async with attached(run_id) as there:
        assert (there.programme.name, there.programme.nodes) == ("pair", ("a", "b"))
        heard = await talk(there, ("release", {}))
    kinds = [news.kind for news in heard if isinstance(news, Event)]
    assert kinds[0] == "run.started"
    assert {"node.booted", PAUSED, "check", "run.released", "run.finished"} <= set(kinds)
    last = [news for news in heard if isinstance(news, Event)][-1]
    assert last.data == {"verdict": "FAIL", "exit_code": 2}


async def test_who_looks_changes_nothing(frozen, tmp_path):
    """The digest of a run that stood still, and was watched, is that of one that did not."""
    directory, finished = frozen
    async with attached(directory.name.rpartition("-")[2]) as there:
        await talk(there, ("listen", {"node": "b"}), ("release", {}))
    alone = await run(await pair(tmp_path), RunOptions(output_dir=tmp_path / "alone"))
    while not finished:
        await anyio.lowlevel.checkpoint()
    assert finished[0].record.digest == alone.record.digest is not None


async def test_who_types_is_told_of_in_the_results(tmp_path):
    """Of a check that fails at once; the answer comes when the swarm goes on, and the run has no digest."""
    path = tmp_path / "early.swarmrig.yml"
    text = SCENARIO.replace("4s", "12s").replace("coordinator", "coordinator, firmware: {variant: panic-at-10s}")
    path.write_text(text + "  - no_crashes\n")
    plan = await make_plan(load_scenario(path, registry=Registry.load()), Registry.load())
    watching, brake, finished = Watching(), Brake(), []

    async def go() -> None:
        finished.append(await run(plan, RunOptions(output_dir=tmp_path / "runs", observer=watching, brake=brake)))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(go)
        await watching.paused.wait()
        (directory,) = (tmp_path / "runs").iterdir()
        async with attached(directory.name.rpartition("-")[2]) as there:
            heard = await talk(
                there, ("listen", {"node": "b"}), ("type", {"node": "b", "text": "stats\n"}), ("release", {})
            )
    assert "b" in heard
    (done,) = finished
    assert done.record.digest is None
    assert any("by hand" in warning for warning in done.record.warnings)
    assert "samples=" in (done.directory / "nodes" / "b" / "console.log").read_text()


IMPOSSIBLE = [
    ("listen", {"node": "zz"}, "no node 'zz': the nodes are a, b"),
    ("type", {"node": "../a", "text": "x"}, "no node"),
    ("dance", {}, "nobody knows how to 'dance'"),
]


async def test_what_cannot_be_is_answered(frozen):
    directory, _ = frozen
    for do, details, said in IMPOSSIBLE:
        async with attached(directory.name.rpartition("-")[2]) as there:
            with pytest.raises(BaseExceptionGroup) as caught:
                await talk(there, (do, details))
        assert caught.group_contains(SwarmrigError, match=said)


async def test_who_talks_nonsense_is_shown_out_and_the_run_goes_on(frozen):
    directory, finished = frozen
    place = RunScope(directory, directory.name.rpartition("-")[2]).state_directory
    here = os.open(place, os.O_PATH | os.O_DIRECTORY)
    try:
        assert (place / SOCKET).stat().st_mode & 0o777 == 0o600
        for garbage in (b"\xff\n", b"[]\n", b"{\n", b"x" * (MAX_REQUEST + 2)):
            async with await anyio.connect_unix(f"/proc/self/fd/{here}/{SOCKET}") as stream:
                await stream.send(garbage)
                with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                    while True:
                        await stream.receive()
    finally:
        os.close(here)
    assert not finished


async def test_a_run_that_is_over_cannot_be_attached_to():
    with pytest.raises(NotLiveError, match="cannot be attached to"):
        async with attached("0123abcd"):
            pass


class Stream:
    """Takes what is sent to it, when it may."""

    def __init__(self) -> None:
        self.sent = b""

    async def send(self, chunk: bytes) -> None:
        self.sent += chunk


async def test_who_does_not_read_costs_bounded_memory_and_hears_how_much_he_missed():
    stream = Stream()
    seat = Seat(stream)
    for number in range(10_000):
        seat.tell_event(b'{"event":%d}\n' % number)
        seat.show(b'{"snapshot":%d}\n' % number)
    seat.close()
    await seat.write()
    messages = [json.loads(line) for line in stream.sent.splitlines()]
    events = [message["event"] for message in messages if "event" in message]
    assert events == list(range(len(events)))
    assert {"missed": 10_000 - len(events)} in messages
    assert [message for message in messages if "snapshot" in message] == [{"snapshot": 9_999}]
    assert MAX_LINE > 256 * MAX_REQUEST


async def test_what_is_told_comes_back_as_it_was(tmp_path):
    from swarmrig.model.verdict import Judgement, Outcome
    from swarmrig.runtime.observer import LinkView, NodeView, Programme

    shot = Snapshot(
        5, None, {"a": NodeView("booted", 3, 4, 5.5, "x\x1b")}, {"l": LinkView(1, 2, False)},
        {"c": Judgement(Outcome.WARN, "hm"), "d": None},
    )  # fmt: skip
    assert snapshot_of(json.loads(json.dumps(snapshot_json(shot)))) == shot
    event = Event(7, "a", "console", {"line": 1, "text": "\udcff"})
    assert event_of(json.loads(json.dumps(event.as_json()))) == event
    programme = Programme("p", ("a",), 1, "exact", ("l",), {"f": "cut"}, True, "virtual", 5, 1.5)
    assert programme_of(json.loads(json.dumps(asdict(programme)))) == programme
