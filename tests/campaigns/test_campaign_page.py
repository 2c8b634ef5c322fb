"""report.html of a campaign: its files, what stands in it, and how it is in a real browser."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.campaigns.made_results import FAIL, FATAL, PASS, WARN, entry, facts, results, written
from tests.report_page import in_browser
from tests.report_page.in_browser import EVIL, SCRIPT, Tab

from swarmrig.campaigns.directory import Begun, Journal, begin_directory
from swarmrig.campaigns.history_sources import results_in
from swarmrig.campaigns.page.groups import failing, matrix, workers
from swarmrig.campaigns.page.render import duration, why, write_page
from swarmrig.campaigns.page.runs import shown_runs
from swarmrig.campaigns.results import Difference, Entry, Flaky, QuarantineUse
from swarmrig.campaigns.task import Attempt, CheckVerdict, Ending
from swarmrig.cli.campaign_told import Aftermath, tell_end
from swarmrig.cli.main import root
from swarmrig.errors import HostError
from swarmrig.reports.web import files

browser, tab, opened = in_browser.browser, in_browser.tab, in_browser.opened
in_chromium = in_browser.pytestmark


def shown(*entries, home=Path("/nowhere"), **more):
    return shown_runs(results(*entries, **more), home)


# What is put together.


def test_the_matrix_has_a_row_for_each_variant_and_a_blank_where_there_is_no_run():
    slow, fast = {"link": "slow"}, {"link": "fast"}
    rows = matrix(shown(entry(variant=slow), entry(FAIL, variant=slow, seed=2), entry(variant=fast, seed=2)))
    told = [(row.variant, row.passed, [cell.worst and cell.worst.word for cell in row.cells]) for row in rows]
    assert told == [("link slow", 1, ["PASS", "FAIL"]), ("link fast", 1, [None, "PASS"])]


def test_a_sparse_matrix_has_no_blanks():
    rows = matrix(shown(*(entry(scenario=f"s{number}.yml", seed=number) for number in range(9))))
    assert [len(row.cells) for row in rows] == [1] * 9


def test_repetitions_are_one_cell_with_the_worst():
    (row,) = matrix(shown(entry(PASS), entry(FAIL, repetition=2), entry(None, repetition=3)))
    (cell,) = row.cells
    assert (cell.worst.word, cell.mixed, row.passed, len(row.runs)) == ("FAIL", True, 1, 3)


def test_failures_stand_together_by_what_failed():
    crash = CheckVerdict("no_crashes", "no_crashes", FATAL, "node b panicked")
    runs = shown(
        entry(FAIL), entry(FAIL, seed=2), entry(WARN, seed=3), entry(None, seed=5),
        entry(FATAL, seed=4, checks=(crash,), failures=("gone",)), Entry(entry(seed=6).task),
        entry(FAIL, seed=7, quarantine="known"),
    )  # fmt: skip
    told = [(cause.word, cause.what, len(cause.runs), dict(cause.examples)) for cause in failing(runs)]
    assert told == [
        ("FATAL", "no_crashes", 1, {"node b panicked": 1}),
        ("FATAL", "failure of the rig or a node", 1, {"gone": 1}),
        ("FAIL", "console a", 2, {"never said": 2}),
        ("INFRA", "no verdict: infrastructure", 1, {"time-out after 600 s": 1}),
        ("NOT RUN", "not run", 1, {"it has not been run, or not to its end": 1}),
    ]


def test_runs_at_the_same_time_are_in_different_lanes():
    begun = {1: ("00.000", 2.0), 2: ("01.000", 3.0), 3: ("02.010", 1.0), 4: ("04.000", 1.0)}
    runs = shown(
        *(entry(seed=seed, began_at=f"2030-01-01T00:00:{at}Z", wall_s=wall) for seed, (at, wall) in begun.items()),
        entry(seed=5, began_at="2030-01-01T00:00:01Z", worker="tcp://b:1"),
        entry(seed=6, began_at="nobody knows"),
    )
    one, two = workers(runs)
    assert (one.name, one.lanes, one.starts_s, one.width, one.busy_s) == (
        "local", (0, 1, 0, 0), pytest.approx((0, 1, 2.01, 4)), 2, 7,
    )  # fmt: skip
    assert (two.name, two.starts_s, two.failed) == ("tcp://b:1", (1.0,), 0)


def test_the_verdict_in_a_sentence():
    told = results(
        entry(), entry(FAIL, seed=2), entry(None, seed=3), Entry(entry(seed=4).task),
        entry(FAIL, seed=5, quarantine="x"), of=facts(interrupted=True), flaky=(Flaky("a", {}, 1, (), {}, ""),),
    )  # fmt: skip
    assert why(told, shown_runs(told, Path())) == (
        "1 of 4 runs passed, 1 could not be judged, 1 not run, 1 flaky, 1 in quarantine, "
        "interrupted: only what had ended by then is judged."
    )
    assert why(results(of=facts(stopped="full")), ()) == "Nothing was to be run, stopped early: full."


def test_durations_are_for_people():
    assert [duration(each) for each in (0.5, 59.99, 61, 3725)] == ["0.50 s", "59.99 s", "1 min 1 s", "1 h 2 min"]


def test_a_run_is_repeated_from_its_directory_or_by_its_settings(tmp_path):
    one = entry(directory="runs/a b")
    run = tmp_path / "runs/a b"
    (settled,) = shown(replace(one, task=replace(one.task, settings=("name=it's",), seed=7)), home=tmp_path)
    assert settled.commands == [("Run it anew", """swarmrig run boot.yml --seed 7 --set 'name=it'"'"'s'""")]
    assert settled.href is None
    run.mkdir(parents=True)
    (run / "scenario.yml").write_text("swarmrig: 1\n")
    (there,) = shown(one, home=tmp_path)
    assert [command for _, command in there.commands] == [
        f"swarmrig replay '{run}'",
        f"swarmrig run '{run}/scenario.yml'",
    ]
    assert there.href == "runs/a%20b/"
    (run / "report.html").write_text("")
    assert shown(one, home=tmp_path)[0].href == "runs/a%20b/report.html"


# Files.


def many_sided(place):
    """Everything that a page can have."""
    tried = (Attempt(1, Ending.INFRASTRUCTURE, "QEMU was killed", 2.0, "w1"), Attempt(2, Ending.JUDGED, "", 1.0, "w2"))
    entries = [
        entry(PASS), entry(WARN, seed=2), entry(FAIL, seed=3), entry(None, seed=4), Entry(entry(seed=5).task),
        entry(FAIL, seed=6, quarantine="known since May"), entry(PASS, seed=7, attempts=tried, worker="w2"),
        entry(FATAL, seed=8, variant={"fw": "b"}),
    ]  # fmt: skip
    first, second = entries[0].task.id, entries[2].task.id
    return written(place, results(
        *entries, of=facts(interrupted=True), warnings=("a warning",),
        flaky=(Flaky("boot.yml", {"fw": "b"}, 3, (first, second), {"PASS": (first,), "FAIL": (second,)}, "2 differ"),),
        differences=(Difference("k", (first, second), {"d" * 64: (first,), "e" * 64: (second,)},
                                {"nodes.a.qemu": {"7.2": (first,), "10.0": (second,)}}, "should be the same"),),
        quarantine=(QuarantineUse("known since May", "2030-06-01", False, (entries[5].task.id,)),),
    ))  # fmt: skip


def test_page_and_what_it_loads(tmp_path):
    place = many_sided(tmp_path / "c")
    page = write_page(place)
    assert page == place / "report.html"
    text = page.read_text()
    assert {path.name for path in (place / "report").iterdir()} == {
        name.removeprefix("report/") for name in text.split('"') if name.startswith("report/")
    }
    assert "http" not in text.replace("http-equiv", "")
    assert f"swarmrig campaign run --resume {place}" in text
    assert write_page(place / "campaign.json").read_text() == text
    assert not list(place.rglob(".*"))


def test_the_command_makes_the_page_of_a_campaign(tmp_path):
    place = many_sided(tmp_path / "c")
    done = CliRunner().invoke(root, ["report", str(place)], standalone_mode=False)
    assert done.output == f"report: {place}/report.html\n"
    (place / "campaign.json").write_text("{}")
    done = CliRunner().invoke(root, ["report", str(place)], standalone_mode=False)
    assert isinstance(done.exception, HostError)


def test_the_page_of_a_campaign_that_was_killed(tmp_path):
    (tmp_path / "one.campaign.yml").write_text("campaign: 1\nname: one\nscenarios: [boot.yml]\nseeds: [1, 2]\n")
    text = (tmp_path / "one.campaign.yml").read_text()
    begun = Begun("one", str(tmp_path / "one.campaign.yml"), str(tmp_path), "2030-01-01T00:00:00Z")
    directory = begin_directory(tmp_path / "runs", text, begun)
    done, missing = entry(FAIL), entry(seed=2)
    directory.write_plan((done.task, missing.task))
    Journal(directory.journal).add(done.result)
    with directory.journal.open("ab") as journal:
        journal.write(b'{"task": "boo')
    page = CliRunner().invoke(root, ["report", str(directory.path)], standalone_mode=False)
    assert page.output == f"report: {directory.path}/report.html\n"
    told = (directory.path / "report.html").read_text()
    assert "0 of 2 runs passed, 1 not run, interrupted" in told
    assert "not come to its end" in told
    assert not (directory.path / "campaign.json").exists()


def test_what_cannot_be_remembered_or_shown_changes_no_verdict(tmp_path, capsys, monkeypatch):
    place = many_sided(tmp_path / "c")
    (tmp_path / "h.sqlite").write_text("notes" * 1000)
    (place / "report").write_text("in the way")
    assert tell_end(results_in(place), place, Aftermath(tmp_path / "h.sqlite", report=True)) == 3
    told = capsys.readouterr().err
    assert "warning: " + str(tmp_path / "h.sqlite") in told
    assert "warning: cannot write" in told
    monkeypatch.setattr(files, "find_spec", lambda name: None)
    tell_end(results_in(place), place, Aftermath(report=True))
    assert "no report: a report needs the extra 'report'" in capsys.readouterr().out


def test_a_full_disk_is_told_and_leaves_no_page(tmp_path):
    """Here, because files may not be longer than a megabyte."""
    place = many_sided(tmp_path / "c")
    command = f"ulimit -f 1000; exec {sys.executable} -m swarmrig report {place}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode == 3
    assert f"cannot write {place}/report/plotly.min.js: File too large" in done.stderr
    assert not (place / "report.html").exists()


# In a browser.


@in_chromium
def test_a_campaign_in_a_browser(opened, tmp_path):
    page = opened(write_page(many_sided(tmp_path / "c")), plots=True)
    page.picture("campaign-light")
    assert page.text("#verdict .word") == "FATAL"
    assert "4 of 7 runs passed" not in page.text("#verdict")
    reasons = page.page.locator(".reasons > li").all_inner_texts()
    assert [reason.split()[0] for reason in reasons] == ["FATAL", "INFRA", "NOT"]
    assert page.page.locator(".matrix tbody tr").count() == 2
    assert page.page.locator(".matrix tbody tr").nth(0).locator(".cells").inner_text() == "·wF?–q·"
    assert "QEMU was killed" in page.text("#retries")
    assert "known since May" in page.text("#quarantine")
    assert "nodes.a.qemu" in page.text("#flaky")

    # The list of runs: what did not pass, then all, searched, sorted.
    assert page.text("#run-status") == "5 of 8 runs"
    page.page.select_option("#run-word", "")
    assert page.text("#run-status") == "8 of 8 runs"
    page.page.keyboard.press("/")
    page.page.fill("#run-search", "w2")
    assert page.text("#run-status") == "1 of 8 runs"
    assert page.text("#run-table tbody code") == "swarmrig run boot.yml --seed 7"
    page.page.select_option("#run-word", "FAIL")
    assert page.text("#run-status") == "0 of 8 runs"

    # Two workers, one of them with lanes.
    assert page.page.evaluate("document.querySelector('#workers-plot').layout.yaxis.ticktext") == ["local", "w2"]
    names = page.page.evaluate("document.querySelector('#workers-plot').data.map(trace => trace.name)")
    assert names == ["passed", "warned", "failed", "fatal", "quarantined", "not judged"]


@in_chromium
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_a_narrow_screen_scrolls_in_one_direction_only(opened, tmp_path, colours):
    page = opened(write_page(many_sided(tmp_path / "c")), size=(375, 800), colours=colours, plots=colours == "dark")
    page.picture(f"campaign-375-{colours}")
    assert page.page.evaluate("document.documentElement.scrollWidth") == 375


@in_chromium
def test_everything_but_the_time_line_is_read_without_a_script(browser, tmp_path):
    place = many_sided(tmp_path / "c")
    page = Tab(browser, java_script_enabled=False).open(write_page(place))
    assert page.text("#verdict .word") == "FATAL"
    assert "Without JavaScript" in page.text("#verdict")
    assert page.page.locator("#run-table tbody tr").count() == 5
    assert not page.page.locator("#run-search").is_visible()
    assert not page.page.locator("#workers-plot").is_visible()
    assert "local" in page.text("#workers table")
    page.context.close()


@in_chromium
def test_without_the_library_of_plots_the_rest_works(opened, tmp_path):
    page = opened(write_page(many_sided(tmp_path / "c")))
    assert page.text("#run-status") == "5 of 8 runs"
    assert not page.page.locator("#workers-plot").is_visible()


@in_chromium
def test_text_of_runs_is_shown_and_never_run(opened, tmp_path):
    evil = EVIL + SCRIPT
    check = CheckVerdict("console", evil, FAIL, evil)
    tries = (Attempt(1, Ending.INFRASTRUCTURE, evil, 1.0, evil), Attempt(2, Ending.JUDGED, "", 1.0, evil))
    one = entry(
        FAIL, scenario=evil, variant={evil: evil}, checks=(check,), worker=evil, failures=(evil,), attempts=tries
    )
    one = replace(one, task=replace(one.task, id="evil", settings=(evil,)), result=replace(one.result, task="evil"))
    made = results(
        one, of=facts(name=evil, file=evil, shard="1/2", stopped=evil), warnings=(evil,),
        flaky=(Flaky(evil, {evil: evil}, 1, ("evil",), {"FAIL": ("evil",)}, evil),),
        differences=(Difference("k", (evil,), {evil: (evil,)}, {evil: {evil: (evil,)}}, evil),),
        quarantine=(QuarantineUse(evil, evil, True, (evil,)),),
    )  # fmt: skip
    page = opened(write_page(written(tmp_path / "c", made)), plots=True)
    assert page.text("h1") == evil
    for part in (
        "#verdict",
        "#matrix",
        "#failures",
        "#runs",
        "#flaky",
        "#retries",
        "#quarantine",
        "#workers",
        "#again",
    ):
        assert "<img src=x" in page.text(part), part
    assert page.page.locator("img").count() == 0
    page.page.hover("#workers-plot .points path", force=True)
    assert page.page.locator("img").count() == 0


@in_chromium
def test_ten_thousand_runs(opened, tmp_path):
    verdicts = [FAIL if seed % 97 == 0 else None if seed % 301 == 0 else PASS for seed in range(2500)]
    began = datetime(2030, 1, 1, tzinfo=UTC)
    entries = [
        entry(
            verdict, seed=seed, scenario=f"s{number}.yml", worker=f"w{number}", metrics={}, inputs={},
            began_at=(began + timedelta(seconds=seed)).isoformat(),
        )
        for number in range(4) for seed, verdict in enumerate(verdicts)
    ]  # fmt: skip
    place = tmp_path / "c"
    written(place, results(*entries))
    for each in entries[:20]:
        (place / f"runs/{each.task.id}").mkdir(parents=True)
        (place / f"runs/{each.task.id}/scenario.yml").write_text("")
    page = opened(write_page(place))
    page.picture("campaign-10000", whole=False)
    size = sum(path.stat().st_size for path in (place / "report.html", *(place / "report").iterdir()))
    assert size < 10_000_000
    assert page.page.locator(".matrix .cells a, .matrix .cells b").count() == 10_000
    assert page.text("#run-status") == "136 of 10000 runs"
    page.page.select_option("#run-word", "")
    assert page.page.locator("#run-table tbody tr").count() == 101
    page.page.click("#run-table tbody tr:last-child button")
    assert page.page.locator("#run-table tbody tr").count() == 501
    assert page.page.evaluate("RUN.workers.map(worker => [worker.width, worker.runs.length])") == [[1, 2500]] * 4
