"""Traffic that a fault interrupts: what crossed a border before, what was stopped there, what crosses it again.

Traffic is told apart by who sends it and whose CSI it is, so that beacons alone, which return by themselves, do not
pass for recovered data.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from swarmrig.api import CheckContext
from swarmrig.checks.arrivals import LOOK_BACK_NS
from swarmrig.checks.episodes import Episode
from swarmrig.checks.sightings import INTACT, csi_key, find_node
from swarmrig.checks.tally import MAX_EVIDENCE
from swarmrig.model.facts import Frame
from swarmrig.model.network import Fate
from swarmrig.model.scenario import FaultSpec
from swarmrig.model.units import NS_PER_S
from swarmrig.net.topology import link_between, links_of_site
from swarmrig.wire.ethernet import EtherType
from swarmrig.wire.ipv4 import ip_to_bytes

_MAX_PENDING = 20_000
_ANY = "any frame"
_SRC, _DST = slice(26, 30), slice(30, 34)
_IPV4 = EtherType.IPV4.to_bytes(2, "big")


class Fortune(Enum):
    """What became of a frame at the border."""

    CROSSED = "crossed"
    STOPPED = "stopped"


class _Sight(NamedTuple):
    frame: Frame
    fortune: Fortune
    flows: tuple[str, ...]


class Border:
    """Where traffic is stopped."""

    place: str
    lag_ns = 0
    """How long after the border fell frames may still come in on its far side, because they were on their way."""

    def fortune(self, frame: Frame) -> Fortune | None:
        """None when the frame has nothing to do with this border."""
        raise NotImplementedError

    def source(self, frame: Frame) -> str:
        """Who sends the frame, and where to if that matters."""
        raise NotImplementedError


class LinkBorder(Border):
    """Links that are down."""

    def __init__(self, links: list[str]) -> None:
        self.place = ", ".join(links)
        self._links = frozenset(links)

    def fortune(self, frame: Frame) -> Fortune | None:
        if frame.link not in self._links:
            return None
        if frame.fate is Fate.DOWN:
            return Fortune.STOPPED
        return Fortune.CROSSED if frame.delivered else None

    def source(self, frame: Frame) -> str:
        return f"from {frame.sender}" if len(self._links) == 1 else f"from {frame.sender} on {frame.link}"


class SetBorder(Border):
    """Sets of devices that cannot talk to each other: frames between them are followed by their IPv4 addresses, from
    wherever they are stopped to the receiver's own link."""

    lag_ns = NS_PER_S

    def __init__(self, context: CheckContext, sets: list[list[str]]) -> None:
        self.place = " | ".join(", ".join(members) for members in sets)
        devices = {device.name: device for device in context.network.devices}
        self._owner = {
            ip_to_bytes(devices[name].ip): (index, name, devices[name].link)
            for index, members in enumerate(sets)
            for name in members
            if name in devices and devices[name].ip
        }

    def fortune(self, frame: Frame) -> Fortune | None:
        if frame.data[12:14] != _IPV4:
            return None
        source, target = self._owner.get(frame.data[_SRC]), self._owner.get(frame.data[_DST])
        if source is None or target is None or source[0] == target[0]:
            return None
        if frame.fate in (Fate.DOWN, Fate.BLACKHOLE):
            return Fortune.STOPPED
        arrived = frame.delivered and frame.link == target[2] and frame.sender != target[1]
        return Fortune.CROSSED if arrived else None

    def source(self, frame: Frame) -> str:
        return f"from {self._owner[frame.data[_SRC]][1]} to {self._owner[frame.data[_DST]][1]}"


@dataclass(slots=True)
class _Flow:
    """Traffic of one kind before the fault."""

    last: Frame
    frames: int = 0


