"""What a scenario may say about a Renode node beyond the model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from swarmrig.model.units import parse_duration_ns
from swarmrig.nodes.renode import wording

QUANTUM_NS = 100_000
"""Renode's own grain of time."""
DEFAULT_STEP_NS = 1_000_000
SHIPPED = "platforms/"


def _step(value: object) -> int:
    step_ns = parse_duration_ns(value)  # type: ignore[arg-type]
    if not QUANTUM_NS <= step_ns <= 10**9 or step_ns % QUANTUM_NS:
        raise ValueError("expected a multiple of 100us, 1s at most")
    return step_ns


def _platform(value: str | Path) -> str | Path:
    """What begins with `platforms/` ships with Renode, all else is a file."""
    return wording.shipped(str(value)) if str(value).startswith(SHIPPED) else Path(value)


Peripheral = Annotated[str, AfterValidator(wording.peripheral)]


class RenodeOptions(BaseModel):
    """Settings of a Renode node."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    platform: Annotated[str | Path, AfterValidator(_platform)] | None = Field(
        default=None,
        description="The platform: a .repl file, or the name of one that Renode ships with, for example "
        "platforms/boards/stm32f4_discovery-kit.repl. Default: the machine's own.",
    )
    uart: Peripheral | None = Field(
        default=None, description="The UART that is the console. Default: the machine's own, else sysbus.uart0."
    )
    machine_name: Annotated[str, AfterValidator(wording.machine)] = Field(
        default="machine-0", description="The machine's name in Renode, as its monitor's prompt shows it."
    )
    monitor_port: Annotated[int, Field(ge=0, le=65535)] = Field(
        default=0, description="The monitor's port, in a network of Renode's own. 0: chosen by the rig."
    )
    extra_commands: tuple[Annotated[str, AfterValidator(wording.checked_command)], ...] = Field(
        default=(), description="Monitor commands after the UART has been set up, before firmware is loaded."
    )
    load_command: Annotated[str, AfterValidator(wording.load_command)] | None = Field(
        default=None, description="LoadELF, LoadBinary or LoadSymbolsFrom. Default: by what the file is."
    )
    load_address: Annotated[int, Field(ge=0, lt=1 << 64)] | None = Field(
        default=None, description="Where LoadBinary puts the file."
    )
    script: Path | None = Field(
        default=None, description="A .resc script that makes the machine, in place of platform and firmware."
    )
    allow_raw_monitor: bool = Field(
        default=False, description="True lets tests and clients give the monitor commands of their own."
    )
    console: Literal["pty", "socket"] = Field(
        default="pty", description="How the console is reached in real time: a pseudo-terminal, or a socket."
    )
    serial: Peripheral | None = Field(
        default=None,
        description="A UART that is joined to the network: its bytes go to every node whose UART is joined, too.",
    )
    ethernet: Peripheral | None = Field(
        default=None, description="An Ethernet controller that is joined to the network, for example sysbus.ethernet."
    )
    step: Annotated[int, BeforeValidator(_step)] = Field(
        default=DEFAULT_STEP_NS,
        description="In virtual time, how long the machine runs at a time: the grain of what it says and hears.",
        json_schema_extra={"type": "string", "examples": ["1ms", "500us"]},
    )
    renode: Path | None = Field(
        default=None, description="The Renode to run: a path, or a name to look for in PATH. Default: as `doctor` says."
    )

    @model_validator(mode="after")
    def _agree(self) -> RenodeOptions:
        if self.serial is not None and self.ethernet is not None:
            raise ValueError("a node is joined to the network by `serial` or by `ethernet`, not by both")
        if self.script is not None and self.platform is not None:
            raise ValueError("`script` makes the machine, so there can be no `platform`")
        return self


def options_of(values: Any) -> RenodeOptions:
    """The model of a specification's options, whose values are the model's own already."""
    return RenodeOptions.model_construct(**values)
