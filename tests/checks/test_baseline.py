"""compared_to: worse than a former run, beyond the tolerance; and runs that cannot be compared."""

import json
import os

import pytest
from pydantic import ValidationError

from swarmrig.checks.baseline import ComparedTo, ComparedToParams, Tolerance
from swarmrig.checks.former_run import FormerRun
from swarmrig.model.network import Fate
from swarmrig.model.scenario import CheckSpec, FaultSpec
from swarmrig.model.verdict import Outcome

S = 1_000_000_000
MS = 1_000_000
P95 = "nodes.s1.hub.latency_ns.p95"


@pytest.fixture
def lived(swarm_of):
    """lived(latency, lost): the facts of 10 s with one sensor."""

    def live(latency=6 * MS, lost=0, every=50 * MS, **options):
        swarm = swarm_of(sensors=1, **options)
        for seq, t in enumerate(range(0, 10 * S, every)):
            swarm.csi("s1", t, seq, fate=Fate.LOSS if seq < lost else Fate.DELIVERED)
            if seq >= lost:
                swarm.arrival("s1", t + latency, seq)
        return swarm

    return live


@pytest.fixture
def former(lived, write_former, tmp_path):
    """The path of a run with a latency of 6 ms, 20 Hz and 2 lost frames."""
    return write_former(lived(lost=2), tmp_path, until=10 * S)


def judge(swarm, path, **metrics):
    return swarm.judge(ComparedTo, until=10 * S, run=str(path), **({"metrics": metrics} if metrics else {}))


@pytest.mark.parametrize(
    ("latency_us", "tolerance", "outcome"),
    [
        (6600, "10%", Outcome.PASS),
        (6601, "10%", Outcome.FAIL),
        (6601, "1ms", Outcome.PASS),
        (7001, "1ms", Outcome.FAIL),
        (6000, "0%", Outcome.PASS),
        (6001, 0, Outcome.FAIL),
        (3000, "0%", Outcome.PASS),
    ],
)
def test_latency_at_below_and_above_the_tolerance(lived, former, judged, latency_us, tolerance, outcome):
    swarm = lived(latency=latency_us * 1000)
    judgement = judged(judge(swarm, former, **{P95: tolerance}), outcome)
    assert judgement.measured["metrics"][P95] == {"now": latency_us * 1000, "then": 6 * MS}
    assert judgement.evidence[0].file == "net/coord.pcapng"


def test_a_failure_tells_both_numbers(lived, former, judged):
    judged(judge(lived(latency=9 * MS), former, **{P95: "10%"}), Outcome.FAIL, "9ms, was 6ms (+50.0%)")


def test_the_default_metrics(lived, former, judged):
    judgement = judged(judge(lived(lost=2), former), Outcome.PASS, "no worse than in the run former01")
    assert list(judgement.measured["metrics"]) == [
        P95, "nodes.s1.hub.loss", "nodes.s1.aggregator.loss", "nodes.s1.rate_hz",
    ]  # fmt: skip
    judged(judge(lived(lost=4), former), Outcome.PASS)
    judged(judge(lived(lost=5), former), Outcome.FAIL, "hub.loss is worse: 2.5%, was 1%")
    judged(judge(lived(every=60 * MS), former), Outcome.FAIL, "rate_hz is worse: 16.667, was 20")


def test_what_got_better_is_told(lived, former, judged):
    judged(judge(lived(latency=3 * MS), former, **{P95: "10%"}), Outcome.PASS, "better: nodes.s1.hub", "3ms (was 6ms)")


def test_a_number_that_only_describes_must_not_differ(lived, former, judged):
    for every in (45 * MS, 55 * MS):
        judged(judge(lived(every=every), former, **{"links.coord--s1.frames": "5%"}), Outcome.FAIL, "is worse")
        judged(judge(lived(every=every), former, **{"links.coord--s1.frames": "15%"}), Outcome.PASS)


@pytest.mark.parametrize(
    ("bounds", "now", "outcome"),
    [({"min": 5.0}, 200, Outcome.PASS), ({"min": 5.0}, 90, Outcome.FAIL), ({"max": 500.0}, 200, Outcome.FAIL),
     ({"max": 500.0}, 90, Outcome.PASS), ({"min": 5.0, "max": 500.0}, 200, Outcome.FAIL)],
)  # fmt: skip
def test_the_bound_of_a_counter_says_which_way_is_better(lived, write_former, judged, tmp_path, bounds, now, outcome):
    params = {"console": r"free=(\d+)", "use": "last", "name": "heap", "nodes": None, "node": "s1",
              "min": None, "max": None, **bounds}  # fmt: skip
    swarms = [lived(checks=(CheckSpec("counter", "counter", params),)) for _ in range(2)]
    for swarm, number in zip(swarms, (100, now), strict=True):
        swarm.line("s1", f"free={number}")
    path = write_former(swarms[0], tmp_path)
    judged(judge(swarms[1], path, **{"nodes.s1.console.heap": "5%"}), outcome)


