"""An independent reader of ESP-IDF NVS partitions, written from the documented layout, not from the generator.

Layout (ESP-IDF programming guide, "Non-volatile storage library"): pages of 4096 bytes: header of 32 bytes (state,
sequence number, version, CRC-32 of bytes 4..27), bitmap of 2 bits for each of 126 entries, entries of 32 bytes
(namespace index, type, span, chunk index, CRC-32, 16-byte key, 8 bytes of data). Whatever the bytes, nothing raises:
what is wrong is listed, what can be trusted is returned.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from swarmrig.flash.keys import NvsType
from swarmrig.flash.nvs import PAGE_BYTES, NvsEntry

ENTRIES_PER_PAGE = 126

_HEADER = struct.Struct("<IIB19sI")
_ENTRY = struct.Struct("<BBBBI16s8s")
_VARIABLE = struct.Struct("<HHI")
_INDEX = struct.Struct("<IBB2x")
_STATES = {
    0xFFFFFFFF: "empty",
    0xFFFFFFFE: "active",
    0xFFFFFFFC: "full",
    0xFFFFFFF8: "freeing",
    0xFFFFFFF0: "corrupt",
}
_INTEGERS = {
    0x01: (NvsType.U8, "<B"), 0x11: (NvsType.I8, "<b"), 0x02: (NvsType.U16, "<H"), 0x12: (NvsType.I16, "<h"),
    0x04: (NvsType.U32, "<I"), 0x14: (NvsType.I32, "<i"), 0x08: (NvsType.U64, "<Q"), 0x18: (NvsType.I64, "<q"),
}  # fmt: skip
_STRING, _BLOB_V1, _BLOB_DATA, _BLOB_INDEX = 0x21, 0x41, 0x42, 0x48
_ERASED, _ILLEGAL, _WRITTEN, _FREE = 0, 1, 2, 3
_BLANK_ENTRY = b"\xff" * 32


@dataclass(frozen=True, slots=True)
class NvsPage:
    """One page: `state` as ESP-IDF names it, and how its 126 entries are used."""

    number: int
    state: str
    sequence: int | None
    version: int | None
    written: int
    erased: int
    """Entries that were overwritten or deleted; a freshly made partition has none."""


@dataclass(frozen=True, slots=True)
class NvsContents:
    """What a partition holds, and what is wrong with it ([] when nothing is)."""

    entries: tuple[NvsEntry, ...]
    pages: tuple[NvsPage, ...]
    problems: tuple[str, ...]

    @property
    def values(self) -> dict[str, dict[str, int | str | bytes]]:
        """namespace -> {key: value}"""
        found: dict[str, dict[str, int | str | bytes]] = {}
        for entry in self.entries:
            found.setdefault(entry.namespace, {})[entry.key] = entry.value
        return found

    def to_json(self) -> dict[str, Any]:
        """JSON-able; blobs as hexadecimal text."""
        return {
            "entries": [
                {
                    "namespace": entry.namespace,
                    "key": entry.key,
                    "type": entry.type.value,
                    "value": entry.value.hex() if isinstance(entry.value, bytes) else entry.value,
                }
                for entry in self.entries
            ],
            "pages": [
                {name: getattr(page, name) for name in ("number", "state", "sequence", "written", "erased")}
                for page in self.pages
            ],
            "problems": list(self.problems),
        }


def read_nvs(partition: bytes) -> NvsContents:
    """Everything in the partition that its checksums vouch for, pages in the order of their sequence numbers."""
    return _Reader(bytes(partition)).read()


@dataclass(frozen=True, slots=True)
class _Item:
    """An entry whose CRC holds, with the data behind it."""

    where: str
    namespace: int
    type: int
    chunk: int
    key: str
    data: bytes
    payload: bytes


@dataclass(slots=True)
class _Reader:
    partition: bytes
    problems: list[str] = field(default_factory=list)
    namespaces: dict[int, str] = field(default_factory=dict)
    values: dict[tuple[int, str], tuple[NvsType, int | str | bytes]] = field(default_factory=dict)
    chunks: dict[tuple[int, str, int], bytes] = field(default_factory=dict)
    indexes: dict[tuple[int, str], tuple[int, int, int]] = field(default_factory=dict)

    def read(self) -> NvsContents:
        if not self.partition or len(self.partition) % PAGE_BYTES:
            self.problems.append(f"the partition has {len(self.partition)} bytes, not a multiple of {PAGE_BYTES}")
        pages = [self._page(number) for number in range(len(self.partition) // PAGE_BYTES)]
        self._check_pages(pages)
        usable = [page for page in pages if page.state in ("active", "full", "freeing") and page.sequence is not None]
        for page in sorted(usable, key=lambda page: page.sequence or 0):
            for item in self._items(page.number):
                self._store(item)
        self._join_blobs()
        return NvsContents(tuple(self._entries()), tuple(pages), tuple(self.problems))

    def _bytes(self, page: int) -> bytes:
        return self.partition[page * PAGE_BYTES : (page + 1) * PAGE_BYTES]

    def _page(self, number: int) -> NvsPage:
        page = self._bytes(number)
        code, sequence, version, _, crc = _HEADER.unpack_from(page)
        state = _STATES.get(code, f"{code:#010x}")
        if state == "empty":
            if page.count(0xFF) != PAGE_BYTES:
                self.problems.append(f"page {number} is marked empty but holds data")
            return NvsPage(number, state, None, None, 0, 0)
        if code not in _STATES or state == "corrupt":
            self.problems.append(f"page {number} has the state {state}")
        states = _entry_states(page)
        counts = {kind: states.count(kind) for kind in (_WRITTEN, _ERASED)}
        if _crc(page[4:28]) != crc:
            self.problems.append(f"page {number}: the header's CRC is {crc:#010x}, not {_crc(page[4:28]):#010x}")
            return NvsPage(number, state, None, None, counts[_WRITTEN], counts[_ERASED])
        return NvsPage(number, state, sequence, version, counts[_WRITTEN], counts[_ERASED])

    def _check_pages(self, pages: list[NvsPage]) -> None:
        sequences = [page.sequence for page in pages if page.sequence is not None]
        if len(set(sequences)) != len(sequences):
            self.problems.append(f"two pages have the same sequence number: {sequences}")
        for page in pages:
            if page.version is not None and page.version not in (0xFE, 0xFF):
                self.problems.append(f"page {page.number} has the unknown version {page.version:#04x}")
        if pages and not sequences:
            self.problems.append("no page is in use: the partition is blank or unreadable")

    def _items(self, number: int) -> Iterator[_Item]:
        page = self._bytes(number)
        states = _entry_states(page)
        index = 0
        while index < ENTRIES_PER_PAGE:
            where = f"page {number} entry {index}"
            entry = page[64 + 32 * index : 96 + 32 * index]
            span = 1
            if states[index] == _WRITTEN:
                item, span = self._item(page, states, index, where)
                if item:
                    yield item
            elif states[index] == _ILLEGAL:
                self.problems.append(f"{where}: illegal state in the bitmap")
            elif states[index] == _FREE and entry != _BLANK_ENTRY:
                self.problems.append(f"{where} is marked free but holds data")
            index += span

    def _item(self, page: bytes, states: list[int], index: int, where: str) -> tuple[_Item | None, int]:
        start = 64 + 32 * index
        entry = page[start : start + 32]
        namespace, kind, span, chunk, crc, raw_key, data = _ENTRY.unpack(entry)
        if _crc(entry[:4] + entry[8:]) != crc:
            self.problems.append(f"{where}: CRC {crc:#010x}, not {_crc(entry[:4] + entry[8:]):#010x}")
            return None, 1
        key = raw_key.split(b"\0")[0].decode("ascii", "backslashreplace")
        if not 1 <= span <= ENTRIES_PER_PAGE - index or any(s != _WRITTEN for s in states[index : index + span]):
            self.problems.append(f"{where} ({key}): its {span} entries are not all written")
            return None, 1
        payload = b""
        if kind in (_STRING, _BLOB_V1, _BLOB_DATA):
            size, _, payload_crc = _VARIABLE.unpack(data)
            payload = page[start + 32 : start + 32 + size]
            if (size + 31) // 32 + 1 != span or _crc(payload) != payload_crc:
                self.problems.append(f"{where} ({key}): the CRC or size of its data is wrong")
                return None, span
        return _Item(where, namespace, kind, chunk, key, data, payload), span

    def _store(self, item: _Item) -> None:
        place = (item.namespace, item.key)
        if item.type in _INTEGERS:
            kind, layout = _INTEGERS[item.type]
            value: int = struct.unpack_from(layout, item.data)[0]
            if item.namespace == 0:
                self._store_namespace(item, value)
            else:
                self._store_value(item, kind, value)
        elif item.type == _STRING:
            self._store_string(item)
        elif item.type == _BLOB_V1:
            self._store_value(item, NvsType.BLOB, item.payload)
        elif item.type == _BLOB_DATA:
            self.chunks[(*place, item.chunk)] = item.payload
        elif item.type == _BLOB_INDEX:
            self.indexes[place] = _INDEX.unpack(item.data)
            self._store_value(item, NvsType.BLOB, b"")  # keeps its place in the order until the chunks are joined
        else:
            self.problems.append(f"{item.where} ({item.key}): unknown type {item.type:#04x}")

    def _store_namespace(self, item: _Item, index: int) -> None:
        if index in self.namespaces:
            self.problems.append(f"{item.where}: namespace index {index} is {self.namespaces[index]} already")
        self.namespaces[index] = item.key

    def _store_string(self, item: _Item) -> None:
        text, nul, rest = item.payload.partition(b"\0")
        if not nul or rest:
            self.problems.append(f"{item.where} ({item.key}): a string without its NUL at the end")
            return
        try:
            self._store_value(item, NvsType.STRING, text.decode())
        except UnicodeDecodeError:
            self.problems.append(f"{item.where} ({item.key}): a string that is not UTF-8")

    def _store_value(self, item: _Item, kind: NvsType, value: int | str | bytes) -> None:
        place = (item.namespace, item.key)
        if place in self.values:
            self.problems.append(f"{item.where} ({item.key}): written twice, the later one counts")
            del self.values[place]
        self.values[place] = (kind, value)

    def _join_blobs(self) -> None:
        used: set[tuple[int, str, int]] = set()
        for place, (size, count, start) in self.indexes.items():
            wanted = [(*place, (start + number) & 0xFF) for number in range(count)]
            used.update(wanted)
            blob = b"".join(self.chunks.get(chunk, b"") for chunk in wanted)
            if len(blob) != size or any(chunk not in self.chunks for chunk in wanted):
                self.problems.append(f"blob {place[1]}: {len(blob)} of {size} bytes in {count} chunks")
                self.values.pop(place, None)
            else:
                self.values[place] = (NvsType.BLOB, blob)
        for namespace, key, chunk in sorted(self.chunks.keys() - used):
            self.problems.append(f"blob {key} (namespace {namespace}): chunk {chunk} belongs to no index")

    def _entries(self) -> Iterator[NvsEntry]:
        for (index, key), (kind, value) in self.values.items():
            namespace = self.namespaces.get(index)
            if namespace is None:
                self.problems.append(f"key {key} is in namespace {index}, which has no name")
            else:
                yield NvsEntry(namespace, key, kind, value)


def _entry_states(page: bytes) -> list[int]:
    bits = int.from_bytes(page[32:64], "little")
    return [bits >> (2 * index) & 3 for index in range(ENTRIES_PER_PAGE)]


def _crc(data: bytes) -> int:
    """CRC-32 as the ESP32's ROM computes it: zlib's, started at all ones."""
    return zlib.crc32(data, 0xFFFFFFFF)
