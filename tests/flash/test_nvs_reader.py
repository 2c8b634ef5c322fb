"""The reader: reads what the generator writes, notices damage, and takes any bytes."""

from __future__ import annotations

import io
import json
import struct
import zlib

import pytest
from esp_idf_nvs_partition_gen import nvs_partition_gen as generator
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmrig.flash.keys import NvsType
from swarmrig.flash.nvs import NvsEntry, build_nvs
from swarmrig.flash.reader import NvsContents, read_nvs

SIZE = 0x4000
names = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=15)
texts = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), max_size=120)


@st.composite
def values(draw: st.DrawFn) -> tuple[NvsType, int | str | bytes]:
    kind = draw(st.sampled_from(list(NvsType)))
    if kind is NvsType.STRING:
        return kind, draw(texts)
    if kind is NvsType.BLOB:
        return kind, draw(st.binary(max_size=300))
    return kind, draw(st.integers(*kind.integer_range))


@st.composite
def entries(draw: st.DrawFn) -> tuple[NvsEntry, ...]:
    places = draw(st.lists(st.tuples(names, names), max_size=20, unique=True))
    return tuple(NvsEntry(namespace, key, *draw(values())) for namespace, key in places)


@given(entries())
def test_what_is_built_is_read(built: tuple[NvsEntry, ...]) -> None:
    contents = read_nvs(build_nvs(built, SIZE))
    assert contents.problems == ()
    assert contents.entries == built
    assert json.loads(json.dumps(contents.to_json()))["problems"] == []


SAMPLE = (
    NvsEntry("csi_cfg", "node_id", NvsType.U8, 3),
    NvsEntry("csi_cfg", "ssid", NvsType.STRING, "network" * 20),
    NvsEntry("csi_cfg", "filter_mac", NvsType.BLOB, b"\xaa\xbb\xcc\xdd\xee\xff"),
    NvsEntry("other", "wasm_pubkey", NvsType.BLOB, bytes(range(200))),
    NvsEntry("other", "seed", NvsType.U32, 77),
)
GOOD = build_nvs(SAMPLE)


def noticed(contents: NvsContents) -> bool:
    """By a problem, or by entries that a partition fresh from the generator cannot have: erased ones."""
    return bool(contents.problems) or any(page.erased for page in contents.pages)


@settings(max_examples=500)
@given(st.integers(0, 0x1FFF), st.integers(1, 255))
def test_a_damaged_byte_is_noticed_or_harmless(position: int, mask: int) -> None:
    damaged = bytearray(GOOD)
    damaged[position] ^= mask
    contents = read_nvs(bytes(damaged))
    assert noticed(contents) or contents.entries == SAMPLE


def test_every_single_bit_is_noticed_or_harmless() -> None:
    for position in range(64 + 32 * 26):
        for bit in range(8):
            damaged = bytearray(GOOD)
            damaged[position] ^= 1 << bit
            contents = read_nvs(bytes(damaged))
            assert noticed(contents) or contents.entries == SAMPLE, f"byte {position} bit {bit}"


@given(st.data())
def test_a_damaged_stretch_is_noticed_or_harmless(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(GOOD) - 1))
    junk = data.draw(st.binary(min_size=1, max_size=200))
    damaged = (GOOD[:start] + junk + GOOD[start + len(junk) :])[: len(GOOD)]
    contents = read_nvs(damaged)
    assert noticed(contents) or contents.entries == SAMPLE


@given(st.binary(max_size=300), st.integers(0, 3))
def test_any_bytes_are_read_without_raising(data: bytes, pages: int) -> None:
    assert read_nvs(data).to_json()
    read_nvs((data * 200)[: 4096 * pages])


