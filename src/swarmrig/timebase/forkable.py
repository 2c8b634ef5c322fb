"""The virtual-time driver that can be copied, with its process, while time stands (see timebase.forking)."""

from __future__ import annotations

import select
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from swarmrig.net.engine import Engine
from swarmrig.net.pcapng import CaptureWriter
from swarmrig.timebase import protocol
from swarmrig.timebase.guest import Guest, Restoring
from swarmrig.timebase.loop import VirtualLoop
from swarmrig.timebase.patience import Patience
from swarmrig.timebase.protocol import Hello, Report
from swarmrig.timebase.stepping import Stepping
from swarmrig.timebase.stops import Stops

UNKNOWN = 1 << 30
"""How many will wait for a time is not known before `go`."""


class ForkableLoop(VirtualLoop):
    """In a copy, guests get other emulators, which begin where the former ones stood."""

    def __init__(self, engine: Engine, captures: Mapping[str, CaptureWriter], directory: Path) -> None:
        super().__init__(engine, captures, directory)
        self._on_restored: list[Callable[[bool], None]] = []

    def go(self, end_ns: int, waiters: int, stepping: Stepping) -> None:
        """As of any loop; a copy goes on from where it stands."""
        if self._coordinator is None:
            super().go(end_ns, waiters, stepping)
            return
        self._stops.expect(waiters, end_ns)
        self._patience.limit_s = stepping.patience_s
        self._coordinator.set_end(end_ns, stepping.quantum_ns)

    def quiet_ns(self) -> int:
        """How long from now on nothing happens anywhere, if nobody does anything; 0 while somebody is at work."""
        coordinator = self._coordinator
        if coordinator is None or not coordinator.arrived or self.failure is not None:
            return 0
        return coordinator.floor_ns - self.now_ns()

    def prepare_parting(self) -> None:
        """Write everything to files, so that nobody writes it twice. ValueError when somebody is at work."""
        if self.quiet_ns() <= 0:
            raise ValueError("somebody is at work")
        self.flush()
        for guest in self.guests.values():
            guest.inputs.flush()

    def part(self, directory: Path) -> None:
        """This process is a copy of the one that the loop was made in, which goes on. Let go of all that is the
        other's, and write on in copies of its files. OSError when that fails."""
        self._epoll.close()
        self._epoll = select.epoll()
        self._by_fd, self._others = {}, {}
        self._patience, self._placement = Patience(), self._placement.afresh()
        self._hold_with(Stops())
        self._stops.expect(UNKNOWN, self.now_ns())
        for capture in self.captures.values():
            capture.go_on_in(directory)
        for guest in self.guests.values():
            guest.part(directory)

    def restore(self, device: str, fd: int, stores: Sequence[tuple[int, int, bytes]], within_ns: int) -> None:
        """In a fork, connect an emulator that begins where a guest stood. It is given what is to be stored, (after so
        many nanoseconds, address, data), and lives on by `within_ns`, in which nothing happens (see `quiet_ns`)."""
        guest, coordinator = self.guest(device), self._coordinator
        assert coordinator is not None
        now = guest.now
        timed = [(now + delay_ns, address, data) for delay_ns, address, data in stores]
        coordinator.lead(guest.index, guest.seen_ns + within_ns)
        guest.restore(fd, Restoring(now, guest.deadline, guest.pc, timed, now + within_ns))
        self._by_fd[fd] = guest
        self._epoll.register(fd, select.EPOLLIN)

    def restored(self, done: Callable[[bool], None]) -> None:
        """Say whether all is as it was, once all emulators of a fork are where the guests stood."""
        if any(guest.restoring is not None for guest in self.guests.values()):
            self._on_restored.append(done)
        else:
            done(self.failure is None and all(guest.alive for guest in self.guests.values()))

    def _is_restored(self, guest: Guest) -> None:
        guest.restoring = None
        waiting, self._on_restored = self._on_restored, []
        for done in waiting:
            self.restored(done)

    def _welcome(self, guest: Guest, hello: Hello) -> None:
        if guest.restoring is None:
            super()._welcome(guest, hello)
            return
        if hello.now != guest.restoring.now:
            self._fail(f"{guest.device} goes on at {hello.now} ns, not at {guest.restoring.now} ns, where it stood")
        guest.send(protocol.WELCOME + guest.restoring.begin())

    def _hear(self, guest: Guest, report: Report) -> None:
        super()._hear(guest, report)
        if guest.restoring is not None and report.expects_answer:
            if difference := guest.restoring.difference(guest):
                self._fail(difference)
            self._is_restored(guest)

    def _lose(self, guest: Guest) -> None:
        super()._lose(guest)
        self._is_restored(guest)
