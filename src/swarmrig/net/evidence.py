"""From growing captures to facts: what entered which link, and what became of it."""

from __future__ import annotations

import copy
from functools import lru_cache
from pathlib import Path

from swarmrig.model.facts import Frame
from swarmrig.model.network import Fate, LinkPlan, NetworkPlan
from swarmrig.net.pcapng import Packet, PcapngError, PcapngReader


class FrameTail:
    """Reads the captures of a run while they grow.

    Every frame that enters a link is one `Frame`, at its sender's end. A frame that its receiver did not take in time
    appears a second time, with fate OVERRUN and not delivered, under the same sender: who counts deliveries takes
    those off, who counts transmissions leaves them out.
    """

    def __init__(self, plan: NetworkPlan, directory: Path) -> None:
        self._tails = [_LinkTail(link, directory / f"{link.name}.pcapng") for link in plan.links if link.capture]

        self._past: list[Frame] = []

    def poll(self) -> list[Frame]:
        """What was written since the last call, in order of time, and within a link in that of the capture."""
        past, self._past = self._past, []
        frames = [frame for tail in self._tails for frame in tail.poll()]
        frames.sort(key=lambda frame: frame.t_ns)  # stable, and a capture's own times never go back
        return past + frames

    def going_on_in(self, directory: Path, past: list[Frame]) -> FrameTail:
        """Another one, for copies of the captures that grow on in `directory`. It tells of what has been read before,
        `past`, without reading it again."""
        other = FrameTail.__new__(FrameTail)
        other._tails = [tail.going_on_in(directory) for tail in self._tails]
        other._past = past
        return other


class _LinkTail:
    def __init__(self, link: LinkPlan, path: Path) -> None:
        self._link = link
        self._path = path
        self._reader = PcapngReader()
        self._offset = 0

    def going_on_in(self, directory: Path) -> _LinkTail:
        other = _LinkTail(self._link, directory / self._path.name)
        other._reader, other._offset = copy.deepcopy(self._reader), self._offset
        return other

    def poll(self) -> list[Frame]:
        try:
            if self._path.stat().st_size <= self._offset:
                return []
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []  # not created yet
        self._offset += len(data)
        try:
            return [frame_of(self._link, packet) for packet in self._reader.feed(data)]
        except PcapngError as error:
            raise PcapngError(f"{self._path}: {error}") from error


def frame_of(link: LinkPlan, packet: Packet) -> Frame:
    """A packet of the link's capture as what was seen of a frame."""
    fate = fate_of(packet.comment)
    from_a = (packet.interface == 0) != packet.inbound
    return Frame(
        t_ns=packet.t_ns,
        link=link.name,
        sender=link.a if from_a else link.b,
        number=packet.number,
        data=packet.data,
        fate=fate,
        delivered=not fate.modelled_drop and fate is not Fate.OVERRUN,
        note=packet.comment or "",
    )


@lru_cache(maxsize=4096)
def fate_of(comment: str | None) -> Fate:
    """The fate that a capture comment starts with; foreign comments say nothing about it."""
    if comment is None:
        return Fate.DELIVERED
    return next((fate for fate in Fate if comment.startswith(fate.value)), Fate.DELIVERED)
