"""`swarmrig nvs`: what is built is what is shown."""

from __future__ import annotations

import json

import pytest


def test_build_and_show_agree(swarmrig, tmp_path):
    pairs = ["node_id=0x2a", "target_ip=10.0.0.1", "filter_mac=AA:BB:CC:DD:EE:FF", "swarmrig.role=1"]
    built = swarmrig("nvs", "build", "-o", "nvs.bin", *pairs)
    assert (built.returncode, built.stderr) == (0, "")
    assert (tmp_path / "nvs.bin").stat().st_size == 0x6000
    shown = json.loads(swarmrig("nvs", "show", "nvs.bin", "--json").stdout)
    values = {(entry["namespace"], entry["key"]): entry["value"] for entry in shown["entries"]}
    assert values == {
        ("csi_cfg", "node_id"): 42,
        ("csi_cfg", "target_ip"): "10.0.0.1",
        ("csi_cfg", "filter_mac"): "aabbccddeeff",
        ("swarmrig", "role"): 1,
    }
    text = swarmrig("nvs", "show", "nvs.bin").stdout
    assert text.startswith(built.stdout)
    assert "page 0: active" in text


def test_every_wrong_value_is_told_at_once(swarmrig, tmp_path):
    result = swarmrig("nvs", "build", "-o", "nvs.bin", "node_id=300", "nod_id=1", "filter_mac=AA", "oops", "dwell_ms=x")
    assert result.returncode == 3
    for said in ("0..255", "'node_id'", "6 bytes", "KEY=VALUE", "dwell_ms", "5 problems"):
        assert said in result.stderr
    assert not (tmp_path / "nvs.bin").exists()


def test_values_of_a_node_and_own_ones_win(swarmrig):
    result = swarmrig("nvs", "build", "-o", "nvs.bin", "--scenario", "standard", "--node", "n2", "csi_channel=11")
    assert result.returncode == 0, result.stderr
    for said in ("csi_cfg.node_id = 2 ", "csi_cfg.csi_channel = 11 ", "csi_cfg.target_ip = 10.0.1.10 ",
                 "swarmrig.scenario = 3 ", "swarmrig.ip = 10.0.1.12 ", "swarmrig.agg_ip = 10.0.0.1 "):  # fmt: skip
        assert said in result.stdout
    hub = swarmrig("nvs", "build", "-o", "hub.bin", "--scenario", "standard", "--node", "n0").stdout
    assert "csi_cfg.target_ip = 10.0.0.1 " in hub


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["build", "node_id=1"], "--output"),
        (["build", "-o", "x.bin", "--node", "n0"], "belong together"),
        (["build", "-o", "x.bin", "--scenario", "standard", "--node", "n9"], "n0, n1, n2"),
        (["build", "-o", "/nowhere/x.bin", "node_id=1"], "cannot write /nowhere/x.bin"),
        (["show", "nowhere.bin"], "cannot read nowhere.bin"),
        (["show", "."], "directory"),
        (["matrix", "--output-dir", "/dev/null/x"], "cannot write"),
    ],
)
def test_wrong_usage(swarmrig, arguments, said):
    result = swarmrig("nvs", *arguments)
    assert result.returncode == 3
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_a_damaged_partition_is_3_and_shown_as_far_as_it_is_sound(swarmrig, tmp_path):
    swarmrig("nvs", "build", "-o", "nvs.bin", "node_id=1", "tdm_slot=2")
    data = bytearray((tmp_path / "nvs.bin").read_bytes())
    data[64 + 2 * 32 + 24] ^= 1  # the value of the second key
    (tmp_path / "nvs.bin").write_bytes(data)
    result = swarmrig("nvs", "show", "nvs.bin")
    assert result.returncode == 3
    assert "node_id = 1" in result.stdout
    assert "tdm_slot" not in result.stdout
    assert "CRC" in result.stderr


@pytest.mark.parametrize("content", [b"", b"\xff" * 0x6000, b"hello", b"\0" * 0x6001])
def test_what_is_no_partition_is_3(swarmrig, tmp_path, content):
    (tmp_path / "x.bin").write_bytes(content)
    result = swarmrig("nvs", "show", "x.bin")
    assert result.returncode == 3
    assert "Traceback" not in result.stderr


def test_matrix_is_listed_and_written(swarmrig, tmp_path):
    listed = json.loads(swarmrig("nvs", "matrix", "--json").stdout)
    assert len(listed) == 14
    assert not list(tmp_path.iterdir())
    written = swarmrig("nvs", "matrix", "--output-dir", "matrix")
    assert written.returncode == 0
    assert {path.stem for path in (tmp_path / "matrix").iterdir()} == {each["name"] for each in listed}
    for each in listed:
        damaged = swarmrig("nvs", "show", f"matrix/{each['name']}.bin").returncode == 3
        assert damaged == each["damaged"] or not each["values"]
