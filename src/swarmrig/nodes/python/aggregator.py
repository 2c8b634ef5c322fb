"""The aggregator: a Python node that receives every node's datagrams and writes down what it saw.

Run time in ns throughout. It believes nothing but what arrives: nodes are told apart by the number in their frames,
and a datagram that does not parse is counted by reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from swarmrig.nodes.python.host import Datagram, Host
from swarmrig.nodes.python.sequence import SequenceTracker
from swarmrig.wire.csi import Csi
from swarmrig.wire.decode import parse_message
from swarmrig.wire.malformed import Malformed, MalformedError
from swarmrig.wire.vitals import Vitals

DEFAULT_PORT = 5005
_NS_PER_S = 1_000_000_000


@dataclass(slots=True)
class NodeTally:
    """What arrived from one node."""

    bytes: int = 0
    sequence: SequenceTracker = field(default_factory=SequenceTracker)
    vitals: int = 0
    falls: int = 0
    """Vitals packets with the fall flag."""
    first_ns: int | None = None
    """Arrival of the first CSI frame."""
    last_ns: int | None = None
    sources: set[str] = field(default_factory=set)
    """Who sent the datagrams: the node itself, or the hub that forwards for it."""

    def add_csi(self, t_ns: int, csi: Csi) -> None:
        self.sequence.observe(csi.seq)
        self.first_ns = t_ns if self.first_ns is None else self.first_ns
        self.last_ns = t_ns

    def add_vitals(self, vitals: Vitals) -> None:
        self.vitals += 1
        self.falls += vitals.fall

    @property
    def rate_hz(self) -> float | None:
        """Frames (each number once) by the time from the first to the last; None for less than two."""
        unique = self.sequence.frames - self.sequence.duplicates
        if unique < 2 or self.first_ns is None or self.last_ns is None or self.last_ns == self.first_ns:
            return None
        return (unique - 1) * _NS_PER_S / (self.last_ns - self.first_ns)

    def report(self) -> dict[str, Any]:
        sequence, rate = self.sequence, self.rate_hz
        return {
            "frames": sequence.frames,
            "unique_frames": sequence.frames - sequence.duplicates,
            "bytes": self.bytes,
            "gaps": sequence.gaps,
            "duplicates": sequence.duplicates,
            "reorders": sequence.reorders,
            "restarts": sequence.restarts,
            "rate_hz": None if rate is None else round(rate, 3),
            "first_ns": self.first_ns,
            "last_ns": self.last_ns,
            "vitals": self.vitals,
            "falls": self.falls,
            "sources": sorted(self.sources),
        }


class Aggregator(Host):
    """Config: that of `Host`, `port` (default 5005) and `nodes`: the expected nodes as {id: number}, or just numbers.

    The first frame of each node is told on the console; the rest is in `report()`. Expected nodes that never sent
    are reported with zeros; frames of other numbers are counted under `unknown_nodes`, in the same form.
    """

    def __init__(self, name: str, config: Mapping[str, Any]) -> None:
        super().__init__(name, config)
        self.port = int(config.get("port", DEFAULT_PORT))
        self.expected = _expected(config.get("nodes", ()))
        self.nodes: dict[int, NodeTally] = {number: NodeTally() for number in self.expected}
        self.datagrams = 0
        self.bytes = 0
        self.malformed: dict[str, int] = {}

    def on_start(self) -> None:
        self.open_udp(self.port, self._on_datagram)
        self.log(f"aggregator: listening on {self.ip}:{self.port} for {len(self.expected)} nodes")

    def report(self) -> Mapping[str, Any]:
        """JSON-able; node numbers are text, as JSON wants keys to be."""
        tallies = sorted(self.nodes.items())
        return {
            "address": f"{self.ip}:{self.port}",
            "datagrams": self.datagrams,
            "bytes": self.bytes,
            "frames": sum(tally.sequence.frames for _, tally in tallies),
            "nodes": {
                str(number): {"id": self.expected[number], **tally.report()}
                for number, tally in tallies
                if number in self.expected
            },
            "unknown_nodes": {str(number): tally.report() for number, tally in tallies if number not in self.expected},
            "malformed": dict(sorted(self.malformed.items())),
            "host": super().report(),
        }

    def _on_datagram(self, datagram: Datagram) -> None:
        self.datagrams += 1
        self.bytes += len(datagram.payload)
        try:
            message = parse_message(datagram.payload)
        except MalformedError as error:
            self._count_malformed(error.reason)
            return
        if isinstance(message, Csi):
            self._tally(message.node, datagram).add_csi(datagram.t_ns, message)
        elif isinstance(message, Vitals):
            self._tally(message.node, datagram).add_vitals(message)
        else:
            self._count_malformed(Malformed.MESSAGE_MAGIC)  # TDM messages have no business on this port

    def _tally(self, number: int, datagram: Datagram) -> NodeTally:
        tally = self.nodes.get(number)
        if tally is None:
            tally = self.nodes[number] = NodeTally()
        if not tally.bytes:
            known = "node_id" if number in self.expected else "unknown node_id"
            self.log(f"aggregator: first datagram from {known}={number} ({datagram.src})")
        tally.bytes += len(datagram.payload)
        tally.sources.add(datagram.src)
        return tally

    def _count_malformed(self, reason: Malformed) -> None:
        self.malformed[reason.value] = self.malformed.get(reason.value, 0) + 1


def _expected(nodes: Mapping[str, int] | Iterable[int]) -> dict[int, str]:
    """Number -> id; a number without an id is its own."""
    if isinstance(nodes, Mapping):
        return {int(number): str(node) for node, number in nodes.items()}
    return {int(number): str(number) for number in nodes}


def make_aggregator(name: str, config: Mapping[str, Any]) -> Aggregator:
    """The factory that network plans name."""
    return Aggregator(name, config)
