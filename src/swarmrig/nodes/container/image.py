"""The image of a container: found, or built from a directory."""

from __future__ import annotations

import hashlib
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from swarmrig.errors import NodeError
from swarmrig.nodes.container.engine import asking
from swarmrig.nodes.container.options import Build

if TYPE_CHECKING:
    from aiodocker import Docker

BUILD_S = 1800.0
SHOWN_LINES = 15
LABEL = "swarmrig.image"
REPOSITORY = "swarmrig-build"
"""Built images stay, so that the next run need not build them again: `docker image prune -a --filter label=…`."""
BUILD_LOG = "build.log"


async def find_image(client: Docker, socket: Path, node: str, name: str) -> Mapping[str, Any]:
    """What the engine knows of an image. NodeError when it does not have it."""
    from aiodocker import DockerError

    with asking(node, socket, f"the image {name} cannot be used"):
        try:
            found: Mapping[str, Any] = await client.images.inspect(name)
        except DockerError as error:
            if error.status != 404:
                raise
            message = f"the engine at {socket} has no image {name}"
            raise NodeError(node, message, hint=f"docker pull {name}, or use `build:`") from None
    return found


def check_context(node: str, build: Build) -> None:
    """NodeError when the directory or its Dockerfile is not there."""
    if not build.context.is_dir():
        raise NodeError(node, f"build.context: the directory {build.context} does not exist")
    if not (build.context / build.dockerfile).is_file():
        raise NodeError(node, f"build.dockerfile: {build.context / build.dockerfile} does not exist")


async def build_image(client: Docker, socket: Path, node: str, build: Build, directory: Path) -> str:
    """Build it; the log is written to `directory`. Returns the image's tag. NodeError with the end of the log when
    the build fails."""
    check_context(node, build)
    log = directory / BUILD_LOG
    tag = _tag(build)
    with tempfile.TemporaryFile() as archive, log.open("w", encoding="utf-8") as file:
        await anyio.to_thread.run_sync(_pack, archive, build.context)
        try:
            with asking(node, socket, "its image cannot be built"), anyio.fail_after(BUILD_S):
                steps = client.images.build(
                    fileobj=archive, encoding="identity", path_dockerfile=build.dockerfile, tag=tag, rm=True,
                    forcerm=True, buildargs=build.args or None, labels={LABEL: "1"}, stream=True,
                )  # fmt: skip
                async for step in steps:
                    file.write(step.get("stream") or step.get("error") or "")
        except NodeError as error:
            file.flush()
            lines = [line for line in log.read_text(encoding="utf-8").splitlines() if line.strip()][-SHOWN_LINES:]
            shown = "".join(f"\n  {line}" for line in lines)
            raise NodeError(node, f"{error.message.partition(': ')[2]}{shown}", log=str(log)) from error
    return tag


def _tag(build: Build) -> str:
    """One for each thing to build: a later build of the same takes its place."""
    named = f"{build.context.resolve()}\0{build.dockerfile}\0{sorted(build.args.items())}"
    return f"{REPOSITORY}:{hashlib.sha256(named.encode()).hexdigest()[:16]}"


def _pack(archive: IO[bytes], context: Path) -> None:
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.add(context, arcname=".")
    archive.seek(0)
