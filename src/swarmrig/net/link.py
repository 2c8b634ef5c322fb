"""One direction of a link, sans-I/O: a frame that enters leaves later, changed, twice or never.

What happens to a frame depends on nothing but (seed, link, direction), its ordinal, the send times and the
impairment in force. Every frame owns one 32-bit word of randomness per kind of impairment, used or not; the words of
256 frames at a time come from one `random.Random` seeded with (seed, link, direction, block number) as bytes, which
Python hashes with SHA-512; so turning one impairment on does not move the others, and no frame needs a replay of
those before it.
"""

from __future__ import annotations

import itertools
import random
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from heapq import heapify, heappush
from typing import Any

from swarmrig.api.steppable import Timer
from swarmrig.model.network import Fate, Impairment
from swarmrig.net.impairment import check

Receiver = Callable[[int, bytes], object]
"""Takes (t_ns, frame)."""
Record = tuple[int, int, bytes, str | None]
"""A capture entry: (t_ns, interface, frame, comment). No comment: plainly delivered."""

MIN_FRAME = 14
"""An Ethernet header. Shorter frames never enter the network: whoever takes them in from outside drops them."""
MAX_FRAME = 65_535
"""No port of a device takes a longer one."""
INJECTED = "injected"
"""In the comment of a frame that no device sent."""
BLOCK = 256
"""Frames per block of random words."""
_LOSS, _STEP, _BURST, _DUPLICATE, _REORDER, _CORRUPT, _BIT, _JITTER = range(8)
_KINDS = 8
_WORDS = struct.Struct(f"<{BLOCK}I")
_ONE = 1 << 32
_BYTE_NS = 8_000_000_000
"""Nanoseconds that a byte takes at 1 bit/s."""


@dataclass(frozen=True, slots=True)
class Counters:
    """One direction of a link up to now: frames + duplicates = delivered + all drops + under way."""

    frames: int
    byte_count: int
    delivered: int
    duplicates: int
    under_way: int
    drops: dict[str, int]
    """By Fate value; an overrun is one, too."""


class Agenda:
    """What is due, in order of (time, order of arrival): the heap shared by all links of a network."""

    __slots__ = ("_cancelled", "heap", "order")

    def __init__(self) -> None:
        self.heap: list[tuple[int, int, Receiver, Any]] = []
        self.order = itertools.count().__next__
        self._cancelled = 0

    def at(self, t_ns: int, receiver: Receiver, frame: bytes = b"") -> None:
        """Have `receiver(t_ns, frame)` called when that time has come; also used as a timer."""
        heappush(self.heap, (t_ns, self.order(), receiver, frame))

    def push(self, timer: Timer, receiver: Callable[[int, Any], object]) -> None:
        """Have `receiver(t_ns, timer)` called, which makes the timer's call unless that was taken back."""
        heappush(self.heap, (timer.t_ns, self.order(), receiver, timer))

    def cancel(self, timer: Timer) -> None:
        """Take a call back; nothing happens when it was made, or taken back before."""
        if timer.callback is None:
            return
        timer.callback = None
        self._cancelled += 1
        heap = self.heap
        if self._cancelled > 64 + len(heap) // 2:  # they stay until they are due: not too many of them
            heap[:] = [entry for entry in heap if type(entry[3]) is not Timer or entry[3].callback is not None]
            heapify(heap)
            self._cancelled = 0

    def drop_timers(self) -> None:
        """Take back all calls of nodes."""
        self.heap[:] = [entry for entry in self.heap if type(entry[3]) is not Timer]
        heapify(self.heap)


