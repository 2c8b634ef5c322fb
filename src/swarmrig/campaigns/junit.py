"""junit.xml of a campaign: one test suite a scenario, one test case a task.

What fails is a failure, what could not be judged is an error, what is quarantined is skipped with its reason, whatever
came out. Flaky runs, and runs that should be the same and are not, are cases of a suite of their own. A document has
failures or errors exactly when the campaign does not end with 0 or 1.
"""

from __future__ import annotations

from junitparser import Error, Failure, Skipped, TestCase, TestSuite

from swarmrig.campaigns.results import CampaignResults, Entry
from swarmrig.campaigns.task import Ending, TaskResult
from swarmrig.model.verdict import Outcome
from swarmrig.reports.junit import document_text
from swarmrig.reports.plain import xml_text

_FAILING = (Outcome.FAIL, Outcome.FATAL)


def junit(results: CampaignResults) -> str:
    """The document of junit.xml."""
    suites: dict[str, TestSuite] = {}
    for entry in results.tasks:
        scenario = entry.task.scenario
        if scenario not in suites:
            suites[scenario] = _suite(results, scenario)
        suites[scenario].add_testcase(_case(results, entry))
    sameness = _sameness(results)
    return document_text(*suites.values(), *([sameness] if len(sameness) else []))


def _suite(results: CampaignResults, name: str) -> TestSuite:
    facts = results.campaign
    suite = TestSuite(xml_text(name))
    suite.timestamp = facts.started_at.rstrip("Z")
    properties = {"campaign": facts.name, "id": facts.id, "version": facts.version, "shard": facts.shard or "1/1"}
    for key, value in properties.items():
        suite.add_property(key, xml_text(value))
    return suite


def _case(results: CampaignResults, entry: Entry) -> TestCase:
    task, result = entry.task, entry.result
    case = TestCase(xml_text(task.id), _class_name(results, task.scenario), 0.0 if result is None else result.wall_s)
    if task.quarantine is not None:
        case.result = Skipped(xml_text(f"quarantined ({entry.word}): {task.quarantine}"), "quarantine")
    elif result is None:
        case.result = Error("it has not been run, or not to its end", "not run")
    elif result.ending is not Ending.JUDGED:
        case.result = Error(xml_text(result.attempts[-1].reason), result.ending.value)
    elif result.verdict in _FAILING:
        case.result = Failure(xml_text(failure_of(result)), entry.word)
    case.system_out = xml_text("\n".join(_details(entry)))
    return case


def failure_of(result: TaskResult) -> str:
    """Why a run did not pass, in a line."""
    checks = [f"{check.label}: {check.message}" for check in result.checks if check.counted is not Outcome.PASS]
    return "; ".join([*result.failures, *checks]) or "nothing was checked"


def _details(entry: Entry) -> list[str]:
    result = entry.result
    lines = [f"settings: {' '.join(entry.task.settings)}"] if entry.task.settings else []
    if result is None:
        return lines
    lines += [f"{check.counted.value} {check.label}: {check.message}" for check in result.checks]
    lines += [f"failure: {failure}" for failure in result.failures]
    for attempt in result.attempts:
        if len(result.attempts) > 1 or attempt.reason:
            lines.append(
                f"attempt {attempt.number} on {attempt.worker}: {attempt.ending.value} {attempt.reason}".rstrip()
            )
    return [*lines, f"see {result.directory}"] if result.directory else lines


def _sameness(results: CampaignResults) -> TestSuite:
    suite = _suite(results, "sameness")
    for flaky in results.flaky:
        case = TestCase(xml_text(f"flaky: {flaky.tasks[0]}"), _class_name(results, "sameness"), 0.0)
        failing = {*flaky.verdicts} & {outcome.value for outcome in _FAILING}
        counts = any(entry.task.id == flaky.tasks[0] and entry.task.quarantine is None for entry in results.tasks)
        case.result = (Failure if failing and counts else Skipped)(xml_text(flaky.message), "FLAKY")
        suite.add_testcase(case)
    for difference in results.differences:
        case = TestCase(xml_text(f"same bytes: {difference.tasks[0]}"), _class_name(results, "sameness"), 0.0)
        case.result = (Skipped if difference.inputs else Failure)(xml_text(difference.message), "DIFFERENT")
        suite.add_testcase(case)
    return suite


def _class_name(results: CampaignResults, part: str) -> str:
    return xml_text(f"swarmrig.{results.campaign.name}.{part}")
