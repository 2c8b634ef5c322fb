"""TCP for Python hosts, sans-I/O: what RFC 9293 asks of a host, as far as test networks need it.

It talks to any TCP: handshakes with the maximum segment size, retransmission by RFC 6298 and after three equal
acknowledgements, slow start and congestion avoidance in their simplest form (RFC 5681), flow control by the peer's
window, orderly ends and resets. Not built: options beside the segment size, urgent data, keep-alives, half-closed
connections (who hears that the other side has ended, ends too, once all it had to send is on its way).

Positions in the streams are counted from 0, the SYN, and do not wrap; only segments know of sequence numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING

from swarmrig.api.steppable import Timer
from swarmrig.nodes.python.round_trip import RoundTrip
from swarmrig.wire.ipv4 import MTU_BYTES, Protocol
from swarmrig.wire.tcp import ACK, FIN, PSH, RST, SYN, Tcp

if TYPE_CHECKING:
    from swarmrig.nodes.python.tcp_stack import TcpStack

MSS = MTU_BYTES - 40
DEFAULT_MSS = 536
"""Of a peer that does not say."""
WINDOW = 65_535
FIRST_FLIGHT = 10
"""Segments that may be under way before the first acknowledgement (RFC 6928)."""
OPENING_TRIES, TRIES = 8, 15
"""How often a segment is sent again before the connection is given up: while it opens, and then (15 is what Linux does
by default, see tcp_retries2 in its ip-sysctl)."""
TIME_WAIT_NS = 2_000_000_000
"""Packets of a rig's network do not live for minutes."""
_AHEAD = 64
"""Segments kept that came before those that belong before them."""
SEQUENCES = 1 << 32
"""Sequence numbers wrap there."""


class State(Enum):
    SYN_SENT = "syn sent"
    SYN_RECEIVED = "syn received"
    ESTABLISHED = "established"
    ENDING = "ending"  # one side has said that it ends, or both have
    TIME_WAIT = "time wait"
    CLOSED = "closed"


