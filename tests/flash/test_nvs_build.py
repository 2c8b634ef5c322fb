"""Building NVS: the same bytes as Espressif's command line, and refusals before its quiet mistakes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from swarmrig.flash.keys import MAX_STRING_BYTES, NvsType
from swarmrig.flash.nvs import NVS_SIZE, NvsEntry, NvsError, build_nvs, entries_from_values
from swarmrig.flash.reader import read_nvs

CSV = """key,type,encoding,value
csi_cfg,namespace,,
ssid,data,string,TestNet
target_port,data,u16,5005
filter_mac,data,hex2bin,aabbccddeeff
swarmrig,namespace,,
role,data,u8,2
seed,data,u32,4294967295
"""
ENTRIES = entries_from_values(
    {
        "csi_cfg": {"ssid": "TestNet", "target_port": 5005, "filter_mac": "AA:BB:CC:DD:EE:FF"},
        "swarmrig": {"role": 2, "seed": 0xFFFFFFFF},
    }
)


def entry(key: str, kind: NvsType, value: object, namespace: str = "n") -> NvsEntry:
    return NvsEntry(namespace, key, kind, value)  # type: ignore[arg-type]


def test_the_bytes_are_those_of_the_generators_command_line(tmp_path: Path) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.bin"
    source.write_text(CSV)
    command = [sys.executable, "-m", "esp_idf_nvs_partition_gen", "generate", str(source), str(target), hex(NVS_SIZE)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    assert build_nvs(ENTRIES) == target.read_bytes()


def test_building_twice_gives_the_same_bytes() -> None:
    assert build_nvs(ENTRIES) == build_nvs(ENTRIES)


def test_nothing_is_a_partition_too() -> None:
    contents = read_nvs(build_nvs([]))
    assert (contents.entries, contents.problems) == ((), ())


def test_interleaved_namespaces_are_written_once() -> None:
    entries = (entry("a", NvsType.U8, 1, "x"), entry("a", NvsType.U8, 2, "y"), entry("b", NvsType.U8, 3, "x"))
    contents = read_nvs(build_nvs(entries))
    assert contents.values == {"x": {"a": 1, "b": 3}, "y": {"a": 2}}
    assert contents.pages[0].written == 5


@pytest.mark.parametrize("kind", [kind for kind in NvsType if kind.is_integer])
def test_integers_reach_both_ends_of_their_type_and_no_further(kind: NvsType) -> None:
    low, high = kind.integer_range
    built = (entry("low", kind, low), entry("high", kind, high))
    assert read_nvs(build_nvs(built)).entries == built
    for value in (low - 1, high + 1):
        with pytest.raises(NvsError, match=rf"n\.k is a whole number in {low}\.\.{high} \({kind}\)"):
            build_nvs([entry("k", kind, value)])


@pytest.mark.parametrize("value", [True, 1.0, "1", None])
def test_only_integers_are_integers(value: object) -> None:
    with pytest.raises(NvsError, match="whole number"):
        build_nvs([entry("k", NvsType.U8, value)])


@pytest.mark.parametrize("name", ["", "k" * 16, "schlüssel", "a\0b", "line\nbreak"])
def test_names_that_nvs_cannot_hold_are_refused(name: str) -> None:
    with pytest.raises(NvsError, match="key"):
        build_nvs([entry(name, NvsType.U8, 1)])
    with pytest.raises(NvsError, match="namespace"):
        build_nvs([entry("k", NvsType.U8, 1, name)])


def test_15_characters_are_possible() -> None:
    built = (entry("k" * 15, NvsType.U8, 1, "n" * 15),)
    assert read_nvs(build_nvs(built)).entries == built


def test_strings_reach_their_limit_and_no_further() -> None:
    for size in (0, 31, 32, 33, MAX_STRING_BYTES):
        built = (entry("k", NvsType.STRING, "x" * size),)
        assert read_nvs(build_nvs(built)).entries == built
    with pytest.raises(NvsError, match="at most 3967 bytes, got 3968"):
        build_nvs([entry("k", NvsType.STRING, "x" * (MAX_STRING_BYTES + 1))])


@pytest.mark.parametrize("value", ["a\0b", "\ud800", b"bytes", 7])
def test_text_that_a_c_string_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(NvsError, match="text"):
        build_nvs([entry("k", NvsType.STRING, value)])


def test_blobs_are_bytes_here() -> None:
    with pytest.raises(NvsError, match="bytes expected"):
        build_nvs([entry("k", NvsType.BLOB, "AABB")])


def test_all_problems_are_told_together() -> None:
    with pytest.raises(NvsError) as caught:
        build_nvs(
            [
                entry("k" * 16, NvsType.U8, 256),
                entry("s", NvsType.STRING, 5),
                entry("t", NvsType.U8, 1),
                entry("t", NvsType.U8, 2),
            ],
            size=0x2000,
        )
    assert len(caught.value.problems) == 5
    assert "given twice" in str(caught.value)


@pytest.mark.parametrize("size", [0, -0x3000, 0x2000, 0x6001, 0x3FFF])
def test_sizes_that_are_no_partition_are_refused(size: int) -> None:
    with pytest.raises(NvsError, match="multiple of 0x1000"):
        build_nvs([], size)


def test_what_does_not_fit_says_so() -> None:
    with pytest.raises(NvsError, match="do not fit into an NVS partition of 0x3000"):
        build_nvs([entry("k", NvsType.BLOB, bytes(0x3000))], 0x3000)
    with pytest.raises(NvsError, match="do not fit"):
        build_nvs([entry(f"k{n}", NvsType.U8, 1) for n in range(260)], 0x3000)


def test_a_full_partition_still_reads() -> None:
    built = tuple(entry(f"k{n}", NvsType.U8, n % 256) for n in range(251))
    contents = read_nvs(build_nvs(built, 0x3000))
    assert contents.entries == built
    assert [page.state for page in contents.pages] == ["full", "active", "empty"]


def test_more_namespaces_than_an_index_can_name_are_refused() -> None:
    with pytest.raises(NvsError, match="254 namespaces"):
        build_nvs([entry("k", NvsType.U8, 1, f"n{n}") for n in range(255)], 0x10000)
    assert not read_nvs(build_nvs([entry("k", NvsType.U8, 1, f"n{n}") for n in range(254)], 0x10000)).problems
