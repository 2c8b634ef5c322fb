"""The network process: `python -m swarmrig.net.fabric_process CONTROL_FD PLAN DIRECTORY`.

Runs the network of PLAN (JSON, see plan_file) in real time, with its captures in DIRECTORY, and obeys the control
socket; ends when that is closed. It says nothing unasked; should it die, its traceback is on stderr.
"""

from __future__ import annotations

import gc
import resource
import select
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from swarmrig.net.control import MAX_DESCRIPTORS, ControlError, MessageBuffer, encode
from swarmrig.net.engine import Engine
from swarmrig.net.loop import FabricLoop
from swarmrig.net.pcapng import CaptureWriter
from swarmrig.net.plan_file import load_plan
from swarmrig.net.watchdog import watching

_READ_SIZE = 1 << 16
_IN, _OUT = select.EPOLLIN, select.EPOLLOUT
_GARBAGE_THRESHOLD = 50_000
"""Allocations between collections: the hot path makes many tuples and no cycles."""


class Answer:
    """The one answer to a request, now or later."""

    def __init__(self, controller: Controller, number: object) -> None:
        self._controller = controller
        self._number = number

    def give(self, result: object) -> None:
        self._controller.send({"id": self._number, "ok": result})

    def refuse(self, reason: str) -> None:
        self._controller.send({"id": self._number, "error": reason})

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """What is wrong with the request is the answer."""
        try:
            yield
        except (ValueError, LookupError, TypeError, OSError, StopIteration) as error:
            self.refuse(str(error) or repr(error))


class Controller:
    """The process's end of the control socket: requests in, one answer each, in any order."""

    def __init__(self, sock: socket.socket, loop: Any) -> None:
        """`loop`: a FabricLoop, or another driver with its interface."""
        sock.setblocking(False)
        self._socket = sock
        self._loop = loop
        self._buffer = MessageBuffer()
        self._descriptors: deque[int] = deque()
        self._output = bytearray()
        self._commands: dict[str, Callable[[dict[str, Any]], object]] = {
            "attach": self._attach,
            "disconnect": lambda message: loop.engine.nodes[message["device"]].disconnect(),
            "start": lambda message: loop.start(message["start_ns"]),
            "statistics": lambda _: loop.statistics(),
            "flush": lambda _: loop.flush(),
            "patience": lambda message: setattr(loop, "patience_s", message["limit_s"]),
        }
        """Done at once."""
        self._changes: dict[str, Callable[[int, dict[str, Any]], object]] = {
            "set_link": self._set_link,
            "set_filter": self._set_filter,
            "inject": self._inject,
        }
        """Done at an instant at which everything before it has happened and nothing after; that is the first argument.
        """
        self._waits: dict[str, Callable[[dict[str, Any], Answer], None]] = {
            "settle": lambda message, answer: loop.settle(loop.now_ns() + message["deadline_ns"], answer.give),
        }
        """Answered later."""
        loop.watch(sock.fileno(), _IN, self._react)

    def _react(self, events: int) -> None:
        if events & _OUT:
            self._write()
        if events & ~_OUT:
            self._read()

    def _read(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._socket, _READ_SIZE, MAX_DESCRIPTORS)
        except BlockingIOError:
            return
        except OSError:
            data, descriptors = b"", []
        self._descriptors.extend(descriptors)
        if not data:
            self._loop.stopped = True
            return
        for message in self._buffer.feed(data):
            self._obey(message)

    def _obey(self, message: dict[str, Any]) -> None:
        answer = Answer(self, message.get("id"))
        name = str(message.get("do"))
        with answer.refusing():
            if name in self._commands:
                answer.give(self._commands[name](message))
            elif name in self._changes:
                self._loop.when_standing(lambda now_ns: self._change(name, now_ns, message, answer))
            elif name in self._waits:
                self._waits[name](message, answer)
            else:
                answer.refuse(f"unknown command {name!r}")

    def _change(self, name: str, now_ns: int, message: dict[str, Any], answer: Answer) -> None:
        with answer.refusing():
            answer.give(self._changes[name](now_ns, message))

    def _attach(self, message: dict[str, Any]) -> None:
        for device in message["devices"]:
            fd, node = self._descriptors.popleft(), self._loop.engine.nodes.get(device)
            if node is None:
                self._loop.attach(device, fd)
            else:
                node.connect(max(self._loop.now_ns(), self._loop.engine.now_ns), fd)

    def _set_link(self, now_ns: int, message: dict[str, Any]) -> int:
        self._loop.engine.set_link(
            now_ns,
            message["link"],
            message["changes"],
            message.get("direction"),
            layer=message.get("layer"),
            frames=message.get("frames"),
        )
        return now_ns

    def _set_filter(self, now_ns: int, message: dict[str, Any]) -> int:
        self._loop.engine.set_filter(
            now_ns, message["link"], message["filter"], message.get("direction"), layer=message.get("layer", "")
        )
        return now_ns

    def _inject(self, now_ns: int, message: dict[str, Any]) -> int:
        frames = [(int(t_ns), bytes.fromhex(data)) for t_ns, data in message["frames"]]
        first: int = self._loop.engine.inject(now_ns, message["link"], message["end"], frames)
        return first

    def send(self, message: dict[str, Any]) -> None:
        try:
            data = encode(message)
        except (ControlError, TypeError, ValueError) as error:  # a report of a Python node may hold anything
            data = encode({"id": message["id"], "error": f"the answer cannot be sent: {error}"})
        self._output += data
        self._write()

    def _write(self) -> None:
        try:
            while self._output:
                del self._output[: self._socket.send(self._output)]
        except BlockingIOError:
            pass
        except OSError:
            self._loop.stopped = True
            return
        self._loop.rewatch(self._socket.fileno(), _IN | _OUT if self._output else _IN)


def serve(
    control: socket.socket,
    plan_path: Path,
    directory: Path,
    make_loop: Callable[[Engine, Mapping[str, CaptureWriter]], Any] = FabricLoop,
    controller: type[Controller] = Controller,
) -> None:
    """Run until the control socket is closed."""
    plan = load_plan(plan_path.read_text(encoding="utf-8"))
    captures = {
        link.name: CaptureWriter(directory / f"{link.name}.pcapng", (link.a, link.b))
        for link in plan.links
        if link.capture
    }
    engine = Engine(plan, captures={name: capture.record for name, capture in captures.items()})
    loop = make_loop(engine, captures)
    controller(control, loop)
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE_THRESHOLD, 20, 100)
    live(loop)


def live(loop: Any) -> None:
    """Run a driver until its control socket is closed; then its captures are complete."""
    try:
        with watching(lambda: loop.patience_s):
            loop.run()
    finally:
        loop.close()
        for capture in loop.captures.values():
            capture.flush()
            capture.close()


def main(argv: Sequence[str], run: Callable[[socket.socket, Path, Path], None] = serve) -> int:
    """Exit code 0 after an orderly end, 1 with a traceback otherwise."""
    control_fd, plan_path, directory = argv
    # Ctrl-C in a terminal reaches the whole process group; the rig decides when the network ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with socket.socket(fileno=int(control_fd)) as control:
        run(control, Path(plan_path), Path(directory))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
