"""Faults of processes, injected and proved: the kernel says whether a process stands still or has died."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping, Sequence

import anyio

from swarmrig.model.units import NS_PER_S, format_seconds
from swarmrig.proc import Process, probe
from swarmrig.suites.plan import ProcessFault

Say = Callable[[str], object]
_SEEN_WITHIN_S = 1.0
_LOOK_S = 0.001
_STOPPED = frozenset("Tt")


async def inject(faults: Sequence[ProcessFault], running: Mapping[str, Process], say: Say) -> bool:
    """Do to the processes what the faults say, each at its time from now; True when all were seen to happen, and
    every pause to end. A fault whose process has ended before is not a fault that happened."""
    begin = time.monotonic_ns()
    proved: list[bool] = []

    async def run(fault: ProcessFault) -> None:
        await anyio.sleep(max(0.0, (begin + fault.at_ns - time.monotonic_ns()) / NS_PER_S))

        def tell(what: str) -> None:
            say(f"{format_seconds(time.monotonic_ns() - begin)} {fault.kind} {fault.process}: {what}")

        act = _kill if fault.for_ns is None else _pause
        proved.append(await act(fault, running[fault.process], tell))

    async with anyio.create_task_group() as tasks:
        for fault in faults:
            tasks.start_soon(run, fault)
    return all(proved) and len(proved) == len(faults)


async def _pause(fault: ProcessFault, process: Process, tell: Say) -> bool:
    assert fault.for_ns is not None
    if process.exit_status is not None:
        tell("not injected: it has ended")
        return False
    process.send_signal(signal.SIGSTOP)
    tell("injected")
    try:
        if not await _seen(lambda: _state(process) in _STOPPED):
            tell("not observed")
            return False
        tell("observed: it stands still")
        await anyio.sleep(fault.for_ns / NS_PER_S)
    finally:
        process.send_signal(signal.SIGCONT)
    tell("healed")
    healed = await _seen(lambda: process.exit_status is not None or _state(process) not in _STOPPED)
    tell("heal observed: it runs again" if healed else "heal not observed")
    return healed


async def _kill(_fault: ProcessFault, process: Process, tell: Say) -> bool:
    if process.exit_status is not None:
        tell("not injected: it has ended")
        return False
    process.send_signal(signal.SIGKILL)
    tell("injected")
    seen = False
    with anyio.move_on_after(_SEEN_WITHIN_S):
        seen = (await process.wait()).signal == signal.SIGKILL
    tell("observed: it was killed" if seen else "not observed")
    return seen


def _state(process: Process) -> str:
    found = probe.stat(process.pid)
    return found.state if found is not None else ""


async def _seen(condition: Callable[[], bool]) -> bool:
    with anyio.move_on_after(_SEEN_WITHIN_S):
        while not condition():  # noqa: ASYNC110 - only its parent is told that a process stands still
            await anyio.sleep(_LOOK_S)
        return True
    return False