class Connection:
    """One end of a connection. Set its callbacks when it is made; they are called at the time of the event.

    `on_connect()`: the handshake is done (of those that are accepted it is, when they are told of). `on_data(data)`: so
    much has arrived, in order. `on_close(reason)`, once: None when the peer has ended in order or we have, else why.
    """

    def __init__(self, stack: TcpStack, port: int, peer: tuple[str, int], state: State, first: int) -> None:
        self.port = port
        self.peer = peer
        self.state = state
        self.on_connect: Callable[[], None] = _nothing
        self.on_data: Callable[[bytes], None] = _nothing_of
        self.on_close: Callable[[str | None], None] = _nothing_of
        self.retransmissions = 0
        self._stack = stack
        self._host = stack.host
        self._first = first
        self._out = bytearray()
        """What has not been acknowledged; its first byte stands at `_una`, but for the SYN."""
        self._una = self._next = self._most = 0
        """Acknowledged; to be sent next; sent at most."""
        self._end: int | None = None
        """Where our FIN stands, once we end."""
        self._peer_window = 0
        self._mss = DEFAULT_MSS
        self._flight = FIRST_FLIGHT * DEFAULT_MSS
        self._threshold = 1 << 30
        self._equal_acks = 0
        self._peer_first = 0
        self._received = 0
        """How far the peer's stream has come."""
        self._peer_ended = False
        self._ahead: dict[int, tuple[bytes, bool]] = {}
        self._must_ack = False
        self._told = False
        self._round_trip = RoundTrip()
        self._tries = 0
        self._due_ns: int | None = None
        self._timer: Timer | None = None

    # What its owner does.

    @property
    def unsent(self) -> int:
        """Bytes that the peer has not acknowledged."""
        return len(self._out)

    def send(self, data: bytes) -> None:
        """Send, as fast as the peer takes it. ConnectionError when the connection has ended or ends."""
        if self._end is not None or self.state in (State.CLOSED, State.TIME_WAIT):
            raise ConnectionError(f"{self._host.name}: the connection to {self.peer[0]}:{self.peer[1]} has ended")
        self._out += data
        self._push()

    def close(self) -> None:
        """End in order: what was sent before arrives before."""
        if self._end is None and self.state is not State.CLOSED:
            self._end = max(self._una, 1) + len(self._out)
            if self.state is State.ESTABLISHED:
                self.state = State.ENDING
            self._push()

    def abort(self) -> None:
        """End at once; the peer is told by a reset."""
        if self.state is not State.CLOSED:
            self._transmit(RST | ACK, self._next)
            self._over("aborted")

    # What the stack does.

    def begin(self) -> None:
        """Send our SYN (with the acknowledgement of the peer's, if we have that)."""
        flags = SYN if self.state is State.SYN_SENT else SYN | ACK
        self._next = max(self._next, 1)
        self._most = max(self._most, 1)
        self._transmit(flags, 0)
        self._arm()

    def accept(self, segment: Tcp) -> None:
        """The peer's SYN."""
        self._hear_first(segment)
        self.begin()

    def take(self, segment: Tcp) -> None:
        """A segment of this connection has arrived."""
        if segment.flags & RST:
            self._reset(segment)
        elif self.state is State.SYN_SENT:
            self._answered(segment)
        elif segment.flags & SYN:
            if self.state is State.SYN_RECEIVED:
                self.begin()
            else:
                self._transmit(ACK, self._next)
        elif segment.flags & ACK:
            self._acknowledged(segment)
            if self.state is not State.CLOSED:
                self._take_data(segment)
                self._push()
            if self._must_ack and self.state is not State.CLOSED:
                self._transmit(ACK, self._next)

    def _reset(self, segment: Tcp) -> None:
        if self.state is State.SYN_SENT:
            if segment.flags & ACK and segment.ack == self._number(1):
                self._over("refused")
        elif 0 <= _difference(segment.seq, self._peer_number()) < WINDOW:
            self._over("reset by the peer")

    def _hear_first(self, segment: Tcp) -> None:
        self._peer_first = segment.seq
        self._received = 1
        self._mss = min(segment.mss or DEFAULT_MSS, MSS)
        self._flight = FIRST_FLIGHT * self._mss
        self._peer_window = segment.window

    def _answered(self, segment: Tcp) -> None:
        """The answer to our SYN."""
        if segment.flags & (SYN | ACK) != SYN | ACK or segment.ack != self._number(1):
            return
        self._hear_first(segment)
        self._una = 1
        self._rest()
        self.state = State.ESTABLISHED if self._end is None else State.ENDING
        self._must_ack = True
        self.on_connect()
        self._push()
        if self._must_ack and self.state is not State.CLOSED:
            self._transmit(ACK, self._next)

    def _acknowledged(self, segment: Tcp) -> None:
        news = _difference(segment.ack, self._number(self._una))
        if 0 < news <= self._most - self._una:
            self._advance(news)
        elif news == 0 and not segment.length and self._most > self._una and segment.window == self._peer_window:
            self._equal_acks += 1
            if self._equal_acks == 3:
                self._repeat_one()
        if not self._peer_window:  # it lives, and did not take what asked for its window
            self._tries = 0
            if segment.window and news <= 0:
                self._next = max(self._una, 1)
        self._peer_window = segment.window

    def _advance(self, news: int) -> None:
        opening = self._una == 0
        self._una += news
        if self._end is not None and self._una > self._end:
            del self._out[:]
        else:
            del self._out[: news - opening]
        self._next = max(self._next, self._una)
        self._equal_acks = self._tries = 0
        self._round_trip.acknowledged(self._una, self._host.now_ns)
        growth = self._mss if self._flight < self._threshold else self._mss * self._mss // self._flight
        self._flight += max(growth, 1)
        if self._most > self._una:
            self._arm()
        else:
            self._rest()
        if opening and self.state is State.SYN_RECEIVED:
            self.state = State.ESTABLISHED
            self._stack.accepted(self)
        self._maybe_over()

    def _take_data(self, segment: Tcp) -> None:
        if not segment.length:
            return
        self._must_ack = True
        at = self._received + _difference(segment.seq, self._peer_number())
        payload, last = segment.payload, bool(segment.flags & FIN)
        if at > self._received:
            if len(self._ahead) < _AHEAD and at - self._received < WINDOW:
                self._ahead[at] = payload, last
            return
        self._pass_on(payload[self._received - at :], last and self._received <= at + len(payload))
        while self._ahead and self.state is not State.CLOSED:
            near = min(self._ahead)
            if near > self._received:
                break
            payload, last = self._ahead.pop(near)
            self._pass_on(payload[self._received - near :], last and self._received <= near + len(payload))

    def _pass_on(self, payload: bytes, last: bool) -> None:
        if self._peer_ended:
            return
        self._received += len(payload)
        if payload:
            self.on_data(payload)
        if last and self.state is not State.CLOSED:
            self._received += 1
            self._peer_ended = True
            self._tell(None)
            self.close()
            self._maybe_over()

    def _maybe_over(self) -> None:
        """Both sides have ended, and know it of each other."""
        ended = self._end is not None and self._una > self._end
        if ended and self._peer_ended and self.state is State.ENDING:
            self.state = State.TIME_WAIT
            self._rest()
            self._host.call_after(TIME_WAIT_NS, self.forget)

    def forget(self) -> None:
        """Be gone, without a word to anybody."""
        self.state = State.CLOSED
        self._stack.remove(self)

    def _over(self, reason: str) -> None:
        self._rest()
        self._out.clear()
        self.forget()
        self._tell(reason)

    def _tell(self, reason: str | None) -> None:
        if not self._told:
            self._told = True
            self.on_close(reason)

    # Sending.

    def _push(self) -> None:
        """Send what the window has room for, and the end."""
        if self.state not in (State.ESTABLISHED, State.ENDING):
            return
        stop = max(self._una, 1) + len(self._out)
        limit = self._una + min(self._flight, self._peer_window)
        while self._next < min(stop, limit):
            start = self._next - self._una
            data = bytes(self._out[start : start + min(self._mss, limit - self._next)])
            self._sent(len(data), PSH | ACK, data)
        if self._end == self._next == stop:
            self._sent(1, FIN | ACK)
        if self._next < stop and self._most == self._una:
            self._arm()  # the window is closed: ask from time to time

    def _sent(self, length: int, flags: int, data: bytes = b"") -> None:
        at = self._next
        self._next += length
        if self._next > self._most:
            self._most = self._next
            self._round_trip.sent(self._next, self._host.now_ns)
        else:
            self.retransmissions += 1
        self._transmit(flags, at, data)
        if self._due_ns is None:
            self._arm()

    def _transmit(self, flags: int, at: int, data: bytes = b"") -> None:
        self._must_ack = False
        ack = self._peer_number() if flags & ACK else 0
        mss = MSS if flags & SYN else None
        segment = Tcp(self.port, self.peer[1], self._number(at), ack, flags, WINDOW, data, mss)
        self._host.send_packet(self.peer[0], Protocol.TCP, segment.pack(self._host.ip, self.peer[0]))

    def _number(self, at: int) -> int:
        return (self._first + at) % SEQUENCES

    def _peer_number(self) -> int:
        return (self._peer_first + self._received) % SEQUENCES

    # Time.

    def _arm(self) -> None:
        self._due_ns = self._host.now_ns + self._round_trip.rto_ns
        if self._timer is None:
            self._timer = self._host.call_at(self._due_ns, self._on_timer)

    def _rest(self) -> None:
        self._due_ns = None

    def _on_timer(self) -> None:
        """One timer is pending at most, and looks for itself whether it came too early."""
        self._timer = None
        if self._due_ns is None:
            return
        if self._host.now_ns < self._due_ns:
            self._timer = self._host.call_at(self._due_ns, self._on_timer)
            return
        self._tries += 1
        opening = self.state in (State.SYN_SENT, State.SYN_RECEIVED)
        if self._tries > (OPENING_TRIES if opening else TRIES):
            self._over("no answer")
            return
        self._round_trip.timed_out()
        if opening:
            self.retransmissions += 1
            self.begin()
        elif self._most == self._una:
            self._probe()
        else:
            self._threshold = max((self._most - self._una) // 2, 2 * self._mss)
            self._flight = self._mss
            self._next = max(self._una, 1)
            self._due_ns = None
            self._push_at_least_one()

    def _push_at_least_one(self) -> None:
        before = self._next
        self._push()
        if self._next == before:
            self._probe()

    def _probe(self) -> None:
        """One byte into a closed window, whose owner then says how it is."""
        at = max(self._una, 1)
        if self._out:
            self._most = max(self._most, at + 1)
            self._next = max(self._next, at + 1)
            self._transmit(PSH | ACK, at, bytes(self._out[:1]))
            self._arm()

    def _repeat_one(self) -> None:
        """Three equal acknowledgements: what follows them is lost (RFC 5681, fast retransmit)."""
        self._threshold = self._flight = max((self._most - self._una) // 2, 2 * self._mss)
        self._round_trip.disturbed()
        self.retransmissions += 1
        if self._out:
            self._transmit(PSH | ACK, self._una, bytes(self._out[: self._mss]))
        elif self._end is not None:
            self._transmit(FIN | ACK, self._end)


def _difference(one: int, other: int) -> int:
    """How far a sequence number is ahead of another (negative: behind)."""
    return (one - other + (SEQUENCES >> 1)) % SEQUENCES - (SEQUENCES >> 1)


def _nothing() -> None:
    """Nobody listens."""


def _nothing_of(_: object) -> None:
    """Nobody listens."""
