"""The machines that are ready to use, by name: `machine: stm32f4-discovery`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

RISCV, ARM = 243, 40
"""Numbers of instruction sets in ELF files (e_machine)."""
ISA_NAMES = {RISCV: "RISC-V", ARM: "Arm", 3: "x86", 8: "MIPS", 62: "x86-64", 94: "Xtensa", 183: "AArch64"}
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Machine:
    name: str
    platform: str | Path
    """A text: it ships with Renode."""
    uart: str
    isa: int
    """What its firmware is compiled for."""
    ram: tuple[tuple[int, int], ...] = ()
    """(address, bytes) of its RAM, as far as it is of one kind."""
    extra_commands: tuple[str, ...] = ()
    reference_firmware: bool = False
    """It boots the package's own firmware unless it is told otherwise."""


def _own(name: str) -> Path:
    return Path(str(files("swarmrig.nodes.renode.platforms") / name))


def reference_firmware() -> Path:
    """The reference device's RISC-V ELF, a data file of this package."""
    return Path(str(files("swarmrig") / "nodes" / "qemu" / "firmware" / "refnode-rv32.elf"))


MACHINES: Mapping[str, Machine] = {
    machine.name: machine
    for machine in (
        Machine(
            "refnode-rv32",
            _own("refnode-rv32.repl"),
            "sysbus.uart0",
            RISCV,
            ram=((0x8000_0000, 16 * MIB),),
            reference_firmware=True,
        ),
        Machine(
            "stm32f4-discovery",
            "platforms/boards/stm32f4_discovery-kit.repl",
            "sysbus.usart2",
            ARM,
            ram=((0x2000_0000, 256 << 10),),
        ),
        Machine("nucleo-h753zi", "platforms/cpus/stm32h743.repl", "sysbus.usart3", ARM),
        Machine(
            "s32k388",
            _own("s32k388.repl"),
            "sysbus.uart0",
            ARM,
            ram=((0x2000_0000, 64 << 10), (0x2040_0000, 768 << 10)),
            # UARTEN, TXE, RXE: its firmware leaves them to the boot loader
            extra_commands=("sysbus WriteDoubleWord 0x40090030 0x0301",),
        ),
    )
}
