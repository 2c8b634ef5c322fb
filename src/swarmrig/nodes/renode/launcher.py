"""`python -I -S launcher.py FD COUNT PROGRAM ARGUMENT...`: run a program in a network namespace of its own.

Renode's monitor listens on every address and asks nobody who he is, so it gets a network that nobody else is in. What
the rig needs from there is made first and sent through FD: COUNT TCP sockets and a raw packet socket, which stay in the
namespace that they were made in, whoever uses them. Standard library only: it starts in milliseconds, and is gone then.
"""

# ruff: noqa: T201 - what it prints is its own stderr, which the rig shows

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import sys

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 0x0001


def main(arguments: list[str]) -> None:
    fd, count, *command = arguments
    enter_own_network()
    switch_on_loopback()
    keep_quiet()
    with socket.socket(fileno=int(fd)) as rig:
        made = [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(int(count))]
        made.append(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
        socket.send_fds(rig, [b"sockets"], [one.fileno() for one in made])
    os.execvp(command[0], command)  # noqa: S606 - the command is the rig's


def enter_own_network() -> None:
    """As root directly; as anybody else inside of a user namespace, where one is root."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) == 0:
        return
    user, group = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    for name, line in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(line)


def switch_on_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", IFF_UP))


def keep_quiet() -> None:
    """Or else the kernel would speak IPv6 on the interfaces that Renode makes."""
    for name in ("all", "default"):
        try:
            with open(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6", "w", encoding="ascii") as file:
                file.write("1")
        except OSError:  # a kernel without it, or a /proc that cannot be written to
            pass


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as error:
        print(f"no network namespace for Renode: {error.strerror or error}", file=sys.stderr)
        sys.exit(1)
