"""List, delete and pair network links by rtnetlink(7), where neither `ip` nor a library may be at hand."""

from __future__ import annotations

import _socket
import errno
import os
import struct

HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
INFO = struct.Struct("=BxHiII")  # ifinfomsg: family, type, index, flags, change
ATTRIBUTE = struct.Struct("=HH")  # rtattr: length, type
ERROR = struct.Struct("=i")
NLMSG_ERROR, NLMSG_DONE, RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 2, 3, 16, 17, 18
REQUEST, ACK, DUMP, EXCLUSIVE, CREATE = 1, 4, 0x300, 0x200, 0x400
RTMGRP_LINK, IF_OPER_UP = 1, 6  # linux/rtnetlink.h, linux/if.h
RUNNING_DEADLINE_S = 5.0
IFLA_IFNAME, IFLA_OPERSTATE, IFLA_LINKINFO, IFLA_IFALIAS = 3, 16, 18, 20
IFLA_INFO_KIND, IFLA_INFO_DATA, VETH_INFO_PEER = 1, 2, 1  # linux/if_link.h, linux/veth.h


class Link:
    """A network interface of this network namespace."""

    def __init__(self, index: int, name: str, alias: str, running: bool = False) -> None:
        self.index = index
        self.name = name
        self.alias = alias
        self.running = running
        """It is on, it is joined to something, and the kernel has seen to that."""


def links() -> list[Link]:
    """Every link of the current network namespace."""
    return [_parse(body) for kind, body in _ask(RTM_GETLINK, REQUEST | DUMP, 0) if kind == RTM_NEWLINK]


def wait_running(names: set[str]) -> None:
    """Return when these links carry. One that was switched on a moment ago does not always: the kernel sees to that
    later, and drops what is sent until then. TimeoutError when they do not."""
    events = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, 0)
    try:
        events.bind((0, RTMGRP_LINK))
        events.settimeout(RUNNING_DEADLINE_S)
        while not names <= {link.name for link in links() if link.running}:
            events.recv(1 << 16)
    finally:
        events.close()


def delete(link: Link) -> None:
    """Remove a link. OSError with the kernel's errno when it refuses; a link already gone is fine."""
    try:
        _ask(RTM_DELLINK, REQUEST | ACK, link.index)
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise


def make_pair(name: str, peer: str) -> None:
    """Two links joined by a cable (veth). OSError with the kernel's errno when it refuses."""
    other = INFO.pack(0, 0, 0, 0, 0) + _attribute(IFLA_IFNAME, peer.encode() + b"\0")
    data = _attribute(IFLA_INFO_DATA, _attribute(VETH_INFO_PEER, other))
    info = _attribute(IFLA_LINKINFO, _attribute(IFLA_INFO_KIND, b"veth\0") + data)
    named = _attribute(IFLA_IFNAME, name.encode() + b"\0")
    _ask(RTM_NEWLINK, REQUEST | ACK | CREATE | EXCLUSIVE, 0, named + info)


def _attribute(kind: int, data: bytes) -> bytes:
    length = ATTRIBUTE.size + len(data)
    return ATTRIBUTE.pack(length, kind) + data + bytes(-length % 4)


def _ask(kind: int, flags: int, index: int, attributes: bytes = b"") -> list[tuple[int, bytes]]:
    payload = INFO.pack(0, 0, index, 0, 0) + attributes
    sock = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, 0)
    try:
        sock.settimeout(1.0)
        sock.send(HEADER.pack(HEADER.size + len(payload), kind, flags, 1, 0) + payload)
        messages: list[tuple[int, bytes]] = []
        while True:
            for answer, body in _split(sock.recv(1 << 18)):
                if answer == NLMSG_ERROR:
                    (code,) = ERROR.unpack_from(body)
                    if code:
                        raise OSError(-code, os.strerror(-code))
                    return messages
                if answer == NLMSG_DONE:
                    return messages
                messages.append((answer, body))
    finally:
        sock.close()


def _split(data: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while at + HEADER.size <= len(data):
        length, kind, *_ = HEADER.unpack_from(data, at)
        found.append((kind, data[at + HEADER.size : at + length]))
        at += (length + 3) & ~3
    return found


def _parse(body: bytes) -> Link:
    index = INFO.unpack_from(body)[2]
    texts, at, running = {IFLA_IFNAME: "", IFLA_IFALIAS: ""}, INFO.size, False
    while at + ATTRIBUTE.size <= len(body):
        length, kind = ATTRIBUTE.unpack_from(body, at)
        if kind in texts:
            texts[kind] = body[at + ATTRIBUTE.size : at + length].rstrip(b"\0").decode(errors="replace")
        elif kind == IFLA_OPERSTATE:
            running = body[at + ATTRIBUTE.size] == IF_OPER_UP
        at += max((length + 3) & ~3, ATTRIBUTE.size)
    return Link(index, texts[IFLA_IFNAME], texts[IFLA_IFALIAS], running)
