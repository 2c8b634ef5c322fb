"""Everything observed goes through here once: to the event log, to the judge, and to the viewer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from swarmrig.api import CheckContext
from swarmrig.checks.metrics import Meter
from swarmrig.checks.patterns import is_boot_marker
from swarmrig.checks.sightings import OwnFrames
from swarmrig.model.facts import ConsoleLine, Fact, FaultChange, Frame, NodeChange, NodeState
from swarmrig.model.network import Fate
from swarmrig.model.record import NodeRecord
from swarmrig.model.units import NS_PER_S
from swarmrig.model.verdict import Judgement
from swarmrig.runtime.clock import Clock
from swarmrig.runtime.consoles import ConsoleSplitter
from swarmrig.runtime.events import Event, EventLog
from swarmrig.runtime.judge import Judge
from swarmrig.runtime.observer import LinkView, NodeView, Observer, Snapshot
from swarmrig.runtime.plan import RunPlan

_RATE_WINDOW = 64


class NodeTrack:
    """What is known of one node while it runs."""

    def __init__(self) -> None:
        self.state = "launching"
        self.started_ns: int | None = None
        self.boot_ns: int | None = None
        self.exit_status: str | None = None
        self.frames = 0
        self.last_line = ""
        self._recent: deque[int] = deque(maxlen=_RATE_WINDOW)

    def is_up(self, t_ns: int) -> None:
        """It has booted, or is ready; the first time counts."""
        if self.boot_ns is None and self.started_ns is not None:
            self.boot_ns = t_ns - self.started_ns

    def frame(self, t_ns: int) -> None:
        self.frames += 1
        self._recent.append(t_ns)

    @property
    def rate(self) -> float:
        """Frames per second over the last `_RATE_WINDOW` frames."""
        if len(self._recent) < 2 or self._recent[-1] <= self._recent[0]:
            return 0.0
        return (len(self._recent) - 1) * NS_PER_S / (self._recent[-1] - self._recent[0])

    def view(self) -> NodeView:
        return NodeView(self.state, self.boot_ns, self.frames, self.rate, self.last_line)


class LinkTrack:
    """Counters of one link, made of the facts of its capture."""

    def __init__(self) -> None:
        self.frames = 0
        self.drops = 0
        self.up = True

    def view(self) -> LinkView:
        return LinkView(self.frames, self.drops, self.up)


class Recorder:
    """Takes facts and says them on; `failures` are those of the rig and its nodes, not of checks."""

    def __init__(self, plan: RunPlan, judge: Judge, log: EventLog, clock: Clock, observer: Observer) -> None:
        self._plan = plan
        self._judge = judge
        self._log = log
        self._clock = clock
        self._observer = observer
        self.on_console: list[Callable[[str], None]] = []
        """Called with the id of a node when there is more in its console.log."""
        self.failures: list[str] = []
        self.warnings: list[str] = list(plan.warnings)
        self.nodes = {node.spec.id: NodeTrack() for node in plan.nodes}
        self.links = {link.name: LinkTrack() for link in plan.network.links}
        self.meter = Meter(CheckContext(plan.scenario, plan.network))
        self._own = OwnFrames(plan.scenario.nodes)
        self._consoles = {node: ConsoleSplitter(node, self.observe, self._console_truncated) for node in self.nodes}

    def event(self, source: str, kind: str, data: Mapping[str, Any] | None = None, t_ns: int | None = None) -> None:
        event = Event(self._clock.now_ns() if t_ns is None else t_ns, source, kind, data or {})
        self._log.add(event)
        self._observer.on_event(event)

    def warning(self, source: str, message: str, t_ns: int | None = None) -> None:
        self.warnings.append(f"{source}: {message}")
        self.event(source, "warning", {"message": message}, t_ns)

    def failure(self, source: str, message: str) -> None:
        self.failures.append(message)
        self.event(source, "failure", {"message": message})

    def console(self, node: str, t_ns: int, chunk: bytes) -> None:
        """Raw console bytes of a node, any chunking."""
        self._consoles[node].feed(t_ns, chunk)
        for told in self.on_console:
            told(node)

    def observe(self, fact: Fact) -> None:
        match fact:
            case Frame():
                self._frame(fact)
            case ConsoleLine():
                self._console_line(fact)
            case NodeChange():
                self._node_change(fact)
            case FaultChange():
                data = {"id": fact.fault, "kind": fact.kind, "stage": fact.stage.value, **fact.data}
                self.event("faults", "fault", data, fact.t_ns)
        self.meter.observe(fact)
        self._judge.observe(fact)

    def finish_consoles(self) -> None:
        """All nodes have ended: a last line without line end counts too."""
        now_ns = self._clock.now_ns()
        for splitter in self._consoles.values():
            splitter.finish(now_ns)

    def snapshot(self, duration_ns: int | None) -> Snapshot:
        return Snapshot(
            self._clock.now_ns(),
            duration_ns,
            {node: track.view() for node, track in self.nodes.items()},
            {link: track.view() for link, track in self.links.items()},
            self.foresee(final=False),
        )

    def foresee(self, *, final: bool) -> dict[str, Judgement | None]:
        """What the checks say by now, or would say if the run ended now, by label."""
        judgements = self._judge.judge(self._clock.now_ns(), final=final)
        return dict(zip(self._judge.labels, judgements, strict=True))

    def node_records(self) -> tuple[NodeRecord, ...]:
        return tuple(
            NodeRecord(
                id=spec.id,
                number=spec.number,
                boot_ns=self.nodes[spec.id].boot_ns,
                exit_status=self.nodes[spec.id].exit_status,
                console_lines=self._consoles[spec.id].lines,
                console_bytes=self._consoles[spec.id].bytes,
            )
            for spec in self._plan.scenario.nodes
        )

    def _frame(self, frame: Frame) -> None:
        link = self.links[frame.link]
        if frame.fate is Fate.OVERRUN:  # the second mention of a frame that has been counted
            link.drops += 1
            return
        link.frames += 1
        link.drops += not frame.delivered
        node = self.nodes.get(frame.sender)
        if node is not None and self._own.sequence(frame) is not None:
            node.frame(frame.t_ns)

    def _console_line(self, line: ConsoleLine) -> None:
        track = self.nodes[line.node]
        track.last_line = line.text
        self.event(line.node, "console", {"line": line.line, "text": line.text}, line.t_ns)
        if track.boot_ns is None and track.started_ns is not None and is_boot_marker(line.text):
            track.is_up(line.t_ns)
            track.state = "booted"
            self.event(line.node, "node.booted", {"boot_ns": track.boot_ns}, line.t_ns)

    def _node_change(self, change: NodeChange) -> None:
        track = self.nodes[change.node]
        track.state = change.state.value
        if change.state is NodeState.STARTED:
            track.started_ns = change.t_ns
            track.exit_status = None  # of a former life
        elif change.state is NodeState.READY:
            track.is_up(change.t_ns)
        elif change.state is NodeState.EXITED:
            track.exit_status = str(change.data.get("status", "unknown"))
        self.event(change.node, f"node.{change.state.value}", change.data, change.t_ns)

    def _console_truncated(self, node: str) -> None:
        self.warning(node, "console flood: further lines are no longer judged")
        change = NodeChange(self._clock.now_ns(), node, NodeState.UNHEARD)
        self.meter.observe(change)
        self._judge.observe(change)
