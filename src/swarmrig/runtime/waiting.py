"""Racing what may happen, and doing one thing beside another."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio.abc import TaskGroup


async def first_of(*events: anyio.Event) -> None:
    """Return once any of the events is set."""
    async with anyio.create_task_group() as race:

        async def wait(event: anyio.Event) -> None:
            await event.wait()
            race.cancel_scope.cancel()

        for event in events:
            race.start_soon(wait, event)


@asynccontextmanager
async def beside() -> AsyncIterator[TaskGroup]:
    """Tasks that go on while something is done, and end with it. What that raises comes out as it is, and not as one
    error of a group."""
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        try:
            yield tasks
        except Exception as error:
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
