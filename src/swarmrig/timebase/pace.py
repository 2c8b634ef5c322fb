"""How run time follows this machine's clock, and what is known of how well it does. No I/O."""

from __future__ import annotations

SLICE_NS = 1_000_000
"""What comes from outside of virtual time gets the time of the next multiple of this."""
LEAD_NS = 10_000_000
"""So far guests may be ahead of the clock, at most: what they do then is ready when its time comes."""
BEHIND_LIMIT_NS = 100_000_000
"""When virtual time is further behind the clock, the clock waits for it."""


def next_slice_ns(clock_ns: int) -> int:
    """The first boundary that is later."""
    return (clock_ns // SLICE_NS + 1) * SLICE_NS


def reaching_ns(edge_ns: int) -> int:
    """The earliest reading of the clock whose next boundary is not before `edge_ns`."""
    return max(0, (edge_ns - 1) // SLICE_NS * SLICE_NS)


class Pace:
    """Run time as this machine's clock has it. It begins when it is told to, and never goes back."""

    def __init__(self) -> None:
        self.origin_ns: int | None = None
        """Reading of CLOCK_MONOTONIC at run time 0, as if the clock had never waited; None before the beginning."""
        self.clock_ns = 0
        self.behind_max_ns = 0
        """The most that virtual time was behind the clock because guests or network took so long."""
        self.slipped_ns = 0
        """How long the clock has waited for them."""
        self.held_ns = 0
        """How long it has waited because time was made to stand, or for emulators to start."""
        self.handed_over = 0
        """Frames that were given to devices of this machine's time."""
        self.late_ns = self.late_max_ns = 0
        """By how much later than their times: the sum, and the most."""

    def begin(self, monotonic_ns: int) -> None:
        """It is run time 0."""
        self.origin_ns = monotonic_ns

    def follow(self, monotonic_ns: int, reached_ns: int, *, held: bool) -> int:
        """The clock's reading now that virtual time has `reached_ns`; `held`: somebody is made to wait there."""
        if self.origin_ns is None:
            return 0
        clock_ns = monotonic_ns - self.origin_ns
        waits_ns = min(clock_ns - reached_ns - BEHIND_LIMIT_NS, clock_ns - self.clock_ns)
        if waits_ns > 0:
            clock_ns -= waits_ns
            self.origin_ns += waits_ns
            if held:
                self.held_ns += waits_ns
            else:
                self.slipped_ns += waits_ns
        if not held:
            self.behind_max_ns = max(self.behind_max_ns, clock_ns - reached_ns)
        self.clock_ns = clock_ns
        return clock_ns

    def hand_over(self, due_ns: int) -> None:
        """A frame that was due then is handed over now."""
        late_ns = self.clock_ns - due_ns
        self.handed_over += 1
        self.late_ns += late_ns
        self.late_max_ns = max(self.late_max_ns, late_ns)

    def statistics(self) -> dict[str, int | None]:
        """Every number by its name."""
        return dict(vars(self))
