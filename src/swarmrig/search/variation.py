"""Ways to make a schedule of one that showed something new."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from swarmrig.search.schedule import Strike
from swarmrig.search.space import Space

Strikes = tuple[Strike, ...]
NEAR, LATER = 0.8, 0.8


@dataclass(frozen=True, slots=True)
class Variation:
    """Varies strikes by chance."""

    space: Space
    chance: random.Random
    pool: Sequence[Strike]
    """Faults to take new ones from."""
    another: Callable[[], Strikes]
    """What else is worth varying."""
    yields: Callable[[str], float]
    """How much more often than others a kind of fault is to be tried."""

    def of(self, strikes: Strikes) -> Strikes:
        """One change; then new faults for as many as there are to be."""
        ways = _WAYS if len(strikes) > 1 else _WAYS_OF_ONE
        (way,) = self.chance.choices(list(ways), list(ways.values()))
        strikes = way(self, strikes)[: self.space.most]
        for _ in range(len(strikes), self._many()):
            strikes = self.add(strikes)
        return strikes

    def fresh(self) -> Strikes:
        """Nothing but new faults."""
        strikes: Strikes = ()
        for _ in range(self._many()):
            strike = self._any(self.pool)
            at_ns = self.chance.choice(self.space.grid.fitting(strike.for_ns))
            strikes = self._with((*strikes, strike), len(strikes), replace(strike, at_ns=at_ns))
        return strikes

    def add(self, strikes: Strikes) -> Strikes:
        """One more; of a full schedule, one is replaced. Mostly it is done to the same nodes, and after
        all else: states are left over in a node, and met later."""
        kept = strikes if len(strikes) < self.space.most else self.drop(strikes)
        touched = {place for strike in kept for place in strike.places}
        near = [strike for strike in self.pool if touched & set(strike.places)]
        strike = self._any(near if near and self.chance.random() < NEAR else self.pool)
        later = [ns for ns in self.space.grid.fitting(strike.for_ns) if ns > max(each.at_ns for each in kept)]
        if later and self.chance.random() < LATER:
            strike = replace(strike, at_ns=self.chance.choice(later))
        return self._with((*kept, strike), len(kept), strike)

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

    def _many(self) -> int:
        """How many faults: rather many than few, for each is met by all that come after it."""
        return max(self.chance.randint(1, self.space.most) for _ in range(2))

    def _any(self, strikes: Sequence[Strike]) -> Strike:
        """Of any kind; rather of one that leads to new states."""
        kinds = list(dict.fromkeys(strike.kind for strike in strikes))
        (kind,) = self.chance.choices(kinds, [self.yields(kind) for kind in kinds])
        return self.chance.choice([strike for strike in strikes if strike.kind == kind])

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
