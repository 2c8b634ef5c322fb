"""Do the nodes keep to their own slots? Judged from what they say and from when their frames really leave."""

from __future__ import annotations

from collections import deque
from typing import Any, ClassVar

from swarmrig.api import CheckContext
from swarmrig.checks.params import NoParams, Params
from swarmrig.checks.patterns import tdm_slot
from swarmrig.checks.sightings import OwnFrames, decoded
from swarmrig.checks.superframes import HORIZON_NS, Superframes
from swarmrig.checks.tally import Tally, listed
from swarmrig.model.facts import ConsoleLine, Fact, Frame
from swarmrig.model.units import NS_PER_S
from swarmrig.model.verdict import Evidence, Judgement, Outcome
from swarmrig.wire.tdm import BEACON_BYTES

SETTLING_NS = 3 * NS_PER_S
"""A node's first frames are not judged: it is still synchronising its clock."""
BURST_NS = 2_000_000
"""Frames that follow the node's last one faster than this belong to a burst, which ignores slots by design."""
MIN_FRAMES = 20
DOMINANT = 0.6
_MAX_PENDING = 4096
_BEACON_FRAME_MIN = 14 + 20 + 8 + BEACON_BYTES
_BEACON_FRAME_MAX = _BEACON_FRAME_MIN + 40  # IPv4 options


class _Sender:
    """When one node sends: frames wait until the epoch around them is known, then only slots are counted."""

    def __init__(self) -> None:
        self.frames = 0
        self.slots: dict[int, int] = {}
        self.examples: dict[int, Frame] = {}
        self._pending: deque[Frame] = deque(maxlen=_MAX_PENDING)
        self._settled_ns = 0
        self._last_ns: int | None = None
        self._last_sequence = -1

    def observe(self, frame: Frame, sequence: int) -> None:
        self.frames += 1
        previous_ns, self._last_ns = self._last_ns, frame.t_ns
        if previous_ns is None or sequence < self._last_sequence:
            self._settled_ns = frame.t_ns + SETTLING_NS
        self._last_sequence = sequence
        burst = previous_ns is not None and frame.t_ns - previous_ns < BURST_NS
        if frame.t_ns >= self._settled_ns and not burst:
            self._pending.append(frame)

    def count(self, superframes: Superframes, until_ns: int | None) -> None:
        """Assign the frames before `until_ns` (None: all) to slots."""
        while self._pending and (until_ns is None or self._pending[0].t_ns < until_ns):
            frame = self._pending.popleft()
            slot = superframes.slot(frame.t_ns)
            if slot is not None:
                self.slots[slot] = self.slots.get(slot, 0) + 1
                self.examples.setdefault(slot, frame)

    @property
    def judged(self) -> int:
        return sum(self.slots.values())

    @property
    def dominant(self) -> tuple[int, float]:
        """The slot with most frames, and its share."""
        slot = max(sorted(self.slots), key=self.slots.__getitem__)
        return slot, self.slots[slot] / self.judged


