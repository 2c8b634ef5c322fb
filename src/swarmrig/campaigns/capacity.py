"""What a machine has to give to runs, and who gets it: whoever has waited longest is served first."""

from __future__ import annotations

import os
import shutil
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import anyio

from swarmrig.campaigns.task import Resources, Task
from swarmrig.errors import HostError
from swarmrig.nodes.emulator.kvm import proved
from swarmrig.reports.page.words import counted
from swarmrig.runtime.doctor import docker_answers

MIB = 1 << 20
_MEMINFO, _CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")
_ROUNDING = 1e-6
"""Tenths of cores do not add up to one."""
_EMULATOR = "qemu-system-x86_64"


@dataclass(frozen=True, slots=True)
class Capacity:
    """What there is. `kvm` and `docker` are shared by all who need them; why they are not there is said."""

    cores: float
    memory_mib: int
    kvm: bool = True
    docker: bool = True
    why_no_kvm: str = ""
    why_no_docker: str = ""

    def lacks(self, needs: Resources) -> list[str]:
        """What a run would wait for in vain."""
        found = []
        if needs.cores > self.cores:
            found.append(f"{needs.cores:g} cores (there are {self.cores:g})")
        if needs.memory_mib > self.memory_mib:
            found.append(f"{needs.memory_mib} MiB of memory (there are {self.memory_mib})")
        if needs.kvm and not self.kvm:
            found.append(f"kvm ({self.why_no_kvm})")
        if needs.docker and not self.docker:
            found.append(f"docker ({self.why_no_docker})")
        return found


def refuse_what_cannot_run(tasks: tuple[Task, ...], capacity: Capacity) -> None:
    """HostError when a task needs what this machine never has, naming what lacks and who needs it."""
    lacking: dict[str, list[str]] = {}
    for task in tasks:
        for what in capacity.lacks(task.resources):
            lacking.setdefault(what, []).append(task.id)
    if lacking:
        told = [f"{what}: needed by {counted(len(ids), 'run')}, {ids[0]} the first" for what, ids in lacking.items()]
        raise HostError(
            "this machine does not have " + "; ".join(told),
            hint="say less under `resources:`, leave them out with --only, or use a machine that has it",
        )


async def capacity_for(tasks: tuple[Task, ...], jobs: int | None, memory_bytes: int | None) -> Capacity:
    """What this machine gives; KVM and the container engine are only tried when a task needs them."""
    found = Capacity(
        cores=float(jobs or len(os.sched_getaffinity(0))),
        memory_mib=(_available_bytes() if memory_bytes is None else memory_bytes) // MIB,
    )
    if any(task.resources.kvm for task in tasks):
        usable, reason = await _kvm()
        found = replace(found, kvm=usable, why_no_kvm=reason)
    if any(task.resources.docker for task in tasks):
        reason = await docker_answers()
        found = replace(found, docker=not reason, why_no_docker=reason)
    return found


async def _kvm() -> tuple[bool, str]:
    emulator = shutil.which(_EMULATOR)
    if emulator is None:
        return False, f"no {_EMULATOR}"
    finding = await proved(Path(emulator))
    return finding.ok, finding.detail


def _available_bytes() -> int:
    """What the kernel calls available, and no more than the control group may have."""
    lines = dict(line.split(":", 1) for line in _MEMINFO.read_text(encoding="ascii").splitlines())
    return min([int(lines["MemAvailable"].split()[0]) << 10, *_limits()])


def _limits() -> Iterator[int]:
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):  # `max`, or no such file
            yield int((_CGROUP / name).read_text(encoding="ascii"))


class Room:
    """Cores and memory that are taken and given back, in the order of asking: a large run is not passed by small ones
    until it starves."""

    def __init__(self, capacity: Capacity) -> None:
        self._cores = capacity.cores
        self._memory_mib = capacity.memory_mib
        self._waiting: deque[tuple[Resources, anyio.Event]] = deque()

    @asynccontextmanager
    async def taken(self, needs: Resources) -> AsyncIterator[None]:
        """Wait until it is our turn and there is room; what fits nowhere waits for ever."""
        ticket = (needs, anyio.Event())
        self._waiting.append(ticket)
        self._admit()
        try:
            await ticket[1].wait()
        except BaseException:
            if ticket[1].is_set():
                self._give_back(needs)
            else:
                self._waiting.remove(ticket)
                self._admit()
            raise
        try:
            yield
        finally:
            self._give_back(needs)

    def _admit(self) -> None:
        while self._waiting:
            needs, admitted = self._waiting[0]
            if needs.cores > self._cores + _ROUNDING or needs.memory_mib > self._memory_mib:
                return
            self._waiting.popleft()
            self._cores -= needs.cores
            self._memory_mib -= needs.memory_mib
            admitted.set()

    def _give_back(self, needs: Resources) -> None:
        self._cores += needs.cores
        self._memory_mib += needs.memory_mib
        self._admit()
