"""The live picture of a run on a terminal."""

from __future__ import annotations

import select
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from rich.console import Console
from rich.live import Live

from swarmrig.cli.keyboard import without_echo
from swarmrig.cli.output import counted, harmless
from swarmrig.cli.view.blocks import Block, Cell, Line, Lines, fitted, one_line
from swarmrig.cli.view.sentences import sentence
from swarmrig.model.facts import FaultStage
from swarmrig.model.units import NS_PER_S
from swarmrig.model.verdict import Judgement, Outcome
from swarmrig.runtime.brake import PAUSED, RELEASED
from swarmrig.runtime.events import Event
from swarmrig.runtime.observer import LinkView, NodeView, Programme, Snapshot

OUTCOME_STYLES = {
    Outcome.PASS: "green",
    Outcome.WARN: "yellow",
    Outcome.FAIL: "bold red",
    Outcome.FATAL: "bold white on red",
    Outcome.INCONCLUSIVE: "magenta",
}
_STATE_STYLES = {"waiting": "dim", "launching": "dim", "started": "yellow", "booted": "green", "ready": "green",
                 "exited": "bold red", "stopped": "dim"}  # fmt: skip
_STAGE_STYLES = {"waiting": "dim", FaultStage.FAILED.value: "bold red", FaultStage.SKIPPED.value: "yellow",
                 FaultStage.HEAL_OBSERVED.value: "green"}  # fmt: skip
_NEWS_STYLES = {"failure": "bold red", "node.exited": "red", "warning": "yellow", PAUSED: "bold yellow"}
_LATEST = 32
"""Events and console lines that a high terminal may show."""
_SPEED_OVER_S = 3.0
_WIDE = 70
"""Columns from which on each node shows its last line, too."""
_BAR = 24
_TURNS = (PAUSED, RELEASED, "run.stopping", "preparing", "failure")
"""Kinds of events after which the run may have nothing more to say for long."""


