"""Captures as the page shows them: how much of what happened on each link over time, and single frames, decoded."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path

from swarmrig.model.facts import Frame
from swarmrig.model.network import Fate, LinkPlan, NetworkPlan
from swarmrig.net.evidence import frame_of
from swarmrig.net.pcapng import PcapngError, PcapngReader
from swarmrig.reports.page.transits import Transits

BINS = 120
"""Steps in time of all plots, at most."""
_FRAMES = 3000
"""Single frames on the page, at most, but for those that are evidence."""
_CHUNK = 1 << 20
_AROUND = 3
_DOWN = (Fate.DOWN, Fate.BLACKHOLE)
_PLAIN = (Fate.DELIVERED,)


@dataclass(slots=True)
class LinkTraffic:
    """Of one link, by step in time."""

    name: str
    delivered: list[int]
    lost: list[int]
    """Whatever did not arrive, also because the link was down."""
    down: list[int]
    """Of those, the ones that a link met that was cut."""
    total: int = 0
    frames: list[Frame] = field(default_factory=list)
    problem: str = ""


@dataclass(slots=True)
class NodeTraffic:
    """Of one device, at its own port, by step in time."""

    sent: list[int]
    received: list[int]


@dataclass(slots=True)
class Traffic:
    step_ns: int
    links: dict[str, LinkTraffic]
    nodes: dict[str, NodeTraffic]
    transits: Transits
    """How long frames took."""


def read_traffic(
    directory: Path, network: NetworkPlan, end_ns: int, evidence: Mapping[str, Collection[int]]
) -> Traffic:
    """All captures of a run, as far as they can be read. Never raises for what is in them."""
    step_ns = _step(end_ns)
    steps = -(-end_ns // step_ns)
    captured = [link for link in network.links if link.capture]
    devices = {device.name: device.link for device in network.devices}
    traffic = Traffic(
        step_ns,
        {link.name: LinkTraffic(link.name, [0] * steps, [0] * steps, [0] * steps) for link in captured},
        {name: NodeTraffic([0] * steps, [0] * steps) for name in devices},
        Transits(network, step_ns),
    )
    share = max(_FRAMES // max(len(captured), 1), 10)
    picks = {link.name: _Pick(evidence.get(link.name, ()), share) for link in captured}
    sources = [_frames(directory, link, traffic.links[link.name]) for link in captured]
    counter = _Counter(traffic, devices, steps, end_ns)
    for frame in heapq.merge(*sources, key=attrgetter("t_ns")):
        counter.count(frame)
        picks[frame.link].see(frame)
    for name, pick in picks.items():
        traffic.links[name].frames = pick.frames()
    return traffic


class _Counter:
    """Counts every frame where it belongs."""

    def __init__(self, traffic: Traffic, devices: Mapping[str, str], steps: int, end_ns: int) -> None:
        self._traffic = traffic
        self._devices = devices
        self._at = {link: name for name, link in devices.items()}
        self._last = steps - 1
        self._end_ns = end_ns

    def count(self, frame: Frame) -> None:
        link = self._traffic.links[frame.link]
        if frame.t_ns > self._end_ns:  # of a network that an interruption found ahead of what was judged
            link.total += frame.fate is not Fate.OVERRUN
            return
        step = min(frame.t_ns // self._traffic.step_ns, self._last)
        if frame.fate is Fate.OVERRUN:  # the second record of a frame that was counted as delivered
            link.delivered[step] -= 1
            link.lost[step] += 1
            return
        link.total += 1
        (link.delivered if frame.delivered else link.lost)[step] += 1
        if frame.fate in _DOWN:
            link.down[step] += 1
        self._count_ends(frame, step)
        self._traffic.transits.see(frame)

    def _count_ends(self, frame: Frame, step: int) -> None:
        if self._devices.get(frame.sender) == frame.link:
            self._traffic.nodes[frame.sender].sent[step] += 1
        receiver = self._at.get(frame.link)
        if receiver is not None and receiver != frame.sender and frame.delivered:
            self._traffic.nodes[receiver].received[step] += 1


class _Pick:
    """Chooses the frames that are worth a row: evidence with its neighbours, what was not plainly delivered, and of the
    others ever fewer, so that they come from the whole of the run."""

    def __init__(self, evidence: Collection[int], most: int) -> None:
        self._wanted = {near for number in evidence for near in range(number - _AROUND, number + _AROUND + 1)}
        self._kept: dict[int, Frame] = {}
        self._odd: list[Frame] = []
        self._sample: list[Frame] = []
        self._most = max(most // 2, 4)
        self._every = 1
        self._seen = 0

    def see(self, frame: Frame) -> None:
        if frame.number in self._wanted:
            self._kept[frame.number] = frame
        elif frame.fate not in _PLAIN or frame.note:
            if len(self._odd) < self._most:
                self._odd.append(frame)
        else:
            self._seen += 1
            if self._seen % self._every == 0:
                self._sample.append(frame)
                if len(self._sample) >= self._most:
                    self._every *= 2
                    del self._sample[::2]

    def frames(self) -> list[Frame]:
        return sorted((*self._kept.values(), *self._odd, *self._sample), key=attrgetter("number"))


def _frames(directory: Path, link: LinkPlan, into: LinkTraffic) -> Iterator[Frame]:
    """Those of one capture, up to where it is damaged."""
    reader = PcapngReader()
    try:
        with (directory / "net" / f"{link.name}.pcapng").open("rb") as file:
            while chunk := file.read(_CHUNK):
                for packet in reader.feed(chunk):
                    yield frame_of(link, packet)
    except FileNotFoundError:
        into.problem = "there is no capture"
    except OSError as error:
        into.problem = f"the capture cannot be read: {error.strerror}"
    except (PcapngError, LookupError) as error:
        into.problem = f"the capture is damaged: {error}"


def _step(end_ns: int) -> int:
    """A round length of time of which the run has at most `BINS`."""
    size = 1_000_000
    while True:
        for factor in (1, 2, 5):
            if end_ns <= size * factor * BINS:
                return size * factor
        size *= 10
