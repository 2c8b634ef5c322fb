"""A running user-mode network: QEMU's slirp moves the frames, the rig records them and receives what nodes send.

Every emulator writes a dump of its guest's traffic into a pipe. The rig reads it as it comes and writes the capture
`net/<node>.pcapng`, in run time, as other networks do: from there FrameTail takes it. Should the rig fall so far
behind that a pipe is full, the emulator waits: evidence is never lost, time may be.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import anyio

from swarmrig.api.nodes import ExitStatus
from swarmrig.errors import HostError
from swarmrig.model.network import DevicePlan, NetworkPlan, PortKind
from swarmrig.net.devices import AGGREGATOR, HOST
from swarmrig.net.dump import DumpError, DumpReader, GuestTimes
from swarmrig.net.factory import load_factory
from swarmrig.net.pcapng import CaptureWriter
from swarmrig.net.plan_file import dump_plan
from swarmrig.net.receiver import Receiver, udp_socket
from swarmrig.net.usermode import LISTEN_IP
from swarmrig.proc import Spawner

PIPE_BYTES = 1 << 18
"""Asked for per guest: some seconds of an ordinary node's traffic."""
READ_BYTES = 1 << 16
"""Read from one guest before others get their turn."""

_HOST_ADDRESSES = bytes.fromhex("52550a0002")
"""Slirp sends from 52:55 and an IPv4 address of its network 10.0.2.0/24. Everything else is the guest's."""
_FROM_GUEST, _FROM_HOST = 0, 1


