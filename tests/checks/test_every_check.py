"""What holds for every built-in check, found through the entry points as the runtime finds them."""

import json
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swarmrig.api.checks import describe
from swarmrig.model.facts import ConsoleLine, FaultChange, FaultStage, Frame, NodeChange, NodeState
from swarmrig.model.network import Fate
from swarmrig.model.scenario import FaultSpec
from swarmrig.model.verdict import Outcome
from swarmrig.plugins import Registry

S = 1_000_000_000
MS = 1_000_000
REGISTRY = Registry.load()
PARAMS = {
    "console": {"matches": "TDM slot"},
    "exit": {"node": "s1"},
    "fall_detected_by_node": {"node": 2},
    "frames": {"filter": "udp", "count": {"min": 2}},
    "metric": {"name": "nodes.s*.sent", "min": 100},
    "latency": {"p95": "10ms", "p99": "20ms"},
    "counter": {"console": r"TDM slot=(\d+)", "max": 9},
    "survives": {"fault": "cut", "nodes": ["coord", "s2"]},
    "degrades_gracefully": {"at_least": 0.4},
}
BUILT_IN = [
    name for name in REGISTRY.names("checks") if REGISTRY.points["swarmrig.checks"][name].value.startswith("swarmrig.")
]


def make(name, context, **more):
    check = REGISTRY.check(name)
    return check(context, **check.params_model.model_validate({**PARAMS.get(name, {}), **more}).model_dump())


def outcome_of(name, context, facts, now=20 * S, **more):
    check = make(name, context, **more)
    for fact in facts:
        check.observe(fact)
    return check.judge(now, final=True)


def test_all_are_there():
    assert len(BUILT_IN) == 21


@pytest.mark.parametrize("name", BUILT_IN)
def test_nothing_happened_is_never_a_pass(swarm, name):
    check = make(name, swarm.context)
    assert check.judge(0, final=False) is None
    judgement = check.judge(60 * S, final=True)
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.message
    assert judgement.counted in (Outcome.WARN, Outcome.FAIL, Outcome.FATAL)


@pytest.mark.parametrize("name", BUILT_IN)
def test_nothing_but_the_processes_is_no_pass_without_evidence(swarm, name):
    swarm.started()
    judgement = outcome_of(name, swarm.context, swarm.facts)
    assert judgement.outcome is not Outcome.PASS or name == "no_crashes"


@pytest.mark.parametrize("name", BUILT_IN)
def test_an_empty_swarm_is_never_a_pass(swarm_of, name):
    swarm = swarm_of(sensors=0, roles={})
    assert outcome_of(name, swarm.context, []).outcome is not Outcome.PASS


@pytest.mark.parametrize("name", BUILT_IN)
def test_described_for_schema_and_docs(name):
    described = describe(REGISTRY.check(name))
    json.dumps(described)
    assert described["help"].endswith(".")
    assert described["severity"] in ("WARN", "FAIL", "FATAL")


@pytest.mark.parametrize("name", BUILT_IN)
def test_bare_names_a_field(name):
    model = REGISTRY.check(name).params_model
    assert model.bare is None or model.bare in model.model_fields


@pytest.mark.parametrize(("name", "field"), [("frame_rate_above", "hz"), ("max_boot_time_s", "seconds")])
def test_bare_names_mean_ten(name, field):
    assert REGISTRY.check(name).params_model.model_validate({}).model_dump() == {field: 10}


def a_run(swarm_of):
    """A whole run of a healthy swarm with one healed cut, by source."""
    fault = FaultSpec("cut-1", "cut", 10 * S, 3 * S, {"between": ("coord", "s1")})
    swarm = swarm_of(faults=(fault,))
    swarm.started()
    swarm.booted()
    for node in swarm.ids:
        swarm.line(node, f"I (2) tdm: TDM slot={swarm.number(node)} of 3")
    for superframe in range(400):
        swarm.deaf = {"s1"} if 10 * S <= superframe * 50 * MS < 13 * S else set()
        swarm.beacon(superframe * 50 * MS, superframe)
        for node in swarm.ids:
            slot_ns = (50 * swarm.number(node) * MS + 12 * MS) // 3
            t = superframe * 50 * MS + slot_ns
            down = node == "s1" and 10 * S < t < 13 * S
            swarm.csi(node, t, superframe, fate=Fate.DOWN if down else Fate.DELIVERED)
            if node != "coord" and not down:
                swarm.arrival(node, t + 5 * MS, superframe)
    for stage, t in zip(FaultStage, (10 * S, 10 * S + 40 * MS, 13 * S, 13 * S + 40 * MS), strict=False):
        swarm.fault(stage, t)
    swarm.line("coord", "I (90) coord: first frame from node_id=1")
    swarm.line("coord", "I (95) coord: first frame from node_id=2")
    swarm.line("s2", "W (7000) edge: fall detected node_id=2 accel=17000")
    swarm.exited("s1", t=20 * S, code=0)
    return swarm


