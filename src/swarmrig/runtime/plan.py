"""Scenario to plan: everything is checked against this host before anything is launched."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from swarmrig.api import CheckContext, NodePlan
from swarmrig.errors import HostError, NodeError, Problem, ScenarioError, leaves_of
from swarmrig.model.network import NetworkPlan
from swarmrig.model.scenario import CheckSpec, FaultSpec, FramesSeen, NodeSpec, Scenario, SourceRef, TimeMode
from swarmrig.model.triggers import acting_order, healer_of, trigger_of
from swarmrig.net.modes import Wires
from swarmrig.net.topology import AGGREGATOR
from swarmrig.plugins import Registry
from swarmrig.runtime.tempo import TIERS, seen_by, settle_time
from swarmrig.runtime.wires import wires_of
from swarmrig.scenario.problems import listing


@dataclass(frozen=True, slots=True)
class PlannedCheck:
    spec: CheckSpec
    factory: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class PlannedFault:
    spec: FaultSpec
    factory: Callable[..., Any]
    description: str
    claims: frozenset[str] = frozenset()
    """What it has for itself while it lasts."""


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What will be run, down to the command of every node. Made without side effects."""

    scenario: Scenario
    network: NetworkPlan
    nodes: tuple[NodePlan, ...]
    backends: dict[str, Any]
    checks: tuple[PlannedCheck, ...]
    faults: tuple[PlannedFault, ...]
    tier: str
    reasons: tuple[str, ...]
    """Why the tier is not a better one."""
    warnings: tuple[str, ...]
    outside: frozenset[str] = frozenset()
    """Nodes that live by this machine's clock while others live in virtual time."""
    registry: Registry | None = None
    """What it was planned with; None: what is installed."""

    def scenario_of(self, node: str) -> Scenario:
        """As the node is told of it."""
        return seen_by(node, self.scenario, self.outside)

    def target_ip(self, node: NodeSpec) -> str:
        """Where the frames of `node` go: to the hub, or, from the hub itself, to the aggregator."""
        return target_ip(self.scenario, self.network, node.id)

    @property
    def aggregator_ip(self) -> str:
        return self.network.device(AGGREGATOR).ip


def _uncaptured(scenario: Scenario, network: NetworkPlan) -> tuple[str, ...]:
    """What nobody asked for is told."""
    without = sum(not link.capture for link in network.links)
    if scenario.network.capture is not None or not without:
        return ()
    return (f"{without} links are not captured, so nothing on them is proved or judged: `network: {{capture: true}}`",)


def target_ip(scenario: Scenario, network: NetworkPlan, node: str) -> str:
    """Where the frames of a node go: to the hub; from the hub itself, without one, and where nodes cannot reach each
    other, to the aggregator."""
    hub = scenario.coordinator
    if hub is None or hub.id == node or not wires_of(scenario).joins_nodes:
        return network.device(AGGREGATOR).ip
    return network.device(hub.id).ip


async def plan_loaded(load: Callable[[], Scenario], registry: Registry) -> RunPlan:
    """Load a scenario and plan it. When the file is wrong, what is wrong with its sound nodes on this host is reported
    together with that. Raises ScenarioError or HostError."""
    try:
        scenario = load()
    except ScenarioError as error:
        if error.rest is None:
            raise
        rest = replace(error.rest, time=TimeMode.REAL)  # whatever it was to be: what is missing is missing
        _, obstacles = await _plan_nodes(rest, _backends(rest, registry))
        problems = [*error.problems, *obstacles.all_problems()]
        raise ScenarioError(problems, hint=error.hint, warnings=error.warnings) from None
    return await make_plan(scenario, registry)


async def make_plan(scenario: Scenario, registry: Registry) -> RunPlan:
    """Plan a run. Raises ScenarioError or HostError with everything that stands in the way."""
    backends = _backends(scenario, registry)
    scenario, reasons, outside = await settle_time(scenario, backends)
    wires = wires_of(scenario)
    nodes, obstacles = await _plan_nodes(scenario, backends, outside)
    try:
        _refuse_foreign_ports(scenario, wires, nodes)
        planned = {node.spec.id: node for node in nodes}
        network = wires.plan(scenario, [planned.get(spec.id) or NodePlan(spec, ()) for spec in scenario.nodes])
        faults, checks = plan_wiring(scenario, network, registry, nodes)
    except ScenarioError as error:
        obstacles.problems.extend(error.problems)
    obstacles.raise_any(scenario.warnings)
    return RunPlan(
        scenario=scenario,
        network=network,
        nodes=nodes,
        backends=backends,
        checks=checks,
        faults=faults,
        tier=TIERS[scenario.time],
        reasons=reasons,
        warnings=(
            *scenario.warnings,
            *wires.warnings(scenario),
            *_uncaptured(scenario, network),
            *(f"{node.spec.id}: {text}" for node in nodes for text in node.warnings),
        ),
        outside=outside,
        registry=registry,
    )


