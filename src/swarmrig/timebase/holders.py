"""Those who have virtual time stand: where each of them wants it to, and what each of them waits to see."""

from __future__ import annotations

from collections.abc import Callable

from swarmrig.model.scenario import Seen
from swarmrig.timebase.lookout import Lookout
from swarmrig.timebase.stops import NEVER, Stops, Told


class Holders:
    """Tokens, as control messages name them; see VirtualFabric."""

    def __init__(self, stops: Stops, lookout: Lookout, front_ns: Callable[[], int]) -> None:
        """`front_ns` says what nobody has passed so far: a stop there is in nobody's past."""
        self._stops = stops
        self._lookout = lookout
        self._front_ns = front_ns

    def reach(self, token: int, t_ns: int, done: Told) -> None:
        """Stop at `t_ns` (at once, if that is past), call `done(now)`, and stay until the token reaches on or goes."""
        self._lookout.forget(token)
        self._stops.reach(token, max(t_ns, self._front_ns()), done)

    def reach_seen(self, token: int, condition: Seen, after_ns: int, by_ns: int, done: Told) -> None:
        """As `reach`, exactly `after_ns` (REACTION_NS at least) after the condition is met, at `by_ns` at the latest.
        Counts from now on, while time stands."""
        self._lookout.forget(token)
        self._lookout.watch(token, condition, after_ns)
        self._stops.reach(token, max(by_ns, self._front_ns()), done)

    def park(self, token: int) -> None:
        """The token holds nobody up until it reaches on."""
        self._lookout.forget(token)
        self._stops.reach(token, NEVER, lambda _: None)

    def release(self, token: int) -> None:
        """The holder of the token wants no further stop."""
        self._lookout.forget(token)
        self._stops.release(token)

    def stand(self, token: int, done: Told) -> None:
        """Let time stand as soon as possible, for somebody who is not one of those expected, until `leave`."""
        self._stops.stand(token, self._front_ns(), done)

    def leave(self, token: int) -> None:
        self._stops.leave(token)
