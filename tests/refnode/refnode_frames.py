"""Frames as a foreign host would send them."""

import socket
import struct

PEER_MAC = bytes.fromhex("020000000099")


def checksum(data: bytes) -> int:
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4(source: str, target: str, protocol: int, payload: bytes, *, flags: int = 0, ttl: int = 64) -> bytes:
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, flags, ttl, protocol, 0,
                       socket.inet_aton(source), socket.inet_aton(target))  # fmt: skip
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def udp(source: str, target: str, port: int, data: bytes, *, source_port: int = 40000) -> bytes:
    length = 8 + len(data)
    head = struct.pack(">HHHH", source_port, port, length, 0)
    pseudo = socket.inet_aton(source) + socket.inet_aton(target) + struct.pack(">BBH", 0, 17, length)
    return head[:6] + struct.pack(">H", checksum(pseudo + head + data) or 0xFFFF) + data


def icmp_echo(identifier: int, sequence: int, data: bytes, *, kind: int = 8) -> bytes:
    body = struct.pack(">BBHHH", kind, 0, 0, identifier, sequence) + data
    return body[:2] + struct.pack(">H", checksum(body)) + body[4:]


def ethernet(target: bytes, payload: bytes, *, source: bytes = PEER_MAC, kind: int = 0x0800) -> bytes:
    frame = target + source + struct.pack(">H", kind) + payload
    return frame + bytes(max(0, 60 - len(frame)))  # padded like on a real wire


def udp_frame(target_mac: bytes, source: str, target: str, port: int, data: bytes) -> bytes:
    return ethernet(target_mac, ipv4(source, target, 17, udp(source, target, port, data)))


def echo_frame(target_mac: bytes, source: str, target: str, data: bytes = b"ping", sequence: int = 1) -> bytes:
    return ethernet(target_mac, ipv4(source, target, 1, icmp_echo(7, sequence, data)))


def arp(operation: int, sender_mac: bytes, sender: str, target_mac: bytes, target: str) -> bytes:
    return (struct.pack(">HHBBH", 1, 0x0800, 6, 4, operation) + sender_mac + socket.inet_aton(sender)
            + target_mac + socket.inet_aton(target))  # fmt: skip


def arp_request(sender: str, target: str, *, sender_mac: bytes = PEER_MAC) -> bytes:
    return ethernet(b"\xff" * 6, arp(1, sender_mac, sender, bytes(6), target), source=sender_mac, kind=0x0806)


def arp_reply(target_mac: bytes, sender: str, target: str, *, sender_mac: bytes = PEER_MAC) -> bytes:
    return ethernet(target_mac, arp(2, sender_mac, sender, target_mac, target), source=sender_mac, kind=0x0806)
