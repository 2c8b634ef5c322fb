"""Faults of a node's memory: flipped bits, and bytes that are overwritten."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, model_validator

from swarmrig.api import FaultContext, NodePlan, Proof, ProofStatus
from swarmrig.errors import NodeError
from swarmrig.faults.memory_place import (
    Hexadecimal,
    PlaceParams,
    Stretch,
    examine_place,
    find_place,
    live_page,
)
from swarmrig.faults.nodes import Expression, PlacedFault, said
from swarmrig.faults.observation import pointer
from swarmrig.model.facts import Fact, FaultStage
from swarmrig.model.scenario import FaultSpec, Scenario

SHOWN = 16
"""Bytes that events and messages show."""


class ConsequenceParams(PlaceParams):
    """Which bytes, and what the node will say about it."""

    says: Expression | None = None
    """What the node must say afterwards (regular expression); without, that the bytes have changed is enough."""


class FlipParams(ConsequenceParams):
    """Which bits."""

    bits: int = Field(1, ge=1, le=1 << 20)
    """How many bits of the place flip; which ones is drawn from the seed."""
    mask: Hexadecimal | None = None
    """Exactly these bits instead, from the beginning of the place on."""

    @model_validator(mode="after")
    def _sizes(self) -> FlipParams:
        if self.mask is not None and not int(self.mask or "0", 16):
            raise ValueError("`mask` sets no bit, so nothing would flip")
        if self.mask is not None and "bits" in self.model_fields_set:
            raise ValueError("give `bits` or `mask`, not both")
        if self.mask is not None and self.size is not None and len(self.mask) > 2 * self.size:
            raise ValueError(f"`mask` has {len(self.mask) // 2} bytes, more than `size`")
        if self.size is not None and self.bits > 8 * self.size:
            raise ValueError(f"{self.size} bytes have no {self.bits} bits")
        return self


class FillParams(ConsequenceParams):
    """Which bytes, and with what."""

    byte: int = Field(0xFF, ge=0, le=255)
    """What takes the place of each."""


class MemoryFault(PlacedFault):
    """Base of faults that change bytes in RAM, and put them back when they heal."""

    params_model: ClassVar[type[ConsequenceParams]] = ConsequenceParams
    needs: ClassVar[frozenset[str]] = frozenset({"HasMemory"})
    evidence: ClassVar[str] = (
        "The bytes were read again over the bus, apart from the access that changed them, and were as they should be; "
        "with `says`, the node's console said that, too. After healing they were read once more, and put back."
    )
    effect_words = "says so"

    def __init__(self, spec: FaultSpec, context: FaultContext) -> None:
        super().__init__(spec, context)
        self._place: Stretch | None = None
        self._old = self._new = b""
        self._changed = self._restored = False
        self._trouble = ""

    @classmethod
    def examine(cls, spec: FaultSpec, scenario: Scenario, plans: Mapping[str, NodePlan]) -> None:
        """ValueError when the place is not in the node's memory."""
        examine_place(cls.params_model.model_construct(**spec.params), scenario, plans)

    async def change(self, place: Stretch, old: bytes) -> bytes:
        """Change the bytes, which are `old`; returns what they should be now."""
        raise NotImplementedError

    async def inject(self) -> None:
        place = await self._find()
        at_ns = self.now()
        self._place, self._old = place, await self.node.read_memory(place.address, place.size)
        self._new = await self.change(place, self._old)
        found = await self.node.read_memory(place.address, place.size)
        self._changed = found == self._new != self._old
        if not self._changed:
            self._trouble = _difference(place, self._old, self._new, found)
        self.injected(at_ns, address=place.address, place=place.name, before=shown(self._old), after=shown(found))
        if self._changed and self.params.says is None:
            self.context.emit(FaultStage.OBSERVED, {"t_ns": at_ns, "address": place.address, "read": shown(found)})

    async def heal(self) -> None:
        """Put back what was changed, unless the node has written there meanwhile: then it has healed itself."""
        assert self._place is not None
        at_ns, place = self.now(), self._place
        found = await self.node.read_memory(place.address, place.size)
        for start, end in _runs(self._old, self._new):
            if found[start:end] == self._new[start:end]:
                await self.node.write_memory(place.address + start, self._old[start:end])
        again = await self.node.read_memory(place.address, place.size)
        self._restored = all(again[i] != self._new[i] for a, b in _runs(self._old, self._new) for i in range(a, b))
        self.healed(at_ns, address=place.address, before=shown(found), after=shown(again))
        if self._restored:
            self.context.emit(FaultStage.HEAL_OBSERVED, {"t_ns": at_ns, "address": place.address, "read": shown(again)})

    def shows_effect(self, fact: Fact) -> bool:
        return self.params.says is not None and said(fact, self.what, self.params.says)

    def proved(self) -> Proof:
        if self._place is None:
            return Proof(ProofStatus.FAILED, f"the memory of {self.what} was never touched")
        if not self._changed:
            return Proof(ProofStatus.INDETERMINATE, self._trouble)
        message = _told(self._place, self._old, self._new)
        if self.params.says is not None and self._effect.found is None:
            return Proof(ProofStatus.INDETERMINATE, f"{message}, but {self.what} did not say /{self.params.says}/")
        if self._effect.found is not None:
            message = f"{message}; {pointer(self._effect.found)} {self.effect_words}"
        if self.healed_ns is None and self.spec.for_ns is not None:
            return Proof(ProofStatus.INDETERMINATE, f"{message}, but was never put back")
        if self.healed_ns is None:
            return Proof(ProofStatus.PROVED, message)
        if not self._restored:
            return Proof(ProofStatus.INDETERMINATE, f"{message}, and still was after healing")
        return Proof(ProofStatus.PROVED, f"{message}, and was put back")

    async def _find(self) -> Stretch:
        params, memory = self.params, self.plan.memory
        try:
            if params.address is not None or params.symbol is not None:
                return find_place(params, memory)
            page = await live_page(self.node, memory, self.context.random)
        except (ValueError, OSError) as error:
            raise NodeError(self.what, str(error)) from error
        return page if params.size is None else _within(page, params.size, self.context.random)


