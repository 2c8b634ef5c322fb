"""The reference firmware boots with each of the 14 configurations and understands what is in it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from swarmrig.flash.image import assemble_pflash
from swarmrig.flash.matrix import MATRIX, NvsConfig
from swarmrig.flash.reader import read_nvs

QEMU = shutil.which("qemu-system-riscv32")
FIRMWARE = Path(__file__).parents[2] / "src/swarmrig/nodes/qemu/firmware/refnode-rv32.elf"

TOLD: dict[str, str] = {
    "full-adr060": "node_id=1 role=sensor scenario=0 channel=6",
    "edge-tier0": "edge_tier=0",
    "edge-tier1": "edge_tier=1",
    "edge-tier2-custom": "edge_tier=2",
    "tdm-3node": "tdm_slot=0 tdm_nodes=3",
    "5ghz-channel": "channel=36",
    "boundary-max": "node_id=255",
    "boundary-min": "node_id=0",
    "power-save": "edge_tier=0",
}


def boot(flash: Path) -> list[str]:
    """The console up to the line that ends booting."""
    command = [
        str(QEMU), "-nodefaults", "-no-user-config", "-display", "none", "-machine", "virt", "-m", "16M",
        "-global", "virtio-mmio.force-legacy=off", "-bios", str(FIRMWARE), "-serial", "stdio",
        "-drive", f"if=pflash,unit=1,format=raw,file={flash}",
        "-netdev", "hubport,id=net,hubid=0", "-device", "virtio-net-device,netdev=net",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    lines: list[str] = []
    with process:
        assert process.stdout is not None
        for raw in process.stdout:
            lines.append(raw.decode().rstrip())
            if "boot_time=" in lines[-1]:
                break
        process.kill()
    return lines


@pytest.mark.skipif(QEMU is None, reason="qemu-system-riscv32 is not installed")
@pytest.mark.timeout(60)
@pytest.mark.parametrize("config", MATRIX, ids=lambda config: config.name)
def test_refnode_boots_with(config: NvsConfig, tmp_path: Path) -> None:
    image = assemble_pflash(tmp_path / "flash.bin", config.build())
    lines = boot(image.path)
    assert any("boot_time=" in line for line in lines), lines
    assert any("Calling app_main()" in line for line in lines)
    assert any(TOLD.get(config.name, "refnode: node_id=") in line for line in lines), lines
    complaints = [line for line in lines if "NVS damaged" in line and "using defaults" in line]
    assert bool(complaints) == config.damaged, lines
    with image.path.open("rb") as file:
        file.seek(image.nvs_offset)
        after = file.read(image.nvs_size)
    assert after == config.build(), "booting must not write to NVS"
    assert bool(read_nvs(after).problems) == config.damaged
