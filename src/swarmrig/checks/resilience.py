"""Does the swarm stand what goes wrong? It comes back in time, and keeps most of its work up meanwhile."""

from __future__ import annotations

from collections import deque
from math import ceil
from typing import Any, ClassVar

from pydantic import Field

from swarmrig.api import CheckContext
from swarmrig.checks.arrivals import Arrivals, FlowDuring, FlowParams
from swarmrig.checks.episodes import NO_FAULT, Episode, Episodes, check_fault
from swarmrig.checks.journeys import HUB, Sighting
from swarmrig.checks.params import DurationNs, Share
from swarmrig.checks.tally import Tally, listed
from swarmrig.model.facts import Fact, FaultChange, Frame
from swarmrig.model.units import NS_PER_S, format_duration, format_seconds
from swarmrig.model.verdict import Evidence, Judgement, Outcome

_SETTLED_NS = 2 * NS_PER_S
"""Facts of all sources are known when they are so old."""
_WINDOW_NS = NS_PER_S


class RecoversParams(FlowParams):
    """How soon, and how much of the traffic."""

    bare: ClassVar[str | None] = "within"
    within: DurationNs = 10 * NS_PER_S
    """How long after the end of the fault it may take."""
    share: Share = Field(default=0.8, gt=0)
    """Recovered is the first second in which so much of the traffic from before the fault arrives."""


class _Comeback(FlowDuring):
    """When the frames of one sender come as often again as before the fault."""

    def __init__(self, episode: Episode, share: float) -> None:
        super().__init__(episode)
        self._share = share
        self._recent: deque[Sighting] = deque()
        self._latest_ns: int | None = None
        self.recovered: Sighting | None = None
        self.silence_ns = 0
        """The longest time without a frame, until it was recovered."""

    def take_since(self, sighting: Sighting, began_ns: int) -> None:
        if self.recovered is not None:
            return
        before_ns = self._latest_ns or (self.pace.last.t_ns if self.pace.last else began_ns)
        self.silence_ns = max(self.silence_ns, sighting.t_ns - before_ns)
        self._latest_ns = sighting.t_ns
        over_ns = self.episode.over_ns
        if over_ns is None or sighting.t_ns < over_ns:
            return
        self._recent.append(sighting)
        while self._recent[0].t_ns <= sighting.t_ns - _WINDOW_NS:
            self._recent.popleft()
        if self.hz_before and len(self._recent) >= ceil(self._share * self.hz_before * _WINDOW_NS / NS_PER_S):
            self.recovered = self._recent[0]
            self._recent.clear()


