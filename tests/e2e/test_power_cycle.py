"""A node that is switched off and on again during a run: same node, same log, same place, in both times."""

import pytest

SCENARIO = """
swarmrig: 1
name: power
duration: 6s
network: {{topology: star, hub: hub}}
time: {time}
nodes:
  hub: {{role: coordinator}}
  s1: {{role: sensor, config: {{scenario: 2}}}}
faults:
  - {{at: 2s, power_cycle: {{node: s1, for: 1s}}}}
checks:
  - all_nodes_boot
  - no_crashes
  - console: {{node: s1, matches: "rst:0x1", count: 2}}
"""


@pytest.mark.parametrize("time", ["real", "virtual"])
def test_a_power_cycle(swarmrig, scenario_file, time):
    run = swarmrig("run", scenario_file(SCENARIO.format(time=time)))
    assert run.exit_code == 0, run.explain()
    (fault,) = run.results["faults"]
    assert fault["status"] == "proved" and fault["stages"][0]["stage"] == "injected"
    assert run.console("s1").count("app_main") == 2
    assert "exited" not in {node["state"] for node in run.results["nodes"] if "state" in node}
    assert not run.results["failures"]
