"""The commands of virtual time, at the network process's end of the control socket.

Beside those of every network: those of time (`go`, `reach`, `reach_seen`, `park`, `release`, `stand`, `leave`) and of
guests (`command`, `hold`, `let_go`, `detach`, `whereabouts`, `end`). What they mean stands with the methods of
VirtualFabric that send them.
"""

from __future__ import annotations

import socket
from typing import Any

from swarmrig.net.engine import Engine
from swarmrig.net.fabric_process import Answer, Controller
from swarmrig.net.impairment import changed
from swarmrig.timebase.commands import command_from
from swarmrig.timebase.distance import least_latency_ns
from swarmrig.timebase.guest import Question
from swarmrig.timebase.lookout import condition_from
from swarmrig.timebase.loop import VirtualLoop
from swarmrig.timebase.stepping import Stepping


class VirtualController(Controller):
    """For loops whose time runs when it is told to."""

    def __init__(self, sock: socket.socket, loop: VirtualLoop) -> None:
        super().__init__(sock, loop)
        self._commands |= {
            "go": lambda message: loop.go(message["end_ns"], message["waiters"], Stepping(**message["stepping"])),
            "park": lambda message: loop.holders.park(message["token"]),
            "release": lambda message: loop.holders.release(message["token"]),
            "leave": lambda message: loop.holders.leave(message["token"]),
            "let_go": lambda message: loop.let_go(message["device"]),
            "detach": lambda message: loop.detach(message["device"]),
            "whereabouts": lambda message: loop.whereabouts(message["device"]),
            "end": lambda _: loop.end_guests(),
        }
        self._waits |= {
            "reach": lambda message, answer: loop.holders.reach(message["token"], message["t_ns"], answer.give),
            "reach_seen": lambda message, answer: loop.holders.reach_seen(
                message["token"], condition_from(message), message["after_ns"], message["by_ns"], answer.give
            ),
            "stand": lambda message, answer: loop.holders.stand(message["token"], answer.give),
            "command": self._command,
            "hold": lambda message, answer: loop.questions.hold(loop.guest(message["device"]), answer),
        }

    def _command(self, message: dict[str, Any], answer: Answer) -> None:
        """A guest performs it where time stands."""
        guest, question = self._loop.guest(message["device"]), Question(command_from(message), answer)

        def ask(_: int) -> None:
            with answer.refusing():
                self._loop.questions.ask(guest, question)

        self._loop.when_standing(ask)

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
