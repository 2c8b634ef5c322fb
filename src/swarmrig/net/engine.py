"""The network engine, sans-I/O: (time, frame) in, (time, frame) out, the same in real and in virtual time.

A driver feeds `send` with what devices transmit and calls `advance` up to a horizon; the engine calls the devices'
sinks with what arrives. Everything is ordered by (time, order of arrival), so equal inputs give equal outputs.
Frames cross access wires and forwarders at once; only links take time.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from heapq import heappop
from typing import Any

from swarmrig.model.network import DevicePlan, LinkPlan, NetworkPlan, PortKind
from swarmrig.model.scenario import FailurePolicy, OnFailure
from swarmrig.net.directory import Directory
from swarmrig.net.factory import find_factory
from swarmrig.net.hosted import AnyNode, HostedNode
from swarmrig.net.layers import Layers
from swarmrig.net.link import MAX_FRAME, MIN_FRAME, Agenda, Direction, Receiver, Record
from swarmrig.net.router import Router
from swarmrig.net.switch import connect_switch, looping_links
from swarmrig.wire.ethernet import mac_to_bytes
from swarmrig.wire.filter import compile_filter

Capture = Callable[[Record], object]
NodeFactory = Callable[[DevicePlan], AnyNode]


class Wire:
    """One link: both directions."""

    __slots__ = ("backward", "forward", "layers", "plan")

    def __init__(self, plan: LinkPlan, seed: int, agenda: Agenda, record: Capture | None) -> None:
        self.plan = plan
        self.forward = Direction(plan.name, "forward", seed, plan.forward, agenda, access=plan.access, record=record)
        self.backward = Direction(
            plan.name, "backward", seed, plan.backward, agenda, interfaces=(1, 0), access=plan.access, record=record
        )
        self.layers = {"forward": Layers(self.forward), "backward": Layers(self.backward)}

    def away_from(self, end: str) -> Direction:
        return self.forward if end == self.plan.a else self.backward

    def towards(self, end: str) -> Direction:
        return self.backward if end == self.plan.a else self.forward

    def chosen(self, direction: str | None) -> list[Layers]:
        """What is in force `forward` or `backward`, or in both directions."""
        if direction not in (None, *self.layers):
            raise ValueError(f"a direction is forward or backward, not {direction!r}")
        return [layers for name, layers in self.layers.items() if direction in (None, name)]

    def counters(self, waiting: tuple[Agenda, Mapping[Receiver, int]] | None = None) -> dict[str, object]:
        """Both directions, and their sums."""
        forward, backward = self.forward.counters(waiting), self.backward.counters(waiting)
        drops = {
            fate: forward.drops.get(fate, 0) + backward.drops.get(fate, 0)
            for fate in {**forward.drops, **backward.drops}
        }
        return {
            "frames": forward.frames + backward.frames,
            "bytes": forward.byte_count + backward.byte_count,
            "delivered": forward.delivered + backward.delivered,
            "drops": drops,
            "forward": dataclasses.asdict(forward),
            "backward": dataclasses.asdict(backward),
        }


class Engine:
    """A network built from its plan."""

    def __init__(
        self,
        plan: NetworkPlan,
        *,
        captures: Mapping[str, Capture] | None = None,
        make_node: NodeFactory | None = None,
    ) -> None:
        """`captures`: by link name, who gets an entry for each frame that enters that link. `make_node` makes Python
        nodes in place of their factories."""
        self.plan = plan
        self.now_ns = 0
        self.runts = 0
        self.agenda = Agenda()
        captures = captures or {}
        self.wires = {link.name: Wire(link, plan.seed, self.agenda, captures.get(link.name)) for link in plan.links}
        self._wires_by_device = {device.name: self.wires[device.link] for device in plan.devices}
        self._connect_switches()
        self.routers = tuple(self._router(router) for router in plan.routers)
        directory = Directory.of_plan(plan)
        self.nodes = {
            device.name: self._host(
                device, partial(make_node, device) if make_node else find_factory(device, directory)
            )
            for device in plan.devices
            if device.port is PortKind.PYTHON
        }

    def attach(self, device: str, sink: Receiver) -> None:
        """Have `sink(t_ns, frame)` called with what arrives at a device."""
        self._wire_of(device).towards(device).connect(sink)

    def collect(self, device: str, inbox: Agenda) -> None:
        """Have what arrives at a device put into `inbox` as soon as its time of arrival is certain, ahead of it."""

        def arrive(t_ns: int, frame: bytes) -> None:  # by a wire that takes no time
            inbox.at(t_ns, arrive, frame)

        ingress = self.ingress(device)
        ingress.connect(arrive)
        ingress.hand_over_to(inbox)

    def egress(self, device: str) -> Direction:
        """The direction that a device sends into; its `send` is `Engine.send` without the look-up."""
        return self._wire_of(device).away_from(device)

    def ingress(self, device: str) -> Direction:
        """The direction that ends at a device; `overrun` tells it that the device did not take a frame."""
        return self._wire_of(device).towards(device)

    def send(self, t_ns: int, device: str, frame: bytes) -> None:
        """A device transmits, never earlier than what was last sent or advanced to. Runts are dropped."""
        if len(frame) >= MIN_FRAME:
            self.egress(device).send(t_ns, frame)
        else:
            self.runts += 1

    def next_ns(self) -> int | None:
        """When something is due next without further input."""
        heap = self.agenda.heap
        return heap[0][0] if heap else None

    def advance_one(self) -> None:
        """Live through the one thing that is due next; the agenda must not be empty."""
        due, _, receiver, frame = heappop(self.agenda.heap)
        receiver(due, frame)
        self.now_ns = max(self.now_ns, due)

    def advance(self, t_ns: int) -> None:
        """Live through everything due at or before `t_ns`."""
        heap = self.agenda.heap
        while heap and heap[0][0] <= t_ns:
            due, _, receiver, frame = heappop(heap)
            receiver(due, frame)
        if t_ns > self.now_ns:
            self.now_ns = t_ns

    def set_link(
        self,
        t_ns: int,
        link: str,
        changes: Mapping[str, Any],
        direction: str | None = None,
        *,
        layer: str | None = None,
        frames: int | None = None,
    ) -> None:
        """Change fields of a link's impairment from now on; ValueError names what does not exist.

        With `layer`, the changes lie over all others under that name until they are replaced (by nothing, if they
        are empty) or, with `frames`, until so many have entered.
        """
        if frames is not None and layer is None:
            raise ValueError("changes for a number of frames need a layer")
        chosen = self._wire(link).chosen(direction)
        for layers in chosen:
            layers.check(changes, frames)
        for layers in chosen:
            if layer is None:
                layers.change(t_ns, changes)
            else:
                layers.put(t_ns, layer, changes, frames)

    def set_filter(
        self, t_ns: int, link: str, text: str | None, direction: str | None = None, *, layer: str = ""
    ) -> None:
        """Drop the frames that match a filter (see wire.filter) from now on; None ends what `layer` drops."""
        chosen = self._wire(link).chosen(direction)
        matching = None if text is None else compile_filter(text)
        for layers in chosen:
            layers.block(t_ns, layer, matching)

    def inject(self, t_ns: int, link: str, end: str, frames: Sequence[tuple[int, bytes]]) -> int:
        """Have frames enter a link at one end, each at its time or, if that is past, at `t_ns`; returns the time of
        the first. What is there already for the same instant comes before it."""
        wire = self._wire(link)
        if end not in (wire.plan.a, wire.plan.b):
            raise ValueError(f"the ends of the link {link} are {wire.plan.a} and {wire.plan.b}, not {end!r}")
        if not frames:
            raise ValueError("there is no frame to inject")
        for _, frame in frames:
            if not MIN_FRAME <= len(frame) <= MAX_FRAME:
                raise ValueError(f"a frame has {MIN_FRAME} to {MAX_FRAME} bytes, not {len(frame)}")
        enter = wire.away_from(end).inject
        for due, frame in frames:
            self.agenda.at(max(due, t_ns), enter, frame)
        return max(min(due for due, _ in frames), t_ns)

    def frames_under_way(self) -> int:
        """Frames that are on some link now, or that a router is about to answer with."""
        arrivals = self._arrivals()
        return sum(entry[2] in arrivals for entry in self.agenda.heap)

    def run_dry(self, deadline_ns: int) -> bool:
        """Let what is under way arrive; False when some still is at the deadline. Python nodes hear of it, but what
        they had before them they do not begin any more."""
        self.agenda.drop_timers()
        arrivals, heap = self._arrivals(), self.agenda.heap
        while (some := any(entry[2] in arrivals for entry in heap)) and heap[0][0] <= deadline_ns:
            self.advance_one()
            if not any(entry[2] in arrivals for entry in heap):
                self.advance(self.now_ns)  # and what Python nodes do about it at that instant
        return not some

    def _arrivals(self) -> frozenset[Receiver]:
        """The receivers of frames that are on some link."""
        directions = [each for wire in self.wires.values() for each in (wire.forward, wire.backward)]
        return frozenset(each.receiver for each in directions) | {each.send for each in directions}

    def statistics(self) -> dict[str, Any]:
        """What has been counted up to now, and what Python nodes report: part of `Fabric.statistics`."""
        nodes = self.nodes
        waiting = self.agenda, Counter(entry[2] for entry in self.agenda.heap)
        return {
            "links": {name: wire.counters(waiting) for name, wire in self.wires.items()},
            "routers": {router.name: {"forwarded": router.forwarded, "drops": router.drops} for router in self.routers},
            "nodes": {name: node.report() for name, node in nodes.items()},
            "node_turns": {name: node.turns for name, node in nodes.items() if node.turns},
            "console": {name: lines for name, node in nodes.items() if (lines := node.take_console())},
        }

    def _wire(self, link: str) -> Wire:
        if link not in self.wires:
            raise ValueError(f"there is no link {link!r}: the links are {', '.join(self.wires)}")
        return self.wires[link]

    def _wire_of(self, device: str) -> Wire:
        return self._wires_by_device[device]

    def _connect_switches(self) -> None:
        """Where Python nodes are, switches know beforehand: their frames are not flooded, nor need they say a word."""
        blocked = looping_links(self.plan)
        macs = {
            each.name: mac_to_bytes(each.mac) for each in self.plan.devices if each.mac and each.port is PortKind.PYTHON
        }
        for switch in self.plan.switches:
            wires = [
                wire for name, wire in self.wires.items()
                if switch.name in (wire.plan.a, wire.plan.b) and name not in blocked
            ]  # fmt: skip
            ports = connect_switch([wire.away_from(switch.name) for wire in wires])
            for wire, port in zip(wires, ports, strict=True):
                wire.towards(switch.name).connect(port.receive)
                mac = macs.get(wire.plan.b if wire.plan.a == switch.name else wire.plan.a)
                if mac is not None:
                    port.know(mac)

    def _router(self, plan: Any) -> Router:
        egresses = {interface.link: self.wires[interface.link].away_from(plan.name) for interface in plan.interfaces}
        router = Router(plan, egresses, self.agenda)
        for interface in router.interfaces:
            self.wires[interface.plan.link].towards(plan.name).connect(interface.receive)
        return router

    def _host(self, device: DevicePlan, make: Callable[[], AnyNode]) -> HostedNode:
        given = device.config.get("on_failure")
        policy = OnFailure(**{**given, "policy": FailurePolicy(given["policy"])}) if given else OnFailure()
        hosted = HostedNode(make, self.egress(device.name), self.agenda, policy)
        self.ingress(device.name).connect(hosted.receive, hosted.receive_at_once)
        return hosted
