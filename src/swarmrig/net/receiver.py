"""The aggregator where there is no network of the rig's own: the same Python node, fed from a socket of the host."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from swarmrig.api.steppable import SteppableNode
from swarmrig.errors import HostError
from swarmrig.wire.ethernet import Ethernet, EtherType
from swarmrig.wire.ipv4 import Ipv4, Protocol
from swarmrig.wire.udp import Udp

RECEIVE_BUFFER = 8 << 20
"""Bytes asked for: bursts of many nodes while the rig is busy."""
BATCH = 256
"""Datagrams taken in before others get their turn."""
MOST_WAITING = 1 << 15
"""Datagrams that the buffer can hold: each takes at least 512 bytes of the kernel's memory, twice the size is set."""

_MAX_DATAGRAM = 65_535
_SO_RXQ_OVFL, _SO_RCVBUFFORCE = 40, 33
"""From asm-generic/socket.h; the socket module has no names for them."""
_COUNT = struct.Struct("=I")


@contextmanager
def udp_socket(address: str, port: int, *, what_for: str) -> Iterator[socket.socket]:
    """A bound, non-blocking socket. HostError names the port, what wanted it, and what to do."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        try:
            sock.bind((address, port))
        except OSError as error:
            raise HostError(
                f"UDP port {port} of {address}, which {what_for}, cannot be opened: {error.strerror}",
                hint=_what_to_do(error),
            ) from error
        yield sock


def _what_to_do(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another run, or another program, has it (see `ss -ulp`): end that, or set another aggregator_port"
    return "set another aggregator_port"


class Receiver:
    """Delivers what arrives at a socket to a node, and counts what the socket could not hold."""

    def __init__(
        self, sock: socket.socket, node: SteppableNode, address: tuple[str, str, int], now_ns: Callable[[], int]
    ) -> None:
        """`address`: MAC, IP and port under which the node believes that it is reached."""
        self.overruns = 0
        self.failure: str | None = None
        self._socket = sock
        self._node = node
        self._mac, self._ip, self._port = address
        self._now_ns = now_ns
        self._console: list[tuple[int, str]] = []
        with suppress(PermissionError):  # then as much as the system allows
            sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER)
        sock.setsockopt(socket.SOL_SOCKET, _SO_RXQ_OVFL, 1)
        self._advance()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take in what arrives while the context is open."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._socket, self._take_batch)
        try:
            yield
        finally:
            loop.remove_reader(self._socket)

    def drain(self) -> None:
        """Take in all that has arrived up to now; a sender that goes on and on does not hold this up."""
        for _ in range(MOST_WAITING // BATCH):
            if self._take_batch() < BATCH:
                break

    def report(self) -> Mapping[str, Any]:
        """The node's own report, and `overruns`; empty once the node has failed."""
        return {} if self.failure else {**self._node.report(), "overruns": self.overruns}

    def take_console(self) -> list[tuple[int, str]]:
        """Lines since the last call."""
        lines, self._console = self._console, []
        return lines

    def _take_batch(self) -> int:
        for taken in range(BATCH):
            try:
                payload, extra, _, source = self._socket.recvmsg(_MAX_DATAGRAM, socket.CMSG_SPACE(_COUNT.size))
            except BlockingIOError:
                return taken
            except OSError:  # an error of an earlier datagram: this socket sends none, so it says nothing
                continue
            for level, kind, data in extra:
                if (level, kind) == (socket.SOL_SOCKET, _SO_RXQ_OVFL):
                    (self.overruns,) = _COUNT.unpack(data[: _COUNT.size])
            self._deliver(payload, source)
        return BATCH

    def _deliver(self, payload: bytes, source: tuple[str, int]) -> None:
        """Nodes take frames, so a datagram gets the headers that it came with, as far as they are known."""
        src, port = source
        udp = Udp(port, self._port, payload).pack(src, self._ip)
        packet = Ipv4(src, self._ip, Protocol.UDP, udp).pack()
        self._advance(Ethernet(self._mac, self._mac, EtherType.IPV4, packet).pack())

    def _advance(self, frame: bytes | None = None) -> None:
        if self.failure is not None:
            return
        now_ns = self._now_ns()
        try:
            if frame is not None:
                self._node.deliver(now_ns, frame)
            self._console += self._node.advance(now_ns).console
        except Exception:  # reported with the statistics; the run goes on without it
            self.failure = traceback.format_exc()
