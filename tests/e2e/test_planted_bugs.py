"""Every planted firmware bug turns exactly the checks that should notice it."""

import pytest

SCENARIO = """
swarmrig: 1
name: planted-{bug}
duration: {duration}
network: {{topology: star}}
nodes:
  coord: {{role: coordinator{hub_firmware}}}
  s1: {{role: sensor, config: {{scenario: 2}}{sensor_firmware}}}
  s2: {{role: sensor, config: {{scenario: 3}}}}
checks:
  - all_nodes_boot
  - no_crashes
  - tdm_no_collision
  - all_nodes_produce_frames
  - coordinator_receives_from_all
  - fall_detected_by_node_2
  - frame_rate_above: 15
  - max_boot_time_s: 10
  - no_heap_errors
"""

TURNED = {
    "mute": {
        "tdm_no_collision": "INCONCLUSIVE",
        "all_nodes_produce_frames": "FAIL",
        "coordinator_receives_from_all": "FAIL",
        "frame_rate_above": "INCONCLUSIVE",
    },
    "wrong-slot": {"tdm_no_collision": "FAIL"},
    "panic-at-10s": {"no_crashes": "FATAL"},
    "leak-until-oom": {"no_heap_errors": "FAIL"},
    "corrupt-frame": {"frame_rate_above": "WARN"},
    "slow-boot": {"max_boot_time_s": "WARN"},
    "deaf-coordinator": {"coordinator_receives_from_all": "FAIL"},
}


@pytest.mark.parametrize("bug", [None, *TURNED])
def test_bug_turns_exactly_its_checks(swarmrig, scenario_file, bug):
    firmware = f", firmware: {{variant: {bug}}}" if bug else ""
    on_hub = bug == "deaf-coordinator"
    path = scenario_file(
        SCENARIO.format(
            bug=bug or "none",
            duration="24s" if bug == "slow-boot" else "20s",
            hub_firmware=firmware if on_hub else "",
            sensor_firmware="" if on_hub else firmware,
        )
    )
    run = swarmrig("run", path)
    turned = {label.split(":")[0]: outcome for label, outcome in run.checks.items() if outcome != "PASS"}
    assert turned == TURNED.get(bug, {}), run.explain()
