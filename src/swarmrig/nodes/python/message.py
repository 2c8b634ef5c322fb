"""Messages between nodes: JSON in UDP datagrams, one message a datagram, to port 47100 of whoever it is for.

    {"type":"reading","time_us":1500000,"src":"s1","dst":"hub","size_bytes":17,"payload":{"celsius":21.5}}

Any program can send and read them. Of what it sends only `type` must be there: `src` is found out from the address,
`time_us` is the time of arrival, `payload` is null, `size_bytes` what the payload takes. A message whose `size_bytes`
says more than its payload takes as JSON is followed by as many spaces, so that links with a rate treat it as what it
is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

MESSAGE_PORT = 47100
"""UDP port of messages on every node."""


@dataclass(frozen=True, slots=True)
class Message:
    """What one node tells another."""

    type: str
    time_us: int
    """When it was sent, run time."""
    src: str
    """Node id of the sender."""
    dst: str
    """Node id of the receiver."""
    payload: Any = None
    """Anything that JSON can say."""
    size_bytes: int = 0
    """What the payload takes on the wire: at least its JSON."""

    def pack(self) -> bytes:
        """As it travels. ValueError when the payload cannot be said in JSON."""
        try:
            payload = json.dumps(self.payload, separators=(",", ":"), allow_nan=False)
        except TypeError as error:
            raise ValueError(f"a message's payload is JSON: {error}") from error
        size = max(self.size_bytes, len(payload))
        head = json.dumps(
            {"type": self.type, "time_us": self.time_us, "src": self.src, "dst": self.dst, "size_bytes": size},
            separators=(",", ":"),
        )
        return f'{head[:-1]},"payload":{payload}}}'.encode() + b" " * (size - len(payload))

    @classmethod
    def parse(cls, data: bytes, *, src: str, dst: str, time_us: int) -> Message:
        """`src`, `dst`, `time_us`: for what the sender left out. ValueError when it is no message."""
        found = json.loads(data)
        if not isinstance(found, dict) or not isinstance(found.get("type"), str):
            raise ValueError("a message is a JSON object with a `type`")
        payload = found.get("payload")
        message = cls(
            found["type"],
            found.get("time_us", time_us),
            found.get("src", src),
            found.get("dst", dst),
            payload,
            found.get("size_bytes", len(json.dumps(payload, separators=(",", ":")))),
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
