"""The NVS keys that firmware reads, with type, range and meaning. Light: scenario validation imports this.

`csi_cfg` is the sensing firmware's own namespace; `swarmrig` holds what only the reference device reads (its role,
scenario and address), so foreign firmware ignores it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

CSI_CFG = "csi_cfg"
SWARMRIG = "swarmrig"

MAX_KEY_LENGTH = 15
MAX_STRING_BYTES = 3967
"""Without the terminating NUL. ESP-IDF takes 4000 with it; the generator wants one entry of the page left over."""

Value = int | str | bytes


class NvsType(StrEnum):
    U8 = "u8"
    I8 = "i8"
    U16 = "u16"
    I16 = "i16"
    U32 = "u32"
    I32 = "i32"
    U64 = "u64"
    I64 = "i64"
    STRING = "string"
    BLOB = "blob"

    @property
    def is_integer(self) -> bool:
        return self not in (NvsType.STRING, NvsType.BLOB)

    @property
    def integer_range(self) -> tuple[int, int]:
        """Lowest and highest value of an integer type."""
        bits = int(self.value[1:])
        return (0, 2**bits - 1) if self.value[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


@dataclass(frozen=True, slots=True)
class KeySpec:
    """One key. `minimum`/`maximum` narrow an integer's type; `length` is the exact size of a blob."""

    name: str
    type: NvsType
    help: str
    minimum: int | None = None
    maximum: int | None = None
    length: int | None = None
    max_length: int | None = None
    """Longest string or blob, in bytes."""

    @property
    def range(self) -> tuple[int, int]:
        low, high = self.type.integer_range
        return (low if self.minimum is None else self.minimum, high if self.maximum is None else self.maximum)

    def convert(self, value: object) -> Value:
        """The value as NVS stores it. ValueError says what was expected.

        Integers must be integers (no booleans, no text); blobs are bytes, hexadecimal text (with or without `:`,
        `-` or blanks) or a list of integers.
        """
        if self.type.is_integer:
            return self._integer(value)
        if self.type is NvsType.STRING:
            return self._string(value)
        return self._blob(value)

    def _integer(self, value: object) -> int:
        low, high = self.range
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"{self.name} is a whole number in {low}..{high} ({self.type}), got {value!r}")
        return value

    def _string(self, value: object) -> str:
        limit = MAX_STRING_BYTES if self.max_length is None else self.max_length
        if not isinstance(value, str) or "\0" in value:
            raise ValueError(f"{self.name} is text without NUL, got {value!r}")
        try:
            size = len(value.encode())
        except UnicodeEncodeError as error:
            raise ValueError(f"{self.name} is not valid Unicode text: {value!r}") from error
        if size > limit:
            raise ValueError(f"{self.name} takes at most {limit} bytes, got {size}")
        return value

    def _blob(self, value: object) -> bytes:
        blob = _to_bytes(self.name, value)
        if self.length is not None and len(blob) != self.length:
            raise ValueError(f"{self.name} takes exactly {self.length} bytes, got {len(blob)}")
        if self.max_length is not None and len(blob) > self.max_length:
            raise ValueError(f"{self.name} takes at most {self.max_length} bytes, got {len(blob)}")
        return blob


def _to_bytes(name: str, value: object) -> bytes:
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    if isinstance(value, str) and re.fullmatch(r"\s*(?:[0-9A-Fa-f]{2}[\s:-]*)*", value):
        return bytes.fromhex(re.sub(r"[\s:-]", "", value))
    if isinstance(value, list | tuple) and all(isinstance(item, int) and 0 <= item <= 255 for item in value):
        return bytes(value)
    raise ValueError(f"{name} is bytes: hexadecimal text such as AA:BB:CC or a list of 0..255, got {value!r}")


def _table(*specs: KeySpec) -> Mapping[str, KeySpec]:
    return {spec.name: spec for spec in specs}


CSI_CFG_KEYS: Mapping[str, KeySpec] = _table(
    KeySpec("ssid", NvsType.STRING, "Wi-Fi network", max_length=32),
    KeySpec("password", NvsType.STRING, "Wi-Fi password", max_length=64),
    KeySpec("target_ip", NvsType.STRING, "address that frames are sent to", max_length=15),
    KeySpec("target_port", NvsType.U16, "UDP port that frames are sent to", minimum=1),
    KeySpec("node_id", NvsType.U8, "node number in every frame"),
    KeySpec("tdm_slot", NvsType.U8, "the node's TDM slot"),
    KeySpec("tdm_nodes", NvsType.U8, "slots in a superframe", minimum=1),
    KeySpec("edge_tier", NvsType.U8, "edge processing: 0 none, 1 presence and motion, 2 vitals and falls", maximum=2),
    KeySpec("pres_thresh", NvsType.U16, "presence threshold; 0 calibrates by itself"),
    KeySpec("fall_thresh", NvsType.U16, "fall threshold in milli-rad/s², default 15000"),
    KeySpec("vital_win", NvsType.U16, "window of the vital signs in frames"),
    KeySpec("vital_int", NvsType.U16, "interval of vitals packets in ms"),
    KeySpec("subk_count", NvsType.U8, "subcarriers that the edge processing uses", minimum=1),
    KeySpec("csi_channel", NvsType.U8, "Wi-Fi channel: 1..14, 36..177", minimum=1, maximum=177),
    KeySpec("filter_mac", NvsType.BLOB, "only frames of this transmitter", length=6),
    KeySpec("hop_count", NvsType.U8, "channels in chan_list"),
    KeySpec("chan_list", NvsType.BLOB, "channels to hop over, one byte each", max_length=255),
    KeySpec("dwell_ms", NvsType.U32, "ms on each channel"),
    KeySpec("power_duty", NvsType.U8, "duty cycle in percent", maximum=100),
    KeySpec("wasm_max", NvsType.U8, "WASM modules at most"),
    KeySpec("wasm_verify", NvsType.U8, "1: only signed WASM modules", maximum=1),
    KeySpec("wasm_pubkey", NvsType.BLOB, "public key for WASM signatures", length=32),
)

SWARMRIG_KEYS: Mapping[str, KeySpec] = _table(
    KeySpec("role", NvsType.U8, "0 sensor, 1 coordinator, 2 gateway", maximum=2),
    KeySpec("hub", NvsType.U8, "1: this node receives, sends beacons and forwards", maximum=1),
    KeySpec("scenario", NvsType.U8, "mock CSI scenario: 0..9, 255 all in turn"),
    KeySpec("ip", NvsType.STRING, "own IPv4 address; absent: DHCP", max_length=15),
    KeySpec("prefix", NvsType.U8, "length of the network prefix", maximum=32),
    KeySpec("gw", NvsType.STRING, "default gateway; absent: none", max_length=15),
    KeySpec("agg_ip", NvsType.STRING, "address of the aggregator", max_length=15),
    KeySpec("seed", NvsType.U32, "seed of the mock CSI"),
)

NAMESPACES: Mapping[str, Mapping[str, KeySpec]] = {CSI_CFG: CSI_CFG_KEYS, SWARMRIG: SWARMRIG_KEYS}


def key_spec(namespace: str, key: str) -> KeySpec:
    """The key's specification; ValueError names the closest key when there is no such one."""
    if namespace not in NAMESPACES:
        raise ValueError(f"unknown NVS namespace {namespace!r}{_suggestion(namespace, NAMESPACES)}")
    keys = NAMESPACES[namespace]
    if key not in keys:
        raise ValueError(f"unknown NVS key {namespace}.{key}{_suggestion(key, keys)}")
    return keys[key]


def _suggestion(name: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f", did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"
