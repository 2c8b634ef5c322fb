"""What is built here must mean the same to Wireshark."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from swarmrig.wire import arp
from swarmrig.wire.csi import Csi
from swarmrig.wire.decode import decode
from swarmrig.wire.ethernet import Ethernet
from swarmrig.wire.icmp import Icmp
from swarmrig.wire.ipv4 import Ipv4, decrement_ttl
from swarmrig.wire.udp import Udp

A, B = "10.0.1.10", "10.0.1.11"
MAC_A, MAC_B = "52:54:00:01:00:0a", "52:54:00:01:00:0b"
REQUEST = arp.request_frame(MAC_A, A, B)

FIELDS = {
    "eth.src": "eth.src", "eth.dst": "eth.dst", "arp.op": "arp.opcode", "arp.sender_ip": "arp.src.proto_ipv4",
    "arp.target_ip": "arp.dst.proto_ipv4", "ip.src": "ip.src", "ip.dst": "ip.dst", "ip.ttl": "ip.ttl",
    "ip.proto": "ip.proto", "ip.len": "ip.len", "icmp.type": "icmp.type", "icmp.code": "icmp.code",
    "icmp.seq": "icmp.seq", "udp.sport": "udp.srcport", "udp.dport": "udp.dstport", "udp.len": "udp.length",
}  # fmt: skip
CHECKSUMS = ("ip.checksum.status", "udp.checksum.status", "icmp.checksum.status")


def packet(proto: int, payload: bytes, options: bytes = b"") -> bytes:
    return Ipv4(A, B, proto, payload, ttl=17, id=99, options=options).pack()


def frame(ip: bytes) -> bytes:
    return Ethernet(MAC_B, MAC_A, 0x0800, ip).pack()


FRAMES = [
    REQUEST,
    arp.reply_frame(MAC_B, arp.Arp.parse(REQUEST[14:])),
    frame(packet(1, Icmp(8, 0, 5, 6, b"ping payload").pack())),
    frame(packet(1, Icmp(8, 0, 5, 6, b"odd").reply().pack())),
    frame(packet(17, Udp(40000, 5005, Csi(1, 1, 52, 2437, 9, -40, -92, bytes(104)).pack()).pack(A, B))),
    frame(packet(17, Udp(1, 65535, b"").pack(A, B))),
    frame(packet(17, Udp(1, 65535, b"odd").pack(A, B), options=bytes(8))),
    frame(decrement_ttl(packet(17, Udp(7, 7, b"routed").pack(A, B)))),
]


def tshark(frames: list[bytes], directory: Path) -> list[dict[str, str]]:
    """Write a classic pcap (libpcap's file format) and have tshark print the fields."""
    records = b"".join(struct.pack("<IIII", 0, n, len(f), len(f)) + f for n, f in enumerate(frames))
    capture = directory / "frames.pcap"
    capture.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + records)
    names = [*FIELDS.values(), *CHECKSUMS]
    options = ["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-T", "fields"]
    command = ["tshark", "-r", str(capture), "-n", *options, *(part for name in names for part in ("-e", name))]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    return [dict(zip(names, line.split("\t"), strict=True)) for line in output.splitlines()]


@pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
def test_tshark_reads_the_same_fields_and_good_checksums(tmp_path: Path) -> None:
    rows = tshark(FRAMES, tmp_path)
    assert len(rows) == len(FRAMES)
    for data, row in zip(FRAMES, rows, strict=True):
        decoded = decode(data)
        for ours, theirs in FIELDS.items():
            value = decoded.get(ours)
            assert row[theirs] == ("" if value is None else str(value)), ours
        # 1 is "Good", 2 "Unverified" (tshark does not check ICMP replies it cannot match).
        assert all(row[name] in ("", "1") for name in CHECKSUMS), row


@pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
def test_tshark_sees_what_we_call_broken_as_broken(tmp_path: Path) -> None:
    broken = bytearray(FRAMES[4])
    broken[-1] ^= 1
    (row,) = tshark([bytes(broken)], tmp_path)
    assert row["udp.checksum.status"] == "0"
    assert decode(bytes(broken)).malformed == "udp: checksum"
