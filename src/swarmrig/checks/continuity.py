"""Is anything lost once a fault is over?"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from pydantic import Field

from swarmrig.api import CheckContext
from swarmrig.checks.arrivals import FlowParams
from swarmrig.checks.episodes import NO_FAULT, Episode, Episodes, HeldBack, check_fault
from swarmrig.checks.journeys import HUB, Journeys, Sighting, Trip, targets
from swarmrig.checks.params import DurationNs
from swarmrig.checks.tally import MAX_EVIDENCE, Tally, listed
from swarmrig.checks.thresholds import chosen_senders
from swarmrig.model.facts import Fact, FaultChange, Frame, NodeChange, NodeState
from swarmrig.model.units import NS_PER_S, format_duration
from swarmrig.model.verdict import Evidence, Judgement, Outcome

_IN_FLIGHT_NS = NS_PER_S
"""What was sent so shortly before the next fault, or before the end, may have been under way then."""


class ContinuityParams(FlowParams):
    """After which faults, how soon, and how much may be lost."""

    settle: DurationNs = NS_PER_S
    """How long after the end of a fault frames may still be lost."""
    max_lost: int = Field(default=0, ge=0)
    """Frames of each sender that may be lost after that."""


class _Sent:
    """The frames of one sender that were sent in calm times, as far as they arrived."""

    def __init__(self) -> None:
        self.arrived = 0
        self.last: Trip | None = None


class NoDataLossAfterHeal:
    """Once a fault is over, every frame that is sent arrives.

    Frames are judged that were sent after the fault ended and the time to settle, while no other fault is in force.
    """

    params_model: ClassVar[type[FlowParams]] = ContinuityParams
    severity: ClassVar[Outcome] = Outcome.FAIL
    example: ClassVar[str] = "no_data_loss_after_heal: {settle: 2s}"

    def __init__(
        self,
        context: CheckContext,
        *,
        settle: int,
        max_lost: int,
        fault: str | None = None,
        to: str = HUB,
        node: str | int | None = None,
        nodes: tuple[str | int, ...] | None = None,
    ) -> None:
        self._context = context
        self._settle_ns = settle
        self._max_lost = max_lost
        self._meant = Episodes(context, fault)
        self._all = Episodes(context)
        target = targets(context).get(to)
        self._journeys = Journeys(context, target) if target is not None else None
        self._sent = {sender: _Sent() for sender in chosen_senders(context, to, node, nodes)}
        self._held = {sender: HeldBack(partial(self._take, found)) for sender, found in self._sent.items()}
        self._stopped_ns: int | None = None

    @staticmethod
    def resolve(params: dict[str, Any], context: CheckContext) -> str:
        """What will be judged; ValueError when the scenario has no such fault."""
        return f"what is sent after {check_fault(context, params['fault'])}"

    def observe(self, fact: Fact) -> None:
        if isinstance(fact, Frame):
            trip = self._journeys.observe(fact) if self._journeys is not None else None
            if trip is not None and trip.node in self._held:
                self._held[trip.node].add((trip.sent, trip))
        elif isinstance(fact, FaultChange):
            self._meant.observe(fact)
            self._all.observe(fact)
        elif isinstance(fact, NodeChange) and fact.state is NodeState.STOPPED:
            self._stopped_ns = fact.t_ns if self._stopped_ns is None else min(fact.t_ns, self._stopped_ns)

    def _take(self, sent: _Sent, item: tuple[Sighting, Trip]) -> None:
        if self._is_calm(item[0].t_ns):
            sent.arrived += 1
            sent.last = item[1]

    def _is_calm(self, t_ns: int) -> bool:
        """After one of the faults that are meant, and while no fault at all is in force or about to be."""
        if not any(each.over_ns is not None and t_ns >= each.over_ns + self._settle_ns for each in self._meant):
            return False
        return not any(self._is_in_force(each, t_ns) for each in self._all)

    def _is_in_force(self, each: Episode, t_ns: int) -> bool:
        began_ns, over_ns = each.injected_ns, each.over_ns
        if began_ns is None or t_ns <= began_ns - _IN_FLIGHT_NS:
            return False
        return over_ns is None or t_ns < over_ns + self._settle_ns

    def judge(self, now_ns: int, *, final: bool) -> Judgement | None:
        if not final:
            return None
        for held in self._held.values():
            held.release()
        tally = Tally(self.severity)
        meant = self._meant.present()
        if not meant:
            tally.gap(NO_FAULT)
        elif not self._sent:
            tally.gap("nobody sends frames that could be lost")
        for gap in (each.gap for each in meant if each.gap is not None):
            tally.gap(gap)
        end_ns = min(now_ns, now_ns if self._stopped_ns is None else self._stopped_ns) - _IN_FLIGHT_NS
        lost = {node: self._judge_sender(node, sent, end_ns, tally) for node, sent in self._sent.items()}
        arrived = {node: sent.arrived for node, sent in self._sent.items()}
        most = f"at most {self._max_lost} lost" if self._max_lost else "none lost"
        message = f"{sum(arrived.values())} frames of {listed(arrived)} arrived after the faults, {most}"
        return tally.judgement(message, {"arrived": arrived, "lost": lost})

    def _judge_sender(self, node: str, sent: _Sent, end_ns: int, tally: Tally) -> int:
        assert self._journeys is not None
        journey, link = self._journeys.by_node[node], self._journeys.target.device.link
        own = self._context.network.device(node).link
        missing = [each.sent for each in journey.missing() if each.sent.t_ns < end_ns and self._is_calm(each.sent.t_ns)]
        refused = [each for each in journey.refused if each.t_ns < end_ns and self._is_calm(each.t_ns)]
        lost = len(missing) + len(refused)
        if lost > self._max_lost:
            pointers = [self._context.capture(own, each.number, f"frame of {node}, never arrived") for each in missing]
            pointers += [self._context.capture(link, each.number, f"frame of {node}, not taken") for each in refused]
            since = f"{format_duration(self._settle_ns)} and more after the end of the fault"
            tally.fail(f"{lost} of {lost + sent.arrived} frames of {node} were lost, {since}", *pointers[:MAX_EVIDENCE])
        elif sent.last is None:
            tally.gap(f"no frame of {node} arrived after the fault")
        else:
            tally.support(self._arrival(link, sent.last))
        return lost

    def _arrival(self, link: str, trip: Trip) -> Evidence:
        return self._context.capture(link, trip.arrived.number, f"the last frame of {trip.node} after the fault")
