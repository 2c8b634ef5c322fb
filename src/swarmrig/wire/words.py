"""A frame in words, on one line."""

from __future__ import annotations

from swarmrig.wire.decode import Decoded

_TOLD_LAYERS = ("beacon", "csi", "vitals", "sync", "icmp", "arp")
_TOLD_FIELDS = ("node", "seq", "superframe", "uptime_ms", "op")


def in_words(decoded: Decoded) -> str:
    """What it is, with what tells it from others of its kind, its size and its ends."""
    fields = decoded.fields()
    ends = (fields.get("ip.src", fields.get("eth.src")), fields.get("ip.dst", fields.get("eth.dst")))
    layer = next((layer for layer in _TOLD_LAYERS if any(name.startswith(f"{layer}.") for name in fields)), None)
    told = [f"{name} {fields[f'{layer}.{name}']}" for name in _TOLD_FIELDS if f"{layer}.{name}" in fields]
    what = " ".join([layer or "frame", *told])
    return f"{what}, {decoded.length} bytes, {ends[0]} to {ends[1]}"