def test_what_only_one_run_measured(lived, write_former, swarm_of, judged, tmp_path, former):
    silent = swarm_of(sensors=1)
    judged(judge(silent, former, **{P95: "10%"}), Outcome.INCONCLUSIVE, "was not measured, 6ms in the former run")
    path = write_former(silent, tmp_path)
    judged(judge(lived(), path, **{P95: "10%"}), Outcome.INCONCLUSIVE, "the former run did not measure")
    judged(judge(silent, path, **{P95: "10%"}), Outcome.INCONCLUSIVE, f"neither run measured {P95}")


def test_seed_and_verdict_of_the_former_run_are_told(lived, write_former, judged, tmp_path):
    path = write_former(lived(), tmp_path, verdict="FAIL", run={"seed": 9})
    judged(judge(lived(), path, **{P95: "10%"}), Outcome.PASS, "with seed 9", "which itself was FAIL")


def test_a_run_directory_will_do(lived, former, judged):
    judged(judge(lived(), former.parent, **{P95: "10%"}), Outcome.PASS)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ({"name": "other"}, "name other there, paper here"),
        ({"topology": "ring"}, "topology ring there, star here"),
        ({"time": "virtual"}, "time virtual there, real here"),
        ({"planned_s": 30}, "duration 30 s there, 60 s here"),
        ({"interrupted": True}, "was interrupted"),
    ],
)
def test_another_scenario_is_refused(lived, write_former, judged, tmp_path, run, message):
    path = write_former(lived(), tmp_path, run=run)
    with pytest.raises(ValueError, match=message):
        ComparedTo.resolve(ComparedToParams(run=str(path)).model_dump(), lived().context)
    judged(judge(lived(), path), Outcome.INCONCLUSIVE, message)


def test_other_nodes_and_faults_are_refused(lived, swarm_of, write_former, tmp_path):
    path = write_former(lived(), tmp_path)
    cut = FaultSpec("cut-1", "cut", S, S, {"between": ("coord", "s1")})
    for context, message in (
        (swarm_of(sensors=2).context, r"nodes coord \(coordinator\), s1 \(sensor\) there, coord"),
        (swarm_of(sensors=1, faults=(cut,)).context, "faults none there, cut-1 here"),
    ):
        with pytest.raises(ValueError, match=message):
            ComparedTo.resolve(ComparedToParams(run=str(path)).model_dump(), context)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read the former run"),
        ("", "is not the results.json of a run"),
        ("[]", "of format 1"),
        ('{"format": 2}', "of format 1"),
        ('{"format": 1}', "is not complete"),
        ('{"format": 1, "run": {}, "nodes": [], "metrics": {}}', "holds no metrics"),
        ('{"format": 1, "run": {}, "nodes": []}', "holds no metrics"),
        ("\xff", "is not the results.json"),
    ],
)
def test_what_is_no_run(tmp_path, content, message):
    path = tmp_path / "results.json"
    if content is not None:
        path.write_text(content, encoding="latin-1")
    with pytest.raises(ValueError, match=message):
        FormerRun.read(path)


def test_odd_values_of_a_former_run_are_no_numbers(lived, write_former, tmp_path, judged):
    path = write_former(lived(), tmp_path)
    document = json.loads(path.read_text())
    document["metrics"][P95] = "fast"
    document["run"]["seed"] = None
    path.write_text(json.dumps(document))
    judged(judge(lived(), path, **{P95: "10%"}), Outcome.INCONCLUSIVE, "did not measure")


def test_no_run_at_all(lived, judged):
    with pytest.raises(ValueError, match="--baseline RUN"):
        ComparedTo.resolve(ComparedToParams().model_dump(), lived().context)
    judged(lived().judge(ComparedTo), Outcome.INCONCLUSIVE, "no former run")


def test_a_run_that_vanishes_before_it_is_needed(lived, former, judged):
    params = ComparedToParams(run=str(former), metrics={P95: "1%"}).model_dump()
    assert "compared to the run former01" in ComparedTo.resolve(params, lived().context)
    os.unlink(former)
    judged(judge(lived(), former, **{P95: "1%"}), Outcome.INCONCLUSIVE, "cannot read")


def test_metrics_are_resolved_before_the_run(lived, former):
    params = ComparedToParams(run=str(former), metrics={"nodes.s9.sent": "1%"}).model_dump()
    with pytest.raises(ValueError, match=r"no metric 'nodes.s9.sent'"):
        ComparedTo.resolve(params, lived().context)


@pytest.mark.parametrize("tolerance", ["-1%", "a lot", "", "5s", -3, "nan%", "inf%", True])
def test_what_is_no_tolerance(tolerance):
    with pytest.raises(ValidationError, match=r"nodes.s1.sent: expected a tolerance such as 10%|valid"):
        ComparedToParams(metrics={"nodes.s1.sent": tolerance})


@pytest.mark.parametrize(
    ("metric", "value", "former", "expected"),
    [(P95, "2ms", 5, 2 * MS), (P95, "10%", 50, 5.0), ("links.a.loss", "0.02", 0, 0.02), ("links.a.frames", 5, 10, 5)],
)
def test_tolerances(metric, value, former, expected):
    assert Tolerance.read(metric, value).of(former) == pytest.approx(expected)
