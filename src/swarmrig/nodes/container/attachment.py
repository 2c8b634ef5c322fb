"""The container's place on the fabric: an interface in its network namespace that the network process reads."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio
import anyio.to_thread

from swarmrig.api.nodes import LaunchContext
from swarmrig.errors import HostError
from swarmrig.net.interface import Tap
from swarmrig.net.netns import open_tap, remove_link


@asynccontextmanager
async def attached(context: LaunchContext, pid: int) -> AsyncIterator[int | None]:
    """Join the namespace of the process to the fabric; yields its descriptor, None when the process has just ended.

    In the end the interface goes, also where something else keeps the namespace, so that the fabric lets go of it.
    """
    namespace = _namespace(pid)
    if namespace is None:
        yield None
        return
    try:
        fd = await anyio.to_thread.run_sync(open_tap, namespace, Tap.of(context.device))
        try:
            await context.network.attach(context.device.name, fd)
        finally:
            os.close(fd)
        try:
            yield namespace
        finally:
            with anyio.CancelScope(shield=True), suppress(HostError, OSError):
                await anyio.to_thread.run_sync(remove_link, namespace, Tap.of(context.device).name)
    finally:
        os.close(namespace)


def _namespace(pid: int) -> int | None:
    try:
        return os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC) if pid else None
    except (FileNotFoundError, ProcessLookupError):
        return None
    except OSError as error:
        raise HostError(f"cannot open the network namespace of process {pid}: {error.strerror}") from error
