"""Which emulator runs which code: QEMU's target names against the headers of ELF files."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

PREFIX = "qemu-system-"


@dataclass(frozen=True, slots=True)
class ElfKind:
    """What an ELF header says of its code: e_machine, word size, byte order (System V ABI, "ELF header")."""

    machine: int
    bits: int
    little: bool

    def __str__(self) -> str:
        name = _MACHINE_NAMES.get(self.machine, f"e_machine {self.machine}")
        return f"{self.bits}-bit {'little' if self.little else 'big'}-endian {name}"


_MACHINE_NAMES = {
    2: "SPARC", 3: "x86", 4: "m68k", 8: "MIPS", 15: "PA-RISC", 20: "PowerPC", 21: "PowerPC", 22: "S390",
    40: "Arm", 42: "SuperH", 43: "SPARC", 44: "TriCore", 62: "x86-64", 76: "CRIS", 83: "AVR", 92: "OpenRISC",
    94: "Xtensa", 113: "Nios II", 173: "RX", 183: "AArch64", 189: "MicroBlaze", 243: "RISC-V", 258: "LoongArch",
}  # fmt: skip

_TARGETS: dict[str, tuple[ElfKind, ...]] = {
    "aarch64": (ElfKind(183, 64, True), ElfKind(40, 32, True)),
    "arm": (ElfKind(40, 32, True),),
    "avr": (ElfKind(83, 32, True),),
    "cris": (ElfKind(76, 32, True),),
    "hppa": (ElfKind(15, 32, False),),
    "i386": (ElfKind(3, 32, True),),
    "loongarch64": (ElfKind(258, 64, True),),
    "m68k": (ElfKind(4, 32, False),),
    "microblaze": (ElfKind(189, 32, False),),
    "microblazeel": (ElfKind(189, 32, True),),
    "mips": (ElfKind(8, 32, False),),
    "mips64": (ElfKind(8, 64, False), ElfKind(8, 32, False)),
    "mips64el": (ElfKind(8, 64, True), ElfKind(8, 32, True)),
    "mipsel": (ElfKind(8, 32, True),),
    "nios2": (ElfKind(113, 32, True),),
    "or1k": (ElfKind(92, 32, False),),
    "ppc": (ElfKind(20, 32, False),),
    "ppc64": (ElfKind(21, 64, False), ElfKind(21, 64, True), ElfKind(20, 32, False)),
    "riscv32": (ElfKind(243, 32, True),),
    "riscv64": (ElfKind(243, 64, True),),
    "rx": (ElfKind(173, 32, True),),
    "s390x": (ElfKind(22, 64, False),),
    "sh4": (ElfKind(42, 32, True),),
    "sh4eb": (ElfKind(42, 32, False),),
    "sparc": (ElfKind(2, 32, False),),
    "sparc64": (ElfKind(43, 64, False),),
    "tricore": (ElfKind(44, 32, True),),
    "x86_64": (ElfKind(62, 64, True), ElfKind(3, 32, True)),
    "xtensa": (ElfKind(94, 32, True),),
    "xtensaeb": (ElfKind(94, 32, False),),
}

ARCHITECTURES = tuple(sorted(_TARGETS))
"""QEMU's names of the targets that images can be checked for."""


def architecture_of_emulator(emulator: Path) -> str | None:
    """The target in a name such as qemu-system-riscv32; None when the name does not say."""
    target = emulator.name.removeprefix(PREFIX)
    return target if target != emulator.name and target in _TARGETS else None


def mismatch(image: Path, architecture: str) -> str | None:
    """Why an emulator of this architecture cannot run the image; None when it can, or the image is no ELF."""
    kind = elf_kind(image)
    accepted = _TARGETS.get(architecture)
    if kind is None or accepted is None or kind in accepted:
        return None
    expected = " or ".join(str(one) for one in accepted)
    return f"{image} is {kind} code, but {PREFIX}{architecture} runs {expected} code"


def elf_kind(image: Path) -> ElfKind | None:
    """The kind of an ELF file; None for any other file. OSError when it cannot be read."""
    status = image.stat()
    return _elf_kind(image, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=256)
def _elf_kind(image: Path, _modified: int, _size: int) -> ElfKind | None:
    with image.open("rb") as file:
        header = file.read(20)
    if len(header) < 20 or header[:4] != b"\x7fELF" or header[4] not in (1, 2) or header[5] not in (1, 2):
        return None
    little = header[5] == 1
    (machine,) = struct.unpack_from("<H" if little else ">H", header, 18)
    return ElfKind(machine, 32 * header[4], little)
