"""metric, latency, counter: bounds, and what is no evidence."""

import pytest
from pydantic import ValidationError

from swarmrig.checks.thresholds import Counter, CounterParams, Latency, LatencyParams, Metric, MetricParams
from swarmrig.model.facts import NodeState
from swarmrig.model.network import Fate
from swarmrig.model.scenario import CheckSpec, Role
from swarmrig.model.verdict import Outcome

S = 1_000_000_000
MS = 1_000_000


def travel(swarm, node="s1", count=200, latency=6 * MS):
    for seq in range(count):
        t = seq * 50 * MS
        swarm.csi(node, t, seq)
        swarm.arrival(node, t + (latency(seq) if callable(latency) else latency), seq)


def lossy(swarm, share):
    for seq in range(100):
        swarm.csi("s1", seq * 50 * MS, seq, fate=Fate.LOSS if seq < share else Fate.DELIVERED)


# metric


@pytest.mark.parametrize(
    ("bounds", "outcome"),
    [
        ({"max": "10%"}, Outcome.PASS),
        ({"max": 0.1}, Outcome.PASS),
        ({"max": "9.9%"}, Outcome.FAIL),
        ({"min": "10%", "max": "10%"}, Outcome.PASS),
        ({"min": "11%"}, Outcome.FAIL),
    ],
)
def test_metric_at_below_and_above_its_bound(swarm, judged, bounds, outcome):
    lossy(swarm, 10)
    judgement = judged(swarm.judge(Metric, name="links.coord--s1.loss", **bounds), outcome, "10%")
    assert judgement.evidence[0].file == "net/coord--s1.pcapng"
    assert judgement.measured == {"links.coord--s1.loss": 0.1}


def test_metric_decides_at_the_end(swarm):
    lossy(swarm, 10)
    assert swarm.judge(Metric, name="links.coord--s1.loss", max=1, final=False) is None


def test_metric_of_which_nothing_was_seen(swarm, judged):
    for name in ("links.coord--s1.loss", "links.coord--s1.frames", "nodes.s1.hub.lost", "nodes.s1.reported.gaps"):
        judged(swarm.judge(Metric, name=name, max=0 if "loss" not in name else "0%"), Outcome.INCONCLUSIVE, name)


def test_every_metric_that_a_pattern_means_is_judged(swarm, judged):
    travel(swarm)
    travel(swarm, "s2", latency=9 * MS)
    judged(swarm.judge(Metric, name="nodes.s*.hub.latency_ns.max", max="9ms"), Outcome.PASS)
    judged(swarm.judge(Metric, name="nodes.s*.hub.latency_ns.max", max="8ms"), Outcome.FAIL, "nodes.s2", "is 9ms")


def test_metric_resolves_names_before_the_run(swarm):
    params = MetricParams(name="links.*.loss", max="5%").model_dump()
    assert "links.coord--s1.loss" in Metric.resolve(params, swarm.context)
    with pytest.raises(ValueError, match=r"did you mean 'links.coord--s1.loss'"):
        Metric.resolve({**params, "name": "links.coord--s1.los"}, swarm.context)
    with pytest.raises(ValueError, match="several units"):
        Metric.resolve({**params, "name": "nodes.s1.*"}, swarm.context)
    with pytest.raises(ValueError, match="no metric 'zzz'"):
        Metric.resolve({**params, "name": "zzz"}, swarm.context)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "name"),
        ({"name": "links.coord.loss"}, "min, max or both"),
        ({"name": "links.coord.loss", "max": "5ms"}, "a share"),
        ({"name": "nodes.s1.boot_ns", "max": "5%"}, "a duration"),
        ({"name": "nodes.s1.sent", "max": "many"}, "valid"),
        ({"name": "nodes.s1.sent", "min": 2, "max": 1}, "greater than max"),
        ({"name": "nodes.s1.sent", "max": 1, "most": 2}, "most"),
    ],
)
def test_metric_with_wrong_parameters(params, message):
    with pytest.raises(ValidationError, match=message):
        MetricParams(**params)


# latency


@pytest.mark.parametrize(
    ("bounds", "outcome"),
    [
        ({"p50": "6ms", "p95": "6ms", "p99": "30ms", "max": "30ms"}, Outcome.PASS),
        ({"p99": "6ms"}, Outcome.PASS),  # one of 200 is slower
        ({"max": "29ms"}, Outcome.FAIL),
        ({"p50": "5ms"}, Outcome.FAIL),
    ],
)
def test_latency(swarm, judged, bounds, outcome):
    travel(swarm, latency=lambda seq: 30 * MS if seq == 77 else 6 * MS)
    judgement = judged(swarm.judge(Latency, node="s1", **bounds), outcome)
    assert judgement.evidence[0].frame == 78
    assert judgement.measured["s1"] == {
        "p50": 6 * MS, "p95": 6 * MS, "p99": 6 * MS, "max": 30 * MS, "frames": 200, "lost": 0,
    }  # fmt: skip


def test_latency_without_frames(swarm, judged):
    judged(swarm.judge(Latency, p99="1s"), Outcome.INCONCLUSIVE, "s1 sent none")
    swarm.stream("s1", 0, S)
    judged(swarm.judge(Latency, p99="1s"), Outcome.INCONCLUSIVE, "20 frames of s1 were sent, none arrived")


def test_a_percentile_of_too_few_frames_says_nothing(swarm, judged):
    travel(swarm, count=99)
    judged(swarm.judge(Latency, node="s1", p99="1s"), Outcome.INCONCLUSIVE, "p99 of 99 frames, fewer than 100")
    judged(swarm.judge(Latency, node="s1", p95="1s", max="1s"), Outcome.PASS)
    judged(swarm.judge(Latency, node="s1", p99="1ms"), Outcome.FAIL, "more than 1ms")


