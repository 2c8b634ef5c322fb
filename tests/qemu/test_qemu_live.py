"""Real guests: what the contract does not ask of every backend."""

from __future__ import annotations

import struct
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import anyio
import pytest

from swarmrig.api.nodes import ExitStatus
from swarmrig.errors import NodeError
from swarmrig.flash.image import read_region
from swarmrig.model.scenario import FirmwareSpec, NodeSpec, Role
from swarmrig.nodes.qemu.backend import QemuBackend
from swarmrig.nodes.qemu.firmware import firmware_path
from swarmrig.nodes.qemu.machines import MACHINES, Machine
from swarmrig.nodes.qemu.setup import resolve
from swarmrig.testing import open_workbench

pytestmark = pytest.mark.anyio

SENSOR = NodeSpec(id="s1", number=1, role=Role.SENSOR, scenario=2, tdm_slot=0)
BOOTED = r"Calling app_main\(\)"


class HaltingBackend(QemuBackend):
    """refnode run as the ESP32 machines are: a guest's reboot halts the machine."""

    machines: ClassVar[dict[str, Machine]] = {
        **MACHINES,
        "refnode-rv32": replace(MACHINES["refnode-rv32"], halts_on_reboot=True),
    }


async def test_the_run_directory_of_a_node(tmp_path: Path) -> None:
    spec = replace(SENSOR, nvs={"fall_thresh": 3000})
    backend = QemuBackend()
    async with open_workbench(tmp_path, backend, spec) as bench:
        async with bench.node():
            await bench.trace().wait_for_console("refnode: node_id=1 role=sensor scenario=2")
        plan, context = bench.plans["s1"], bench.contexts["s1"]
        assert backend.read_back(plan, context) == []
        flash = context.directory / "flash.bin"
        assert flash.stat().st_size == 32 << 20 and flash.stat().st_blocks * 512 < 1 << 20
        with flash.open("r+b") as file:
            file.seek(0x9000 + 64)
            file.write(b"\0" * 64)
        assert backend.read_back(plan, context) != []
    words = (context.directory / "argv").read_text()
    assert words.startswith("/") and context.device.mac in words and "{" not in words
    assert {path.name for path in context.directory.iterdir()} == {"argv", "console.log", "flash.bin", "stderr.log"}


async def test_the_node_is_told_who_it_is_and_uses_its_port(tmp_path: Path) -> None:
    async with open_workbench(tmp_path, QemuBackend(), SENSOR) as bench, bench.node():
        device = bench.network.device("s1")
        await bench.trace().wait_for_console(f"net: ip={device.ip}/16 mac={device.mac}")
        trace = bench.trace()
        await trace.wait_for(lambda: trace.frames, "frame")
        assert trace.frames[0][6:12] == bytes.fromhex(device.mac.replace(":", ""))


@pytest.mark.parametrize("name", ["with,comma", "brace{mac}", "space and 'quote'", "ünïcode"])
async def test_odd_directories(tmp_path: Path, name: str) -> None:
    directory = tmp_path / name
    directory.mkdir()
    image = directory / "fw,{x}.elf"
    image.write_bytes(firmware_path("refnode-rv32").read_bytes())
    spec = replace(SENSOR, firmware=FirmwareSpec(image=image))
    async with open_workbench(directory, QemuBackend(), spec) as bench, bench.node():
        await bench.trace().wait_for_console(BOOTED)


async def test_a_machine_that_halts_on_reboot_is_reset_and_revived(tmp_path: Path) -> None:
    async with open_workbench(tmp_path, HaltingBackend(), SENSOR) as bench, bench.node() as node:
        trace = bench.trace()
        await trace.wait_for_console(BOOTED)
        await node.reset()  # type: ignore[attr-defined]
        await trace.wait_for_console(BOOTED, count=2)
        await node.write_console(b"reboot\r")  # type: ignore[attr-defined]
        await trace.wait_for_console("Rebooting|restart|reboot")
        await _until_halted(node)
        assert trace.count(BOOTED) == 2
        await node.reset()  # type: ignore[attr-defined]
        await trace.wait_for_console(BOOTED, count=3)


