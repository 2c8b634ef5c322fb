"""The live picture of a run on a terminal."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TypeVar

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from swarmrig.cli.output import counted, harmless
from swarmrig.cli.view.sentences import line
from swarmrig.model.facts import FaultStage
from swarmrig.model.units import NS_PER_S
from swarmrig.model.verdict import Judgement, Outcome
from swarmrig.runtime.brake import PAUSED, RELEASED
from swarmrig.runtime.events import Event
from swarmrig.runtime.observer import LinkView, NodeView, Programme, Snapshot

View = TypeVar("View")

OUTCOME_STYLES = {
    Outcome.PASS: "green",
    Outcome.WARN: "yellow",
    Outcome.FAIL: "bold red",
    Outcome.FATAL: "bold white on red",
    Outcome.INCONCLUSIVE: "magenta",
}
_STATE_STYLES = {"launching": "dim", "started": "yellow", "booted": "green", "exited": "bold red", "stopped": "dim"}
_LATEST_EVENTS = 4
_FIXED_LINES = 14
"""Lines of the picture that are no rows of nodes, links, faults or checks."""
_FAULT_ROWS = 8
_OVER = FaultStage.HEAL_OBSERVED.value
_ENDINGS = {"run.stopping": "stopping ...", PAUSED: "FROZEN: Enter (or `watch --release`) lets it go on"}


class LivePicture:
    """Keeps what events told and draws it together with the latest snapshot."""

    def __init__(self, programme: Programme) -> None:
        self._title = (
            f"{harmless(programme.name)} · {counted(len(programme.nodes), 'node')} · seed {programme.seed}"
            f" · tier {programme.tier}"
        )
        self._links = programme.links
        self._faults = {name: (description, "waiting") for name, description in programme.faults.items()}
        self._latest: deque[str] = deque(maxlen=_LATEST_EVENTS)
        self._usual = "Ctrl-C ends the run and judges it" if programme.until_interrupted else ""
        self._ending = self._usual
        self._began_s = time.monotonic()

    def take(self, event: Event) -> None:
        if event.kind == "fault" and event.data.get("id") in self._faults:
            description, _ = self._faults[event.data["id"]]
            self._faults[event.data["id"]] = (description, str(event.data.get("stage")))
        text = line(event)
        if text is not None:
            self._latest.append(text)
        self._ending = _ENDINGS.get(event.kind, self._usual if event.kind == RELEASED else self._ending)

    def draw(self, snapshot: Snapshot, height: int) -> RenderableType:
        """All of it, cut to a terminal of `height` lines: what is not well comes first."""
        fault_rows = min(len(self._faults), _FAULT_ROWS)
        room = max(6, height - _FIXED_LINES - fault_rows - len(snapshot.checks))
        nodes, links = _share(room, len(snapshot.nodes), len(self._links))
        parts: list[RenderableType] = [
            self._header(snapshot),
            _nodes_table(snapshot.nodes, nodes),
            _links_table({name: snapshot.links[name] for name in self._links if name in snapshot.links}, links),
        ]
        if self._faults:
            parts.append(_faults_table(self._faults, fault_rows))
        if snapshot.checks:
            parts.append(_checks_table(snapshot.checks))
        parts.extend(Text(text, style="dim", no_wrap=True, overflow="ellipsis") for text in self._latest)
        return Group(*parts)

    def _header(self, snapshot: Snapshot) -> RenderableType:
        header = Table.grid(padding=(0, 2))
        now = f"{snapshot.now_ns / NS_PER_S:.1f}"
        wall_s = time.monotonic() - self._began_s
        wall = Text(f"{wall_s:.0f} s watched", style="dim")
        if snapshot.duration_ns is None:
            header.add_row(Text(self._title, style="bold"), Text(f"{now} s"), wall, Text(self._ending, style="dim"))
        else:
            bar = ProgressBar(total=snapshot.duration_ns, completed=snapshot.now_ns, width=24)
            of = Text(f"{now} / {snapshot.duration_ns / NS_PER_S:g} s")
            header.add_row(Text(self._title, style="bold"), of, bar, wall, Text(self._ending, style="dim"))
        return header


def _share(room: int, nodes: int, links: int) -> tuple[int, int]:
    """Rows for nodes and for links when both do not fit: nodes get at least two thirds."""
    for_links = min(links, max(room - nodes, room // 3))
    return max(1, min(nodes, room - for_links)), for_links


FREE_TEXT = ("console", "because")


def _nodes_table(nodes: Mapping[str, NodeView], rows: int) -> Table:
    table = _table("node", "state", ">boot", ">frames", ">Hz", "console")
    for name, view in _first(nodes, rows, urgent=lambda view: view.state == "exited"):
        table.add_row(
            Text(harmless(name)),
            Text(view.state, style=_STATE_STYLES.get(view.state, "")),
            "" if view.boot_ns is None else f"{view.boot_ns / NS_PER_S:.3f} s",
            str(view.frames),
            f"{view.rate:.1f}" if view.rate else "",
            Text(harmless(view.last_line), no_wrap=True, overflow="ellipsis"),
        )
    return _with_rest(table, len(nodes) - rows)


def _links_table(links: Mapping[str, LinkView], rows: int) -> Table:
    table = _table("link", "state", ">frames", ">dropped")
    for name, view in _first(links, rows, urgent=lambda view: not view.up):
        state = Text("up", style="green") if view.up else Text("DOWN", style="bold red")
        table.add_row(Text(harmless(name)), state, str(view.frames), str(view.drops))
    return _with_rest(table, len(links) - rows)


def _faults_table(faults: Mapping[str, tuple[str, str]], rows: int) -> Table:
    table = _table("fault", "stage")
    for _, (description, stage) in _first(faults, rows, urgent=lambda fault: fault[1] != _OVER):
        table.add_row(Text(harmless(description)), Text(stage, style="bold red" if stage == "failed" else ""))
    return _with_rest(table, len(faults) - rows)


def _checks_table(checks: Mapping[str, Judgement | None]) -> Table:
    table = _table("check", "so far", "because")
    for label, judgement in checks.items():
        if judgement is None:
            table.add_row(Text(harmless(label)), Text("open", style="dim"), "")
        else:
            outcome = Text(judgement.outcome.value, style=OUTCOME_STYLES[judgement.outcome])
            message = Text(harmless(judgement.message), no_wrap=True, overflow="ellipsis")
            table.add_row(Text(harmless(label)), outcome, message)
    return table


def _table(*columns: str) -> Table:
    """Columns by title, `>` for numbers; a last one of text takes the room that the others leave."""
    text_last = columns[-1] in FREE_TEXT
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold dim", expand=text_last)
    for column in columns:
        table.add_column(
            column.lstrip(">"),
            justify="right" if column.startswith(">") else "left",
            no_wrap=True,
            ratio=1 if column in FREE_TEXT else None,
        )
    return table


def _first(entries: Mapping[str, View], rows: int, *, urgent: Callable[[View], bool]) -> list[tuple[str, View]]:
    """As many as there are rows; when not all fit, the urgent ones come first."""
    ordered = list(entries.items())
    if len(ordered) > rows:
        ordered.sort(key=lambda entry: not urgent(entry[1]))
    return ordered[:rows]


def _with_rest(table: Table, hidden: int) -> Table:
    if hidden > 0:
        table.add_row(Text(f"... {hidden} more", style="dim"))
    return table


class LiveView:
    """Feeds a `LivePicture` into a rich Live display; drawn with every snapshot, never by a thread."""

    def __init__(self, picture: LivePicture, live: Live) -> None:
        self._picture = picture
        self._live = live
        self._broken = False

    def on_event(self, event: Event) -> None:
        self._picture.take(event)

    def progress(self, snapshot: Snapshot) -> None:
        if self._broken:
            return
        try:
            self._live.update(self._picture.draw(snapshot, self._live.console.height), refresh=True)
        except OSError:  # the terminal is gone; the run is not
            self._broken = True


@contextmanager
def open_live_view(programme: Programme, *, console: Console | None = None) -> Iterator[LiveView]:
    """A live display on the terminal; the last picture stays when it ends."""
    screen = console or Console(highlight=False)
    live = Live(console=screen, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
    live.start()
    try:
        yield LiveView(LivePicture(programme), live)
    finally:
        with suppress(OSError):  # the terminal may be gone
            live.stop()