@given(st.lists(st.tuples(st.integers(0, 125), st.binary(min_size=32, max_size=32)), max_size=10))
def test_entries_with_good_checksums_and_any_content_are_read_without_raising(
    patches: list[tuple[int, bytes]],
) -> None:
    page = bytearray(GOOD)
    for index, entry in patches:
        page[32 + index // 4] &= ~(1 << (2 * (index % 4))) & 0xFF
        page[64 + 32 * index : 96 + 32 * index] = with_crc(entry)
    read_nvs(bytes(page)).to_json()


def with_crc(entry: bytes) -> bytes:
    crc = zlib.crc32(entry[:4] + entry[8:], 0xFFFFFFFF)
    return entry[:4] + struct.pack("<I", crc) + entry[8:]


def patched(*changes: tuple[int, bytes]) -> bytes:
    data = bytearray(GOOD)
    for offset, value in changes:
        data[offset : offset + len(value)] = value
    return bytes(data)


def erase(*indices: int) -> bytes:
    data = bytearray(GOOD)
    for index in indices:
        data[32 + index // 4] &= ~(3 << (2 * (index % 4))) & 0xFF
    return bytes(data)


# Entries of GOOD: 0 namespace csi_cfg, 1 node_id, 2..7 ssid (141 bytes), 8..9 filter_mac data, 10 its index,
# 11 namespace other, 12..19 wasm_pubkey data, 20 its index, 21 seed.
@pytest.mark.parametrize(
    ("damaged", "problem"),
    [
        (GOOD[:-1], "not a multiple of 4096"),
        (b"", "0 bytes, not a multiple"),
        (b"\xff" * 0x6000, "no page is in use"),
        (bytes(0x6000), "has the state 0x00000000"),
        (patched((0, b"\xf0")), "has the state corrupt"),
        (patched((0, b"\x00\x11\x22\x33")), "has the state 0x33221100"),
        (patched((0, b"\xff")), "marked empty but holds data"),
        (patched((4, b"\x07")), "the header's CRC"),
        (patched((28, b"\0\0\0\0")), "the header's CRC"),
        (patched((0x5010, b"\0")), "page 5 is marked empty but holds data"),
        (patched((64 + 32 + 24, b"\x04")), "page 0 entry 1: CRC"),
        (patched((64 + 3 * 32, b"N")), "(ssid): the CRC or size of its data"),
        (patched((64 + 25 * 32, b"\0")), "entry 25 is marked free but holds data"),
        (patched((32, b"\xa9")), "entry 0: illegal state"),
        (erase(3), "(ssid): its 6 entries are not all written"),
        (erase(0), "key node_id is in namespace 1, which has no name"),
        (erase(10), "chunk 0 belongs to no index"),
        (erase(8, 9), "blob filter_mac: 0 of 6 bytes in 1 chunks"),
        (GOOD[:4096] * 2 + GOOD[8192:], "two pages have the same sequence number"),
    ],
)
def test_each_kind_of_damage_has_its_words(damaged: bytes, problem: str) -> None:
    contents = read_nvs(damaged)
    assert any(problem in found for found in contents.problems), contents.problems


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (struct.pack("<BBBBI16sB7x", 1, 0x99, 1, 0xFF, 0, b"odd", 1), "unknown type 0x99"),
        (struct.pack("<BBBBI16sB7x", 1, 0x01, 0, 0xFF, 0, b"odd", 1), "its 0 entries"),
        (struct.pack("<BBBBI16sB7x", 1, 0x01, 126, 0xFF, 0, b"odd", 1), "its 126 entries"),
        (struct.pack("<BBBBI16sB7x", 0, 0x01, 1, 0xFF, 0, b"again", 1), "namespace index 1 is csi_cfg already"),
        (struct.pack("<BBBBI16sB7x", 1, 0x01, 1, 0xFF, 0, b"node_id", 9), "written twice, the later one counts"),
        (struct.pack("<BBBBI16sHHI", 1, 0x21, 1, 0xFF, 0, b"s", 0, 0xFFFF, 0xFFFFFFFF), "(s): "),
    ],
)
def test_entries_that_are_intact_but_wrong(entry: bytes, problem: str) -> None:
    entry_22_written = (32 + 5, b"\xea")
    contents = read_nvs(patched(entry_22_written, (64 + 22 * 32, with_crc(entry))))
    assert any(problem in found for found in contents.problems), contents.problems


def test_a_damaged_entry_does_not_take_the_others_along() -> None:
    contents = read_nvs(patched((64 + 32 + 24, b"\x04")))
    assert contents.entries == SAMPLE[1:]


def test_pages_count_in_the_order_of_their_sequence_numbers() -> None:
    built = tuple(NvsEntry("n", f"k{n}", NvsType.U8, n) for n in range(200))
    partition = build_nvs(built, 0x4000)
    swapped = partition[4096:8192] + partition[:4096] + partition[8192:]
    contents = read_nvs(swapped)
    assert contents.entries == built
    assert contents.problems == ()
    assert [page.sequence for page in contents.pages] == [1, 0, None, None]


def test_blobs_over_several_pages_are_joined() -> None:
    blob = bytes(n * 7 % 251 for n in range(15_000))
    built = (NvsEntry("n", "first", NvsType.U8, 1), NvsEntry("n", "big", NvsType.BLOB, blob))
    contents = read_nvs(build_nvs(built, 0x6000))
    assert contents.entries == built
    assert [page.state for page in contents.pages].count("full") == 3


def test_a_blob_with_a_damaged_page_is_not_passed_off_as_whole() -> None:
    blob = bytes(10_000)
    partition = bytearray(build_nvs([NvsEntry("n", "big", NvsType.BLOB, blob)], 0x6000))
    partition[4096 + 500] ^= 1
    contents = read_nvs(bytes(partition))
    assert contents.entries == ()
    assert any("blob big: " in problem for problem in contents.problems)


def test_the_older_blob_format_is_read() -> None:
    buffer = io.BytesIO()
    nvs = generator.nvs_open(buffer, 0x3000, generator.Page.VERSION1)
    generator.write_entry(nvs, "n", "namespace", "", "")
    generator.write_entry(nvs, "old", "data", "hex2bin", "00112233")
    generator.nvs_close(nvs)
    contents = read_nvs(buffer.getvalue())
    assert contents.entries == (NvsEntry("n", "old", NvsType.BLOB, b"\x00\x11\x22\x33"),)
    assert contents.problems == ()


def test_erased_entries_are_counted_not_complained_about() -> None:
    contents = read_nvs(erase(21))
    assert contents.problems == ()
    assert contents.pages[0].erased == 1
    assert contents.entries == SAMPLE[:-1]
