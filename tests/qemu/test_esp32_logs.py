"""Consoles recorded from Espressif's emulator, played by a program in its place: what the rig makes of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from swarmrig.checks.patterns import REBOOT, is_boot_marker, is_crash, parse_log_line
from swarmrig.model.facts import ConsoleLine
from swarmrig.model.scenario import FirmwareSpec, NodeSpec
from swarmrig.nodes.qemu.backend import QemuBackend
from swarmrig.runtime.consoles import ConsoleSplitter
from swarmrig.testing import open_workbench

pytestmark = pytest.mark.anyio

LOGS = Path(__file__).parents[1] / "data/esp32-logs"


async def played(log: str, tmp_path: Path) -> tuple[list[ConsoleLine], Path]:
    """The lines of a recorded log after their way through an emulator's console, and the log that it left."""
    chip, chip_id = ("esp32c3", 5) if "c3" in log else ("esp32s3", 9)
    emulator = tmp_path / "emulator"
    emulator.write_text(f"#!/bin/sh\necho '{{}}' >&4\ncat {LOGS / log} >&3\nexec sleep 1000\n")
    emulator.chmod(0o755)
    base = tmp_path / "flash.bin"
    header = bytearray(b"\xff" * 4096)
    header[0], header[3], header[12:14] = 0xE9, 0x20, chip_id.to_bytes(2, "little")
    base.write_bytes(bytes(header))
    spec = NodeSpec(
        id="e1",
        number=1,
        machine=chip,
        firmware=FirmwareSpec(flash_base=base),
        options={"machine_binary": emulator},
    )
    expected = (LOGS / log).read_bytes()
    lines: list[ConsoleLine] = []
    splitter = ConsoleSplitter("e1", lines.append, lambda node: pytest.fail("truncated"))
    async with open_workbench(tmp_path, QemuBackend(), spec) as bench:
        trace = bench.trace()
        forward: Callable[[int, bytes], None] = trace.on_console

        def on_console(t_ns: int, chunk: bytes) -> None:
            splitter.feed(t_ns, chunk)
            forward(t_ns, chunk)

        trace.on_console = on_console  # type: ignore[method-assign]
        async with bench.node():
            await trace.wait_for(lambda: len(trace.console) >= len(expected), "whole log")
        splitter.finish(bench.now_ns())
    written = tmp_path / "nodes/e1/console.log"
    assert written.read_bytes() == expected
    return lines, written


@pytest.mark.parametrize(
    ("log", "boots", "crashes", "resets"),
    [
        ("baremetal_s3.log", 1, 0, ["rst:0x1"]),
        ("baremetal_c3.log", 1, 0, ["rst:0x1"]),
        ("chip_mismatch.log", 0, 0, ["rst:0x1"]),
        ("panic_flash_too_small.log", 0, 1, ["rst:0x1"]),
    ],
)
async def test_recorded_consoles(tmp_path: Path, log: str, boots: int, crashes: int, resets: list[str]) -> None:
    lines, written = await played(log, tmp_path)
    assert sum(is_boot_marker(line.text) for line in lines) == boots
    assert sum(is_crash(line.text) for line in lines) == crashes
    found = [line.text.split()[0].split(",")[0] for line in lines if REBOOT.search(line.text) and "rst:" in line.text]
    assert [reset.split(" ")[0] for reset in found] == resets
    numbered = written.read_text(errors="replace").split("\n")
    for line in lines:  # the pointers of evidence lead to the very lines
        assert numbered[line.line - 1].rstrip("\r") == line.text


async def test_log_lines_have_a_level_a_time_and_a_tag(tmp_path: Path) -> None:
    lines, _ = await played("baremetal_s3.log", tmp_path)
    parsed = [found for line in lines if (found := parse_log_line(line.text))]
    assert {found.tag for found in parsed} >= {"boot", "nvs_config", "csi", "rx"}
    boot = next(found for found in parsed if found.tag == "boot")
    assert (boot.level, boot.text) == ("I", "bare-metal node chip=esp32s3 app_main") and boot.millis is not None
    assert [found.text.split()[1] for found in parsed if found.tag == "csi"] == ["seq=0", "seq=10", "seq=20", "seq=30"]
    rom = [line.text for line in lines if parse_log_line(line.text) is None]
    assert rom[0].startswith("ESP-ROM:esp32s3")


async def test_times_may_go_backwards_and_lines_need_no_time(tmp_path: Path) -> None:
    lines, _ = await played("panic_flash_too_small.log", tmp_path)
    millis = [found.millis for line in lines if (found := parse_log_line(line.text)) and found.millis is not None]
    assert millis[0] == 329 and millis[1] == 169
    assert any(line.text.startswith("assert failed:") for line in lines)
    assert any(line.text.startswith("Backtrace:") for line in lines) and lines[-1].text == "Rebooting..."
