"""A node's frames, damaged: on the wire, and in the buffer from which they are sent."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from swarmrig.api import FaultContext, HasMemory, Proof, ProofStatus
from swarmrig.api.params import Params
from swarmrig.errors import NodeError
from swarmrig.faults.frames_made import Hop
from swarmrig.faults.links_degrade import value_claim
from swarmrig.faults.links_place import Name, node_id
from swarmrig.faults.memory_place import place_of_symbol
from swarmrig.faults.observation import ObservedFault, evidence_data, pointer
from swarmrig.model.facts import Fact, FaultStage, Frame
from swarmrig.model.network import Fate, NetworkPlan
from swarmrig.model.scenario import FaultSpec, Scenario
from swarmrig.wire.csi import HEADER_BYTES, MAGIC
from swarmrig.wire.decode import decode

FRAME_BUFFER = "csi_frame"
"""Symbol of the reference firmware: the CSI frame that waits for its slot."""
DAMAGE = b"\xff\xff\xff\xff"
"""What is flipped there: the first samples, behind the header."""
_MOST_KEPT = 256
_CARRIERS = 3
"""So many CSI frames may carry the change: in real time, one or two are on their way already."""


class CorruptFrameParams(Params):
    """The node, and how many of its frames."""

    bare: ClassVar[str | None] = "node"
    node: Name
    """The node whose frames are damaged."""
    frames: int = Field(default=1, ge=1, le=1000, strict=True)
    """How many, from the next on."""


class CorruptFrame(ObservedFault):
    """The next frames that a node sends are damaged on the wire: one bit each is flipped, so checksums do not hold.

    Where the rig can write to the node's memory, and its firmware has a buffer `csi_frame`, the first samples of the
    frame that waits there are flipped as well: that frame leaves the node damaged, with a checksum that holds.
    """

    params_model: ClassVar[type[Params]] = CorruptFrameParams
    changes_links: ClassVar[bool] = True
    heals: ClassVar[bool] = False
    evidence: ClassVar[str] = (
        "The capture of the node's link tells of so many of its frames, the next ones, that they were corrupted, and "
        "not of the one after them. Where memory was changed, a CSI frame that follows carries the changed bytes."
    )
    example: ClassVar[str] = "{at: 10s, corrupt_frame: {node: a, frames: 3}}"

    def __init__(self, spec: FaultSpec, context: FaultContext) -> None:
        super().__init__(spec, context)
        self._hop = _hop(self.what, context.network)
        self._wanted: int = spec.params["frames"]
        self._waiting: list[Frame] = []
        self._corrupted: list[Frame] = []
        self._whole: Frame | None = None
        """A frame that was to be damaged and was not."""
        self._after: Frame | None = None
        self._planted: bytes | None = None
        self._carrier: Frame | None = None
        """The CSI frame with the change in memory."""
        self._csi_frames = 0

    @classmethod
    def target(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> str:
        node = node_id(scenario, spec.params["node"])
        _hop(node, network)
        return node

    @classmethod
    def resolve(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> str:
        count = spec.params["frames"]
        return (
            f"corrupt the next {'frame' if count == 1 else f'{count} frames'} of {cls.target(spec, scenario, network)}"
        )

    @classmethod
    def claims(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> frozenset[str]:
        """The damage on the wire: frames must be whole again afterwards."""
        hop = _hop(cls.target(spec, scenario, network), network)
        return frozenset({value_claim("corrupt", hop.link, hop.sender)})

    async def inject(self) -> None:
        self._planted = await self._change_memory()
        plan = self.context.network.link(self._hop.link)
        t_ns = await self.context.links.set_link(
            self._hop.link,
            {"corrupt": 1.0},
            direction="forward" if self._hop.sender == plan.a else "backward",
            layer=self.spec.id,
            frames=self._wanted,
        )
        self.injected(t_ns, link=self._hop.link, memory="untouched" if self._planted is None else "changed")

    async def heal(self) -> None:
        """It is over when the last of the frames has left."""

    def observe(self, fact: Fact) -> None:
        if isinstance(fact, Frame) and (fact.link, fact.sender) == (self._hop.link, self._hop.sender):
            self._waiting.append(fact)
            if self.injected_ns is None:
                del self._waiting[:-_MOST_KEPT]
            else:
                self._settle()

    def proved(self) -> Proof:
        pointers = ", ".join(pointer(frame) for frame in self._corrupted[:4])
        seen = f"{len(self._corrupted)} of {self._wanted} frames were corrupted" + (
            f" ({pointers})" if pointers else ""
        )
        if self._whole is not None:
            return Proof(ProofStatus.FAILED, f"{pointer(self._whole)} crossed undamaged")
        if len(self._corrupted) < self._wanted:
            return Proof(ProofStatus.INDETERMINATE, seen)
        if self._after is not None and self._after.fate is Fate.CORRUPTED and not self._corrupts_anyway:
            return Proof(ProofStatus.FAILED, f"{seen}, and {pointer(self._after)} as well")
        if self._planted is None:
            return Proof(ProofStatus.PROVED, seen)
        if self._carrier is None:
            return Proof(ProofStatus.INDETERMINATE, f"{seen}, but no CSI frame carries what was changed in memory")
        return Proof(ProofStatus.PROVED, f"{seen}, and {pointer(self._carrier)} carries what was changed in memory")

    @property
    def _corrupts_anyway(self) -> bool:
        plan = self.context.network.link(self._hop.link)
        return bool((plan.forward if self._hop.sender == plan.a else plan.backward).corrupt)

    def _settle(self) -> None:
        waiting, self._waiting = self._waiting, []
        for frame in waiting:
            if self.injected_ns is None or frame.t_ns < self.injected_ns or frame.fate is Fate.OVERRUN:
                continue
            if frame.t_ns > self.injected_ns or frame.fate is Fate.CORRUPTED:  # at that instant: before or after?
                self._see(frame)

    def _see(self, frame: Frame) -> None:
        self._look_for_change(frame)
        if len(self._corrupted) < self._wanted:
            if frame.fate is Fate.CORRUPTED:
                self._corrupted.append(frame)
                self._tell_seen()
            elif frame.delivered:
                self._whole = self._whole or frame
        elif self._after is None:
            self._after = frame
            if frame.fate is not Fate.CORRUPTED:
                self.context.emit(FaultStage.HEAL_OBSERVED, evidence_data(frame))

    def _tell_seen(self) -> None:
        if len(self._corrupted) == self._wanted:
            self.context.emit(FaultStage.OBSERVED, evidence_data(self._corrupted[-1]))

    async def _change_memory(self) -> bytes | None:
        """Flip what waits to be sent. What is there afterwards; None where that cannot be done."""
        node: Any = self.context.nodes.get(self.what)
        plan = self.context.plans.get(self.what)
        if not isinstance(node, HasMemory) or plan is None:
            return None
        try:
            place = place_of_symbol(plan.memory, FRAME_BUFFER, HEADER_BYTES, len(DAMAGE))
        except (ValueError, OSError):  # no ELF file, or a firmware of another kind
            return None
        try:
            head = await node.read_memory(place.address - HEADER_BYTES, 4)
            if int.from_bytes(head, "little") != MAGIC:
                return None  # nothing waits there
            _, after = await node.flip_memory(place.address, DAMAGE)
        except NodeError:
            return None
        return bytes(after)

    def _look_for_change(self, frame: Frame) -> None:
        payload = _csi_payload(frame)
        if self._planted is None or payload is None or self._carrier is not None or self._csi_frames == _CARRIERS:
            return
        self._csi_frames += 1
        if payload[HEADER_BYTES : HEADER_BYTES + len(DAMAGE)] == self._planted:
            self._carrier = frame


def _hop(node: str, network: NetworkPlan) -> Hop:
    """The node's own link, away from it."""
    towards = Hop.to_device(network, network.device(node))
    return Hop(towards.link, towards.receiver, towards.sender)


def _csi_payload(frame: Frame) -> bytes | None:
    udp = decode(frame.data).udp
    if udp is None or int.from_bytes(udp.payload[:4], "little") != MAGIC:
        return None
    return udp.payload
