"""What guests are asked while time stands: each is given its commands where it stands, and lives no further."""

from __future__ import annotations

from swarmrig.timebase import protocol
from swarmrig.timebase.coordinator import Coordinator
from swarmrig.timebase.guest import Answer, Guest, Question

ABSENT = "its power is off, or it has ended"


class Questions:
    """As long as there are `open` ones, the barrier must stay where it is."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator
        self._busy: set[Guest] = set()

    @property
    def open(self) -> bool:
        return bool(self._busy)

    def ask(self, guest: Guest, question: Question) -> None:
        """Have a command performed; the answer comes with the guest's next report."""
        if not guest.alive:
            question.answer.refuse(ABSENT)
        elif guest.held:
            question.answer.refuse("its machine is held")
        else:
            guest.waiting.append(question)
            self._busy.add(guest)
            if guest.greeted and not self._coordinator.is_running(guest.index):
                self._put(guest)

    def hold(self, guest: Guest, answer: Answer) -> None:
        """Stop a guest's machine outside of virtual time. ValueError when there is something else to wait for."""
        if not guest.alive:
            raise ValueError(ABSENT)
        if not self._coordinator.standing or self._coordinator.is_running(guest.index):
            raise ValueError("it cannot be held while it runs, or is held")
        guest.held = answer
        self._busy.add(guest)
        self._coordinator.ask(guest.index)
        guest.send(protocol.HOLD)

    def let_go(self, guest: Guest) -> None:
        """A held machine goes on, as if nothing had been; it reports that."""
        if guest.held is True:
            guest.held = False
            guest.send(protocol.RELEASE)

    def has_reported(self, guest: Guest) -> None:
        """It has answered, and may be asked again."""
        if guest.waiting:
            self._put(guest)
        else:
            self._busy.discard(guest)

    def has_gone(self, guest: Guest) -> None:
        self._busy.discard(guest)

    def _put(self, guest: Guest) -> None:
        questions, guest.waiting = guest.waiting, []
        self._coordinator.ask(guest.index)
        guest.ask(self._coordinator.now_of(guest.index), questions)