class _Wire:
    """The traffic of one guest: pipe in, capture out."""

    def __init__(self, pipe: int, capture: CaptureWriter, now_ns: Callable[[], int]) -> None:
        self.failure: str | None = None
        self.frames = [0, 0]
        self.bytes = [0, 0]
        self._pipe = pipe
        self._capture = capture
        self._now_ns = now_ns
        self._reader = DumpReader()
        self._times = GuestTimes()
        self._ended = False

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Record what comes while the context is open."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._pipe, self._take)
        try:
            yield
        finally:
            loop.remove_reader(self._pipe)

    def drain(self) -> None:
        """Record all that has been written up to now; a guest that goes on and on does not hold this up."""
        for _ in range(PIPE_BYTES // READ_BYTES):
            if not self._take():
                break

    def counters(self) -> dict[str, Any]:
        """As those of a link of the fabric; nothing is ever dropped here."""
        forward, backward = (
            {"frames": frames, "byte_count": size, "delivered": frames, "drops": {}}
            for frames, size in zip(self.frames, self.bytes, strict=True)
        )
        frames, size = sum(self.frames), sum(self.bytes)
        return {
            "frames": frames, "bytes": size, "delivered": frames, "drops": {},
            "forward": forward, "backward": backward,
        }  # fmt: skip

    def _take(self) -> bool:
        """Read once; False when there is nothing more for now."""
        if self._ended:
            return False
        try:
            data = os.read(self._pipe, READ_BYTES)
        except BlockingIOError:
            return False
        if not data:  # the emulator is gone, and its last record with it if it was not whole
            self._ended = True
            asyncio.get_running_loop().remove_reader(self._pipe)
            return False
        self._record(data)
        return True

    def _record(self, data: bytes) -> None:
        if self.failure is not None:
            return  # read on nevertheless: the emulator would wait for us
        now_ns = self._now_ns()
        try:
            found = self._reader.feed(data)
        except DumpError as error:
            self.failure = f"the dump of {self._capture.path.stem} is damaged: {error}"
            return
        for stamp_ns, frame in found:
            sender = _FROM_HOST if frame[6:11] == _HOST_ADDRESSES else _FROM_GUEST
            self.frames[sender] += 1
            self.bytes[sender] += len(frame)
            self._capture.record((self._times.run_time(stamp_ns, now_ns), sender, frame, None))
        self._capture.flush()
        self.failure = self._capture.failure


class UserNetwork:
    """A running network of mode user. Made by `open_user_network`; see net.modes.Network."""

    def __init__(
        self, plan: NetworkPlan, wires: Mapping[str, _Wire], ports: dict[str, int], receiver: Receiver, start_ns: int
    ) -> None:
        self.plan = plan
        self._wires = wires
        self._ports = ports
        self._receiver = receiver
        self._start_ns = start_ns

    def take_port(self, device: str) -> int:
        """The pipe for a node's dump: pass it on, then close it. KeyError when it has been taken."""
        return self._ports.pop(device)

    async def renew_port(self, device: str) -> NoReturn:
        """Always HostError: an emulator with its own NAT is a place in the network that goes with it."""
        raise HostError(f"{device} cannot be started again in a network of mode user", hint="use `mode: fabric`")

    async def set_link(self, link: str, changes: Mapping[str, Any], *, direction: str | None = None) -> NoReturn:  # noqa: ARG002
        """Always HostError: there are no links."""
        raise HostError(
            f"the link {link} cannot be changed: a network of mode user has none of its own", hint="use `mode: fabric`"
        )

    async def statistics(self) -> dict[str, Any]:
        """Counts up to now, in the form of `Fabric.statistics`; `cpu_s` is that of the rig."""
        receiver = self._receiver
        console = receiver.take_console()
        failures = [wire.failure for wire in self._wires.values() if wire.failure is not None]
        now_ns = time.monotonic_ns() - self._start_ns
        return {
            "now_ns": now_ns,
            "cpu_s": time.process_time(),
            "links": {name: wire.counters() for name, wire in self._wires.items()},
            "devices": {},
            "routers": {},
            "nodes": {AGGREGATOR: receiver.report()},
            "node_turns": {AGGREGATOR: [(now_ns, receiver.failure, None)]} if receiver.failure else {},
            "console": {AGGREGATOR: console} if console else {},
            "capture_error": "; ".join(failures) or None,
        }

    async def flush(self) -> None:
        """All that was sent is in the captures, and received."""
        self.drain()

    def drain(self) -> None:
        """Take in all that is waiting."""
        for wire in self._wires.values():
            wire.drain()
        self._receiver.drain()

    async def settle(self) -> bool:
        """Nothing is ever under way but what has arrived: take that in."""
        self.drain()
        return True

    async def end_guests(self) -> None:
        """Guests are ended by those who started them."""

    async def wait_exited(self) -> ExitStatus:
        """Never returns: there is no process that could end."""
        await anyio.sleep_forever()
        raise AssertionError("unreachable")


@asynccontextmanager
async def open_user_network(
    plan: NetworkPlan,
    *,
    directory: Path,
    spawner: Spawner,  # noqa: ARG001 - emulators do the work
    start_ns: int,
) -> AsyncIterator[UserNetwork]:
    """Listen for what nodes send, and be ready to record them. HostError names a port that is in use.

    `start_ns` is the reading of CLOCK_MONOTONIC at run time 0. Also written to `directory`: the plan (plan.json).
    """
    _write_down(plan, directory)
    guests = [device for device in plan.devices if device.port is PortKind.USER]
    aggregator = plan.device(AGGREGATOR)
    port = int(aggregator.config["port"])

    def now_ns() -> int:
        return time.monotonic_ns() - start_ns

    async with AsyncExitStack() as stack:
        sock = stack.enter_context(udp_socket(LISTEN_IP, port, what_for="is where nodes send to (aggregator_port)"))
        _try_forwards(guests)
        receiver = Receiver(sock, load_factory(aggregator), (aggregator.mac, aggregator.ip, port), now_ns)
        stack.enter_context(receiver.listening())
        wires: dict[str, _Wire] = {}
        ports: dict[str, int] = {}
        stack.callback(_close_all, ports)
        for guest in guests:
            capture = stack.enter_context(CaptureWriter(directory / f"{guest.name}.pcapng", (guest.name, HOST)))
            pipe, ports[guest.name] = _pipe(stack)
            wires[guest.name] = _Wire(pipe, capture, now_ns)
            stack.enter_context(wires[guest.name].recorded())
        network = UserNetwork(plan, wires, ports, receiver, start_ns)
        stack.callback(network.drain)
        yield network


def _write_down(plan: NetworkPlan, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "plan.json").write_text(dump_plan(plan), encoding="utf-8")


def _try_forwards(guests: list[DevicePlan]) -> None:
    """The emulators open these ports themselves, a little later; here a taken one is told in the rig's words."""
    with ExitStack() as stack:
        for guest in guests:
            port = int(guest.config["forwarded_port"])
            what_for = f"leads to node {guest.name} (aggregator_port + 100 + its number)"
            stack.enter_context(udp_socket(LISTEN_IP, port, what_for=what_for))


def _pipe(stack: AsyncExitStack) -> tuple[int, int]:
    """Both ends; the reading one is closed with `stack` and does not block."""
    reading, writing = os.pipe()
    stack.callback(os.close, reading)
    os.set_blocking(reading, False)
    with suppress(OSError):  # what one user may have in pipes is limited: then as it is
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return reading, writing


def _close_all(ports: dict[str, int]) -> None:
    for fd in ports.values():
        os.close(fd)
