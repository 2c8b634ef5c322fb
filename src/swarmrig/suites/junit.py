"""junit.xml of a suite: one test case for each run of a scenario; what should have run and did not is an error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from junitparser import Error, Failure, TestCase, TestSuite

from swarmrig.reports.junit import document_text
from swarmrig.reports.plain import xml_text

_PROPERTIES = ("run_id", "mode", "all_pass", "started_at", "finished_at")


def junit(name: str, summary: Mapping[str, Any], differences: Iterable[str]) -> str:
    """The document of junit.xml; a suite has failures or errors exactly when not all passed."""
    suite = TestSuite(xml_text(f"{name} ({summary['mode']})"))
    suite.timestamp = summary["started_at"].rstrip("Z")
    for key in _PROPERTIES:
        suite.add_property(key, xml_text(str(summary[key]).lower() if key == "all_pass" else summary[key]))
    for scenario in summary["scenarios"]:
        suite.add_testcase(_case(name, scenario))
    for entry in summary.get("over_runs", ()):
        suite.add_testcase(_over_runs(name, entry))
    for difference in differences:
        case = TestCase(xml_text(difference), xml_text(f"swarmrig.{name}.suite"), 0.0)
        case.result = Error(xml_text(difference), "incomplete")
        suite.add_testcase(case)
    return document_text(suite)


def _over_runs(name: str, entry: Mapping[str, Any]) -> TestCase:
    title = f"{entry['scenario']}: {entry['over']} of {entry['metric']} over {entry['runs']} runs"
    case = TestCase(xml_text(title), xml_text(f"swarmrig.{name}.{entry['scenario']}"), 0.0)
    if not entry["passed"]:
        case.result = Failure(xml_text(entry["violation"]), "FAIL")
    return case


def _case(name: str, scenario: Mapping[str, Any]) -> TestCase:
    title = f"{scenario['id']} #{scenario['order']}"
    case = TestCase(xml_text(title), xml_text(f"swarmrig.{name}.{scenario['id']}"), scenario["duration_ms"] / 1000)
    lines = [f"{'PASS' if check['passed'] else 'FAIL'} {check['metric']}: {check['actual']}, "
             f"{check['type']} {check['expected']}" for check in scenario["checks"]]  # fmt: skip
    lines += [f"see {path}" for path in scenario["evidence"].values() if path]
    if scenario["status"] != "pass":
        failure = Failure(xml_text(scenario["reason"]), "FAIL")
        failure.text = xml_text("\n".join(lines))
        case.result = failure
    case.system_out = xml_text("\n".join(lines))
    return case
