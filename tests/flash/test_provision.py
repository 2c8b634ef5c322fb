"""From a scenario to NVS, and back: what a node holds is compared with what it was told."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from swarmrig.flash.image import assemble_pflash
from swarmrig.flash.nvs import NVS_OFFSET, NvsEntry, NvsError, build_nvs
from swarmrig.flash.provision import compare, nvs_entries, verify
from swarmrig.flash.reader import read_nvs
from swarmrig.model.network import DevicePlan
from swarmrig.model.scenario import NetworkSpec, NodeSpec, Role, Scenario, TimeMode

COORDINATOR = NodeSpec("coord", 0, role=Role.COORDINATOR)
SENSOR = NodeSpec("s1", 1, scenario=2, channel=11, tdm_slot=1)
DEVICE = DevicePlan("s1", "52:54:00:00:00:01", "coord--s1", ip="10.0.1.11", prefix=16)


def scenario(*nodes: NodeSpec, **changes: Any) -> Scenario:
    return replace(Scenario("test", 10**9, 7, TimeMode.REAL, NetworkSpec(), nodes), **changes)


def provision(spec: NodeSpec, *, device: DevicePlan = DEVICE, **changes: Any) -> dict[str, dict[str, Any]]:
    """What firmware would read."""
    nodes = (spec,) if spec is COORDINATOR else (COORDINATOR, spec)
    entries = nvs_entries(spec, scenario(*nodes, **changes), device, target_ip="10.0.1.10", aggregator_ip="10.0.0.1")
    contents = read_nvs(build_nvs(entries))
    assert contents.problems == ()
    assert compare(entries, contents) == []
    return contents.values


def test_a_sensor_is_told_exactly_this() -> None:
    assert provision(SENSOR) == {
        "csi_cfg": {
            "target_ip": "10.0.1.10", "target_port": 5005, "node_id": 1, "tdm_slot": 1, "tdm_nodes": 2,
            "csi_channel": 11,
        },
        "swarmrig": {
            "role": 0, "hub": 0, "scenario": 2, "agg_ip": "10.0.0.1", "seed": 7, "ip": "10.0.1.11", "prefix": 16,
        },
    }  # fmt: skip


def test_the_types_are_those_the_firmware_reads() -> None:
    spec = replace(SENSOR, edge_tier=2, filter_mac="aa:bb:cc:dd:ee:ff", nvs={"fall_thresh": 3000, "dwell_ms": 5})
    entries = nvs_entries(spec, scenario(spec), DEVICE, target_ip="10.0.0.1", aggregator_ip="10.0.0.1")
    types = {entry.key: entry.type.value for entry in entries}
    assert types == {
        "target_ip": "string", "target_port": "u16", "node_id": "u8", "tdm_slot": "u8", "tdm_nodes": "u8",
        "csi_channel": "u8", "edge_tier": "u8", "filter_mac": "blob", "fall_thresh": "u16", "dwell_ms": "u32",
        "role": "u8", "hub": "u8", "scenario": "u8", "agg_ip": "string", "seed": "u32", "ip": "string", "prefix": "u8",
    }  # fmt: skip


def test_options_are_written_only_when_they_are_set() -> None:
    values = provision(replace(SENSOR, edge_tier=0, filter_mac="AA-BB-CC-DD-EE-FF"))
    assert values["csi_cfg"]["edge_tier"] == 0
    assert values["csi_cfg"]["filter_mac"] == bytes.fromhex("aabbccddeeff")
    assert "gw" not in values["swarmrig"]
    routed = provision(SENSOR, device=replace(DEVICE, gateway="10.1.0.1", prefix=24))
    assert (routed["swarmrig"]["gw"], routed["swarmrig"]["prefix"]) == ("10.1.0.1", 24)


def test_the_hub_knows_that_it_is_the_hub() -> None:
    assert provision(COORDINATOR)["swarmrig"] | {"role": 1, "hub": 1} == provision(COORDINATOR)["swarmrig"]


def test_a_second_coordinator_is_not_the_hub() -> None:
    second = replace(SENSOR, role=Role.COORDINATOR)
    assert provision(second)["swarmrig"]["role"] == 1
    assert provision(second)["swarmrig"]["hub"] == 0


def test_a_gateway_is_the_hub_when_nobody_else_is() -> None:
    gateway = NodeSpec("gw", 3, role=Role.GATEWAY)
    entries = nvs_entries(gateway, scenario(gateway), DEVICE, target_ip="10.0.0.1", aggregator_ip="10.0.0.1")
    values = read_nvs(build_nvs(entries)).values["swarmrig"]
    assert (values["role"], values["hub"]) == (2, 1)


def test_a_device_without_address_is_left_to_dhcp() -> None:
    values = provision(SENSOR, device=replace(DEVICE, ip="", gateway="10.0.0.254"))["swarmrig"]
    assert not {"ip", "prefix", "gw"} & set(values)


def test_the_files_own_nvs_values_win() -> None:
    values = provision(replace(SENSOR, nvs={"node_id": 9, "ssid": "net", "chan_list": [1, 6, 11]}))["csi_cfg"]
    assert (values["node_id"], values["ssid"], values["chan_list"]) == (9, "net", b"\x01\x06\x0b")


def test_a_long_seed_keeps_its_low_bits() -> None:
    assert provision(SENSOR, seed=2**40 + 5)["swarmrig"]["seed"] == 5


def test_every_value_out_of_range_is_named() -> None:
    spec = replace(SENSOR, number=256, tdm_slot=-1, nvs={"wifi": 1, "vital_int": 70_000})
    with pytest.raises(NvsError) as caught:
        provision(spec)
    assert len(caught.value.problems) == 4
    assert "unknown NVS key csi_cfg.wifi" in str(caught.value)


@pytest.fixture
def image(tmp_path: Path) -> tuple[Path, tuple[NvsEntry, ...]]:
    entries = nvs_entries(
        SENSOR, scenario(COORDINATOR, SENSOR), DEVICE, target_ip="10.0.1.10", aggregator_ip="10.0.0.1"
    )
    return assemble_pflash(tmp_path / "flash.bin", build_nvs(entries)).path, entries


def test_an_untouched_image_verifies(image: tuple[Path, tuple[NvsEntry, ...]]) -> None:
    assert verify(*image) == []


def test_one_flipped_bit_is_found(image: tuple[Path, tuple[NvsEntry, ...]]) -> None:
    path, entries = image
    with path.open("r+b") as file:
        file.seek(NVS_OFFSET + 64 + 3 * 32 + 24)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))
    differences = verify(path, entries)
    assert any("CRC" in difference for difference in differences)
    assert any("was provisioned and is missing" in difference for difference in differences)


def test_other_values_missing_ones_and_additions_are_found(image: tuple[Path, tuple[NvsEntry, ...]]) -> None:
    path, entries = image
    expected = (*entries[1:], replace(entries[0], key="other_ip"))
    expected = tuple(replace(e, value=6000) if e.key == "target_port" else e for e in expected)
    assert verify(path, expected) == [
        "NVS: csi_cfg.target_port = 6000 (u16) was provisioned, the image holds csi_cfg.target_port = 5005 (u16)",
        "NVS: csi_cfg.other_ip = 10.0.1.10 (string) was provisioned and is missing",
        "NVS: csi_cfg.target_ip = 10.0.1.10 (string) was not provisioned",
    ]


def test_another_type_is_a_difference(image: tuple[Path, tuple[NvsEntry, ...]]) -> None:
    path, entries = image
    kind = type(entries[0].type).U16
    expected = tuple(replace(e, type=kind) if e.key == "node_id" else e for e in entries)
    assert "csi_cfg.node_id = 1 (u16) was provisioned" in verify(path, expected)[0]


def test_an_image_that_is_gone_or_cut_short_is_told(image: tuple[Path, tuple[NvsEntry, ...]]) -> None:
    path, entries = image
    os.truncate(path, NVS_OFFSET + 100)
    assert any("not a multiple of 4096" in difference for difference in verify(path, entries))
    path.unlink()
    assert verify(path, entries) == ["flash.bin cannot be read: No such file or directory"]


def test_an_erased_nvs_is_not_taken_for_an_empty_expectation(tmp_path: Path) -> None:
    path = assemble_pflash(tmp_path / "flash.bin", b"\xff" * 0x6000).path
    assert verify(path, ()) == ["NVS: no page is in use: the partition is blank or unreadable"]
