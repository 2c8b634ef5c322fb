"""The end of a run in words, and plans in words: synthetic records, every kind of result."""

from __future__ import annotations

import re
from pathlib import Path

from swarmrig.api import NodePlan
from swarmrig.cli.bare_plan import bare_network
from swarmrig.cli.planned import plan_json, plan_lines
from swarmrig.cli.summary import summary_lines
from swarmrig.model.network import Impairment
from swarmrig.model.record import RunRecord
from swarmrig.model.scenario import (
    CheckSpec,
    FaultSpec,
    FirmwareSpec,
    NetworkSpec,
    NodeSpec,
    Scenario,
    TimeMode,
    Topology,
)
from swarmrig.model.verdict import CheckResult, Evidence, Judgement, Outcome
from swarmrig.runtime.plan import PlannedCheck, PlannedFault, RunPlan
from swarmrig.runtime.run import FinishedRun

S = 1_000_000_000
ESCAPE = "\x1b[2J"


def scenario(**changes) -> Scenario:
    nodes = (NodeSpec("a", 0), NodeSpec("b", 1, firmware=FirmwareSpec(build=("make", "all of it"))))
    network = NetworkSpec(Topology.MESH, impairment=Impairment(loss=0.01))
    return Scenario(**{"name": "rooms", "duration_ns": 60 * S, "seed": 7, "time": TimeMode.REAL, "network": network,
                       "nodes": nodes, **changes})  # fmt: skip


def finished(*judgements: Judgement, **changes) -> FinishedRun:
    results = tuple(CheckResult(f"check_{n}", f"check_{n}", judgement) for n, judgement in enumerate(judgements))
    values = {
        "run_id": "1", "scenario": scenario(), "version": "0", "tier": "scheduled", "digest": None,
        "started_at": "2025-01-01T00:00:00Z", "run_ns": 12 * S, "interrupted": False, "verdict": Outcome.FAIL,
        "exit_code": 2, "checks": results, "nodes": (), "links": (), "faults": (), "aggregator": {}, **changes,
    }  # fmt: skip
    return FinishedRun(RunRecord(**values), Path("/elsewhere/rooms-1"))


def test_every_result_is_a_line_with_its_evidence():
    evidence = tuple(Evidence("net/a.pcapng", frame=n, note="late") for n in range(1, 6))
    lines = list(
        summary_lines(
            finished(
                Judgement(Outcome.PASS, "all well", (Evidence("nodes/a/console.log", line=3, note="marker"),)),
                Judgement(Outcome.FAIL, "too few", evidence),
                Judgement(Outcome.INCONCLUSIVE, "nothing seen"),
            ),
            colours=False,
        )
    )
    assert lines[1] == "PASS          check_0  all well (nodes/a/console.log:3)"
    assert lines[2] == "FAIL          check_1  too few"
    assert [line.strip() for line in lines[3:6]] == [f"see net/a.pcapng#{n} (late)" for n in (1, 2, 3)]
    assert lines[6] == "INCONCLUSIVE  check_2  nothing seen"
    assert lines[-2] == "rooms: FAIL after 12.0 s (seed 7, tier scheduled)"
    assert lines[-1] == "results: /elsewhere/rooms-1/results.json"


def test_failures_warnings_and_interruption_are_told():
    text = "\n".join(
        summary_lines(
            finished(
                interrupted=True, failures=("left over: process 7",), warnings=(f"a: {ESCAPE}",), verdict=Outcome.FATAL
            ),
            colours=False,
        )
    )
    assert "FATAL         left over: process 7" in text
    assert "note          a: \\x1b[2J" in text
    assert "FATAL after 12.0 s (seed 7, tier scheduled, interrupted)" in text


def test_colours_only_on_request():
    run = finished(Judgement(Outcome.FAIL, ESCAPE))
    assert "\x1b" not in "".join(summary_lines(run, colours=False))
    coloured = "".join(summary_lines(run, colours=True))
    assert "\x1b[" in coloured
    assert ESCAPE not in coloured


def plan() -> RunPlan:
    made = scenario(
        faults=(FaultSpec("cut-1", "cut", 5 * S, 2 * S, {}), FaultSpec("cut-2", "cut", 50 * S, None, {})),
        checks=(CheckSpec("frame_rate_above", "frame_rate_above", {"hz": 12.0, "other": None}),),
    )
    return RunPlan(
        scenario=made,
        network=bare_network(made),
        nodes=(
            NodePlan(
                made.nodes[0], ("qemu", "-drive", "file={flash}", "-device", "nic,mac={mac}", "-name", "two words")
            ),
            NodePlan(made.nodes[1], (), details={"what": ESCAPE}),
        ),
        backends={},
        checks=tuple(PlannedCheck(spec, object) for spec in made.checks),
        faults=tuple(PlannedFault(spec, object, f"does {spec.id}") for spec in made.faults),
        tier="scheduled",
        reasons=("real time",),
        warnings=("beware",),
    )


def test_plan_in_words():
    text = "\n".join(plan_lines(plan()))
    mac = re.search(r"nic,mac=([0-9a-f:]{17}) ", text)
    assert mac
    assert f"$ qemu -drive file={{flash}} -device nic,mac={mac[1]} -name 'two words'" in text
    assert "$ make 'all of it'" in text
    assert "what: \\x1b[2J" in text
    assert "at 5s for 2s: does cut-1" in text
    assert "cut-2: at 50s: does cut-2" in text
    assert "frame_rate_above (hz=12.0)" in text
    assert "5ms, loss 1%" in text
    assert text.endswith("warnings\n  beware")


def test_plan_for_machines():
    made = plan_json(plan())
    assert made["nodes"][0]["command"][4] == f"nic,mac={made['nodes'][0]['mac']}"
    assert made["nodes"][1]["build"] == ["make", "all of it"]
    assert [fault["for_s"] for fault in made["faults"]] == [2.0, None]
    assert made["reasons"] == ["real time"]
    assert made["network"]["links"][0]["forward"]["loss"] == 0.01
