"""Where memory is on the boards that are known: what can be checked of an address before anything is launched."""

from __future__ import annotations

from swarmrig.api.nodes import MemoryMap
from swarmrig.nodes.qemu.machines import MIB, Storage
from swarmrig.nodes.qemu.setup import Setup

_FIRST_RAM = {
    ("riscv32", "virt"): 0x8000_0000,
    ("riscv64", "virt"): 0x8000_0000,
    ("arm", "virt"): 0x4000_0000,
    ("aarch64", "virt"): 0x4000_0000,
}
"""Boards whose RAM is one piece of the size that -m says (QEMU, hw/riscv/virt.c, hw/arm/virt.c)."""
_RAM = {
    # QEMU, hw/arm/mps2.c: two pieces of SSRAM, the block RAM, the PSRAM
    ("arm", "mps2-an385"): (
        (0x0000_0000, 4 * MIB), (0x0100_0000, 16 << 10), (0x2000_0000, 4 * MIB), (0x2100_0000, 16 * MIB),
    ),
}  # fmt: skip
"""Boards whose memory is given."""
_DEFAULT_BYTES = 128 * MIB
"""What QEMU gives a machine of which -m says nothing."""
_FLASH = {
    (Storage.PFLASH, "riscv32", "virt"): 0x2200_0000,
    (Storage.PFLASH, "riscv64", "virt"): 0x2200_0000,
    (Storage.MEMORY_FILE, "arm", "mps2-an385"): 0x2100_0000,
}


def memory_map(setup: Setup) -> MemoryMap:
    """What is known of a node's memory; where nothing is, its ELF file alone tells."""
    board = (setup.architecture, setup.qemu_machine)
    ram: tuple[tuple[int, int], ...] = _RAM.get(board, ())
    if board in _FIRST_RAM:
        ram = ((_FIRST_RAM[board], setup.options.memory or setup.machine.memory_bytes or _DEFAULT_BYTES),)
    return MemoryMap(ram=ram, image=setup.image, flash_base=flash_base(setup))


def flash_base(setup: Setup) -> int | None:
    """Where the node's flash image is mapped; None where it is not."""
    return _FLASH.get((setup.machine.storage, setup.architecture, setup.qemu_machine))