async def test_a_guest_that_reboots_by_itself_boots_again(tmp_path: Path) -> None:
    async with open_workbench(tmp_path, QemuBackend(), SENSOR) as bench, bench.node() as node:
        await bench.trace().wait_for_console(BOOTED)
        await node.write_console(b"reboot\r")  # type: ignore[attr-defined]
        await bench.trace().wait_for_console(BOOTED, count=2)


async def test_a_reset_while_paused_stays_paused(tmp_path: Path) -> None:
    async with open_workbench(tmp_path, QemuBackend(), SENSOR) as bench, bench.node() as node:
        trace = bench.trace()
        await trace.wait_for_console(BOOTED)
        await node.pause()  # type: ignore[attr-defined]
        await node.reset()  # type: ignore[attr-defined]
        with anyio.move_on_after(0.3):
            await trace.wait_for_console(BOOTED, count=2)
        assert trace.count(BOOTED) == 1
        await node.resume()  # type: ignore[attr-defined]
        await trace.wait_for_console(BOOTED, count=2)


async def test_a_killed_emulator_is_told_as_such(tmp_path: Path) -> None:
    async with open_workbench(tmp_path, QemuBackend(), SENSOR) as bench, bench.node() as node:
        await bench.trace().wait_for_console(BOOTED)
        begin = time.monotonic()
        await node.kill()  # type: ignore[attr-defined]
        assert await node.wait_exited() == ExitStatus(None, 9)
        assert time.monotonic() - begin < 0.5
        with pytest.raises(NodeError):
            await node.read_memory(0x8000_0000, 4)  # type: ignore[attr-defined]


async def test_a_paused_node_stops_as_fast_as_any(tmp_path: Path) -> None:
    async with open_workbench(tmp_path, QemuBackend(), SENSOR) as bench:
        async with bench.node() as node:
            await node.pause()  # type: ignore[attr-defined]
            begin = time.monotonic()
        assert time.monotonic() - begin < 1.0


async def test_memory_is_the_guests_own(tmp_path: Path) -> None:
    """The image is in memory where its headers say, and what is written there changes the guest."""
    async with open_workbench(tmp_path, QemuBackend(), SENSOR) as bench, bench.node() as node:
        await bench.trace().wait_for_console(BOOTED)
        image = firmware_path("refnode-rv32").read_bytes()
        (phoff,) = struct.unpack_from("<I", image, 28)
        kind, offset, _, address, size = struct.unpack_from("<5I", image, phoff)
        assert kind == 1
        memory: Any = node
        assert await memory.read_memory(address, size) == image[offset : offset + size]
        began = time.monotonic()
        for _ in range(20):
            await memory.read_memory(address, 4)
        assert (time.monotonic() - began) / 20 < 0.05
        await memory.write_memory(address, bytes(size))  # its code is gone now: it cannot say anything any more
        await node.write_console(b"help\r")  # type: ignore[attr-defined]
        with anyio.move_on_after(0.3):
            await bench.trace().wait_for_console("stats")
        assert bench.trace().count("stats") == 0


@pytest.mark.parametrize(
    "options", [{"load": "bios"}, {"load": "kernel", "bios": "none"}, {"load": "loader", "bios": "none"}]
)
async def test_generic_machines_boot_images_in_three_ways(tmp_path: Path, options: dict[str, object]) -> None:
    spec = NodeSpec(
        id="g1",
        number=1,
        machine="generic",
        scenario=3,
        firmware=FirmwareSpec(image=firmware_path("refnode-rv32")),
        options={
            "arch": "riscv32",
            "qemu_machine": "virt",
            "memory": "16MiB",
            "nic": "virtio-net-device",
            "args": ["-global", "virtio-mmio.force-legacy=off", "-d", "guest_errors"],
            **options,
        },
    )
    backend = QemuBackend()
    async with open_workbench(tmp_path, backend, spec) as bench, bench.node():
        await bench.trace().wait_for_console(BOOTED)
        plan = bench.plans["g1"]
        assert plan.warnings == ("scenario cannot be told to a generic machine: it has no flash with NVS",)
        assert backend.read_back(plan, bench.contexts["g1"]) == []


