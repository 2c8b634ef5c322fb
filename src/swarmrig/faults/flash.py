"""Faults of a node's flash: what happens to it while the power is off."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import anyio
import anyio.to_thread
from pydantic import Field, model_validator

from swarmrig.api import FaultContext, NodePlan, Proof, ProofStatus
from swarmrig.errors import NodeError
from swarmrig.faults.flash_place import FlashParams, PartParams, examine_part, place_in, table_of
from swarmrig.faults.memory_place import Hexadecimal
from swarmrig.faults.nodes import BOOT, PlacedFault, said
from swarmrig.flash.damage import Change, Place, Rot, change_image, corrupt, erase, rot, torn_write
from swarmrig.model.facts import Fact
from swarmrig.model.scenario import FaultSpec, Scenario

BLOCK = 1 << 16
"""Bytes that are read back at a time."""


class FlashFault(PlacedFault):
    """Base of faults that change a node's flash: its power goes, the flash is changed, its power comes back.

    All of it takes no time. Healing does the same, with the bytes that were there before, where nobody has written
    since.
    """

    params_model: ClassVar[type[FlashParams]] = FlashParams
    needs: ClassVar[frozenset[str]] = frozenset({"CanPowerCycle", "HasFlash"})
    changes_flash: ClassVar[bool] = True
    told: ClassVar[str | None] = None
    """What the node says by itself when it boots from such a flash; None: nothing but that it boots."""
    evidence: ClassVar[str] = (
        "The node's console said that it boots (or `says`) after its power came back; and the changed bytes were read "
        "from where its flash is mapped, over the bus. Without that bus, `says` is needed. Healing likewise."
    )
    effect_words = "came after the power was back"
    end_words = "came after healing"
    no_effect = "{what} did not say what it should after its power was back"
    no_end = "{what} did not say that it boots after healing"

    def __init__(self, spec: FaultSpec, context: FaultContext) -> None:
        super().__init__(spec, context)
        self._change: Change | None = None
        self._seen_inside: bool | None = None
        """Were the changed bytes read over the bus? None: there is none."""
        self._restored: bool | None = None

    def place(self) -> Place:
        """Which part; ValueError when it is not in the image."""
        raise NotImplementedError

    def change(self, content: bytes) -> bytes:
        """What becomes of its content."""
        raise NotImplementedError

    async def inject(self) -> None:
        at_ns = self.now()
        async with self._without_power():
            self._change = await anyio.to_thread.run_sync(self._apply)
        changed = self._change.changed
        self._seen_inside = await self._reads(self._change.offset, self._change.before, self._change.after)
        first = f"{changed[0]:#x}" if changed else ""
        self.injected(at_ns, node=self.what, bytes=len(changed), first=first)

    async def heal(self) -> None:
        if self._change is None:
            return
        at_ns, change = self.now(), self._change
        async with self._without_power():
            await anyio.to_thread.run_sync(self._restore)
        self._restored = await self._reads(change.offset, change.after, change.before)
        self.healed(at_ns, node=self.what)

    def shows_effect(self, fact: Fact) -> bool:
        return said(fact, self.what, self.params.says or self.told or BOOT)

    def shows_end(self, fact: Fact) -> bool:
        return said(fact, self.what, BOOT)

    def proved(self) -> Proof:
        proof = super().proved()
        if self._change is None or proof.status is ProofStatus.FAILED:
            return proof
        if not self._change.changed:
            return Proof(ProofStatus.INDETERMINATE, "the flash held these bytes already, so nothing changed")
        count = len(self._change.changed)
        if self._seen_inside is False:
            return Proof(ProofStatus.INDETERMINATE, f"{self.what} does not see the {count} bytes that changed")
        if self._seen_inside is None and self.params.says is None and self.told is None:
            reason = "its flash cannot be read over the bus: say with `says` what it must tell"
            return Proof(ProofStatus.INDETERMINATE, f"{self.what} has booted, but {reason}")
        if self.healed_ns is not None and self._restored is False:
            return Proof(ProofStatus.INDETERMINATE, f"{self.what} still sees the damage after healing")
        return Proof(proof.status, f"{count} bytes of flash changed; {proof.message}")

    @asynccontextmanager
    async def _without_power(self) -> AsyncIterator[None]:
        """The power comes back whatever happens."""
        await self.node.power_off()
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):
                await self.node.power_on()

    def _apply(self) -> Change:
        try:
            return change_image(self.node.flash_path, self.place(), self.change)
        except (ValueError, OSError) as error:
            raise NodeError(self.what, f"its flash cannot be changed so: {error}") from error

    def _restore(self) -> None:
        assert self._change is not None
        change = self._change
        place = Place("changed", change.offset, len(change.before))

        def undo(now: bytes) -> bytes:
            triples = zip(now, change.before, change.after, strict=True)
            return bytes(old if current == new else current for current, old, new in triples)

        try:
            change_image(self.node.flash_path, place, undo)
        except (ValueError, OSError) as error:
            raise NodeError(self.what, f"its flash cannot be restored: {error}") from error

    async def _reads(self, offset: int, before: bytes, after: bytes) -> bool | None:
        """Does the node's processor find `after` where `before` was? None when that cannot be asked."""
        base = getattr(self.node, "flash_base", None)
        if base is None or "HasMemory" not in self.plan.capabilities:
            return None
        for start in range(0, len(after), BLOCK):
            old, new = before[start : start + BLOCK], after[start : start + BLOCK]
            if old != new and await self.node.read_memory(base + offset + start, len(new)) != new:
                return False
        return True