class MemoryFlip(MemoryFault):
    """Bits of a node's memory flip: a soft error.

    Where: at an `address`, at a `symbol` of the ELF file, or, without either, in a page of .data, .bss or the heap that
    is in use, drawn from the seed. Which bits: `bits` of them, drawn from the seed, or exactly those of `mask`. Healing
    flips them back, unless the firmware has written there itself.
    """

    params_model: ClassVar[type[FlipParams]] = FlipParams
    example: ClassVar[str] = "{at: 10s, memory_flip: {node: a, symbol: config, offset: 4, bits: 2, for: 5s}}"

    @classmethod
    def describe(cls, params: Mapping[str, Any]) -> str:
        mask = params.get("mask")
        count = params["bits"] if mask is None else int(mask, 16).bit_count()
        return f"flip {count} {'bit' if count == 1 else 'bits'} in {where(params)}"

    async def change(self, place: Stretch, old: bytes) -> bytes:
        mask = self._mask(place)
        await self.node.flip_memory(place.address, mask)
        return bytes(a ^ b for a, b in zip(old, mask.ljust(len(old), b"\0"), strict=True))

    def _mask(self, place: Stretch) -> bytes:
        if self.params.mask is None:
            return drawn_mask(place.size, self.params.bits, self.context.random)
        mask = bytes.fromhex(self.params.mask)
        if len(mask) > place.size:
            raise NodeError(self.what, f"`mask` has {len(mask)} bytes, more than {place}")
        return mask


class MemoryFill(MemoryFault):
    """Bytes of a node's memory are overwritten: a stray write.

    Where: as for `memory_flip`. Healing writes back what was there, unless the firmware has written there itself.
    """

    params_model: ClassVar[type[FillParams]] = FillParams
    example: ClassVar[str] = "{at: 10s, memory_fill: {node: a, symbol: csi_frame, size: 8, byte: 0}}"

    @classmethod
    def describe(cls, params: Mapping[str, Any]) -> str:
        return f"fill {where(params)} with {params['byte']:#04x}"

    async def change(self, place: Stretch, old: bytes) -> bytes:
        new = bytes([self.params.byte]) * len(old)
        await self.node.write_memory(place.address, new)
        return new


def drawn_mask(size: int, bits: int, chance: random.Random) -> bytes:
    """A mask of `size` bytes in which so many bits are set. ValueError when there are fewer."""
    mask = bytearray(size)
    for bit in chance.sample(range(8 * size), bits):
        mask[bit // 8] |= 1 << bit % 8
    return bytes(mask)


def where(params: Mapping[str, Any]) -> str:
    """The place as the scenario says it."""
    if params.get("symbol") is not None:
        offset = params.get("offset") or 0
        return f"{params['symbol']}+{offset}" if offset else str(params["symbol"])
    if params.get("address") is not None:
        return f"{params['address'] + (params.get('offset') or 0):#x}"
    return "a page that is in use"


def shown(data: bytes) -> str:
    """The bytes, or the first of them, in hexadecimal."""
    return data[:SHOWN].hex() + ("…" if len(data) > SHOWN else "")


def _within(page: Stretch, size: int, chance: random.Random) -> Stretch:
    size = min(size, page.size)
    return Stretch(page.name, page.address + chance.randint(0, page.size - size), size)


def _runs(old: bytes, new: bytes) -> list[tuple[int, int]]:
    """Where they differ: (first, behind the last)."""
    differing = {index for index, (a, b) in enumerate(zip(old, new, strict=True)) if a != b}
    starts = sorted(index for index in differing if index - 1 not in differing)
    ends = sorted(index + 1 for index in differing if index + 1 not in differing)
    return list(zip(starts, ends, strict=True))


def _told(place: Stretch, old: bytes, new: bytes) -> str:
    """The first of the changed bytes."""
    start, end = _runs(old, new)[0]
    end = min(end, start + SHOWN)
    name = f"{place.address + start:#x} ({place.name}+{start})"
    return f"{old[start:end].hex()} at {name} was {new[start:end].hex()} when read again"


def _difference(place: Stretch, old: bytes, new: bytes, found: bytes) -> str:
    if old == new:
        return f"{place} were {shown(old)} already, so nothing changed"
    return f"{place} read {shown(found)} afterwards, not {shown(new)} (before: {shown(old)})"