def test_every_sensor_is_judged(swarm, judged):
    travel(swarm)
    judged(swarm.judge(Latency, p50="1s"), Outcome.INCONCLUSIVE, "s2 sent none")
    travel(swarm, "s2", latency=S)
    judged(swarm.judge(Latency, p50="100ms"), Outcome.FAIL, "s2: p50 is 1s, more than 100ms")
    judged(swarm.judge(Latency, p50="100ms", nodes=["s1"]), Outcome.PASS)


def test_latency_resolves_senders_before_the_run(swarm, swarm_of):
    params = LatencyParams(p99="5ms").model_dump()
    assert Latency.resolve(params, swarm.context) == "latency of s1, s2 to the hub"
    with pytest.raises(ValueError, match="nobody sends frames to the hub"):
        Latency.resolve({**params, "node": "coord"}, swarm.context)
    with pytest.raises(ValueError, match="has no hub"):
        Latency.resolve(params, swarm_of(roles={"coord": Role.SENSOR}).context)


@pytest.mark.parametrize(
    ("params", "message"),
    [({}, "upper bound"), ({"p99": "fast"}, "a duration"), ({"p99": 1, "to": "moon"}, "hub"),
     ({"p99": 1, "node": 1, "nodes": [2]}, "either node or nodes")],
)  # fmt: skip
def test_latency_with_wrong_parameters(params, message):
    with pytest.raises(ValidationError, match=message):
        LatencyParams(**params)


# counter

FREE = r"free=(\S+)"


def told(swarm, *numbers, node="s1"):
    for number in numbers:
        swarm.line(node, f"I (9) mem: free={number}")


@pytest.mark.parametrize(
    ("use", "value"), [("last", 20), ("first", 30), ("min", 10), ("max", 30), ("sum", 60), ("count", 3)]
)
def test_counter_uses(swarm, judged, use, value):
    told(swarm, 30, 10, 20)
    judged(swarm.judge(Counter, console=FREE, node="s1", use=use, min=value, max=value), Outcome.PASS)
    judged(swarm.judge(Counter, console=FREE, node="s1", use=use, max=value - 1), Outcome.FAIL, f"s1: {value}")
    judged(swarm.judge(Counter, console=FREE, node="s1", use=use, min=value + 1), Outcome.FAIL, f"s1: {value}")


def test_counter_points_to_the_line(swarm, judged):
    told(swarm, 30, 10, 20)
    judgement = judged(swarm.judge(Counter, console=FREE, node="s1", use="min", min=11), Outcome.FAIL)
    assert (judgement.evidence[0].file, judgement.evidence[0].line) == ("nodes/s1/console.log", 2)
    assert judgement.measured == {"values": {"s1": 10}}


@pytest.mark.parametrize(("text", "value"), [("0x1f", 31), ("-3.5", -3.5), ("1e3", 1000)])
def test_numbers(swarm, judged, text, value):
    told(swarm, text)
    judged(swarm.judge(Counter, console=FREE, node="s1", min=value, max=value), Outcome.PASS)


@pytest.mark.parametrize("text", ["nan", "inf", "much", "9" * 400])
def test_no_numbers(swarm, judged, text):
    told(swarm, text)
    judged(swarm.judge(Counter, console=FREE, node="s1", min=0), Outcome.INCONCLUSIVE, "printed no such number")


def test_a_silent_console(swarm, judged):
    judged(swarm.judge(Counter, console=FREE, node="s1", max=9), Outcome.INCONCLUSIVE, "s1 printed nothing")
    swarm.line("s1", "hello")
    judged(swarm.judge(Counter, console=FREE, node="s1", max=9), Outcome.INCONCLUSIVE, "no such number")
    judged(swarm.judge(Counter, console=FREE, node="s1", use="count", max=9), Outcome.PASS)


def test_a_console_that_was_not_heard_to_the_end(swarm, judged):
    told(swarm, 3)
    swarm.change("s1", NodeState.UNHEARD)
    judged(swarm.judge(Counter, console=FREE, node="s1", max=9), Outcome.INCONCLUSIVE, "said too much")


def test_every_node_counts(swarm, judged):
    told(swarm, 3)
    judged(swarm.judge(Counter, console=FREE, max=9), Outcome.INCONCLUSIVE, "coord printed nothing")
    judged(swarm.judge(Counter, console=FREE, nodes=[1], max=9), Outcome.PASS)
    judged(swarm.judge(Counter, console=FREE, max=2), Outcome.FAIL, "s1: 3, expected at most 2")


def test_two_counters_of_one_name(swarm_of):
    params = CounterParams(console=FREE, max=1, name="heap").model_dump()
    specs = (CheckSpec("counter", "counter", params), CheckSpec("counter", "counter", params))
    with pytest.raises(ValueError, match="2 counters are called 'heap'"):
        Counter.resolve(params, swarm_of(checks=specs).context)
    assert Counter.resolve(params, swarm_of(checks=specs[:1]).context)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"console": "free", "max": 1}, "a group around the number"),
        ({"console": "(", "max": 1}, "not a regular expression"),
        ({"console": FREE}, "min, max or both"),
        ({"console": FREE, "max": 1, "use": "median"}, "last"),
        ({"console": FREE, "max": 1, "name": "a.b"}, "name"),
        ({"console": FREE, "max": 1, "node": 1, "nodes": [1]}, "either node or nodes"),
    ],
)
def test_counter_with_wrong_parameters(params, message):
    with pytest.raises(ValidationError, match=message):
        CounterParams(**params)
