"""A schedule: some faults, when each acts and how long it lasts, and the seed of the run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from swarmrig.model.scenario import Scenario
from swarmrig.model.units import format_duration
from swarmrig.plugins import Registry
from swarmrig.scenario.single_fault import fault_now


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault of a schedule. Its parameters are as a scenario file has them."""

    kind: str
    at_ns: int
    for_ns: int | None
    """None: it is over in an instant."""
    params: Mapping[str, Any]
    name: str = ""
    """Its id in the run. What is drawn for it (which bits flip, say) follows from that, so it stays when others go."""

    @property
    def identity(self) -> str:
        """Equal for strikes that do the same, whatever they are called."""
        return json.dumps([self.kind, self.at_ns, self.for_ns, self.params], sort_keys=True)

    @property
    def places(self) -> tuple[str, ...]:
        """The nodes it is done to, or that it is done between."""
        if "node" in self.params:
            return (str(self.params["node"]),)
        return tuple(map(str, self.params.get("between") or self.params.get("sets", [[]])[0]))

    def __str__(self) -> str:
        words = ", ".join(f"{key} {_plain(value)}" for key, value in self.params.items())
        lasts = "" if self.for_ns is None else f" for {format_duration(self.for_ns)}"
        return f"{format_duration(self.at_ns)} {self.kind} ({words}){lasts}"


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_plain(item)}" for key, item in value.items()) + "}"
    return "/".join(map(_plain, value)) if isinstance(value, list | tuple) else str(value)


@dataclass(frozen=True, slots=True)
class Schedule:
    """What is done to a scenario in one run; the strikes in the order in which they act."""

    strikes: tuple[Strike, ...]
    seed: int

    @property
    def key(self) -> str:
        """Equal for runs that are the same."""
        return json.dumps([[strike.name, strike.identity] for strike in self.strikes] + [self.seed])

    def __str__(self) -> str:
        return "; ".join(map(str, self.strikes)) or "no faults"

    def without(self, leaving_out: Sequence[int]) -> Schedule:
        """The others keep their names."""
        return replace(self, strikes=tuple(s for index, s in enumerate(self.strikes) if index not in leaving_out))

    def with_strike(self, index: int, strike: Strike) -> Schedule:
        """One changed; in order again."""
        strikes = [strike if place == index else other for place, other in enumerate(self.strikes)]
        return replace(self, strikes=_ordered(strikes))

    def as_json(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "faults": [
                {"name": s.name, "kind": s.kind, "at_ns": s.at_ns, "for_ns": s.for_ns, "params": dict(s.params)}
                for s in self.strikes
            ],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Schedule:
        return cls(tuple(Strike(**each) for each in data["faults"]), data["seed"])


def scheduled(strikes: Sequence[Strike], seed: int) -> Schedule:
    """In the order in which they act, named after that."""
    named = [replace(strike, name=f"{strike.kind}-{number}") for number, strike in enumerate(_ordered(strikes), 1)]
    return Schedule(tuple(named), seed)


def _ordered(strikes: Sequence[Strike]) -> tuple[Strike, ...]:
    return tuple(sorted(strikes, key=lambda strike: (strike.at_ns, strike.identity)))


def applied(
    scenario: Scenario, schedule: Schedule, registry: Registry, *, proved: frozenset[str] | None = None
) -> Scenario:
    """The scenario with these faults besides its own. Whether they are proved decides nothing, but for those named in
    `proved`. ScenarioError says what is wrong with one."""
    taken = {spec.id for spec in scenario.faults}
    specs = []
    for strike in schedule.strikes:
        name = strike.name
        while name in taken:
            name = f"{name}-x"
        taken.add(name)
        params = dict(strike.params)
        if strike.for_ns is not None:
            params["for"] = format_duration(strike.for_ns)
        spec = fault_now(strike.kind, params, name=name, at_ns=strike.at_ns, scenario=scenario, registry=registry)
        specs.append(replace(spec, required=proved is not None and strike.name in proved, source=None))
    return replace(scenario, seed=schedule.seed, faults=(*scenario.faults, *specs))
