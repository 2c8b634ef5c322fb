"""Lookahead: the least time in which anything can get from one guest to another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import replace
from heapq import heapify, heappop, heappush

from swarmrig.model.network import Impairment, LinkPlan, NetworkPlan
from swarmrig.net.engine import Engine
from swarmrig.net.router import ANSWER_DELAY_NS

FAR = 1 << 61


class Distances:
    """Least latencies in ns between guests, by index.

    Forwarders and Python nodes pass on, or answer, what reaches them; so a guest hears of itself again at the earliest
    after the way to another guest, a Python node or an answering router, and back.
    """

    def __init__(self, plan: NetworkPlan, guests: list[str], outside: Collection[str] = ()) -> None:
        """`outside`: devices that live by another time. What they send has the time at which it becomes known, so they
        answer nobody."""
        edges: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for link in plan.links:
            edges[link.a].append((link.b, least_latency_ns(link.forward)))
            edges[link.b].append((link.a, least_latency_ns(link.backward)))
        routers = {router.name: ANSWER_DELAY_NS for router in plan.routers}
        others = {*guests, *outside}
        python = {device.name: 0 for device in plan.devices if device.name not in others}
        inside = {*(switch.name for switch in plan.switches), *routers, *python}
        starts = (*guests, *inside, *outside) if guests else ()  # or else nobody is to be reached
        ways = {start: _ways(edges, inside, start) for start in starts}
        echoes = {**routers, **python, **dict.fromkeys(guests, 0)}

        def echo(guest: str) -> int:
            others = ((other, delay) for other, delay in echoes.items() if other != guest)
            return min(
                (_to(ways, guest, other) + delay + _to(ways, other, guest) for other, delay in others), default=FAR
            )

        self.to = [[echo(one) if one == other else _to(ways, other, one) for other in guests] for one in guests]
        """By receiver, then by sender."""
        self.least_to = [min(row) for row in self.to]
        """By receiver, from whichever guest is nearest."""
        self.farthest = [max(row[index] for row in self.to) for index in range(len(guests))]
        """By sender, to whichever guest is farthest."""
        # Also from where guests are: frames may be put into the network there without them.
        self.from_network = [
            min((_to(ways, start, guest) for start in ways if start != guest), default=FAR) for guest in guests
        ]
        """By receiver, from wherever in the network is nearest."""
        self.from_outside = [min((_to(ways, device, guest) for device in outside), default=FAR) for guest in guests]
        """By receiver, from whichever device outside is nearest."""
        self.from_senders = list(map(min, self.least_to, self.from_outside))
        """By receiver, from whoever may send and is nearest."""


def _to(ways: dict[str, dict[str, int]], start: str, end: str) -> int:
    return ways[start].get(end, FAR)


def _ways(edges: dict[str, list[tuple[str, int]]], inside: set[str], start: str) -> dict[str, int]:
    """Dijkstra from one end; the way leads on only through what is inside the network."""
    best: dict[str, int] = {start: 0}
    queue = [(latency, name) for name, latency in edges[start]]
    heapify(queue)
    while queue:
        distance, name = heappop(queue)
        if name in best:
            continue
        best[name] = distance
        if name in inside:
            for neighbour, latency in edges[name]:
                heappush(queue, (distance + latency, neighbour))
    return best


def least_latency_ns(impairment: Impairment) -> int:
    """What the fastest frame needs in one direction, in ns."""
    if impairment.reorder:
        return impairment.latency_ns // 2
    return impairment.latency_ns


def least_latencies(engine: Engine) -> tuple[int, ...]:
    """What the fastest frame needs now, for each direction of each link."""
    return tuple(layers.least_latency_ns() for wire in engine.wires.values() for layers in wire.layers.values())


def links_as_they_are(engine: Engine) -> NetworkPlan:
    """The plan of a network in which each link is as fast as it can be now."""

    def at_best(link: LinkPlan) -> LinkPlan:
        layers = engine.wires[link.name].layers
        forward, backward = (
            Impairment(latency_ns=layers[name].least_latency_ns()) for name in ("forward", "backward")
        )  # fmt: skip
        return replace(link, forward=forward, backward=backward)

    return replace(engine.plan, links=tuple(map(at_best, engine.plan.links)))
