"""The engine: where its socket is, how it is asked, and what its refusals mean."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from swarmrig.errors import HostError, MissingExtraError, NodeError

if TYPE_CHECKING:
    from aiodocker import Docker

ANSWER_S = 10.0
"""For what an engine answers from memory."""
UNREACHABLE = 900
"""The status that aiodocker gives to an engine that it cannot connect to."""
CONNECTION_HINT = (
    "is it running (systemctl start docker)? May you use it (group docker)? Another one: `engine:` or DOCKER_HOST"
)


class EngineLostError(HostError):
    """The engine does not answer any more."""


def socket_of(node: str, given: Path | None) -> Path:
    """The engine's socket: as given, by DOCKER_HOST, or the first that is there. HostError when there is none."""
    if given is not None:
        return given
    host = os.environ.get("DOCKER_HOST")
    if host:
        if not host.startswith("unix://"):
            raise HostError(
                f"node {node}: DOCKER_HOST is {host}, but containers join the run's network on this machine only",
                hint="use an engine behind a unix:// socket",
            )
        return Path(host.removeprefix("unix://"))
    places = _places()
    found = next((place for place in places if place.is_socket()), None)
    if found is None:
        raise HostError(
            f"node {node}: no container engine: there is none of {', '.join(map(str, places))}",
            hint="apt install docker.io, or say where it is: `engine:` or DOCKER_HOST",
        )
    return found


def _places() -> list[Path]:
    own = os.environ.get("XDG_RUNTIME_DIR")
    names = ("docker.sock", "podman/podman.sock")
    return [Path("/run") / name for name in names] + [Path(own) / name for name in names if own]


@asynccontextmanager
async def open_engine(socket: Path) -> AsyncIterator[Docker]:
    """A client of the engine, which has answered. HostError when it has not."""
    try:
        from aiodocker import Docker
    except ImportError as error:
        raise MissingExtraError("a node of kind container", "docker") from error
    async with Docker(url=f"unix://{socket}") as client:
        with reaching(socket):
            with anyio.fail_after(ANSWER_S):
                await client.version()
        yield client


@contextmanager
def reaching(socket: Path) -> Iterator[None]:
    """EngineLostError for whatever tells that the engine is not there; a refusal (DockerError) passes."""
    from aiodocker import DockerError
    from aiohttp import ClientError

    try:
        yield
    except DockerError as error:
        if error.status != UNREACHABLE:
            raise
        raise _lost(socket, error.message) from error
    except TimeoutError as error:
        raise _lost(socket, "no answer") from error
    except (ClientError, OSError) as error:
        raise _lost(socket, str(error) or type(error).__name__) from error


@contextmanager
def asking(node: str, socket: Path, what: str) -> Iterator[None]:
    """NodeError with the engine's own words when it refuses; EngineLostError when it is not there."""
    from aiodocker import DockerError

    with reaching(socket):
        try:
            yield
        except DockerError as error:
            if error.status == UNREACHABLE:
                raise
            raise NodeError(node, f"{what}: the engine says: {error.message.strip()}") from error


def _lost(socket: Path, why: str) -> EngineLostError:
    return EngineLostError(f"the container engine at {socket} does not answer: {why}", hint=CONNECTION_HINT)
