"""What CI services are told of suites and sweeps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from swarmrig.cli.suite_ci import sweep_text, tell_ci_of_sweep
from swarmrig.model.record import RunRecord
from swarmrig.model.scenario import FaultSpec, NetworkSpec, NodeSpec, Scenario, SourceRef, TimeMode, Topology
from swarmrig.model.verdict import CheckResult, Judgement, Outcome
from swarmrig.runtime.run import FinishedRun
from swarmrig.suites.branches import Branch
from swarmrig.suites.fault_sweep import Sweep, SweptRun

SUITE = """\
suite: 1
name: s
processes:
  main: {command: [sh, -c, "echo COUNT n={n}"]}
counters: {c: {process: main, line: COUNT}}
scenarios: {good: {with: {n: 3}}, bad: {with: {n: "<b>4"}}}
modes: {m: {thresholds: {good: {n: {min: 3}}, bad: {n: {min: 3}}}}}
"""


@pytest.fixture
def on_ci(bare_environment, tmp_path, monkeypatch) -> Path:
    """As in a step of a job; where its summary is."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "job.md"))
    return tmp_path / "job.md"


def test_a_suite_has_annotations_and_a_summary(swarmrig, on_ci, tmp_path):
    (tmp_path / "s.suite.yml").write_text(SUITE)
    result = swarmrig("suite", "run", "s.suite.yml")
    assert result.returncode == 2, result.stderr
    (annotation,) = [line for line in result.stderr.splitlines() if line.startswith("::error")]
    assert annotation.startswith("::error file=s.suite.yml,line=1,col=1,title=s%3A FAIL bad::")
    first, *_ = [line for line in result.stderr.splitlines() if line.startswith("::stop-commands::")]
    assert f"::{first.removeprefix('::stop-commands::')}::" in result.stderr.splitlines()
    text = on_ci.read_text()
    assert text.startswith("# s: FAIL\n\n1 of 2 runs passed, mode m\n\n## Failed\n\n- bad: ")
    assert text.endswith("## Passed\n\n- good\n\n")


def test_without_a_service_a_suite_says_nothing_of_it(swarmrig, tmp_path, monkeypatch):
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "s.suite.yml").write_text(SUITE)
    assert "::" not in swarmrig("suite", "run", "s.suite.yml").stderr


def swept(name: str, *results: CheckResult, failures: tuple[str, ...] = ()) -> SweptRun:
    scenario = Scenario("rooms", 10**9, 7, TimeMode.REAL, NetworkSpec(topology=Topology.MESH), (NodeSpec("a", 0),))
    verdict = Outcome.PASS if all(each.judgement.outcome is Outcome.PASS for each in results) else Outcome.FAIL
    record = RunRecord("a" * 8, scenario, "0", "exact", None, "2026-01-01T00:00:00Z", 10**9, False, verdict, 0, results,
                       (), (), (), {}, failures=failures)  # fmt: skip
    return SweptRun(Branch(name, (FaultSpec(name, "cut", 1, None, {}),), 1), FinishedRun(record, Path("r")), 0.1, None)


GOOD = CheckResult("boots", "boots", Judgement(Outcome.PASS, "yes"))
BAD = replace(
    GOOD, label="console", judgement=Judgement(Outcome.FAIL, "nothing <here>"), source=SourceRef("a.yml", 3, 5)
)


def test_a_sweep_has_annotations_of_every_run(on_ci, capsys):
    done = Sweep("rooms", Path("d"), [swept("cut-1", GOOD), swept("cut-2", GOOD, BAD, failures=("no net",))])
    tell_ci_of_sweep(done)
    assert capsys.readouterr().err.splitlines() == [
        "::error file=a.yml,line=3,col=5,title=rooms cut-2%3A FAIL console::nothing <here>",
        "::error title=rooms cut-2%3A failure::no net",
    ]
    assert "  - FAIL console: nothing &lt;here>" in on_ci.read_text()


def test_a_sweep_on_one_page():
    done = Sweep("rooms", Path("d"), [swept("cut-1", GOOD), swept("cut-2", BAD)], interrupted=True)
    assert sweep_text(done).splitlines() == [
        "# rooms: 1 of 2 runs passed, interrupted",
        "",
        "## Runs",
        "",
        "- PASS         cut-1",
        "- FAIL         cut-2",
        "  - FAIL console: nothing <here>",
    ]


def test_a_sweep_that_was_interrupted_before_its_first_run_is_told_too(on_ci):
    tell_ci_of_sweep(Sweep("rooms", Path("d"), interrupted=True))
    assert on_ci.read_text() == "# rooms: 0 of 0 runs passed, interrupted\n\n"
