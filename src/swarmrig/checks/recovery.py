"""Does traffic resume after a cut link has healed?"""

from __future__ import annotations

from typing import ClassVar

from swarmrig.api import CheckContext
from swarmrig.checks.params import DurationNs, Params
from swarmrig.checks.sightings import INTACT, csi_key, find_node
from swarmrig.checks.tally import MAX_EVIDENCE, Tally, listed
from swarmrig.model.facts import Fact, FaultChange, FaultStage, Frame
from swarmrig.model.network import Fate
from swarmrig.model.scenario import FaultSpec
from swarmrig.model.units import NS_PER_S, format_duration, format_seconds
from swarmrig.model.verdict import Evidence, Judgement, Outcome
from swarmrig.net.topology import link_between

_MAX_PENDING = 20_000
_ANY = "any frame"


class RecoveryParams(Params):
    bare: ClassVar[str | None] = "within"
    within: DurationNs = 10 * NS_PER_S
    """How long after the healing traffic may take to resume."""


class _Cut:
    """One cut link. Traffic is told apart by who sends it and whose CSI it is, so that beacons alone, which
    return by themselves, do not pass for recovered data."""

    def __init__(self, spec: FaultSpec, link: str) -> None:
        self.spec = spec
        self.link = link
        self.cut_ns: int | None = None
        self.healed_ns: int | None = None
        self.before: dict[str, Frame] = {}
        self.during: list[Frame] = []
        self.dropped = 0
        self.after: dict[str, Frame] = {}
        self._pending: list[Frame] = []

    def change(self, fact: FaultChange) -> None:
        if fact.stage is FaultStage.INJECTED and self.cut_ns is None:
            self.cut_ns = fact.t_ns
        elif fact.stage is FaultStage.HEALED and self.healed_ns is None:
            self.healed_ns = fact.t_ns
        self.settle()

    def frame(self, frame: Frame) -> None:
        if frame.t_ns < (self.spec.at_ns or 0):
            self._deliver(self.before, frame)
        elif len(self._pending) < _MAX_PENDING:
            self._pending.append(frame)
            if self.healed_ns is not None or len(self._pending) % 256 == 0:
                self.settle()

    def settle(self) -> None:
        """Assign waiting frames to before, during and after, as far as these times are known."""
        if self.cut_ns is None:
            return
        end_ns = self.healed_ns
        if end_ns is None:
            end_ns = self.cut_ns + (self.spec.for_ns or 0)
        waiting: list[Frame] = []
        for frame in self._pending:
            if frame.t_ns <= self.cut_ns:
                self._deliver(self.before, frame)
            elif frame.t_ns < end_ns:
                self._observe_during(frame)
            elif self.healed_ns is not None:
                self._deliver(self.after, frame)
            else:
                waiting.append(frame)
        self._pending = waiting

    def _observe_during(self, frame: Frame) -> None:
        if frame.fate is Fate.DOWN:
            self.dropped += 1
        elif frame.delivered and len(self.during) < MAX_EVIDENCE:
            self.during.append(frame)

    @staticmethod
    def _deliver(flows: dict[str, Frame], frame: Frame) -> None:
        if frame.delivered and frame.fate in INTACT:
            flows.setdefault(_ANY, frame)
            key = csi_key(frame.data)
            if key is not None:
                flows.setdefault(f"CSI of node {key[0]} from {frame.sender}", frame)

    @property
    def flows(self) -> list[str]:
        """What crossed the link before the cut and must cross it again."""
        data = sorted(flow for flow in self.before if flow != _ANY)
        return data or list(self.before)

    @property
    def resumed(self) -> bool:
        return bool(self.flows) and all(flow in self.after for flow in self.flows)


