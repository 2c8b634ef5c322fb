"""junit.xml: one test suite a run, one test case a check, a fault, and a failure of the rig.

JUnit knows no warning. What counts as FAIL or FATAL is a failure (an inconclusive check too: its type says
INCONCLUSIVE). What counts as WARN passes with its message on system-out, or is skipped when it is inconclusive,
since nothing was judged; where WARN was made to fail the run (`--strict`), both are failures. So a suite has
failures or errors exactly when the verdict is FAIL or FATAL.
"""

from __future__ import annotations

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from swarmrig.model.record import RunRecord
from swarmrig.model.units import NS_PER_S, format_seconds
from swarmrig.model.verdict import CheckResult, Judgement, Outcome
from swarmrig.reports.plain import xml_text
from swarmrig.reports.results import FAULT, NOTHING_CHECKED

_FAILING = (Outcome.FAIL, Outcome.FATAL)


def junit(record: RunRecord) -> str:
    """The document of junit.xml."""
    suite = TestSuite(xml_text(record.scenario.name))
    suite.timestamp = record.started_at.rstrip("Z")
    for name, value in _properties(record).items():
        suite.add_property(name, xml_text(value))
    strict = _is_strict(record)
    for result in record.checks:
        suite.add_testcase(_case(record, result, strict))
    if all(result.name == FAULT for result in record.checks):
        suite.add_testcase(_nothing_checked(record, strict))
    for number, failure in enumerate(record.failures, start=1):
        suite.add_testcase(_rig_failure(record, number, failure))
    # Checks judge one run together, so the time belongs to the suite and not to its cases.
    return document_text(suite, time_s=record.run_ns / NS_PER_S)


def document_text(*suites: TestSuite, time_s: float | None = None) -> str:
    """The document of these suites, with their statistics; `time_s` in place of the sum of cases, of a single one."""
    document = JUnitXml("swarmrig")
    for suite in suites:
        document.append(suite)
    document.update_statistics()
    if time_s is not None:
        suites[0].time = document.time = round(time_s, 3)
    body: bytes = document.tostring()
    return '<?xml version="1.0" encoding="utf-8"?>\n' + body.decode() + "\n"


def _properties(record: RunRecord) -> dict[str, str]:
    return {
        "run": record.run_id,
        "verdict": record.verdict.value,
        "exit_code": str(record.exit_code),
        "seed": str(record.scenario.seed),
        "tier": record.tier,
        "interrupted": str(record.interrupted).lower(),
    }


def _is_strict(record: RunRecord) -> bool:
    """Did a mere warning fail the run?"""
    counted = [result.judgement.counted for result in record.checks]
    return record.verdict in _FAILING and not record.failures and not any(each in _FAILING for each in counted)


def _case(record: RunRecord, result: CheckResult, strict: bool) -> TestCase:
    judgement = result.judgement
    case = TestCase(xml_text(result.label), _class_name(record, "faults" if result.name == FAULT else "checks"), 0.0)
    message = xml_text(judgement.message)
    details = _details(judgement, _stages(record, result))
    if judgement.counted in _FAILING or (strict and judgement.counted is Outcome.WARN):
        failure = Failure(message, judgement.outcome.value)
        failure.text = details
        case.result = failure
    elif judgement.outcome is Outcome.INCONCLUSIVE:
        case.result = Skipped(message, judgement.outcome.value)
    case.system_out = details
    return case


def _nothing_checked(record: RunRecord, strict: bool) -> TestCase:
    case = TestCase("nothing checked", _class_name(record, "checks"), 0.0)
    result_type = Failure if strict else Skipped
    case.result = result_type(NOTHING_CHECKED, Outcome.INCONCLUSIVE.value)
    return case


def _rig_failure(record: RunRecord, number: int, failure: str) -> TestCase:
    case = TestCase(f"failure {number}", _class_name(record, "rig"), 0.0)
    case.result = Error(xml_text(failure.splitlines()[0] if failure else ""), "rig")
    case.system_out = xml_text(failure)
    return case


def _stages(record: RunRecord, result: CheckResult) -> list[str]:
    """Of the proof of a fault: what was done and seen, and when."""
    if result.name != FAULT:
        return []
    fault = next((fault for fault in record.faults if fault.id == result.judgement.measured.get("id")), None)
    return [] if fault is None else [f"{stage} at {format_seconds(t_ns)}" for stage, t_ns in fault.stages]


def _details(judgement: Judgement, stages: list[str]) -> str:
    lines = [f"{judgement.outcome.value}: {judgement.message}", *stages]
    lines += [f"see {item}" for item in judgement.evidence]
    return xml_text("\n".join(lines))


def _class_name(record: RunRecord, part: str) -> str:
    return xml_text(f"swarmrig.{record.scenario.name}.{part}")
