"""Work that goes on as long as a context lasts, which another task may end than the one that began it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import anyio


@asynccontextmanager
async def going_on(*chores: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Perform the chores meanwhile. What one of them raises, the end of the context does."""
    tasks = [asyncio.create_task(chore()) for chore in chores]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        with anyio.CancelScope(shield=True):
            results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result
