"""What a scenario may say about a QEMU node beyond the model, checked before it comes near a command line."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from swarmrig.model.units import parse_size_bytes
from swarmrig.nodes.qemu.architectures import ARCHITECTURES

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}\Z")
_PROPERTIES = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*(?:,[A-Za-z0-9._-]+=[^,\x00-\x1f\x7f]*)*\Z")
_CPU = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*(?:,[A-Za-z0-9._-]+(?:=[A-Za-z0-9._-]+)?)*\Z")
_HOST_DEVICES = re.compile(r"(?:vfio|vhost|usb-host|pci-assign|ivshmem|scsi-generic|loader|guest-loader)")


def _arguments(values: tuple[str, ...]) -> tuple[str, ...]:
    """Pairs of an allowed option and a value that this option takes."""
    if len(values) % 2:
        raise ValueError("arguments come in pairs of an option and its value")
    for option, value in zip(values[::2], values[1::2], strict=True):
        if option not in ALLOWED_ARGUMENTS:
            raise ValueError(
                f"{option!r} is not allowed; allowed are {', '.join(sorted(ALLOWED_ARGUMENTS))} "
                "(ports, files, monitors and the machine itself belong to the rig)"
            )
        problem = ALLOWED_ARGUMENTS[option](value)
        if problem:
            raise ValueError(f"{option} {value!r}: {problem}")
    return values


def _matches(pattern: str, expected: str) -> Callable[[str], str | None]:
    compiled = re.compile(pattern)
    return lambda value: None if compiled.fullmatch(value) else f"expected {expected}"


def _device(value: str) -> str | None:
    if not _PROPERTIES.match(value):
        return "expected DRIVER,property=value,…"
    if _HOST_DEVICES.match(value):
        return "devices that reach into the host are not allowed"
    if re.search(r",(?:netdev|chardev|drive|memdev|file|host|path|filename|romfile)=", value):
        return "properties that name back ends or files are not allowed"
    return None


def _global(value: str) -> str | None:
    return None if _device_property(value) else "expected DRIVER.PROPERTY=VALUE"


def _device_property(value: str) -> bool:
    match = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*\.([A-Za-z0-9_-]+)=[A-Za-z0-9._:+-]*", value)
    return match is not None and match[1] not in {"netdev", "chardev", "drive", "memdev", "file", "host", "romfile"}


ALLOWED_ARGUMENTS: dict[str, Callable[[str], str | None]] = {
    "-append": lambda value: None if value.isprintable() else "expected printable text",
    "-d": _matches(r"[a-z_0-9:]+(,[a-z_0-9:]+)*", "QEMU log items such as guest_errors,unimp"),
    "-device": _device,
    "-global": _global,
    "-icount": _matches(r"(shift=)?([0-9]{1,2}|auto)(,(sleep|align)=(on|off))*", "shift=N,sleep=off,align=off"),
    "-rtc": _matches(r"[A-Za-z0-9=,:-]+", "settings such as base=utc,clock=vm"),
    "-seed": _matches(r"[0-9]{1,20}", "a number"),
    "-smp": _matches(r"[a-z]*=?[0-9]+(,[a-z]+=[0-9]+)*", "a number of processors, or settings such as cpus=2,cores=2"),
}
"""Options that may be added, and what keeps a value from being passed (None: nothing)."""


def _size(value: object) -> object:
    return parse_size_bytes(value) if isinstance(value, str | int) and not isinstance(value, bool) else value


def _named(value: str) -> str:
    if not _NAME.match(value):
        raise ValueError("expected a name of letters, digits, dot, dash, plus and underscore")
    return value


def _cpu(value: str) -> str:
    if not _CPU.match(value):
        raise ValueError("expected a QEMU CPU such as cortex-m3 or rv32,v=off")
    return value


def _architecture(value: str) -> str:
    if value not in ARCHITECTURES:
        raise ValueError(f"unknown architecture {value!r}; known: {', '.join(ARCHITECTURES)}")
    return value


def _binary(value: Path) -> Path:
    if not value.name or any(ord(char) < 32 for char in str(value)):
        raise ValueError("expected the name or the path of an emulator")
    return value


Name = Annotated[str, AfterValidator(_named)]
MemorySize = Annotated[int, BeforeValidator(_size), Field(ge=1 << 10, le=64 << 30)]


class QemuOptions(BaseModel):
    """Settings of a QEMU node."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    machine_binary: Annotated[Path, AfterValidator(_binary)] | None = Field(
        default=None, description="The emulator: a path, or a name to look for in PATH. Default: by the machine."
    )
    arch: Annotated[str, AfterValidator(_architecture)] | None = Field(
        default=None, description="QEMU's name of the architecture (generic machine): riscv32, arm, xtensa, …"
    )
    qemu_machine: Name | None = Field(
        default=None, description="The QEMU machine to emulate (generic machine), as `-machine help` lists them."
    )
    cpu: Annotated[str, AfterValidator(_cpu)] | None = Field(
        default=None, description="The CPU model. Default: the machine's own."
    )
    memory: MemorySize | None = Field(
        default=None, description="Guest memory. Default: the machine's own.", examples=["16MiB"]
    )
    load: Literal["kernel", "bios", "loader"] = Field(
        default="kernel",
        description="How firmware.image gets into memory (generic machine): -kernel, -bios or -device loader.",
    )
    bios: Literal["default", "none"] = Field(
        default="default",
        description="`none` leaves out the firmware that QEMU loads by itself, OpenSBI for instance: "
        "for bare-metal images (generic machine).",
    )
    nic: Name | None = Field(
        default=None, description="A network device to add (generic machine), for example virtio-net-device or e1000."
    )
    onboard_nic: Name | None = Field(
        default=None, description="The board's own network device (generic machine), for example lan9118."
    )
    console: Annotated[int, Field(ge=0, le=7)] = Field(
        default=0, description="Number of the serial port that is the console."
    )
    dhcp: bool | None = Field(
        default=None, description="True when the firmware learns its address by DHCP. Default: by the machine."
    )
    factory_mac: bool = Field(
        default=True, description="Give an ESP32 machine its own MAC through an eFuse image of its own."
    )
    args: Annotated[tuple[str, ...], AfterValidator(_arguments)] = Field(
        default=(), description="Further QEMU arguments in pairs: " + ", ".join(sorted(ALLOWED_ARGUMENTS)) + "."
    )
