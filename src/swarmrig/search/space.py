"""The fault space of a scenario: kinds of faults × whom they can be done to × parameters × times.

What the plan refuses (a node without the capability, a link that is not there) is not part of it, and is told.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from swarmrig.errors import HostError, ScenarioError
from swarmrig.model.scenario import Scenario
from swarmrig.net.topology import link_between, site_of
from swarmrig.plugins import Registry
from swarmrig.runtime.plan import RunPlan, plan_wiring
from swarmrig.scenario.problems import suggest
from swarmrig.search.parameters import Ladder, Rung, UndrawableError, ladders_of
from swarmrig.search.schedule import Schedule, Strike, applied, scheduled
from swarmrig.search.times import Grid

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault, as far as this scenario supports it."""

    name: str
    targets: tuple[Mapping[str, Any], ...]
    ladders: tuple[Ladder, ...]
    lasts: bool

    def simpler(self, params: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """The same with one parameter simpler, the simplest first."""
        for ladder in self.ladders:
            here = next((index for index, rung in enumerate(ladder) if _holds(params, rung)), 0)
            for rung in ladder[:here]:
                rest = {key: value for key, value in params.items() if key not in ladder[here]}
                yield {**rest, **rung}


def _holds(params: Mapping[str, Any], rung: Rung) -> bool:
    return all(key in params and params[key] == value for key, value in rung.items())


@dataclass(frozen=True, slots=True)
class Space:
    """What there is to be tried."""

    plan: RunPlan
    registry: Registry
    grid: Grid
    kinds: tuple[Kind, ...]
    left_out: Mapping[str, str]
    """Kind to why nothing of it is tried."""
    seeds: tuple[int, ...]
    """Of runs; the first is the scenario's."""
    most: int
    """Faults in one schedule."""

    @property
    def scenario(self) -> Scenario:
        return self.plan.scenario

    def kind(self, name: str) -> Kind:
        return next(kind for kind in self.kinds if kind.name == name)

    def is_valid(self, schedule: Schedule) -> bool:
        """Would the plan take these faults together?"""
        return self._refusal(schedule) is None

    def fitted(self, schedule: Schedule) -> Schedule:
        """Without those, from the last on, that the plan refuses beside the others."""
        kept: tuple[Strike, ...] = ()
        for strike in schedule.strikes[: self.most]:
            if self.is_valid(replace(schedule, strikes=(*kept, strike))):
                kept = (*kept, strike)
        return replace(schedule, strikes=kept)

    def _refusal(self, schedule: Schedule) -> str | None:
        return refusal(self.plan, schedule, self.registry)

    def strikes(self, count: int, chance: str) -> list[Strike]:
        """So many faults of each kind, as far as there are, always the same for the same `chance`."""
        return [strike for kind in self.kinds for strike in drawn(self._of_kind(kind), count, f"{chance} {kind.name}")]

    def _of_kind(self, kind: Kind) -> SearchStrategy[Strike]:
        rungs = st.tuples(*(st.sampled_from(ladder) for ladder in kind.ladders))
        lasting = st.sampled_from(self.grid.lasts_ns) if kind.lasts else st.none()
        return lasting.flatmap(
            lambda for_ns: st.builds(
                lambda target, chosen, at_ns: Strike(kind.name, at_ns, for_ns, _merged(target, chosen)),
                st.sampled_from(kind.targets),
                rungs,
                st.sampled_from(self.grid.fitting(for_ns)),
            )
        )


def _merged(target: Mapping[str, Any], rungs: Sequence[Rung]) -> Mapping[str, Any]:
    found = dict(target)
    for rung in rungs:
        found |= rung
    return found


def refusal(plan: RunPlan, schedule: Schedule, registry: Registry) -> str | None:
    """Why the plan would not take these faults; None when it would."""
    try:
        plan_wiring(applied(plan.scenario, schedule, registry), plan.network, registry, plan.nodes)
    except ScenarioError as error:
        return error.problems[0].message
    return None


def space_of(
    plan: RunPlan,
    registry: Registry,
    grid: Grid,
    *,
    kinds: Collection[str] = (),
    seeds: Sequence[int] = (),
    most: int = 4,
) -> Space:
    """The fault space of a planned scenario, narrowed to `kinds` if any are named. HostError when nothing is left, or
    for a kind that is not there or cannot be tried."""
    known = registry.names("faults")
    for name in kinds:
        if name not in known:
            raise HostError(f"there is no fault {name!r}", hint=suggest(name, known) or f"faults: {', '.join(known)}")
    found, left_out = [], {}
    for name in known:
        if kinds and name not in kinds:
            continue
        try:
            found.append(_kind(name, plan, registry, grid))
        except UndrawableError as error:
            left_out[name] = str(error)
    if kinds and left_out:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise HostError(f"nothing can be tried of {reasons}", hint="leave it out of --faults")
    if not found:
        raise HostError("there is no fault that this scenario supports", hint="see `swarmrig faults`")
    return Space(plan, registry, grid, tuple(found), left_out, tuple(seeds) or (plan.scenario.seed,), most)


def _kind(name: str, plan: RunPlan, registry: Registry, grid: Grid) -> Kind:
    """UndrawableError says why there is nothing to be drawn of it."""
    factory = registry.fault(name)
    ladders = ladders_of(name, factory.params_model)
    lasts = bool(getattr(factory, "heals", True))
    first = {key: value for ladder in ladders for key, value in ladder[0].items()}
    accepted, reason = [], "it names neither a node nor a link"
    for target in targets_of(factory.params_model.model_fields, plan):
        for for_ns in (grid.lasts_ns[0], grid.lasts_ns[-1]) if lasts else (None,):
            strike = Strike(name, grid.first_ns, for_ns, {**target, **first})
            refused = refusal(plan, scheduled([strike], plan.scenario.seed), registry)
            if refused is None:
                accepted.append(target)
                break
            reason = refused
    if not accepted:
        raise UndrawableError(reason)
    return Kind(name, tuple(accepted), ladders, lasts)


def targets_of(fields: Collection[str], plan: RunPlan) -> Iterator[Mapping[str, Any]]:
    """Whom a fault with these parameters can be done to."""
    nodes = [node.id for node in plan.scenario.nodes]
    if "node" in fields:
        yield from ({"node": node} for node in nodes)
    elif "between" in fields:
        yield from ({"between": list(pair)} for pair in _pairs(plan))
    elif "sets" in fields and len(nodes) > 1:
        yield from ({"sets": [[node], [other for other in nodes if other != node]]} for node in nodes)


def _pairs(plan: RunPlan) -> Iterator[tuple[str, str]]:
    """The two ends of each link, as a scenario names them; not of the wires inside of a site."""
    for link in plan.network.links:
        ends = site_of(plan.network, link.a), site_of(plan.network, link.b)
        if not link.access and link_between(plan.network, *ends) == link.name:
            yield ends


def drawn(strategy: SearchStrategy[T], count: int, chance: str) -> list[T]:
    """So many examples, different ones as far as there are, always the same for the same `chance`."""
    found: list[T] = []

    @seed(random.Random(chance).getrandbits(63))
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def draw(example: T) -> None:
        found.append(example)

    draw()
    return found
