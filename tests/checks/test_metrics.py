"""The numbers of a run by name."""

import pytest

from swarmrig.checks.metrics import Better, Meter, better, is_duration, is_share, matching, vocabulary
from swarmrig.model.facts import NodeReport
from swarmrig.model.network import Fate
from swarmrig.model.scenario import CheckSpec

S = 1_000_000_000
MS = 1_000_000


def measured(swarm, now=20 * S):
    meter = Meter(swarm.context)
    for fact in swarm.facts:
        meter.observe(fact)
    return meter, meter.values(now)


def a_run(swarm):
    swarm.started()
    swarm.booted()
    for seq in range(200):
        t = seq * 50 * MS
        swarm.csi("s1", t, seq, fate=Fate.LOSS if seq % 10 == 0 else Fate.DELIVERED)
        if seq % 10:
            swarm.arrival("s1", t + 6 * MS, seq)
    swarm.line("s1", "I (90) mem: free=1234")
    swarm.add(NodeReport(20 * S, "aggregator", {"nodes": {"1": {"frames": 180, "gaps": 20, "rate_hz": 18.0}}}))


def test_a_run(swarm):
    a_run(swarm)
    _, values = measured(swarm, now=10 * S)
    expected = {
        "links.coord--s1.frames": 200,
        "links.coord--s1.dropped": 20,
        "links.coord--s1.loss": 0.1,
        "links.coord--s1.fates.loss": 20,
        "links.coord.frames": 180,
        "nodes.s1.boot_ns": 3 * MS,
        "nodes.s1.console_lines": 2,
        "nodes.s1.sent": 200,
        "nodes.s1.rate_hz": 20.0,
        "nodes.s1.hub.received": 180,
        "nodes.s1.hub.lost": 20,
        "nodes.s1.hub.loss": 0.1,
        "nodes.s1.hub.latency_ns.max": 6 * MS,
        "nodes.s1.aggregator.received": 0,
        "nodes.s1.reported.gaps": 20,
        "nodes.s1.reported.rate_hz": 18.0,
    }
    assert {name: values[name] for name in expected} == expected
    assert 6 * MS <= values["nodes.s1.hub.latency_ns.p50"] <= 6 * MS


def test_what_did_not_happen_is_null_and_not_zero(swarm):
    _, values = measured(swarm)
    for name in ("nodes.s1.boot_ns", "nodes.s1.rate_hz", "nodes.s1.hub.lost", "nodes.s1.hub.latency_ns.p95",
                 "nodes.s1.reported.gaps", "links.coord.loss"):  # fmt: skip
        assert values[name] is None
    assert values["nodes.s1.sent"] == 0


def test_an_overrun_is_no_second_frame(swarm):
    swarm.csi("s1", S, 1)
    swarm.csi("s1", S, 1, fate=Fate.OVERRUN)
    _, values = measured(swarm)
    assert (values["links.coord--s1.frames"], values["links.coord--s1.fates.overrun"]) == (1, 1)
    assert values["nodes.s1.sent"] == 1


def test_every_metric_that_was_seen_has_evidence(swarm):
    a_run(swarm)
    meter, values = measured(swarm)
    for name, value in values.items():
        owner_was_seen = name.startswith(("links.coord--s1.", "links.coord.", "nodes.s1."))
        if value is not None and owner_was_seen and ".aggregator." not in name:
            assert meter.evidence(name) is not None, name
    assert meter.evidence("nodes.s1.hub.latency_ns.p95").file == "net/coord.pcapng"
    assert meter.evidence("nodes.s1.aggregator.lost").file == "net/coord--s1.pcapng"
    assert meter.evidence("links.coord--s2.frames") is None
    assert meter.evidence("nodes.s2.sent") is None


def test_counters_with_a_name_are_metrics(swarm_of):
    check = CheckSpec("counter", "counter", {"console": r"free=(\d+)", "use": "last", "name": "heap", "nodes": None,
                                             "node": None, "min": 1.0, "max": None})  # fmt: skip
    swarm = swarm_of(checks=(check,))
    a_run(swarm)
    meter, values = measured(swarm)
    assert values["nodes.s1.console.heap"] == 1234
    assert values["nodes.s2.console.heap"] is None
    assert meter.evidence("nodes.s1.console.heap").line == 2


def test_the_vocabulary_is_what_a_run_has(swarm):
    a_run(swarm)
    assert vocabulary(swarm.context) == tuple(measured(swarm)[1])


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("nodes.*.sent", ["nodes.coord.sent", "nodes.s1.sent", "nodes.s2.sent"]),
        ("nodes.s?.boot_ns", ["nodes.s1.boot_ns", "nodes.s2.boot_ns"]),
        ("links.coord.loss", ["links.coord.loss"]),
        ("nodes.*", []),
        ("*.loss", []),
    ],
)
def test_a_star_stays_between_dots(swarm, pattern, expected):
    assert matching(vocabulary(swarm.context), pattern) == expected


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("nodes.s1.hub.latency_ns.p95", Better.LOWER),
        ("links.coord.loss", Better.LOWER),
        ("links.coord.fates.queue_full", Better.LOWER),
        ("nodes.s1.reported.gaps", Better.LOWER),
        ("nodes.s1.rate_hz", Better.HIGHER),
        ("nodes.s1.hub.received", Better.HIGHER),
        ("links.coord.bytes", Better.NEITHER),
        ("nodes.s1.reported.falls", Better.NEITHER),
    ],
)
def test_which_way_is_better(name, way):
    assert better(name) is way


def test_units():
    assert is_duration("nodes.s1.hub.latency_ns.p95")
    assert is_duration("nodes.s1.boot_ns")
    assert is_share("links.coord.loss")
    assert not is_share("links.coord.fates.loss")
    assert not is_duration("nodes.s1.rate_hz")
