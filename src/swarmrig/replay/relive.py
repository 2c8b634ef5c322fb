"""One recorded life, lived again: the emulator is started, given its inputs at their times, and ended."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from swarmrig.api import LaunchContext, Node, NodePlan
from swarmrig.errors import NodeError
from swarmrig.model.units import format_duration
from swarmrig.replay.lives import RecordedLife
from swarmrig.timebase.solo import SoloError, SoloGuest


@dataclass(frozen=True, slots=True)
class Debugging:
    """Stop at `at_ns` of run time, before anything that happens then, and wait for a debugger."""

    port: int
    at_ns: int = 0


@dataclass(frozen=True, slots=True)
class Halt:
    """The node stands still, and its debugger stub listens on 127.0.0.1:`port`."""

    node: str
    t_ns: int
    """Run time."""
    pc: int
    port: int
    firmware: Path | None


@dataclass(slots=True)
class Deeds:
    """What a node said and sent, in run time."""

    lines: list[tuple[int, bytes]] = field(default_factory=list)
    """Console lines without their newlines."""
    frames: list[tuple[int, bytes]] = field(default_factory=list)
    ended_ns: int | None = None
    """When a debugger ended it, before its time."""


@dataclass(frozen=True, slots=True)
class Reliving:
    """How lives of one node are lived again."""

    backend: Any
    plan: NodePlan
    context: LaunchContext
    """But for the port and the flash, which are each life's own."""
    firmware: Path | None
    run_ns: int
    """When the run ended."""
    on_halt: Callable[[Halt], None]

    async def live(self, life: RecordedLife, deeds: Deeds, debugging: Debugging | None) -> None:
        """Live it, and add what was done to `deeds`. NodeError when the emulator does not run."""
        node_id = self.plan.spec.id
        ours, guests = socket.socketpair()
        context = replace(
            self.context,
            port_fd=guests.detach(),
            flash=life.flash,
            debugger_port=None if debugging is None else debugging.port,
        )
        guest = SoloGuest(ours)
        # However it ends: first our end of the channel is closed, which the emulator takes as its own end.
        async with self._started(context, ours) as node:
            try:
                await guest.greet()
                await self._drive(guest, life, deeds, debugging)
            except SoloError as error:
                message = f"{error.message}\n{node.last_words()}".rstrip()
                raise NodeError(node_id, message, hint=error.hint) from error
            await guest.end()
        guest.output.finish(guest.now_ns)
        deeds.lines += [(life.run_ns(t_ns), line) for t_ns, line in guest.output.lines]
        deeds.frames += [(life.run_ns(t_ns), frame) for t_ns, frame in guest.output.frames]

    @asynccontextmanager
    async def _started(self, context: LaunchContext, ours: socket.socket) -> AsyncIterator[Node]:
        with closing(ours):
            async with self.backend.open(self.plan, context) as node:
                with closing(ours):
                    yield node

    async def _drive(self, guest: SoloGuest, life: RecordedLife, deeds: Deeds, debugging: Debugging | None) -> None:
        inputs = life.inputs
        if debugging is not None:
            at_ns = debugging.at_ns - life.power_on_ns
            await guest.live(at_ns, [one for one in inputs if one.t_ns < at_ns])
            inputs = tuple(one for one in inputs if one.t_ns >= at_ns)
            await guest.hold()
            halt_ns = life.run_ns(guest.now_ns)
            self.on_halt(Halt(self.plan.spec.id, halt_ns, guest.pc, debugging.port, self.firmware))
            await guest.until_continued()
        await guest.live(life.end_ns, inputs)
        if guest.gone and guest.now_ns < life.end_ns:
            ended_ns = life.run_ns(guest.now_ns)
            if debugging is not None:
                deeds.ended_ns = ended_ns
            elif life.run_ns(life.end_ns) >= self.run_ns:
                raise SoloError(f"its emulator ended at {format_duration(ended_ns)}; in the run it lived on")
