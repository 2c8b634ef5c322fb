"""A node's specification resolved against this host: which emulator, which files, what is wrong with them."""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from swarmrig.errors import HostError, NodeError
from swarmrig.flash.image import LEGAL_SIZES, check_image
from swarmrig.flash.nvs import NVS_SIZE
from swarmrig.model.scenario import FirmwareSpec, NodeSpec
from swarmrig.nodes.qemu.architectures import PREFIX, architecture_of_emulator, mismatch
from swarmrig.nodes.qemu.machines import Machine, Nic, Storage
from swarmrig.nodes.qemu.options import QemuOptions

GENERIC_ONLY = ("arch", "qemu_machine", "nic", "onboard_nic", "load", "bios")
ESP_IMAGE_MAGIC = 0xE9


@dataclass(frozen=True, slots=True)
class Setup:
    """All that a node's command line and flash are made of."""

    spec: NodeSpec
    machine: Machine
    options: QemuOptions
    architecture: str
    emulator: Path
    image: Path | None
    """What is loaded into memory; None for machines that boot from flash."""
    load: str
    nic: Nic | None
    flash_bytes: int | None = None
    """Size of an ESP32 flash; None elsewhere."""

    @property
    def qemu_machine(self) -> str:
        return self.machine.qemu_machine or str(self.options.qemu_machine)


def resolve(spec: NodeSpec, machines: Mapping[str, Machine]) -> Setup:
    """Check a node against this host. NodeError for what the scenario says wrongly, HostError for what is missing."""
    machine = _machine(spec, machines)
    options = _options(spec)
    _check_options(spec, machine, options)
    architecture, emulator = _emulator(spec, machine, options)
    image = _image(spec, machine)
    if image is not None:
        check_loadable(spec, image, architecture)
    return Setup(
        spec=spec,
        machine=machine,
        options=options,
        architecture=architecture,
        emulator=emulator,
        image=image,
        load=_load(machine, options),
        nic=_nic(machine, options),
        flash_bytes=_esp_flash_bytes(spec, machine) if machine.storage is Storage.ESP_FLASH else None,
    )


def check_loadable(spec: NodeSpec, image: Path, architecture: str) -> None:
    """The image exists, is not empty, and is code for this architecture, as far as its header says."""
    if not image.is_file():
        if spec.firmware.build is not None:
            return  # it is built before launch, and checked then
        raise NodeError(spec.id, f"the firmware image {image} does not exist", hint="check firmware.image")
    try:
        if not image.stat().st_size:
            raise NodeError(spec.id, f"the firmware image {image} is empty")
        problem = mismatch(image, architecture)
    except OSError as error:
        raise NodeError(spec.id, f"the firmware image {image} cannot be read: {error.strerror}") from error
    if problem:
        raise NodeError(spec.id, f"wrong architecture: {problem}", hint="build the firmware for the node's machine")


def _machine(spec: NodeSpec, machines: Mapping[str, Machine]) -> Machine:
    if spec.machine in machines:
        return machines[spec.machine]
    raise NodeError(
        spec.id,
        f"unknown machine {spec.machine!r}; known: {', '.join(sorted(machines))}",
        hint="for another QEMU machine use `machine: generic` with `arch:` and `qemu_machine:`",
    )


def _options(spec: NodeSpec) -> QemuOptions:
    try:
        return QemuOptions.model_validate(dict(spec.options))
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'options'}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors()
        )
        raise NodeError(spec.id, problems) from None


def _check_options(spec: NodeSpec, machine: Machine, options: QemuOptions) -> None:
    if machine.storage is Storage.MEMORY_FILE and options.memory not in {None, machine.memory_bytes}:
        raise NodeError(spec.id, f"memory: {machine.name} has {machine.memory_bytes >> 20} MiB, neither more nor less")
    if machine.qemu_machine:
        useless = [name for name in GENERIC_ONLY if name in options.model_fields_set and _differs(options, name)]
        if useless:
            raise NodeError(
                spec.id,
                f"{', '.join(useless)} cannot be set: {machine.name} settles that",
                hint="use `machine: generic` to say how QEMU's machine is made up",
            )
        return
    if options.qemu_machine is None:
        raise NodeError(spec.id, "a generic machine needs `qemu_machine:`, a machine of QEMU", hint="for example virt")
    if options.load == "bios" and options.bios == "none":
        raise NodeError(spec.id, "`load: bios` makes the image the firmware; `bios: none` says there is none")
    if options.nic and options.onboard_nic:
        raise NodeError(spec.id, "a node has one network interface: give `nic:` or `onboard_nic:`, not both")


def _differs(options: QemuOptions, name: str) -> bool:
    return bool(getattr(options, name) != QemuOptions.model_fields[name].default)


def _emulator(spec: NodeSpec, machine: Machine, options: QemuOptions) -> tuple[str, Path]:
    architecture = machine.architecture or options.arch or ""
    if not architecture and options.machine_binary is not None:
        architecture = architecture_of_emulator(options.machine_binary) or ""
    if not architecture:
        raise NodeError(
            spec.id, "a generic machine needs `arch:`, QEMU's name of the architecture", hint="e.g. riscv32"
        )
    binary = options.machine_binary or Path(PREFIX + architecture)
    emulator = _located(spec, binary)
    if emulator is None:
        raise _missing(machine, options, architecture, binary)
    named = architecture_of_emulator(emulator)
    if named is not None and named != architecture:
        raise NodeError(
            spec.id, f"{machine.name} needs an emulator for {architecture}, but {emulator} emulates {named}"
        )
    return architecture, emulator


