"""Signals become events; nothing outside the command line knows of them."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio


@asynccontextmanager
async def interruption(scope: anyio.CancelScope) -> AsyncIterator[anyio.Event]:
    """An event that the first SIGINT, SIGTERM or SIGHUP sets; a second one cancels `scope`.

    A signal that was ignored when we started (nohup, a background job of a script) stays ignored.
    """
    interrupted = anyio.Event()
    heeded = [
        number
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if number is signal.SIGTERM or signal.getsignal(number) is not signal.SIG_IGN
    ]
    with anyio.open_signal_receiver(*heeded) as signals:
        async with anyio.create_task_group() as tasks:

            async def listen() -> None:
                async for _ in signals:
                    if interrupted.is_set():
                        scope.cancel()
                    interrupted.set()

            tasks.start_soon(listen)
            yield interrupted
            tasks.cancel_scope.cancel()
