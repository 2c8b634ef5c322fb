"""The devices of this machine's time: their descriptors under the epoll of a network process."""

from __future__ import annotations

import select
from collections.abc import Callable, Mapping
from typing import Any

from swarmrig.model.network import PortKind
from swarmrig.net.ports import Egress, Ingress, PacketPort, Port, StreamPort, TapPort

_PORTS: Mapping[PortKind, Callable[[int, Egress, Ingress], Port]] = {
    PortKind.PACKET: PacketPort,
    PortKind.STREAM: StreamPort,
    PortKind.TAP: TapPort,
}
KINDS = frozenset(_PORTS)
"""Ports that have a descriptor of frames."""
_READ = select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR


class Attachments:
    """Ports by device. Nothing is read before `begin`: what devices send until then waits."""

    def __init__(self, epoll: select.epoll) -> None:
        self.ports: dict[str, Port] = {}
        self._epoll = epoll
        self._by_fd: dict[int, Port] = {}
        self._streams: list[StreamPort] = []
        self._begun = False

    def close(self) -> None:
        for port in self._by_fd.values():
            port.close()

    def attach(self, device: str, kind: PortKind, fd: int, egress: Egress, ingress: Ingress) -> Port:
        """Connect a device to the descriptor, which now belongs to us; a former one is closed. ValueError when devices
        of this kind have none."""
        if kind not in _PORTS:
            raise ValueError(f"device {device} has no port: it is a Python node")
        old = self.ports.get(device)
        if old is not None and old.attached:
            self._detach(old)
        port = self.ports[device] = _PORTS[kind](fd, egress, ingress)
        self._by_fd[fd] = port
        if isinstance(port, StreamPort):
            self._streams.append(port)
        if self._begun:
            self._epoll.register(fd, select.EPOLLIN)
        return port

    def begin(self) -> None:
        """Read from now on."""
        self._begun = True
        for fd in self._by_fd:
            self._epoll.register(fd, select.EPOLLIN)

    def serve(self, fd: int, events: int, t_ns: int) -> int:
        """Take in, at `t_ns`, what a descriptor is ready with; returns how many frames came in, -1 when it is not
        ours."""
        port = self._by_fd.get(fd)
        if port is None:
            return -1
        frames = port.read(t_ns) if events & _READ else 0
        if events & select.EPOLLOUT:
            port.write()
        if not port.attached:
            self._detach(port)
        return frames

    def watch_backlogs(self) -> None:
        """Have epoll report room for those streams that something waits for."""
        if not self._streams or not self._begun:
            return
        self._streams = [port for port in self._streams if port.attached]
        for port in self._streams:
            self._epoll.modify(port.fileno(), select.EPOLLIN | (select.EPOLLOUT if port.wants_write() else 0))

    def counters(self) -> dict[str, dict[str, Any]]:
        """By device."""
        return {name: _counters(port) for name, port in self.ports.items()}

    def _detach(self, port: Port) -> None:
        """The device's far side is gone; what is sent to it from now on is lost without a trace on the wire."""
        fd = port.fileno()
        del self._by_fd[fd]
        if self._begun:
            self._epoll.unregister(fd)
        port.close()


def _counters(port: Port) -> dict[str, Any]:
    return {
        "attached": port.attached,
        "received": port.received,
        "sent": port.sent,
        "malformed": port.malformed,
        "missed": port.missed,
    }