def _missing(machine: Machine, options: QemuOptions, architecture: str, binary: Path) -> HostError:
    hint = install_hint(machine, architecture)
    if options.machine_binary is not None:
        hint = f"check `machine_binary:` or --qemu-path; without it: {hint}"
    return HostError(f"the emulator {binary} does not exist, or is not executable", hint=hint)


def _located(spec: NodeSpec, binary: Path) -> Path | None:
    """An executable file: by PATH when it is a bare name, else relative to the scenario file or to where we are."""
    if len(binary.parts) == 1 and not binary.is_absolute():
        found = shutil.which(binary.name)
        if found:
            return Path(found)
    homes = [Path(spec.source.file).parent] if spec.source else []
    for home in (*homes, Path()):
        candidate = (home / binary).absolute()
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate
    return None


def install_hint(machine: Machine, architecture: str) -> str:
    """How to get the emulator of a machine on Debian and its relatives."""
    return machine.install_hint or DEBIAN_PACKAGES.get(architecture, "apt install qemu-system-misc")


DEBIAN_PACKAGES = {
    **dict.fromkeys(("arm", "aarch64"), "apt install qemu-system-arm"),
    **dict.fromkeys(("i386", "x86_64"), "apt install qemu-system-x86"),
    **dict.fromkeys(("mips", "mipsel", "mips64", "mips64el"), "apt install qemu-system-mips"),
    **dict.fromkeys(("ppc", "ppc64"), "apt install qemu-system-ppc"),
    **dict.fromkeys(("sparc", "sparc64"), "apt install qemu-system-sparc"),
}


def _image(spec: NodeSpec, machine: Machine) -> Path | None:
    firmware = spec.firmware
    if machine.storage is Storage.ESP_FLASH:
        if firmware.image is not None:
            raise NodeError(
                spec.id, f"{machine.name} boots from flash: give firmware.flash_base or firmware.parts, no image"
            )
        return None
    if firmware.parts or (firmware.flash_base and machine.storage is Storage.NONE):
        raise NodeError(spec.id, f"{machine.name} does not boot from flash: give firmware.image")
    if firmware.image is not None:
        return firmware.image.absolute()
    if not machine.reference_firmware:
        raise NodeError(spec.id, f"{machine.name} needs firmware.image, the file to boot")
    return _reference_image(spec, machine)


def _reference_image(spec: NodeSpec, machine: Machine) -> Path:
    from swarmrig.nodes.qemu.firmware import firmware_path

    try:
        return firmware_path(machine.name, spec.firmware.variant)
    except HostError as error:
        if spec.firmware.variant is None:
            raise
        raise NodeError(spec.id, error.message, hint=error.hint) from error


def _load(machine: Machine, options: QemuOptions) -> str:
    # With a pflash unit 1, riscv `virt` hands -kernel to the firmware there instead of loading it: use -bios.
    return "bios" if machine.storage is Storage.PFLASH else options.load


def _nic(machine: Machine, options: QemuOptions) -> Nic | None:
    if machine.nic is not None:
        return machine.nic
    if options.nic:
        return Nic(options.nic)
    return Nic(options.onboard_nic, onboard=True) if options.onboard_nic else None


def _esp_flash_bytes(spec: NodeSpec, machine: Machine) -> int | None:
    """The size of the node's flash; None until its build has made the files."""
    firmware = spec.firmware
    if not firmware.flash_base and not firmware.parts:
        raise NodeError(
            spec.id,
            f"{machine.name} boots from flash and none is given",
            hint="give firmware.flash_base (--flash-base FILE), or the parts bootloader, partition table and app",
        )
    if firmware.build is not None and not all(file.is_file() for file in _flash_files(firmware)):
        return None
    problems = check_image(base=firmware.flash_base, parts=firmware.parts, size=None, nvs_size=NVS_SIZE)
    if problems:
        raise NodeError(spec.id, "; ".join(problems))
    content = max(_ends(firmware))
    header = _boot_header(spec, machine)
    return next(size for size in LEGAL_SIZES if size >= max(content, header))


def _flash_files(firmware: FirmwareSpec) -> list[Path]:
    return ([firmware.flash_base] if firmware.flash_base else []) + [part.file for part in firmware.parts]


def _ends(firmware: FirmwareSpec) -> list[int]:
    if firmware.flash_base:
        return [firmware.flash_base.stat().st_size]
    return [part.offset + part.file.stat().st_size for part in firmware.parts]


def _boot_header(spec: NodeSpec, machine: Machine) -> int:
    """Flash size that the bootloader's header claims (bytes). The app refuses to start on a smaller flash.

    Format: ESP-IDF esp_image_header_t; offset 0 on both chips: magic, …, size in the high half of byte 3, chip id
    at 12.
    """
    firmware = spec.firmware
    boot = firmware.flash_base or next((part.file for part in firmware.parts if part.offset == 0), None)
    if boot is None:
        raise NodeError(spec.id, f"no part begins at 0x0, where {machine.name} looks for its bootloader")
    with boot.open("rb") as file:
        header = file.read(24)
    if len(header) < 24 or header[0] != ESP_IMAGE_MAGIC:
        raise NodeError(spec.id, f"{boot} holds no bootloader: its first byte is not {ESP_IMAGE_MAGIC:#x}")
    (chip,) = struct.unpack_from("<H", header, 12)
    if chip != machine.esp_chip_id:
        other = {0: "esp32", 2: "esp32s2", 5: "esp32c3", 9: "esp32s3", 13: "esp32c6"}.get(chip, f"chip id {chip}")
        raise NodeError(
            spec.id, f"wrong architecture: the bootloader in {boot} is for {other}, the node is {machine.name}"
        )
    return min(1 << (20 + (header[3] >> 4)), LEGAL_SIZES[-1])
