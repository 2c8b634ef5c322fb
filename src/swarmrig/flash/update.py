"""Changes of an NVS partition: by making it anew, and the way firmware does it, write by write.

The order of writes is that of ESP-IDF (nvs_page.cpp, nvs_storage.cpp): the entry, its state, for long values the data
and its state; then the former value is marked as erased. A power cut between any two bytes must leave the old value
or the new one.
"""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from swarmrig.flash.damage import program, torn_write
from swarmrig.flash.keys import NvsType
from swarmrig.flash.nvs import PAGE_BYTES, NvsEntry, NvsError, build_nvs
from swarmrig.flash.reader import ENTRIES_PER_PAGE, read_nvs

_ENTRY_BYTES = 32
_BITMAP, _ENTRIES = 32, 64
_FREE, _WRITTEN, _ERASED = 3, 2, 0
_ACTIVE = 0xFFFFFFFE
_NAMESPACE = 0x01
_INTEGERS = {
    NvsType.U8: (0x01, "<B"), NvsType.I8: (0x11, "<b"), NvsType.U16: (0x02, "<H"), NvsType.I16: (0x12, "<h"),
    NvsType.U32: (0x04, "<I"), NvsType.I32: (0x14, "<i"), NvsType.U64: (0x08, "<Q"), NvsType.I64: (0x18, "<q"),
}  # fmt: skip
_STRING = 0x21
_NO_CHUNK = 0xFF


@dataclass(frozen=True, slots=True)
class Write:
    """One write command of the firmware."""

    offset: int
    """In the partition."""
    data: bytes


def with_values(partition: bytes, entries: Iterable[NvsEntry]) -> bytes:
    """The partition made anew with these values in place of, or beside, those it holds.

    NvsError when it is damaged (nothing could vouch for the rest), or they do not fit.
    """
    contents = read_nvs(partition)
    if contents.problems:
        raise NvsError([f"NVS is damaged already: {contents.problems[0]}"])
    values = {(entry.namespace, entry.key): entry for entry in (*contents.entries, *entries)}
    return build_nvs(values.values(), len(partition))


