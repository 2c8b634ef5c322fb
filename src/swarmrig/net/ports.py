"""Where devices meet the network process: a file descriptor each, read in batches, written without waiting.

A frame that the far side does not take at once is an overrun: counted and captured as such, apart from modelled loss.
A far side that is gone detaches its port; the network goes on without it.
"""

from __future__ import annotations

import os
import select
import socket
import struct
from typing import Protocol

from swarmrig.net.link import MAX_FRAME, MIN_FRAME

BATCH = 32
"""Frames read from one port before the others have their turn."""
STREAM_BACKLOG = 1 << 20
"""Bytes that may wait for the reader of a stream port."""

_READ_SIZE = MAX_FRAME + 1
_STREAM_READ_SIZE = 1 << 16
_LENGTH = struct.Struct(">I")


class Egress(Protocol):
    """Who takes what a device sends: a direction of its link, or somebody before it."""

    def send(self, t_ns: int, frame: bytes) -> None: ...


class Ingress(Protocol):
    """What ends at a device: it is told when the device did not take a frame."""

    def overrun(self, t_ns: int, frame: bytes) -> None: ...


class Port(Protocol):
    """`read` takes what the device sent, `deliver` gives it a frame."""

    attached: bool
    received: int
    sent: int
    malformed: int
    missed: int

    def fileno(self) -> int: ...

    def read(self, t_ns: int) -> int:
        """Pass on up to BATCH frames; returns how many there were."""
        ...

    def deliver(self, t_ns: int, frame: bytes) -> None: ...

    def wants_write(self) -> bool: ...

    def write(self) -> None: ...

    def close(self) -> None: ...


class PacketPort:
    """One frame a message, over SOCK_SEQPACKET."""

    __slots__ = ("_egress", "_ingress", "_recv", "_send", "_socket", "attached", "malformed", "missed", "received",
                 "sent")  # fmt: skip

    def __init__(self, fd: int, egress: Egress, ingress: Ingress) -> None:
        self._socket = socket.socket(fileno=fd)
        self._socket.setblocking(False)
        self._recv = self._socket.recv
        self._send = self._socket.send
        self._egress = egress
        self._ingress = ingress
        self.attached = True
        self.received = self.sent = self.malformed = self.missed = 0

    def fileno(self) -> int:
        return self._socket.fileno()

    def read(self, t_ns: int) -> int:
        count = 0
        recv, send = self._recv, self._egress.send
        try:
            while count < BATCH:
                frame = recv(_READ_SIZE)
                if MIN_FRAME <= len(frame) <= MAX_FRAME:
                    send(t_ns, frame)
                    count += 1
                elif frame or not _hung_up(self._socket.fileno()):
                    self.malformed += 1
                else:
                    self.attached = False
                    break
        except BlockingIOError:
            pass
        except OSError:
            self.attached = False
        self.received += count
        return count

    def deliver(self, t_ns: int, frame: bytes) -> None:
        send = self._send  # see Direction on calls
        try:
            send(frame)
            self.sent += 1
        except BlockingIOError:
            self._ingress.overrun(t_ns, frame)
        except OSError:
            self.missed += 1  # the far side is gone; reading finds that out, too

    def wants_write(self) -> bool:
        return False

    def write(self) -> None:
        """Nothing ever waits."""

    def close(self) -> None:
        self.attached = False
        self._socket.close()


class StreamPort:
    """A u32 length (big endian) before each frame, over SOCK_STREAM."""

    def __init__(self, fd: int, egress: Egress, ingress: Ingress) -> None:
        self._socket = socket.socket(fileno=fd)
        self._socket.setblocking(False)
        self._egress = egress
        self._ingress = ingress
        self._input = bytearray()
        self._output = bytearray()
        self.attached = True
        self.received = self.sent = self.malformed = self.missed = 0

    def fileno(self) -> int:
        return self._socket.fileno()

    def read(self, t_ns: int) -> int:
        try:
            data = self._socket.recv(_STREAM_READ_SIZE)
        except BlockingIOError:
            return 0
        except OSError:
            data = b""
        if not data:
            self.attached = False
            return 0
        self._input += data
        return self._pass_on(t_ns)

    def deliver(self, t_ns: int, frame: bytes) -> None:
        if len(self._output) + len(frame) > STREAM_BACKLOG:
            self._ingress.overrun(t_ns, frame)
            return
        self._output += _LENGTH.pack(len(frame)) + frame
        self.sent += 1
        if len(self._output) == _LENGTH.size + len(frame):
            self.write()

    def wants_write(self) -> bool:
        return bool(self._output)

    def write(self) -> None:
        try:
            del self._output[: self._socket.send(self._output)]
        except BlockingIOError:
            pass
        except OSError:
            self._output.clear()
            self.missed += 1

    def close(self) -> None:
        self.attached = False
        self._socket.close()

    def _pass_on(self, t_ns: int) -> int:
        count = at = 0
        data = bytes(self._input)
        while len(data) - at >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(data, at)
            if size > MAX_FRAME:  # the stream is out of step, and nothing brings it back
                self.malformed += 1
                self.attached = False
                break
            if len(data) - at - _LENGTH.size < size:
                break
            frame = data[at + _LENGTH.size : at + _LENGTH.size + size]
            at += _LENGTH.size + size
            if size >= MIN_FRAME:
                self._egress.send(t_ns, frame)
                count += 1
            else:
                self.malformed += 1
        del self._input[:at]
        self.received += count
        return count


class TapPort:
    """A TAP interface's descriptor (IFF_NO_PI): one frame a read or write."""

    def __init__(self, fd: int, egress: Egress, ingress: Ingress) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self._egress = egress
        self._ingress = ingress
        self.attached = True
        self.received = self.sent = self.malformed = self.missed = 0

    def fileno(self) -> int:
        return self._fd

    def read(self, t_ns: int) -> int:
        count = 0
        try:
            while count < BATCH:
                frame = os.read(self._fd, _READ_SIZE)
                if len(frame) >= MIN_FRAME:
                    self._egress.send(t_ns, frame)
                else:
                    self.malformed += 1
                count += 1
        except BlockingIOError:
            pass
        except OSError:
            self.attached = False
        self.received += count
        return count

    def deliver(self, t_ns: int, frame: bytes) -> None:
        try:
            os.write(self._fd, frame)
            self.sent += 1
        except BlockingIOError:
            self._ingress.overrun(t_ns, frame)
        except OSError:
            self.missed += 1  # the interface is down (EIO) or refuses the frame

    def wants_write(self) -> bool:
        return False

    def write(self) -> None:
        """Nothing ever waits."""

    def close(self) -> None:
        self.attached = False
        os.close(self._fd)


def _hung_up(fd: int) -> bool:
    """Tell the end of a SEQPACKET connection from an empty message."""
    poll = select.poll()
    poll.register(fd, select.POLLRDHUP)
    return any(events & (select.POLLRDHUP | select.POLLHUP) for _, events in poll.poll(0))
