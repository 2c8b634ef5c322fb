"""What a CI service is told of many runs: those of a suite, and those of a sweep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from swarmrig.cli.ci import Annotation, annotations_of, commands, markdown, outputs, tell, workspace
from swarmrig.cli.output import counted
from swarmrig.model.scenario import SourceRef
from swarmrig.model.verdict import Outcome
from swarmrig.reports.text import one_line, section
from swarmrig.suites.conduct import FinishedSuite
from swarmrig.suites.directory import SuiteDirectory, SuiteRun
from swarmrig.suites.fault_sweep import Sweep, SweptRun


def tell_ci_of_suite(name: str, directory: SuiteDirectory, finished: FinishedSuite) -> None:
    """Annotate the suite file with what failed, append the job summary, and set the outputs of the step, where somebody
    reads them."""
    annotations = commands(_of_suite(name, directory.run, finished), workspace())
    tell(annotations, markdown(suite_text(name, finished)), outputs(directory.path, verdict_of(finished)))


def tell_ci_of_sweep(done: Sweep) -> None:
    """Annotate the scenario with what failed in each run, append the job summary, and set the outputs of the step,
    where somebody reads them. A sweep has no junit.xml, but each of its runs has."""
    annotations = (
        annotation
        for run in done.runs
        for annotation in annotations_of(run.finished.record, f"{done.name} {run.branch.name}")
    )
    records = sorted((run.finished.record for run in done.runs), key=lambda record: record.exit_code)
    results = outputs(done.directory, records[-1].verdict if records else Outcome.INCONCLUSIVE)
    del results["junit"]
    tell(commands(annotations, workspace()), markdown(sweep_text(done)), results)


def _of_suite(name: str, begun: SuiteRun, finished: FinishedSuite) -> Iterator[Annotation]:
    place = SourceRef(begun.file, 1, 1)
    for entry in _failed(finished.summary):
        evidence = [f"see {path}" for path in entry["evidence"].values() if path]
        yield "error", f"{name}: FAIL {entry['id']}", "\n".join([entry["reason"], *evidence]), place
    for each in finished.over_runs:
        if not each.check.passed:
            yield "error", f"{name}: FAIL {each.scenario}", str(each), place
    for difference in finished.differences:
        yield "error", f"{name}: incomplete", difference, place


def _failed(summary: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [entry for entry in summary["scenarios"] if entry["status"] != "pass"]


def verdict_of(finished: FinishedSuite) -> Outcome:
    """A suite passes or fails."""
    return Outcome.PASS if finished.summary["all_pass"] else Outcome.FAIL


def suite_text(name: str, finished: FinishedSuite) -> str:
    """A suite's verdict on one page: what failed, then the rest."""
    summary = finished.summary
    counts = summary["counts"]
    interrupted = ", interrupted" if finished.interrupted else ""
    failed = [f"- {one_line(entry['id'])}: {one_line(entry['reason'])}" for entry in _failed(summary)]
    failed += [f"- {one_line(str(each))}" for each in finished.over_runs if not each.check.passed]
    failed += [f"- {one_line(difference)}" for difference in finished.differences]
    passed = [f"- {one_line(entry['id'])}" for entry in summary["scenarios"] if entry["status"] == "pass"]
    lines = [
        f"# {one_line(name)}: {verdict_of(finished)}",
        "",
        f"{counts['pass']} of {counted(counts['total'], 'run')} passed, mode {summary['mode']}{interrupted}",
        *section("Failed", failed),
        *section("Passed", passed),
    ]
    return "\n".join(lines) + "\n"


def sweep_text(done: Sweep) -> str:
    """A sweep's runs on one page, each with what did not pass in it."""
    passed = sum(run.finished.record.verdict is Outcome.PASS for run in done.runs)
    interrupted = ", interrupted" if done.interrupted else ""
    lines = [
        f"# {one_line(done.name)}: {passed} of {counted(len(done.runs), 'run')} passed{interrupted}",
        *section("Runs", [line for run in done.runs for line in _swept(run)]),
    ]
    return "\n".join(lines) + "\n"


def _swept(run: SweptRun) -> list[str]:
    record = run.finished.record
    bad = [result for result in record.checks if result.judgement.outcome is not Outcome.PASS]
    return [
        f"- {record.verdict:<12} {one_line(run.branch.name)}",
        *(f"  - {each.judgement.outcome} {one_line(each.label)}: {one_line(each.judgement.message)}" for each in bad),
        *(f"  - {one_line(failure)}" for failure in record.failures),
    ]