class TdmNoCollision:
    """Every node reported a slot of its own, and no two nodes send in the same slot on the wire."""

    params_model: ClassVar[type[Params]] = NoParams
    severity: ClassVar[Outcome] = Outcome.FAIL
    example: ClassVar[str] = "tdm_no_collision"

    def __init__(self, context: CheckContext) -> None:
        self._context = context
        self._nodes = context.scenario.nodes
        self._hub = context.scenario.coordinator
        self._own = OwnFrames(self._nodes)
        self._senders = {node.id: _Sender() for node in self._nodes}
        self._reported: dict[str, tuple[int, ConsoleLine]] = {}
        self._superframes = Superframes()
        self._first_beacon: Frame | None = None
        self._wires = {context.network.device(node.id).link: node.id for node in self._nodes}
        self._heard = {self._hub.id} if self._hub else set()
        """Nodes that a beacon was delivered to."""
        self._counted_ns = 0

    def observe(self, fact: Fact) -> None:
        if isinstance(fact, Frame):
            sequence = self._own.sequence(fact)
            if sequence is not None:
                self._senders[fact.sender].observe(fact, sequence)
            elif self._hub is not None and fact.sender == self._hub.id:
                self._observe_beacon(fact)
            elif fact.delivered and self._wires.get(fact.link, fact.sender) not in self._heard | {fact.sender}:
                self._observe_arrival(fact)
        elif isinstance(fact, ConsoleLine) and fact.node in self._senders:
            slot = tdm_slot(fact.text)
            if slot is not None:
                self._reported[fact.node] = (slot, fact)

    def _observe_beacon(self, frame: Frame) -> None:
        if not _BEACON_FRAME_MIN <= len(frame.data) <= _BEACON_FRAME_MAX:
            return
        beacon = decoded(frame.data).beacon
        if beacon is None:
            return
        self._first_beacon = self._first_beacon or frame
        self._superframes.add(frame.t_ns, beacon.superframe, beacon.superframe_us * 1000, beacon.tdm_nodes)
        if frame.t_ns - self._counted_ns > HORIZON_NS + NS_PER_S:
            self._counted_ns = frame.t_ns - HORIZON_NS
            for sender in self._senders.values():
                sender.count(self._superframes, self._counted_ns)

    def _observe_arrival(self, frame: Frame) -> None:
        """On a node's own wire, from its far end."""
        if _BEACON_FRAME_MIN <= len(frame.data) <= _BEACON_FRAME_MAX and decoded(frame.data).beacon is not None:
            self._heard.add(self._wires[frame.link])

    def judge(self, now_ns: int, *, final: bool) -> Judgement | None:  # noqa: ARG002 - the contract
        if not final:
            return None
        for sender in self._senders.values():
            sender.count(self._superframes, None)
        tally = Tally(self.severity)
        self._judge_reports(tally)
        self._judge_wire(tally)
        message = f"{len(self._nodes)} nodes send in slots of their own{self._contradictions()}"
        return tally.judgement(message, self._measured())

    def _judge_reports(self, tally: Tally) -> None:
        silent = [node.id for node in self._nodes if node.id not in self._reported]
        if silent:
            tally.gap(f"no slot was reported by {listed(silent)}")
        owners: dict[int, list[str]] = {}
        for node in self._senders:
            if node not in self._reported:
                continue
            slot, line = self._reported[node]
            owners.setdefault(slot, []).append(node)
            tally.support(self._context.console(node, line.line, f"slot {slot}"))
        for slot, nodes in sorted(owners.items()):
            if len(nodes) > 1:
                lines = [self._context.console(node, self._reported[node][1].line, f"slot {slot}") for node in nodes]
                tally.fail(f"{listed(nodes)} report the same slot {slot}", *lines)

    def _judge_wire(self, tally: Tally) -> None:
        if self._first_beacon is None:
            whose = f"of {self._hub.id}" if self._hub else "(the scenario has no coordinator or gateway)"
            tally.gap(f"no beacon {whose} was captured, so slots cannot be told")
            return
        beacon = self._first_beacon
        tally.support(self._context.capture(beacon.link, beacon.number, "first beacon"))
        owners: dict[int, list[str]] = {}
        for node, sender in self._senders.items():
            slot = self._judge_sender(node, sender, tally)
            if slot is not None:
                owners.setdefault(slot, []).append(node)
        for slot, nodes in sorted(owners.items()):
            if len(nodes) > 1:
                who = " and ".join(self._described(node) for node in sorted(nodes))
                tally.fail(f"{who} send in the same slot {slot}", *(self._example(node, slot) for node in nodes))

    def _judge_sender(self, node: str, sender: _Sender, tally: Tally) -> int | None:
        """The slot that the node keeps; None, and a gap, when it can't be told."""
        if not sender.frames:
            tally.gap(f"{node} sent no CSI frame")
        elif node not in self._heard:
            tally.gap(f"no beacon reached {node}, so it keeps to no slot but by chance")
        elif sender.judged < MIN_FRAMES:
            tally.gap(f"{node} sent {sender.judged} frames that can be judged, {MIN_FRAMES} are needed")
        else:
            slot, share = sender.dominant
            if share >= DOMINANT:
                tally.support(self._example(node, slot))
                return slot
            tally.gap(f"{node} is unsynchronised: at most {share:.0%} in one slot", self._example(node, slot))
        return None

    def _example(self, node: str, slot: int) -> Evidence:
        sender = self._senders[node]
        frame = sender.examples[slot]
        note = f"{node} in slot {slot}: {sender.slots[slot]} of {sender.judged} frames"
        return self._context.capture(frame.link, frame.number, note)

    def _described(self, node: str) -> str:
        reported = self._reported.get(node)
        return f"{node} (reports slot {reported[0]})" if reported else node

    def _contradictions(self) -> str:
        """A slot that is not the reported one, but nobody else's either, is no collision; it is worth a word."""
        odd = [
            f"{self._described(node)} sends in slot {sender.dominant[0]}"
            for node, sender in self._senders.items()
            if node in self._reported and sender.judged and sender.dominant[0] != self._reported[node][0]
        ]
        return f" (but {listed(odd)})" if odd else ""

    def _measured(self) -> dict[str, Any]:
        return {
            "reported": {node: slot for node, (slot, _) in sorted(self._reported.items())},
            "frames_by_slot": {
                node: {str(slot): count for slot, count in sorted(sender.slots.items())}
                for node, sender in self._senders.items()
            },
            "beacons": self._superframes.beacons,
        }
