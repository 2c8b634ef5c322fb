"""Does everybody live on after a fault?"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from swarmrig.api import CheckContext
from swarmrig.checks.episodes import Episode, Episodes, check_fault, targets_of
from swarmrig.checks.health import describe_exit
from swarmrig.checks.params import DurationNs, Params
from swarmrig.checks.patterns import is_boot_marker, is_crash
from swarmrig.checks.sightings import find_node, is_injected
from swarmrig.checks.tally import Tally, listed
from swarmrig.model.facts import ConsoleLine, Fact, FaultChange, Frame, NodeChange, NodeState
from swarmrig.model.units import NS_PER_S, format_seconds
from swarmrig.model.verdict import Evidence, Judgement, Outcome

_KEPT = 64


class SurvivesParams(Params):
    """The fault, and who must survive it."""

    bare: ClassVar[str | None] = "fault"
    fault: str
    """Its id, or the kind of several."""
    nodes: tuple[str | int, ...] | None = Field(default=None, min_length=1)
    """Ids or numbers of the nodes that are judged. Default: all."""
    silence: DurationNs = 10 * NS_PER_S
    """How long a node may have been silent at the end of the run: neither a line nor a frame of its own."""


class _Life:
    """What was seen of one node. Only the first few crashes, starts and ends are kept, by kind."""

    def __init__(self) -> None:
        self.crashes: list[ConsoleLine] = []
        self.boots: list[ConsoleLine] = []
        self.ends: list[NodeChange] = []
        self.line: ConsoleLine | None = None
        self.frame: Frame | None = None
        self.unheard = False
        self.stopped_ns: int | None = None

    def observe_line(self, line: ConsoleLine) -> None:
        if self.line is None or line.t_ns >= self.line.t_ns:
            self.line = line
        if is_crash(line.text):
            _keep(self.crashes, line)
        elif is_boot_marker(line.text):
            _keep(self.boots, line)

    def observe_change(self, change: NodeChange) -> None:
        if change.state is NodeState.EXITED:
            _keep(self.ends, change)
        elif change.state is NodeState.UNHEARD:
            self.unheard = True
        elif change.state is NodeState.STOPPED:
            self.stopped_ns = change.t_ns

    @property
    def heard_ns(self) -> int | None:
        """The last sign of life."""
        return max((fact.t_ns for fact in (self.line, self.frame) if fact is not None), default=None)


def _keep(kept: list[Any], fact: Any) -> None:
    """The latest are dropped: it is the first after a fault that counts, and there are few faults."""
    if len(kept) < _KEPT:
        kept.append(fact)


class Survives:
    """From the fault to the end of the run no node crashes, ends or restarts, and all are heard again after it.

    A node that the fault names may be restarted or taken down by it, but must be back at the end.
    """

    params_model: ClassVar[type[Params]] = SurvivesParams
    severity: ClassVar[Outcome] = Outcome.FAIL

    def __init__(
        self, context: CheckContext, *, fault: str, silence: int, nodes: tuple[str | int, ...] | None = None
    ) -> None:
        self._context = context
        self._silence_ns = silence
        self._episodes = Episodes(context, fault)
        specs = context.scenario.nodes if nodes is None else [find_node(context, name) for name in nodes]
        self._lives = {spec.id: _Life() for spec in specs if spec is not None}

    @staticmethod
    def resolve(params: dict[str, Any], context: CheckContext) -> str:
        """What will be judged; ValueError when the scenario has no such fault."""
        return f"life after {check_fault(context, params['fault'])}"

    def observe(self, fact: Fact) -> None:
        if isinstance(fact, Frame):
            life = self._lives.get(fact.sender)
            is_later = life is not None and (life.frame is None or fact.t_ns > life.frame.t_ns)
            if life is not None and is_later and not is_injected(fact):
                life.frame = fact
        elif isinstance(fact, ConsoleLine) and fact.node in self._lives:
            self._lives[fact.node].observe_line(fact)
        elif isinstance(fact, NodeChange) and fact.node in self._lives:
            self._lives[fact.node].observe_change(fact)
        elif isinstance(fact, FaultChange):
            self._episodes.observe(fact)

    def judge(self, now_ns: int, *, final: bool) -> Judgement | None:
        if not final:
            return None
        tally = Tally(self.severity)
        if not self._episodes or not self._lives:
            tally.gap("the scenario schedules no such fault, or has none of these nodes")
        for episode in self._episodes:
            if episode.gap is not None:
                tally.gap(episode.gap)
                continue
            for node, life in self._lives.items():
                self._judge_node(node, life, episode, now_ns, tally)
        heard = {node: life.heard_ns for node, life in self._lives.items()}
        return tally.judgement(f"{listed(self._lives)} survived {listed(self._episodes.by_id)}", {"heard_ns": heard})

    def _judge_node(self, node: str, life: _Life, episode: Episode, now_ns: int, tally: Tally) -> None:
        fault, began_ns = episode.spec.id, episode.injected_ns or 0
        is_target = node in targets_of(self._context, episode.spec)
        crash = _first_since(life.crashes, began_ns)
        boot = None if is_target else _first_since(life.boots, began_ns)
        end = None if is_target else _first_since(life.ends, began_ns)
        if crash is not None:
            tally.fail(f"{node} crashed after {fault}: {crash.text.strip()[:120]}", self._line(crash))
        if end is not None:
            words = Evidence(f"nodes/{node}/stderr.log", note=describe_exit(end))
            tally.fail(f"{node} ended after {fault} ({describe_exit(end)})", words)
        if boot is not None:
            tally.fail(f"{node} restarted after {fault}", self._line(boot))
        if crash is None and end is None:
            self._judge_silence(node, life, episode, now_ns, tally)

    def _judge_silence(self, node: str, life: _Life, episode: Episode, now_ns: int, tally: Tally) -> None:
        fault, over_ns = episode.spec.id, episode.over_ns or 0
        last_ns = now_ns if life.stopped_ns is None else min(now_ns, life.stopped_ns)
        heard_ns, sign = life.heard_ns, self._sign(life)
        silent_ns = last_ns - (over_ns if heard_ns is None else max(heard_ns, over_ns))
        if life.unheard:
            tally.gap(f"{node} said too much: its console was not searched to the end", sign)
        elif silent_ns > self._silence_ns:
            tally.fail(f"{node} was silent for the last {format_seconds(silent_ns)} after {fault}", sign)
        elif heard_ns is None or heard_ns <= over_ns:
            tally.gap(f"{node} was not heard after {fault}, but the run ended soon", sign)
        else:
            tally.support(sign)

    def _sign(self, life: _Life) -> Evidence | None:
        """The last sign of life."""
        line, frame = life.line, life.frame
        if line is not None and (frame is None or line.t_ns >= frame.t_ns):
            return self._line(line)
        return None if frame is None else self._context.capture(frame.link, frame.number, f"{frame.sender} lives")

    def _line(self, line: ConsoleLine) -> Evidence:
        return self._context.console(line.node, line.line, line.text.strip()[:120])


def _first_since(facts: list[Any], began_ns: int) -> Any:
    return next((fact for fact in facts if fact.t_ns > began_ns), None)
