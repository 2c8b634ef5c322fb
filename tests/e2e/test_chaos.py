"""The preset that walks through all kinds of faults: each is proved, the swarm stands them, all runs are the same."""

import pytest

from swarmrig.runtime.digest import PATTERNS


@pytest.fixture(scope="module")
def runs(module_swarmrig):
    """Two runs, which differ in what must not matter."""
    return [module_swarmrig("run", "chaos"), module_swarmrig("run", "chaos", "--quantum", "50ms")]


def test_every_fault_is_proved(runs):
    done = runs[0]
    assert done.exit_code == 0, done.explain()
    assert set(done.checks.values()) == {"PASS"}, done.explain()
    faults = done.results["faults"]
    assert len(faults) >= 34
    assert {fault["status"] for fault in faults} == {"proved"}
    assert all(fault["stages"] for fault in faults)


def test_the_resilience_checks_rest_on_all_of_them(runs):
    checks = {check["name"]: check for check in runs[0].results["checks"]}
    ids = {fault["id"] for fault in runs[0].results["faults"] if fault["kind"] != "heal"}
    assert set(checks["recovers_within"]["measured"]) == ids
    assert set(checks["degrades_gracefully"]["measured"]["share"]) == ids
    assert set(checks["network_partitioned_recovery"]["measured"]["resumed_after_ns"]) == {
        fault["id"] for fault in runs[0].results["faults"] if fault["kind"] in ("cut", "partition", "wifi_kill")
    }


def test_every_run_is_the_same_at_any_quantum(runs):
    digests = {run.results["run"]["digest"] for run in runs}
    assert len(digests) == 1 and None not in digests, [_parts(run) for run in runs]
    assert runs[0].results["metrics"] == runs[1].results["metrics"]


def _parts(run):
    return {pattern: sorted(path.stat().st_size for path in run.directory.glob(pattern)) for pattern in PATTERNS}
