"""The network process in virtual time: `python -m swarmrig.timebase.process CONTROL_FD PLAN DIRECTORY`.

As swarmrig.net.fabric_process, with the guests' lockstep channels in place of ports, and further commands: those of
time (`go`, `reach`, `reach_seen`, `release`, `stand`, `leave`), those of guests (`command`, `hold`, `let_go`,
`detach`, `whereabouts`, `end`), and those of forks (`quiet`, `fork`, and in a fork `restore` and `restored`). What they
mean stands with the methods of VirtualFabric that send them, and in timebase.forking.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import traceback
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from swarmrig.net.engine import Engine
from swarmrig.net.fabric_process import Controller, live, main, serve
from swarmrig.net.impairment import changed
from swarmrig.timebase.commands import command_from
from swarmrig.timebase.distance import least_latency_ns
from swarmrig.timebase.lookout import condition_from
from swarmrig.timebase.loop import VirtualLoop
from swarmrig.timebase.stepping import Stepping


class VirtualController(Controller):
    """The commands of virtual time."""

    def __init__(self, sock: socket.socket, loop: VirtualLoop) -> None:
        super().__init__(sock, loop)
        self._commands |= {
            "go": lambda message: loop.go(message["end_ns"], message["waiters"], Stepping(**message["stepping"])),
            "release": lambda message: loop.release(message["token"]),
            "leave": lambda message: loop.leave(message["token"]),
            "let_go": lambda message: loop.let_go(message["device"]),
            "detach": lambda message: loop.detach(message["device"]),
            "whereabouts": lambda message: loop.whereabouts(message["device"]),
            "end": lambda _: loop.end_guests(),
            "quiet": lambda _: loop.quiet_ns(),
            "fork": self._fork,
            "restore": self._restore,
        }
        self._waits |= {
            "reach": lambda message, answer: loop.reach(message["token"], message["t_ns"], answer.give),
            "reach_seen": lambda message, answer: loop.reach_seen(
                message["token"], condition_from(message), message["after_ns"], answer.give
            ),
            "stand": lambda message, answer: loop.stand(message["token"], answer.give),
            "command": lambda message, answer: loop.ask(message["device"], command_from(message), answer),
            "restored": lambda _, answer: loop.restored(answer.give),
            "hold": lambda message, answer: loop.hold(message["device"], answer),
        }

    def _fork(self, message: dict[str, Any]) -> int:
        """Have a copy of this process obey another control socket; returns its pid."""
        control_fd = self._descriptors.popleft()
        self._loop.prepare_parting()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # how copies end is for those who made them
        pid = os.fork()  # noqa: TID251 - no other program: this one, twice
        if pid == 0:
            self._socket.close()
            live_on(self._loop, control_fd, Path(message["directory"]))
        os.close(control_fd)
        return pid

    def _restore(self, message: dict[str, Any]) -> None:
        stores = [(delay, address, bytes.fromhex(data)) for delay, address, data in message["stores"]]
        self._loop.restore(message["devices"][0], self._descriptors.popleft(), stores, message["within_ns"])

    def _set_link(self, now_ns: int, message: dict[str, Any]) -> int:
        _refuse_instant(self._loop.engine, message)
        return super()._set_link(now_ns, message)


def _refuse_instant(engine: Engine, message: dict[str, Any]) -> None:
    """Where a frame takes no time, nobody could run ahead of anybody."""
    wire = engine.wires.get(message["link"])
    if wire is None or wire.plan.access:
        return
    for direction in (wire.forward, wire.backward):
        if least_latency_ns(changed(direction.impairment, message["changes"])) == 0:
            raise ValueError(f"in virtual time the link {message['link']} needs a latency: use 1us at least")


def live_on(loop: VirtualLoop, control_fd: int, directory: Path) -> NoReturn:
    """The life of a copy: as of any network process, with stderr and captures in `directory`."""
    code = 1
    try:
        with (directory / "fabric.stderr.log").open("wb") as stderr:
            os.dup2(stderr.fileno(), sys.stderr.fileno())
        with socket.socket(fileno=control_fd) as control:
            loop.part(directory)
            VirtualController(control, loop)
            live(loop)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def run(control: socket.socket, plan_path: Path, directory: Path) -> None:
    """Run until the control socket is closed."""
    serve(control, plan_path, directory, partial(VirtualLoop, directory=directory), VirtualController)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], run))
