"""What CI services are told; that guests tell them nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from swarmrig.cli.ci import MOST, annotate, job_summary, mute_commands, tell_ci
from swarmrig.errors import HostError
from swarmrig.model.record import RunRecord
from swarmrig.model.scenario import NetworkSpec, NodeSpec, Scenario, SourceRef, TimeMode, Topology
from swarmrig.model.verdict import CheckResult, Evidence, Judgement, Outcome

S = 1_000_000_000
FAIL = Judgement(Outcome.FAIL, "nothing,\nat all: 5%", (Evidence("nodes/a/console.log", 7),))


def record(*results: CheckResult, failures: tuple[str, ...] = ()) -> RunRecord:
    results = tuple(replace(result, source=SourceRef("ci/a.yml", 3 + n, 5)) for n, result in enumerate(results))
    nodes = (NodeSpec("a", 0),)
    scenario = Scenario("rooms", S, 7, TimeMode.REAL, NetworkSpec(topology=Topology.MESH), nodes)
    return RunRecord(
        "aaaaaaaa", scenario, "0", "exact", None, "2026-01-01T00:00:00Z", S, False, Outcome.FAIL, 2, results, (), (),
        (), {}, failures=failures,
    )  # fmt: skip


def test_failed_checks_are_errors_at_their_lines(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    good = CheckResult("boots", "boots", Judgement(Outcome.PASS, "yes"))
    bad = CheckResult("console", "console", FAIL)
    mild = CheckResult("slow", "slow", Judgement(Outcome.WARN, "a bit"))
    unsure = CheckResult("x", "x", Judgement(Outcome.INCONCLUSIVE, "who knows"))
    assert list(annotate(record(good, bad, mild, unsure), tmp_path)) == [
        "::error file=ci/a.yml,line=4,col=5,title=rooms%3A FAIL console"
        "::nothing,%0Aat all: 5%25%0Asee nodes/a/console.log:7",
        "::warning file=ci/a.yml,line=5,col=5,title=rooms%3A WARN slow::a bit",
        "::error file=ci/a.yml,line=6,col=5,title=rooms%3A INCONCLUSIVE x::who knows",
    ]


def test_files_outside_of_the_workspace_are_not_named(tmp_path):
    (line,) = annotate(record(CheckResult("c", "c", FAIL)), tmp_path / "workspace")
    assert line.startswith("::error title=")


def test_failures_of_the_rig_are_errors_and_there_are_not_too_many():
    lines = list(annotate(record(failures=tuple(f"no {n}" for n in range(MOST + 5))), Path()))
    assert len(lines) == MOST
    assert lines[0] == "::error title=rooms%3A failure::no 0"


def test_a_guest_cannot_end_a_line_and_begin_a_command(tmp_path):
    evil = "x\r\n::set-env name=PATH::/tmp\n\x1b]0;a\x07"
    lines = list(annotate(record(CheckResult("c", "c::\n,:", Judgement(Outcome.FAIL, evil)), failures=(evil,)), Path()))
    assert len(lines) == 2
    assert not any("\n" in line or "\r" in line or "\x1b" in line for line in lines)


def test_nobody_reads_commands_nobody_gets_any(monkeypatch, capsys):
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"):
        monkeypatch.delenv(name, raising=False)
    with mute_commands():
        tell_ci(record(CheckResult("c", "c", FAIL)), Path("r"))
    assert capsys.readouterr() == ("", "")


def test_while_a_run_goes_on_commands_are_only_text(monkeypatch, capsys):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    with pytest.raises(ZeroDivisionError), mute_commands():
        print("::error::of a guest")
        raise ZeroDivisionError
    first, last = capsys.readouterr().err.splitlines()
    token = first.removeprefix("::stop-commands::")
    assert len(token) == 32
    assert last == f"::{token}::"


def test_the_summary_is_appended(tmp_path, monkeypatch):
    path = tmp_path / "summary.md"
    path.write_text("before\n")
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    tell_ci(record(CheckResult("c", "c", FAIL)), Path("r"))
    assert path.read_text().startswith("before\n# rooms: FAIL\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    with pytest.raises(HostError, match="cannot write the job summary"):
        tell_ci(record(), Path("r"))


def test_the_summary_shows_html_and_links_of_guests_as_text():
    evil = replace(FAIL, message="<script>x</script> [a](http://b)")
    text = job_summary(record(CheckResult("c", "c", evil)))
    assert "<script>" not in text
    assert "&lt;script>" in text
    assert "](" not in text


def test_later_steps_are_told_where_the_evidence_is(tmp_path, monkeypatch):
    path = tmp_path / "outputs"
    monkeypatch.setenv("GITHUB_OUTPUT", str(path))
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    directory = tmp_path / "a\nverdict=PASS\nb"
    tell_ci(record(CheckResult("c", "c", FAIL)), directory)
    assert outputs_in(path.read_text()) == {
        "directory": str(directory),
        "junit": f"{directory}/junit.xml",
        "verdict": "FAIL",
    }


def outputs_in(text: str) -> dict[str, str]:
    """As the service reads them."""
    found, lines = {}, iter(text.split("\n"))
    for line in lines:
        if line:
            name, separator, end = line.partition("<<")
            assert separator, line
            found[name] = "\n".join(iter(lines.__next__, end))
    return found