def update_writes(partition: bytes, entry: NvsEntry) -> tuple[Write, ...]:
    """What firmware writes to give a key a value. NvsError for blobs, unknown namespaces, and full pages."""
    item = _item(partition, entry)
    page, free = _free_place(partition, len(item) // _ENTRY_BYTES)
    old = _place_of(partition, item[0], item[1], entry.key)
    bitmap = bytearray(partition[page + _BITMAP : page + _ENTRIES])
    writes = [Write(page + _ENTRIES + free * _ENTRY_BYTES, item[:_ENTRY_BYTES]), _marked(bitmap, page, free, _WRITTEN)]
    if len(item) > _ENTRY_BYTES:
        writes.append(Write(page + _ENTRIES + (free + 1) * _ENTRY_BYTES, item[_ENTRY_BYTES:]))
        writes += [_marked(bitmap, page, free + n, _WRITTEN) for n in range(1, len(item) // _ENTRY_BYTES)]
    if old is not None:
        old_page, first, span = old
        old_bitmap = bitmap if old_page == page else bytearray(partition[old_page + _BITMAP : old_page + _ENTRIES])
        writes += [_marked(old_bitmap, old_page, first + n, _ERASED) for n in range(span)]
    return tuple(writes)


def update_bytes(writes: Iterable[Write]) -> int:
    """How many bytes they write: a cut may come after 0 to one less."""
    return sum(len(write.data) for write in writes)


def updated(partition: bytes, writes: Iterable[Write]) -> bytes:
    """After all of them."""
    for write in writes:
        partition = program(partition, write.data, write.offset)
    return partition


def torn_update(partition: bytes, writes: Iterable[Write], written: int, chance: random.Random) -> bytes:
    """After `written` bytes of them, the next one half-way. ValueError when they have no more."""
    for write in writes:
        if written < len(write.data):
            return torn_write(partition, write.data, write.offset, written, chance)
        partition = program(partition, write.data, write.offset)
        written -= len(write.data)
    raise ValueError("the update is complete by then")


def _item(partition: bytes, entry: NvsEntry) -> bytes:
    """The entry's bytes, data included."""
    namespace = _namespace_index(partition, entry.namespace)
    payload = b""
    if entry.type in _INTEGERS:
        kind, layout = _INTEGERS[entry.type]
        data = struct.pack(layout, entry.value).ljust(8, b"\xff")
    elif entry.type is NvsType.STRING:
        kind, payload = _STRING, str(entry.value).encode() + b"\0"
        data = struct.pack("<HHI", len(payload), 0xFFFF, _crc(payload))
        payload += b"\xff" * (-len(payload) % _ENTRY_BYTES)
    else:
        raise NvsError([f"{entry.namespace}.{entry.key} is a blob: updates of integers and strings are known"])
    span = 1 + len(payload) // _ENTRY_BYTES
    head, key = bytes((namespace, kind, span, _NO_CHUNK)), entry.key.encode().ljust(16, b"\0")
    return head + struct.pack("<I", _crc(head + key + data)) + key + data + payload


def _namespace_index(partition: bytes, name: str) -> int:
    for page, index in _written(partition):
        item = _entry(partition, page, index)
        if item[0] == 0 and item[1] == _NAMESPACE and _key(item) == name:
            return item[24]
    raise NvsError([f"NVS has no namespace {name}"])


def _place_of(partition: bytes, namespace: int, kind: int, key: str) -> tuple[int, int, int] | None:
    """Page, first entry and span of the value that is there."""
    for page, index in _written(partition):
        item = _entry(partition, page, index)
        if (item[0], item[1], _key(item)) == (namespace, kind, key):
            return page, index, item[2]
    return None


def _free_place(partition: bytes, span: int) -> tuple[int, int]:
    """The active page and its first free entry."""
    for page in range(0, len(partition), PAGE_BYTES):
        if struct.unpack_from("<I", partition, page)[0] == _ACTIVE:
            free = next((n for n in range(ENTRIES_PER_PAGE) if _state(partition, page, n) == _FREE), ENTRIES_PER_PAGE)
            if free + span <= ENTRIES_PER_PAGE:
                return page, free
    raise NvsError(["no page of NVS has room for an update"])


def _written(partition: bytes) -> Iterator[tuple[int, int]]:
    """Page and number of every first entry of a value."""
    for page in range(0, len(partition), PAGE_BYTES):
        number = 0
        while number < ENTRIES_PER_PAGE and struct.unpack_from("<I", partition, page)[0] != 0xFFFFFFFF:
            used = _state(partition, page, number) == _WRITTEN
            if used:
                yield page, number
            number += max(1, _entry(partition, page, number)[2]) if used else 1


def _entry(partition: bytes, page: int, number: int) -> bytes:
    start = page + _ENTRIES + number * _ENTRY_BYTES
    return partition[start : start + _ENTRY_BYTES]


def _state(partition: bytes, page: int, number: int) -> int:
    return partition[page + _BITMAP + number // 4] >> (number % 4 * 2) & 3


def _marked(bitmap: bytearray, page: int, number: int, state: int) -> Write:
    """The write of the bitmap's word that gives an entry its state; `bitmap` follows."""
    shift = number % 4 * 2
    bitmap[number // 4] = bitmap[number // 4] & ~(3 << shift) | state << shift
    word = number // 16 * 4
    return Write(page + _BITMAP + word, bytes(bitmap[word : word + 4]))


def _key(item: bytes) -> str:
    return item[8:24].split(b"\0")[0].decode("ascii", "replace")


def _crc(data: bytes) -> int:
    """As the ESP32's ROM computes it: zlib's, started at all ones."""
    return zlib.crc32(data, 0xFFFFFFFF)
