"""The NVS matrix: 14 named configurations that a firmware must boot with, the last one deliberately damaged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from swarmrig.flash.keys import CSI_CFG
from swarmrig.flash.nvs import NVS_SIZE, PAGE_BYTES, build_nvs, entries_from_values


@dataclass(frozen=True, slots=True)
class NvsConfig:
    """A configuration by name; `values` belong to the namespace `csi_cfg`."""

    name: str
    help: str
    values: Mapping[str, int | str | bytes]
    damaged: bool = False
    """The partition is built, then broken: the node must fall back to its defaults and say so."""

    def build(self, size: int = NVS_SIZE) -> bytes:
        """The partition's bytes."""
        partition = build_nvs(entries_from_values({CSI_CFG: self.values}), size)
        return damage(partition) if self.damaged else partition


def damage(partition: bytes) -> bytes:
    """The partition as an interrupted, then half overwritten flash might look; always the same bytes.

    The first page keeps the state "active", but neither its header nor any of its entries has a valid CRC, and the
    second page claims to be in use: firmware that checks anything cannot take it for blank or for good.
    """
    damaged = bytearray(partition)
    for index in range(4, PAGE_BYTES, 7):
        damaged[index] ^= 0x5A
    damaged[PAGE_BYTES : PAGE_BYTES + 4] = b"\xfe\xff\xff\xff"
    return bytes(damaged)


_WASM_KEY = bytes(range(32))


def _config(name: str, help: str, *, damaged: bool = False, **values: int | str | bytes) -> NvsConfig:
    return NvsConfig(name, help, MappingProxyType(values), damaged)


_PASSWORD: dict[str, Any] = {"password": "testpassword"}  # nobody's: it only has to be read back
_ADR060: dict[str, Any] = {
    "csi_channel": 6,
    "filter_mac": bytes.fromhex("AABBCCDDEEFF"),
    "node_id": 1,
    "target_ip": "10.0.2.2",
    "target_port": 5005,
}

MATRIX: tuple[NvsConfig, ...] = (
    _config("default", "nothing provisioned: the firmware's own defaults"),
    _config("wifi-only", "credentials and nothing else", ssid="TestNetwork", **_PASSWORD),
    _config("full-adr060", "channel, filter, node number and target", **_ADR060),
    _config("edge-tier0", "no edge processing", edge_tier=0),
    _config("edge-tier1", "presence and motion", edge_tier=1, pres_thresh=50),
    _config(
        "edge-tier2-custom", "vitals and falls with own thresholds",
        edge_tier=2, pres_thresh=100, fall_thresh=3000, vital_win=256, vital_int=500, subk_count=16,
    ),
    _config("tdm-3node", "first slot of three", node_id=0, tdm_slot=0, tdm_nodes=3),
    _config("wasm-signed", "signed modules only", wasm_max=4, wasm_verify=1, wasm_pubkey=_WASM_KEY),
    _config("wasm-unsigned", "unsigned modules", wasm_max=2, wasm_verify=0),
    _config("5ghz-channel", "a 5 GHz channel", csi_channel=36),
    _config(
        "boundary-max", "the highest values", target_port=65535, node_id=255, subk_count=32, vital_win=256,
    ),
    _config("boundary-min", "the lowest values", target_port=1, node_id=0, subk_count=1, vital_win=32),
    _config("power-save", "a tenth of the time awake", power_duty=10, edge_tier=0),
    _config("corrupt-nvs", "a damaged partition: defaults, and a word about it", damaged=True, **_ADR060),
)  # fmt: skip


def config(name: str) -> NvsConfig:
    """A configuration by name (`-` and `_` both accepted); ValueError lists the names."""
    wanted = name.replace("_", "-")
    for candidate in MATRIX:
        if candidate.name == wanted:
            return candidate
    raise ValueError(f"no NVS configuration {name!r}; there are: {', '.join(c.name for c in MATRIX)}")
