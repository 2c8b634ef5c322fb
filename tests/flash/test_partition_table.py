"""Partition tables: the documented bytes, round trips, refusals."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmrig.flash.partition import (
    STANDARD_TABLE,
    TABLE_BYTES,
    TYPE_APP,
    TYPE_DATA,
    Partition,
    PartitionError,
    build_table,
    check_partitions,
    parse_table,
)

NVS = Partition("nvs", TYPE_DATA, 2, 0x9000, 0x6000)
# The example of the programming guide: magic, type, subtype, offset, size, label, flags.
NVS_BYTES = bytes.fromhex("aa50 01 02 00900000 00600000") + b"nvs".ljust(16, b"\0") + bytes(4)


def test_the_bytes_are_the_documented_ones() -> None:
    table = build_table([NVS])
    md5 = b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(NVS_BYTES).digest()
    assert table == (NVS_BYTES + md5).ljust(TABLE_BYTES, b"\xff")


def test_the_standard_table_has_nvs_where_the_rig_provisions_it() -> None:
    assert check_partitions(STANDARD_TABLE) == []
    assert parse_table(build_table(STANDARD_TABLE)) == STANDARD_TABLE
    assert [p for p in STANDARD_TABLE if p.is_nvs] == [NVS]


@given(
    st.lists(
        st.tuples(st.text("abc_xyz0", min_size=1, max_size=16), st.integers(1, 0xFE), st.integers(0, 255)),
        min_size=1, max_size=20, unique_by=lambda entry: entry[0],
    )
)  # fmt: skip
def test_tables_round_trip(rows: list[tuple[str, int, int]]) -> None:
    partitions = tuple(
        Partition(label, kind, subtype, 0x9000 + 0x1000 * index, 0x1000, flags=index)
        for index, (label, kind, subtype) in enumerate(rows)
    )
    assert parse_table(build_table(partitions)) == partitions


@given(st.binary(max_size=200))
def test_any_bytes_parse_or_are_refused(data: bytes) -> None:
    for table in (data, b"\xaa\x50" + data):
        try:
            parse_table(table)
        except PartitionError as error:
            assert error.problems


def test_a_table_without_md5_is_accepted() -> None:
    assert parse_table((NVS_BYTES).ljust(TABLE_BYTES, b"\xff")) == (NVS,)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (b"", "no end"),
        (b"\xff" * TABLE_BYTES, "empty"),
        (NVS_BYTES, "no end"),
        (bytes(TABLE_BYTES), "magic 0000"),
        (build_table([NVS])[:16] + b"N" + build_table([NVS])[17:], "MD5"),
    ],
)
def test_what_is_no_table_is_refused(table: bytes, message: str) -> None:
    with pytest.raises(PartitionError, match=message):
        parse_table(table)


@pytest.mark.parametrize(
    ("partitions", "problem"),
    [
        ([NVS, Partition("other", 1, 1, 0xE000, 0x1000)], "'nvs' and 'other' overlap at 0xe000"),
        ([NVS, Partition("nvs", 1, 2, 0xF000, 0x1000)], "two partitions are named 'nvs'"),
        ([Partition("app", TYPE_APP, 0, 0x18000, 0x1000)], "not a multiple of 0x10000"),
        ([Partition("data", 1, 1, 0x9800, 0x1000)], "not a multiple of 0x1000"),
        ([Partition("data", 1, 1, 0x9000, 0x800)], "not a multiple of 0x1000"),
        ([Partition("data", 1, 1, 0x8000, 0x1000)], "overlaps the bootloader or the partition table"),
        ([Partition("data", 1, 1, 0x9000, 0)], "the size 0x0 is not possible"),
        ([Partition("data", 1, 1, 0xFFFFF000, 0x10000)], "is not possible"),
        ([Partition("", 1, 1, 0x9000, 0x1000)], "1 to 16 bytes"),
        ([Partition("x" * 17, 1, 1, 0x9000, 0x1000)], "1 to 16 bytes"),
        ([Partition("data", 256, 1, 0x9000, 0x1000)], "are bytes"),
        ([Partition(f"p{n}", 1, 1, 0x9000 + n * 0x1000, 0x1000) for n in range(96)], "at most 95"),
    ],
)
def test_layouts_that_firmware_would_refuse(partitions: list[Partition], problem: str) -> None:
    assert any(problem in found for found in check_partitions(partitions))
    with pytest.raises(PartitionError):
        build_table(partitions)
