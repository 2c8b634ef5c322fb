"""The process that becomes a node's place: leaves this machine's network, joins the run's, and keeps the program.

Its control socket speaks as `proc.keeper` says, after

    ("enter", {"isolated", "interface", "files", "forks", "term_s"})
    -> ("entered",) with the interface's descriptor, if there is one, or ("failed", message, hint)

It runs without site packages, so that it starts in a few hundredths of a second.
"""

from __future__ import annotations

import os
import signal
import socket
from contextlib import suppress
from ipaddress import IPv4Interface
from typing import Any

from swarmrig.errors import HostError
from swarmrig.net.interface import Tap, remove_interface
from swarmrig.net.isolation import isolate, join_network
from swarmrig.proc.channel import PeerGoneError, receive, send
from swarmrig.proc.keeper import Keeper, end_like

LAUNCHER = "import sys; sys.path.append(sys.argv[1]); from swarmrig.nodes.process.inside import main; main(sys.argv[2])"


def main(control_fd: str) -> None:
    """Ends as the program did."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the end is told by the socket
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=int(control_fd))
    control.set_inheritable(False)
    try:
        (_, place), _ = receive(control)
        if not _enter(control, place):
            return
    except PeerGoneError:
        return
    status = Keeper(control, forks=place["forks"], term_s=place["term_s"]).keep()
    if place["interface"]:
        with suppress(OSError):  # else it goes with the run
            remove_interface(place["interface"]["name"])
    end_like(status)


def _enter(control: socket.socket, place: dict[str, Any]) -> bool:
    descriptors = []
    try:
        if place["isolated"]:
            isolate(place["files"])
        if place["interface"]:
            descriptors.append(join_network(_tap(place["interface"])))
    except HostError as error:
        send(control, ("failed", error.message, error.hint))
        return False
    send(control, ("entered",), descriptors)
    for fd in descriptors:
        os.close(fd)
    return True


def _tap(interface: dict[str, str]) -> Tap:
    return Tap(interface["mac"], IPv4Interface(interface["address"]), interface["gateway"], interface["name"])
