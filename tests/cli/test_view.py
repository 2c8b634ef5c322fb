"""Views: what a person or a machine is told while a run goes on."""

from __future__ import annotations

import io
import json
import os
import re
import termios
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from swarmrig.cli.bare_plan import bare_network
from swarmrig.cli.view import open_view
from swarmrig.cli.view.blocks import one_line
from swarmrig.cli.view.lines import JsonLines, PlainLines
from swarmrig.cli.view.live import LivePicture, LiveView, open_live_view
from swarmrig.cli.view.sentences import line, sentence
from swarmrig.model.scenario import FaultSpec, NetworkSpec, NodeSpec, Role, Scenario, TimeMode, Topology
from swarmrig.model.verdict import Judgement, Outcome
from swarmrig.runtime.brake import PAUSED, RELEASED
from swarmrig.runtime.events import Event
from swarmrig.runtime.observer import LinkView, NodeView, Programme, Snapshot
from swarmrig.runtime.plan import PlannedFault, RunPlan

S = 1_000_000_000


def plan(sensors: int = 2) -> RunPlan:
    nodes = (NodeSpec("coord", 0, role=Role.COORDINATOR), *(NodeSpec(f"s{n}", n) for n in range(1, sensors + 1)))
    network = NetworkSpec(topology=Topology.STAR)
    fault = FaultSpec("cut-1", "cut", 5 * S, 2 * S, {"between": ["coord", "s1"]})
    scenario = Scenario("rooms", 60 * S, 7, TimeMode.REAL, network, nodes, (fault,))
    return RunPlan(
        scenario=scenario,
        network=bare_network(scenario),
        nodes=(),
        backends={},
        checks=(),
        faults=(PlannedFault(fault, object, "cut the link coord--s1"),),
        tier="scheduled",
        reasons=(),
        warnings=(),
    )


def snapshot(nodes=None, links=None, checks=None, duration_ns=60 * S) -> Snapshot:
    return Snapshot(12 * S, duration_ns, nodes or {}, links or {}, checks or {})


def drawn(
    view_plan, shot, events=(), width=120, height=60, *, watched=False, last=False, until_interrupted=False
) -> str:
    """The live picture as text."""
    picture = LivePicture(Programme.of(view_plan, until_interrupted=until_interrupted), watched=watched)
    for event in events:
        picture.take(event)
    picture.see(shot)
    paper = Console(file=io.StringIO(), color_system=None, width=width, height=height)
    paper.print(picture.draw(width, height, last=last), end="")
    lines = paper.file.getvalue().splitlines()
    assert len(lines) < max(height, 4)
    assert all(cell_len(line) <= width for line in lines)
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (Event(0, "rig", "run.started", {"name": "rooms"}), "[    0.000 s] rig          started: rooms"),
        (Event(S, "s1", "node.started", {"pid": 12}), "[    1.000 s] s1           started (pid 12)"),
        (Event(S, "s1", "node.booted", {"boot_ns": 3_000_000}), "[    1.000 s] s1           booted in 0.003 s"),
        (
            Event(S, "s1", "node.exited", {"status": "SIGSEGV", "stderr": "a\nqemu: oh\n"}),
            "[    1.000 s] s1           ended by itself: SIGSEGV: qemu: oh",
        ),
        (
            Event(
                5 * S, "faults", "fault", {"id": "cut-1", "kind": "cut", "stage": "injected", "link": "a--b", "t_ns": 5}
            ),
            "[    5.000 s] faults       cut-1: injected (link a--b)",
        ),
        (
            Event(
                5 * S, "faults", "fault", {"id": "cut-1", "stage": "observed", "capture": "net/a.pcapng", "frame": 3}
            ),
            "[    5.000 s] faults       cut-1: observed (net/a.pcapng#3)",
        ),
        (Event(9 * S, "rig", "run.stopping", {"interrupted": True}), "[    9.000 s] rig          interrupted: "),
        (Event(9 * S, "rig", "failure", {"message": "no net"}), "[    9.000 s] rig          FAILURE: no net"),
    ],
)
def test_noteworthy_events_are_lines(event, said):
    assert (line(event) or "").startswith(said)


def test_console_lines_and_counters_are_not_news():
    assert sentence(Event(0, "s1", "console", {"line": 1, "text": "hello"})) is None
    assert sentence(Event(0, "a--b", "link", {"frames": 1})) is None
    assert sentence(Event(0, "x", "kind of a plugin", {})) is None


@pytest.mark.parametrize("kind", ["node.started", "node.booted", "node.exited", "fault", "warning"])
def test_events_without_data_are_told_all_the_same(kind):
    assert sentence(Event(0, "s1", kind, {}))


def test_a_guest_cannot_steer_the_terminal(capsys):
    evil = "\x1b]0;owned\x07\x1b[2J"
    PlainLines().on_event(Event(0, evil, "failure", {"message": evil}))
    JsonLines().on_event(Event(0, "s1", "console", {"line": 1, "text": evil}))
    picture = drawn(plan(), snapshot({"coord": NodeView("booted", last_line=evil)}), [Event(0, evil, "failure", {})])
    assert "\x1b" not in capsys.readouterr().out
    assert "\x1b]0;owned" not in picture
    assert "\\x1b]0;owned" in picture


