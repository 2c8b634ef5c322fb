"""The state of a guest in virtual time, written down while its machine is held.

QEMU's migration to a file has the processor, memory and devices. On the RISC-V machine it leaves out the timer of the
CLINT (RISC-V ACLINT specification): the compare register is there, but nothing is armed until somebody writes it, and
QEMU then counts from that moment in whole ticks of `mtime`. So it is written again, at a moment that lies a whole
number of ticks before the interrupt is due; the interrupt comes at the very nanosecond at which it would have come.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread

from swarmrig.api.nodes import NodeSnapshot
from swarmrig.errors import HostError, NodeError
from swarmrig.flash.image import copy_image
from swarmrig.nodes.emulator.monitor import Monitor
from swarmrig.nodes.qemu.lockstep import LockstepNode
from swarmrig.nodes.qemu.provisioning import flash_path

DEADLINE_S = 60.0
POLL_S = 0.002
NO_LIMIT = 1 << 40
"""Bytes a second."""


@dataclass(frozen=True, slots=True)
class TickTimer:
    """A timer that migration does not arm again."""

    now_address: int
    compare_address: int
    tick_ns: int

    def stores(
        self, node: str, t_ns: int, ticks: int, compare: int, deadline_ns: int | None
    ) -> tuple[tuple[int, int, bytes], ...]:
        """What arms it again, at the guest's time `t_ns`; `deadline_ns`: when the guest acts next. NodeError when that
        is not known to the nanosecond."""
        if ticks != t_ns // self.tick_ns:
            raise NodeError(node, "its clock was set back since it was switched on, which a snapshot does not keep")
        if deadline_ns is None:
            delay_ns = 0
        elif 0 <= deadline_ns - compare * self.tick_ns < self.tick_ns:
            delay_ns = (deadline_ns - t_ns) % self.tick_ns
        else:
            raise NodeError(node, f"it acts next at {deadline_ns} ns by no timer that a snapshot is known to keep")
        return ((delay_ns, self.compare_address, compare.to_bytes(8, "little")),)


TIMERS = {("riscv32", "virt"): TickTimer(0x0200_BFF8, 0x0200_4000, 100)}
"""QEMU's hw/riscv/virt.c: the CLINT at 0x02000000, 10 MHz."""


class WithSnapshot(LockstepNode):
    """CanSnapshot."""

    async def snapshot(self, directory: Path) -> NodeSnapshot:
        """See api.CanSnapshot."""
        details = self.plan.details
        timer = TIMERS.get((str(details["architecture"]), str(details["qemu_machine"])))
        state = directory / f"{self.spec.id}.state"
        stores: tuple[tuple[int, int, bytes], ...] = ()
        async with self.held() as emulator:
            monitor = emulator.monitor
            place = await self._network.whereabouts(self.spec.id)
            if place["with_more"]:
                raise NodeError(self.spec.id, "it has inputs that it has not taken yet, or is paused")
            if timer is not None:
                ticks = await _read(monitor, self.spec.id, timer.now_address)
                compare = await _read(monitor, self.spec.id, timer.compare_address)
                stores = timer.stores(self.spec.id, place["t_ns"], ticks, compare, place["deadline_ns"])
            await _write_state(monitor, self.spec.id, state)
            flash = await anyio.to_thread.run_sync(self._copy_flash, directory)
        return NodeSnapshot(state, flash, stores)

    def _copy_flash(self, directory: Path) -> Path | None:
        source = flash_path(self._context.directory)
        if not source.exists():
            return None
        copy = directory / f"{self.spec.id}.flash"
        copy_image(source, copy)
        return copy


async def _read(monitor: Monitor, node: str, address: int) -> int:
    """Eight bytes of a register."""
    answer = await monitor.execute("human-monitor-command", **{"command-line": f"xp /2xw {address:#x}"})
    words = re.findall(r"0x([0-9a-f]{8})\b", str(answer).partition(":")[2])
    if len(words) != 2:
        raise NodeError(node, f"the emulator does not tell what is at {address:#x}: {str(answer).strip()}")
    return int(words[1] + words[0], 16)


async def _write_state(monitor: Monitor, node: str, path: Path) -> None:
    """Have the emulator write the state of its machine to a file."""
    try:
        file = path.open("wb")
    except OSError as error:
        raise HostError(f"{path} cannot be written: {error.strerror}") from error
    with file:
        await monitor.pass_descriptor("state", file.fileno())
    await monitor.execute("migrate-set-parameters", **{"max-bandwidth": NO_LIMIT})
    await monitor.execute("migrate", uri="fd:state")
    with anyio.move_on_after(DEADLINE_S):
        while True:
            answer = await monitor.execute("query-migrate")
            status = answer.get("status")
            if status == "completed":
                return
            if status in ("failed", "cancelled"):
                break
            await anyio.sleep(POLL_S)
    reason = answer.get("error-desc", status)
    raise NodeError(node, f"the state of its machine could not be written to {path}: {reason}")