async def test_an_image_that_vanished_after_planning(tmp_path: Path) -> None:
    image = tmp_path / "fw.elf"
    image.write_bytes(firmware_path("refnode-rv32").read_bytes())
    spec = replace(SENSOR, firmware=FirmwareSpec(image=image))
    async with open_workbench(tmp_path, QemuBackend(), spec) as bench:
        image.unlink()
        with pytest.raises(NodeError, match="does not exist"):
            async with bench.node():
                pytest.fail("the node started")


async def test_nvs_that_does_not_fit_is_the_nodes_error(tmp_path: Path) -> None:
    spec = replace(SENSOR, nvs={"target_port": 70000})
    with pytest.raises(NodeError, match="target_port"):
        async with open_workbench(tmp_path, QemuBackend(), spec):
            pytest.fail("it was planned")


async def test_esp32_provisioning(tmp_path: Path) -> None:
    """Flash and eFuses of an ESP32 node; the emulator is played by a program that says what it was given."""
    base = tmp_path / "base.bin"
    header = bytearray(24)
    header[0], header[3], header[12] = 0xE9, 2 << 4, 9
    base.write_bytes(bytes(header) + b"\xff" * 0x10000)
    fake = tmp_path / "qemu"
    fake.write_text("#!/bin/sh\necho '{}' >&4\necho \"$@\" >&3\nexec sleep 1000\n")
    fake.chmod(0o755)
    spec = NodeSpec(
        id="e1",
        number=1,
        machine="esp32s3",
        firmware=FirmwareSpec(flash_base=base),
        options={"machine_binary": fake},
    )
    backend = QemuBackend()
    async with open_workbench(tmp_path, backend, spec) as bench:
        plan = bench.plans["e1"]
        assert plan.address_by_dhcp and "HasMemory" not in plan.capabilities and "NVS" in plan.warnings[0]
        async with bench.node() as node:
            await bench.trace().wait_for_console("-machine esp32s3")
            assert not hasattr(node, "read_memory")
        directory = bench.contexts["e1"].directory
        assert (directory / "flash.bin").stat().st_size == 4 << 20
        assert read_region(directory / "flash.bin", 0, 24) == bytes(header)
        assert backend.read_back(plan, bench.contexts["e1"]) == []
        mac = bytearray.fromhex(bench.network.device("e1").mac.replace(":", ""))
        mac[5] = (mac[5] - 3) % 256
        efuse = (directory / "efuse.bin").read_bytes()
        assert efuse[24:30] == bytes(reversed(mac)) and len(efuse) == 1024 and resolve(spec, MACHINES).flash_bytes


async def _until_halted(node: Any) -> None:
    with anyio.fail_after(5):
        while (await node.emulator.monitor.execute("query-status"))["status"] != "shutdown":
            await anyio.sleep(0.01)


async def test_bits_of_flash_do_not_flip_while_it_runs(tmp_path: Path) -> None:
    """There, a write is a command. In virtual time they do, past the bus."""
    async with open_workbench(tmp_path, QemuBackend(), SENSOR) as bench, bench.node() as node:
        memory: Any = node
        base, size = memory.flash_base, memory.flash_path.stat().st_size
        for address, count in ((base, 1), (base - 1, 2), (base + size - 1, 4)):
            with pytest.raises(NodeError, match="its flash cannot be flipped while it runs"):
                await memory.flip_memory(address, b"\x01" * count)
        assert await memory.flip_memory(base + size, b"\x01") is not None
