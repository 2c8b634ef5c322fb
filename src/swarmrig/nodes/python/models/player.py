"""The model `player`: plays a capture into the swarm, frame by frame, with the times between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import isfinite
from pathlib import Path

from swarmrig.net.link import MAX_FRAME, MIN_FRAME
from swarmrig.net.pcapng import Packet, PcapngError, PcapngReader
from swarmrig.nodes.python.model import Model
from swarmrig.nodes.python.settings import Duration
from swarmrig.wire.ethernet import mac_to_bytes
from swarmrig.wire.filter import compile_filter
from swarmrig.wire.ipv4 import ip_to_bytes
from swarmrig.wire.readdress import address_bytes, readdressed, with_checksums

_CHUNK = 1 << 20


class Player(Model):
    """Sends the frames of a pcapng file as they are, or with other addresses: in virtual time to the nanosecond as far
    apart as they were captured. A time that goes back, as where captures were joined, is no gap.

    Frames of which only the beginning was kept are no frames any more, and are skipped.

    Metrics: `frames`, `bytes` (played so far), `skipped`, `finished` (1 when the last one is through).
    """

    @dataclass(frozen=True)
    class Settings:
        file: Path
        """A capture of Ethernet, pcapng."""
        interface: str = ""
        """Only what entered at this interface of the capture: what a node sent, in captures of this program."""
        filter: str = ""
        """Only frames that match this, in the language of the check `frames`."""
        speed: float = 1.0
        """2: twice as fast."""
        start: Duration = 0
        """When the first frame is sent."""
        rewrite: dict[str, str] = field(default_factory=dict)
        """Other addresses: each MAC or IPv4 address of the capture, and the node (or address) to have instead."""
        checksums: bool = False
        """Finish the checksums of IPv4, UDP and TCP, which a kernel leaves to the network card, or should have."""

    settings: Settings

    @classmethod
    def examine(cls, settings: Settings) -> None:
        if not (isfinite(settings.speed) and settings.speed > 0):
            raise ValueError(f"speed: a number above 0, not {settings.speed}")
        for old, new in settings.rewrite.items():
            wanted = _address(old)
            if wanted is None:
                raise ValueError(f"rewrite: {old!r} is neither a MAC nor an IPv4 address")
            if (found := _address(new)) is not None and len(found) != len(wanted):
                raise ValueError(f"rewrite: {old} and {new} are not of one kind")
        packets = [packet for packet in _packets(settings) if _is_whole(packet)]
        if not packets:
            raise ValueError(f"{settings.file} has no whole frame" + _of_these(settings))

    @classmethod
    def nodes_in(cls, settings: Settings) -> Mapping[str, str]:
        return {f"rewrite.{old}": new for old, new in settings.rewrite.items() if _address(new) is None}

    def on_start(self) -> None:
        told = self.settings
        self.metrics |= {"frames": 0, "bytes": 0, "skipped": 0, "finished": 0}
        self._addresses = {old: self._instead(len(old), new) for old, new in _rewritten(told.rewrite).items()}
        self._speed = Fraction(told.speed).limit_denominator(1_000_000)
        self._start_ns = self.now_ns + told.start
        self._first_ns: int | None = None
        self._packets = _packets(told)
        self.log(f"player: {told.file.name}{_of_these(told)}")
        self._play_next()

    def _play_next(self) -> None:
        for packet in self._packets:
            if _is_whole(packet):
                break
            self.count("skipped")
        else:
            self.metrics["finished"] = 1
            self.log(f"player: {self.metrics['frames']} frames played, {self.metrics['skipped']} skipped")
            return
        if self._first_ns is None:
            self._first_ns = packet.t_ns
        after_ns = int((packet.t_ns - self._first_ns) / self._speed)
        self.call_at(self._start_ns + after_ns, lambda: self._play(packet.data))

    def _play(self, frame: bytes) -> None:
        if self._addresses:
            frame = readdressed(frame, self._addresses)
        self.transmit_frame(with_checksums(frame) if self.settings.checksums else frame)
        self.count("frames")
        self.count("bytes", len(frame))
        self._play_next()

    def _instead(self, size: int, new: str) -> bytes:
        """An address of that size: a node's, unless it is one itself."""
        found = _address(new)
        if found is not None:
            return found
        return mac_to_bytes(self.mac_of(new)) if size == 6 else ip_to_bytes(self.address_of(new))


def _packets(told: Player.Settings) -> Iterator[Packet]:
    """Those that the settings choose, read a little at a time. ValueError when it is no such capture."""
    wanted = compile_filter(told.filter) if told.filter else None
    reader = PcapngReader()
    try:
        for chunk in _chunks(told.file):
            for packet in reader.feed(chunk):
                if told.interface and (packet.inbound or reader.interfaces[packet.interface] != told.interface):
                    continue
                if wanted is None or wanted.matches(packet.data):
                    yield packet
    except OSError as error:
        raise ValueError(f"{told.file}: {error.strerror}") from error
    except PcapngError as error:
        raise ValueError(f"{told.file} is no capture to be played: {error}") from error
    if told.interface and told.interface not in reader.interfaces:
        known = ", ".join(filter(None, reader.interfaces)) or "none with a name"
        raise ValueError(f"{told.file} has no interface {told.interface!r}: there is {known}")


def _chunks(path: Path) -> Iterator[bytes]:
    """A file a little at a time. It is not kept open: the forks of a swarm would share the place in it."""
    at = 0
    while True:
        with path.open("rb") as file:
            file.seek(at)
            chunk = file.read(_CHUNK)
        if not chunk:
            return
        at += len(chunk)
        yield chunk


def _is_whole(packet: Packet) -> bool:
    return not packet.cut and MIN_FRAME <= len(packet.data) <= MAX_FRAME


def _rewritten(rewrite: Mapping[str, str]) -> dict[bytes, str]:
    return {address_bytes(old): new for old, new in rewrite.items()}


def _address(text: str) -> bytes | None:
    try:
        return address_bytes(text)
    except ValueError:
        return None


def _of_these(told: Player.Settings) -> str:
    chosen = [f" of {told.interface}"] if told.interface else []
    return "".join([*chosen, f" that matches {told.filter!r}"] if told.filter else chosen)
