"""From a scenario to a network plan: who is wired to whom, with which addresses, routes and impairments.

Star and mesh, and a custom topology that is a star, are one segment around one switch. In all others every node has
a subnet, routers forward between them along shortest paths, and nothing reroutes: a cut must be seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from itertools import pairwise

from swarmrig.api.nodes import NodePlan
from swarmrig.errors import Problem, ScenarioError
from swarmrig.model.network import MOST_CAPTURES, LinkPlan, NetworkPlan
from swarmrig.model.scenario import LinkSpec, NetworkMode, Scenario, SourceRef, Topology
from swarmrig.net.devices import AGGREGATOR, AGGREGATOR_FACTORY, HOST
from swarmrig.net.routed import Edge, plan_routed
from swarmrig.net.segment import LAN, SERVICES, plan_segment

__all__ = [
    "AGGREGATOR",
    "AGGREGATOR_FACTORY",
    "LAN",
    "check_names",
    "link_between",
    "links_of_site",
    "plan_network",
    "site_of",
]


def plan_network(scenario: Scenario, node_plans: Sequence[NodePlan]) -> NetworkPlan:
    """The network of a scenario. ScenarioError tells all names and links of the file that do not fit."""
    bridged = scenario.network.mode is NetworkMode.BRIDGE
    check_names(scenario, also_taken={HOST} if bridged else frozenset())
    ids = [node.id for node in scenario.nodes]
    topology = scenario.network.topology
    if topology is Topology.MESH:
        plan = plan_segment(scenario, node_plans, None)
    elif topology is Topology.STAR:
        plan = plan_segment(scenario, node_plans, _hub(scenario, ids))
    elif topology is Topology.CUSTOM:
        plan = _plan_custom(scenario, node_plans, ids)
    else:
        edges = list(pairwise(ids))
        if topology is Topology.RING and len(ids) > 2:
            edges.append((ids[-1], ids[0]))
        plan = plan_routed(scenario, node_plans, edges, ids, _exit_node(scenario, ids))
    if bridged and not plan.switches:
        message = "network mode bridge needs one segment: a star, a mesh, or a custom topology that is a star"
        raise ScenarioError([Problem(message, scenario.source)])
    return _with_own_impairments(_captured(plan, scenario.network.capture), scenario.network.links)


def _captured(plan: NetworkPlan, wanted: bool | None) -> NetworkPlan:
    """With captures or without: thousands of files are of no use to anybody who did not ask for them."""
    if wanted or (wanted is None and len(plan.links) <= MOST_CAPTURES):
        return plan
    return replace(plan, links=tuple(replace(link, capture=False) for link in plan.links))


def link_between(plan: NetworkPlan, a: str, b: str) -> str:
    """Name of the link that joins two nodes (or a node and `lan` or `aggregator`), in either order.

    A node stands for itself and for the forwarder at its site. ValueError names the pairs that are joined.
    """
    pairs: dict[frozenset[str], str] = {}
    for link in plan.links:
        pair = frozenset((site_of(plan, link.a), site_of(plan, link.b)))
        if len(pair) == 2:
            pairs[pair] = link.name
    for link in plan.links:  # a device and its own forwarder, by their full names
        pairs.setdefault(frozenset((link.a, link.b)), link.name)
    found = pairs.get(frozenset((a, b)))
    if found is None:
        joined = ", ".join("–".join(_ordered(plan, name)) for name in dict.fromkeys(pairs.values()))
        raise ValueError(f"no link joins {a} and {b}: the links are {joined}")
    return found


def links_of_site(plan: NetworkPlan, node: str) -> list[LinkPlan]:
    """The links that lead away from where a node is: not the wire between it and the forwarder at its own site."""
    return [link for link in plan.links if not link.access and node in (site_of(plan, link.a), site_of(plan, link.b))]


def _ordered(plan: NetworkPlan, link: str) -> tuple[str, str]:
    ends = plan.link(link)
    a, b = site_of(plan, ends.a), site_of(plan, ends.b)
    return (a, b) if a != b else (ends.a, ends.b)


def site_of(plan: NetworkPlan, end: str) -> str:
    """The node (or `lan`, `aggregator`, …) where a link's end is: a forwarder stands at a node's site."""
    if any(end == switch.name for switch in plan.switches):
        return end.removesuffix(".switch")
    return end.removesuffix(".router") if any(end == router.name for router in plan.routers) else end


def _plan_custom(scenario: Scenario, plans: Sequence[NodePlan], ids: list[str]) -> NetworkPlan:
    links = [link for link in scenario.network.links if AGGREGATOR not in link.between]
    edges = [link.between for link in links]
    _check_edges(links, ids)
    degree = Counter(node for edge in edges for node in edge)
    centre = _star_centre(edges, degree, scenario.network.hub or _exit_node(scenario, ids))
    if len(ids) == 1 or centre is not None:
        return plan_segment(scenario, plans, centre or ids[0])
    uplink = _exit_node(scenario, ids)
    routers = [node for node in ids if degree[node] > 1 or node == uplink]
    return plan_routed(scenario, plans, edges, routers, uplink)


def _star_centre(edges: Sequence[Edge], degree: Counter[str], preferred: str) -> str | None:
    """The node that all links share, None when there is none; of the two ends of a single link the preferred one."""
    shared = [node for node in degree if degree[node] == len(edges)]
    return preferred if preferred in shared else next(iter(shared), None)


def _hub(scenario: Scenario, ids: Sequence[str]) -> str:
    if scenario.network.hub is not None:
        if scenario.network.hub not in ids:
            raise ScenarioError([Problem(f"the hub {scenario.network.hub!r} is not a node", scenario.source)])
        return scenario.network.hub
    return scenario.coordinator.id if scenario.coordinator else ids[0]


def _exit_node(scenario: Scenario, ids: Sequence[str]) -> str:
    """Where a routed network meets the aggregator: the gateway, else the coordinator, else the first node."""
    gateway = next((node.id for node in scenario.nodes if node.gateway), None)
    return gateway or (scenario.coordinator.id if scenario.coordinator else ids[0])


def _with_own_impairments(plan: NetworkPlan, specs: Sequence[LinkSpec]) -> NetworkPlan:
    links: dict[str, LinkPlan] = {link.name: link for link in plan.links}
    problems = []
    for spec in specs:
        try:
            name = link_between(plan, *spec.between)
        except ValueError as error:
            problems.append(_problem(str(error), spec.source))
            continue
        links[name] = replace(links[name], forward=spec.impairment, backward=spec.impairment)
    if problems:
        raise ScenarioError(problems)
    return replace(plan, links=tuple(links.values()))


def check_names(scenario: Scenario, *, also_taken: AbstractSet[str] = frozenset()) -> None:
    """Node ids become names of devices, links and capture files, next to those of the network itself. ScenarioError
    names all that clash."""
    if not scenario.nodes:
        raise ScenarioError([Problem("a network needs at least one node", scenario.source)])
    problems = []
    own = {AGGREGATOR, LAN, SERVICES, *also_taken}
    taken = set(own)
    for node in scenario.nodes:
        if node.id in taken:
            what = "is used by the network itself" if node.id in own else "is used twice"
            problems.append(_problem(f"the node id {node.id!r} {what}", node.source))
        elif "--" in node.id or "/" in node.id or node.id.endswith((".router", ".switch")):
            problems.append(
                _problem(f"the node id {node.id!r} reads like the name of a link or forwarder", node.source)
            )
        taken.add(node.id)
    if problems:
        raise ScenarioError(problems)


def _check_edges(links: Sequence[LinkSpec], ids: Sequence[str]) -> None:
    problems = []
    seen: set[frozenset[str]] = set()
    for link in links:
        pair = frozenset(link.between)
        unknown = [node for node in link.between if node not in ids]
        if unknown:
            problems.append(_problem(f"a link names {unknown[0]!r}, which is not a node", link.source))
        elif len(pair) == 1:
            problems.append(_problem(f"a link joins {link.between[0]!r} with itself", link.source))
        elif pair in seen:
            problems.append(_problem(f"{' and '.join(link.between)} are joined twice", link.source))
        seen.add(pair)
    if not problems:
        apart = _unreachable([link.between for link in links], ids)
        if apart:
            problems.append(Problem(f"no way leads from {ids[0]!r} to {', '.join(map(repr, apart))}"))
    if problems:
        raise ScenarioError(problems)


def _unreachable(edges: Sequence[Edge], ids: Sequence[str]) -> list[str]:
    reached = {ids[0]}
    grown = True
    while grown:
        new = {node for edge in edges if reached & set(edge) for node in edge} - reached
        grown = bool(new)
        reached |= new
    return [node for node in ids if node not in reached]


def _problem(message: str, source: SourceRef | None) -> Problem:
    if source is None:
        return Problem(message)
    return Problem(message, source.file, source.line, source.column)
