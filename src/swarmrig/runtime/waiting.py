"""Racing what may happen."""

from __future__ import annotations

import anyio


async def first_of(*events: anyio.Event) -> None:
    """Return once any of the events is set."""
    async with anyio.create_task_group() as race:

        async def wait(event: anyio.Event) -> None:
            await event.wait()
            race.cancel_scope.cancel()

        for event in events:
            race.start_soon(wait, event)
