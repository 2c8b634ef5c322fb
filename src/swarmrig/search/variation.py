"""Ways to make a schedule of one that showed something new."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from swarmrig.search.schedule import Strike
from swarmrig.search.space import Space

Strikes = tuple[Strike, ...]


@dataclass(frozen=True, slots=True)
class Variation:
    """Varies strikes by chance."""

    space: Space
    chance: random.Random
    pool: Sequence[Strike]
    """Faults to take new ones from."""
    another: Callable[[], Strikes]
    """What else is worth varying."""

    def of(self, strikes: Strikes) -> Strikes:
        """One or two changes; a valid number of strikes."""
        for _ in range(self.chance.choice((1, 1, 2))):
            ways = _WAYS if len(strikes) > 1 else _WAYS_OF_ONE
            (way,) = self.chance.choices(list(ways), list(ways.values()))
            strikes = way(self, strikes)[: self.space.most]
        return strikes

    def add(self, strikes: Strikes) -> Strikes:
        """One more; of a full schedule, one is replaced."""
        kept = strikes if len(strikes) < self.space.most else self.drop(strikes)
        return (*kept, self.chance.choice(self.pool))

    def drop(self, strikes: Strikes) -> Strikes:
        """One less."""
        gone = self.chance.randrange(len(strikes))
        return (*strikes[:gone], *strikes[gone + 1 :])

    def shift(self, strikes: Strikes) -> Strikes:
        """One at another time."""
        place = self.chance.randrange(len(strikes))
        return self._with(strikes, place, replace(strikes[place], at_ns=self.chance.choice(self.space.grid.times_ns)))

    def stretch(self, strikes: Strikes) -> Strikes:
        """One that lasts longer, or less long."""
        place = self.chance.randrange(len(strikes))
        strike = strikes[place]
        if strike.for_ns is None:
            return self.shift(strikes)
        for_ns = self.chance.choice(self.space.grid.lasting(strike.at_ns))
        return self._with(strikes, place, replace(strike, for_ns=for_ns))

    def swap(self, strikes: Strikes) -> Strikes:
        """Two that change places."""
        a, b = self.chance.sample(range(len(strikes)), 2)
        changed = self._with(strikes, a, replace(strikes[a], at_ns=strikes[b].at_ns))
        return self._with(changed, b, replace(strikes[b], at_ns=strikes[a].at_ns))

    def redirect(self, strikes: Strikes) -> Strikes:
        """Another of the same kind: elsewhere, with other parameters."""
        place = self.chance.randrange(len(strikes))
        others = [strike for strike in self.pool if strike.kind == strikes[place].kind]
        if not others:
            return self.shift(strikes)
        return (*strikes[:place], self.chance.choice(others), *strikes[place + 1 :])

    def splice(self, strikes: Strikes) -> Strikes:
        """Some of it, and some of another."""
        mine = self.chance.sample(strikes, self.chance.randint(1, len(strikes)))
        other = self.another()
        return (*mine, *self.chance.sample(other, self.chance.randint(1, len(other))))

    def _with(self, strikes: Strikes, place: int, strike: Strike) -> Strikes:
        """One in place of another; what lasts is over before the end."""
        lasting = self.space.grid.lasting(strike.at_ns)
        if strike.for_ns is not None and strike.for_ns not in lasting:
            strike = replace(strike, for_ns=lasting[-1])
        return (*strikes[:place], strike, *strikes[place + 1 :])


_Way = Callable[[Variation, Strikes], Strikes]
_WAYS_OF_ONE: dict[_Way, float] = {
    Variation.add: 6, Variation.splice: 2, Variation.shift: 1, Variation.stretch: 1, Variation.redirect: 1
}  # fmt: skip
_WAYS: dict[_Way, float] = {
    Variation.add: 3, Variation.splice: 2, Variation.shift: 2, Variation.stretch: 1, Variation.redirect: 1,
    Variation.swap: 1, Variation.drop: 1
}  # fmt: skip
