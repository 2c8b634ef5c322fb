"""MQTT 3.1.1 on the wire (OASIS standard, 29 October 2014): control packets to bytes and back, and topic filters."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum

PORT = 1883
MAX_PACKET = 1 << 20
"""Bytes of a control packet; the protocol allows 256 MiB, which nobody here means."""
_U16 = struct.Struct(">H")


class Kind(IntEnum):
    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14


class MqttError(ValueError):
    """Bytes that are no MQTT: the connection they came from has to be ended."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A control packet: its kind, the four flags, and what follows the fixed header."""

    kind: int
    flags: int
    body: bytes

    def pack(self) -> bytes:
        size, length = len(self.body), bytearray()
        while True:
            length.append(size & 0x7F | (0x80 if size > 0x7F else 0))
            size >>= 7
            if not size:
                return bytes([self.kind << 4 | self.flags]) + bytes(length) + self.body


class Stream:
    """Puts control packets together from whatever pieces arrive."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> list[Packet]:
        """The packets completed by `data`. MqttError when the stream cannot be understood any more."""
        self._data += data
        packets = []
        while (head := self._header()) is not None:
            start, size = head
            if len(self._data) < start + size:
                break
            first = self._data[0]
            packets.append(Packet(first >> 4, first & 15, bytes(self._data[start : start + size])))
            del self._data[: start + size]
        return packets

    def _header(self) -> tuple[int, int] | None:
        """Where the body begins, and how long it is; None while that is not known."""
        size = 0
        for at in range(1, 5):
            if at >= len(self._data):
                return None
            size |= (self._data[at] & 0x7F) << 7 * (at - 1)
            if not self._data[at] & 0x80:
                if size > MAX_PACKET:
                    raise MqttError(f"a packet of {size} bytes")
                return at + 1, size
        raise MqttError("a length of more than four bytes")


@dataclass(frozen=True, slots=True)
class Publish:
    """An application message. `number` identifies it where `qos` is 1."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    duplicate: bool = False
    number: int = 0

    def pack(self) -> bytes:
        flags = self.duplicate << 3 | self.qos << 1 | self.retain
        number = _U16.pack(self.number) if self.qos else b""
        return Packet(Kind.PUBLISH, flags, _text(self.topic) + number + self.payload).pack()

    @classmethod
    def parse(cls, packet: Packet) -> Publish:
        """MqttError for QoS 2 and above, which nobody here speaks, and for topics that are none."""
        flags, reader = packet.flags, _Reader(packet.body)
        qos = flags >> 1 & 3
        if qos > 1:
            raise MqttError(f"a message with QoS {qos}")
        topic = reader.text()
        if not topic or "+" in topic or "#" in topic:
            raise MqttError(f"{topic!r} is no topic to publish to")
        number = reader.number() if qos else 0
        if qos and not number:
            raise MqttError("a packet identifier of 0")
        return cls(topic, reader.rest(), qos, bool(flags & 1), bool(flags & 8), number)