class LivePicture:
    """Keeps what events told and draws it together with the latest snapshot."""

    def __init__(self, programme: Programme, *, watched: bool = False) -> None:
        self._programme = programme
        self._title = " · ".join((
            harmless(programme.name),
            counted(len(programme.nodes), "node"),
            f"seed {programme.seed}",
            f"tier {programme.tier}",
        ))  # fmt: skip
        self._watched = watched
        self._faults: dict[str, tuple[str, str, int | None]] = {
            name: (description, "waiting", None) for name, description in programme.faults.items()
        }
        self._news: deque[Event] = deque(maxlen=_LATEST)
        self._console: deque[Event] = deque(maxlen=_LATEST)
        self._decided: dict[str, Outcome] = {}
        self._usual = "Ctrl-C ends the run and judges it" if programme.until_interrupted and not watched else ""
        self._notice = self._usual
        self._pace: deque[tuple[float, int]] = deque([(programme.began_s, 0)], maxlen=64)
        nodes = dict.fromkeys(programme.nodes, NodeView("waiting"))
        links = dict.fromkeys(programme.links, LinkView())
        self.snapshot = Snapshot(0, programme.duration_ns, nodes, links, {})

    def take(self, event: Event) -> None:
        if event.kind == "console":
            self._console.append(event)
            return
        self._news.append(event)
        if event.kind == "fault" and event.data.get("id") in self._faults:
            description, _, _ = self._faults[event.data["id"]]
            self._faults[event.data["id"]] = (description, str(event.data.get("stage")), event.t_ns)
        elif event.kind == "check":  # the last word, after the last snapshot
            with suppress(ValueError):
                self._decided[str(event.data.get("label"))] = Outcome(str(event.data.get("outcome")))
        else:
            self._notice = self._noticed(event)

    def _noticed(self, event: Event) -> str:
        match event.kind:
            case "run.stopping":
                return "stopping ..."
            case "run.paused":
                way = "`swarmrig watch --release` lets it go on"
                way = way if self._watched else f"Enter (or {way.replace(' lets', ') lets')}"
                return f"FROZEN: {', '.join(map(str, event.data.get('because', [])))}. {way}"
            case "run.released" | "run.finished":
                return self._usual
            case "preparing":
                return sentence(event) or ""
        return self._notice

    def see(self, snapshot: Snapshot) -> None:
        """How it stands now."""
        self.snapshot = snapshot
        self._pace.append((time.monotonic(), snapshot.now_ns))
        while len(self._pace) > 2 and self._pace[-1][0] - self._pace[1][0] > _SPEED_OVER_S:
            self._pace.popleft()

    def draw(self, width: int, height: int, *, last: bool = False) -> Lines:
        """All of it, in a terminal of that size: what is not well comes first. The `last` picture stays, so it has
        neither consoles, nor checks where the run's summary follows."""
        header = self._header(width)
        nodes, checks = self._nodes(width), self._checks()
        blocks: list[Block[Any]] = [nodes, self._links(), *([] if last and not self._watched else [checks])]
        blocks += [self._fault_stages(), self._events(), *([] if last else [self._consoles()])]
        return Lines([*header, *fitted(blocks, height - len(header) - 1, width)])

    def _header(self, width: int) -> list[Line]:
        shot = self.snapshot
        wall_s = time.monotonic() - self._programme.began_s
        now = f"{self._programme.time} {shot.now_ns / NS_PER_S:.1f}"
        before, after = f"{now} s", f"  wall {wall_s:.0f} s  speed {self._speed()}"
        status: Line = [(before + after, "")]
        if shot.duration_ns:
            before = f"{now} / {shot.duration_ns / NS_PER_S:g} s"
            bar = max(0, min(_BAR, width - len(before) - len(after) - 2))
            done = min(bar, bar * shot.now_ns // shot.duration_ns)
            status = [(f"{before}  ", ""), ("━" * done, "green"), ("─" * (bar - done), "dim"), (after, "")]
        lines: list[Line] = [[(one_line(self._title, width), "bold")], status]
        if self._notice:
            style = "bold yellow" if self._notice.startswith("FROZEN") else "dim"
            lines.append([(one_line(self._notice, width), style)])
        return lines

    def _speed(self) -> str:
        """Of the run's time against the clock on the wall, over the last seconds."""
        (early_s, early_ns), (late_s, late_ns) = self._pace[0], self._pace[-1]
        if late_s <= early_s or late_ns == early_ns:
            return "-"
        speed = (late_ns - early_ns) / NS_PER_S / (late_s - early_s)
        return f"{speed:.0f}x" if speed >= 10 else f"{speed:.1f}x"

    def _nodes(self, width: int) -> Block[tuple[str, NodeView]]:
        columns = ("node", "state", ">boot", ">frames", ">Hz", "console" if width >= _WIDE else "")

        def cells(entry: tuple[str, NodeView]) -> list[Cell]:
            name, view = entry
            boot = "" if view.boot_ns is None else _short_time(view.boot_ns)
            rate = f"{view.rate:.1f}" if view.rate else ""
            said = view.last_line if width >= _WIDE else ""
            return [name, (view.state, _STATE_STYLES.get(view.state, "")), boot, str(view.frames), rate, said]

        shown = list(self.snapshot.nodes.items())
        return Block(columns, shown, cells, lambda entry: entry[1].state, lambda entry: entry[1].state == "exited")

    def _links(self) -> Block[tuple[str, LinkView]]:
        def cells(entry: tuple[str, LinkView]) -> list[Cell]:
            name, view = entry
            state = ("up", "green") if view.up else ("DOWN", "bold red")
            return [name, state, str(view.frames), str(view.drops), ""]

        links = self.snapshot.links
        shown = [(name, links[name]) for name in self._programme.links if name in links]
        return Block(
            ("link", "state", ">frames", ">dropped", ""),
            shown,
            cells,
            lambda entry: "up" if entry[1].up else "down",
            lambda entry: not entry[1].up,
        )

    def _checks(self) -> Block[tuple[str, Judgement | None]]:
        def cells(entry: tuple[str, Judgement | None]) -> list[Cell]:
            label, judgement = entry
            outcome = _outcome(entry)
            style = "dim" if outcome is None else OUTCOME_STYLES[outcome]
            return [label, (outcome or "open", style), judgement.message if judgement is not None else ""]

        def _outcome(entry: tuple[str, Judgement | None]) -> Outcome | None:
            label, judgement = entry
            return self._decided.get(label, None if judgement is None else judgement.outcome)

        return Block(
            ("check", "so far" if not self._decided else "verdict", "because"),
            list(self.snapshot.checks.items()),
            cells,
            lambda entry: _outcome(entry) or "open",
            lambda entry: _outcome(entry) not in (None, Outcome.PASS),
            least=3,
        )

    def _fault_stages(self) -> Block[tuple[str, str, int | None]]:
        def cells(fault: tuple[str, str, int | None]) -> list[Cell]:
            description, stage, since_ns = fault
            at = "" if since_ns is None else f"{since_ns / NS_PER_S:.3f} s"
            return [description, (stage, _STAGE_STYLES.get(stage, "yellow")), at, ""]

        return Block(
            ("fault", "stage", ">since", ""),
            list(self._faults.values()),
            cells,
            lambda fault: fault[1],
            lambda fault: fault[1] != FaultStage.HEAL_OBSERVED.value,
        )

    def _events(self) -> Block[tuple[Event, str]]:
        told = [(event, said) for event in self._news if (said := sentence(event)) is not None]
        return Block(
            (">time", "event", ""),
            told,
            lambda entry: [
                (f"{entry[0].t_ns / NS_PER_S:.3f} s", "dim"),
                (entry[0].source, "dim"),
                (entry[1], _NEWS_STYLES.get(entry[0].kind, "")),
            ],
        )

    def _consoles(self) -> Block[Event]:
        return Block(
            (">time", "console", ""),
            list(self._console),
            lambda event: [
                (f"{event.t_ns / NS_PER_S:.3f} s", "dim"), (event.source, "dim"), str(event.data.get("text", "")),
            ],
        )  # fmt: skip


def _short_time(ns: int) -> str:
    """In virtual time a small guest boots in microseconds."""
    return f"{ns / 1e6:.3g} ms" if ns < NS_PER_S else f"{ns / NS_PER_S:.3f} s"


class LiveView:
    """Feeds a `LivePicture` into a rich Live display; drawn with every snapshot, never by a thread."""

    def __init__(self, picture: LivePicture, live: Live) -> None:
        self._picture = picture
        self._live = live
        self._broken = False
        self._show()

    def on_event(self, event: Event) -> None:
        self._picture.take(event)
        if event.kind in _TURNS:
            self._show()

    def progress(self, snapshot: Snapshot) -> None:
        self._picture.see(snapshot)
        self._show()

    def end(self) -> None:
        """Show how it stood at last."""
        self._show(last=True)

    def _show(self, *, last: bool = False) -> None:
        if self._broken or not (last or self._is_taking()):
            return
        width, height = self._live.console.size
        try:
            self._live.update(self._picture.draw(width, height, last=last), refresh=True)
        except OSError:  # the terminal is gone; the run is not
            self._broken = True

    def _is_taking(self) -> bool:
        """A terminal that was stopped (Ctrl-S) takes nothing; the run goes on, and with the next picture the view."""
        try:
            return bool(select.select([], [self._live.console.file], [], 0)[1])
        except (OSError, ValueError):  # no file of the system
            return True


@contextmanager
def open_live_view(
    programme: Programme, *, watched: bool = False, console: Console | None = None
) -> Iterator[LiveView]:
    """A live display on the terminal; the last picture stays when it ends. `watched`: another process leads the run."""
    screen = console or Console(highlight=False)
    live = Live(console=screen, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
    with without_echo():
        live.start()
        try:
            view = LiveView(LivePicture(programme, watched=watched), live)
            try:
                yield view
            finally:
                view.end()
        finally:
            with suppress(OSError):  # the terminal may be gone
                live.stop()
