"""Guest memory while the guest runs, through QEMU's qtest protocol (docs/devel/qtest.rst of QEMU)."""

from __future__ import annotations

import asyncio
import base64
import binascii
import socket

import anyio

from swarmrig.errors import NodeError

DEADLINE_S = 5.0
BLOCK = 32 << 10
"""Bytes per command: the emulator's main loop serves one at a time."""
ADDRESS_LIMIT = 1 << 64


class GuestMemory:
    """Physical memory by address. Unmapped addresses read as zeros, and writes to them have no effect."""

    def __init__(self, node: str, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._node = node
        self._sock = sock
        self._turn = anyio.Lock()
        self._received = b""
        self._broken = False

    async def read(self, address: int, size: int) -> bytes:
        _check(address, size)
        content = bytearray()
        for start in range(address, address + size, BLOCK):
            count = min(BLOCK, address + size - start)
            answer = await self._ask(f"b64read {start:#x} {count:#x}")
            try:
                content += base64.b64decode(answer, validate=True)
            except binascii.Error as error:
                raise NodeError(self._node, f"the emulator answered {answer[:80]!r} to a memory read") from error
        return bytes(content)

    async def write(self, address: int, data: bytes) -> None:
        _check(address, len(data))
        for start in range(0, len(data), BLOCK):
            block = data[start : start + BLOCK]
            await self._ask(f"b64write {address + start:#x} {len(block):#x} {base64.b64encode(block).decode()}")

    async def _ask(self, command: str) -> str:
        """One command, one line as answer: `OK`, `OK value`, or something else, which is an error."""
        async with self._turn:
            if self._broken:
                raise NodeError(self._node, "its memory cannot be reached any more: an earlier access got no answer")
            self._broken = True  # until the answer is there: after a cancellation, whose answer is the next one?
            try:
                with anyio.fail_after(DEADLINE_S):
                    answer = await self._exchange(command.encode() + b"\n")
            except TimeoutError:
                raise NodeError(self._node, f"no access to its memory within {DEADLINE_S:g} s") from None
            except OSError as error:
                raise NodeError(self._node, f"no access to its memory: {error.strerror or 'it is gone'}") from error
            self._broken = False
        status, _, result = answer.partition(" ")
        if status != "OK":
            raise NodeError(self._node, f"the emulator refuses {command.split()[0]!r}: {answer}")
        return result

    async def _exchange(self, line: bytes) -> str:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self._sock, line)
        while b"\n" not in self._received:
            data = await loop.sock_recv(self._sock, BLOCK)
            if not data:
                raise ConnectionResetError
            self._received += data
        answer, _, self._received = self._received.partition(b"\n")
        return answer.decode("ascii", "replace").strip()


def _check(address: int, size: int) -> None:
    if address < 0 or size < 1 or address + size > ADDRESS_LIMIT:
        raise ValueError(f"no memory range: {size} bytes at {address:#x}")
