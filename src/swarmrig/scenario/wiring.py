"""The section `network`: topology, hub, links, and whether they fit the nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from swarmrig.model.network import GilbertElliott, Impairment
from swarmrig.model.scenario import LinkSpec, NetworkMode, NetworkSpec, NodeSpec, Role, Topology
from swarmrig.scenario.explain import checked
from swarmrig.scenario.fleet import Fleet
from swarmrig.scenario.native import LinkEntry, LinkOptions, NetworkEntry
from swarmrig.scenario.problems import Mark, Problems, shorten, suggest_or_list
from swarmrig.scenario.tree import Items, Scalar, Table, Tree, describe, is_null

LAN = "lan"
"""The switch of a mesh, one end of each of its links."""
AGGREGATOR = "aggregator"
"""The rig's own receiver; its link can be impaired as any other. Where it is attached, the plan knows."""
MINIMUM = {Topology.LINE: 2, Topology.RING: 3, Topology.CUSTOM: 2}

Pair = frozenset[str]


@dataclass(frozen=True, slots=True)
class _Given:
    """A link of the file that could be read."""

    entry: LinkEntry
    mark: Mark


def read_network(tree: Tree | None, fleet: Fleet, problems: Problems) -> NetworkSpec:
    """The model of the section; what does not fit the nodes is reported."""
    table = _table(tree, problems)
    entry = checked(NetworkEntry, table.without({"links"}), problems, also_known=["links"])
    entry = entry or NetworkEntry.model_validate({})
    given, complete = _read_links(table.get("links"), problems)
    hub = _hub(entry, table, fleet, problems)
    known = [link for link in given if _ends_exist(link, entry.topology, fleet, problems)]
    _refuse_repeated(known, problems)
    if entry.mode is NetworkMode.USER:
        _refuse_wires(entry, given, table, problems)
    elif _is_read(entry, table):
        _refuse_too_few(entry.topology, fleet, table, problems)
        complete = complete and len(known) == len(given)
        _check_shape(entry.topology, hub, known, complete, fleet, table, problems)
    return NetworkSpec(
        topology=entry.topology,
        hub=hub,
        impairment=impairment(entry.link),
        links=tuple(_link_spec(link, entry.link) for link in known),
        mode=entry.mode,
        capture=entry.capture,
        quantum_ns=entry.quantum,
    )


def _is_read(entry: NetworkEntry, table: Table) -> bool:
    """False when the topology is not what the file says, because that is none: then nothing follows from it."""
    given = table.get("topology")
    return given is None or is_null(given) or (isinstance(given, Scalar) and given.value == entry.topology.value)


def _refuse_wires(entry: NetworkEntry, given: Sequence[_Given], table: Table, problems: Problems) -> None:
    """In mode user nothing joins nodes, so whatever shape is said is not built."""
    hint = "use `mode: fabric`, which needs no privileges either"
    if impairment(entry.link) != Impairment():
        problems.add(table.place("link"), "link: a network of mode user has no links that could be impaired", hint)
    for link in given:
        a, b = link.entry.between
        message = f"links: a network of mode user has no link between {shorten(a)} and {shorten(b)}"
        problems.add(link.mark, message, hint)


def _check_shape(
    topology: Topology,
    hub: str | None,
    links: Sequence[_Given],
    complete: bool,
    fleet: Fleet,
    table: Table,
    problems: Problems,
) -> None:
    if topology is not Topology.CUSTOM:
        _refuse_foreign(links, topology, hub, fleet.ids, problems)
    elif complete:  # a broken link would make its nodes look unconnected
        _require_connected(links, fleet, table, problems)


def impairment(options: LinkOptions, under: LinkOptions | None = None) -> Impairment:
    """The model of link options; what they do not set comes from `under`."""
    if under is not None:
        own = {key: getattr(options, key) for key in options.model_fields_set if key in LinkOptions.model_fields}
        options = under.model_copy(update=own)
    burst = options.burst
    return Impairment(
        latency_ns=options.latency,
        jitter_ns=options.jitter,
        loss=options.loss,
        burst=GilbertElliott(burst.to_bad, burst.to_good, burst.good_loss, burst.bad_loss) if burst else None,
        duplicate=options.duplicate,
        reorder=options.reorder,
        corrupt=options.corrupt,
        rate_bps=options.rate,
        queue_bytes=options.queue,
    )


def _link_spec(link: _Given, under: LinkOptions) -> LinkSpec:
    return LinkSpec(link.entry.between, impairment(link.entry, under), link.mark.ref)


def _table(tree: Tree | None, problems: Problems) -> Table:
    if isinstance(tree, Table):
        return tree
    if tree is not None and not is_null(tree):
        problems.add(tree.mark, f"network: expected a mapping, seen {describe(tree)}")
    return Table()


def _read_links(tree: Tree | None, problems: Problems) -> tuple[list[_Given], bool]:
    """The links that could be read, and whether these are all."""
    if tree is None or is_null(tree):
        return [], True
    if not isinstance(tree, Items):
        problems.add(tree.mark, f"links: expected a list, seen {describe(tree)}")
        return [], False
    read = [(checked(LinkEntry, item, problems), item.mark) for item in tree.items]
    given = [_Given(entry, mark) for entry, mark in read if entry is not None]
    return given, len(given) == len(tree.items)


