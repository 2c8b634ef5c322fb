"""A node's specification resolved against this host: which Renode, which files, what is wrong with them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from swarmrig.errors import HostError, NodeError
from swarmrig.model.scenario import NodeSpec
from swarmrig.nodes.renode import wording
from swarmrig.nodes.renode.machines import ISA_NAMES, MACHINES, Machine, reference_firmware
from swarmrig.nodes.renode.options import RenodeOptions, options_of
from swarmrig.nodes.renode.program import Program, find_program

GENERIC = "generic"
DEFAULT_UART = "sysbus.uart0"
_ELF_MAGIC = b"\x7fELF"


@dataclass(frozen=True, slots=True)
class Load:
    """How one file gets into the machine's memory."""

    file: Path
    command: str
    address: int | None = None

    def words(self, file: Path | None = None) -> str:
        """The monitor command; `file`: a copy of the file."""
        place = wording.path(file or self.file)
        return f"sysbus {self.command} {place}" + (
            f" {wording.number(self.address)}" if self.address is not None else ""
        )


@dataclass(frozen=True, slots=True)
class Hardware:
    """What a machine is, whatever it runs."""

    machine: Machine | None
    """None: the scenario says itself what it is made of."""
    platform: str | Path | None
    """None: a script makes it."""
    uart: str


@dataclass(frozen=True, slots=True)
class Setup(Hardware):
    """All that a machine is made of."""

    spec: NodeSpec
    options: RenodeOptions
    program: Program
    load: Load | None

    @property
    def extra_commands(self) -> tuple[str, ...]:
        return (*(self.machine.extra_commands if self.machine else ()), *self.options.extra_commands)


def resolve(spec: NodeSpec) -> Setup:
    """Check a node against this host. NodeError for what the scenario says wrongly, HostError for what is missing."""
    options, hardware = options_of(spec.options), hardware_of(spec)
    for file in (hardware.platform, options.script):
        if isinstance(file, Path):
            _check_file(spec, file, "the platform" if file is hardware.platform else "the script")
    return Setup(
        spec=spec,
        options=options,
        program=find_program(options.renode),
        machine=hardware.machine,
        platform=hardware.platform,
        uart=hardware.uart,
        load=_load(spec, options, hardware.machine),
    )


def hardware_of(spec: NodeSpec) -> Hardware:
    """As the scenario says; this host is not asked. NodeError when the machine is not known."""
    options = options_of(spec.options)
    machine = _machine(spec, options)
    if machine is None:
        return Hardware(None, options.platform, options.uart or DEFAULT_UART)
    return Hardware(machine, machine.platform, options.uart or machine.uart)


def load_of(node: str, file: Path, command: str | None, address: int | None) -> Load:
    """How to load a file: an ELF file by what it says, another one where it is told to. NodeError when that fails."""
    try:
        with file.open("rb") as opened:
            is_elf = opened.read(4) == _ELF_MAGIC
    except OSError as error:
        raise NodeError(node, f"the firmware {file} cannot be read: {error.strerror}", hint="was it built?") from error
    name = command or ("LoadELF" if is_elf else "LoadBinary")
    if name == "LoadBinary" and address is None:
        raise NodeError(node, f"{file} is no ELF file: it needs `load_address`")
    if name != "LoadBinary" and not is_elf:
        raise NodeError(node, f"{file} is no ELF file, and cannot be loaded by {name}")
    return Load(file, name, address if name == "LoadBinary" else None)


def _machine(spec: NodeSpec, options: RenodeOptions) -> Machine | None:
    """None: the scenario says itself what the machine is made of."""
    if options.platform is not None or options.script is not None:
        return None
    if spec.machine not in MACHINES:
        known = ", ".join(sorted(MACHINES))
        raise NodeError(
            spec.id,
            f"a Renode node needs `platform`, or a machine that is known: {known}; {spec.machine!r} is none",
            hint="platform: platforms/boards/stm32f4_discovery-kit.repl",
        )
    return MACHINES[spec.machine]


def _check_file(spec: NodeSpec, file: Path, what: str) -> None:
    if not file.is_file():
        raise NodeError(spec.id, f"{what} {file} does not exist")
    try:
        wording.path(file)
    except ValueError as error:
        raise NodeError(spec.id, str(error)) from None


def _load(spec: NodeSpec, options: RenodeOptions, machine: Machine | None) -> Load | None:
    file = spec.firmware.image
    if file is None and machine is not None and machine.reference_firmware:
        file = reference_firmware()
    if file is None:
        return None
    if spec.firmware.build is not None and not file.exists():
        return Load(file, options.load_command or "LoadELF", options.load_address)  # it is built before launch
    _check_file(spec, file, "the firmware")
    if not file.stat().st_size:
        raise NodeError(spec.id, f"the firmware {file} is empty")
    load = load_of(spec.id, file, options.load_command, options.load_address)
    if machine is not None:
        check_isa(spec.id, file, machine)
    return load


def check_isa(node: str, file: Path, machine: Machine) -> None:
    """NodeError when an ELF file is for another kind of processor."""
    try:
        with file.open("rb") as opened:
            header = opened.read(20)
    except OSError as error:
        raise HostError(f"{file} cannot be read: {error.strerror}") from error
    if not header.startswith(_ELF_MAGIC) or len(header) < 20:
        return
    (isa,) = struct.unpack_from("<H" if header[5] == 1 else ">H", header, 18)
    if isa != machine.isa:
        raise NodeError(
            node,
            f"{file} is {ISA_NAMES.get(isa, f'machine {isa}')} code, but {machine.name} runs {ISA_NAMES[machine.isa]}",
            hint="build the firmware for the node's machine",
        )
