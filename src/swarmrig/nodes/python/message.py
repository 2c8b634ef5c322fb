"""Messages between nodes: JSON in UDP datagrams, one message a datagram, to port 47100 of whoever it is for.

    {"type":"reading","time_us":1500000,"src":"s1","dst":"hub","size_bytes":17,"payload":{"celsius":21.5}}

Any program can send and read them. Of what it sends only `type` must be there: `src` is found out from the address,
`time_us` is the time of arrival, `payload` is null, `size_bytes` what the payload takes. A message whose `size_bytes`
says more than its payload takes as JSON is followed by as many spaces, so that links with a rate treat it as what it
is.

Between Python nodes the text of the payload travels with the bytes, and is read when somebody asks for the payload.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

MESSAGE_PORT = 47100
"""UDP port of messages on every node."""

_to_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class Message:
    """What one node tells another."""

    __slots__ = ("_payload", "_text", "dst", "size_bytes", "src", "time_us", "type")

    def __init__(self, type: str, time_us: int, src: str, dst: str, payload: Any = None, size_bytes: int = 0) -> None:
        """`type` says what the payload is; `time_us` is the run time at which it is sent; `src` and `dst` are node ids;
        `payload` is anything that JSON can say; `size_bytes` what that takes on the wire, at least its JSON."""
        self.type = type
        self.time_us = time_us
        self.src = src
        self.dst = dst
        self.size_bytes = size_bytes
        self._payload = payload
        self._text: str | None = None

    @property
    def payload(self) -> Any:
        """What was sent, as JSON says it; the receiver's own."""
        if self._text is not None:
            self._payload, self._text = json.loads(self._text), None
        return self._payload

    def pack(self) -> PackedMessage:
        """As it travels. ValueError when the payload cannot be said in JSON."""
        text = _text_of(self.payload)
        size = self.size_bytes = max(self.size_bytes, len(text))
        packed = PackedMessage(
            f'{{"type":{_quoted(self.type)},"time_us":{self.time_us},"src":{_quoted(self.src)},"dst":{_quoted(self.dst)}'
            f',"size_bytes":{size},"payload":{text}}}'.encode("ascii")
            + b" " * (size - len(text))
        )
        packed.fields = (self.type, self.time_us, self.src, self.dst, size, text)
        return packed

    @classmethod
    def parse(cls, data: bytes, *, src: str, dst: str, time_us: int) -> Message:
        """`src`, `dst`, `time_us`: for what the sender left out. ValueError when it is no message."""
        if type(data) is PackedMessage:
            return data.message()
        try:
            found = json.loads(data)
        except RecursionError:
            raise ValueError("a message is not nested so deeply") from None
        if not isinstance(found, dict) or not isinstance(found.get("type"), str):
            raise ValueError("a message is a JSON object with a `type`")
        payload = found.get("payload")
        message = cls(
            found["type"],
            found.get("time_us", time_us),
            found.get("src", src),
            found.get("dst", dst),
            payload,
            found["size_bytes"] if "size_bytes" in found else len(_text_of(payload)),
        )
        if not isinstance(message.src, str) or not isinstance(message.dst, str):
            raise ValueError("`src` and `dst` are node ids")
        if not isinstance(message.time_us, int) or not isinstance(message.size_bytes, int):
            raise ValueError("`time_us` and `size_bytes` are whole numbers")
        return message

    def to_json(self) -> dict[str, Any]:
        """All six fields, for other protocols."""
        return {
            "type": self.type, "time_us": self.time_us, "src": self.src, "dst": self.dst,
            "payload": self.payload, "size_bytes": self.size_bytes,
        }  # fmt: skip

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Message) and self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Message({', '.join(f'{name}={value!r}' for name, value in self.to_json().items())})"


class PackedMessage(bytes):
    """A message as it travels, from somebody who has said what is in it."""

    fields: tuple[str, int, str, str, int, str]
    """Type, time, source, destination, size, and the payload's JSON."""

    def message(self) -> Message:
        """What is in it, anew for whoever asks."""
        found = _new(Message)
        found.type, found.time_us, found.src, found.dst, found.size_bytes, found._text = self.fields
        return found


_new = Message.__new__


def _text_of(payload: Any) -> str:
    try:
        return _to_json(payload)
    except TypeError as error:
        raise ValueError(f"a message's payload is JSON: {error}") from error
    except RecursionError:
        raise ValueError("a message's payload is JSON, and not nested so deeply") from None


_quoted = lru_cache(maxsize=1 << 14)(json.dumps)
