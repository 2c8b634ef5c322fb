"""Every kind of fault of nodes in a run of real guests: proved when it happens, and not when it does not."""

import itertools
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from swarmrig.errors import ScenarioError
from swarmrig.model.facts import ProofStatus
from swarmrig.model.verdict import Outcome
from swarmrig.nodes.qemu.lockstep import LockstepNode
from swarmrig.nodes.qemu.power_cut import WithPowerCut
from swarmrig.plugins import Registry
from swarmrig.runtime.plan import make_plan
from swarmrig.runtime.run import RunOptions, run
from swarmrig.scenario.load import Origin, load_text
from swarmrig.timebase.stepping import Stepping

KINDS = """
  - {at: 3s, pause: {node: b, for: 1s}}
  - {at: 5s, reset: b}
  - {at: 8s, power_cycle: {node: b, for: 1s}}
  - {at: 11s, hang: {node: b, for: 1s}}
  - {at: 14s, hang: {node: b, function: timers_run, for: 1s}}
  - {at: 17s, crash: {node: b, restart: {after: 1s}}}
  - {at: 20s, memory_flip: {node: b, symbol: config, offset: 4, bits: 2, for: 500ms}}
  - {at: 21s, memory_flip: {node: b, for: 1s}}
  - {at: 22s, memory_fill: {node: b, symbol: csi_frame, size: 8, byte: 0}}
  - {at: 23s, heap_exhaust: {node: b, for: 2s}}
  - {at: 27s, heap_exhaust: {node: b, how: leak, for: 1s}}
  - {at: 30s, timer_starvation: {node: b}}
  - {at: 31s, starve_cpu: {node: b, share: 20%, for: 2s}}
  - {at: 34s, flash_corrupt: {node: c, bytes: 32, for: 500ms}}
  - {at: 35s, flash_erase: {node: c, for: 500ms}}
  - {at: 36s, flash_bit_rot: {node: c, bits: 3, for: 500ms}}
  - {at: 37s, flash_torn_write: {node: c, offset: 0x10000, data: '00112233', after: 2}}
  - {at: 38s, nvs_set: {node: c, key: tdm_slot, value: 0, for: 500ms}}
  - {at: 39s, nvs_torn_set: {node: c, key: tdm_slot, value: 0, after: 20, for: 500ms}}
  - {at: 40s, nvs_erase: {node: c, for: 500ms}}
  - {at: 41s, nvs_corrupt: {node: c, for: 500ms}}
  - {at: 43s, power_cut: {node: b, store: 120, for: 1s}}
  - {at: 43s, console_type: {node: b, text: flash-write 3, says: "write 1 of 3 done"}}
  - {at: 45s, crash: c}
"""
HEADER = """\
swarmrig: 1
name: nodes
duration: 46s
time: virtual
network: {topology: mesh}
nodes:
  a: {role: coordinator, config: {edge_tier: 2}}
  b: {role: sensor, config: {scenario: 2, tdm_slot: 1}}
  c: {role: sensor, config: {scenario: 3, tdm_slot: 2}}
checks: [all_nodes_boot]
"""
REGISTRY = Registry.load()


def load(faults: str, header: str = HEADER):
    return load_text(f"{header}faults:{faults}", Origin("nodes.yml", Path.cwd(), "nodes"), registry=REGISTRY)


def live(scenario, directory: Path, stepping=None):
    async def go():
        options = RunOptions(output_dir=directory, stepping=stepping or Stepping())
        return await run(await make_plan(scenario, REGISTRY), options)

    return anyio.run(go)


def status(finished):
    return {fault.id: fault.status.value for fault in finished.record.faults}


@pytest.mark.timeout(120)
def test_each_is_proved_and_the_same_twice(tmp_path):
    scenario = load(KINDS)
    first, second = (live(scenario, tmp_path / name) for name in ("one", "two"))
    told = {fault.id: fault.message for fault in first.record.faults if fault.status is not ProofStatus.PROVED}
    assert told == {}
    assert first.record.verdict is Outcome.PASS, first.record.failures
    assert first.record.warnings == ()
    assert first.record.digest is not None
    assert first.record.digest == second.record.digest


async def numb(*_, **__):
    """Takes the order, and does nothing."""


