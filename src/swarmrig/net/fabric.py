"""The rig's side of the network process: starts it, hands out its ports, changes links, asks for counts."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

import anyio
import anyio.to_thread

from swarmrig.api.nodes import ExitStatus
from swarmrig.errors import HostError
from swarmrig.model.network import NetworkPlan, PortKind
from swarmrig.net.bridge import open_host_bridge
from swarmrig.net.control import MAX_DESCRIPTORS, ControlError, MessageBuffer, encode
from swarmrig.net.devices import HOST
from swarmrig.net.pcapng import PcapngReader
from swarmrig.net.plan_file import dump_plan
from swarmrig.proc import Spawner

SOCKET_BUFFER = 2 << 20
"""Bytes asked for per direction of a port: a tenth of a second at the highest rate that one loop can switch."""
ANSWER_TIMEOUT_S = 10.0
SETTLE_NS = 5_000_000_000
CAPTURE_LIMIT = 16 << 30
"""RLIMIT_FSIZE of the network process: no capture grows beyond."""

REAL_TIME = "swarmrig.net.fabric_process"
"""Program of the network process in real time."""
_SOCKET_KINDS = {
    PortKind.PACKET: socket.SOCK_SEQPACKET,
    PortKind.STREAM: socket.SOCK_STREAM,
    PortKind.LOCKSTEP: socket.SOCK_STREAM,
}
_CONTROL_FD = 3
_READ_SIZE = 1 << 16
_MESSAGE_SIZE = 1 << 20
"""Characters of frames in a message: well below what control allows."""
_FRAME_OVERHEAD = 32
_SO_SNDBUFFORCE = 32
"""From asm-generic/socket.h; the socket module has no name for it. Needs CAP_NET_ADMIN."""


class NetworkProcess(Protocol):
    """What is to be known of the process that a network runs in."""

    pid: int
    stderr_path: Path

    async def wait(self) -> ExitStatus: ...

    def last_words(self) -> str: ...


class Fabric:
    """A running network. Made by `open_fabric`; implements api.LinkControl.

    Every method raises HostError, with the process's own last words, once the network process is gone.
    """

    def __init__(self, plan: NetworkPlan, control: socket.socket, process: NetworkProcess, directory: Path) -> None:
        self.plan = plan
        self._directory = directory
        self._process = process
        self._control = control
        self._control.setblocking(False)
        self._ports: dict[str, int] = {}
        self._buffer = MessageBuffer()
        self._answers: dict[int, asyncio.Future[dict[str, Any] | None]] = {}
        self._number = 0
        self._gone = False
        self._sending = anyio.Lock()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(control.fileno(), self._on_readable)

    @property
    def pid(self) -> int:
        return self._process.pid

    def take_port(self, device: str) -> int:
        """The descriptor for a device's process: pass it on, then close it. KeyError when it has been taken."""
        return self._ports.pop(device)

    async def renew_port(self, device: str) -> int:
        """A fresh descriptor in place of the former one, for a device that is started again."""
        return (await self._attach_sockets([device]))[device]

    async def attach(self, device: str, fd: int) -> None:
        """Connect a device to an open descriptor of its port's kind: a TAP, or, for a node in the network's process
        that has a program, the line to that. `fd` stays the caller's to close."""
        await self._request("attach", [fd], devices=[device])

    async def disconnect(self, device: str) -> None:
        """Have a node in the network's process let go of its program, after a last word to it."""
        await self._request("disconnect", device=device)

    async def set_link(
        self,
        link: str,
        changes: Mapping[str, Any],
        *,
        direction: str | None = None,
        layer: str | None = None,
        frames: int | None = None,
    ) -> int:
        """See api.LinkControl. ValueError names an unknown link or field, or a value out of range."""
        return int(
            await self._request(
                "set_link", link=link, changes=dict(changes), direction=direction, layer=layer, frames=frames
            )
        )

    async def set_filter(
        self, link: str, filter_text: str | None, *, direction: str | None = None, layer: str = ""
    ) -> int:
        """See api.LinkControl. ValueError names an unknown link, or what is wrong with the filter."""
        return int(await self._request("set_filter", link=link, filter=filter_text, direction=direction, layer=layer))

    async def inject_frames(self, link: str, sender_end: str, frames: Sequence[tuple[int, bytes]]) -> int:
        """See api.LinkControl. ValueError names an unknown link or end, or a frame that is none."""
        parts = [int(await self._request("inject", link=link, end=sender_end, frames=part)) for part in _parts(frames)]
        return min(parts)

    async def recorded_frames(self, link: str, sender_end: str, since_ns: int) -> list[tuple[int, bytes]]:
        """See api.LinkControl."""
        plan = self.plan.link(link)
        if not plan.capture:
            raise ValueError(f"nothing records what enters the link {link}")
        await self.flush()
        interface = (plan.a, plan.b).index(sender_end)
        capture = self._directory / f"{link}.pcapng"
        return await anyio.to_thread.run_sync(_read_frames, capture, interface, since_ns)

    async def statistics(self) -> dict[str, Any]:
        """Counts up to now, and the console lines of Python nodes since the last call (so: one caller).

        `links`: by name `frames`, `bytes`, `delivered`, `drops` (by Fate value), and the same by direction;
        `nodes`: reports of Python nodes; `node_turns`: when they failed or began anew (net.hosted.Turn); `console`: by
        Python node [t_ns, line]; `devices`: counters of ports; `routers`; `capture_error`: why captures are incomplete,
        or None; `now_ns`; `cpu_s` of the network process.
        """
        answer: dict[str, Any] = await self._request("statistics")
        return answer

    async def be_patient(self, limit_s: float) -> None:
        """So long a Python node may stay in one call before it has failed. Default: 30 s."""
        await self._request("patience", limit_s=limit_s)

    async def flush(self) -> None:
        """Return when everything that has entered a link is in the captures."""
        await self._request("flush")

    async def settle(self, deadline_ns: int = SETTLE_NS) -> bool:
        """Wait until no frame is under way or unread; False when there still was one after `deadline_ns`."""
        return bool(await self._request("settle", timeout_s=deadline_ns / 1e9, deadline_ns=deadline_ns))

    async def end_guests(self) -> None:
        """In real time, guests are ended by those who started them."""

    async def wait_exited(self) -> ExitStatus:
        """Return when the network process has ended, which it never does by itself unless it fails."""
        return await self._process.wait()

    async def _connect(self, start_ns: int) -> None:
        devices = [device.name for device in self.plan.devices if device.port in _SOCKET_KINDS]
        for at in range(0, len(devices), MAX_DESCRIPTORS):
            self._ports.update(await self._attach_sockets(devices[at : at + MAX_DESCRIPTORS]))
        await self._request("start", start_ns=start_ns)

    def _close(self) -> None:
        """The process ends when the control socket does."""
        for fd in self._ports.values():
            os.close(fd)
        self._ports.clear()
        self._lose()
        self._control.close()

    async def _attach_sockets(self, devices: list[str]) -> dict[str, int]:
        """Connect devices to one end of new sockets; returns the other ends."""
        ours: dict[str, int] = {}
        theirs: list[int] = []
        try:
            for device in devices:
                near, far = socket_pair(_SOCKET_KINDS[self.plan.device(device).port])
                ours[device] = near
                theirs.append(far)
            await self._request("attach", theirs, devices=devices)
        except BaseException:
            for fd in ours.values():
                os.close(fd)
            raise
        finally:
            for fd in theirs:
                os.close(fd)
        return ours

    async def _request(self, command: str, fds: Sequence[int] = (), *, timeout_s: float = 0.0, **details: Any) -> Any:
        self._number += 1
        number = self._number
        message = encode({"id": number, "do": command, **details})
        future = self._answers[number] = self._loop.create_future()
        try:
            with anyio.fail_after(timeout_s + ANSWER_TIMEOUT_S):
                if not self._gone:
                    async with self._sending:
                        await self._send(message, fds)
                    answer = await future
                else:
                    answer = None
        except TimeoutError:
            raise HostError(f"the network process (pid {self.pid}) did not answer {command!r} in time") from None
        finally:
            del self._answers[number]
        if answer is None:
            raise await self._loss()
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer["ok"]

    async def _send(self, data: bytes, fds: Sequence[int]) -> None:
        try:
            while data:
                try:
                    sent = socket.send_fds(self._control, [data], list(fds))
                except BlockingIOError:
                    await anyio.wait_writable(self._control)
                    continue
                data, fds = data[sent:], ()
        except OSError:
            self._lose()

    def _on_readable(self) -> None:
        try:
            data = self._control.recv(_READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        try:
            messages = self._buffer.feed(data)
        except ControlError:
            data, messages = b"", []
        for message in messages:
            future = self._answers.get(message["id"])
            if future is not None and not future.done():
                future.set_result(message)
        if not data:
            self._lose()

    def _lose(self) -> None:
        """Nobody will answer any more."""
        if not self._gone:
            self._gone = True
            self._loop.remove_reader(self._control.fileno())
        for future in self._answers.values():
            if not future.done():
                future.set_result(None)

    async def _loss(self) -> HostError:
        status = None
        with anyio.move_on_after(1.0):
            status = await self._process.wait()
        words = self._process.last_words()
        ended = f"ended ({status})" if status is not None else "closed its control socket"
        return HostError(
            f"the network process (pid {self.pid}) {ended}" + (f"; its last words:\n{words}" if words else ""),
            hint=f"see {self._process.stderr_path}",
        )


FabricType = TypeVar("FabricType", bound=Fabric)


@asynccontextmanager
async def open_fabric(plan: NetworkPlan, *, directory: Path, spawner: Spawner, start_ns: int) -> AsyncIterator[Fabric]:
    """Run a network in a process of its own; on leaving, its captures in `directory` are complete and it has ended.

    A device `host` with a TAP port is this machine: it is bridged to the network as long as that runs.
    `start_ns` is the reading of CLOCK_MONOTONIC at run time 0. Also written to `directory`: the plan (plan.json) and
    the process's stderr (fabric.stderr.log).
    """
    async with run_network(Fabric, REAL_TIME, plan, directory=directory, spawner=spawner) as (fabric, stack):
        await fabric._connect(start_ns)
        await bridge_host(fabric, stack, spawner)
        yield fabric


async def bridge_host(fabric: Fabric, stack: AsyncExitStack, spawner: Spawner) -> None:
    """Connect this machine, if it is one of the devices, until the stack is closed."""
    for device in fabric.plan.devices:
        if device.name == HOST and device.port is PortKind.TAP:
            await fabric.attach(HOST, await stack.enter_async_context(open_host_bridge(device, spawner)))


@asynccontextmanager
async def run_network(
    client: type[FabricType], module: str, plan: NetworkPlan, *, directory: Path, spawner: Spawner
) -> AsyncIterator[tuple[FabricType, AsyncExitStack]]:
    """Start the network process that `module` is the program of; yields its client, and what ends before it does."""
    command = _prepare(module, plan, directory)
    control, far = socket.socketpair()

    async def hang_up() -> None:  # the process takes this as its end, and completes the captures
        with suppress(OSError):
            control.shutdown(socket.SHUT_RDWR)

    async with AsyncExitStack() as stack:
        stack.enter_context(control)
        with far:
            process = await stack.enter_async_context(
                spawner.process(
                    command,
                    name="fabric",
                    fds={_CONTROL_FD: far},
                    stderr=directory / "fabric.stderr.log",
                    # Models of Python nodes are found where the rig found them.
                    env={"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                    polite=hang_up,
                    file_size_limit=CAPTURE_LIMIT,
                )
            )
        fabric = client(plan, control, process, directory)
        stack.callback(fabric._close)
        yield fabric, stack


def _read_frames(capture: Path, interface: int, since_ns: int) -> list[tuple[int, bytes]]:
    """What that end has sent, with its times."""
    return [
        (packet.t_ns, packet.data)
        for packet in PcapngReader().feed(capture.read_bytes())
        if packet.interface == interface and not packet.inbound and packet.t_ns >= since_ns
    ]


def _parts(frames: Sequence[tuple[int, bytes]]) -> Iterator[list[tuple[int, str]]]:
    """Frames as they are sent, so many at a time as a message has room for."""
    part: list[tuple[int, str]] = []
    size = 0
    for t_ns, frame in frames:
        part.append((t_ns, frame.hex()))
        size += 2 * len(frame) + _FRAME_OVERHEAD
        if size > _MESSAGE_SIZE:
            yield part
            part, size = [], 0
    if part or not frames:
        yield part


def _prepare(module: str, plan: NetworkPlan, directory: Path) -> list[str]:
    """Write the plan down; returns the command that runs it."""
    directory = directory.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    plan_file = directory / "plan.json"
    plan_file.write_text(dump_plan(plan), encoding="utf-8")
    return [sys.executable, "-P", "-m", module, str(_CONTROL_FD), str(plan_file), str(directory)]


def socket_pair(kind: socket.SocketKind) -> tuple[int, int]:
    """Two connected descriptors with room for bursts."""
    pair = socket.socketpair(socket.AF_UNIX, kind)
    for end in pair:
        try:
            end.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, SOCKET_BUFFER)
        except PermissionError:  # then as much as the system allows
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER)
    return pair[0].detach(), pair[1].detach()
