"""When the frames of each sender arrived, in the order of time, told late enough that faults of that time are known."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from swarmrig.api import CheckContext
from swarmrig.checks.episodes import Episode, HeldBack
from swarmrig.checks.journeys import Journeys, Sighting, targets
from swarmrig.checks.params import Params
from swarmrig.checks.thresholds import chosen_senders
from swarmrig.model.facts import Frame
from swarmrig.model.units import NS_PER_S

LOOK_BACK_NS = 5 * NS_PER_S
"""How far before a fault its traffic is measured."""
_LEAST_NS = NS_PER_S
"""Traffic that was there for less says nothing about its rate."""
_MOST = 4096


class FlowParams(Params):
    """Which faults, and whose frames to where."""

    bare: ClassVar[str | None] = "fault"
    fault: str | None = None
    """Id or kind of the faults that are judged. Default: all of the scenario."""
    to: Literal["hub", "aggregator"] = "hub"
    """Where frames should arrive."""
    node: str | int | None = None
    """Id or number of the sender; without `node` and `nodes`: every sensor."""
    nodes: tuple[str | int, ...] | None = Field(default=None, min_length=1)
    """Several senders, by id or number."""

    @model_validator(mode="after")
    def _one_or_several(self) -> FlowParams:
        if self.node is not None and self.nodes is not None:
            raise ValueError("give either node or nodes")
        return self


class Arrivals:
    """First copies of CSI frames at the target, by sender; `take(node, sighting)` gets each in order of its arrival."""

    def __init__(
        self,
        context: CheckContext,
        to: str,
        node: str | int | None,
        nodes: Sequence[str | int] | None,
        take: Callable[[str, Sighting], None],
    ) -> None:
        target = targets(context).get(to)
        self.senders = chosen_senders(context, to, node, tuple(nodes) if nodes is not None else None)
        self._held = {sender: HeldBack(partial(take, sender)) for sender in self.senders}
        self._journeys = Journeys(context, target) if target is not None else None
        self.link = target.device.link if target is not None else ""

    def observe(self, frame: Frame) -> None:
        trip = self._journeys.observe(frame) if self._journeys is not None else None
        if trip is not None and trip.node in self._held:
            self._held[trip.node].add(trip.arrived)

    def release(self, until_ns: int | None = None) -> None:
        """Tell what is known up to that time; without one, everything."""
        for held in self._held.values():
            held.release(None if until_ns is None else lambda sighting: sighting.t_ns <= until_ns)


class Pace:
    """How often frames of one sender came in the seconds before a fault."""

    def __init__(self) -> None:
        self._first_ns: int | None = None
        self._recent: deque[Sighting] = deque(maxlen=_MOST)

    def add(self, sighting: Sighting) -> None:
        """Frames come in order of time."""
        if self._first_ns is None:
            self._first_ns = sighting.t_ns
        self._recent.append(sighting)
        while self._recent[0].t_ns <= sighting.t_ns - LOOK_BACK_NS:
            self._recent.popleft()

    def hz(self, until_ns: int) -> float:
        """Frames a second up to then; 0 when they came for less than a second."""
        if self._first_ns is None:
            return 0.0
        since_ns = max(self._first_ns, until_ns - LOOK_BACK_NS)
        if len(self._recent) == _MOST:  # more than can be remembered came in that time
            since_ns = max(since_ns, self._recent[0].t_ns)
        count = sum(since_ns <= sighting.t_ns < until_ns for sighting in self._recent)
        return count * NS_PER_S / (until_ns - since_ns) if until_ns - since_ns >= _LEAST_NS else 0.0

    @property
    def last(self) -> Sighting | None:
        return self._recent[-1] if self._recent else None


class FlowDuring:
    """One sender's frames before and after the beginning of one fault; a subclass looks at those after."""

    def __init__(self, episode: Episode) -> None:
        self.episode = episode
        self.pace = Pace()
        self._hz_before: float | None = None

    def take(self, sighting: Sighting) -> None:
        began_ns = self.episode.injected_ns
        if began_ns is None or sighting.t_ns < began_ns:
            self.pace.add(sighting)
        else:
            self._hz_before = self.hz_before
            self.take_since(sighting, began_ns)

    def take_since(self, sighting: Sighting, began_ns: int) -> None:
        """A frame that arrived since the fault began."""
        raise NotImplementedError

    @property
    def hz_before(self) -> float:
        """Frames a second in the last seconds before the fault."""
        return self.pace.hz(self.episode.injected_ns or 0) if self._hz_before is None else self._hz_before