class RecoversWithin:
    """After each fault, every sensor's frames soon arrive as often again as before it.

    The time counts from the healing, and from the injection of what is over in an instant or does not heal.
    """

    params_model: ClassVar[type[FlowParams]] = RecoversParams
    severity: ClassVar[Outcome] = Outcome.FAIL
    example: ClassVar[str] = "recovers_within: {within: 2s, fault: cut}"

    def __init__(
        self,
        context: CheckContext,
        *,
        within: int,
        share: float,
        fault: str | None = None,
        to: str = HUB,
        node: str | int | None = None,
        nodes: tuple[str | int, ...] | None = None,
    ) -> None:
        self._context = context
        self._within_ns = within
        self._episodes = Episodes(context, fault)
        self._arrivals = Arrivals(context, to, node, nodes, self._take)
        self._comebacks = {
            (episode.spec.id, sender): _Comeback(episode, share)
            for episode in self._episodes
            for sender in self._arrivals.senders
        }

    @staticmethod
    def resolve(params: dict[str, Any], context: CheckContext) -> str:
        """What will be judged; ValueError when the scenario has no such fault."""
        return f"recovery from {check_fault(context, params['fault'])}"

    def observe(self, fact: Fact) -> None:
        if isinstance(fact, Frame):
            self._arrivals.observe(fact)
        elif isinstance(fact, FaultChange):
            self._episodes.observe(fact)

    def _take(self, node: str, sighting: Sighting) -> None:
        for episode in self._episodes:
            self._comebacks[episode.spec.id, node].take(sighting)

    def judge(self, now_ns: int, *, final: bool) -> Judgement | None:
        self._arrivals.release(None if final else now_ns - _SETTLED_NS)
        recovered = [
            episode.skipped or (episode.gap is None and self._comebacks[episode.spec.id, node].recovered is not None)
            for episode in self._episodes
            for node in self._arrivals.senders
        ]
        if not final and not (recovered and all(recovered)):
            return None
        tally = Tally(self.severity)
        episodes = self._episodes.present()
        if not episodes:
            tally.gap(NO_FAULT)
        elif not self._arrivals.senders:
            tally.gap("nobody sends frames whose return could be seen")
        measured = {episode.spec.id: self._judge_episode(episode, now_ns, tally) for episode in episodes}
        waits = [times["recovered_after_ns"] for found in measured.values() for times in found.values()]
        longest = max((wait for wait in waits if wait is not None), default=0)
        bound = format_duration(self._within_ns)
        return tally.judgement(f"all recovered in {format_seconds(longest)}, at most {bound}", measured)

    def _judge_episode(self, episode: Episode, now_ns: int, tally: Tally) -> dict[str, dict[str, int | None]]:
        over_ns = episode.over_ns
        if episode.gap is not None or over_ns is None:
            tally.gap(str(episode.gap))
            return {}
        found = {}
        for node in self._arrivals.senders:
            comeback = self._comebacks[episode.spec.id, node]
            wait_ns = None if comeback.recovered is None else max(0, comeback.recovered.t_ns - over_ns)
            self._judge_flow(node, comeback, wait_ns, now_ns - over_ns, tally)
            found[node] = {"recovered_after_ns": wait_ns, "silence_ns": comeback.silence_ns}
        return found

    def _judge_flow(self, node: str, flow: _Comeback, wait_ns: int | None, waited_ns: int, tally: Tally) -> None:
        fault, bound = flow.episode.spec.id, format_duration(self._within_ns)
        before, after = self._point(flow.pace.last, f"before {fault}"), self._point(flow.recovered, f"after {fault}")
        if not flow.hz_before:
            tally.gap(f"{fault}: too few frames of {node} arrived before it to tell a recovery by", before)
        elif wait_ns is not None and wait_ns <= self._within_ns:
            tally.support(before, after)
        elif wait_ns is not None:
            tally.fail(f"{fault}: {node} recovered after {format_seconds(wait_ns)}, later than {bound}", before, after)
        elif waited_ns < self._within_ns:
            tally.gap(f"{fault}: {node} had not recovered when the run ended", before)
        else:
            lost = f"{fault}: {node} did not recover in {format_seconds(waited_ns)}"
            tally.fail(f"{lost}, {flow.hz_before:.1f} Hz before", before)

    def _point(self, sighting: Sighting | None, note: str) -> Evidence | None:
        return None if sighting is None else self._context.capture(self._arrivals.link, sighting.number, note)


class DegradesParams(FlowParams):
    """How much of the traffic must be left."""

    bare: ClassVar[str | None] = "at_least"
    at_least: Share = 0.5
    """Frames a second while the fault lasts, as a share of those before it."""
    window: DurationNs | None = None
    """Measure only so long after the injection: for faults that are over in an instant. Default: until the healing, or
    the end of the run."""


class _Meanwhile(FlowDuring):
    """Frames of one sender while a fault lasts."""

    def __init__(self, episode: Episode, window_ns: int | None) -> None:
        super().__init__(episode)
        self._window_ns = window_ns
        self.count = 0
        self.last: Sighting | None = None

    def take_since(self, sighting: Sighting, began_ns: int) -> None:  # noqa: ARG002
        end_ns = self.end_ns
        if end_ns is None or sighting.t_ns < end_ns:
            self.count += 1
            self.last = sighting

    @property
    def end_ns(self) -> int | None:
        """None: the end of the run."""
        ends = [self.episode.healed_ns] if self.episode.heals else []
        if self._window_ns is not None and self.episode.injected_ns is not None:
            ends.append(self.episode.injected_ns + self._window_ns)
        return min((end for end in ends if end is not None), default=None)


