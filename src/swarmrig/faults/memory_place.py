"""Which bytes of a node's memory a fault is about: an address, a symbol of its ELF file, or a page that is in use."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from swarmrig.api import MemoryMap, NodePlan
from swarmrig.elf import Elf, Region, SymbolError, read_elf
from swarmrig.errors import NodeError
from swarmrig.faults.nodes import NodeParams
from swarmrig.model.scenario import Scenario
from swarmrig.model.units import parse_size_bytes

PAGE = 4096
TRIES = 64
"""How many pages are looked at for one that is in use."""
DEFAULT_SIZE = 4
"""Bytes at an address, or at a symbol that says no size."""


def _address(value: object) -> object:
    if isinstance(value, str):
        try:
            return int(value, 0)
        except ValueError:
            raise ValueError(f"expected an address such as 0x80000000, got {value!r}") from None
    return value


def _hexadecimal(value: str) -> str:
    try:
        return bytes.fromhex(value.removeprefix("0x")).hex()
    except ValueError:
        raise ValueError(f"expected bytes as hexadecimal text, got {value!r}") from None


Address = Annotated[
    int,
    BeforeValidator(_address),
    Field(ge=0, lt=1 << 64),
    PlainSerializer(hex, when_used="json"),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string"}], "examples": ["0x80000000"]}),
]
Hexadecimal = Annotated[str, AfterValidator(_hexadecimal), WithJsonSchema({"type": "string", "examples": ["ff00"]})]
"""Bytes as hexadecimal text."""
Size = Annotated[
    int,
    BeforeValidator(parse_size_bytes),
    Field(ge=1, le=1 << 20),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 1}], "examples": ["64", "4KiB"]}),
]


class PlaceParams(NodeParams):
    """The node and a stretch of its memory; with neither `address` nor `symbol`, a page that is in use."""

    address: Address | None = None
    """Physical address."""
    symbol: str | None = None
    """A name in the node's ELF file."""
    offset: int = Field(0, ge=0)
    """Bytes behind that address or symbol."""
    size: Size | None = None
    """Bytes. Default: what the symbol has from there on; 4 at an address."""

    @model_validator(mode="after")
    def _one_place(self) -> PlaceParams:
        if self.address is not None and self.symbol is not None:
            raise ValueError("give `address` or `symbol`, not both")
        if self.offset and self.address is None and self.symbol is None:
            raise ValueError("`offset` needs an `address` or a `symbol`")
        return self


@dataclass(frozen=True, slots=True)
class Stretch:
    """Bytes of a node's memory, and how the scenario calls them."""

    name: str
    address: int
    size: int

    def __str__(self) -> str:
        return f"{self.size} bytes at {self.address:#x} ({self.name})"


def examine_place(params: PlaceParams, scenario: Scenario, plans: Mapping[str, NodePlan]) -> None:
    """ValueError for an address outside of RAM, a symbol that is not there, a range that leaves it."""
    node = scenario.find_node(params.node)
    assert node is not None
    memory = plans[node.id].memory
    if params.symbol is None and params.address is None:
        if image_of(memory, "a page that is in use") is not None:
            writable_regions(memory)
        return
    if params.symbol is not None and image_of(memory, f"the symbol {params.symbol!r}") is None:
        return  # it is built before launch
    find_place(params, memory)


def find_place(params: PlaceParams, memory: MemoryMap) -> Stretch:
    """Where a fault with an address or a symbol acts. ValueError when that is not in the node's memory."""
    if params.symbol is not None:
        found = place_of_symbol(memory, params.symbol, params.offset, params.size)
    else:
        assert params.address is not None
        found = Stretch("address", params.address + params.offset, params.size or DEFAULT_SIZE)
    check_in_ram(found, memory)
    return found


def place_of_symbol(memory: MemoryMap, symbol: str, offset: int = 0, size: int | None = None) -> Stretch:
    """A symbol's bytes from `offset` on. SymbolError (a ValueError) when it is not there, or is smaller than that."""
    region = elf_of(memory, f"the symbol {symbol!r}").symbol(symbol)
    room = region.size - offset
    wanted = size or (room if region.size else DEFAULT_SIZE)
    if (region.size and wanted > room) or wanted <= 0:
        raise SymbolError(f"{symbol} has {region.size} bytes: {offset}..{offset + max(wanted, 1)} is not within")
    return Stretch(symbol, region.address + offset, wanted)


def check_in_ram(stretch: Stretch, memory: MemoryMap) -> None:
    """ValueError when the board's RAM is known and this is not in it."""
    inside = any(start <= stretch.address and stretch.address + stretch.size <= start + size
                 for start, size in memory.ram)  # fmt: skip
    if memory.ram and not inside:
        known = ", ".join(f"{start:#x}..{start + size:#x}" for start, size in memory.ram)
        raise ValueError(f"{stretch} is not in RAM, which is {known}")


async def live_page(node: Any, memory: MemoryMap, chance: random.Random) -> Stretch:
    """A page that the firmware writes to and that is not all zeros: drawn among all of its memory of that kind."""
    regions = writable_regions(memory)
    pages = [page for region in regions for page in _pages(region)]
    for page in chance.sample(pages, min(TRIES, len(pages))):
        if any(await node.read_memory(page.address, page.size)):
            return page
    raise NodeError(node.spec.id, f"none of {min(TRIES, len(pages))} pages that were looked at is in use")


def writable_regions(memory: MemoryMap) -> tuple[Region, ...]:
    """The sections that the firmware writes to, and its heap. SymbolError when the file names none."""
    elf = elf_of(memory, "a page that is in use")
    if not elf.writable:
        raise SymbolError(f"{elf.path.name} has no section that is written to: give an address")
    return elf.writable


def elf_of(memory: MemoryMap, what: str) -> Elf:
    """The node's ELF file. SymbolError when there is none to look `what` up in."""
    image = image_of(memory, what)
    if image is None:
        raise SymbolError(f"{memory.image} is not there (yet), so {what} cannot be found")
    return read_elf(image)


def image_of(memory: MemoryMap, what: str) -> Any:
    """The path of the node's ELF file; None when it is still to be built. SymbolError when the node has none."""
    if memory.image is None:
        raise SymbolError(f"the node boots from no ELF file, so {what} is not known: give an address")
    return memory.image if memory.image.is_file() else None


def _pages(region: Region) -> list[Stretch]:
    """The region's pages; its first and last may be shorter."""
    starts = [region.address, *range((region.address // PAGE + 1) * PAGE, region.end, PAGE)]
    ends = [*starts[1:], region.end]
    return [Stretch(region.name, start, end - start) for start, end in zip(starts, ends, strict=True)]
