"""A network namespace of its own for the calling process: as root outright, as a user inside a user namespace.

In the user namespace the caller is root, and its files are its user's. Nothing of it needs the rig to be root, and all
of it ends with the processes that are in it.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Mapping
from pathlib import Path

from swarmrig.errors import HostError
from swarmrig.net.cable import make_cable
from swarmrig.net.interface import Tap, make_interface, switch_on
from swarmrig.net.tap import TUN_DEVICE

_CLONE_NEWNS, _CLONE_NEWUSER, _CLONE_NEWNET = 0x00020000, 0x10000000, 0x40000000  # linux/sched.h
_MS_BIND, _MS_REC, _MS_PRIVATE = 4096, 16384, 1 << 18  # linux/mount.h
_CAP_NET_ADMIN, _CAP_SYS_ADMIN = 12, 21  # linux/capability.h
_HINT = (
    "permit user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, "
    "kernel.apparmor_restrict_unprivileged_userns), run as root, or use `network: host`"
)


def is_privileged() -> bool:
    """May this process make network namespaces as it is?"""
    effective = _effective_capabilities()
    return bool(effective >> _CAP_SYS_ADMIN & 1 and effective >> _CAP_NET_ADMIN & 1)


def has_tun() -> bool:
    """May this process open the TUN device?"""
    try:
        os.close(os.open(TUN_DEVICE, os.O_RDWR | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def isolate(files: Mapping[str, str]) -> None:
    """Leave the network, and the mounts, of this machine: for a process of one thread. `lo` is up.

    `files`: what the process finds at these paths instead of what is there, where anything is. HostError when the
    kernel does not permit it.
    """
    flags = _CLONE_NEWNET | _CLONE_NEWNS
    uid, gid = os.geteuid(), os.getegid()
    own_user = not is_privileged()
    _call("leave this machine's network", _libc().unshare(flags | (_CLONE_NEWUSER if own_user else 0)))
    if own_user:
        _become_root_inside(uid, gid)
    switch_on("lo")
    _call("have mounts of its own", _libc().mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None))
    for path, content in files.items():
        if Path(path).exists():
            mounted = _libc().mount(os.fsencode(content), os.fsencode(path), None, _MS_BIND, None)
            _call(f"have a {path} of its own", mounted)


def join_network(tap: Tap) -> int:
    """The interface of a device, in the way that is possible here; returns what is to be read and written."""
    return make_interface(tap) if has_tun() else make_cable(tap)


def _become_root_inside(uid: int, gid: int) -> None:
    try:
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1", encoding="ascii")
    except OSError as error:
        raise HostError(f"cannot be root of a user namespace: {error.strerror}", hint=_HINT) from error


def _call(what: str, result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        hint = _HINT if number in (errno.EPERM, errno.ENOSPC, errno.EINVAL, errno.EACCES) else None
        raise HostError(f"cannot {what}: {os.strerror(number)}", hint=hint)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _effective_capabilities() -> int:
    """See proc(5)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next((int(line.split()[1], 16) for line in lines if line.startswith("CapEff:")), 0)
