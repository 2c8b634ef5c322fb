"""What QEMU's `filter-dump` writes: a capture in the classic format, stamped by the guest's clock.

Format: PCAP Capture File Format (draft-ietf-opsawg-pcap): a header of 24 bytes, then records of 16 bytes and the
frame. The magic number tells byte order and the unit of the fraction; QEMU writes its own byte order and µs.
"""

from __future__ import annotations

import struct

NS_PER_S = 1_000_000_000
MAX_FRAME = 262_144
"""No frame comes near; a longer one is a damaged file."""
WINDOW_NS = NS_PER_S
"""How long the best known distance between the two clocks is believed, at least; at most twice as long."""

_HEADER_BYTES, _RECORD_BYTES = 24, 16
_ETHERNET = 1
_UNITS = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1}
"""Magic number -> ns in one unit of a record's fraction."""


class DumpError(ValueError):
    """Not a classic capture of Ethernet frames, or a damaged one."""


class DumpReader:
    """Incremental: feed bytes as they come, get the frames that are complete."""

    def __init__(self) -> None:
        self._rest = b""
        self._record: struct.Struct | None = None
        self._unit_ns = 0

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """(time as stamped in ns, frame) of what `data` completed, in file order. DumpError when it is no dump."""
        data = self._rest + data if self._rest else data
        at = 0
        if self._record is None:
            if len(data) < _HEADER_BYTES:
                self._rest = data
                return []
            self._record = self._read_header(data)
            at = _HEADER_BYTES
        found: list[tuple[int, bytes]] = []
        while len(data) - at >= _RECORD_BYTES:
            seconds, fraction, captured, _ = self._record.unpack_from(data, at)
            if captured > MAX_FRAME:
                raise DumpError(f"a record of {captured} bytes")
            end = at + _RECORD_BYTES + captured
            if end > len(data):
                break
            found.append((seconds * NS_PER_S + fraction * self._unit_ns, data[at + _RECORD_BYTES : end]))
            at = end
        self._rest = data[at:]
        return found

    def _read_header(self, data: bytes) -> struct.Struct:
        for order in "<>":
            magic, *_, link_type = struct.unpack_from(f"{order}IHHiIII", data)
            if magic in _UNITS:
                if link_type != _ETHERNET:
                    raise DumpError(f"frames of link type {link_type}, expected Ethernet (1)")
                self._unit_ns = _UNITS[magic]
                return struct.Struct(f"{order}IIII")
        raise DumpError(f"it begins with {data[:4].hex()}, which is no magic number of a capture")


class GuestTimes:
    """From the guest's clock to run time.

    QEMU stamps frames to the µs, but by its virtual clock, whose zero nobody tells; the rig knows when it read them,
    which is never early, and late by whatever the machine was busy with. Both clocks run at the same rate, so their
    least distance over the last second or two is the true one, plus the shortest time that reading took (measured:
    0.4 ms on a busy machine, where single readings were 24 ms late). A paused guest's clock stands still: for up to
    two seconds after a pause its frames are stamped too early, by no more than the pause. Times never go back, and
    never lie after the reading.
    """

    def __init__(self) -> None:
        self._window = 0
        self._least: int | None = None
        self._former: int | None = None
        self._last_ns = 0

    def run_time(self, stamp_ns: int, read_ns: int) -> int:
        """Run time of a frame that was stamped with `stamp_ns` and read at run time `read_ns`."""
        window = read_ns // WINDOW_NS
        if window != self._window:
            self._former = self._least if window == self._window + 1 else None
            self._window, self._least = window, None
        distance = read_ns - stamp_ns
        self._least = distance if self._least is None else min(self._least, distance)
        best = self._least if self._former is None else min(self._least, self._former)
        self._last_ns = max(self._last_ns, stamp_ns + best)
        return self._last_ns
