"""A real Linux guest: login, commands, network, disk, panic."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from vm_guests import LOGIN, Linux, node

from swarmrig.errors import NodeError
from swarmrig.nodes.vm.backend import VmBackend
from swarmrig.nodes.vm.node import WithShell
from swarmrig.testing import open_workbench

pytestmark = pytest.mark.anyio
OUTPUTS = {
    "printf 'no end'": "no end",
    "printf 'a\\nb\\n\\n'": "a\nb\n\n",
    "printf 'tab\\there'": "tab\there",
    "echo 'quotes \" and $HOME \\ and !'": 'quotes " and $HOME \\ and !\n',
    "true": "",
    "printf '%s' 'gr\u00fc\u00df'": "gr\u00fc\u00df",
    "echo out; echo err >&2": "out\nerr\n",
    "i=0; while [ $i -lt 2000 ]; do echo $i; i=$((i+1)); done": "".join(f"{i}\n" for i in range(2000)),
    f"printf %s {'x' * 3000} | wc -c": "3000\n",
    "for each in a b; do\n  echo $each\ndone # several lines": "a\nb\n",
}


@pytest.mark.slow
async def test_a_guest_from_power_to_power(linux: Linux, tmp_path: Path) -> None:
    """One boot for all that a healthy guest does."""
    disk = tmp_path / "base.raw"
    disk.write_bytes(b"untouched".ljust(1 << 20, b"\0"))
    options = linux.options(disk=disk, login=LOGIN, boot_commands=["echo up >/tmp/state"])
    spec = node(options)
    async with open_workbench(tmp_path, VmBackend(), spec) as bench, bench.node() as guest:
        assert isinstance(guest, WithShell)
        await guest.wait_until_ready(timeout_s=120)
        for command, output in OUTPUTS.items():
            assert await guest.succeed(command) == output, command
        assert (await guest.execute("exit 7")).status == 7
        assert (await guest.execute("no-such-program")).status == 127
        assert "denied" in await guest.fail("echo permission denied; false")
        with pytest.raises(NodeError, match=r"'false' ended with exit 1"):
            await guest.succeed("false")
        with pytest.raises(NodeError, match=r"'true' should have failed"):
            await guest.fail("true")
        with pytest.raises(NodeError, match=r"was not through with 'sleep 999' within 1 s"):
            await guest.execute("sleep 999", timeout_s=1)
        assert await guest.succeed("cat /tmp/state") == "up\n"  # the shell is there for others
        assert await guest.wait_until_succeeds("echo again; test -e /tmp/state") == "again\n"

        device = bench.network.device("vm1")
        assert device.mac in await guest.succeed("cat /sys/class/net/eth0/address")
        assert await guest.succeed("cat /sys/firmware/qemu_fw_cfg/by_name/opt/org.swarmrig/address/raw") == device.ip
        assert f"ip={device.ip}::" in await guest.succeed("cat /proc/cmdline")
        before = bench.trace().frame_count
        await guest.succeed(f"ping -c 1 -W 1 {bench.network.device('aggregator').ip} || true")
        assert bench.trace().frame_count > before

        assert (await guest.succeed("dd if=/dev/vda bs=9 count=1 2>/dev/null")) == "untouched"
        await guest.succeed("printf mine-now! | dd of=/dev/vda conv=notrunc,fsync")
        await guest.wait_for_console_text("records out")
        await guest.power_off()
        await guest.power_on()
        assert (await guest.succeed("dd if=/dev/vda bs=9 count=1 2>/dev/null", timeout_s=120)) == "mine-now!"
        await guest.write_console(b"poweroff -f\n")
        with anyio.fail_after(60):
            assert str(await guest.wait_exited()) == "exit 0"
    assert disk.read_bytes().startswith(b"untouched")
    assert not bench.backend.read_back(bench.plans["vm1"], bench.contexts["vm1"])
    assert not list(tmp_path.rglob("*.qcow2"))