class Interruption:
    """One fault and the traffic at its border."""

    def __init__(self, episode: Episode, border: Border) -> None:
        self.episode = episode
        self.border = border
        self.before: dict[str, _Flow] = {}
        self.during: list[Frame] = []
        """Frames that crossed when none should, the first few."""
        self.stopped: Frame | None = None
        """The first frame that was stopped since the fault began."""
        self.after: dict[str, Frame] = {}
        self._pending: deque[_Sight] = deque()

    def observe(self, frame: Frame) -> None:
        fortune = self.border.fortune(frame)
        if fortune is None:
            return
        self._pending.append(_Sight(frame, fortune, self._flows(frame) if fortune is Fortune.CROSSED else ()))
        self.settle()
        if len(self._pending) > _MAX_PENDING:  # told so long ago that the fault would be known
            self._assign(self._pending.popleft(), known=True)

    def settle(self) -> None:
        """Assign waiting frames to before, during and after, as far as these times are known."""
        while self._pending and self._assign(self._pending[0], known=False):
            self._pending.popleft()

    def conclude(self) -> None:
        """No more facts will come."""
        self.settle()
        if self.episode.injected_ns is not None:
            while self._pending:
                self._assign(self._pending.popleft(), known=True)

    @property
    def flows(self) -> list[str]:
        """What crossed the border shortly before the fault and must cross it again. A single frame is no flow of data:
        a switch may have flooded it, or a flipped bit misdirected it."""
        data = {name: flow for name, flow in self.before.items() if name != _ANY and flow.frames > 1}
        if not data:
            return [_ANY] if _ANY in self.before else []
        since_ns = (self.episode.injected_ns or 0) - LOOK_BACK_NS
        return sorted(name for name, flow in data.items() if flow.last.t_ns >= since_ns)

    @property
    def resumed(self) -> bool:
        return bool(self.flows) and all(flow in self.after for flow in self.flows)

    @property
    def gap(self) -> str | None:
        """Why this fault proves nothing about recovery."""
        if self.episode.injected_ns is None:
            return "it was never injected"
        if not self.flows:
            return "no traffic crossed before"
        if self.during:
            return f"frames crossed while none should have, first #{self.during[0].number}"
        if self.episode.healed_ns is None:
            return "it was never healed"
        tried = self.stopped is not None and self.stopped.t_ns < self.episode.healed_ns
        return None if tried else "no frame tried to cross while it lasted"

    def _assign(self, sight: _Sight, *, known: bool) -> bool:
        """False while it is not known where the frame belongs; with `known` what is not known has not happened."""
        t_ns, began_ns, healed_ns = sight.frame.t_ns, self.episode.injected_ns, self.episode.healed_ns
        if began_ns is None and not known and t_ns >= (self.episode.spec.at_ns or 0):
            return False
        if began_ns is None or t_ns <= began_ns:
            self._count(sight)
        elif sight.fortune is Fortune.STOPPED:
            if self.stopped is None or t_ns < self.stopped.t_ns:
                self.stopped = sight.frame
        elif healed_ns is not None and t_ns >= healed_ns:
            for name in sight.flows:
                self.after.setdefault(name, sight.frame)
        elif healed_ns is None and self.episode.heals and not known:
            return False
        elif self.episode.heals and t_ns > began_ns + self.border.lag_ns and len(self.during) < MAX_EVIDENCE:
            self.during.append(sight.frame)
        return True

    def _count(self, sight: _Sight) -> None:
        for name in sight.flows:
            flow = self.before.setdefault(name, _Flow(sight.frame))
            flow.frames += 1
            if sight.frame.t_ns >= flow.last.t_ns:
                flow.last = sight.frame

    def _flows(self, frame: Frame) -> tuple[str, ...]:
        if frame.fate not in INTACT:
            return ()
        key = csi_key(frame.data)
        return (_ANY,) if key is None else (_ANY, f"CSI of node {key[0]} {self.border.source(frame)}")


KINDS = ("cut", "partition", "wifi_kill")
"""Faults that stop traffic altogether at a border that can be told beforehand."""


def border_of(context: CheckContext, spec: FaultSpec) -> Border | None:
    """Where this fault stops all traffic; None when it is of another kind."""
    try:
        match spec.kind:
            case "cut":
                return LinkBorder(
                    [link_between(context.network, *(_id(context, end) for end in spec.params["between"]))]
                )
            case "partition":
                return SetBorder(context, [[_id(context, name) for name in each] for each in spec.params["sets"]])
            case "wifi_kill":
                node = _id(context, spec.params["node"])
                return LinkBorder([link.name for link in links_of_site(context.network, node)])
    except ValueError:
        return None  # planning refuses such a fault, so no run gets here with it
    return None


def _id(context: CheckContext, name: str | int) -> str:
    """The id of a node that is named by id or number; any other name (`lan`, `aggregator`) as it is."""
    node = find_node(context, name)
    return str(name) if node is None else node.id
