"""What a scenario may say about a virtual machine, checked before anything of it is run."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from swarmrig.api.params import DurationNs
from swarmrig.nodes.settings import Part, Pattern, Text, parsed_size

MIB = 1 << 20


class Accelerator(StrEnum):
    """What runs the guest's instructions."""

    AUTO = "auto"  # KVM where it was seen to work, else TCG
    TCG = "tcg"
    KVM = "kvm"


def _typed(value: str) -> str:
    if not value.isprintable():
        raise ValueError("expected one line of printable text")
    return value


Line = Annotated[Text, AfterValidator(_typed)]


class Login(Part):
    """How to get a shell on the console."""

    user: Line | None = Field(None, description="Who logs in. Default: nobody, a shell is there without that.")
    password: Line | None = Field(None, description="The password, if one is asked for.")
    prompt: Pattern = Field(
        r"[#$>] ?$", description="A regular expression for the line in which the shell waits for a command."
    )


class VmOptions(Part):
    """Settings of a virtual machine."""

    kernel: Path | None = Field(None, description="The kernel: a bzImage, or an ELF file that QEMU can start.")
    initrd: Path | None = Field(None, description="The archive that the kernel unpacks into its first root directory.")
    append: Line = Field("quiet", description="The kernel's command line, to which the rig adds console and address.")
    disk: Path | None = Field(
        None, description="The image of a disk, qcow2 or raw. The guest writes into a throw-away overlay of its own."
    )
    memory: Annotated[int, BeforeValidator(parsed_size), Field(ge=16 * MIB, le=1 << 40, multiple_of=MIB)] = Field(
        256 * MIB, description="Memory.", examples=["512MiB"]
    )
    cpus: int = Field(1, ge=1, le=64, description="Processors.")
    accel: Accelerator = Field(
        Accelerator.AUTO, description="`kvm` where a guest was seen to run with it, `tcg`, or `auto`: what there is."
    )
    machine_binary: Path = Field(
        Path("qemu-system-x86_64"), description="The emulator: a path, or a name to look for in PATH."
    )
    dhcp: bool | None = Field(
        None, description="The network leases the guest its address. Default: when there is no `kernel`."
    )
    login: Login | None = Field(None, description="Log in on the console; then commands can be run there.")
    boot_commands: tuple[Text, ...] = Field(
        (), description="Commands for the shell, run after the login; each must end with exit 0."
    )
    ready: Pattern | None = Field(
        None, description="A regular expression, found on the console when it is ready (after login and commands)."
    )
    deadline: DurationNs = Field(
        120_000_000_000, ge=1, description="When login, boot commands and `ready` must be through, from its start."
    )
    panic: Pattern = Field(
        r"Kernel panic - not syncing", description="A line of the console in which this is found fails the node."
    )

    @model_validator(mode="after")
    def _consistent(self) -> VmOptions:
        if self.kernel is None and self.disk is None:
            raise ValueError("expected a `kernel` or a `disk` to boot from")
        if self.kernel is None and self.initrd is not None:
            raise ValueError("`initrd` needs a `kernel`: a disk boots by itself")
        if self.kernel is None and "append" in self.model_fields_set:
            raise ValueError("`append` needs a `kernel`: a disk has a command line of its own")
        if self.boot_commands and self.login is None:
            raise ValueError("`boot_commands` need a `login`")
        return self


def options_of(values: Any) -> VmOptions:
    """The model of a specification's options, whose values are the model's own already."""
    login = values.get("login")
    return VmOptions.model_construct(**{**values, "login": login and Login.model_construct(**login)})