@dataclass(frozen=True, slots=True)
class Connect:
    """A client's first packet. `keep_alive_s` 0: none. `level` 4 is MQTT 3.1.1."""

    client: str
    keep_alive_s: int = 60
    clean: bool = True
    will: Publish | None = None
    user: str | None = None
    password: bytes | None = None
    level: int = 4

    def pack(self) -> bytes:
        will, flags = self.will, self.clean << 1
        body = _text(self.client)
        if will is not None:
            flags |= 4 | will.qos << 3 | will.retain << 5
            body += _text(will.topic) + _blob(will.payload)
        if self.user is not None:
            flags |= 0x80
            body += _text(self.user)
        if self.password is not None:
            flags |= 0x40
            body += _blob(self.password)
        return Packet(
            Kind.CONNECT, 0, _text("MQTT") + struct.pack(">BBH", self.level, flags, self.keep_alive_s) + body
        ).pack()

    @classmethod
    def parse(cls, packet: Packet) -> Connect:
        """Of another `level` only that is read."""
        reader = _Reader(packet.body)
        name, level = reader.text(), reader.byte()
        if name not in ("MQTT", "MQIsdp"):
            raise MqttError(f"the protocol {name!r}")
        if level != 4:
            return cls("", level=level)
        flags, keep_alive_s = reader.byte(), reader.number()
        if flags & 1:
            raise MqttError("the reserved flag of CONNECT is set")
        client, will = reader.text(), None
        if flags & 4:
            will = Publish(reader.text(), reader.blob(), min(flags >> 3 & 3, 1), bool(flags & 0x20))
        user = reader.text() if flags & 0x80 else None
        password = reader.blob() if flags & 0x40 else None
        return cls(client, keep_alive_s, bool(flags & 2), will, user, password)


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Topic filters, each with the QoS that is wanted."""

    number: int
    filters: tuple[tuple[str, int], ...]

    def pack(self) -> bytes:
        body = b"".join(_text(each) + bytes([qos]) for each, qos in self.filters)
        return Packet(Kind.SUBSCRIBE, 2, _U16.pack(self.number) + body).pack()

    @classmethod
    def parse(cls, packet: Packet) -> Subscribe:
        reader = _Reader(packet.body)
        number, filters = reader.number(), []
        while reader.left:
            filters.append((reader.text(), reader.byte()))
        if packet.flags != 2 or not filters or any(qos > 2 for _, qos in filters):
            raise MqttError("a SUBSCRIBE without filters, or with flags that it has not")
        return cls(number, tuple(filters))


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    number: int
    filters: tuple[str, ...]

    def pack(self) -> bytes:
        return Packet(Kind.UNSUBSCRIBE, 2, _U16.pack(self.number) + b"".join(map(_text, self.filters))).pack()

    @classmethod
    def parse(cls, packet: Packet) -> Unsubscribe:
        reader = _Reader(packet.body)
        number, filters = reader.number(), []
        while reader.left:
            filters.append(reader.text())
        if packet.flags != 2 or not filters:
            raise MqttError("an UNSUBSCRIBE without filters, or with flags that it has not")
        return cls(number, tuple(filters))


def connack(code: int, *, present: bool = False) -> bytes:
    """`code` 0: welcome; 1: not this protocol level; 2: not this client id; `present`: there is a former session."""
    return Packet(Kind.CONNACK, 0, bytes([present, code])).pack()


def acknowledged(kind: Kind, number: int, codes: bytes = b"") -> bytes:
    """PUBACK, SUBACK (with the granted QoS of each filter) or UNSUBACK."""
    return Packet(kind, 0, _U16.pack(number) + codes).pack()


def number_of(packet: Packet) -> int:
    """The packet identifier of an acknowledgement."""
    return _Reader(packet.body).number()


PINGREQ = Packet(Kind.PINGREQ, 0, b"").pack()
PINGRESP = Packet(Kind.PINGRESP, 0, b"").pack()
DISCONNECT = Packet(Kind.DISCONNECT, 0, b"").pack()


def valid_filter(text: str) -> bool:
    """`+` stands alone in a level, `#` alone in the last one."""
    levels = text.split("/")
    return bool(text) and all(
        level in ("+", "#") or not ("+" in level or "#" in level) for level in levels
    ) and "#" not in levels[:-1]  # fmt: skip


def matches(wanted: str, topic: str) -> bool:
    """Does a filter mean a topic? Topics that begin with `$` are not meant by wildcards in the first level."""
    if topic.startswith("$") and wanted[:1] in ("+", "#"):
        return False
    levels = topic.split("/")
    for at, level in enumerate(wanted.split("/")):
        if level == "#":
            return True
        if at >= len(levels) or level not in ("+", levels[at]):
            return False
    return len(wanted.split("/")) == len(levels)


@dataclass(slots=True)
class _Reader:
    data: bytes
    at: int = field(default=0)

    @property
    def left(self) -> int:
        return len(self.data) - self.at

    def byte(self) -> int:
        return self._take(1)[0]

    def number(self) -> int:
        found: int = _U16.unpack(self._take(2))[0]
        return found

    def blob(self) -> bytes:
        return self._take(self.number())

    def text(self) -> str:
        try:
            found = self.blob().decode("utf-8")
        except UnicodeDecodeError as error:
            raise MqttError(f"a text that is not UTF-8: {error}") from error
        if "\0" in found:
            raise MqttError("a text with a null character")
        return found

    def rest(self) -> bytes:
        return self._take(self.left)

    def _take(self, size: int) -> bytes:
        if self.left < size:
            raise MqttError("a packet that ends too early")
        self.at += size
        return self.data[self.at - size : self.at]


def _text(text: str) -> bytes:
    return _blob(text.encode("utf-8"))


def _blob(data: bytes) -> bytes:
    if len(data) > 0xFFFF:
        raise ValueError(f"MQTT strings take at most 65535 bytes, not {len(data)}")
    return _U16.pack(len(data)) + data
