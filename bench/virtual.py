"""Virtual time: how much faster than the wall's clock, what coordination costs, how it grows, and what bounds it.

Speeds are virtual seconds a wall second between the first and the last look at a run that has booted. The peer of
`coordination` is the same firmware with the same flash, free-running: stock QEMU with `-icount … sleep=off`, no plugin,
no coordinator, its frames carried by QEMU's own multicast netdev, nothing recorded and nothing judged.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

import anyio

from bench.launch import descendants
from swarmrig.model.network import Impairment
from swarmrig.model.scenario import CheckSpec, FaultSpec, NetworkSpec, NodeSpec, Role, Scenario, TimeMode, Topology
from swarmrig.model.units import NS_PER_S
from swarmrig.plugins import Registry
from swarmrig.runtime.events import Event
from swarmrig.runtime.observer import Snapshot
from swarmrig.runtime.plan import make_plan
from swarmrig.runtime.run import RunOptions
from swarmrig.runtime.run import run as run_plan

ROUNDS = 5
SIZES = (2, 4, 8, 16, 32, 64)
FREE_FROM_S = 5
REQUIRED = {16: 12.0, 32: 6.0}


def run() -> None:
    """Prints each figure with its ratio."""
    _standard()
    _coordination()
    _heavy()
    _latency()
    _growth()


def _standard() -> None:
    """The preset as a user runs it, and inside that the time when the guests live."""
    walls, speeds = [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(prefix="swarmrig-bench-") as place:
            begun = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "swarmrig", "run", "standard", "--output-dir", place],
                check=True, stdout=subprocess.DEVNULL,
            )  # fmt: skip
            walls.append(time.perf_counter() - begun)
        speeds.append(_measure(_swarm(3, 60)).speed)
    wall, speed = min(walls), max(speeds)
    print(
        f"virtual: standard from command to verdict {wall:.2f} s (median {median(walls):.2f}), "
        f"ratio vs 60 s of real time = {60 / wall:.1f}"
    )
    print(f"virtual: 3 guests once booted (median {median(speeds):.1f}), ratio vs real time = {speed:.1f}")


def _coordination() -> None:
    """Guests with short turns share one core, so the peer is measured on one core, and on all that there are."""
    ours, alone, free = [], [], []
    for _ in range(ROUNDS):
        ours.append(_measure(_swarm(3, 120)).speed)
        alone.append(_free_running(_swarm(3, 120), cores="0"))
        free.append(_free_running(_swarm(3, 120)))
    speed = median(ours)
    print(
        f"virtual: 3 guests {speed:.1f} x; free-running on one core {median(alone):.1f} x, "
        f"ratio vs stock QEMU with icount on one core = {speed / median(alone):.2f}"
    )
    print(
        f"virtual: 3 guests {speed:.1f} x; free-running on {os.cpu_count()} cores {median(free):.1f} x, "
        f"ratio vs stock QEMU with icount on all cores = {speed / median(free):.2f}"
    )


def _heavy() -> None:
    """Each of three nodes is told every four seconds to send 920 frames more, and to print its help 196 times.

    In a star the coordinating node stands at the switch without any distance: it is asked for each frame by itself.
    """
    for topology in (Topology.MESH, Topology.STAR):
        _print_heavy(topology)


def _print_heavy(topology: Topology) -> None:
    best = max((_measure(_loaded(20, topology)) for _ in range(3)), key=lambda one: one.speed)
    print(
        f"virtual: 3 guests in a {topology} with {best.frames / best.virtual_s:.0f} frames/s of their own and "
        f"{best.console_bytes / best.virtual_s / 1000:.0f} kB/s of console, ratio vs real time = {best.speed:.1f}"
    )


def _latency() -> None:
    """Shorter links let guests run less far ahead of each other."""
    long, short = [], []
    for _ in range(ROUNDS):
        long.append(_measure(_swarm(3, 60, latency_ms=10)).speed)
        short.append(_measure(_swarm(3, 60, latency_ms=1)).speed)
    print(
        f"virtual: links of 1 ms {max(short):.1f} x, of 10 ms {max(long):.1f} x, "
        f"ratio vs 10 ms = {max(short) / max(long):.2f}"
    )


def _growth() -> None:
    """All behind one switch, by links of 10 ms; and where a coordinating node stands at the switch itself."""
    for size in SIZES:
        _print_growth(size, Topology.MESH, latency_ms=10)
    for size in REQUIRED:
        _print_growth(size, Topology.STAR, latency_ms=5)


def _print_growth(size: int, topology: Topology, *, latency_ms: int) -> None:
    swarm = _swarm(size, max(8, 480 // size), latency_ms=latency_ms, topology=topology)
    best = max((_measure(swarm) for _ in range(3)), key=lambda one: one.speed)
    required = f", required {REQUIRED[size]:g}" if size in REQUIRED else ""
    used = ", ".join(f"{kind} {seconds * 1000 / best.virtual_s:.1f} ms" for kind, seconds in best.cpu.items())
    print(
        f"virtual: {size} guests in a {topology}, links of {latency_ms} ms, CPU a virtual second: {used}; "
        f"ratio vs real time = {best.speed:.1f}{required}"
    )


@dataclass
class Measured:
    """An observer that notes how virtual and wall time go together."""

    looks: list[tuple[float, int]] = field(default_factory=list)
    before: dict[str, float] = field(default_factory=dict)
    frames: int = 0
    console_bytes: int = 0
    cpu: dict[str, float] = field(default_factory=dict)
    """Seconds of CPU between first and last look, of the rig, the network process and the guests."""

    def on_event(self, event: Event) -> None:
        if event.kind == "run.stopping":
            self.cpu = {kind: seconds - self.before.get(kind, 0.0) for kind, seconds in _cpu_by_kind().items()}

    def progress(self, snapshot: Snapshot) -> None:
        if snapshot.now_ns > 2 * NS_PER_S:
            self.before = self.before or _cpu_by_kind()
            self.looks.append((time.perf_counter(), snapshot.now_ns))

    @property
    def virtual_s(self) -> float:
        return (self.looks[-1][1] - self.looks[0][1]) / NS_PER_S

    @property
    def speed(self) -> float:
        (wall_a, virtual_a), (wall_b, virtual_b) = self.looks[0], self.looks[-1]
        return (virtual_b - virtual_a) / NS_PER_S / (wall_b - wall_a)


def _measure(scenario: Scenario) -> Measured:
    measured = Measured()
    with tempfile.TemporaryDirectory(prefix="swarmrig-bench-") as place:
        anyio.run(_run, scenario, measured, Path(place))
    return measured


async def _run(scenario: Scenario, measured: Measured, place: Path) -> None:
    plan = await make_plan(scenario, Registry.load())
    finished = await run_plan(plan, RunOptions(output_dir=place, observer=measured))
    if finished.record.digest is None:
        raise RuntimeError(f"the run was not exact: {finished.record.failures}")
    measured.frames = finished.record.aggregator["frames"]
    measured.console_bytes = sum(node.console_bytes for node in finished.record.nodes)


def _loaded(seconds: int, topology: Topology = Topology.MESH) -> Scenario:
    swarm = _swarm(3, seconds, topology=topology)
    text = "\r".join(["flood 920", *["help"] * 196])
    faults = tuple(
        FaultSpec(
            id=f"load-{node.id}-{second}",
            kind="console_type",
            at_ns=second * NS_PER_S,
            for_ns=None,
            params={"node": node.id, "text": text, "says": "help"},
        )
        for second in range(1, seconds, 4)
        for node in swarm.nodes
    )
    return replace(swarm, name="bench-heavy", faults=faults)


def _cpu_by_kind() -> dict[str, float]:
    own = os.times()
    seconds = {"rig": own.user + own.system, "network": 0.0, "guests": 0.0}
    for pid in descendants(os.getpid()):
        kind = _kind(Path(f"/proc/{pid}/cmdline").read_bytes())
        if kind is not None:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            seconds[kind] += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return seconds


def _kind(command: bytes) -> str | None:
    if b"qemu-system" in command.split(b"\0")[0]:
        return "guests"
    return "network" if b"swarmrig.timebase.process" in command else None


def _swarm(size: int, seconds: int, *, latency_ms: int = 5, topology: Topology = Topology.STAR) -> Scenario:
    """A coordinating node and its sensors: as in the preset `standard`, unless told otherwise."""
    nodes = tuple(
        NodeSpec(
            id=f"n{number}",
            number=number,
            role=Role.SENSOR if number else Role.COORDINATOR,
            tdm_slot=number,
            scenario=number % 4,
        )
        for number in range(size)
    )
    return Scenario(
        name=f"bench-{size}",
        duration_ns=seconds * NS_PER_S,
        seed=42,
        time=TimeMode.VIRTUAL,
        network=NetworkSpec(
            topology=topology,
            hub="n0" if topology is Topology.STAR else None,
            impairment=Impairment(latency_ns=latency_ms * 1_000_000),
        ),
        nodes=nodes,
        checks=(CheckSpec("all_nodes_boot", "all_nodes_boot", {}),),
    )


def _free_running(scenario: Scenario, cores: str = "") -> float:
    """Virtual seconds a wall second of the slowest, from `FREE_FROM_S` on its clock to the end of the scenario."""
    with tempfile.TemporaryDirectory(prefix="swarmrig-bench-") as place:
        short = replace(scenario, duration_ns=NS_PER_S // 100)
        anyio.run(_run, short, Measured(), Path(place))  # provisions
        nodes = sorted(Path(place).glob("*/nodes/*/argv"))
        processes = [
            subprocess.Popen([*_pinned(cores), *_bare_command(argv)], stderr=subprocess.DEVNULL) for argv in nodes
        ]
        try:
            consoles = [argv.with_name("free.log") for argv in nodes]
            begun = _when_all_show(consoles, FREE_FROM_S)
            seconds = scenario.duration_ns // NS_PER_S
            return (seconds - FREE_FROM_S) / (_when_all_show(consoles, seconds) - begun)
        finally:
            for process in processes:
                process.kill()
                process.wait()


def _pinned(cores: str) -> list[str]:
    return ["taskset", "-c", cores] if cores else []


def _bare_command(argv: Path) -> list[str]:
    """The node's own command without the plugin, with QEMU's multicast network and a console in a file."""
    words = shlex.split(argv.read_text(encoding="utf-8"))
    changed = {"-netdev": "socket,id=net,mcast=239.83.87.2:15987,localaddr=127.0.0.1",
               "-chardev": f"file,id=console,path={argv.with_name('free.log')}"}  # fmt: skip
    command, options = [words[0]], iter(words[1:])
    for option in options:
        value = None if option.startswith("-no") or option == "-nodefaults" else next(options)
        if option in ("-plugin", "-mon") or (value or "").startswith("socket,id=monitor"):
            continue
        command += [option] if value is None else [option, changed.get(option, value)]
    return command


def _when_all_show(consoles: list[Path], seconds: int) -> float:
    """Wall time at which every guest has logged something at or after that many seconds of its own clock."""
    pattern = re.compile(rb"^. \((\d+)\)", re.MULTILINE)
    while not all(
        times and int(times[-1]) >= seconds * 1000
        for times in (pattern.findall(path.read_bytes()) if path.exists() else [] for path in consoles)
    ):
        time.sleep(0.002)
    return time.perf_counter()
