"""How long 50 guests take from plan to booted and back, against spawning the same 50 emulators bare.

The rig side is a whole run: planning, provisioning, network process, guardian, consoles, judging. The peer is the same
emulators with the same images on prepared flash, spawned from this process as many at a time as there are cores, each
until its boot marker, and at the end killed. Rounds alternate, and the best of each side counts: other load on the
machine can only add.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import anyio

from swarmrig.flash.image import assemble_pflash
from swarmrig.flash.nvs import build_nvs
from swarmrig.model.scenario import CheckSpec, NetworkSpec, NodeSpec, Scenario, TimeMode
from swarmrig.nodes.qemu.firmware import firmware_path
from swarmrig.plugins import Registry
from swarmrig.runtime.events import Event
from swarmrig.runtime.observer import Snapshot
from swarmrig.runtime.plan import make_plan
from swarmrig.runtime.run import RunOptions
from swarmrig.runtime.run import run as run_plan

GUESTS = 50
ROUNDS = 4
MARKER = b"app_main"
ALLOWED_MIB = 100 + GUESTS


@dataclass
class Measured:
    up_s: float = 0.0
    down_s: float = 0.0
    memory_mib: float = 0.0


def run() -> None:
    """Prints launch, tear-down and memory, each with its ratio."""
    bare, rig = [], []
    for _ in range(ROUNDS):
        bare.append(_bare())
        rig.append(_rig())
    up, bare_up = min(one.up_s for one in rig), min(one.up_s for one in bare)
    down, bare_down = min(one.down_s for one in rig), min(one.down_s for one in bare)
    memory = max(one.memory_mib for one in rig)
    print(
        f"launch: {GUESTS} guests from plan to all booted {up:.2f} s, bare {bare_up:.2f} s, "
        f"ratio vs bare spawn = {up / bare_up:.2f}"
    )
    print(
        f"launch: tear-down of {GUESTS} guests {down:.2f} s, bare {bare_down:.2f} s, "
        f"ratio vs SIGKILL of bare spawn = {down / bare_down:.2f}"
    )
    print(
        f"launch: memory of rig, guardian and network {memory:.0f} MiB with {GUESTS} nodes, "
        f"ratio vs 100 MiB + 1 MiB a node = {memory / ALLOWED_MIB:.2f}"
    )


def _rig() -> Measured:
    watch = _Watch()
    with tempfile.TemporaryDirectory(prefix="swarmrig-bench-") as place:
        anyio.run(_run, watch, Path(place))
        ended = time.perf_counter()
    if watch.booted < GUESTS:
        raise RuntimeError(f"only {watch.booted} of {GUESTS} guests booted")
    return Measured(watch.all_booted - watch.begun, ended - watch.stopping, watch.memory_mib)


async def _run(watch: _Watch, place: Path) -> None:
    watch.begun = time.perf_counter()
    plan = await make_plan(_scenario(), Registry.load())
    await run_plan(plan, RunOptions(output_dir=place, observer=watch))


@dataclass
class _Watch:
    """An observer that notes the moments."""

    begun: float = 0.0
    all_booted: float = 0.0
    stopping: float = 0.0
    memory_mib: float = 0.0
    booted: int = 0

    def on_event(self, event: Event) -> None:
        if event.kind == "run.stopping":
            self.memory_mib = _own_memory_mib()
            self.stopping = time.perf_counter()
        elif event.kind == "node.booted":
            self.booted += 1
            self.all_booted = time.perf_counter()

    def progress(self, snapshot: Snapshot) -> None: ...


def _scenario() -> Scenario:
    return Scenario(
        name="launch",
        duration_ns=60 * 10**9,
        seed=0,
        time=TimeMode.REAL,
        network=NetworkSpec(),
        nodes=tuple(NodeSpec(id=f"n{number}", number=number, tdm_slot=number) for number in range(GUESTS)),
        checks=(CheckSpec("all_nodes_boot", "all_nodes_boot", {}),),
    )


def _own_memory_mib() -> float:
    """Proportional set size of this process and its Python children: the guardian and the network process."""
    kib = 0
    for pid in (os.getpid(), *descendants(os.getpid())):
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        if b"qemu-system" not in command.split(b"\0")[0]:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            kib += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return kib / 1024


def descendants(pid: int) -> list[int]:
    children = [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]
    return children + [grandchild for child in children for grandchild in descendants(child)]


def _bare() -> Measured:
    with tempfile.TemporaryDirectory(prefix="swarmrig-bench-") as place:
        commands = [_bare_command(Path(place), number) for number in range(GUESTS)]
        begun = time.perf_counter()
        processes = _spawn_until_booted(commands)
        up = time.perf_counter()
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()
        down = time.perf_counter()
        for process in processes:
            assert process.stdout is not None
            process.stdout.close()
    return Measured(up - begun, down - up)


def _bare_command(place: Path, number: int) -> list[str]:
    flash = place / f"{number}.bin"
    assemble_pflash(flash, build_nvs(()))
    return [
        "qemu-system-riscv32",
        *("-nodefaults", "-no-user-config", "-display", "none", "-machine", "virt", "-accel", "tcg,tb-size=8"),
        *("-m", "16M", "-global", "virtio-mmio.force-legacy=off", "-bios", str(firmware_path("refnode-rv32"))),
        *("-drive", f"if=pflash,unit=1,format=raw,file={flash}", "-serial", "stdio"),
        *("-netdev", "hubport,id=net,hubid=0", "-device", "virtio-net-device,netdev=net"),
    ]


def _spawn_until_booted(commands: list[list[str]]) -> list[subprocess.Popen[bytes]]:
    """As many starting at a time as there are cores, each until its marker."""
    waiting, processes = list(commands), []
    heard: dict[int, bytes] = {}
    with selectors.DefaultSelector() as selector:
        while waiting or selector.get_map():
            while waiting and len(selector.get_map()) < (os.cpu_count() or 1):
                process = subprocess.Popen(
                    waiting.pop(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
                )
                assert process.stdout is not None
                selector.register(process.stdout, selectors.EVENT_READ)
                processes.append(process)
            for key, _ in selector.select(timeout=60):
                chunk = os.read(key.fd, 65536)
                heard[key.fd] = heard.get(key.fd, b"") + chunk
                if MARKER in heard[key.fd] or not chunk:
                    selector.unregister(key.fileobj)
    return processes
