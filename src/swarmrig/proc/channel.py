"""Messages between the rig and its guardian: one datagram each, with file descriptors.

Both ends run the same interpreter and nobody else holds the socket, so marshal is safe here; it costs no
import (json: 9 ms of the guardian's start) and carries argv as the bytes that it is.
"""

from __future__ import annotations

import _socket
import marshal
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

MAX_INLINE = 1 << 16  # well below the default socket buffer; longer messages travel as a memory file
_BYTE_ORDER = sys.byteorder
MAX_FDS = 250  # the kernel's SCM_MAX_FD is 253


class PeerGoneError(Exception):
    """The other end has closed its socket, or died."""


def send(sock: _socket.socket, message: Any, fds: Sequence[int] = ()) -> None:
    """Send one message. BlockingIOError when the socket is non-blocking and full: nothing was sent then."""
    data = marshal.dumps(message)
    if len(data) <= MAX_INLINE:
        _send(sock, b"M" + data, fds)
        return
    memory = os.memfd_create("swarmrig-message", os.MFD_CLOEXEC)
    try:
        with open(memory, "wb", closefd=False) as file:
            file.write(data)
        _send(sock, b"F", (memory, *fds))
    finally:
        os.close(memory)


def receive(sock: _socket.socket) -> tuple[Any, list[int]]:
    """One message and its descriptors (close-on-exec, the caller's to close). PeerGoneError at the end.

    Descriptors that this process has no room for are missing at the end of the list.
    """
    try:
        data, control, _, _ = sock.recvmsg(MAX_INLINE + 64, _socket.CMSG_SPACE(4 * (MAX_FDS + 1)), _CLOEXEC)
    except ConnectionError as error:
        raise PeerGoneError from error
    fds = [fd for level, kind, raw in control if (level, kind) == _RIGHTS for fd in _integers(raw)]
    if not data:
        raise PeerGoneError
    if data[:1] == b"F":
        with open(fds.pop(0), "rb") as file:
            file.seek(0)
            return marshal.loads(file.read()), fds  # noqa: S302 (see the module's docstring)
    return marshal.loads(data[1:]), fds  # noqa: S302


_RIGHTS = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS)
_CLOEXEC = _socket.MSG_CMSG_CLOEXEC


def _send(sock: _socket.socket, data: bytes, fds: Sequence[int]) -> None:
    rights = b"".join(fd.to_bytes(4, _BYTE_ORDER) for fd in fds)
    try:
        sock.sendmsg([data], [(*_RIGHTS, rights)] if fds else [], _socket.MSG_NOSIGNAL)
    except ConnectionError as error:
        raise PeerGoneError from error


def _integers(raw: bytes) -> list[int]:
    return [int.from_bytes(raw[at : at + 4], _BYTE_ORDER) for at in range(0, len(raw) // 4 * 4, 4)]
