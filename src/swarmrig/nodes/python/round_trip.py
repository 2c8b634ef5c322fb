"""How long an answer may take before a segment is sent again: RFC 6298."""

from __future__ import annotations

MIN_RTO_NS, FIRST_RTO_NS, MAX_RTO_NS = 200_000_000, 1_000_000_000, 60_000_000_000


class RoundTrip:
    """What a connection has measured of its round trip, by segments that were sent once. Times in ns."""

    def __init__(self) -> None:
        self.rto_ns = FIRST_RTO_NS
        """When, after it was sent, what has not been acknowledged is sent again."""
        self._mean_ns = self._deviation_ns = 0
        self._timed: tuple[int, int] | None = None
        """(position, time): what is being measured."""

    def sent(self, until: int, now_ns: int) -> None:
        """Everything before this position of the stream has been sent, the last of it for the first time."""
        if self._timed is None:
            self._timed = until, now_ns

    def acknowledged(self, until: int, now_ns: int) -> None:
        """The peer has everything before this position."""
        if self._timed is None or until < self._timed[0]:
            return
        took_ns = now_ns - self._timed[1]
        self._timed = None
        if self._mean_ns:
            self._deviation_ns += (abs(took_ns - self._mean_ns) - self._deviation_ns) // 4
            self._mean_ns += (took_ns - self._mean_ns) // 8
        else:
            self._mean_ns, self._deviation_ns = took_ns, took_ns // 2
        self.rto_ns = min(max(self._mean_ns + 4 * self._deviation_ns, MIN_RTO_NS), MAX_RTO_NS)

    def timed_out(self) -> None:
        """Nothing came in time: be more patient."""
        self.rto_ns = min(2 * self.rto_ns, MAX_RTO_NS)
        self.disturbed()

    def disturbed(self) -> None:
        """Something is sent again, and its answer would not tell which of them it answers (Karn's rule)."""
        self._timed = None
