"""What a scenario may say about a process, checked before anything of it is run."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from swarmrig.api.params import DurationNs
from swarmrig.nodes.settings import Part, Pattern, Text, Variables, parsed_size


class NetworkPlace(StrEnum):
    """Where a program finds its network."""

    FABRIC = "fabric"
    NONE = "none"
    HOST = "host"


Size = Annotated[int, BeforeValidator(parsed_size)]
ExitCode = Annotated[int, Field(ge=0, le=255)]


class Ready(Part):
    """How to see that the program is ready: one of `port`, `log`, `file` and `command`."""

    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(None, description="A TCP port that it listens on.")
    log: Pattern | None = Field(None, description="A regular expression, found in a line of its output.")
    file: Path | None = Field(None, description="A file that exists.")
    command: tuple[Text, ...] | None = Field(
        None, min_length=1, description="A program that, run beside it, ends with exit 0; words, no shell."
    )
    deadline: DurationNs = Field(30_000_000_000, ge=1, description="When it must have been ready.")

    @model_validator(mode="after")
    def _one_of_them(self) -> Ready:
        if sum(each is not None for each in (self.port, self.log, self.file, self.command)) != 1:
            raise ValueError("expected one of `port`, `log`, `file` and `command`")
        return self


class Limits(Part):
    """What each of the program's processes may have, as the kernel counts it (see setrlimit(2))."""

    memory: Annotated[Size, Field(ge=1 << 20)] | None = Field(None, description="Address space.", examples=["256MiB"])
    cpu_time: Annotated[DurationNs, Field(ge=1_000_000_000)] | None = Field(
        None, description="Processor time; beyond, the kernel ends it. Whole seconds."
    )
    open_files: Annotated[int, Field(ge=8, le=1 << 20)] | None = Field(None, description="Open descriptors.")
    file_size: Annotated[Size, Field(ge=0)] | None = Field(
        None, description="Size of a file that it writes.", examples=["16MiB"]
    )


class ProcessOptions(Part):
    """Settings of a process."""

    command: tuple[Text, ...] = Field(min_length=1, description="The program and its arguments; words, no shell.")
    environment: Variables = Field({}, description="Environment variables by name, beside those of the rig.")
    working_dir: Path = Field(
        Path(), description="Its working directory, and where a program with a slash is. Default: the file's folder."
    )
    network: NetworkPlace = Field(
        NetworkPlace.FABRIC,
        description="`fabric`, the network of the run; `none`; or `host`, the network of this machine.",
    )
    ready: Ready | None = Field(None, description="How to see that it is ready; then it must be, by a deadline.")
    ends_with: tuple[ExitCode, ...] = Field(
        (), description="Exit codes with which it may end by itself. Default: none, it lives as long as the run."
    )
    forks: bool = Field(False, description="It daemonises: it has ended only when everything that it has started has.")
    stop_timeout: Annotated[DurationNs, Field(le=60_000_000_000)] = Field(
        1_000_000_000, description="From SIGTERM to SIGKILL, when the run ends."
    )
    limits: Limits | None = Field(None, description="What each of its processes may have.")


def options_of(values: Any) -> ProcessOptions:
    """The model of a specification's options, whose values are the model's own already."""
    ready, limits = values.get("ready"), values.get("limits")
    inner = {
        "ready": ready and Ready.model_construct(**ready),
        "limits": limits and Limits.model_construct(**limits),
        "network": NetworkPlace(values.get("network", NetworkPlace.FABRIC)),
    }
    return ProcessOptions.model_construct(**{**values, **inner})
