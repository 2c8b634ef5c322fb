"""The network process in virtual time: `python -m swarmrig.timebase.process CONTROL_FD PLAN DIRECTORY`.

As swarmrig.net.fabric_process, with the guests' lockstep channels in place of ports, and further commands: those of
time (`go`, `reach`, `reach_seen`, `release`, `stand`, `leave`) and those of guests (`command`, `hold`, `let_go`,
`detach`, `whereabouts`, `end`). What they mean stands with the methods of VirtualFabric that send them.
"""

from __future__ import annotations

import socket
import sys
from functools import partial
from pathlib import Path
from typing import Any

from swarmrig.net.engine import Engine
from swarmrig.net.fabric_process import Controller, main, serve
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
        }
        self._waits |= {
            "reach": lambda message, answer: loop.reach(message["token"], message["t_ns"], answer.give),
            "reach_seen": lambda message, answer: loop.reach_seen(
                message["token"], condition_from(message), message["after_ns"], answer.give
            ),
            "stand": lambda message, answer: loop.stand(message["token"], answer.give),
            "command": lambda message, answer: loop.ask(message["device"], command_from(message), answer),
            "hold": lambda message, answer: loop.hold(message["device"], answer),
        }

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


def run(control: socket.socket, plan_path: Path, directory: Path) -> None:
    """Run until the control socket is closed."""
    serve(control, plan_path, directory, partial(VirtualLoop, directory=directory), VirtualController)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], run))