class Direction:
    """One direction of one link.

    `send` is the hot path of the whole network: it branches on facts that `configure` worked out, and everything
    rare is in `_send_special`. Callables that are attributes are read before they are called, because CPython
    specialises the reading of a slot, but not the call of what is in one.
    """

    __slots__ = (
        "_agenda", "_bad", "_base", "_block", "_blocks", "_busy_until", "_count", "_delays", "_deliver",
        "_deliver_at_once", "_draws",
        "_heap", "_hits",
        "_index", "_instant", "_jitter", "_key", "_last_due", "_latency", "_order", "_own_interface",
        "_peer_interface", "_rate", "_record", "_special_always", "_thresholds", "access", "byte_count",
        "drops", "duplicates", "impairment", "overruns",
    )  # fmt: skip

    def __init__(
        self,
        link: str,
        name: str,
        seed: int,
        impairment: Impairment,
        agenda: Agenda,
        *,
        interfaces: tuple[int, int] = (0, 1),
        access: bool = False,
        record: Callable[[Record], object] | None = None,
    ) -> None:
        """`interfaces`: the capture's numbers of the sending and of the receiving end."""
        self._key = f"{seed}\0{link}\0{name}".encode()
        self._agenda = agenda
        self._heap = agenda.heap
        self._order = agenda.order
        self._record = record
        self._own_interface, self._peer_interface = interfaces
        self._deliver: Receiver = self._nobody
        self._deliver_at_once: Receiver = self._nobody
        self.access = access
        self.byte_count = 0
        self.duplicates = 0
        self.overruns = 0
        self.drops: dict[Fate, int] = {}
        self._base = 0
        self._index = 0
        self._block = -1
        self._draws = b""
        self._hits: frozenset[int] = frozenset()
        """The frames of this block that a probability picks, by index."""
        self._delays: list[int | None] = []
        """By index, how long each frame of this block is under way; None: ask `_send_special`."""
        self._bad = False
        self._busy_until = 0
        self._last_due = 0
        self.configure(0, impairment)

    def connect(self, deliver: Receiver, at_once: Receiver | None = None) -> None:
        """Say who takes the frames at the far end; `at_once`, if that is somebody else, while the wire takes no time,
        so that whoever sends is still at work."""
        self._deliver = deliver
        self._deliver_at_once = at_once or deliver

    def hand_over_to(self, agenda: Agenda) -> None:
        """From now on frames wait for their arrival in another agenda, the receiver's own."""
        self._agenda = agenda
        self._heap = agenda.heap
        self._order = agenda.order

    @property
    def receiver(self) -> Receiver:
        """Who takes the frames at the far end; its entries in the agenda are the frames under way."""
        return self._deliver

    def record_with(self, record: Callable[[Record], object] | None) -> Callable[[Record], object] | None:
        """Say who gets the entries for the capture from now on; returns who got them before."""
        before, self._record = self._record, record
        return before

    @property
    def frames(self) -> int:
        """Frames that have entered: the next one's ordinal."""
        return self._base + self._index

    def configure(
        self,
        t_ns: int,
        impairment: Impairment,
        *,
        blocks: Callable[[bytes], bool] | None = None,
        count: Callable[[int], None] | None = None,
    ) -> None:
        """Put an impairment in force for the frames that enter from `t_ns` on; those under way are not touched.

        `blocks` says which frames go into the black hole; `count` is called with the time of each frame that has
        entered, and may configure anew for those that follow.
        """
        check(impairment)
        self._blocks = blocks
        self._count = count
        self.impairment = impairment
        self._latency = impairment.latency_ns
        self._jitter = impairment.jitter_ns
        self._rate = impairment.rate_bps or 0
        chances = (
            (_LOSS, impairment.loss),
            (_DUPLICATE, impairment.duplicate),
            (_REORDER, impairment.reorder),
            (_CORRUPT, impairment.corrupt),
        )
        self._thresholds = tuple((kind, round(chance * _ONE)) for kind, chance in chances if chance)
        self._special_always = bool(self._rate or impairment.burst or not impairment.up or blocks or count)
        self._instant = (
            self.access
            and not (self._latency or self._jitter or self._thresholds or self._special_always)
            and self._last_due <= t_ns
            and self._busy_until <= t_ns
        )
        self._mark()

    def send(self, t_ns: int, frame: bytes) -> None:
        """A frame enters the link. Times never go back."""
        index = self._index
        if index == BLOCK:
            index = self._next_block()
        self._index = index + 1
        self.byte_count += len(frame)
        record = self._record
        if self._instant:
            if record is not None:
                record((t_ns, self._own_interface, frame, None))
            deliver = self._deliver_at_once
            deliver(t_ns, frame)
            return
        deliver = self._deliver
        delay = self._delays[index]
        if delay is None:
            self._send_special(t_ns, frame, index)
            return
        if record is not None:
            record((t_ns, self._own_interface, frame, None))
        due = t_ns + delay
        if due < self._last_due:
            due = self._last_due
        else:
            self._last_due = due
        order = self._order
        heappush(self._heap, (due, order(), deliver, frame))

    def inject(self, t_ns: int, frame: bytes) -> None:
        """A frame that nobody sent enters the link, and is marked in the capture; else as `send`."""
        index = self._index
        if index == BLOCK:
            index = self._next_block()
        self._index = index + 1
        self.byte_count += len(frame)
        if not self._instant:
            self._send_special(t_ns, frame, index, INJECTED)
            return
        if self._record is not None:
            self._record((t_ns, self._own_interface, frame, INJECTED))
        self._deliver_at_once(t_ns, frame)

    def overrun(self, t_ns: int, frame: bytes) -> None:
        """The receiver did not take a frame in time: an unmodelled drop, recorded at its end."""
        self.overruns += 1
        if self._record is not None:
            self._record((t_ns, self._peer_interface, frame, Fate.OVERRUN.value))

    def counters(self, waiting: tuple[Agenda, Mapping[Receiver, int]] | None = None) -> Counters:
        """What has happened so far. `waiting`: how many entries of an agenda each receiver has, for who asks many."""
        drops = {fate.value: count for fate, count in self.drops.items()}
        if self.overruns:
            drops[Fate.OVERRUN.value] = self.overruns
        if waiting is not None and waiting[0] is self._agenda:
            under_way = waiting[1].get(self._deliver, 0)
        else:
            under_way = sum(entry[2] == self._deliver for entry in self._heap)
        return Counters(
            frames=self.frames,
            byte_count=self.byte_count,
            delivered=self.frames + self.duplicates - sum(drops.values()) - under_way,
            duplicates=self.duplicates,
            under_way=under_way,
            drops=drops,
        )

    def _nobody(self, t_ns: int, frame: bytes) -> None:
        """The far end as long as nothing is connected to it."""

    def _next_block(self) -> int:
        self._base += BLOCK
        self._mark()
        return 0

    def _send_special(self, t_ns: int, frame: bytes, index: int, note: str | None = None) -> None:
        """The whole set of impairments, for the frames that need it."""
        hits: set[int] = set()
        if index in self._hits:
            hits.update(kind for kind, threshold in self._thresholds if self._word(kind, index) < threshold)
        fate = self._fate_before_queue(hits, index, frame)
        if fate is None:
            departure = self._depart(t_ns, len(frame))
            if departure is None:
                fate = Fate.QUEUE
        if fate is not None:
            self.drops[fate] = self.drops.get(fate, 0) + 1
            if self._record is not None:
                self._record((t_ns, self._own_interface, frame, f"{fate.value}; {note}" if note else fate.value))
        else:
            assert departure is not None
            self._deliver_special(t_ns, departure, frame, hits, index, note)
        if self._count is not None:
            self._count(t_ns)

    def _deliver_special(
        self, t_ns: int, departure: int, frame: bytes, hits: set[int], index: int, note: str | None
    ) -> None:
        comments, sent = [], frame
        if _CORRUPT in hits and frame:
            bit = self._word(_BIT, index) * len(frame) * 8 >> 32
            sent = _with_bit_flipped(frame, bit)
            comments.append(f"{Fate.CORRUPTED.value}: bit {bit}")
        if _DUPLICATE in hits:
            comments.append(Fate.DUPLICATED.value)
        if _REORDER in hits:
            comments.append(Fate.REORDERED.value)
        if note is not None:
            comments.append(note)
        if self._record is not None:
            self._record((t_ns, self._own_interface, frame, "; ".join(comments) or None))
        if _REORDER in hits:
            due = departure + self._latency // 2
        else:
            due = departure + self._latency
            if self._jitter:
                due += self._jitter * self._word(_JITTER, index) >> 32
            due = self._last_due = max(due, self._last_due)
        self._agenda.at(due, self._deliver, sent)
        if _DUPLICATE in hits:
            self.duplicates += 1
            self._agenda.at(due, self._deliver, sent)

    def _fate_before_queue(self, hits: set[int], index: int, frame: bytes) -> Fate | None:
        """The drop that strikes before the frame would occupy the wire, if any. The burst chain always steps."""
        lost_in_burst = self._step_burst(index)
        if not self.impairment.up:
            return Fate.DOWN
        if self._blocks is not None and self._blocks(frame):
            return Fate.BLACKHOLE
        if _LOSS in hits:
            return Fate.LOSS
        return Fate.BURST if lost_in_burst else None

    def _step_burst(self, index: int) -> bool:
        burst = self.impairment.burst
        if burst is None:
            return False
        change = burst.to_good if self._bad else burst.to_bad
        if self._word(_STEP, index) < round(change * _ONE):
            self._bad = not self._bad
        return self._word(_BURST, index) < round((burst.bad_loss if self._bad else burst.good_loss) * _ONE)

    def _depart(self, t_ns: int, size: int) -> int | None:
        """When the last bit is on the wire; None when the queue has no room (the frame being sent is not in it)."""
        if not self._rate:
            return t_ns
        start = max(t_ns, self._busy_until)
        if (start - t_ns) * self._rate // _BYTE_NS + size > self.impairment.queue_bytes and start > t_ns:
            return None
        self._busy_until = start + size * _BYTE_NS // self._rate
        return self._busy_until

    def _word(self, kind: int, index: int) -> int:
        self._draw()
        at = (kind * BLOCK + index) * 4
        return int.from_bytes(self._draws[at : at + 4], "little")

    def _draw(self) -> None:
        """Have the words of the current block at hand."""
        block = self._base // BLOCK
        if block != self._block:
            bits = random.Random(b"%b\0%d" % (self._key, block)).getrandbits(BLOCK * _KINDS * 32)
            self._draws = bits.to_bytes(BLOCK * _KINDS * 4, "little")
            self._block = block

    def _mark(self) -> None:
        """Work out in advance what the current block's frames have before them."""
        if self._special_always:
            self._delays = [None] * BLOCK
        elif self._jitter:
            jitter, latency = self._jitter, self._latency
            self._delays = [latency + (jitter * word >> 32) for word in self._words(_JITTER)]
        else:
            self._delays = [self._latency] * BLOCK
        hits: set[int] = set()
        for kind, threshold in self._thresholds:
            words = self._words(kind)
            if min(words) < threshold:
                hits.update(index for index, word in enumerate(words) if word < threshold)
        for index in hits:
            self._delays[index] = None
        self._hits = frozenset(hits)

    def _words(self, kind: int) -> tuple[int, ...]:
        """One kind's words for the current block."""
        self._draw()
        return _WORDS.unpack_from(self._draws, kind * BLOCK * 4)


def _with_bit_flipped(frame: bytes, bit: int) -> bytes:
    changed = bytearray(frame)
    changed[bit >> 3] ^= 0x80 >> (bit & 7)
    return bytes(changed)
