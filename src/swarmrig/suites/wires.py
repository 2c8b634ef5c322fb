"""Wires between processes: UDP on loopback, led through the rig's own network, impaired and captured on the way.

A program sends to the wire's port on 127.0.0.1 and receives from there what comes back. Each datagram becomes a frame
between two addresses that exist only here, crosses a link with its impairment and a switch, and leaves as a datagram
to the wire's target. `near.pcapng` shows it where it entered, `far.pcapng` behind the link.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from swarmrig.errors import HostError
from swarmrig.model.network import PERFECT, DevicePlan, Impairment, LinkPlan, NetworkPlan, SwitchPlan
from swarmrig.net.fabric import Fabric, open_fabric
from swarmrig.proc import Spawner
from swarmrig.wire.decode import decode
from swarmrig.wire.ethernet import Ethernet, EtherType
from swarmrig.wire.ipv4 import HEADER_BYTES as IP_HEADER_BYTES
from swarmrig.wire.ipv4 import MTU_BYTES, Ipv4, Protocol
from swarmrig.wire.udp import HEADER_BYTES as UDP_HEADER_BYTES
from swarmrig.wire.udp import Udp

NEAR, FAR = "near", "far"
LARGEST = MTU_BYTES - IP_HEADER_BYTES - UDP_HEADER_BYTES
"""Bytes of a datagram that fit into a frame; larger ones do not pass."""
_LOOPBACK = "127.0.0.1"
_BATCH = 64
_BUFFER = 1 << 20
_READ_SIZE = 1 << 16


@dataclass(frozen=True, slots=True)
class _Host:
    mac: str
    ip: str


_CLIENT = _Host("52:54:00:77:00:01", "10.119.0.1")
_SERVER = _Host("52:54:00:77:00:02", "10.119.0.2")


@asynccontextmanager
async def open_wire(
    impairment: Impairment, target: int, *, seed: int, directory: Path, spawner: Spawner
) -> AsyncIterator[Gateway]:
    """A wire to a UDP port of 127.0.0.1, for as long as the context lasts; its captures are complete afterwards."""
    plan = _network(seed, impairment)
    async with open_fabric(plan, directory=directory, spawner=spawner, start_ns=time.monotonic_ns()) as fabric:
        with _sockets(fabric.take_port(NEAR), fabric.take_port(FAR), target) as (near, far):
            gateway = Gateway(fabric, near, far)
            with gateway.passing():
                yield gateway


def _network(seed: int, impairment: Impairment) -> NetworkPlan:
    devices = (DevicePlan(NEAR, _CLIENT.mac, NEAR, ip=_CLIENT.ip), DevicePlan(FAR, _SERVER.mac, FAR, ip=_SERVER.ip))
    links = (
        LinkPlan(NEAR, NEAR, "switch", impairment, impairment),
        LinkPlan(FAR, "switch", FAR, PERFECT, PERFECT, access=True),
    )
    return NetworkPlan(seed, devices, links, (SwitchPlan("switch"),))


@dataclass(frozen=True, slots=True)
class _End:
    """One end of the wire: programs on one side, frames on the other."""

    programs: socket.socket
    frames: socket.socket
    own: _Host
    other: _Host


class Gateway:
    """Turns datagrams into frames and back, both ways."""

    def __init__(self, fabric: Fabric, near: _End, far: _End) -> None:
        self._fabric = fabric
        self.port: int = near.programs.getsockname()[1]
        """Where programs send to."""
        self.too_large = 0
        self.overruns = 0
        """What the network, or a program, did not take in time."""
        self._near = near
        self._far = far
        self._target: int = far.programs.getpeername()[1]
        self._client: tuple[str, int] | None = None

    def notes(self) -> Iterator[str]:
        """What should be known about datagrams that were lost outside the network's model."""
        if self.too_large:
            yield f"{self.too_large} datagrams of more than {LARGEST} bytes did not pass"
        if self.overruns:
            yield f"{self.overruns} datagrams were not taken in time"

    async def wait_broken(self) -> None:
        """Return never; raise HostError when the network process has ended."""
        status = await self._fabric.wait_exited()
        raise HostError(f"the network process of a wire ended ({status})")

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Pass datagrams on while inside."""
        loop = asyncio.get_running_loop()
        readers: dict[socket.socket, Callable[[], None]] = {
            self._near.programs: self._from_client,
            self._near.frames: self._to_client,
            self._far.programs: self._from_server,
            self._far.frames: self._to_server,
        }
        for sock, read in readers.items():
            loop.add_reader(sock, read)
        try:
            yield
        finally:
            for sock in readers:
                loop.remove_reader(sock)

    def _from_client(self) -> None:
        with suppress(BlockingIOError, ConnectionError):
            for _ in range(_BATCH):
                data, self._client = self._near.programs.recvfrom(_READ_SIZE)
                self._enter(self._near, data, self._client[1], self._target)

    def _from_server(self) -> None:
        with suppress(BlockingIOError, ConnectionError):  # refused: nobody listens there any more
            for _ in range(_BATCH):
                data = self._far.programs.recv(_READ_SIZE)
                if self._client is not None:
                    self._enter(self._far, data, self._target, self._client[1])

    def _enter(self, end: _End, data: bytes, sport: int, dport: int) -> None:
        if len(data) > LARGEST:
            self.too_large += 1
            return
        segment = Udp(sport, dport, data).pack(end.own.ip, end.other.ip)
        packet = Ipv4(end.own.ip, end.other.ip, Protocol.UDP, segment).pack()
        self._send(end.frames.send, Ethernet(end.other.mac, end.own.mac, EtherType.IPV4, packet).pack())

    def _to_client(self) -> None:
        for data in _leaving(self._near.frames):
            if self._client is not None:
                self._send(self._near.programs.sendto, data, self._client)

    def _to_server(self) -> None:
        for data in _leaving(self._far.frames):
            self._send(self._far.programs.send, data)

    def _send(self, send: Callable[..., int], *what: object) -> None:
        try:
            send(*what)
        except BlockingIOError:
            self.overruns += 1
        except ConnectionError:
            pass  # the program has ended; what it did not read is its own affair


def _leaving(frames: socket.socket) -> Iterator[bytes]:
    """What the frames carry that have come; damaged ones, as a real card would, are dropped."""
    with suppress(BlockingIOError, ConnectionError):
        for _ in range(_BATCH):
            frame = frames.recv(_READ_SIZE)
            if not frame:  # the network is gone, as `wait_broken` tells
                asyncio.get_running_loop().remove_reader(frames)
                return
            if (udp := decode(frame).udp) is not None:
                yield udp.payload


@contextmanager
def _sockets(near_port: int, far_port: int, target: int) -> Iterator[tuple[_End, _End]]:
    near_frames, far_frames = socket.socket(fileno=near_port), socket.socket(fileno=far_port)
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with near_frames, far_frames, client, server:
        for sock in (near_frames, far_frames, client, server):
            sock.setblocking(False)
        for sock in (client, server):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        try:
            client.bind((_LOOPBACK, 0))
            server.connect((_LOOPBACK, target))
        except OSError as error:
            raise HostError(f"wire to port {target}: {os.strerror(error.errno or 0)}") from error
        yield _End(client, near_frames, _CLIENT, _SERVER), _End(server, far_frames, _SERVER, _CLIENT)
