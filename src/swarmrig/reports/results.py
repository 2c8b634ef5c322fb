"""results.json: everything that was concluded, on what evidence. The format is versioned (`format`), and described
by results.schema.json beside this module: keys are added within a format, never removed or given another meaning."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from swarmrig.model.facts import ProofStatus
from swarmrig.model.record import RESULTS_FORMAT as FORMAT
from swarmrig.model.record import FaultRecord, LinkRecord, NodeRecord, Pace, RunRecord
from swarmrig.model.scenario import NodeSpec
from swarmrig.model.units import NS_PER_S
from swarmrig.model.verdict import CheckResult, Evidence

FAULT = "fault"
"""Name of the results that prove faults; all others are checks of the scenario."""
NOTHING_CHECKED = "nothing was checked: the scenario has no checks"


def schema() -> dict[str, Any]:
    """The JSON Schema of results.json."""
    text = files("swarmrig.reports").joinpath("results.schema.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def results(record: RunRecord) -> dict[str, Any]:
    """The document of results.json."""
    return {
        "format": FORMAT,
        "generator": {"name": "swarmrig", "version": record.version},
        "run": _run(record),
        "verdict": record.verdict,
        "exit_code": record.exit_code,
        "checks": [check(result) for result in record.checks],
        "nodes": [_node(record, node) for node in record.nodes],
        "links": [_link(link) for link in record.links],
        "faults": [fault(one) for one in record.faults],
        "aggregator": record.aggregator,
        "metrics": _metrics(record.metrics),
        "warnings": list(warnings(record)),
        "failures": list(record.failures),
    }


def check(result: CheckResult) -> dict[str, Any]:
    """One check, or the proof of one fault, with all its evidence."""
    judgement = result.judgement
    return {
        "name": result.name,
        "label": result.label,
        "outcome": judgement.outcome,
        "counted": judgement.counted,
        "severity": judgement.severity,
        "message": judgement.message,
        "evidence": [evidence(item) for item in judgement.evidence],
        "measured": judgement.measured,
    }


def fault(record: FaultRecord) -> dict[str, Any]:
    """One occurrence of a fault, its stages, and whether it is proved."""
    return {
        "id": record.id,
        "kind": record.kind,
        "description": record.description,
        "required": record.required,
        "when": record.when,
        "at_ns": record.at_ns,
        "for_ns": record.for_ns,
        "stages": [{"stage": stage, "t_ns": t_ns} for stage, t_ns in record.stages],
        "status": record.status,
        "proved": record.status is ProofStatus.PROVED,
        "message": record.message,
        "evidence": [evidence(item) for item in record.evidence],
    }


def evidence(item: Evidence) -> dict[str, Any]:
    """A pointer; `at` is the short form that people can paste: file:line or file#frame."""
    found: dict[str, Any] = {"at": str(Evidence(item.file, item.line, item.frame)), "file": item.file}
    if item.line is not None:
        found["line"] = item.line
    if item.frame is not None:
        found["frame"] = item.frame
    return found | ({"note": item.note} if item.note else {})


def warnings(record: RunRecord) -> tuple[str, ...]:
    """The warnings of the run, and that nothing was checked when nothing was."""
    checked = any(result.name != FAULT for result in record.checks)
    return record.warnings if checked else (*record.warnings, NOTHING_CHECKED)


def _metrics(metrics: Mapping[str, int | float | None]) -> dict[str, int | float | None]:
    """All but the fates that no frame of a link met."""
    return {name: value for name, value in metrics.items() if value or ".fates." not in name}


def _run(record: RunRecord) -> dict[str, Any]:
    scenario = record.scenario
    return {
        "id": record.run_id,
        "name": scenario.name,
        "dialect": scenario.dialect,
        "source": scenario.source,
        "topology": scenario.network.topology,
        "network": scenario.network.mode,
        "time": scenario.time,
        "seed": scenario.seed,
        "tier": record.tier,
        "digest": record.digest,
        "started_at": record.started_at,
        "planned_s": scenario.duration_ns / NS_PER_S,
        "run_s": record.run_ns / NS_PER_S,
        "run_ns": record.run_ns,
        "interrupted": record.interrupted,
        **({} if record.pace is None else {"pace": _pace(record.pace)}),
    }


def _pace(pace: Pace) -> dict[str, Any]:
    return {
        "behind_max_s": pace.behind_max_ns / NS_PER_S,
        "slipped_s": pace.slipped_ns / NS_PER_S,
        "held_s": pace.held_ns / NS_PER_S,
        "handed_over": pace.handed_over,
        "late_max_s": pace.late_max_ns / NS_PER_S,
        "late_mean_s": pace.late_mean_ns / NS_PER_S,
        "lost": pace.lost,
    }


def _node(record: RunRecord, node: NodeRecord) -> dict[str, Any]:
    spec = next((spec for spec in record.scenario.nodes if spec.id == node.id), None)
    return {
        "id": node.id,
        "number": node.number,
        **(_described(spec) if spec is not None else {}),
        "boot_s": None if node.boot_ns is None else node.boot_ns / NS_PER_S,
        "exit_status": node.exit_status,
        "console": f"nodes/{node.id}/console.log",
        "console_lines": node.console_lines,
        "console_bytes": node.console_bytes,
    }


def _described(spec: NodeSpec) -> Mapping[str, Any]:
    return {
        "role": spec.role,
        "kind": spec.kind,
        "machine": spec.machine,
        "scenario": spec.scenario,
        "channel": spec.channel,
        "tdm_slot": spec.tdm_slot,
        "edge_tier": spec.edge_tier,
    }


def _link(link: LinkRecord) -> dict[str, Any]:
    return {
        "name": link.name,
        "capture": f"net/{link.name}.pcapng",
        "frames": link.frames,
        "bytes": link.bytes,
        "delivered": link.delivered,
        "drops": dict(link.drops),
    }
