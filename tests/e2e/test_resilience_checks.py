"""Checks of resilience, bounds and comparison on real guests: what passes, what fails, and what it rests on."""

import re

import jsonschema
import pytest

from swarmrig.reports.results import schema

STAR = """\
swarmrig: 1
name: shaken
duration: 14s
time: virtual
network: {topology: star, hub: coord, link: {latency: 5ms, jitter: 2ms}}
nodes:
  coord: {role: coordinator}
  s1: {role: sensor, config: {scenario: 2, tdm_slot: 1}}
  s2: {role: sensor, config: {scenario: 3, tdm_slot: 2}}
"""
FAULTS = """\
faults:
  - {at: 4s, cut: {between: [coord, s1], for: 2s}}
  - {at: 9s, partition: {sets: [[coord, s1, aggregator], [s2]], for: 2s}}
"""
CHECKS = """\
checks:
  - network_partitioned_recovery: 1s
  - recovers_within: 1s
  - no_data_loss_after_heal
  - degrades_gracefully: 45%
  - survives: cut
  - survives: partition
  - latency: {p95: 7ms, p99: 8ms}
  - metric: {name: links.coord--s1.fates.link_down, min: 30}
  - metric: {name: nodes.s2.reported.gaps, min: 30, max: 60}
  - counter: {console: 'csi: .*frames=(\\d+)', min: 150, name: sent}
"""


def test_a_swarm_that_stands_it(swarmrig_again, scenario_file):
    file = scenario_file(STAR + FAULTS + CHECKS)
    done, again = (swarmrig_again("run", file) for _ in range(2))
    assert done.exit_code == 0, done.explain()
    jsonschema.Draft202012Validator(schema()).validate(done.results)
    metrics = done.results["metrics"]
    counted = {link["name"]: link for link in done.results["links"]}
    for link, counters in counted.items():
        assert metrics[f"links.{link}.frames"] == counters["frames"]
        assert metrics[f"links.{link}.bytes"] == counters["bytes"]
        assert metrics[f"links.{link}.dropped"] == sum(counters["drops"].values())
    for node in ("s1", "s2"):
        received = done.results["aggregator"]["nodes"][node[1]]["unique_frames"]
        assert metrics[f"nodes.{node}.aggregator.received"] == metrics[f"nodes.{node}.reported.frames"] == received
        assert 5_000_000 <= metrics[f"nodes.{node}.hub.latency_ns.p50"] <= 7_000_000
    assert metrics["nodes.s1.console.sent"] == 195
    assert [again.results["metrics"], again.results["checks"]] == [metrics, done.results["checks"]]


@pytest.mark.parametrize(
    ("faults", "turned"),
    [
        ("faults: [{at: 4s, cut: {between: [coord, s1]}}]\n", {"recovers_within", "degrades_gracefully"}),
        ("faults: [{at: 4s, degrade: {between: [coord, s1], loss: 40%}}]\n", {"recovers_within"}),
    ],
)
def test_a_swarm_that_does_not(swarmrig, scenario_file, faults, turned):
    checks = "checks: [{recovers_within: {within: 1s, share: 95%}}, degrades_gracefully: 60%]\n"
    done = swarmrig("run", scenario_file(STAR + faults + checks))
    assert done.exit_code == 2, done.explain()
    assert done.turned == turned, done.explain()


def test_a_run_is_compared_with_a_former_one(swarmrig_again, scenario_file):
    file = scenario_file(STAR + "checks: [all_nodes_boot]\n")
    former = swarmrig_again("run", file)
    assert former.exit_code == 0, former.explain()

    same = swarmrig_again("run", file, "--baseline", former.directory)
    assert same.exit_code == 0, same.explain()
    assert same.checks["compared_to"] == "PASS"

    slower = ("--set", "network.link.latency=6ms")
    worse = swarmrig_again("run", file, *slower, "--baseline", former.directory)
    assert worse.exit_code == 2, worse.explain()
    assert re.search(r"latency_ns\.p95 is worse: \d+\.\d+ ms, was \d+\.\d+ ms \(\+1\d\.\d%\)", worse.stdout)

    lenient = ("--baseline-fail", "nodes.*.hub.latency_ns.p95:1.1ms")
    fine = swarmrig_again("run", file, *slower, "--baseline", former.directory / "results.json", *lenient)
    assert fine.exit_code == 0, fine.explain()

    other = swarmrig_again("run", file, "--duration", "5s", "--baseline", former.directory)
    assert other.exit_code == 3
    assert "duration 14.0 s there, 5 s here" in other.stderr
    assert not other.output.exists()
