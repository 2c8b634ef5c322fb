"""The reference device on Arm's MPS2 board, as far as it differs: no flash but memory that its image file backs."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from virtual_swarm import MS, SENSOR, S, swarm

from swarmrig.errors import NodeError
from swarmrig.flash.reader import read_nvs
from swarmrig.model.scenario import NodeSpec
from swarmrig.nodes.qemu.backend import QemuBackend
from swarmrig.nodes.qemu.command import command_template
from swarmrig.nodes.qemu.firmware import VARIANTS, firmware_path
from swarmrig.nodes.qemu.machines import MACHINES, MIB
from swarmrig.nodes.qemu.setup import resolve
from swarmrig.testing import open_workbench

pytestmark = pytest.mark.anyio

ARM = replace(SENSOR, machine="refnode-arm")
NVS_OFFSET, NVS_SIZE = 0x9000, 0x6000


async def test_its_command() -> None:
    words = shlex.join(command_template(resolve(ARM, MACHINES)))
    assert "qemu-system-arm " in words
    assert " -machine mps2-an385,memory-backend=flash -accel tcg,tb-size=8 -m 16M " in words
    assert f" -kernel {firmware_path('refnode-arm')} " in words
    assert "-object 'memory-backend-file,id=flash,size=16M,share=on,mem-path={flash}'" in words
    assert "-net 'nic,netdev=net,model=lan9118,macaddr={mac}'" in words
    assert "pflash" not in words


@pytest.mark.parametrize("variant", VARIANTS)
async def test_it_has_every_variant(variant: str) -> None:
    spec = replace(ARM, firmware=replace(ARM.firmware, variant=variant))
    assert resolve(spec, MACHINES).image == firmware_path("refnode-arm", variant)


@pytest.mark.parametrize("memory", ["8MiB", "32MiB"])
async def test_its_memory_is_as_large_as_it_is(memory: str) -> None:
    with pytest.raises(NodeError, match=r"memory: refnode-arm has 16 MiB, neither more nor less"):
        resolve(replace(ARM, options={"memory": memory}), MACHINES)
    assert resolve(replace(ARM, options={"memory": "16MiB"}), MACHINES).machine.flash_bytes == 16 * MIB


async def test_firmware_of_another_architecture_is_refused() -> None:
    image = firmware_path("refnode-rv32")
    with pytest.raises(NodeError, match=r"wrong architecture: .* is 32-bit little-endian RISC-V code"):
        resolve(NodeSpec("n", 1, machine="refnode-arm", firmware=replace(ARM.firmware, image=image)), MACHINES)


async def test_where_its_memory_is(tmp_path: Path) -> None:
    async with swarm(tmp_path, ARM) as made:
        memory = made.plans["s1"].memory
        assert memory.flash_base == 0x21000000
        assert (0x20000000, 4 * MIB) in memory.ram


async def test_the_flash_is_sparse_and_read_back(tmp_path: Path) -> None:
    backend = QemuBackend()
    async with open_workbench(tmp_path, backend, ARM) as bench:
        async with bench.node() as node:
            await bench.trace().wait_for_console("boot_time=")
            await node.write_console(b"flash-write 3\r")
            await bench.trace().wait_for_console("write 3 of 3 done")
        plan, context = bench.plans["s1"], bench.contexts["s1"]
        flash = context.directory / "flash.bin"
        assert flash.stat().st_size == 16 * MIB and flash.stat().st_blocks * 512 < 1 * MIB
        entries = read_nvs(flash.read_bytes()[NVS_OFFSET : NVS_OFFSET + NVS_SIZE]).entries
        assert {entry.key: entry.value for entry in entries if entry.namespace == "refnode"} == {"writes": 3}
        assert backend.read_back(plan, context) == []  # what the firmware writes for itself is no difference
        with flash.open("r+b") as file:
            file.seek(NVS_OFFSET + 64)
            file.write(bytes(64))
        assert backend.read_back(plan, context) != []


async def test_what_was_written_is_there_after_a_loss_of_power(tmp_path: Path) -> None:
    """In the middle of writing, at an exact time: every write that was told, and no other."""
    async with swarm(tmp_path, ARM) as made:
        node = made.nodes["s1"]
        await made.until(2 * S)
        await node.write_console(b"flash-write 100\r")
        await made.until(2 * S + 555 * MS)
        await node.power_off()
        written = len(made.times("s1", "flash: write"))
        assert 50 <= written <= 56
        with node.flash_path.open("r+b") as flash:  # and what happens to it without power
            flash.seek(0x110000)
            flash.write(b"changed")
        await node.power_on()
        await made.until(4 * S)
        assert len(made.times("s1", f"nvs: writes={written}")) == 1
        assert await node.read_memory(0x21110000, 7) == b"changed"
        assert len(made.times("s1", "rst:0x1 (POWERON)")) == 2


@pytest.mark.parametrize(("store", "written", "torn"), [(5, 0, True), (28, 2, False), (41, 3, True), (47, 4, False)])
async def test_the_power_goes_at_a_store_into_its_flash(tmp_path: Path, store: int, written: int, torn: bool) -> None:
    """A word takes one store: the first write 18 of them, with its namespace, each later one 10. Only flash counts."""
    async with swarm(tmp_path, ARM) as made:
        node = made.nodes["s1"]
        await made.until(2 * S)
        await node.cut_power_at_store(0x21000000, node.flash_path.stat().st_size, store)
        await made.until(3 * S)
        await node.write_console(b"flash-write 100\r")
        await made.until(4 * S)
        assert 3 * S < await node.call_off_cut() < 3 * S + 60 * MS
        await node.power_on()
        await made.until(5 * S)
        told = [text for _, text in made.lines["s1"] if "nvs: NVS write" in text or "nvs: writes" in text]
        assert [text for text in told if "was cut off" in text] == told[: int(torn)]
        assert [text.split()[-1].rstrip() for text in told[int(torn) :]] == [f"writes={written}"] * (written > 0)


async def test_an_nmi_ends_a_hang(tmp_path: Path) -> None:
    async with swarm(tmp_path, ARM) as made:
        node = made.nodes["s1"]
        await made.until(2 * S)
        await node.write_console(b"hang\r")
        await made.until(3 * S)
        await node.nmi()
        await made.until(4 * S)
        (hung,) = made.times("s1", "hanging until a reset")
        (told,) = made.times("s1", "Interrupt wdt timeout on CPU0")
        assert 2 * S < hung < 2 * S + 1 * MS and 3 * S < told < 3 * S + 1 * MS
        assert made.times("s1", "rst:0xc (SW_CPU_RESET)")
