"""What a scenario may say about a container, checked before any engine is asked."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from swarmrig.api.params import DurationNs
from swarmrig.nodes.settings import Part, Text, Variables, parsed_size

FABRIC = "fabric"
"""The network of the run, in place of one of the engine's."""
LEAST_MEMORY = 6 << 20
"""Below that, Docker refuses to run a container."""

_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,254}\Z")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\Z")
_PORT = re.compile(r"([0-9]{1,5}):([0-9]{1,5})(?:/(tcp|udp))?\Z")


def _reference(value: str) -> str:
    if not _REFERENCE.match(value):
        raise ValueError("expected the name of an image, for example eclipse-mosquitto:2")
    return value


def _named(value: str) -> str:
    if not _NAME.match(value):
        raise ValueError("expected a name of letters, digits, dot, dash and underscore")
    return value


def _port(value: str) -> str:
    match = _PORT.match(value)
    if match is None or not all(0 < int(number) < 65536 for number in match.groups()[:2]):
        raise ValueError("expected HOST:CONTAINER or HOST:CONTAINER/udp, for example 8080:80")
    return value


def _udp(port: str) -> str:
    return "/udp" if port.endswith("/udp") else ""


def _refuse_twice(what: str, names: list[str]) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"the {what} {twice} is given twice")


def _in_container(value: str) -> str:
    path = PurePosixPath(value)
    if not path.is_absolute() or ".." in path.parts or path == PurePosixPath("/") or "\0" in value:
        raise ValueError("expected an absolute path in the container")
    return value


PortText = Annotated[str, AfterValidator(_port), Field(pattern=_PORT.pattern.removesuffix(r"\Z") + "$")]


class Build(Part):
    """How an image is built."""

    context: Path = Field(description="The directory that the build is given, as it is.")
    dockerfile: Text = Field("Dockerfile", description="The Dockerfile, relative to the context.")
    args: Variables = Field({}, description="Values of its ARGs.")


class Volume(Part):
    """A file or directory of this machine, in the container."""

    source: Path = Field(description="Where it is on this machine; it must exist.")
    target: Annotated[str, AfterValidator(_in_container)] = Field(description="Where it is in the container.")
    read_only: bool = Field(True, description="The container cannot change it.")
    outside: bool = Field(False, description="Permission for a source outside of the scenario's folder.")


class Health(Part):
    """A command in the container that tells whether it is well (exit 0)."""

    command: tuple[Text, ...] = Field(min_length=1, description="The program and its arguments; words, no shell.")
    interval: DurationNs = Field(1_000_000_000, ge=1_000_000, description="Time between two questions.")
    timeout: DurationNs = Field(3_000_000_000, ge=1_000_000, description="How long one may take.")
    retries: int = Field(3, ge=1, le=1000, description="So many failures in a row make it unhealthy.")
    start_period: DurationNs = Field(0, description="Failures before that do not count.")
    deadline: DurationNs = Field(60_000_000_000, ge=1, description="When it must have been healthy for once.")


class ContainerOptions(Part):
    """Settings of a container."""

    image: Annotated[str, AfterValidator(_reference)] | None = Field(
        None, description="The image, which the engine must have. Either this or `build`."
    )
    build: Build | None = Field(None, description="Build the image before the run begins.")
    entrypoint: tuple[Text, ...] | None = Field(None, description="In place of the image's entry point.")
    command: tuple[Text, ...] | None = Field(None, description="In place of the image's command; words, no shell.")
    environment: Variables = Field({}, description="Environment variables by name.")
    user: Text | None = Field(None, description="Who it runs as, `name` or `uid:gid`. Default: the image's.")
    working_dir: Annotated[str, AfterValidator(_in_container)] | None = Field(
        None, description="Its working directory. Default: the image's."
    )
    network: Annotated[str, AfterValidator(_named)] = Field(
        FABRIC, description="`fabric`, the network of the run, or the name of a network of the engine."
    )
    ports: tuple[PortText, ...] = Field(
        (), description="HOST:CONTAINER: ports of 127.0.0.1 that lead to ports of the container."
    )
    volumes: tuple[Volume, ...] = Field((), description="Files and directories of this machine in it.")
    health: Health | None = Field(None, description="How to see that it is well. Default: as the image says.")
    memory: Annotated[int, BeforeValidator(parsed_size), Field(ge=LEAST_MEMORY, le=1 << 40)] | None = Field(
        None, description="All memory that it may have; beyond, the kernel kills it.", examples=["64MiB"]
    )
    cpus: Annotated[float, Field(ge=0.01, le=1024)] | None = Field(
        None, description="Processor time that it may have, in processors: 0.5 is half of one."
    )
    engine: Path | None = Field(
        None, description="The engine's socket. Default: by DOCKER_HOST, or where Docker and podman have theirs."
    )

    @model_validator(mode="after")
    def _one_image(self) -> ContainerOptions:
        if (self.image is None) == (self.build is None):
            raise ValueError("expected either `image` or `build`")
        _refuse_twice("port of this machine", [text.split(":")[0] + _udp(text) for text in self.ports])
        _refuse_twice("target", [volume.target for volume in self.volumes])
        return self


def options_of(values: Any) -> ContainerOptions:
    """The model of a specification's options, whose values are the model's own already."""
    build, health = values.get("build"), values.get("health")
    volumes = tuple(Volume.model_construct(**volume) for volume in values.get("volumes") or ())
    inner = {
        "build": build and Build.model_construct(**build),
        "health": health and Health.model_construct(**health),
        "volumes": volumes,
    }
    return ContainerOptions.model_construct(**{**values, **inner})
