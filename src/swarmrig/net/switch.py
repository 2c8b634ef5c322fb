"""A learning layer-2 switch, sans-I/O: no delay, no queue of its own; those belong to its links.

Forwarding follows IEEE 802.1D: learn the source, send to the port behind which the destination was last seen, flood
what is unknown or a group address, never send back, keep the reserved link-local groups to the link. Loops of
switches are cut beforehand by `looping_links`, once: a cut elsewhere does not bring a blocked link back.
"""

from __future__ import annotations

from collections.abc import Sequence

from swarmrig.model.network import NetworkPlan
from swarmrig.net.link import Direction

TABLE_SIZE = 1 << 16
"""Addresses a switch remembers; beyond, the one learned first is forgotten."""
_LINK_LOCAL = b"\x01\x80\xc2\x00\x00"


class _Table:
    """What a switch has learned, and what follows from it."""

    __slots__ = ("capacity", "flows", "ports")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.ports: dict[bytes, SwitchPort] = {}
        """By address, the port behind which it was last seen."""
        self.flows: list[dict[bytes, Direction]] = []
        """The ports' short cuts; all are void once an address is learned, moves, or is forgotten."""


class SwitchPort:
    """One port: `receive` takes what comes in from its link, `egress` carries what goes out.

    Most frames belong to a conversation that is known already: one look-up by both addresses, the frame's first
    twelve bytes, finds the way of these.
    """

    __slots__ = ("_egresses", "_flows", "_table", "egress")

    def __init__(self, egress: Direction, table: _Table) -> None:
        self.egress = egress
        self._table = table
        self._flows: dict[bytes, Direction] = {}
        self._egresses: tuple[Direction, ...] = ()
        """Of all ports of the switch, which share it: with thousands of them, one for each would be large."""
        table.flows.append(self._flows)

    def receive(self, t_ns: int, frame: bytes) -> None:
        flows = self._flows
        key = frame[:12]
        egress = flows.get(key)
        if egress is not None:
            egress.send(t_ns, frame)
        else:
            self._receive_new(t_ns, frame, key)

    def know(self, address: bytes) -> None:
        """An address is behind this port for certain, before anything comes from there."""
        self._table.ports[address] = self

    def join(self, egresses: tuple[Direction, ...]) -> None:
        """Say where the ports of the switch lead, this one's own among them."""
        self._egresses = egresses

    def _receive_new(self, t_ns: int, frame: bytes, key: bytes) -> None:
        table = self._table
        if table.ports.get(key[6:]) is not self:
            self._learn(key[6:])
        port = table.ports.get(key[:6])
        if port is None:
            self._flood(t_ns, frame)
        elif port is not self:
            if table.ports.get(key[6:]) is self:
                if len(self._flows) >= table.capacity:
                    self._flows.clear()
                self._flows[key] = port.egress
            port.egress.send(t_ns, frame)

    def _flood(self, t_ns: int, frame: bytes) -> None:
        if frame[:5] == _LINK_LOCAL and frame[5] < 16:
            return
        own = self.egress
        for egress in self._egresses:
            if egress is not own:
                egress.send(t_ns, frame)

    def _learn(self, source: bytes) -> None:
        table = self._table
        if source[0] & 1:
            return
        if source not in table.ports and len(table.ports) >= table.capacity:
            del table.ports[next(iter(table.ports))]
        table.ports[source] = self
        for flows in table.flows:
            flows.clear()


def connect_switch(egresses: Sequence[Direction], capacity: int = TABLE_SIZE) -> tuple[SwitchPort, ...]:
    """The ports of a new switch, one for each link direction that leads away from it."""
    table = _Table(capacity)
    ports = tuple(SwitchPort(egress, table) for egress in egresses)
    shared = tuple(egresses)
    for port in ports:
        port.join(shared)
    return ports


def looping_links(plan: NetworkPlan) -> frozenset[str]:
    """Links between switches that would close a loop: all but a spanning tree, the first in the plan kept."""
    switches = {switch.name for switch in plan.switches}
    root = {name: name for name in switches}

    def find(name: str) -> str:
        while root[name] != name:
            root[name] = root[root[name]]
            name = root[name]
        return name

    blocked = set()
    for link in plan.links:
        if link.a in switches and link.b in switches:
            a, b = find(link.a), find(link.b)
            if a == b:
                blocked.add(link.name)
            else:
                root[a] = b
    return frozenset(blocked)
