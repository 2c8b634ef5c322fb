"""Both machines of the reference firmware in one swarm, and presets on either of them."""

from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "mixed-cores.swarmrig.yml"
SHORT = """
swarmrig: 1
name: short
duration: 8s
network: {topology: star, hub: coord, link: {latency: 5ms}}
nodes:
  coord: {machine: refnode-arm, role: coordinator}
  a: {machine: refnode-arm, role: sensor, config: {tdm_slot: 1}}
  r: {role: sensor, config: {tdm_slot: 2}}
faults:
  - {at: 3s, cut: {between: [coord, r], for: 1s}}
checks: [all_nodes_boot, no_crashes, tdm_no_collision, coordinator_receives_from_all, network_partitioned_recovery]
"""


def test_the_example_passes_and_repeats(swarmrig_again):
    runs = [swarmrig_again("run", str(EXAMPLE)) for _ in range(2)]
    for run in runs:
        assert run.exit_code == 0, run.explain()
        assert run.results["run"]["tier"] == "exact"
        assert not run.turned
    assert len({run.results["run"]["digest"] for run in runs}) == 1
    assert "node_id=4" in runs[0].console("arm-fall")
    words = (runs[0].directory / "nodes" / "arm-fall" / "argv").read_text()
    assert "qemu-system-arm" in words


def test_a_preset_on_the_other_machine(swarmrig):
    run = swarmrig("run", "standard", "--machine", "refnode-arm")
    assert run.exit_code == 0, run.explain()
    assert run.results["run"]["tier"] == "exact"
    assert not run.turned
    for node in ("n0", "n1", "n2"):
        assert "qemu-system-arm" in (run.directory / "nodes" / node / "argv").read_text()


def test_other_machine_other_bytes(swarmrig_again):
    digests = {
        swarmrig_again("run", "smoke", "--machine", machine).results["run"]["digest"]
        for machine in ("refnode-arm", "refnode-rv32")
    }
    assert len(digests) == 2


@pytest.mark.slow
def test_both_in_real_time(swarmrig, tmp_path):
    path = tmp_path / "short.swarmrig.yml"
    path.write_text(SHORT)
    run = swarmrig("run", str(path), "--time", "real")
    assert run.exit_code == 0, run.explain()
    assert run.results["run"]["tier"] == "scheduled"
    assert not run.turned