def _hub(entry: NetworkEntry, table: Table, fleet: Fleet, problems: Problems) -> str | None:
    if entry.hub is not None:
        place = table.get("hub")
        mark = place.mark if place else table.mark
        if _is_read(entry, table) and entry.topology not in (Topology.STAR, Topology.CUSTOM):
            message = f"hub: a {entry.topology.value} has no hub"
            problems.add(mark, message, "use `topology: star`, or leave hub out")
        elif entry.hub not in fleet.ids:
            problems.add(mark, f"hub: no node is called {shorten(entry.hub)}", suggest_or_list(entry.hub, fleet.ids))
        return entry.hub
    return default_hub(fleet.nodes) if entry.topology is Topology.STAR else None


def default_hub(nodes: Sequence[NodeSpec]) -> str | None:
    """The middle of a star: the first coordinator, else the first gateway, else the first node."""
    coordinators = [node.id for node in nodes if node.role is Role.COORDINATOR]
    gateways = [node.id for node in nodes if node.gateway]
    return next(iter([*coordinators, *gateways, *(node.id for node in nodes)]), None)


def _refuse_too_few(topology: Topology, fleet: Fleet, table: Table, problems: Problems) -> None:
    least = MINIMUM.get(topology, 1)
    if 0 < len(fleet.ids) < least:
        place = table.get("topology")
        message = f"topology: a {topology.value} needs at least {least} nodes, there is {len(fleet.ids)}"
        problems.add(place.mark if place else table.mark, message.replace("is 2", "are 2"))


def _ends_exist(link: _Given, topology: Topology, fleet: Fleet, problems: Problems) -> bool:
    ends = [*fleet.ids, AGGREGATOR, *([LAN] if topology is Topology.MESH else [])]
    missing = [end for end in link.entry.between if end not in ends]
    for end in missing:
        problems.add(link.mark, f"between: no node is called {shorten(end)}", partial(suggest_or_list, end, ends))
    if not missing and link.entry.between[0] == link.entry.between[1]:
        problems.add(link.mark, f"between: joins {link.entry.between[0]} with itself")
        return False
    return not missing


def _refuse_repeated(links: Sequence[_Given], problems: Problems) -> None:
    first: dict[Pair, Mark] = {}
    for link in links:
        other = first.setdefault(frozenset(link.entry.between), link.mark)
        if other != link.mark:
            a, b = link.entry.between
            problems.add(
                link.mark, f"between: the link of {a} and {b} stands here for the second time (first: {other})"
            )


def topology_pairs(topology: Topology, hub: str | None, ids: Sequence[str]) -> set[Pair]:
    """The pairs that a topology joins (not for custom); of a mesh, each node with the switch `lan`."""
    if topology is Topology.STAR:
        return {frozenset((hub or "", node)) for node in ids if node != hub}
    if topology is Topology.MESH:
        return {frozenset((LAN, node)) for node in ids}
    pairs = {frozenset(pair) for pair in pairwise(ids)}
    if topology is Topology.RING and len(ids) > 2:
        pairs.add(frozenset((ids[-1], ids[0])))
    return pairs


def _refuse_foreign(
    links: Sequence[_Given], topology: Topology, hub: str | None, ids: Sequence[str], problems: Problems
) -> None:
    pairs = topology_pairs(topology, hub, ids)
    rule = {
        Topology.STAR: f"in a star every link has the hub {hub} at one end",
        Topology.MESH: "in a mesh every link has the switch `lan` at one end",
        Topology.LINE: "in a line each node is linked to the next one in the file",
        Topology.RING: "in a ring each node is linked to the next one in the file, and the last to the first",
    }
    for link in links:
        if AGGREGATOR not in link.entry.between and frozenset(link.entry.between) not in pairs:
            a, b = link.entry.between
            message = f"between: there is no link between {shorten(a)} and {shorten(b)}"
            problems.add(link.mark, message, f"{rule[topology]}; `topology: custom` takes any")


def _require_connected(links: Sequence[_Given], fleet: Fleet, table: Table, problems: Problems) -> None:
    if not fleet.ids:
        return
    reached, todo = {fleet.ids[0]}, [fleet.ids[0]]
    neighbours: dict[str, list[str]] = {node: [] for node in fleet.ids}
    for link in links:
        a, b = link.entry.between
        if AGGREGATOR in (a, b):
            continue
        neighbours[a].append(b)
        neighbours[b].append(a)
    while todo:
        for node in neighbours[todo.pop()]:
            if node not in reached:
                reached.add(node)
                todo.append(node)
    apart = [node for node in fleet.ids if node not in reached]
    if apart:
        message = f"links: no way leads from {fleet.ids[0]} to {', '.join(apart[:5])}{', …' * (len(apart) > 5)}"
        problems.add(table.place("links"), message, "a custom topology has the links that the file lists, no others")
