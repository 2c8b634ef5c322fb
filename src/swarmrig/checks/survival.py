"""Does everybody live on after a fault?"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any, ClassVar

from pydantic import Field

from swarmrig.api import CheckContext
from swarmrig.checks.episodes import NO_FAULT, Episode, Episodes, HeldBack, check_fault, targets_of
from swarmrig.checks.health import describe_exit
from swarmrig.checks.params import DurationNs, Params
from swarmrig.checks.patterns import is_boot_marker, is_crash
from swarmrig.checks.sightings import find_node, is_injected
from swarmrig.checks.tally import Tally, listed
from swarmrig.model.facts import ConsoleLine, Fact, FaultChange, Frame, NodeChange, NodeState
from swarmrig.model.units import NS_PER_S, format_seconds
from swarmrig.model.verdict import Evidence, Judgement, Outcome

_KEPT = 64
_Sign = tuple[int, int, ConsoleLine | Frame]
"""Time, a number that no other has, and what was heard."""


class SurvivesParams(Params):
    """The fault, and who must survive it."""

    bare: ClassVar[str | None] = "fault"
    fault: str | None = None
    """Its id, or the kind of several. Default: all of the scenario."""
    nodes: tuple[str | int, ...] | None = Field(default=None, min_length=1)
    """Ids or numbers of the nodes that are judged. Default: all."""
    silence: DurationNs = 10 * NS_PER_S
    """How long a node may be silent after the fault, and at the end of the run: no line, and no frame of its own."""


class _Life:
    """What was seen of one node. Of crashes, boots and ends only the first few are kept."""

    def __init__(self, take_sign: Callable[[_Sign], None]) -> None:
        self.crashes: list[ConsoleLine] = []
        self.boots: list[ConsoleLine] = []
        self.ends: list[NodeChange] = []
        self.last: ConsoleLine | Frame | None = None
        self.unheard = False
        self.stopped_ns: int | None = None
        self.signs = HeldBack(take_sign)

    def observe_sign(self, fact: ConsoleLine | Frame, serial: int) -> None:
        if self.last is None or fact.t_ns >= self.last.t_ns:
            self.last = fact
        self.signs.add((fact.t_ns, serial, fact))
        if isinstance(fact, ConsoleLine) and is_crash(fact.text):
            _keep(self.crashes, fact)
        elif isinstance(fact, ConsoleLine) and is_boot_marker(fact.text):
            _keep(self.boots, fact)

    def observe_change(self, change: NodeChange) -> None:
        if change.state is NodeState.EXITED:
            _keep(self.ends, change)
        elif change.state is NodeState.UNHEARD:
            self.unheard = True
        elif change.state is NodeState.STOPPED:
            self.stopped_ns = change.t_ns


def _keep(kept: list[Any], fact: Any) -> None:
    """It is the first after a fault that counts, and there are few faults."""
    if len(kept) < _KEPT:
        kept.append(fact)


class Survives:
    """After a fault no node crashes, ends or restarts, and all are heard again, soon and at the end of the run.

    A node that the fault names may be restarted or taken down by it, but must come back. What happens to a node after
    another fault that names it is that fault's doing.
    """

    params_model: ClassVar[type[Params]] = SurvivesParams
    severity: ClassVar[Outcome] = Outcome.FAIL
    example: ClassVar[str] = "survives: cut"

    def __init__(
        self,
        context: CheckContext,
        *,
        silence: int,
        fault: str | None = None,
        nodes: tuple[str | int, ...] | None = None,
    ) -> None:
        self._context = context
        self._silence_ns = silence
        self._episodes = Episodes(context, fault)
        self._all = Episodes(context)
        self._named = {each.spec.id: targets_of(context, each.spec) for each in self._all}
        specs = context.scenario.nodes if nodes is None else [find_node(context, name) for name in nodes]
        self._lives = {spec.id: _Life(partial(self._take_sign, spec.id)) for spec in specs if spec is not None}
        self._heard: dict[tuple[str, str], ConsoleLine | Frame] = {}
        """By fault and node, the first sign of life after the fault."""
        self._serial = count()

    @staticmethod
    def resolve(params: dict[str, Any], context: CheckContext) -> str:
        """What will be judged; ValueError when the scenario has no such fault."""
        return f"life after {check_fault(context, params['fault'])}"

    def observe(self, fact: Fact) -> None:
        if isinstance(fact, Frame):
            life = self._lives.get(fact.sender)
            if life is not None and not is_injected(fact):
                life.observe_sign(fact, next(self._serial))
        elif isinstance(fact, ConsoleLine) and fact.node in self._lives:
            self._lives[fact.node].observe_sign(fact, next(self._serial))
        elif isinstance(fact, NodeChange) and fact.node in self._lives:
            self._lives[fact.node].observe_change(fact)
        elif isinstance(fact, FaultChange):
            self._episodes.observe(fact)
            self._all.observe(fact)

    def _take_sign(self, node: str, sign: _Sign) -> None:
        for episode in self._episodes:
            if episode.over_ns is not None and sign[0] > episode.over_ns:
                self._heard.setdefault((episode.spec.id, node), sign[2])

    def judge(self, now_ns: int, *, final: bool) -> Judgement | None:
        if not final:
            return None
        tally = Tally(self.severity)
        for life in self._lives.values():
            life.signs.release()
        episodes = self._episodes.present()
        if not episodes:
            tally.gap(NO_FAULT)
        elif not self._lives:
            tally.gap("the scenario has none of these nodes")
        for episode in episodes:
            if episode.gap is not None:
                tally.gap(episode.gap)
                continue
            for node, life in self._lives.items():
                self._judge_node(node, life, episode, now_ns, tally)
        heard = {node: None if life.last is None else life.last.t_ns for node, life in self._lives.items()}
        message = f"{listed(self._lives)} survived {listed(episode.spec.id for episode in episodes)}"
        return tally.judgement(message, {"last_heard_ns": heard})

    def _judge_node(self, node: str, life: _Life, episode: Episode, now_ns: int, tally: Tally) -> None:
        fault, began_ns = episode.spec.id, episode.injected_ns or 0
        until_ns = self._next_fault_ns(node, episode, began_ns)
        is_target = node in self._named[fault]
        crash = _first_between(life.crashes, began_ns, until_ns)
        end = None if is_target else _first_between(life.ends, began_ns, until_ns)
        boot = None if is_target else _first_between(life.boots, began_ns, until_ns)
        if crash is not None:
            tally.fail(f"{node} crashed after {fault}: {crash.text.strip()[:120]}", self._point(crash))
        if end is not None:
            words = Evidence(f"nodes/{node}/stderr.log", note=describe_exit(end))
            tally.fail(f"{node} ended after {fault} ({describe_exit(end)})", words)
        if boot is not None:
            tally.fail(f"{node} restarted after {fault}", self._point(boot))
        if crash is None and end is None:
            stop_ns = now_ns if life.stopped_ns is None else min(now_ns, life.stopped_ns)
            self._judge_silence(node, life, episode, stop_ns, tally)

    def _judge_silence(self, node: str, life: _Life, episode: Episode, stop_ns: int, tally: Tally) -> None:
        fault, over_ns = episode.spec.id, episode.over_ns or 0
        until_ns = self._next_fault_ns(node, episode, over_ns)
        end_ns = stop_ns if until_ns is None else min(until_ns, stop_ns)
        first, last = self._heard.get((fault, node)), life.last
        first_ns = end_ns if first is None else min(first.t_ns, end_ns)
        silent_ns = first_ns - over_ns
        if until_ns is None and first is not None and last is not None:
            silent_ns = max(silent_ns, stop_ns - last.t_ns)
        if life.unheard:
            tally.gap(f"{node} said too much: its console was not searched to the end", self._point(last))
        elif silent_ns > self._silence_ns:
            tally.fail(f"{node} was silent for {format_seconds(silent_ns)} after {fault}", self._point(last))
        elif first is None or (until_ns is not None and first.t_ns >= until_ns):
            tally.gap(
                f"{node} was not heard between {fault} and the end of the run, or the next fault", self._point(last)
            )
        else:
            tally.support(self._point(first))

    def _next_fault_ns(self, node: str, episode: Episode, since_ns: int) -> int | None:
        """When, from then on, another fault does something to the node; None when none does."""
        times = [
            each.injected_ns
            for each in self._all
            if each.spec.id != episode.spec.id and node in self._named[each.spec.id] and each.injected_ns is not None
        ]
        return min((t_ns for t_ns in times if t_ns >= since_ns), default=None)

    def _point(self, sign: ConsoleLine | Frame | None) -> Evidence | None:
        if isinstance(sign, Frame):
            return self._context.capture(sign.link, sign.number, f"{sign.sender} lives")
        return None if sign is None else self._context.console(sign.node, sign.line, sign.text.strip()[:120])


def _first_between(facts: list[Any], began_ns: int, until_ns: int | None) -> Any:
    return next((fact for fact in facts if fact.t_ns > began_ns and (until_ns is None or fact.t_ns < until_ns)), None)
