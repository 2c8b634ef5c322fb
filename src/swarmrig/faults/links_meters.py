"""What frames show of an impairment: how often they are hit, and how long they take.

The network's captures say of every frame what became of it; how long it takes is seen where the far end passes it on,
in the capture of the next link. Both are judged by Wald's sequential probability ratio test (1945): frames are weighed
until they tell what the link should do now from what it did before at 100 to 1, or speak against it at a million to 1.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from math import log

from swarmrig.faults.links_place import LinkPlace
from swarmrig.faults.observation import pointer
from swarmrig.model.facts import Frame
from swarmrig.model.network import Fate, Impairment, NetworkPlan
from swarmrig.wire.ethernet import EtherType

SURE = log(100)
"""Enough to believe what is claimed."""
ABSURD = log(1_000_000)
"""Enough to contradict it: chance alone must hardly ever fail a run."""
_CERTAIN = 1e-9
"""Probabilities nearer to 0 or 1 count as this near, so that one frame can speak against them, but not without end."""
_UNDER_WAY = 4096
"""Frames whose arrival is waited for; of more, the earliest are given up."""
_NS_PER_BYTE_AT_1_BPS = 8_000_000_000


class Phase(Enum):
    """When a frame entered the link."""

    BEFORE = auto()
    DURING = auto()
    AFTER = auto()


@dataclass(frozen=True, slots=True)
class Change:
    """What one end's frames meet, without the fault and with it."""

    old: Impairment
    new: Impairment

    @property
    def undone(self) -> Change:
        return Change(self.new, self.old)


class Decision:
    """Frames for and against something, until one decides."""

    def __init__(self) -> None:
        self.shown: Frame | None = None
        self.refuted: Frame | None = None
        self.frames = 0
        self.hits = 0
        self._weight = 0.0

    @property
    def made(self) -> bool:
        return self.shown is not None or self.refuted is not None

    def count(self, frame: Frame, hit: bool, chance_if_so: float, chance_if_not: float) -> None:
        """One more frame; chances are those of a hit."""
        if not self.made:
            self.hits += hit
            so, not_so = (min(max(chance, _CERTAIN), 1 - _CERTAIN) for chance in (chance_if_so, chance_if_not))
            self.weigh(frame, log(so / not_so) if hit else log((1 - so) / (1 - not_so)))

    def weigh(self, frame: Frame, weight: float) -> None:
        """One more frame, by the logarithm of how much more likely it is if so."""
        if self.made:
            return
        self.frames += 1
        self._weight += weight
        if self._weight >= SURE:
            self.shown = frame
        elif self._weight <= -ABSURD:
            self.refuted = frame


