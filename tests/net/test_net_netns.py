"""Interfaces and sockets in other network namespaces, made by threads that go there and end."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from swarmrig.errors import HostError
from swarmrig.net.interface import Tap
from swarmrig.net.netns import open_socket, open_tap

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="entering a network namespace takes root"),
]
TAP = Tap("02:00:00:00:00:09", IPv4Interface("10.7.0.2/16"), "10.7.0.1")


@pytest.fixture
def elsewhere() -> Iterator[tuple[int, int]]:
    """(pid, namespace descriptor) of a process in a network namespace of its own."""
    with subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        process.stdin.write(b"x")
        process.stdin.flush()
        assert process.stdout.read(1) == b"x"  # it is there
        namespace = os.open(f"/proc/{process.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield process.pid, namespace
        finally:
            os.close(namespace)
            process.kill()


def shown(pid: int, *command: str) -> str:
    return subprocess.run(["nsenter", "-t", str(pid), "-n", *command], capture_output=True, text=True).stdout


def test_the_interface_is_there_with_its_place_in_the_network(elsewhere: tuple[int, int]) -> None:
    pid, namespace = elsewhere
    fd = open_tap(namespace, TAP)
    try:
        link = shown(pid, "ip", "address", "show", "eth0")
        assert "link/ether 02:00:00:00:00:09" in link
        assert "inet 10.7.0.2/16" in link
        assert "UP" in link
        assert "inet6" not in link  # or the kernel would talk on the network under test
        assert "inet 127.0.0.1" in shown(pid, "ip", "address", "show", "up", "lo")
        assert "default via 10.7.0.1 dev eth0" in shown(pid, "ip", "route")
    finally:
        os.close(fd)
    assert "eth0" not in shown(pid, "ip", "link")


def test_nothing_is_made_where_the_rig_is(elsewhere: tuple[int, int]) -> None:
    before, own = set(os.listdir("/sys/class/net")), os.readlink("/proc/thread-self/ns/net")
    fd = open_tap(elsewhere[1], TAP)
    try:
        assert set(os.listdir("/sys/class/net")) == before
        assert os.readlink("/proc/thread-self/ns/net") == own
    finally:
        os.close(fd)


def test_frames_come_and_go(elsewhere: tuple[int, int]) -> None:
    """The kernel behind the interface asks for an address, and is answered."""
    fd = open_tap(elsewhere[1], Tap(TAP.mac, TAP.address))
    try:
        os.set_blocking(fd, True)
        with open_socket(elsewhere[1], socket.SOCK_DGRAM) as sender:
            sender.sendto(b"hello", ("10.7.0.9", 99))
            asked = os.read(fd, 2048)
            assert asked[:12] == b"\xff" * 6 + bytes.fromhex("020000000009")
            assert asked[12:14] == b"\x08\x06"
            target, peer = bytes.fromhex("020000000007"), asked[22:32]
            answer = peer[:6] + target + b"\x08\x06" + asked[14:20] + b"\x00\x02" + target + asked[38:42] + peer
            os.write(fd, answer)
            sent = os.read(fd, 2048)
        assert sent[:6] == target
        assert sent.endswith(b"hello")
    finally:
        os.close(fd)


def test_a_name_that_is_taken_is_an_error_that_leaves_nothing_open(elsewhere: tuple[int, int]) -> None:
    fd = open_tap(elsewhere[1], TAP)
    try:
        with pytest.raises(HostError, match="eth0"):
            open_tap(elsewhere[1], TAP)
    finally:
        os.close(fd)


@pytest.mark.parametrize("gateway", ["192.0.2.1"], ids=["not on the subnet"])
def test_a_gateway_that_cannot_be_reached_is_an_error(elsewhere: tuple[int, int], gateway: str) -> None:
    with pytest.raises(HostError, match=r"eth0 \(10\.7\.0\.2/16\)"):
        open_tap(elsewhere[1], Tap(TAP.mac, TAP.address, gateway))
    assert "eth0" not in shown(elsewhere[0], "ip", "link")


def test_what_is_no_namespace_cannot_be_entered(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file, pytest.raises(HostError, match="network namespace"):
        open_socket(file.fileno())
