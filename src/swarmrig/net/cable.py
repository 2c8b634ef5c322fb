"""An interface without /dev/net/tun: one end of a virtual cable, whose other end is read through a packet socket.

For user namespaces on hosts where only root may open the TUN device. What the kernel would leave to a network card
(checksums, cutting large segments) it does itself then, or the frames would reach the network unfinished.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct

from swarmrig.net.interface import Tap, configure, not_made, remove_interface, switch_on
from swarmrig.net.tap import without_ipv6
from swarmrig.proc import netlink

FAR_END = "rig0"
_SIOCETHTOOL = 0x8946  # linux/sockios.h
_OFFLOADS = (0x17, 0x1F, 0x24, 0x2C, 0x15)
"""linux/ethtool.h: set transmit checksums, TSO, GSO, GRO, receive checksums."""
_ETHTOOL_VALUE = struct.Struct("=II")
_IFREQ_POINTER = struct.Struct("16sP")
_ETH_P_ALL = 3
_SOL_PACKET, _PACKET_IGNORE_OUTGOING = 263, 23


def make_cable(tap: Tap) -> int:
    """As `interface.make_interface`, and in the same way to be read and written. HostError when the kernel refuses."""
    try:
        netlink.make_pair(tap.name, FAR_END)
        _without_offloads(tap.name)
        without_ipv6(FAR_END)
        configure(tap)
        switch_on(FAR_END)
        netlink.wait_running({tap.name, FAR_END})
        switch_on(FAR_END)  # it is: but who asks waits until the kernel has done all that belongs to being up
        return _packet_socket(FAR_END)
    except OSError as error:
        remove_interface(tap.name)
        raise not_made(tap, error) from error


def _packet_socket(name: str) -> int:
    """A socket that gets every frame that arrives at the interface, and sends frames as they are."""
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    try:
        opened.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        opened.bind((name, _ETH_P_ALL))
        os.set_blocking(opened.fileno(), False)
    except OSError:
        opened.close()
        raise
    return opened.detach()


def _without_offloads(name: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for offload in _OFFLOADS:
            value = ctypes.create_string_buffer(_ETHTOOL_VALUE.pack(offload, 0))
            request = _IFREQ_POINTER.pack(name.encode(), ctypes.addressof(value)).ljust(40, b"\0")
            fcntl.ioctl(control, _SIOCETHTOOL, request)