async def flips_nothing(self, address, mask):
    before = await self.read_memory(address, len(mask))
    return before, bytes(a ^ b for a, b in zip(before, mask, strict=True))


async def never_cut(self):
    return None


@pytest.mark.timeout(120)
def test_none_is_proved_when_nothing_happens(tmp_path, monkeypatch):
    for order in ("pause", "resume", "reset", "kill", "power_off", "power_on", "write_console", "write_memory"):
        monkeypatch.setattr(LockstepNode, order, numb)
    monkeypatch.setattr(LockstepNode, "flip_memory", flips_nothing)
    monkeypatch.setattr(WithPowerCut, "cut_power_at_store", numb)
    monkeypatch.setattr(WithPowerCut, "call_off_cut", never_cut)
    finished = live(load(KINDS), tmp_path)
    assert len(status(finished)) == 24
    assert "proved" not in status(finished).values(), status(finished)
    assert finished.record.verdict is Outcome.FAIL
    assert finished.record.exit_code == 2


def test_an_optional_fault_that_is_not_proved_warns(tmp_path):
    scenario = load("\n  - {at: 3s, console_stall: {node: b, for: 1s}, required: false}\n")
    finished = live(replace(scenario, duration_ns=5 * 10**9), tmp_path)
    assert status(finished) == {"console_stall-1": "skipped"}
    assert finished.record.verdict is Outcome.WARN


SWEEP = """\
swarmrig: 1
name: sweep
duration: 50s
time: virtual
nodes:
  a: {role: coordinator}
  b: {role: sensor, config: {tdm_slot: 1}}
checks: [all_nodes_boot]
"""
ARM = pytest.mark.skipif(shutil.which("qemu-system-arm") is None, reason="qemu-system-arm is not installed")


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("machine", "last"), [("refnode-rv32", 38), pytest.param("refnode-arm", 9, marks=ARM)])
def test_wherever_the_power_goes_the_counter_is_old_or_new(tmp_path, machine, last):
    """The reference firmware's update of a key is safe against power cuts: cut it all along, and again when it has
    been completed a few times."""
    stores = [*range(1, last), 999, 999, *range(1, last, 4)]
    faults = "".join(
        f"\n  - {{at: {2000 + 800 * n}ms, power_cut: {{node: b, store: {store}, for: 400ms}}, required: false}}"
        f"\n  - {{at: {2000 + 800 * n}ms, console_type: {{node: b, text: flash-write 1, says: x}}, required: false}}"
        for n, store in enumerate(stores)
    )
    scenario = load(faults + "\n", SWEEP.replace("{tdm_slot: 1}", f"{{tdm_slot: 1}}, machine: {machine}"))
    finished = live(scenario, tmp_path)
    cut = [fault for fault in finished.record.faults if fault.kind == "power_cut"]
    proved = sum(fault.status is ProofStatus.PROVED for fault in cut)
    assert proved > 0.8 * len(stores), [fault.message for fault in cut]
    console = (finished.directory / "nodes/b/console.log").read_text()
    assert console.count("rst:0x1 (POWERON)") == proved + 1
    assert "NVS damaged" not in console
    assert console.count("refnode: node_id=1 role=sensor") == proved + 1
    assert "NVS write was cut off" in console
    counts = [int(count) for count in re.findall(r"nvs: writes=(\d+)", console)]
    assert all(0 <= later - earlier <= 3 for earlier, later in itertools.pairwise(counts)), counts
    assert counts[-1] >= 2


def test_where_it_was_cut_is_told_and_does_not_depend_on_the_quantum(tmp_path):
    faults = """
  - {at: 2s, power_cut: {node: b, store: 9, for: 1s}}
  - {at: 2s, console_type: {node: b, text: flash-write 1, says: x}, required: false}
"""
    scenario = replace(load(faults, SWEEP), duration_ns=5 * 10**9)
    finished = live(scenario, tmp_path)
    other = live(scenario, tmp_path / "other", Stepping(quantum_ns=300_000))
    assert finished.record.digest == other.record.digest is not None
    (healed,) = (
        event["data"]
        for event in map(json.loads, (finished.directory / "events.jsonl").read_text().splitlines())
        if event["kind"] == "fault" and event["data"]["kind"] == "power_cut" and event["data"]["stage"] == "healed"
    )
    assert 2 * 10**9 < healed["cut_ns"] < 3 * 10**9
    assert status(finished)["power_cut-1"] == "proved"