class PartFault(FlashFault):
    """Base of faults of a part of the flash that the scenario names."""

    params_model: ClassVar[type[PartParams]] = PartParams

    @classmethod
    def examine(cls, spec: FaultSpec, scenario: Scenario, plans: Mapping[str, NodePlan]) -> None:
        """ValueError when the flash has no such part."""
        examine_part(cls.params_model.model_construct(**spec.params), scenario, plans)

    def place(self) -> Place:
        return place_in(self.params, table_of(self.node.flash_path))


class CorruptParams(PartParams):
    """Which part, and how much of it."""

    bytes: int = Field(16, ge=1, le=1 << 20)
    """How many bytes become something else; which ones and what is drawn from the seed."""


class FlashCorrupt(PartFault):
    """Bytes of a node's flash are something else when it boots the next time.

    The node loses its power, the bytes change, and its power comes back, all at once.
    """

    params_model: ClassVar[type[CorruptParams]] = CorruptParams
    example: ClassVar[str] = "{at: 10s, flash_corrupt: {node: a, partition: nvs, bytes: 32, for: 5s}}"

    @classmethod
    def describe(cls, params: Mapping[str, Any]) -> str:
        return f"corrupt {params['bytes']} bytes in {part(params)}"

    def change(self, content: bytes) -> bytes:
        return corrupt(content, self.params.bytes, self.context.random)


class FlashErase(PartFault):
    """A part of a node's flash is erased: all ones when it boots the next time.

    The node loses its power, the part is erased, and its power comes back, all at once.
    """

    example: ClassVar[str] = "{at: 10s, flash_erase: {node: a, partition: nvs, for: 5s}}"

    @classmethod
    def describe(cls, params: Mapping[str, Any]) -> str:
        return f"erase {part(params)}"

    def change(self, content: bytes) -> bytes:
        return erase(content)


class RotParams(PartParams):
    """Which part, how many bits, and which way."""

    bits: int = Field(1, ge=1, le=1 << 20)
    """How many bits change; which ones is drawn from the seed."""
    way: Rot = Rot.LOSS
    """loss: zeros become ones, as cells lose their charge. disturb: ones become zeros. both: any."""


class FlashBitRot(PartFault):
    """Bits of a node's flash have changed by themselves when it boots the next time.

    As in years on a shelf: cells lose their charge, so zeros become ones. The node loses its power, the bits change,
    and its power comes back, all at once.
    """

    params_model: ClassVar[type[RotParams]] = RotParams
    example: ClassVar[str] = "{at: 10s, flash_bit_rot: {node: a, bits: 3, for: 5s}}"

    @classmethod
    def describe(cls, params: Mapping[str, Any]) -> str:
        count = params["bits"]
        return f"let {count} {'bit' if count == 1 else 'bits'} rot ({params['way']}) in {part(params)}"

    def change(self, content: bytes) -> bytes:
        return rot(content, self.params.bits, Rot(self.params.way), self.context.random)


class TornParams(FlashParams):
    """The write that is torn, and where. For an NVS key see `nvs_torn_set`."""

    offset: int = Field(ge=0)
    """Where in the flash the write begins."""
    data: Hexadecimal
    """What would be written, as hexadecimal text."""
    after: int | None = Field(None, ge=0)
    """How many bytes are written when the power goes; the next one is half-way. Default: drawn from the seed."""

    @model_validator(mode="after")
    def _torn(self) -> TornParams:
        size = len(self.data) // 2
        if not size:
            raise ValueError("`data` is empty")
        if self.after is not None and self.after >= size:
            raise ValueError(f"`after` is 0..{size - 1}, or the write is complete")
        return self


class FlashTornWrite(FlashFault):
    """A write to a node's flash stopped half-way when its power went.

    By the rule of NOR flash, bits are only cleared; the byte at which the power went has lost some of them.
    """

    params_model: ClassVar[type[TornParams]] = TornParams
    example: ClassVar[str] = "{at: 10s, flash_torn_write: {node: a, offset: 0x10000, data: '00112233', after: 2}}"

    @classmethod
    def describe(cls, params: Mapping[str, Any]) -> str:
        after = "somewhere" if params["after"] is None else f"after {params['after']} bytes"
        return f"tear a write of {len(params['data']) // 2} bytes at {params['offset']:#x} {after} in the flash"

    @staticmethod
    def examine(spec: FaultSpec, scenario: Scenario, plans: Mapping[str, NodePlan]) -> None:
        """ValueError when the write is not within the flash."""
        size = len(spec.params["data"]) // 2
        params = PartParams.model_construct(node=spec.params["node"], offset=spec.params["offset"], size=size)
        examine_part(params, scenario, plans)

    def place(self) -> Place:
        return Place("flash", self.params.offset, len(self.params.data) // 2)

    def change(self, content: bytes) -> bytes:
        data = bytes.fromhex(self.params.data)
        chance = self.context.random
        return torn_write(content, data, 0, torn_after(self.params.after, len(data), chance), chance)


def torn_after(after: int | None, size: int, chance: random.Random) -> int:
    """After how many bytes of a write the power goes."""
    return chance.randrange(size) if after is None else after


def part(params: Mapping[str, Any]) -> str:
    """The part as the scenario says it."""
    if params.get("partition") is None and params.get("offset") is not None:
        return f"the flash at {params['offset']:#x}"
    behind = f" behind {params['offset']:#x}" if params.get("offset") else ""
    return f"the partition {params.get('partition') or 'nvs'}{behind}"