class DegradesGracefully:
    """While a fault lasts, a good part of the frames still arrives: of all sensors together, or of each named node."""

    params_model: ClassVar[type[FlowParams]] = DegradesParams
    severity: ClassVar[Outcome] = Outcome.FAIL
    example: ClassVar[str] = "degrades_gracefully: {at_least: 60%, window: 3s}"

    def __init__(
        self,
        context: CheckContext,
        *,
        at_least: float,
        window: int | None = None,
        fault: str | None = None,
        to: str = HUB,
        node: str | int | None = None,
        nodes: tuple[str | int, ...] | None = None,
    ) -> None:
        self._context = context
        self._at_least = at_least
        self._episodes = Episodes(context, fault)
        self._arrivals = Arrivals(context, to, node, nodes, self._take)
        self._flows = {
            (episode.spec.id, sender): _Meanwhile(episode, window)
            for episode in self._episodes
            for sender in self._arrivals.senders
        }
        senders = self._arrivals.senders
        named = node is not None or nodes is not None
        self._groups = [[sender] for sender in senders] if named else [senders] if senders else []

    @staticmethod
    def resolve(params: dict[str, Any], context: CheckContext) -> str:
        """What will be judged; ValueError when the scenario has no such fault."""
        return f"what is left during {check_fault(context, params['fault'])}"

    def observe(self, fact: Fact) -> None:
        if isinstance(fact, Frame):
            self._arrivals.observe(fact)
        elif isinstance(fact, FaultChange):
            self._episodes.observe(fact)

    def _take(self, node: str, sighting: Sighting) -> None:
        for episode in self._episodes:
            self._flows[episode.spec.id, node].take(sighting)

    def judge(self, now_ns: int, *, final: bool) -> Judgement | None:
        if not final:
            return None
        self._arrivals.release()
        tally = Tally(self.severity)
        episodes = self._episodes.present()
        if not episodes:
            tally.gap(NO_FAULT)
        elif not self._groups:
            tally.gap("nobody sends frames that could be counted")
        shares: dict[str, float | None] = {}
        for episode in episodes:
            if episode.gap is not None:
                tally.gap(episode.gap)
                continue
            for group in self._groups:
                flows = [self._flows[episode.spec.id, node] for node in group]
                name = f"{episode.spec.id} {group[0]}" if len(self._groups) > 1 else episode.spec.id
                shares[name] = self._judge_group(listed(group), flows, now_ns, tally)
        least = min((share for share in shares.values() if share is not None), default=0.0)
        return tally.judgement(f"at least {least:.0%} of the frames still arrived", {"share": shares})

    def _judge_group(self, who: str, flows: list[_Meanwhile], now_ns: int, tally: Tally) -> float | None:
        episode, before_hz = flows[0].episode, sum(flow.hz_before for flow in flows)
        lasted_ns = (flows[0].end_ns or now_ns) - (episode.injected_ns or 0)
        last = max((flow.last or flow.pace.last for flow in flows), key=lambda last: last or Sighting(0, 0))
        pointer = (
            None if last is None else self._context.capture(self._arrivals.link, last.number, "the last meanwhile")
        )
        if not before_hz:
            tally.gap(f"{episode.spec.id}: too few frames of {who} arrived before it to compare with", pointer)
            return None
        if lasted_ns < _WINDOW_NS:
            tally.gap(f"{episode.spec.id} lasted {format_seconds(lasted_ns)}: too short for a rate", pointer)
            return None
        share = sum(flow.count for flow in flows) * NS_PER_S / lasted_ns / before_hz
        if share < self._at_least:
            what = f"{share:.0%} of the frames of {who} arrived, less than {self._at_least:.0%}"
            tally.fail(f"{episode.spec.id}: {what}", pointer)
        else:
            tally.support(pointer)
        return round(share, 4)