def by_source(facts):
    sources = {}
    for fact in facts:
        key = type(fact).__name__, getattr(fact, "link", getattr(fact, "node", ""))
        sources.setdefault(key, []).append(fact)
    return list(sources.values())


def shuffled_by_source(facts, chance):
    """Each source in its own order, the sources in any."""
    queues = [list(reversed(source)) for source in by_source(facts)]
    merged = []
    while queues:
        queue = chance.choice(queues)
        for _ in range(min(len(queue), chance.choice((1, 10, 1000)))):
            merged.append(queue.pop())
        if not queue:
            queues.remove(queue)
    return merged


@pytest.fixture
def more_params(swarm_of, write_former, tmp_path):
    """What a check needs besides PARAMS: a former run, to be compared with."""

    def more(name):
        swarm = a_run(swarm_of)
        return {"run": str(write_former(swarm, tmp_path))} if name == "compared_to" else {}

    return more


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_order_among_sources_does_not_matter(swarm_of, name, more_params):
    swarm, more = a_run(swarm_of), more_params(name)
    expected = outcome_of(name, swarm.context, swarm.facts, **more)
    assert expected.outcome is (Outcome.FATAL if name == "no_crashes" else Outcome.PASS)
    assert expected.evidence
    chance = random.Random(name)
    for _ in range(4):
        assert outcome_of(name, swarm.context, shuffled_by_source(swarm.facts, chance), **more) == expected


@pytest.mark.parametrize("name", BUILT_IN)
def test_an_early_decision_is_the_final_one(swarm_of, name):
    """Whenever a check decides before the end, nothing that follows in a healthy run changes it."""
    swarm = a_run(swarm_of)
    check = make(name, swarm.context)
    early = None
    for number, fact in enumerate(swarm.facts):
        check.observe(fact)
        if early is None and number % 50 == 0:
            early = check.judge(number, final=False)
    final = check.judge(20 * S, final=True)
    assert early is None or early.outcome is final.outcome


TIMES = st.integers(0, 2**62)
NODES = st.sampled_from(["coord", "s1", "s2", "aggregator", "", "stranger"])
FACTS = st.one_of(
    st.builds(ConsoleLine, TIMES, NODES, st.integers(1, 10**6), st.text(max_size=200)),
    st.builds(
        Frame,
        TIMES,
        st.sampled_from(["coord", "coord--s1", "nowhere"]),
        NODES,
        st.integers(1, 10**6),
        st.binary(max_size=120),
        st.sampled_from(Fate),
        st.booleans(),
    ),
    st.builds(
        NodeChange,
        TIMES,
        NODES,
        st.sampled_from(NodeState),
        st.dictionaries(st.sampled_from(["code", "signal", "stderr", "status"]), st.none() | st.integers() | st.text()),
    ),
    st.builds(
        FaultChange, TIMES, st.sampled_from(["cut-1", "x"]), st.sampled_from(["cut", "x"]), st.sampled_from(FaultStage)
    ),
)


@pytest.mark.parametrize("name", BUILT_IN)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(facts=st.lists(FACTS, max_size=30), now=TIMES)
def test_any_facts_are_judged_without_an_exception(swarm_of, name, facts, now):
    swarm = swarm_of(faults=(FaultSpec("cut-1", "cut", 10 * S, 5 * S, {"between": ("coord", "s1")}),))
    check = make(name, swarm.context)
    for fact in facts:
        check.observe(fact)
        check.judge(now, final=False)
    judgement = check.judge(now, final=True)
    assert judgement is not None
    assert len(judgement.evidence) <= 8
    if judgement.outcome is Outcome.PASS:
        assert judgement.evidence


@pytest.mark.parametrize(("name", "field"), [("console", "within"), ("network_partitioned_recovery", "within")])
def test_durations_are_read_and_written_with_their_unit(name, field):
    model = REGISTRY.check(name).params_model
    params = model.model_validate({**PARAMS.get(name, {}), field: "1.5s"})
    assert params.model_dump()[field] == 1_500_000_000
    assert params.model_dump(mode="json")[field] == "1500ms"
