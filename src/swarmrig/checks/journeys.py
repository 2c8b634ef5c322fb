"""CSI frames from where they are sent to where they should arrive: how long each was under way, and which never came.

Both ends are read from captures: the frame enters the link at its sender's own port, and later the link at the
receiver's port. So the delay of that last link is not in the latency, unless it is an access wire, which has none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from swarmrig.api import CheckContext
from swarmrig.checks.percentiles import Percentiles
from swarmrig.checks.sightings import INTACT, OwnFrames, UniqueSequences, csi_key
from swarmrig.model.facts import Frame
from swarmrig.model.network import DevicePlan, Fate
from swarmrig.model.scenario import NetworkMode, NodeSpec
from swarmrig.net.topology import AGGREGATOR
from swarmrig.wire.ipv4 import ip_to_bytes

HUB = "hub"
TARGETS = (HUB, AGGREGATOR)
"""Where frames go: to the coordinator (or gateway), which forwards them to the aggregator."""

_KEPT = 4096
"""Frames of one sender whose other sighting is still awaited."""
_REFUSED = 64
_DST = slice(30, 34)
"""The IPv4 destination, in a frame that is known to carry one."""


class Sighting(NamedTuple):
    """A frame on a link."""

    t_ns: int
    number: int
    """Its packet number in the capture."""


class Trip(NamedTuple):
    """A frame that arrived."""

    node: str
    seq: int
    sent: Sighting
    arrived: Sighting

    @property
    def latency_ns(self) -> int:
        return self.arrived.t_ns - self.sent.t_ns


class Lost(NamedTuple):
    """A frame that did not arrive, up to now."""

    seq: int
    sent: Sighting


class Journey:
    """The frames of one sender to one target. Captures of different links are not read in step, so either sighting
    may come first."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._sent = UniqueSequences()
        self._under_way: dict[int, list[Sighting]] = {}
        self._early: dict[int, list[Sighting]] = {}
        self.sent = 0
        self.received = 0
        self.latency = Percentiles()
        self.slowest: Trip | None = None
        self.latest: Sighting | None = None
        """The last frame sent, by time."""
        self.refused: deque[Sighting] = deque(maxlen=_REFUSED)
        """Arrivals that the receiver did not take, the last few."""
        self.forgotten: Lost | None = None
        """The last of those that were lost so long ago that they are only counted."""

    @property
    def lost(self) -> int:
        return self.sent - self.received

    def missing(self) -> Iterator[Lost]:
        """What was sent and has not arrived."""
        if self.forgotten is not None:
            yield self.forgotten
        for seq, sightings in self._under_way.items():
            yield from (Lost(seq, sighting) for sighting in sightings)

    def depart(self, seq: int, sighting: Sighting) -> Trip | None:
        """The frame was sent; the trip when its arrival is known already."""
        if not self._sent.is_new(seq):
            return None
        self.sent += 1
        if self.latest is None or sighting > self.latest:
            self.latest = sighting
        arrived = _take(self._early, seq, [each for each in self._early.get(seq, ()) if each.t_ns >= sighting.t_ns])
        if arrived is not None:
            return self._complete(Trip(self._node, seq, sighting, arrived))
        _keep(self._under_way, seq, sighting)
        if len(self._under_way) > _KEPT:
            oldest = next(iter(self._under_way))
            self.forgotten = Lost(oldest, self._under_way.pop(oldest)[-1])
        return None

    def arrive(self, seq: int, sighting: Sighting) -> Trip | None:
        """A frame came in; the trip when it is the first copy of one that is known to have been sent."""
        candidates = [each for each in self._under_way.get(seq, ()) if each.t_ns <= sighting.t_ns]
        sent = _take(self._under_way, seq, candidates[-1:])
        if sent is not None:
            return self._complete(Trip(self._node, seq, sent, sighting))
        _keep(self._early, seq, sighting)
        if len(self._early) > _KEPT:
            del self._early[next(iter(self._early))]
        return None

    def refuse(self, sighting: Sighting) -> None:
        """The receiver did not take a frame that had arrived."""
        self.received -= 1
        self.refused.append(sighting)

    def _complete(self, trip: Trip) -> Trip:
        self.received += 1
        self.latency.add(trip.latency_ns)
        if self.slowest is None or _slowness(trip) > _slowness(self.slowest):
            self.slowest = trip
        return trip


def _slowness(trip: Trip) -> tuple[int, int]:
    """Of equally slow trips the first one counts, in whatever order they became known."""
    return trip.latency_ns, -trip.sent.t_ns


def _keep(waiting: dict[int, list[Sighting]], seq: int, sighting: Sighting) -> None:
    """A sender that restarted uses its numbers again: remember the last few of each."""
    kept = waiting.setdefault(seq, [])
    kept.append(sighting)
    del kept[:-4]


def _take(waiting: dict[int, list[Sighting]], seq: int, candidates: list[Sighting]) -> Sighting | None:
    if not candidates:
        return None
    waiting[seq].remove(candidates[0])
    if not waiting[seq]:
        del waiting[seq]
    return candidates[0]


@dataclass(frozen=True, slots=True)
class Target:
    """Where frames should arrive."""

    name: str
    """`hub` or `aggregator`."""
    device: DevicePlan
    ip: bytes


def targets(context: CheckContext) -> dict[str, Target]:
    """The targets that the network of this run has, the hub first."""
    devices = {device.name: device for device in context.network.devices}
    hub = context.scenario.coordinator
    named = {AGGREGATOR: devices.get(AGGREGATOR)}
    if hub is not None and context.scenario.network.mode is not NetworkMode.USER:  # there nodes can't reach each other
        named = {HUB: devices.get(hub.id), **named}
    captured = {link.name for link in context.network.links if link.capture}
    return {
        name: Target(name, device, ip_to_bytes(device.ip) if device.ip else b"")
        for name, device in named.items()
        if device is not None and device.link in captured
    }


def senders(context: CheckContext, target: Target) -> tuple[NodeSpec, ...]:
    """The nodes whose frames should arrive there: all that send, but the target itself."""
    return tuple(node for node in context.scenario.nodes if node.id != target.device.name)


class Journeys:
    """The frames of all senders to one target."""

    def __init__(self, context: CheckContext, target: Target) -> None:
        nodes = senders(context, target)
        self.target = target
        self.by_node = {node.id: Journey(node.id) for node in nodes}
        self._own = OwnFrames(nodes)
        self._ids: Mapping[int, str] = {node.number: node.id for node in nodes}

    def observe(self, frame: Frame) -> Trip | None:
        """The trip that is complete with this frame, if one is."""
        if frame.link == self.target.device.link and frame.sender != self.target.device.name:
            return self._arrival(frame)
        sequence = self._own.sequence(frame)
        if sequence is None:
            return None
        return self.by_node[frame.sender].depart(sequence, Sighting(frame.t_ns, frame.number))

    def _arrival(self, frame: Frame) -> Trip | None:
        """On the target's own link: a frame that is meant for it, not one that a switch floods."""
        key = csi_key(frame.data)
        node = self._ids.get(key[0]) if key is not None else None
        if key is None or node is None or (self.target.ip and frame.data[_DST] != self.target.ip):
            return None
        if frame.fate is Fate.OVERRUN:
            self.by_node[node].refuse(Sighting(frame.t_ns, frame.number))
        elif frame.delivered and frame.fate in INTACT:
            return self.by_node[node].arrive(key[1], Sighting(frame.t_ns, frame.number))
        return None
