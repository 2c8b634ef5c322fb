"""Coverage of states: what was said on consoles and sent on the wire, and in which order, with all numbers masked.

A feature is a short text, known by its hash. A schedule that shows features that no other has shown got somewhere new.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b

from swarmrig.model.facts import ConsoleLine, Fact, Frame, NodeChange
from swarmrig.model.scenario import Scenario

_MASKS = (
    (re.compile(r"\b(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}\b", re.IGNORECASE), "<mac>"),
    (re.compile(r"\b\d+(?:\.\d+){3}\b"), "<ip>"),
    (re.compile(r"\b0x[0-9a-f]+", re.IGNORECASE), "<hex>"),
    (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{6,}\b", re.IGNORECASE), "<hex>"),
    (re.compile(r"[-+]?\d+(?:\.\d+)?"), "#"),
)
_LONGEST = 120
STATE, ORDER, WIRE = "s", "o", "w"
"""Kinds of features: what is said, or becomes of a node; what is said after what; frames and what becomes of them."""


@lru_cache(maxsize=4096)
def template_of(text: str) -> str:
    """A line without what differs from one time to the next: numbers, addresses."""
    for pattern, word in _MASKS:
        text = pattern.sub(word, text)
    return text.strip()[:_LONGEST]


class Coverage:
    """Collects the features of one run. Nodes of one role are alike: what one of them does is not new of another."""

    def __init__(self, scenario: Scenario) -> None:
        self._roles = {node.id: node.role.value for node in scenario.nodes}
        self._last: dict[str, str] = {}
        self._features: set[str] = set()
        self._frames: set[tuple[str, str, int, str]] = set()

    def observe(self, fact: Fact) -> None:
        """Take a fact in; they come in order of time."""
        match fact:
            case ConsoleLine():
                self._line(fact.node, template_of(fact.text))
            case Frame():
                size = len(fact.data).bit_length()
                sender = self._roles.get(fact.sender, fact.sender)
                self._frames.add((sender, protocol_of(fact.data), size, fact.fate.value))
            case NodeChange():
                self._features.add(f"{STATE} {self._roles.get(fact.node)} is {fact.state}")
            case _:
                pass  # what the rig did, and what was counted: no state of a node

    def _line(self, node: str, template: str) -> None:
        if template:
            role = self._roles.get(node)
            self._features.add(f"{STATE} {role} {template}")
            self._features.add(f"{ORDER} {role} {self._last.get(node, '')} > {template}")
            self._last[node] = template

    def features(self) -> frozenset[str]:
        """What was seen: the kind of the feature, and a hash."""
        frames = (f"{WIRE} {' '.join(map(str, frame))}" for frame in self._frames)
        return frozenset(map(feature, (*self._features, *frames)))


def feature(text: str) -> str:
    """How a feature is known: the first letter, its kind, and a hash."""
    return text[0] + blake2b(text.encode("utf-8", "replace"), digest_size=6).hexdigest()


def protocol_of(frame: bytes) -> str:
    """Type of an Ethernet frame; of IPv4 the protocol, of UDP the destination port and the first four bytes."""
    kind = frame[12:14].hex()
    if kind != "0800" or len(frame) < 34:
        return kind
    protocol, header = frame[23], 14 + 4 * (frame[14] & 15)
    if protocol != 17 or len(frame) < header + 12:
        return f"{kind} {protocol}"
    return f"udp {int.from_bytes(frame[header + 2 : header + 4], 'big')} {frame[header + 8 : header + 12].hex()}"
