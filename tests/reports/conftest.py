"""Records of finished runs."""

from dataclasses import replace

import pytest

from swarmrig.model.facts import FaultStage, ProofStatus
from swarmrig.model.record import FaultRecord, LinkRecord, NodeRecord, RunRecord
from swarmrig.model.scenario import NetworkSpec, NodeSpec, Role, Scenario, TimeMode, Topology
from swarmrig.model.verdict import CheckResult, Evidence, Judgement, Outcome

S = 1_000_000_000


def make_result(label, outcome=Outcome.PASS, severity=Outcome.FAIL, message="fine", evidence=None, name="", **measured):
    pointers = (Evidence("nodes/n0/console.log", line=3, note="boot marker"),) if evidence is None else evidence
    return CheckResult(name or label, label, Judgement(outcome, message, tuple(pointers), severity, measured))


def make_record(*checks, verdict=Outcome.PASS, exit_code=0, dialect="native", **changes):
    nodes = (
        NodeSpec("n0", 0, role=Role.COORDINATOR, edge_tier=2, is_gateway=True),
        NodeSpec("n1", 1, scenario=2, tdm_slot=1, channel=11),
    )
    scenario = Scenario("two-rooms", 60 * S, 7, TimeMode.REAL, NetworkSpec(Topology.STAR), nodes, dialect=dialect)
    record = RunRecord(
        run_id="cafe0123",
        scenario=scenario,
        version="0.1.0",
        tier="scheduled",
        digest=None,
        started_at="2030-01-02T03:04:05Z",
        run_ns=61 * S,
        interrupted=False,
        verdict=verdict,
        exit_code=exit_code,
        checks=checks or (make_result("all_nodes_boot"),),
        nodes=(NodeRecord("n0", 0, 3_000_000, None, 10, 500), NodeRecord("n1", 1, None, "SIGSEGV", 0, 0)),
        links=(LinkRecord("n0--n1", 10, 1000, 9, {"drop: loss": 1}),),
        faults=(),
        aggregator={"nodes": {"1": {"frames": 9}}},
    )
    return replace(record, **changes)


def make_fault(**changes):
    fault = FaultRecord(
        id="cut-1",
        kind="cut",
        description="cut the link n0--n1 for 5s",
        required=True,
        when=None,
        at_ns=10 * S,
        for_ns=5 * S,
        stages=((FaultStage.INJECTED, 10 * S), (FaultStage.OBSERVED, 11 * S)),
        status=ProofStatus.PROVED,
        message="seen",
        evidence=(Evidence("net/n0--n1.pcapng", frame=7, note="observed"),),
    )
    return replace(fault, **changes)


@pytest.fixture
def fault_of():
    return make_fault


@pytest.fixture
def result_of():
    return make_result


@pytest.fixture
def record_of():
    return make_record
