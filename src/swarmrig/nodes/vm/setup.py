"""A virtual machine resolved against this host: which files and emulator, and what is wrong with them."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarmrig.errors import HostError, NodeError
from swarmrig.model.scenario import NodeSpec
from swarmrig.nodes.emulator import kvm
from swarmrig.nodes.vm.disk import Disk, examine_disk
from swarmrig.nodes.vm.options import Accelerator, VmOptions, options_of

EMULATOR_HINT = "apt install qemu-system-x86"

_BZIMAGE_MAGIC = b"HdrS"
_MULTIBOOT_MAGIC = (0x1BADB002).to_bytes(4, "little")
_MULTIBOOT_WITHIN = 8192
_PVH_ENTRY = 18


@dataclass(frozen=True, slots=True)
class Setup:
    """All that a guest's command line is made of."""

    spec: NodeSpec
    options: VmOptions
    emulator: Path
    accelerator: Accelerator
    """TCG or KVM."""
    without_kvm: str | None
    """Why `auto` means TCG here."""
    disk: Disk | None

    @property
    def dhcp(self) -> bool:
        return self.options.kernel is None if self.options.dhcp is None else self.options.dhcp


async def resolve(spec: NodeSpec) -> Setup:
    """Check a node against this host. NodeError for what the scenario says wrongly, HostError for what is missing."""
    options = options_of(spec.options)
    if options.kernel is not None:
        check_kernel(spec.id, options.kernel)
    if options.initrd is not None:
        _read_head(spec.id, "initrd", options.initrd, 1)
    emulator = _emulator(spec.id, options)
    disk = await examine_disk(spec.id, options.disk) if options.disk is not None else None
    accelerator, without_kvm = await _accelerator(spec.id, options, emulator)
    return Setup(spec, options, emulator, accelerator, without_kvm, disk)


def check_kernel(node: str, kernel: Path) -> None:
    """NodeError when it is nothing that QEMU starts on a PC: bzImage, ELF with a PVH entry, multiboot."""
    head = _read_head(node, "kernel", kernel, _MULTIBOOT_WITHIN)
    if head[0x202:0x206] == _BZIMAGE_MAGIC or _MULTIBOOT_MAGIC in head:
        return
    if not head.startswith(b"\x7fELF"):
        raise NodeError(node, f"kernel: {kernel} is no kernel for a PC: neither a bzImage nor an ELF file")
    if not _has_pvh_entry(kernel):
        message = f"kernel: {kernel} is an ELF file that a PC cannot start: it has no PVH entry (CONFIG_PVH)"
        raise NodeError(node, message, hint="take the bzImage (vmlinuz) instead")


def _has_pvh_entry(kernel: Path) -> bool:
    """See XEN_ELFNOTE_PHYS32_ENTRY in Xen's public/elfnote.h."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    with kernel.open("rb") as file:
        try:
            segments: Iterable[Any] = ELFFile(file).iter_segments("PT_NOTE")
            notes = [note for segment in segments for note in segment.iter_notes()]
        except ELFError:
            return False
    return any(note["n_name"] == "Xen" and note["n_type"] == _PVH_ENTRY for note in notes)


def _read_head(node: str, what: str, path: Path, size: int) -> bytes:
    try:
        with path.open("rb") as file:
            head = file.read(size)
    except OSError as error:
        raise NodeError(node, f"{what}: {path} cannot be read: {error.strerror}") from error
    if not head:
        raise NodeError(node, f"{what}: {path} is empty")
    return head


def _emulator(node: str, options: VmOptions) -> Path:
    wanted = options.machine_binary
    found = shutil.which(str(wanted))
    if found is not None:
        return Path(found).absolute()
    if "/" in str(wanted):
        raise NodeError(node, f"machine_binary: {wanted} does not exist, or is not executable")
    raise HostError(f"node {node}: the emulator {wanted} was not found in PATH", hint=EMULATOR_HINT)


async def _accelerator(node: str, options: VmOptions, emulator: Path) -> tuple[Accelerator, str | None]:
    if options.accel is Accelerator.TCG:
        return Accelerator.TCG, None
    found = await kvm.proved(emulator)
    if found.ok:
        return Accelerator.KVM, None
    if options.accel is Accelerator.KVM:
        hint = f"use `accel: auto` or `accel: tcg`; {found.hint}; `swarmrig doctor` tries it again"
        raise HostError(f"node {node}: accel: kvm cannot be relied upon here: {found.detail}", hint=hint)
    return Accelerator.TCG, found.detail
