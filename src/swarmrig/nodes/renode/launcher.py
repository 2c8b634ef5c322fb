"""The process that becomes Renode: it leaves this machine's network first.

Renode's monitor listens on every address and asks nobody who he is, so it gets a network that nobody else is in. What
the rig needs from there is made before and sent through a socket: TCP sockets and a raw packet socket, which stay in
the namespace that they were made in, whoever uses them.

It runs without site packages, so that it starts in a few hundredths of a second.
"""

from __future__ import annotations

import os
import socket
import sys

from swarmrig.errors import HostError
from swarmrig.net.isolation import isolate
from swarmrig.net.tap import without_ipv6

LAUNCHER = (
    "import sys; sys.path.append(sys.argv[1]); from swarmrig.nodes.renode.launcher import main; main(sys.argv[2:])"
)


def main(arguments: list[str]) -> None:
    """`FD COUNT PROGRAM ARGUMENT...`: send COUNT TCP sockets and a raw one through FD, then be the program."""
    fd, count, *command = arguments
    try:
        isolate({})
        for interface in ("all", "default"):  # those that Renode makes
            without_ipv6(interface)
        with socket.socket(fileno=int(fd)) as rig:
            _send_sockets(rig, int(count))
        os.execvp(command[0], command)  # noqa: S606 - the command is the rig's
    except HostError as error:
        sys.exit(f"no network of its own for Renode: {error}")
    except OSError as error:
        sys.exit(f"{command[0]} cannot be executed: {error.strerror}")


def _send_sockets(rig: socket.socket, count: int) -> None:
    made = [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(count)]
    made.append(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
    socket.send_fds(rig, [b"sockets"], [one.fileno() for one in made])
    for one in made:
        one.close()
