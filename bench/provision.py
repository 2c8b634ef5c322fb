"""Provisioning 100 nodes, NVS and flash image each, against one generator process per node.

The peer runs Espressif's generator once per node, as its documentation shows, and gets the image assembly of the rig
for free (the same function): what is compared is what a process per node costs. The rig's side starts cold: the time
to import the generator is in it.
"""

from __future__ import annotations

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


def measure() -> None:
    with tempfile.TemporaryDirectory(prefix="swarmrig-bench-", dir=Path.cwd()) as name:
        directory = Path(name)
        base = assemble_image(directory / "base.bin", build_nvs(()), size=4 * MIB).path
        cases: dict[str, Assemble] = {
            "refnode": assemble_pflash,
            "esp32 4 MiB": partial(assemble_image, base=base),
        }
        for title, assemble in cases.items():
            ours = cold_rig(directory, title, base)
            peer = generator_processes(directory, assemble)
            print(
                f"provision: {title}: {ours * 1e3:.2f} ms a node, generator process {peer * 1e3:.1f} ms, "
                f"ratio vs nvs_partition_gen = {peer / ours:.2f}"
            )


def swarm(count: int) -> Scenario:
    sensors = (NodeSpec(f"s{n}", n, scenario=n % 4, tdm_slot=n, edge_tier=2) for n in range(1, count))
    nodes = (NodeSpec("coord", 0, role=Role.COORDINATOR), *sensors)
    return Scenario("bench", 10**9, 7, TimeMode.REAL, NetworkSpec(), nodes)


def entries_of(scenario: Scenario, spec: NodeSpec) -> tuple[NvsEntry, ...]:
    device = DevicePlan(spec.id, f"52:54:00:00:00:{spec.number:02x}", "lan", ip=f"10.0.1.{10 + spec.number}")
    return nvs_entries(spec, scenario, device, target_ip="10.0.1.10", aggregator_ip="10.0.0.1")


def rig(directory: Path, title: str, base: Path) -> float:
    """Seconds a node, in this process."""
    assemble = assemble_pflash if title == "refnode" else partial(assemble_image, base=base)
    begin = time.perf_counter()
    scenario = swarm(NODES)
    for spec in scenario.nodes:
        assemble(directory / f"{spec.id}.bin", build_nvs(entries_of(scenario, spec)))
    return (time.perf_counter() - begin) / NODES


def cold_rig(directory: Path, title: str, base: Path) -> float:
    """The same in a process that has not built any NVS before."""
    code = f"from bench.provision import rig; from pathlib import Path; print(rig(Path({str(directory)!r}), {title!r}, Path({str(base)!r})))"  # noqa: E501
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def generator_processes(directory: Path, assemble: Assemble) -> float:
    """Seconds a node with one generator process each."""
    scenario = swarm(PEER_NODES)
    table, partition = directory / "nvs.csv", directory / "nvs.bin"
    command = [sys.executable, "-m", "esp_idf_nvs_partition_gen", "generate", str(table), str(partition), hex(NVS_SIZE)]
    begin = time.perf_counter()
    for spec in scenario.nodes:
        table.write_text(csv(entries_of(scenario, spec)))
        subprocess.run(command, check=True, capture_output=True)
        assemble(directory / f"{spec.id}.bin", partition.read_bytes())
    return (time.perf_counter() - begin) / PEER_NODES


def csv(entries: Sequence[NvsEntry]) -> str:
    """The generator's input format."""
    lines, namespace = ["key,type,encoding,value"], ""
    for entry in entries:
        if entry.namespace != namespace:
            namespace = entry.namespace
            lines.append(f"{namespace},namespace,,")
        lines.append(f"{entry.key},data,{entry.type},{entry.value!s}")
    return "\n".join(lines) + "\n"