class NetworkPartitionedRecovery:
    """After a cut link has healed, the traffic that crossed it before crosses it again within the bound."""

    params_model: ClassVar[type[Params]] = RecoveryParams
    severity: ClassVar[Outcome] = Outcome.FAIL

    def __init__(self, context: CheckContext, *, within: int) -> None:
        self._context = context
        self._within_ns = within
        self._cuts: dict[str, _Cut] = {}
        for spec in context.scenario.faults:
            link = _cut_link(context, spec)
            if link is not None:
                self._cuts[spec.id] = _Cut(spec, link)
        self._by_link: dict[str, list[_Cut]] = {}
        for cut in self._cuts.values():
            self._by_link.setdefault(cut.link, []).append(cut)

    def observe(self, fact: Fact) -> None:
        if isinstance(fact, Frame):
            for cut in self._by_link.get(fact.link, ()):
                cut.frame(fact)
        elif isinstance(fact, FaultChange) and fact.fault in self._cuts:
            self._cuts[fact.fault].change(fact)

    def judge(self, now_ns: int, *, final: bool) -> Judgement | None:
        for cut in self._cuts.values():
            cut.settle()
        if not final and not (self._cuts and all(cut.resumed for cut in self._cuts.values())):
            return None
        tally = Tally(self.severity)
        if not self._cuts:
            tally.gap("the scenario schedules no cut, so there is nothing to recover from")
        waits = {name: self._judge_cut(cut, now_ns, tally) for name, cut in self._cuts.items()}
        longest = max((wait for wait in waits.values() if wait is not None), default=0)
        message = f"traffic resumed {format_seconds(longest)} after healing, at most {format_seconds(self._within_ns)}"
        return tally.judgement(message, {"resumed_after_ns": waits})

    def _judge_cut(self, cut: _Cut, now_ns: int, tally: Tally) -> int | None:
        """How long it took to resume, None when it did not, or can't be told."""
        gap = self._missing(cut)
        if gap is not None or cut.healed_ns is None:
            tally.gap(f"{cut.spec.id} ({cut.link}): {gap}", *(self._point(frame) for frame in cut.during))
            return None
        before = cut.before[cut.flows[0]]
        lost = [flow for flow in cut.flows if flow not in cut.after]
        if lost:
            self._judge_lost(cut, lost, now_ns, tally)
            return None
        last = max((cut.after[flow] for flow in cut.flows), key=lambda frame: frame.t_ns)
        wait_ns = max(0, last.t_ns - cut.healed_ns)
        if wait_ns > self._within_ns:
            bound = format_duration(self._within_ns)
            message = f"{cut.link}: traffic resumed {format_seconds(wait_ns)} after healing, later than {bound}"
            tally.fail(message, self._point(last, "resumed"))
        tally.support(self._point(before, "before the cut"), self._point(last, "after healing"))
        return wait_ns

    def _judge_lost(self, cut: _Cut, lost: list[str], now_ns: int, tally: Tally) -> None:
        waited_ns = now_ns - (cut.healed_ns or 0)
        message = f"{cut.link}: {listed(lost)} did not resume in {format_seconds(waited_ns)} after healing"
        pointer = self._point(cut.before[lost[0]], "before the cut")
        if waited_ns < self._within_ns:
            tally.gap(f"{message}, when the run ended", pointer)
        else:
            tally.fail(message, pointer)

    @staticmethod
    def _missing(cut: _Cut) -> str | None:
        """Why this cut proves nothing about recovery."""
        if cut.cut_ns is None:
            return "the link was never cut"
        if not cut.before:
            return "no traffic crossed the link before the cut"
        if cut.during:
            return f"frames were delivered while the link should have been down, first #{cut.during[0].number}"
        if cut.healed_ns is None:
            return "the link never healed"
        return None if cut.dropped else "no frame tried to cross while the link was down"

    def _point(self, frame: Frame, note: str = "") -> Evidence:
        return self._context.capture(frame.link, frame.number, note)


def _cut_link(context: CheckContext, spec: FaultSpec) -> str | None:
    """The link that this fault cuts; None when it cuts none."""
    if spec.kind != "cut":
        return None
    ends = [(find_node(context, name), str(name)) for name in spec.params["between"]]
    a, b = (name if node is None else node.id for node, name in ends)
    try:
        return link_between(context.network, a, b)
    except ValueError:
        return None  # planning refuses such a fault, so no run gets here with it
