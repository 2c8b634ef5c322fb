"""Firmware as an ELF file tells of it: where its symbols are, and which memory it writes to."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

HEAPS = (("__heap_start", "__heap_end"), ("_heap_start", "_heap_end"), ("__HeapBase", "__HeapLimit"))
"""Symbols by which linker scripts say where the heap is: refnode, ESP-IDF, CMSIS."""
_WRITE, _ALLOC = 1, 2
"""Section flags (System V ABI, "Section Attribute Flags")."""
_NAMED = ("STT_NOTYPE", "STT_OBJECT", "STT_FUNC")
_ARM = "EM_ARM"


class SymbolError(ValueError):
    """The file has no such symbol, or cannot say which of several is meant, or is no ELF file."""


@dataclass(frozen=True, slots=True)
class Region:
    """A stretch of memory: a symbol, or a section that is written to while the firmware runs."""

    name: str
    address: int
    size: int
    """Bytes; 0 for a symbol that only marks an address."""

    @property
    def end(self) -> int:
        return self.address + self.size


@dataclass(frozen=True, slots=True)
class Elf:
    """Made by `read_elf`."""

    path: Path
    machine: str
    """As the ELF specification names it: EM_RISCV, EM_ARM, ..."""
    entry: int
    symbols: Mapping[str, tuple[Region, ...]]
    """By name; several for a name that several files keep to themselves."""
    writable: tuple[Region, ...]
    """Sections in RAM that the firmware writes to, and its heap, in order of addresses."""

    def symbol(self, name: str) -> Region:
        """Where `name` is. SymbolError says what is there instead."""
        found = self.symbols.get(name, ())
        if not self.symbols:
            raise SymbolError(f"{self.path.name} has no symbols (stripped?): give an address instead of {name!r}")
        if not found:
            close = difflib.get_close_matches(name, self.symbols, n=1)
            suggestion = f", did you mean {close[0]!r}?" if close else ""
            raise SymbolError(f"{self.path.name} has no symbol {name!r}{suggestion}")
        if len(found) > 1:
            places = ", ".join(f"{region.address:#x}" for region in found)
            raise SymbolError(f"{self.path.name} has several symbols {name!r}, at {places}: give an address")
        return found[0]


def read_elf(path: Path) -> Elf:
    """The file's symbols and writable memory; read once, until it changes. SymbolError, or OSError."""
    status = path.stat()
    return _read(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=32)
def _read(path: Path, _modified: int, _size: int) -> Elf:
    from elftools.common.exceptions import ELFError  # only when a symbol is asked for: it takes a moment
    from elftools.elf.elffile import ELFFile

    with path.open("rb") as file:
        try:
            elf = ELFFile(file)
            symbols = _symbols(elf)
            sections = tuple(_written_sections(elf))
            machine, entry = str(elf["e_machine"]), int(elf["e_entry"])
        except (ELFError, ValueError, KeyError, AssertionError) as error:  # the library checks as it goes
            raise SymbolError(f"{path.name} is no ELF file that can be read: {error or 'damaged'}") from error
    regions = sorted((*sections, *_heap(symbols)), key=lambda region: region.address)
    return Elf(path, machine, entry, symbols, tuple(regions))


def _symbols(elf: Any) -> dict[str, tuple[Region, ...]]:
    """One that is visible to all files hides those that files keep to themselves."""
    from elftools.elf.sections import SymbolTableSection

    table = elf.get_section_by_name(".symtab")
    shared: dict[str, set[Region]] = {}
    local: dict[str, set[Region]] = {}
    for symbol in table.iter_symbols() if isinstance(table, SymbolTableSection) else ():
        info = symbol["st_info"]
        if not symbol.name or symbol["st_shndx"] == "SHN_UNDEF" or info["type"] not in _NAMED:
            continue
        thumb = elf["e_machine"] == _ARM and info["type"] == "STT_FUNC"  # bit 0 says so and is no address
        region = Region(symbol.name, symbol["st_value"] & ~1 if thumb else symbol["st_value"], symbol["st_size"])
        (local if info["bind"] == "STB_LOCAL" else shared).setdefault(symbol.name, set()).add(region)
    return {
        name: tuple(sorted(regions, key=lambda region: region.address)) for name, regions in (local | shared).items()
    }


def _written_sections(elf: Any) -> Iterator[Region]:
    for section in elf.iter_sections():
        flags = section["sh_flags"]
        if flags & _WRITE and flags & _ALLOC and section["sh_size"]:
            yield Region(section.name, section["sh_addr"], section["sh_size"])


def _heap(symbols: Mapping[str, tuple[Region, ...]]) -> Iterator[Region]:
    for first, last in HEAPS:
        if first in symbols and last in symbols:
            start, end = symbols[first][0].address, symbols[last][0].address
            if end > start:
                yield Region(".heap", start, end - start)