class Meter:
    """One thing that a fault changes; `began` and `ended` say what is known."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.began = Decision()
        self.ended = Decision()

    def observe(self, frame: Frame, phase: Phase) -> None:
        raise NotImplementedError

    def told(self, decision: Decision) -> str:
        """What a decided meter has seen."""
        raise NotImplementedError

    def missing(self) -> str:
        """What an undecided meter has not seen."""
        raise NotImplementedError


class ChanceMeter(Meter):
    """How often frames are lost, doubled, overtaken or damaged."""

    def __init__(self, name: str, place: LinkPlace, changes: Mapping[str, Change]) -> None:
        super().__init__(name)
        self._link = place.link
        self._chances = {
            sender: (_chance(name, change.old), _chance(name, change.new)) for sender, change in changes.items()
        }

    def observe(self, frame: Frame, phase: Phase) -> None:
        if frame.link != self._link or frame.sender not in self._chances or phase is Phase.BEFORE:
            return
        hit = _hit(self.name, frame)
        if hit is None:
            return
        old, new = self._chances[frame.sender]
        if phase is Phase.DURING:
            self.began.count(frame, hit, new, old)
        else:
            self.ended.count(frame, hit, old, new)

    def told(self, decision: Decision) -> str:
        frame = decision.shown or decision.refuted
        where = f" (up to {pointer(frame)})" if frame is not None else ""
        return f"{self.name} hit {decision.hits} of {decision.frames} frames{where}"

    def missing(self) -> str:
        return f"too few frames crossed {self._link} to tell that {self.name} has changed"


class TransitMeter(Meter):
    """How long frames take, where somebody passes them on."""

    def __init__(self, place: LinkPlace, changes: Mapping[str, Change], network: NetworkPlan) -> None:
        super().__init__("transit time")
        self._place = place
        forwarders = {switch.name for switch in network.switches} | {router.name for router in network.routers}
        self._changes = {sender: change for sender, change in changes.items() if place.far_end(sender) in forwarders}
        self._under_way: OrderedDict[tuple[str, bytes], tuple[int, Phase]] = OrderedDict()
        self._changed_ns: dict[Phase, int] = {}
        self._times: dict[Decision, int] = {}

    @property
    def visible(self) -> bool:
        """Can anything be seen of it in this network?"""
        return bool(self._changes)

    def begin(self, phase: Phase, t_ns: int) -> None:
        """The phase begins."""
        self._changed_ns[phase] = t_ns

    def observe(self, frame: Frame, phase: Phase) -> None:
        if frame.link == self._place.link:
            if frame.sender in self._changes and phase is not Phase.BEFORE:
                self._enter(frame, phase)
            return
        for sender in self._changes:
            if self._place.far_end(sender) == frame.sender:
                entered = self._under_way.pop((sender, passed_on(frame.data)), None)
                if entered is not None:
                    self._judge(self._changes[sender], frame, *entered)

    def told(self, decision: Decision) -> str:
        frame = decision.shown or decision.refuted
        assert frame is not None
        if frame.fate is Fate.QUEUE:
            return f"{pointer(frame)} found the queue full"
        return f"a frame took {self._times[decision] / 1e6:.6g} ms ({pointer(frame)})"

    def missing(self) -> str:
        if not self.visible:
            return f"nothing shows when frames arrive at the far end of {self._place}"
        return f"no frame that crossed {self._place.link} was passed on in a time that tells"

    def _enter(self, frame: Frame, phase: Phase) -> None:
        change = self._changes[frame.sender]
        if frame.fate is Fate.QUEUE and change.old.rate_bps is None and phase is Phase.DURING:
            self.began.shown = self.began.shown or frame
        elif frame.fate is Fate.DELIVERED and frame.delivered:
            key = frame.sender, passed_on(frame.data)
            if self._under_way.pop(key, None) is None:  # else nobody could tell the two apart
                self._under_way[key] = frame.t_ns, phase
            if len(self._under_way) > _UNDER_WAY:
                self._under_way.popitem(last=False)

    def _judge(self, change: Change, arrived: Frame, entered_ns: int, phase: Phase) -> None:
        """Right after a change, frames may still wait for those before them: times that speak against it do not count
        yet."""
        took_ns, size = arrived.t_ns - entered_ns, len(arrived.data)
        weight = _weight(change, took_ns, size) if phase is Phase.DURING else _weight(change.undone, took_ns, size)
        former = change.old if phase is Phase.DURING else change.new
        if weight < 0 and entered_ns <= self._changed_ns[phase] + _longest_ns(former, size):
            return
        decision = self.began if phase is Phase.DURING else self.ended
        if not decision.made:
            self._times[decision] = took_ns
            decision.weigh(arrived, weight)


def _weight(change: Change, took_ns: int, size: int) -> float:
    """How much more likely the time is with the change than without, as a logarithm. Without a rate, all times from
    the latency to the jitter's end are equally likely; how long frames wait for a rate nobody knows."""
    as_before, as_changed = _fits(change.old, took_ns, size), _fits(change.new, took_ns, size)
    if as_before is not as_changed:
        return 2 * SURE if as_changed else -2 * ABSURD
    if not as_before or change.old.rate_bps or change.new.rate_bps:
        return 0.0
    return log((change.old.jitter_ns + 1) / (change.new.jitter_ns + 1))


def passed_on(frame: bytes) -> bytes:
    """What a forwarder does not change: switches pass on frames as they are, routers give IPv4 packets new addresses of
    their next hop and one life less."""
    if frame[12:14] != EtherType.IPV4.to_bytes(2, "big") or len(frame) < 34:
        return frame
    end = 14 + int.from_bytes(frame[16:18], "big")
    return frame[16:22] + frame[23:24] + frame[26:end]


def _chance(name: str, impairment: Impairment) -> float:
    """Of a hit, per frame. Bursts come together, so frames without one say less than by their share: what counts is
    how seldom a burst begins."""
    if name != "burst":
        return float(getattr(impairment, name))
    burst = impairment.burst
    if burst is None:
        return 0.0
    bad = burst.to_bad / (burst.to_bad + burst.to_good) if burst.to_bad else 0.0
    return burst.good_loss + min(bad, burst.to_bad) * burst.bad_loss * (1 - burst.good_loss)


_NOTES = {"duplicate": Fate.DUPLICATED, "reorder": Fate.REORDERED, "corrupt": Fate.CORRUPTED}


def _hit(name: str, frame: Frame) -> bool | None:
    """Was the frame hit? None when something else struck first."""
    if name in _NOTES:
        fate = _NOTES[name]
        return any(part.startswith(fate) for part in frame.note.split("; ")) if frame.delivered else None
    if name == "loss":
        return frame.fate is Fate.LOSS if frame.fate not in (Fate.DOWN, Fate.BLACKHOLE) else None
    return frame.fate is Fate.BURST if frame.fate not in (Fate.DOWN, Fate.BLACKHOLE, Fate.LOSS) else None


def _fits(impairment: Impairment, took_ns: int, size: int) -> bool:
    return _shortest_ns(impairment, size) <= took_ns <= _longest_ns(impairment, size)


def _shortest_ns(impairment: Impairment, size: int) -> int:
    sending = size * _NS_PER_BYTE_AT_1_BPS // impairment.rate_bps if impairment.rate_bps else 0
    return impairment.latency_ns + sending


def _longest_ns(impairment: Impairment, size: int) -> int:
    waiting = impairment.queue_bytes * _NS_PER_BYTE_AT_1_BPS // impairment.rate_bps if impairment.rate_bps else 0
    return _shortest_ns(impairment, size) + impairment.jitter_ns + waiting
