"""Where virtual time stops, and for whom. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

NEVER = 1 << 62
Told = Callable[[int], None]
"""Called with the time."""


@dataclass(slots=True)
class _Stop:
    t_ns: int
    told: Told | None
    """Who is to hear that time stands there; None once told: then the holder acts, and time waits for it."""


class Stops:
    """Everybody who may change something holds a token. Time goes on when each of them has said where it is to stop
    next, and stops at the earliest of these places. There they are told one after another, in the order of tokens."""

    def __init__(self) -> None:
        self.end_ns = 0
        self.barrier_ns = 0
        """Nobody may pass this time."""
        self._expected = 0
        self._stops: dict[int, _Stop] = {}
        self._guests: dict[int, _Stop] = {}
        """Those who came unasked: time does not wait for them to come."""
        self._actions: list[tuple[int, Told]] = []

    def expect(self, holders: int, end_ns: int) -> None:
        """So many tokens there will be, and time ends there."""
        self._expected, self.end_ns = holders, end_ns
        self._find_barrier()

    @property
    def known(self) -> bool:
        """May time go on? Somebody who came unasked only wants it to get where all may have got already."""
        return len(self._stops) >= self._expected or bool(self._actions or self._guests)

    def reach(self, token: int, t_ns: int, told: Told) -> None:
        """The holder of the token acts at `t_ns` (NEVER: maybe, see `move`) and not before."""
        self._stops[token] = _Stop(t_ns, told)
        self._find_barrier()

    def move(self, token: int, t_ns: int) -> None:
        """What the holder waits for has a time now; it acts then, unless it acts before anyway."""
        self._stops[token].t_ns = min(self._stops[token].t_ns, t_ns)
        self._find_barrier()

    def release(self, token: int) -> None:
        """The holder wants no further stop."""
        self._stops.pop(token, None)
        self._expected -= 1
        self._find_barrier()

    def stand(self, token: int, t_ns: int, told: Told) -> None:
        """Somebody without a token of those expected wants time to stand still, until `leave`."""
        self._guests[token] = _Stop(t_ns, told)
        self._find_barrier()

    def leave(self, token: int) -> None:
        self._guests.pop(token, None)
        self._find_barrier()

    def act(self, t_ns: int, action: Told) -> None:
        """Have something done at `t_ns`."""
        self._actions.append((t_ns, action))
        self._find_barrier()

    def take_actions(self, now_ns: int) -> list[Told]:
        """What is to be done, now that time stands at `now_ns`."""
        due = [action for t_ns, action in self._actions if t_ns <= now_ns]
        self._actions = [(t_ns, action) for t_ns, action in self._actions if t_ns > now_ns]
        self._find_barrier()
        return due

    def tell_guests(self, now_ns: int) -> None:
        """Time stands at `now_ns`, though somebody may still be answering a question there."""
        for stop in list(self._guests.values()):
            self._tell(stop, now_ns)

    def tell(self, now_ns: int) -> None:
        """Time stands at `now_ns`, with nothing left before it: it is the next one's turn."""
        if any(stop.told is None and stop.t_ns <= now_ns for stop in self._stops.values()):
            return
        for _, stop in sorted(self._stops.items()):
            if stop.t_ns <= now_ns:
                self._tell(stop, now_ns)
                return

    def _find_barrier(self) -> None:
        stops = [stop.t_ns for holders in (self._stops, self._guests) for stop in holders.values()]
        self.barrier_ns = min([self.end_ns, *stops, *(t_ns for t_ns, _ in self._actions)])

    @staticmethod
    def _tell(stop: _Stop, now_ns: int) -> None:
        if stop.told is not None and stop.t_ns <= now_ns:
            told, stop.told = stop.told, None
            told(now_ns)
