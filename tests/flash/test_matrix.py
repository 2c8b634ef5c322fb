"""The 14 configurations, the key tables, and what the nvs commands answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarmrig.flash import commands
from swarmrig.flash.image import assemble_image, assemble_pflash
from swarmrig.flash.keys import CSI_CFG_KEYS, MAX_KEY_LENGTH, NAMESPACES, SWARMRIG_KEYS, key_spec
from swarmrig.flash.matrix import MATRIX, config, damage
from swarmrig.flash.nvs import NVS_SIZE, NvsError, build_nvs
from swarmrig.flash.reader import read_nvs

EXPECTED = {
    "default": {},
    "wifi-only": {"ssid": "TestNetwork", "password": "testpassword"},
    "full-adr060": {"csi_channel": 6, "filter_mac": b"\xaa\xbb\xcc\xdd\xee\xff", "node_id": 1,
                    "target_ip": "10.0.2.2", "target_port": 5005},
    "edge-tier0": {"edge_tier": 0},
    "edge-tier1": {"edge_tier": 1, "pres_thresh": 50},
    "edge-tier2-custom": {"edge_tier": 2, "pres_thresh": 100, "fall_thresh": 3000, "vital_win": 256,
                          "vital_int": 500, "subk_count": 16},
    "tdm-3node": {"node_id": 0, "tdm_slot": 0, "tdm_nodes": 3},
    "wasm-signed": {"wasm_max": 4, "wasm_verify": 1, "wasm_pubkey": bytes(range(32))},
    "wasm-unsigned": {"wasm_max": 2, "wasm_verify": 0},
    "5ghz-channel": {"csi_channel": 36},
    "boundary-max": {"target_port": 65535, "node_id": 255, "subk_count": 32, "vital_win": 256},
    "boundary-min": {"target_port": 1, "node_id": 0, "subk_count": 1, "vital_win": 32},
    "power-save": {"power_duty": 10, "edge_tier": 0},
}  # fmt: skip


def test_the_matrix_has_14_configurations_in_the_documented_order() -> None:
    assert [c.name for c in commands.matrix()] == [*EXPECTED, "corrupt-nvs"]


@pytest.mark.parametrize("name", EXPECTED)
def test_a_configuration_holds_what_its_name_promises(name: str) -> None:
    contents = read_nvs(config(name).build())
    assert contents.problems == ()
    assert contents.values == ({"csi_cfg": EXPECTED[name]} if EXPECTED[name] else {})


def test_the_corrupt_one_is_damaged_beyond_use_and_always_the_same() -> None:
    partition = config("corrupt-nvs").build()
    assert len(partition) == NVS_SIZE
    assert partition == config("corrupt_nvs").build()
    contents = read_nvs(partition)
    assert contents.entries == ()
    assert any("CRC" in problem for problem in contents.problems)
    assert contents.pages[0].state == "active", "it must look used, not blank"


def test_even_with_the_header_repaired_no_entry_of_the_corrupt_one_is_good() -> None:
    good = config("full-adr060").build()
    partition = good[:64] + damage(good)[64:4096] + good[4096:]
    assert read_nvs(partition).entries == ()


def test_an_unknown_configuration_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="default, wifi-only"):
        config("wifi")


def test_the_key_tables_fit_into_nvs_and_cover_the_specification() -> None:
    assert all(len(name) <= MAX_KEY_LENGTH for name in [*NAMESPACES, *CSI_CFG_KEYS, *SWARMRIG_KEYS])
    assert {name: spec.type.value for name, spec in CSI_CFG_KEYS.items()} == {
        **dict.fromkeys(("ssid", "password", "target_ip"), "string"),
        **dict.fromkeys(("target_port", "pres_thresh", "fall_thresh", "vital_win", "vital_int"), "u16"),
        **dict.fromkeys(("node_id", "tdm_slot", "tdm_nodes", "edge_tier", "subk_count", "csi_channel", "hop_count",
                         "power_duty", "wasm_max", "wasm_verify"), "u8"),
        **dict.fromkeys(("filter_mac", "chan_list", "wasm_pubkey"), "blob"),
        "dwell_ms": "u32",
    }  # fmt: skip
    assert all(spec.help for keys in NAMESPACES.values() for spec in keys.values())


@pytest.mark.parametrize(
    ("key", "value", "stored"),
    [
        ("node_id", 255, 255),
        ("filter_mac", "aa:bb:cc:dd:ee:ff", b"\xaa\xbb\xcc\xdd\xee\xff"),
        ("filter_mac", "AABBCCDDEEFF", b"\xaa\xbb\xcc\xdd\xee\xff"),
        ("filter_mac", "aa-bb-cc dd ee ff", b"\xaa\xbb\xcc\xdd\xee\xff"),
        ("chan_list", [1, 6, 11], b"\x01\x06\x0b"),
        ("chan_list", "", b""),
        ("ssid", "", ""),
        ("ssid", "é" * 16, "é" * 16),
    ],
)
def test_values_are_converted_to_what_is_stored(key: str, value: object, stored: object) -> None:
    assert CSI_CFG_KEYS[key].convert(value) == stored


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("node_id", 256, r"node_id is a whole number in 0..255 \(u8\), got 256"),
        ("node_id", "1", "whole number"),
        ("node_id", True, "whole number"),
        ("edge_tier", 3, r"0\.\.2"),
        ("target_port", 0, r"1\.\.65535"),
        ("filter_mac", "aa:bb:cc:dd:ee", "exactly 6 bytes, got 5"),
        ("filter_mac", "nonsense", "hexadecimal text"),
        ("filter_mac", [256] * 6, "hexadecimal text"),
        ("filter_mac", 7, "hexadecimal text"),
        ("wasm_pubkey", b"short", "exactly 32 bytes"),
        ("ssid", "é" * 17, "at most 32 bytes, got 34"),
        ("ssid", 12345, "text"),
        ("chan_list", bytes(256), "at most 255 bytes"),
    ],
)
def test_values_that_do_not_fit_say_what_would(key: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CSI_CFG_KEYS[key].convert(value)


@pytest.mark.parametrize(
    ("namespace", "key", "message"),
    [
        ("csi_cfg", "nod_id", "did you mean 'node_id'"),
        ("csi_cfg", "zzz", "known: ssid, password"),
        ("csi", "node_id", "did you mean 'csi_cfg'"),
    ],
)
def test_unknown_keys_come_with_a_suggestion(namespace: str, key: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        key_spec(namespace, key)


def test_build_and_show_are_inverse() -> None:
    values = {"csi_cfg": {"node_id": 3, "filter_mac": b"\1\2\3\4\5\6"}, "swarmrig": {"role": 1}}
    assert commands.show(commands.build_from_values(values)).values == values
    assert len(commands.build_from_values(values, 0x4000)) == 0x4000


def test_build_tells_all_problems() -> None:
    with pytest.raises(NvsError) as caught:
        commands.build_from_values({"csi_cfg": {"node_id": 999, "nope": 1}, "none": {"x": 1}})
    assert len(caught.value.problems) == 3


def test_show_finds_nvs_in_whole_images(tmp_path: Path) -> None:
    partition = commands.build_from_values({"csi_cfg": {"node_id": 3}})
    for assemble in (assemble_image, assemble_pflash):
        image = assemble(tmp_path / "flash.bin", partition)
        assert commands.show(image.path.read_bytes()).values == {"csi_cfg": {"node_id": 3}}


def test_show_follows_the_partition_table(tmp_path: Path) -> None:
    partition = build_nvs((), 0x4000)
    image = assemble_image(tmp_path / "flash.bin", partition, nvs_offset=0xA000)
    contents = commands.show(image.path.read_bytes())
    assert (len(contents.pages), contents.problems) == (4, ())


def test_show_takes_an_image_without_a_table() -> None:
    assert commands.show(b"\xff" * (2 << 20)).problems == ("no page is in use: the partition is blank or unreadable",)


def test_the_matrix_is_json_able() -> None:
    assert all(c.help and isinstance(dict(c.values), dict) for c in MATRIX)
