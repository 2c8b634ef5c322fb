"""The network process in paced time: `python -m swarmrig.timebase.paced_process CONTROL_FD PLAN DIRECTORY`.

As swarmrig.net.fabric_process, with ports and lockstep channels side by side, and the commands of virtual time (see
VirtualController); `begun` is answered once time has begun.
"""

from __future__ import annotations

import socket
import sys
from functools import partial
from pathlib import Path

from swarmrig.net.fabric_process import main, serve
from swarmrig.timebase.controller import VirtualController
from swarmrig.timebase.paced_loop import PacedLoop


class PacedController(VirtualController):
    """The beginning is worth knowing."""

    def __init__(self, sock: socket.socket, loop: PacedLoop) -> None:
        super().__init__(sock, loop)
        self._waits["begun"] = lambda _, answer: loop.when_begun(answer.give)


def run(control: socket.socket, plan_path: Path, directory: Path) -> None:
    """Run until the control socket is closed."""
    serve(control, plan_path, directory, partial(PacedLoop, directory=directory), PacedController)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], run))
