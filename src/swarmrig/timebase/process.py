"""The network process in virtual time: `python -m swarmrig.timebase.process CONTROL_FD PLAN DIRECTORY`.

As swarmrig.net.fabric_process, with the guests' lockstep channels in place of ports and four commands more: `go`
(let time run), `reach` (stop at a time), `release` (stop no more) and `end` (end the guests).
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from swarmrig.net.fabric_process import Controller, main, serve
from swarmrig.timebase.loop import VirtualLoop


class VirtualController(Controller):
    """The commands of virtual time."""

    def _further_commands(self) -> dict[str, Callable[[dict[str, Any]], object]]:
        loop: VirtualLoop = self._loop
        return {
            "go": lambda message: loop.go(message["end_ns"], message["waiters"]),
            "release": lambda message: loop.release(message["token"]),
            "end": lambda _: loop.end_guests(),
        }


def run(control: socket.socket, plan_path: Path, directory: Path) -> None:
    """Run until the control socket is closed."""
    serve(control, plan_path, directory, partial(VirtualLoop, directory=directory), VirtualController)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], run))
