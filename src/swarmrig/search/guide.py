"""What is tried next. Schedules that showed something new are kept, and the next ones are made of them.

Faults are drawn from the space by hypothesis; how they are put together follows from the seed of the search, the number
of the schedule, and what the runs before it have shown.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

from swarmrig.search.coverage import STATE
from swarmrig.search.observation import Observation
from swarmrig.search.schedule import Schedule, Strike, scheduled
from swarmrig.search.space import Space
from swarmrig.search.variation import Variation

POOL = 12
"""Faults of each kind that are drawn at a time."""
RENEWAL = 96
"""After so many schedules others are drawn."""
FRESH = 0.4
"""The share of schedules that are made of nothing but new faults."""
SAME_SEED = 0.8
HOPE = 5
AT_ONCE = 4
"""So many are made at once of a schedule that reached a new state; then it is one of many."""
_TRIES = 20
"""To make something that is valid and has not been tried."""


@dataclass
class Kept:
    """A schedule that showed something new."""

    schedule: Schedule
    features: frozenset[str]
    chosen: int = 0
    """How often others were made of it."""


class Guide:
    """Says which schedule is the n-th. The same answers to the same observations, in the same order."""

    def __init__(self, space: Space, seed: int, *, guided: bool = True) -> None:
        self._space = space
        self._seed = seed
        self._guided = guided
        self._corpus: list[Kept] = []
        self._seen: Counter[str] = Counter()
        self._promising: list[Kept] = []
        self._tried_of: Counter[str] = Counter()
        self._fruitful: Counter[str] = Counter()
        self._tried: set[str] = set()
        self._pool: tuple[int, list[Strike]] = (-1, [])

    @property
    def covered(self) -> int:
        """How many features have been seen."""
        return len(self._seen)

    @property
    def kept(self) -> int:
        return len(self._corpus)

    def learn(self, schedule: Schedule, observation: Observation) -> int:
        """Take in what a run has shown; returns how many features are new."""
        if observation.failures:
            return 0
        new = [feature for feature in observation.features if feature not in self._seen]
        self._seen.update(observation.features)
        kinds = {strike.kind for strike in schedule.strikes}
        self._tried_of.update(kinds)
        if new and schedule.strikes:
            self._fruitful.update(kinds)
            self._corpus.append(Kept(schedule, observation.features))
            if any(feature.startswith(STATE) for feature in new):
                self._promising += [self._corpus[-1]] * AT_ONCE
        return len(new)

    def propose(self, number: int) -> Schedule:
        """The schedule with this number; one that has not been tried, as far as such can be found."""
        chance = random.Random(f"{self._seed} {number}")
        pool = self._strikes(number)
        variation = Variation(self._space, chance, pool, lambda: self._choose(chance).schedule.strikes, self._yield_of)
        for _ in range(_TRIES):
            if self._guided and self._corpus and chance.random() >= FRESH:
                schedule = self._varied(variation)
            else:
                schedule = scheduled(variation.fresh(), chance.choice(self._space.seeds))
            schedule = self._space.fitted(schedule)
            if schedule.strikes and schedule.key not in self._tried:
                break
        self._tried.add(schedule.key)
        return schedule

    def _yield_of(self, kind: str) -> float:
        """The share of schedules with such faults that showed something new; hopeful of those seldom tried."""
        return (1 + self._fruitful[kind]) / (HOPE + self._tried_of[kind]) if self._guided else 1.0

    def _strikes(self, number: int) -> list[Strike]:
        epoch = number // RENEWAL
        if self._pool[0] != epoch:
            self._pool = epoch, self._space.strikes(POOL, f"{self._seed} {epoch}")
        return self._pool[1]

    def _varied(self, variation: Variation) -> Schedule:
        chance = variation.chance
        kept = self._promising.pop(0) if self._promising else self._choose(chance)
        kept.chosen += 1
        seed = kept.schedule.seed if chance.random() < SAME_SEED else chance.choice(self._space.seeds)
        return scheduled(variation.of(kept.schedule.strikes), seed)

    def _choose(self, chance: random.Random) -> Kept:
        """Rather one that shows what is rarely seen, and that has seldom been chosen."""
        weights = [sum(1 / self._seen[each] for each in kept.features) / (1 + kept.chosen) for kept in self._corpus]
        return chance.choices(self._corpus, weights)[0]
