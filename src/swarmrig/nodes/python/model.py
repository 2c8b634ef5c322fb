"""The base of Python models: what a node written in Python overrides, and what it has at hand.

    from dataclasses import dataclass
    from swarmrig.nodes.python import Duration, Message, Model

    class Thermometer(Model):
        @dataclass(frozen=True)
        class Settings:
            to: str
            period: Duration = 1_000_000_000

        def on_start(self) -> None:
            self.every(self.settings.period, self.measure)

        def measure(self) -> None:
            self.send(self.settings.to, {"celsius": round(self.random.gauss(21.0, 0.5), 2)}, type="reading")

A model knows no time but `now_ns`, no chance but `random`, and nothing of the world but what arrives; so the same file
and seed give the same bytes in virtual time, and the same class runs in real time among containers.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

from swarmrig.net.directory import NOBODY, Directory
from swarmrig.nodes.python.host import Datagram, Host
from swarmrig.nodes.python.message import MESSAGE_PORT, Message
from swarmrig.nodes.python.settings import NoSettings, make_settings

_NS_PER_US = 1_000


class Model(Host):
    """A node of a scenario, written in Python. It has all of `Host`: UDP, timers, ping, the console (`log`).

    Attributes: `name` (the node's id), `number`, `role`, `settings`, `random`, `metrics`, `target` (where the nodes of
    the swarm send to: the coordinator's id, or `aggregator`).
    """

    Settings: ClassVar[type[Any]] = NoSettings
    """What the file may say under `settings:`, see nodes.python.settings."""

    settings: Any

    def __init__(self, name: str, config: Mapping[str, Any]) -> None:
        super().__init__(name, config)
        self.settings = make_settings(type(self).Settings, self.settings)
        self.number = int(config.get("number", 0))
        self.role = str(config.get("role", "sensor"))
        self.metrics: dict[str, int | float] = {}
        """Numbers that the run reports as `nodes.ID.model.NAME`."""
        self.__directory: Directory = config.get("directory", NOBODY)
        self.__quantum_ns = int(config.get("quantum_ns", 0))
        self.__inbox: list[Message] = []
        self.__messages = self.open_udp(MESSAGE_PORT, self.__on_message)

    @classmethod
    def examine(cls, settings: Any) -> None:
        """Look at settings in the rig's own process, before anything is launched: whether files are what they should
        be, say. ValueError says what is wrong with them; HostError what this machine lacks."""

    @classmethod
    def nodes_in(cls, settings: Any) -> Mapping[str, str]:  # noqa: ARG003 - for those that override it
        """Nodes that settings name elsewhere than in a `NodeId`, by where; the plan of a run sees to it that they are
        there."""
        return {}

    # What a model overrides, beside `on_start`.

    def on_message(self, message: Message) -> None:
        """A message has arrived."""

    # What a model uses, beside what a host has.

    @cached_property
    def random(self) -> random.Random:
        """Chance that belongs to this node alone, seeded from the scenario's seed and the node's id."""
        return random.Random(f"{self.config.get('seed', 0)}\0{self.name}".encode())

    @property
    def target(self) -> str:
        """Where the nodes of the swarm send to: the coordinator, or `aggregator` when there is none or this is it."""
        return self.__directory.name_of.get(str(self.config.get("target_ip")), "aggregator")

    def send(self, dst: str, payload: Any = None, *, type: str = "message", size_bytes: int = 0) -> Message:
        """Send a message to a node; returns it. `size_bytes`: what the payload takes on the wire, if that is more than
        its JSON. LookupError when there is no such node, ValueError when the message does not fit into a datagram."""
        message = Message(type, self.now_ns // _NS_PER_US, self.name, dst, payload, size_bytes)
        self.__messages.send(self.address_of(dst), MESSAGE_PORT, message.pack())
        return message

    def address_of(self, node: str) -> str:
        """The address of a node of the scenario, or of `aggregator`; LookupError when there is none."""
        try:
            return self.__directory.ip_of[node]
        except KeyError:
            raise LookupError(f"{self.name}: no node is called {node!r}") from None

    def mac_of(self, node: str) -> str:
        """The MAC that the plan gives a node; what is programmed into its firmware may be another. LookupError when
        there is no such node."""
        try:
            return self.__directory.mac_of_node[node]
        except KeyError:
            raise LookupError(f"{self.name}: no node is called {node!r}") from None

    def node_at(self, address: str) -> str:
        """The node that has an address; the address itself when none has."""
        return self.__directory.name_of.get(address, address)

    def count(self, name: str, by: int | float = 1) -> None:
        """Add to a metric."""
        self.metrics[name] = self.metrics.get(name, 0) + by

    def report(self) -> Mapping[str, Any]:
        """JSON-able state: the metrics, and what the host counts."""
        return {"metrics": dict(self.metrics), "host": super().report()}

    # Inside.

    def __on_message(self, datagram: Datagram) -> None:
        try:
            message = Message.parse(
                datagram.payload, src=self.node_at(datagram.src), dst=self.name, time_us=datagram.t_ns // _NS_PER_US
            )
        except (ValueError, RecursionError):
            self.counters.malformed["message"] = self.counters.malformed.get("message", 0) + 1
            return
        if self.__quantum_ns:
            self.__keep(message)
        else:
            self.on_message(message)

    def __keep(self, message: Message) -> None:
        """Until the next multiple of the network's quantum."""
        if not self.__inbox:
            self.call_at(-(-self.now_ns // self.__quantum_ns) * self.__quantum_ns, self.__hand_over)
        self.__inbox.append(message)

    def __hand_over(self) -> None:
        """In the order of (time, source, sequence), whatever ways the messages took."""
        inbox, self.__inbox = self.__inbox, []
        for message in sorted(inbox, key=lambda each: (each.time_us, each.src)):
            self.on_message(message)