def test_json_lines_are_one_object_per_event(capsys):
    view = JsonLines()
    view.on_event(Event(5, "s1", "console", {"line": 1, "text": 'a "b"\nc'}))
    view.progress(snapshot())
    (only,) = capsys.readouterr().out.splitlines()
    assert json.loads(only) == {"t": 5, "source": "s1", "kind": "console", "data": {"line": 1, "text": 'a "b"\nc'}}


def test_a_check_is_a_line_when_it_is_decided_and_when_it_changes(capsys):
    view = PlainLines()
    for judgement in (None, Judgement(Outcome.PASS, "so far"), Judgement(Outcome.PASS, "still"), None):
        view.progress(snapshot(checks={"no_crashes": judgement, "other": None}))
    view.progress(snapshot(checks={"no_crashes": Judgement(Outcome.FATAL, "n1 panicked")}))
    assert capsys.readouterr().out.splitlines() == [
        "[   12.000 s] check        no_crashes: PASS: so far",
        "[   12.000 s] check        no_crashes: FATAL: n1 panicked",
    ]


def test_live_picture_shows_nodes_links_faults_and_checks():
    shot = snapshot(
        {
            "coord": NodeView("booted", 3_000_000, 240, 20.04, "I (12) coord: frames=1"),
            "s1": NodeView("exited", None, 0, 0.0, ""),
        },
        {"coord--s1": LinkView(500, 3, up=False), "coord": LinkView(900, 0)},
        {
            "all_nodes_boot": Judgement(Outcome.PASS, "3 of 3 nodes booted"),
            "no_crashes": None,
        },
    )
    fault = Event(5 * S, "faults", "fault", {"id": "cut-1", "kind": "cut", "stage": "observed"})
    picture = drawn(plan(), shot, [fault])
    for said in [
        *("rooms · 3 nodes", "seed 7", "12.0 / 60 s", "coord--s1", "DOWN", "500"),
        *("3 ms", "240", "20.0", "I (12) coord: frames=1", "exited"),
        *("cut the link coord--s1", "observed", "PASS", "3 of 3 nodes booted", "open"),
    ]:
        assert said in picture
    assert "900" not in picture  # access links are no part of the topology


def test_of_many_faults_those_that_are_over_come_last():
    specs = [FaultSpec(f"cut-{number}", "cut", number * S, None, {}) for number in range(20)]
    made = replace(plan(), faults=tuple(PlannedFault(spec, object, f"what {spec.id} does") for spec in specs))
    events = [
        Event(S, "faults", "fault", {"id": f"cut-{number}", "kind": "cut", "stage": "heal observed"})
        for number in range(12)
    ]
    picture = drawn(made, snapshot(), events, height=19)
    assert "what cut-12 does" in picture and "what cut-19 does" in picture
    assert "what cut-3 does" not in picture
    assert re.search(r"\.\.\. \d+ more: \d+ heal observed", picture)


def test_live_picture_without_an_end_says_how_to_end_it():
    picture = drawn(plan(), snapshot(duration_ns=None), until_interrupted=True)
    assert "Ctrl-C" in picture
    stopping = drawn(plan(), snapshot(duration_ns=None), [Event(S, "rig", "run.stopping", {})], until_interrupted=True)
    assert "stopping ..." in stopping


def test_live_picture_of_a_large_fleet_fits_and_shows_the_dead_first():
    nodes = {f"s{n}": NodeView("exited" if n == 180 else "booted") for n in range(1, 201)}
    links = {link.name: LinkView(up=link.name != "coord--s150") for link in plan(200).network.links}
    picture = drawn(plan(200), snapshot(nodes, links), height=40)
    assert "s180" in picture
    assert "coord--s150  DOWN" in picture
    assert re.search(r"\.\.\. \d+ more: \d+ booted", picture)
    assert re.search(r"\.\.\. \d+ more: \d+ up", picture)


@pytest.mark.parametrize("width", [1, 20, 60, 80])
@pytest.mark.parametrize("height", [1, 5, 10, 24])
def test_small_terminals_get_a_picture_too(width, height):
    nodes = {f"s{n}": NodeView("booted", last_line="wide \u6f22\u5b57 " * 40) for n in range(1, 20)}
    checks = {f"check_{n}": Judgement(Outcome.FAIL, "because " * 20) for n in range(20)}
    events = [Event(S, "s1", "console", {"text": "x" * 200}), Event(S, "rig", "failure", {"message": "y" * 200})]
    assert "rooms"[:width] in drawn(plan(19), snapshot(nodes, checks=checks), events, width, height)


def test_a_narrow_terminal_has_the_speed_and_whole_words():
    picture = drawn(plan(), snapshot(), width=50)
    assert re.search(r"^real 12\.0 / 60 s  [━─]+  wall 0 s  speed \S+$", picture, re.MULTILINE)
    assert "cut the link coord--s1  waiting" in picture


