"""Does traffic resume after what stopped it has healed?"""

from __future__ import annotations

from typing import Any, ClassVar

from swarmrig.api import CheckContext
from swarmrig.checks.episodes import Episodes, check_fault
from swarmrig.checks.interruption import KINDS, Interruption, border_of
from swarmrig.checks.params import DurationNs, Params
from swarmrig.checks.tally import Tally, listed
from swarmrig.model.facts import Fact, FaultChange, Frame
from swarmrig.model.units import NS_PER_S, format_duration, format_seconds
from swarmrig.model.verdict import Evidence, Judgement, Outcome


class RecoveryParams(Params):
    bare: ClassVar[str | None] = "within"
    within: DurationNs = 10 * NS_PER_S
    """How long after the healing traffic may take to resume."""
    fault: str | None = None
    """Id or kind of the faults that are judged. Default: every cut, partition and wifi_kill."""


class NetworkPartitionedRecovery:
    """After a cut, partition or wifi_kill has healed, what crossed before crosses again within the bound."""

    params_model: ClassVar[type[Params]] = RecoveryParams
    severity: ClassVar[Outcome] = Outcome.FAIL
    example: ClassVar[str] = "network_partitioned_recovery: 5s"

    def __init__(self, context: CheckContext, *, within: int, fault: str | None = None) -> None:
        self._context = context
        self._within_ns = within
        self._episodes = Episodes(context, fault)
        self._cuts = {
            episode.spec.id: Interruption(episode, border)
            for episode in self._episodes
            if (border := border_of(context, episode.spec)) is not None
        }

    @staticmethod
    def resolve(params: dict[str, Any], context: CheckContext) -> str:
        """What will be judged; ValueError when the scenario has no such fault."""
        return f"recovery from {check_fault(context, params['fault'])}"

    def observe(self, fact: Fact) -> None:
        if isinstance(fact, Frame):
            for cut in self._cuts.values():
                cut.observe(fact)
        elif isinstance(fact, FaultChange):
            self._episodes.observe(fact)

    def judge(self, now_ns: int, *, final: bool) -> Judgement | None:
        for cut in self._cuts.values():
            cut.conclude() if final else cut.settle()
        if not final and not self._decided():
            return None
        tally = Tally(self.severity)
        judged = {name: cut for name, cut in self._cuts.items() if not cut.episode.is_absent}
        if not judged:
            tally.gap(f"there was no {', '.join(KINDS)} in this run, so there is nothing to recover from")
        waits = {name: self._judge_cut(cut, now_ns, tally) for name, cut in judged.items()}
        longest = max((wait for wait in waits.values() if wait is not None), default=0)
        message = f"traffic resumed {format_seconds(longest)} after healing, at most {format_seconds(self._within_ns)}"
        return tally.judgement(message, {"resumed_after_ns": waits})

    def _decided(self) -> bool:
        """Has everything resumed, and can nothing more be cut?"""
        return bool(self._cuts) and all(cut.resumed or cut.episode.skipped for cut in self._cuts.values())

    def _judge_cut(self, cut: Interruption, now_ns: int, tally: Tally) -> int | None:
        """How long it took to resume, None when it did not, or can't be told."""
        gap, healed_ns, place = cut.gap, cut.episode.healed_ns, cut.border.place
        if gap is not None or healed_ns is None:
            tally.gap(f"{cut.episode.spec.id} ({place}): {gap}", *(self._point(frame) for frame in cut.during))
            return None
        before = cut.before[cut.flows[0]].last
        lost = [flow for flow in cut.flows if flow not in cut.after]
        if lost:
            self._judge_lost(cut, lost, now_ns - healed_ns, tally)
            return None
        last = max((cut.after[flow] for flow in cut.flows), key=lambda frame: frame.t_ns)
        wait_ns = max(0, last.t_ns - healed_ns)
        if wait_ns > self._within_ns:
            bound = format_duration(self._within_ns)
            message = f"{place}: traffic resumed {format_seconds(wait_ns)} after healing, later than {bound}"
            tally.fail(message, self._point(last, "resumed"))
        tally.support(self._point(before, "before the fault"), self._point(last, "after healing"))
        return wait_ns

    def _judge_lost(self, cut: Interruption, lost: list[str], waited_ns: int, tally: Tally) -> None:
        message = f"{cut.border.place}: {listed(lost)} did not resume in {format_seconds(waited_ns)} after healing"
        pointer = self._point(cut.before[lost[0]].last, "before the fault")
        if waited_ns < self._within_ns:
            tally.gap(f"{message}, when the run ended", pointer)
        else:
            tally.fail(message, pointer)

    def _point(self, frame: Frame, note: str = "") -> Evidence:
        return self._context.capture(frame.link, frame.number, note)
