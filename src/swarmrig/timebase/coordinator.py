"""The virtual-time coordinator, sans-I/O: who may run how far, and what everybody is told on the way.

A conservative parallel simulation (Chandy and Misra 1979, Bryant 1977): a guest may run to a horizon once nothing that
anybody else can still do could reach it earlier. Guests run in parallel and report in any order; what they see does
not depend on that order, because

- a guest is told inputs strictly before its horizon, and only when all of those are known,
- transmissions enter the network in order of (time, guest, sequence), and only when nobody can transmit earlier,
- at one instant, what the network does comes before what guests transmit.

Times are integer nanoseconds. The driver moves reports in (`report`) and grants out (`settle`, then `grants`).

What somebody waits to *see* (see `Coordinator.watching`) becomes known only when a guest reports, so nobody may be far
ahead of it by then. A horizon is at most REACTION_NS after the earliest time at which anything can still happen; what
is seen later happened at that time or later; so a stop REACTION_NS after it is in nobody's past.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush
from operator import attrgetter
from typing import NamedTuple

from swarmrig.model.scenario import REACTION_NS
from swarmrig.net.engine import Engine
from swarmrig.net.link import Agenda
from swarmrig.timebase.distance import Distances
from swarmrig.timebase.stepping import DEFAULT_QUANTUM_NS

NEVER = 1 << 62
FOREVER = NEVER + 1
AT_ONCE = 20_000
"""How much a network without guests does before others are heard: some hundredths of a second of work."""


class Grant(NamedTuple):
    """Permission for a guest to live up to `horizon_ns`, with all its inputs before that, in order."""

    guest: int
    horizon_ns: int
    inputs: list[tuple[int, bytes]]


class CausalityError(AssertionError):
    """An input would have come into a guest's past: the result can't be trusted, so the run must not go on."""


class _Guest:
    """What is known of one guest. `base_ns` is the earliest time at which it can act."""

    __slots__ = ("base_ns", "device", "gone", "horizon_ns", "inbox", "index", "now_ns", "running", "sequence")

    def __init__(self, index: int, device: str, inbox: Agenda) -> None:
        self.index = index
        self.device = device
        self.inbox = inbox
        self.now_ns = 0
        self.base_ns = 0
        self.horizon_ns = 0
        self.running = True
        self.sequence = 0
        self.gone = False


_NOW: Callable[[_Guest], int] = attrgetter("now_ns")
_BASE: Callable[[_Guest], int] = attrgetter("base_ns")
_RUNNING: Callable[[_Guest], bool] = attrgetter("running")


class Coordinator:
    """Guests start out running towards their first report."""

    def __init__(
        self,
        engine: Engine,
        inboxes: Sequence[tuple[str, Agenda]],
        distances: Distances,
        end_ns: int,
        *,
        grain_ns: int = 1,
        quantum_ns: int = DEFAULT_QUANTUM_NS,
        reaction_ns: int = REACTION_NS,
        at_once: int = 1 << 30,
    ) -> None:
        """`inboxes`: device and the agenda that collects its arrivals (see Engine), one per guest. A guest stops at the
        first instruction at or after its horizon; `grain_ns` is the longest that an instruction takes. Up to `at_once`
        guests run at a time."""
        self._engine = engine
        self._guests = [_Guest(index, *inbox) for index, inbox in enumerate(inboxes)]
        self._distances = distances
        self._end_ns = end_ns
        self._grain_ns = grain_ns
        self._quantum_ns = quantum_ns
        self._reaction_ns = reaction_ns
        self._at_once = at_once
        self._barrier_ns = end_ns
        self._edge_ns = self._limit_ns = NEVER
        """From the first on, somebody outside may still send; nobody passes the second (see PacedCoordinator)."""
        self.watching = False
        """Somebody waits to see something: whenever that is, REACTION_NS later nobody may have passed."""
        self.rounds = self.at_work = 0
        """How often guests were let go, and the sum of how many had something to do then."""
        self._sends: list[tuple[int, int, int, str, bytes]] = []

    @property
    def floor_ns(self) -> int:
        """Nothing earlier than this can happen any more."""
        return min(self.next_ns, self._edge_ns)

    @property
    def next_ns(self) -> int:
        """When the next thing happens, or could, that is not done from outside."""
        network = self._engine.next_ns()
        sends = self._sends[0][0] if self._sends else NEVER
        guests = min((guest.base_ns for guest in self._guests), default=NEVER)
        return min(guests, NEVER if network is None else network, sends)

    @property
    def front_ns(self) -> int:
        """How far anybody may have got: a barrier there, or later, is in nobody's past."""
        return max((guest.horizon_ns for guest in self._guests if not guest.gone), default=0)

    @property
    def barrier_ns(self) -> int:
        return self._barrier_ns

    @property
    def standing(self) -> bool:
        """Has everybody reached the barrier? Some may still be answering a question (see `ask`)."""
        return min(map(_NOW, self._guests), default=NEVER) >= self._barrier_ns and not self.busy

    @property
    def busy(self) -> bool:
        """Has the network, with no guest to wait for, more to do before the barrier? Then it is to `settle` again."""
        due = self._engine.next_ns()
        return due is not None and due < self._barrier_ns and self._alone

    @property
    def arrived(self) -> bool:
        """Has everybody reached the barrier, with nothing left before it?"""
        return self.standing and not any(guest.running for guest in self._guests)

    @property
    def stuck(self) -> bool:
        """Does nobody run, though not everybody has arrived? With nothing granted, time would stand for ever."""
        return not (self.standing or self.busy or any(guest.running for guest in self._guests))

    def set_barrier(self, t_ns: int) -> None:
        """Nobody passes this time until it is moved: where something is changed from outside, and the end."""
        self._barrier_ns = min(t_ns, self._end_ns)

    def set_end(self, end_ns: int, quantum_ns: int) -> None:
        """Time ends there."""
        self._end_ns, self._quantum_ns = end_ns, quantum_ns

    def set_distances(self, distances: Distances) -> None:
        """The links have changed; only while `standing`, when nobody lives by the former ones."""
        self._distances = distances

    def now_of(self, index: int) -> int:
        """Where a guest stands that is not running."""
        return self._guests[index].now_ns

    def is_running(self, index: int) -> bool:
        """Is a report of the guest to come?"""
        return self._guests[index].running

    def ask(self, index: int) -> None:
        """A guest that stands at the barrier is given something to do there and then: it reports again."""
        guest = self._guests[index]
        guest.running = True
        guest.base_ns = guest.now_ns

    def lead(self, index: int, horizon_ns: int) -> None:
        """A guest that does nothing before `horizon_ns`, nor is anything due for it there, runs to it unasked."""
        guest = self._guests[index]
        if guest.base_ns < horizon_ns:
            raise ValueError(f"{guest.device} acts at {guest.base_ns} ns, before {horizon_ns} ns")
        guest.running = True
        guest.base_ns = guest.now_ns
        guest.horizon_ns = horizon_ns

    def report(self, index: int, now_ns: int, deadline_ns: int | None, frames: Iterable[tuple[int, bytes]]) -> None:
        """A guest has stopped at `now_ns`; left alone it acts next at `deadline_ns` (None: only on input)."""
        self.transmit(index, frames)
        guest = self._guests[index]
        guest.running = False
        # No instruction begins between the horizon and `now`, so for the guest they are the same instant.
        passed = 0 <= now_ns - guest.horizon_ns < self._grain_ns
        guest.now_ns = guest.horizon_ns if passed else now_ns
        guest.base_ns = max(guest.now_ns, NEVER if deadline_ns is None else deadline_ns)
        self._heed_inbox(guest)

    def transmit(self, index: int, frames: Iterable[tuple[int, bytes]]) -> None:
        """Frames of a guest that runs on."""
        guest = self._guests[index]
        for t_ns, frame in frames:
            guest.sequence += 1
            heappush(self._sends, (t_ns, index, guest.sequence, guest.device, frame))

    def remove(self, index: int) -> None:
        """A guest has ended: nobody waits for it any more, and what is sent to it is lost."""
        guest = self._guests[index]
        guest.running = False
        guest.now_ns = guest.base_ns = NEVER
        guest.gone = True

    def revive(self, index: int, t_ns: int) -> None:
        """A guest that was removed begins anew, while everybody stands at `t_ns`; its first report is awaited."""
        guest = self._guests[index]
        _discard(guest.inbox, t_ns)
        guest.gone = False
        guest.running = True
        guest.now_ns = guest.base_ns = guest.horizon_ns = t_ns

    def grants(self) -> list[Grant]:
        """Let those go who have something to do, whoever can act first before the others; after `settle`.

        Not more at a time than can run: who waits for a core may as well wait here, where the horizon still moves.
        """
        if not self._guests:
            return []
        barrier_ns = self._barrier_ns
        limit_ns = min(barrier_ns, self._limit_ns)
        if self.watching:
            limit_ns = min(limit_ns, self.floor_ns + self._reaction_ns)
        ahead = sorted(self._guests, key=_BASE)
        reach_ns = self._reach_ns(ahead[0])
        self.rounds += 1
        self.at_work += bisect_left(ahead, min(reach_ns, limit_ns), key=_BASE)
        running = sum(map(_RUNNING, ahead))
        granted = []
        for guest in ahead:
            if guest.base_ns >= reach_ns or running >= self._at_once:
                break
            if guest.running or guest.now_ns >= barrier_ns:
                continue
            horizon_ns = min(self._bound(guest, ahead), limit_ns, guest.base_ns + self._quantum_ns)
            idle_to_barrier = horizon_ns == barrier_ns and guest.base_ns >= horizon_ns
            if horizon_ns > guest.now_ns and (guest.base_ns < horizon_ns or idle_to_barrier):
                granted.append(self._grant(guest, horizon_ns))
                running += 1
        return granted

    def _reach_ns(self, first: _Guest) -> int:
        """Whoever acts at this time or later has to wait for the guest that can act first."""
        reach_ns = first.base_ns + self._distances.farthest[first.index]
        return reach_ns if reach_ns < self._barrier_ns else FOREVER

    @staticmethod
    def _grant(guest: _Guest, horizon_ns: int) -> Grant:
        heap, inputs = guest.inbox.heap, []
        while heap and heap[0][0] < horizon_ns:
            due, _, _, frame = heappop(heap)
            inputs.append((due, frame))
        guest.running = True
        guest.horizon_ns = horizon_ns
        return Grant(guest.index, horizon_ns, inputs)

    def settle(self) -> None:
        """Advance the network through everything that no guest can precede any more. What it does meanwhile may move
        the barrier. Without guests that is no end of things: it does some, and is `busy` while there are more."""
        if self._alone:
            self._settle_alone()
            return
        engine, sends, guests, edge = self._engine, self._sends, self._guests, self._edge_ns
        while True:
            floor = min(map(_BASE, guests), default=NEVER)
            if edge < floor:
                floor = edge
            due = engine.next_ns()
            if due is not None and due <= floor and due < self._barrier_ns and (not sends or due <= sends[0][0]):
                engine.advance_one()
            elif sends and sends[0][0] < min(floor, self._barrier_ns):
                t_ns, _, _, device, frame = heappop(sends)
                engine.send(t_ns, device, frame)
            else:
                break
            for guest in guests:
                heap = guest.inbox.heap
                if heap and heap[0][0] < (guest.horizon_ns if guest.running else guest.base_ns):
                    self._heed_inbox(guest)
        for guest in guests:
            if guest.gone:
                _discard(guest.inbox, min(floor, self._barrier_ns))

    @property
    def _alone(self) -> bool:
        """There are only nodes that live in the network."""
        return not self._guests

    def _settle_alone(self) -> None:
        engine, heap = self._engine, self._engine.agenda.heap
        due = engine.now_ns
        for _ in range(AT_ONCE):
            if not heap or heap[0][0] >= self._barrier_ns:
                break
            due, _, receiver, frame = heappop(heap)
            receiver(due, frame)
        engine.now_ns = max(engine.now_ns, due)

    def _heed_inbox(self, guest: _Guest) -> None:
        """An input is something to act on; one for a time that the guest may have passed is an error."""
        heap = guest.inbox.heap
        if not heap or guest.gone:
            return
        due = heap[0][0]
        if due < (guest.horizon_ns if guest.running else guest.now_ns):
            state = f"runs to {guest.horizon_ns}" if guest.running else f"is at {guest.now_ns}"
            raise CausalityError(f"{guest.device}: input for {due} ns, but it {state} ns")
        if not guest.running and due < guest.base_ns:
            guest.base_ns = due

    def _bound(self, guest: _Guest, ahead: list[_Guest]) -> int:
        """The earliest time at which anything not yet known could reach the guest. `ahead`: all guests, in the order
        in which they can act."""
        distances, index = self._distances, guest.index
        ways, least = distances.to[index], distances.least_to[index]
        due = self._engine.next_ns()
        bound = self._edge_ns + distances.from_outside[index]
        if due is not None:
            bound = min(bound, due + distances.from_network[index])
        if self._sends:
            bound = min(bound, self._sends[0][0] + distances.from_senders[index])
        for other in ahead:
            earliest = other.base_ns
            if earliest + least >= bound:
                break
            earliest += ways[other.index]
            if earliest < bound:
                bound = earliest
        return bound


def _discard(inbox: Agenda, before_ns: int) -> None:
    """What arrives where nobody is, is lost."""
    while inbox.heap and inbox.heap[0][0] < before_ns:
        heappop(inbox.heap)
