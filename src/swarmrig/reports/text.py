"""summary.md: the run on one page, readable as plain text and as Markdown (for the step summary of a CI job)."""

from __future__ import annotations

from swarmrig.model.record import FaultRecord, RunRecord
from swarmrig.model.units import format_seconds
from swarmrig.model.verdict import CheckResult
from swarmrig.reports.results import FAULT, warnings

_EVIDENCE_SHOWN = 3


def summary_text(record: RunRecord) -> str:
    """Verdict, checks with their first evidence, faults with their stages, failures and warnings."""
    scenario = record.scenario
    interrupted = ", interrupted" if record.interrupted else ""
    lines = [
        f"# {one_line(scenario.name)}: {record.verdict}",
        "",
        f"{len(scenario.nodes)} nodes, {scenario.network.topology}, {format_seconds(record.run_ns)}, "
        f"seed {scenario.seed}, tier {record.tier}, exit code {record.exit_code}{interrupted}",
    ]
    checks = [result for result in record.checks if result.name != FAULT]
    lines += section("Checks", [line for result in checks for line in _check(result)])
    lines += section("Faults", [line for fault in record.faults for line in _fault(fault)])
    lines += section("Failures of the rig", [f"- {one_line(failure)}" for failure in record.failures])
    lines += section("Warnings", [f"- {one_line(warning)}" for warning in warnings(record)])
    return "\n".join(lines) + "\n"


def section(title: str, lines: list[str]) -> list[str]:
    """A heading and what is below it; nothing when nothing is."""
    return ["", f"## {title}", "", *lines] if lines else []


def _check(result: CheckResult) -> list[str]:
    judgement = result.judgement
    lines = [f"- {judgement.outcome:<12} {one_line(result.label)}: {one_line(judgement.message)}"]
    return lines + [f"  - `{one_line(str(item)).replace('`', '')}`" for item in judgement.evidence[:_EVIDENCE_SHOWN]]


def _fault(fault: FaultRecord) -> list[str]:
    optional = "" if fault.required else " (not required)"
    lines = [
        f"- {fault.status:<13} {one_line(fault.id)}: {one_line(fault.description)}{optional}: {one_line(fault.message)}"
    ]
    stages = ", ".join(f"{stage} at {format_seconds(t_ns)}" for stage, t_ns in fault.stages)
    return lines + ([f"  - {stages}"] if stages else [])


def one_line(text: str) -> str:
    """One line without control characters: consoles and file names can hold anything."""
    return "".join(char if char.isprintable() else "\ufffd" for char in " ".join(text.split()))
