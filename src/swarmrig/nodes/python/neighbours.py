"""The ARP side of a Python host: who has which address, and the packets that wait for the answer."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING

from swarmrig.wire import arp
from swarmrig.wire.ethernet import EtherType

if TYPE_CHECKING:
    from swarmrig.nodes.python.host import Host

RETRY_NS = 1_000_000_000
TRIES = 3
WAITING_PACKETS = 32
"""Packets kept per unresolved neighbour; the oldest goes first."""


class Neighbours:
    """Entries never expire: addresses in a rig's network are fixed, and a change is announced by ARP anyway."""

    def __init__(self, host: Host, known: Mapping[str, str]) -> None:
        """`known`: MACs by address that need not be asked for."""
        self._host = host
        self._known = known
        self._macs: dict[str, str] = {}
        self._waiting: dict[str, deque[bytes]] = {}

    def send(self, hop: str, packet: bytes) -> None:
        """Send to a neighbour, now or once it has answered; after three unanswered requests, a second apart,
        what waits is dropped and counted."""
        mac = self.mac_of(hop)
        if mac is not None:
            self._host.transmit(mac, EtherType.IPV4, packet)
        elif hop in self._waiting:
            queue = self._waiting[hop]
            self._host.counters.unresolved += len(queue) == queue.maxlen
            queue.append(packet)
        else:
            self._waiting[hop] = deque([packet], maxlen=WAITING_PACKETS)
            self._ask(hop, TRIES)

    def mac_of(self, hop: str) -> str | None:
        """The MAC of a neighbour, None when that is not known."""
        return self._macs.get(hop) or self._known.get(hop)

    def learn(self, ip: str, mac: str, *, new: bool) -> None:
        """RFC 826: update what is known; add what is new only when the message was for us or somebody waits."""
        if new or ip in self._macs or ip in self._known or ip in self._waiting:
            if self.mac_of(ip) != mac:
                self._host.forget_ways()
            self._macs[ip] = mac
            for packet in self._waiting.pop(ip, ()):
                self._host.transmit(mac, EtherType.IPV4, packet)

    def _ask(self, hop: str, tries: int) -> None:
        if hop not in self._waiting:
            return
        if not tries:
            self._host.counters.unresolved += len(self._waiting.pop(hop))
            return
        self._host.transmit_frame(arp.request_frame(self._host.mac, self._host.ip, hop))
        self._host.call_after(RETRY_NS, lambda: self._ask(hop, tries - 1))
