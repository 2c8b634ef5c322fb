"""What frames on the wire say: the one place where checks read captured bytes."""

from __future__ import annotations

from functools import lru_cache

from swarmrig.api import CheckContext
from swarmrig.model.facts import Frame
from swarmrig.model.network import Fate
from swarmrig.model.scenario import NodeSpec
from swarmrig.model.units import NS_PER_S
from swarmrig.net.link import INJECTED
from swarmrig.wire import decode as _decode
from swarmrig.wire.decode import Decoded

INTACT = frozenset({Fate.DELIVERED, Fate.DUPLICATED, Fate.REORDERED})
"""Fates after which the receiver has the bytes as they were sent."""

_CACHED = 2048
_RESTART_GAP = 32

# One frame is read by several checks, and often again on the next link: bytes remember their hash, so a look-up is
# far cheaper than a second parse.
csi_key = lru_cache(maxsize=_CACHED)(_decode.csi_key)
"""(node, sequence) of a valid CSI frame, else None."""


@lru_cache(maxsize=_CACHED)
def decoded(data: bytes) -> Decoded:
    """All layers of a frame."""
    return _decode.decode(data)


def is_injected(frame: Frame) -> bool:
    """Was it put on the link by a fault? Then its sender is the one in whose name that was done."""
    return frame.note.endswith(INJECTED)


def find_node(context: CheckContext, name: str | int) -> NodeSpec | None:
    """A node by its id, else by its number; None when the scenario has no such node."""
    nodes = context.scenario.nodes
    by_id = (node for node in nodes if node.id == str(name))
    by_number = (node for node in nodes if str(node.number) == str(name))
    return next(by_id, None) or next(by_number, None)


class OwnFrames:
    """Tells a node's own CSI frames at its own port from those that others forward."""

    def __init__(self, nodes: tuple[NodeSpec, ...]) -> None:
        self._numbers = {node.id: node.number for node in nodes}

    def sequence(self, frame: Frame) -> int | None:
        """The sequence number when the frame is CSI, sent by the very node that it names; else None. The second
        record of a frame that its receiver did not take is no second frame, and an injected one is not the node's."""
        number = self._numbers.get(frame.sender)
        if number is None or frame.fate is Fate.OVERRUN or is_injected(frame):
            return None
        key = csi_key(frame.data)
        return key[1] if key is not None and key[0] == number else None


class UniqueSequences:
    """Counts each sequence number once, in bounded memory: repeats come close to the original. A number that
    falls back far, or to zero, is a restarted sender and not a repeat."""

    def __init__(self) -> None:
        self._recent: dict[int, None] = {}
        self._last = -1

    def is_new(self, sequence: int) -> bool:
        if sequence + _RESTART_GAP < self._last or (sequence == 0 and self._last > 0):
            self._recent.clear()
        elif sequence in self._recent:
            return False
        self._recent[sequence] = None
        if len(self._recent) > 2 * _RESTART_GAP:
            del self._recent[next(iter(self._recent))]
        self._last = sequence
        return True


class RateMeter:
    """Events a second, from the first to the last one."""

    def __init__(self) -> None:
        self.count = 0
        self.first_ns = 0
        self.last_ns = 0

    def add(self, t_ns: int) -> None:
        self.first_ns = t_ns if self.count == 0 else min(self.first_ns, t_ns)
        self.last_ns = max(self.last_ns, t_ns) if self.count else t_ns
        self.count += 1

    def span_ns(self, end_ns: int | None = None) -> int:
        """First to last event; to `end_ns` when the last one is more than a second before it."""
        last = self.last_ns
        if end_ns is not None and end_ns - last > NS_PER_S:
            last = end_ns
        return last - self.first_ns

    def rate(self, end_ns: int | None = None) -> float:
        """n events have n − 1 intervals; 0 without two of them."""
        span_ns = self.span_ns(end_ns)
        return (self.count - 1) * NS_PER_S / span_ns if self.count > 1 and span_ns > 0 else 0.0