PAGE = (Path(__file__).parents[2] / "docs/howto/break-nodes.md").read_text()
SHOWN = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("text", SHOWN, ids=["nodes", "memory", "when"])
def test_what_the_page_shows_is_proved(text, tmp_path):
    scenario = load_text(text, Origin("shown.yml", Path.cwd(), "shown"), registry=REGISTRY)
    finished = live(scenario, tmp_path)
    assert {one for one in finished.record.faults if one.status is not ProofStatus.PROVED} == set()
    assert finished.record.exit_code == 0


REAL = """\
swarmrig: 1
name: real
duration: 10s
time: real
nodes:
  a: {role: coordinator, config: {edge_tier: 2}}
  b: {role: sensor, config: {scenario: 2, tdm_slot: 1}}
  c: {role: sensor, config: {scenario: 3, tdm_slot: 2}}
  d: {role: sensor, config: {scenario: 3, tdm_slot: 3}}
checks: [all_nodes_boot]
"""
IN_REAL_TIME = """
  - {at: 2s, pause: {node: b, for: 1s}}
  - {at: 5s, starve_cpu: {node: b, share: 30%, period: 500ms, for: 2s}}
  - {at: 2s, power_cycle: {node: c, for: 1s}}
  - {at: 5s, nvs_corrupt: {node: c, for: 1s}}
  - {at: 8s, crash: c}
  - {at: 2s, memory_flip: {node: d, symbol: config, for: 500ms}}
  - {every: 100ms, at: 3s, until: 8s, console_type: {node: d, text: stats, says: uptime_ms=}, required: false}
  - {at: 5s, console_stall: {node: d, for: 1500ms}}
"""


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_in_real_time(tmp_path):
    finished = live(load(IN_REAL_TIME, REAL), tmp_path)
    told = {fault.id: fault.message for fault in finished.record.faults if fault.kind != "console_type"
            and fault.status is not ProofStatus.PROVED}  # fmt: skip
    assert told == {}
    assert finished.record.failures == ()


WRONG = """
  - {at: 1s, memory_flip: {node: b, symbol: confg}}
  - {at: 1s, memory_fill: {node: b, address: 0x1000}}
  - {at: 1s, flash_erase: {node: c, partition: factory}}
  - {at: 1s, hang: {node: b, function: timers_ran, for: 1s}}
  - {at: 1s, power_cut: {node: b, store: 3}}
  - {at: 5s, starve_cpu: {node: b, for: 50ms}}
  - {at: 1s, crash: {node: c, restart: {after: 1h}}}
"""


def test_what_cannot_be_is_refused_before_launch_with_its_place():
    async def plan():
        await make_plan(load(WRONG), REGISTRY)

    with pytest.raises(ScenarioError) as caught:
        anyio.run(plan)
    told = [str(problem) for problem in caught.value.problems]
    expected = [
        (12, "memory_flip: refnode-rv32.elf has no symbol 'confg', did you mean 'config'?"),
        (13, "memory_fill: 4 bytes at 0x1000 (address) is not in RAM, which is 0x80000000..0x81000000"),
        (14, "flash_erase: no partition 'factory' in the flash: nvs, otadata, phy_init"),
        (15, "hang: refnode-rv32.elf has no symbol 'timers_ran', did you mean 'timers_run'?"),
        (16, "power_cut: say with `for` when the power is back"),
        (17, "starve_cpu: it lasts 50ms, less than one period"),
        (18, "crash: the restart after 1h is not within the run"),
    ]
    assert told == [f"nodes.yml:{line}:14: fault {message}" for line, message in expected]


def test_faults_of_memory_and_power_need_nodes_that_have_them():
    header = HEADER.replace(
        "b: {role: sensor", "b: {kind: python, model: 'swarmrig.nodes.python.aggregator:Aggregator'"
    )
    with pytest.raises(ScenarioError, match="which node b") as caught:
        anyio.run(make_plan, load("\n  - {at: 1s, memory_flip: {node: b, symbol: x}}\n", header), REGISTRY)
    assert "HasMemory" in str(caught.value)
