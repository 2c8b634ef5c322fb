"""The network process in virtual time: `python -m swarmrig.timebase.process CONTROL_FD PLAN DIRECTORY`.

As swarmrig.net.fabric_process, with the guests' lockstep channels in place of ports, the commands of virtual time (see
VirtualController), and those of forks (`quiet`, `fork`, and in a fork `restore` and `restored`; see timebase.forking).
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

from swarmrig.net.fabric_process import live, main, serve
from swarmrig.timebase.controller import VirtualController
from swarmrig.timebase.forkable import ForkableLoop


class ForkableController(VirtualController):
    """The commands of forks, too."""

    def __init__(self, sock: socket.socket, loop: ForkableLoop) -> None:
        super().__init__(sock, loop)
        self._commands |= {"quiet": lambda _: loop.quiet_ns(), "fork": self._fork, "restore": self._restore}
        self._waits["restored"] = lambda _, answer: loop.restored(answer.give)

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


def live_on(loop: ForkableLoop, control_fd: int, directory: Path) -> NoReturn:
    """The life of a copy: as of any network process, with stderr and captures in `directory`."""
    code = 1
    try:
        with (directory / "fabric.stderr.log").open("wb") as stderr:
            os.dup2(stderr.fileno(), sys.stderr.fileno())
        with socket.socket(fileno=control_fd) as control:
            loop.part(directory)
            ForkableController(control, loop)
            live(loop)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def run(control: socket.socket, plan_path: Path, directory: Path) -> None:
    """Run until the control socket is closed."""
    serve(control, plan_path, directory, partial(ForkableLoop, directory=directory), ForkableController)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], run))
