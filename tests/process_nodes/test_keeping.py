"""The keeper of a program, and the ways into a network of one's own."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from swarmrig.errors import NodeError
from swarmrig.nodes.process.keeping import Keeping, Room, keeping, order_of
from swarmrig.proc import RunScope, open_spawner
from swarmrig.proc.failures import SpawnError

pytestmark = pytest.mark.anyio
ENVIRONMENT = {"PATH": "/usr/bin:/bin"}


@pytest.fixture
async def keeper(tmp_path: Path) -> AsyncIterator[Keeping]:
    """One that has not left this machine's network, with its output in a file."""
    async with open_spawner(RunScope(tmp_path, state_root=tmp_path / "state")) as spawner:
        with (tmp_path / "said").open("wb") as said:
            room = Room(isolated=False, term_s=0.2)
            async with keeping(spawner, "x", room, stdin=None, stdout=said.fileno(), stderr=None) as found:
                yield found


def shell(script: str, limits: dict[int, int] | None = None) -> dict[str, object]:
    return dict(order_of("/bin/sh", ["sh", "-c", script], ENVIRONMENT, Path("/"), limits or {}))


async def test_it_ends_as_its_program_ended(keeper: Keeping, tmp_path: Path) -> None:
    await keeper.start(shell("echo hello; exit 3"))
    with anyio.fail_after(60):
        assert (await keeper.wait()).code == 3
    assert (tmp_path / "said").read_text() == "hello\n"


@pytest.mark.parametrize(("name", "number"), [("TERM", 15), ("KILL", 9), ("SEGV", 11), ("USR1", 10)])
async def test_it_is_ended_by_the_signal_that_ended_its_program(keeper: Keeping, name: str, number: int) -> None:
    await keeper.start(shell(f"kill -{name} $$"))
    with anyio.fail_after(60):
        assert (await keeper.wait()).signal == number


async def test_it_runs_others_beside_it(keeper: Keeping) -> None:
    await keeper.start(shell("exec sleep 600"))
    with anyio.fail_after(60):
        assert await keeper.run(shell("exit 4")) == 4
        assert await keeper.run(shell("kill -9 $$")) == -9
        assert await keeper.run(order_of("/no/such", ["x"], ENVIRONMENT, Path("/"), {})) is None
        keeper.kill()
        assert (await keeper.wait()).signal == 9
        assert await keeper.run(shell("exit 0")) is None


@pytest.mark.parametrize(
    ("order", "number"),
    [
        (order_of("/no/such", ["x"], ENVIRONMENT, Path("/"), {}), errno.ENOENT),
        (order_of("/proc/version", ["x"], ENVIRONMENT, Path("/"), {}), errno.EACCES),
        (order_of("/bin/sh", ["x"], ENVIRONMENT, Path("/no/such"), {}), errno.ENOENT),
        (order_of("/bin/sh", ["x" * (1 << 18)], ENVIRONMENT, Path("/"), {}), errno.E2BIG),
    ],
    ids=["no program", "not executable", "no directory", "too long"],
)
async def test_what_cannot_be_started_is_told(keeper: Keeping, order: dict[str, object], number: int) -> None:
    with pytest.raises(SpawnError, match="cannot start x: ") as caught:
        await keeper.start(order)
    assert caught.value.errno == number


async def test_limits_that_cannot_be_are_told(keeper: Keeping) -> None:
    with pytest.raises(NodeError, match="node x: limits: Invalid argument"):
        await keeper.start(shell("true", {4711: 1}))


async def test_a_keeper_that_is_gone_is_told(keeper: Keeping) -> None:
    os.kill(keeper.process.pid, 9)
    with pytest.raises(NodeError, match=r"node x: has ended \(SIGKILL\)"):
        await keeper.pause()


CABLE = """
import os, select, socket
from ipaddress import IPv4Interface
from swarmrig.errors import HostError
from swarmrig.net.cable import make_cable
from swarmrig.net.interface import Tap, remove_interface
tap = Tap("02:00:00:00:00:07", IPv4Interface("10.9.0.7/16"), "10.9.0.1")
fd = make_cable(tap)
try:
    make_cable(tap)
except HostError as error:
    print(error.message)
fd = make_cable(tap)
node = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
node.bind(("eth0", 3))
frame = b"\\xff" * 6 + b"\\x02" * 6 + b"\\x88\\xb5" + b"to the network" + bytes(40)
node.send(frame)
select.select([fd], [], [], 30)
print(os.read(fd, 2000) == frame)
os.write(fd, frame[::-1])
select.select([node], [], [], 30)
print(node.recv(2000) == frame[::-1])
print(open("/proc/net/route").read().count("0100090A"))
remove_interface("eth0")
try:
    print(os.read(fd, 2000))
except OSError as error:
    print(error.strerror)
"""


def test_a_cable_carries_frames_both_ways() -> None:
    """In a namespace of its own; what cannot be made leaves nothing half made."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-Urn", "true"], capture_output=True).returncode:
        pytest.skip("this kernel permits no user namespaces")
    done = subprocess.run(["unshare", "-Urn", sys.executable, "-c", CABLE], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines() == [
        "cannot make the interface eth0 (10.9.0.7/16): File exists", "True", "True", "1", "Network is down",
    ], done.stderr  # fmt: skip