def test_the_last_console_lines_have_a_block_of_their_own():
    lines = [Event(n * S, "s1", "console", {"line": n, "text": f"line {n}"}) for n in range(1, 60)]
    picture = drawn(plan(), snapshot(), lines, height=14)
    assert [line.split() for line in picture.splitlines()[-2:]] == [
        ["58.000", "s", "s1", "line", "58"],
        ["59.000", "s", "s1", "line", "59"],
    ]
    assert "line 59" not in drawn(plan(), snapshot(), lines, last=True)


def test_the_speed_is_that_of_the_last_seconds(monkeypatch):
    """Of a run that had begun before anybody watched."""
    now_s = 100.0
    monkeypatch.setattr("swarmrig.cli.view.live.time.monotonic", lambda: now_s)
    picture = LivePicture(replace(Programme.of(plan()), began_s=90.0, time="virtual"))
    assert "wall 10 s  speed -" in said(picture)
    for second in range(1, 11):
        now_s = 100.0 + second
        picture.see(replace(snapshot(), now_ns=(second if second < 5 else 30 * second) * S))
    assert "virtual 300.0 / 60 s" in said(picture)
    assert "wall 20 s  speed 30x" in said(picture)
    for second in range(11, 15):
        now_s = 100.0 + second
        picture.see(replace(snapshot(), now_ns=300 * S))
    assert "speed -" in said(picture)


def said(picture: LivePicture) -> str:
    return "".join(text for line in picture.draw(120, 40).lines for text, _ in line)


def test_a_frozen_run_says_why_and_how_it_goes_on():
    frozen = Event(S, "rig", PAUSED, {"because": ["no_crashes"]})
    assert "FROZEN: no_crashes. Enter (or `swarmrig watch --release`) lets it go on" in drawn(
        plan(), snapshot(), [frozen]
    )
    assert "FROZEN: no_crashes. `swarmrig watch --release`" in drawn(plan(), snapshot(), [frozen], watched=True)
    assert "FROZEN" not in drawn(plan(), snapshot(), [frozen, Event(S, "rig", RELEASED, {})])


def test_who_watches_sees_the_verdict_of_checks_at_the_end():
    decided = Event(60 * S, "rig", "check", {"label": "no_crashes", "outcome": "PASS"})
    shot = snapshot(checks={"no_crashes": None})
    assert "no_crashes  PASS" in drawn(plan(), shot, [decided], watched=True, last=True)
    assert "no_crashes" not in drawn(plan(), shot, [decided], last=True)  # the summary follows


def test_a_terminal_that_is_stopped_does_not_stop_the_run(terminal):
    leader, follower = terminal
    with open(follower, "w") as file:
        screen = Console(file=file, force_terminal=True, width=80, height=24)
        with open_live_view(Programme.of(plan()), console=screen) as view:
            termios.tcflow(follower, termios.TCOOFF)
            for _ in range(100):  # more than would fit anywhere
                view.progress(snapshot({f"n{number}": NodeView("booted") for number in range(20)}))
            termios.tcflow(follower, termios.TCOON)
            view.progress(snapshot(duration_ns=7 * S))
    shown = b""
    with suppress(OSError):  # all is read, and the other end is closed
        while True:
            shown += os.read(leader, 1 << 16)
    os.close(leader)
    assert b"/ 7 s" in shown
    assert b"n19" not in shown


def test_a_turn_is_shown_at_once():
    terminal = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=120, height=40)
    with open_live_view(Programme.of(plan()), console=terminal) as view:
        assert "3 waiting" in terminal.file.getvalue() or "waiting" in terminal.file.getvalue()
        view.on_event(Event(S, "rig", PAUSED, {"because": ["x"]}))
        assert "FROZEN: x" in terminal.file.getvalue()


@given(st.text(), st.integers(1, 40))
def test_a_cell_is_one_line_that_steers_nothing(text, width):
    shown = one_line(text, width)
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", shown)


def test_a_terminal_that_goes_away_does_not_end_the_run():
    class Gone(io.StringIO):
        gone = False

        def write(self, text: str) -> int:
            if self.gone:
                raise OSError(5, "Input/output error")
            return super().write(text)

    terminal = Console(file=Gone(), force_terminal=True, width=80, height=24)
    with open_live_view(Programme.of(plan()), console=terminal) as view:
        view.progress(snapshot())
        terminal.file.gone = True
        view.progress(snapshot())
        view.progress(snapshot())


def test_the_view_suits_the_output(monkeypatch, capsys):
    with open_view(Programme.of(plan()), as_json=True) as view:
        assert isinstance(view, JsonLines)
    with open_view(Programme.of(plan()), as_json=False) as view:
        assert isinstance(view, PlainLines)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("CI", "true")
    with open_view(Programme.of(plan()), as_json=False) as view:
        assert isinstance(view, PlainLines)
    monkeypatch.delenv("CI")
    monkeypatch.setenv("TERM", "dumb")
    with open_view(Programme.of(plan()), as_json=False) as view:
        assert isinstance(view, PlainLines)
    monkeypatch.setenv("TERM", "xterm")
    with open_view(Programme.of(plan()), as_json=False) as view:
        assert isinstance(view, LiveView)
