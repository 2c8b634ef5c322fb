"""A fault of a node with everything around it: a node that obeys or is numb, a clock that is set, facts told."""

import random
from dataclasses import replace
from pathlib import Path

import anyio

from swarmrig.api import FaultContext, MemoryMap, NodePlan
from swarmrig.flash.image import assemble_pflash
from swarmrig.flash.nvs import build_nvs, entries_from_values
from swarmrig.model.facts import ConsoleLine, FaultStage, Frame, NodeChange, NodeState
from swarmrig.model.network import Fate
from swarmrig.model.scenario import FaultSpec, NetworkSpec, NodeSpec, Role, Scenario, TimeMode, Topology
from swarmrig.net.topology import plan_network
from swarmrig.plugins import Registry

S, MS = 1_000_000_000, 1_000_000
AT, HEALED = 10 * S, 15 * S
FIRMWARE = Path(__file__).parents[2] / "src/swarmrig/nodes/qemu/firmware/refnode-rv32.elf"
RAM, RAM_BYTES, FLASH = 0x8000_0000, 16 << 20, 0x2200_0000
ALL = frozenset(
    {"HasConsole", "CanPause", "CanReset", "CanKill", "CanPowerCycle", "HasMemory", "HasFlash"}
)  # fmt: skip
REGISTRY = Registry.load()
BOOT = "rst:0x1 (POWERON)"


class Obeying:
    """Does what it is told, and remembers it. `numb`: takes every order and does nothing."""

    def __init__(self, flash_path=None, *, numb=False):
        self.spec = NodeSpec("s1", 1)
        self.numb = numb
        self.calls = []
        self.ram = bytearray(RAM_BYTES)
        self.flash_path = flash_path
        self.flash_base = FLASH
        self.flash_as_booted = flash_path.read_bytes()[: 1 << 18] if flash_path else b""

    async def write_console(self, data):
        self.calls.append(f"type {data.decode().strip()}")

    async def pause(self):
        self.calls.append("pause")

    async def resume(self):
        self.calls.append("resume")

    async def reset(self):
        self.calls.append("reset")

    async def kill(self):
        self.calls.append("kill")

    async def power_off(self):
        self.calls.append("power_off")

    async def power_on(self):
        self.calls.append("power_on")
        if not self.numb and self.flash_path:
            self.flash_as_booted = self.flash_path.read_bytes()[: 1 << 18]

    async def read_memory(self, address, size):
        memory, start = (self.flash_as_booted, FLASH) if FLASH <= address < RAM else (self.ram, RAM)
        return bytes(memory[address - start : address - start + size])

    async def write_memory(self, address, data):
        if not self.numb:
            self.ram[address - RAM : address - RAM + len(data)] = data

    async def flip_memory(self, address, mask):
        before = await self.read_memory(address, len(mask))
        after = bytes(a ^ b for a, b in zip(before, mask, strict=True))
        await self.write_memory(address, after)
        return before, after


class Rig:
    """One fault of `kind` at 10 s, for 5 s unless it says otherwise, on node s1."""

    def __init__(self, kind, params=None, *, for_ns=HEALED - AT, node=None, time=TimeMode.VIRTUAL, plan=None):
        self.node = node or Obeying()
        self.factory = REGISTRY.fault(kind)
        heals = getattr(self.factory, "heals", True)
        filled = self.factory.params_model.model_validate({"node": "s1", **(params or {})}).model_dump()
        self.spec = FaultSpec("f-1", kind, AT, for_ns if heals else None, filled)
        self.scenario, self.network = make_scenario(time)
        self.plan = plan or plan_of(self.scenario.node("s1"))
        self.plans = {spec.id: replace(self.plan, spec=spec) for spec in self.scenario.nodes}
        self.now_ns = 0
        self.stages = []
        self.number = 0
        self.context = FaultContext(
            scenario=self.scenario, network=self.network, links=None, nodes={"s1": self.node},
            now_ns=lambda: self.now_ns, emit=self.emit, random=random.Random(7), wait_until=self.wait_until,
            faults=None, plans=self.plans,
        )  # fmt: skip
        self.fault = self.factory(self.spec, self.context)

    @property
    def description(self):
        return self.factory.resolve(self.spec, self.scenario, self.network)

    def examine(self):
        self.factory.examine(self.spec, self.scenario, self.plans)

    def emit(self, stage, data):
        self.stages.append((stage, data.get("t_ns", self.now_ns)))

    async def wait_until(self, t_ns):
        self.now_ns = t_ns

    def inject(self, t_ns=AT):
        self.now_ns = t_ns
        anyio.run(self.fault.inject)

    def hold(self, until_ns=HEALED):
        anyio.run(self.fault.hold, until_ns)

    def heal(self, t_ns=HEALED):
        self.now_ns = t_ns
        anyio.run(self.fault.heal)

    def says(self, t_ns, text="I (1) csi: frame_rate=20.0", node="s1"):
        self.number += 1
        self.fault.observe(ConsoleLine(t_ns, node, self.number, text))

    def sends(self, t_ns, data=b"", node="s1"):
        self.number += 1
        self.fault.observe(Frame(t_ns, "lan--s1", node, self.number, data, Fate.DELIVERED, True))

    def sends_from_to(self, start, end, step=50 * MS):
        for t_ns in range(start, end, step):
            self.sends(t_ns)

    def dies(self, t_ns, signal=9):
        data = {"status": "SIGKILL", "code": None, "signal": signal}
        self.fault.observe(NodeChange(t_ns, "s1", NodeState.EXITED, data))

    def proof(self, t_ns=30 * S):
        self.now_ns = t_ns
        if hasattr(self.fault, "conclude"):
            self.fault.conclude()
        return self.fault.proved()

    @property
    def told(self):
        return [stage for stage, _ in self.stages]


WHOLE_LIFE = [FaultStage.INJECTED, FaultStage.OBSERVED, FaultStage.HEALED, FaultStage.HEAL_OBSERVED]


def make_scenario(time):
    nodes = tuple(
        NodeSpec(name, number, role=Role.SENSOR if number else Role.COORDINATOR)
        for number, name in enumerate(("coord", "s1", "s2"))
    )
    scenario = Scenario("paper", 60 * S, 0, time, NetworkSpec(Topology.MESH), nodes)
    return scenario, plan_network(scenario, [NodePlan(node, ()) for node in nodes])


def plan_of(spec, capabilities=ALL, **memory):
    known = {"ram": ((RAM, RAM_BYTES),), "image": FIRMWARE, "flash_base": FLASH} | memory
    return NodePlan(spec, ("qemu",), capabilities=capabilities, memory=MemoryMap(**known))


def make_flash(directory):
    values = {"csi_cfg": {"node_id": 1, "tdm_slot": 1, "tdm_nodes": 3, "target_ip": "10.0.1.10"}}
    return assemble_pflash(directory / "flash.bin", build_nvs(entries_from_values(values))).path
