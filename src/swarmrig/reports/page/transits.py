"""How long frames took, told by seeing the same bytes twice.

A forwarder puts a frame on its next link at the moment at which it arrives there. So the time between the two records
is what the first link took (its latency, jitter and queue), and the time from the sender's own port to the receiver's
is what the frame was under way. The last link before a device can't be seen in this way, unless it takes no time (an
access wire).
"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import quantiles
from typing import TypeVar

from swarmrig.model.facts import Frame
from swarmrig.model.network import LinkPlan, NetworkPlan
from swarmrig.wire.ipv4 import ip_to_bytes

_KEPT = 8192
"""Frames whose other sighting is awaited."""
_IPV4 = b"\x08\x00"

_Key = TypeVar("_Key")


class Transits:
    """Feed it the frames of all links in the order of time."""

    def __init__(self, network: NetworkPlan, step_ns: int) -> None:
        self._step_ns = step_ns
        self._far = {(link.name, end): other for link in network.links for end, other in _ends(link)}
        forwarders = {switch.name for switch in network.switches} | {router.name for router in network.routers}
        self._entries = {link.name: {link.a, link.b} & forwarders for link in network.links}
        self._owner = {device.link: device.name for device in network.devices}
        self._own = {device.name: device.link for device in network.devices}
        instant = {link.name for link in network.links if link.access}
        self._address = {device.link: ip_to_bytes(device.ip) for device in network.devices
                         if device.ip and device.link in instant}  # fmt: skip
        self._waiting: dict[tuple[str, bytes], tuple[str, int]] = {}
        self._sent: dict[bytes, tuple[str, int]] = {}
        self.links: dict[str, dict[int, list[int]]] = {}
        """By link and step in time, what frames took (ns)."""
        self.nodes: dict[str, dict[int, list[int]]] = {}
        """By sender and step in time, how long its frames were under way."""

    def see(self, frame: Frame) -> None:
        key = _key(frame.data)
        self._hop(frame, key)
        if self._own.get(frame.sender) == frame.link:
            if key[:1] != b"-":
                _remember(self._sent, key, (frame.sender, frame.t_ns))
        elif key[4:8] == self._address.get(frame.link):
            sent = self._sent.pop(key, None)
            if sent is not None:
                self._note(self.nodes, sent, frame.t_ns)

    def _hop(self, frame: Frame, key: bytes) -> None:
        before = self._waiting.pop((frame.sender, key), None)
        if before is not None and before[0] != frame.link:
            self._note(self.links, before, frame.t_ns)
        far = self._far.get((frame.link, frame.sender))
        if far is not None and frame.delivered and far in self._entries[frame.link]:
            _remember(self._waiting, (far, key), (frame.link, frame.t_ns))

    def _note(self, into: dict[str, dict[int, list[int]]], before: tuple[str, int], t_ns: int) -> None:
        name, since_ns = before
        into.setdefault(name, {}).setdefault(since_ns // self._step_ns, []).append(t_ns - since_ns)


def summarised(times: dict[int, list[int]]) -> dict[int, tuple[int, int]]:
    """By step in time: the median, and what 95 % take at most."""
    return {step: (_quantile(found, 50), _quantile(found, 95)) for step, found in sorted(times.items())}


def _quantile(found: Iterable[int], percent: int) -> int:
    values = list(found)
    return values[0] if len(values) == 1 else round(quantiles(values, n=100, method="inclusive")[percent - 1])


def _key(data: bytes) -> bytes:
    """What a frame keeps on its way: addresses and content of IPv4, all but the Ethernet addresses of others."""
    return data[26:] if data[12:14] == _IPV4 else b"-" + data[12:]


def _ends(link: LinkPlan) -> tuple[tuple[str, str], tuple[str, str]]:
    return (link.a, link.b), (link.b, link.a)


def _remember(waiting: dict[_Key, tuple[str, int]], key: _Key, what: tuple[str, int]) -> None:
    """As the latest; the oldest are forgotten."""
    waiting.pop(key, None)
    waiting[key] = what
    if len(waiting) > _KEPT:
        del waiting[next(iter(waiting))]
