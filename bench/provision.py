"""Provisioning 100 nodes, NVS and flash image each, against one generator process per node.

The peer runs Espressif's generator once per node, as its documentation shows, and gets the image assembly of the rig
for free (the same function): what is compared is what a process per node costs. The rig's side starts cold: the time
to import the generator is in it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from swarmrig.flash.image import MIB, assemble_image, assemble_pflash
from swarmrig.flash.nvs import NVS_SIZE, NvsEntry, build_nvs
from swarmrig.flash.provision import nvs_entries
from swarmrig.model.network import DevicePlan
from swarmrig.model.scenario import NetworkSpec, NodeSpec, Role, Scenario, TimeMode

NODES = 100
PEER_NODES = 20
"""Each costs a quarter of a second; the times are per node."""
Assemble = Callable[[Path, bytes], object]


def run() -> None:
    runs = Path.cwd() / "runs"  # where run directories, and so flash images, are
    runs.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=runs) as name:
        directory = Path(name)
        base = assemble_image(directory / "base.bin", build_nvs(()), size=4 * MIB).path
        for title in ("refnode", "esp32 4 MiB"):
            ours, ours_cpu = cold_rig(directory, title, base)
            peer, peer_cpu = generator_processes(directory, assembly(title, base))
            print(
                f"provision: {title}: {ours * 1e3:.2f} ms a node, generator process {peer * 1e3:.1f} ms, "
                f"ratio vs nvs_partition_gen = {peer / ours:.2f} (CPU time {peer_cpu / ours_cpu:.2f})"
            )


def assembly(title: str, base: Path) -> Assemble:
    return assemble_pflash if title == "refnode" else partial(assemble_image, base=base)


def swarm(count: int) -> Scenario:
    sensors = (NodeSpec(f"s{n}", n, scenario=n % 4, tdm_slot=n, edge_tier=2) for n in range(1, count))
    nodes = (NodeSpec("coord", 0, role=Role.COORDINATOR), *sensors)
    return Scenario("bench", 10**9, 7, TimeMode.REAL, NetworkSpec(), nodes)


def entries_of(scenario: Scenario, spec: NodeSpec) -> tuple[NvsEntry, ...]:
    device = DevicePlan(spec.id, f"52:54:00:00:00:{spec.number:02x}", "lan", ip=f"10.0.1.{10 + spec.number}")
    return nvs_entries(spec, scenario, device, target_ip="10.0.1.10", aggregator_ip="10.0.0.1")


def rig(directory: Path, title: str, base: Path) -> tuple[float, float]:
    """Seconds a node in this process: wall and CPU."""
    assemble = assembly(title, base)
    begin, begin_cpu = time.perf_counter(), time.process_time()
    scenario = swarm(NODES)
    for spec in scenario.nodes:
        assemble(directory / f"{spec.id}.bin", build_nvs(entries_of(scenario, spec)))
    return (time.perf_counter() - begin) / NODES, (time.process_time() - begin_cpu) / NODES


def cold_rig(directory: Path, title: str, base: Path) -> tuple[float, float]:
    """The same in a process that has not built any NVS before."""
    code = "import sys; from pathlib import Path; from bench.provision import rig; "
    code += "print(*rig(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))"
    command = [sys.executable, "-c", code, str(directory), title, str(base)]
    wall, cpu = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return float(wall), float(cpu)


def generator_processes(directory: Path, assemble: Assemble) -> tuple[float, float]:
    """Seconds a node with one generator process each: wall and CPU."""
    scenario = swarm(PEER_NODES)
    table, partition = directory / "nvs.csv", directory / "nvs.bin"
    command = [sys.executable, "-m", "esp_idf_nvs_partition_gen", "generate", str(table), str(partition), hex(NVS_SIZE)]
    begin, begin_cpu = time.perf_counter(), cpu_with_children()
    for spec in scenario.nodes:
        table.write_text(csv(entries_of(scenario, spec)))
        subprocess.run(command, check=True, capture_output=True)
        assemble(directory / f"{spec.id}.bin", partition.read_bytes())
    return (time.perf_counter() - begin) / PEER_NODES, (cpu_with_children() - begin_cpu) / PEER_NODES


def cpu_with_children() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def csv(entries: Sequence[NvsEntry]) -> str:
    """The generator's input format."""
    lines, namespace = ["key,type,encoding,value"], ""
    for entry in entries:
        if entry.namespace != namespace:
            namespace = entry.namespace
            lines.append(f"{namespace},namespace,,")
        lines.append(f"{entry.key},data,{entry.type},{entry.value!s}")
    return "\n".join(lines) + "\n"