@dataclass(slots=True)
class _Obstacles:
    """What stands in the way of a run: of nodes, of the file as a whole, and of this host. Each is told once, however
    many nodes meet it."""

    of_nodes: dict[str, list[tuple[NodeSpec, NodeError]]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    of_host: dict[str, HostError] = field(default_factory=dict)

    def add(self, error: BaseException, node: NodeSpec) -> None:
        if isinstance(error, NodeError):
            self.of_nodes.setdefault(error.message.removeprefix(f"node {error.node}: "), []).append((node, error))
        elif isinstance(error, HostError):
            self.of_host[error.message] = error

    def all_problems(self) -> list[Problem]:
        of_nodes = [_problem_of(message, met) for message, met in self.of_nodes.items()]
        return [
            *of_nodes,
            *self.problems,
            *(Problem(error.message, hint=error.hint) for error in self.of_host.values()),
        ]

    def raise_any(self, warnings: Sequence[str]) -> None:
        """HostError when the file is not to blame for anything."""
        if self.of_nodes or self.problems:
            raise ScenarioError(self.all_problems(), warnings=warnings)
        if self.of_host:
            hint = next((error.hint for error in self.of_host.values() if error.hint), None)
            raise HostError("\n".join(self.of_host), hint=hint)


def _problem_of(message: str, met: Sequence[tuple[NodeSpec, NodeError]]) -> Problem:
    node, error = met[0]
    who = f"node {node.id}" if len(met) == 1 else f"nodes {listing([each.id for each, _ in met])}"
    return _problem(f"{who}: {message}", node.source, error.hint)


def _backends(scenario: Scenario, registry: Registry) -> dict[str, Any]:
    return {kind: registry.node(kind)() for kind in dict.fromkeys(node.kind for node in scenario.nodes)}


async def _plan_nodes(
    scenario: Scenario, backends: dict[str, Any], outside: Collection[str] = ()
) -> tuple[tuple[NodePlan, ...], _Obstacles]:
    """The nodes that can be, and what stands in the way of the others. A backend may raise a group of errors."""
    plans: list[NodePlan] = []
    obstacles = _Obstacles()
    for node in scenario.nodes:
        try:
            plans.append(await backends[node.kind].plan(node, seen_by(node.id, scenario, outside)))
        except* (NodeError, HostError) as group:
            for error in leaves_of(group):
                obstacles.add(error, node)
    return tuple(plans), obstacles


def plan_wiring(
    scenario: Scenario, network: NetworkPlan, registry: Registry, nodes: Sequence[NodePlan] = ()
) -> tuple[tuple[PlannedFault, ...], tuple[PlannedCheck, ...]]:
    """See that the network and the nodes have what faults and checks name. ScenarioError has every problem."""
    problems: list[Problem] = []
    faults, checks = [], []
    context = CheckContext(scenario, network)
    for spec in scenario.faults:
        factory = registry.fault(spec.kind)
        try:
            faults.append(_plan_fault(spec, factory, scenario, network))
        except ValueError as error:
            problems.append(_problem(f"fault {spec.kind}: {error}", spec.source, None))
            continue
        problems.extend(_node_problems(spec, factory, scenario, nodes))
    problems.extend(_overlaps(faults, scenario))
    for check in scenario.checks:
        factory = registry.check(check.name)
        try:
            getattr(factory, "resolve", _nothing_to_resolve)(check.params, context)
        except ValueError as error:
            problems.append(_problem(f"check {check.label}: {error}", check.source, None))
        checks.append(PlannedCheck(check, factory))
    if problems:
        raise ScenarioError(problems)
    return tuple(faults), tuple(checks)


def _nothing_to_resolve(params: Mapping[str, Any], context: CheckContext) -> None:
    """Most checks name nothing but nodes, which the scenario has checked."""


def _plan_fault(spec: FaultSpec, factory: Any, scenario: Scenario, network: NetworkPlan) -> PlannedFault:
    """ValueError when it cannot be, in this network."""
    if getattr(factory, "changes_links", False) and not wires_of(scenario).changes_links:
        raise ValueError(f"the links of a network of mode {scenario.network.mode} cannot be changed")
    if isinstance(spec.when, FramesSeen) and spec.when.link not in {link.name for link in network.links}:
        links = ", ".join(link.name for link in network.links)
        raise ValueError(f"when: there is no link {spec.when.link!r}: the links are {links}")
    trigger_of(spec, {other.id: other for other in scenario.faults})
    description = str(factory.resolve(spec, scenario, network))
    claims = getattr(factory, "claims", _no_claims)(spec, scenario, network)
    return PlannedFault(spec, factory, description, claims)


def _no_claims(spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> frozenset[str]:  # noqa: ARG001
    """Most faults get along with others."""
    return frozenset()


def _overlaps(faults: Sequence[PlannedFault], scenario: Scenario) -> list[Problem]:
    """Faults that would be in force at one time and cannot be, in the order in which they act. Those whose time is not
    known yet are seen to when they are due."""
    specs = {spec.id: spec for spec in scenario.faults}
    claiming = {fault.spec.id: fault for fault in faults if fault.claims}
    ordered = [claiming[spec.id] for spec in acting_order(scenario.faults) if spec.id in claiming]
    spans = [(fault, span) for fault in ordered if (span := _span(fault, specs)) is not None]
    problems = []
    for index, (fault, (start, end)) in enumerate(spans):
        for other, (other_start, other_end) in spans[:index]:
            claimed = sorted(fault.claims & other.claims)
            if claimed and start < other_end and other_start <= end:  # at one time, the other one acts first
                message = f"fault {fault.spec.id} overlaps {other.spec.id} ({other.spec.source}): both {claimed[0]}"
                problems.append(_problem(message, fault.spec.source, None))
                break
    return problems


def _span(fault: PlannedFault, specs: Mapping[str, FaultSpec]) -> tuple[int, float] | None:
    """From when to when a fault is in force; None when that is not known before the run."""
    spec = fault.spec
    trigger = trigger_of(spec, specs)
    if trigger.seen is not None:
        return None
    if spec.for_ns is not None or not getattr(fault.factory, "heals", True):
        return trigger.after_ns, trigger.after_ns + (spec.for_ns or 0)
    healer = healer_of(spec.id, specs)
    if healer is None:
        return trigger.after_ns, math.inf
    healing = trigger_of(healer, specs)
    return None if healing.seen is not None else (trigger.after_ns, healing.after_ns)


def _node_problems(spec: FaultSpec, factory: Any, scenario: Scenario, nodes: Sequence[NodePlan]) -> list[Problem]:
    """What the nodes that a fault names do not have: capabilities, or, as far as it asks, memory and symbols."""
    problems = _missing_capabilities(spec, factory, scenario, nodes)
    if problems or not nodes or not hasattr(factory, "examine"):
        return problems
    try:
        factory.examine(spec, scenario, {node.spec.id: node for node in nodes})
    except ValueError as error:
        return [_problem(f"fault {spec.kind}: {error}", spec.source, None)]
    return []


def _missing_capabilities(
    spec: FaultSpec, factory: Any, scenario: Scenario, nodes: Sequence[NodePlan]
) -> list[Problem]:
    named = {node.id for node in nodes_named(spec, scenario)}
    return [
        _problem(
            f"fault {spec.kind} needs {capability}, which node {node.spec.id} (kind {node.spec.kind}) does not have",
            spec.source,
            None,
        )
        for node in nodes
        if node.spec.id in named
        for capability in sorted(factory.needs - node.capabilities)
    ]


def nodes_named(spec: FaultSpec, scenario: Scenario) -> list[NodeSpec]:
    """The nodes that a fault names in its parameters `node` and `nodes`."""
    names = [spec.params.get("node"), *(spec.params.get("nodes") or ())]
    found = [scenario.find_node(name) for name in names if name is not None]
    return [node for node in found if node is not None]


def _refuse_foreign_ports(scenario: Scenario, wires: Wires, nodes: tuple[NodePlan, ...]) -> None:
    """Nodes that cannot be attached to this kind of network."""
    mode = scenario.network.mode
    problems = [
        _problem(f"node {node.spec.id}: kind {node.spec.kind} cannot be part of a network of mode {mode}", source, None)
        for node in nodes
        if node.port not in wires.ports
        for source in (node.spec.source,)
    ]
    if problems:
        raise ScenarioError(problems)


def _problem(message: str, source: SourceRef | None, hint: str | None) -> Problem:
    if source is None:
        return Problem(message, hint=hint)
    return Problem(message, source.file, source.line, source.column, hint)
