"""From files to readings, from readings to checks, from checks to verdicts and reports."""

from __future__ import annotations

import json
import os
import re

import pytest
from junitparser import JUnitXml

from swarmrig.errors import SwarmrigError
from swarmrig.suites.junit import junit
from swarmrig.suites.manifest import Row
from swarmrig.suites.media import MEDIA_FAULTS
from swarmrig.suites.readings import read_groups
from swarmrig.suites.statistics import describe, judged, percentile, samples, statistics
from swarmrig.suites.suite import Group, Line, Numbers, Patterns, Shape, Suite, Wire
from swarmrig.suites.summary import RunFacts, differences, judge_row, summarize, summary_text
from swarmrig.suites.thresholds import Bound, Reading, Threshold, Thresholds, check, find
from swarmrig.suites.wire_latency import Pairing

READINGS = {
    "a": Reading({"x": 1, "y": 2.5, "t": "text"}),
    "b": Reading({"x": 10, "z": -3, "q.r": 4}),
    "gone": Reading(absence="no GONE line"),
}


@pytest.mark.parametrize(
    ("metric", "groups", "value"),
    [
        ("x", (), 1),
        ("x", ("b",), 10),
        ("x", ("gone", "b"), 10),
        ("b.x", (), 10),
        ("b.q.r", (), 4),
        ("q.r", (), 4),  # no group is called q
        ("z", ("a",), None),
        ("a.z", (), None),
        ("gone.x", (), None),
        ("t", (), "text"),
    ],
)
def test_where_a_counter_is_looked_for(metric, groups, value):
    assert find(Threshold(metric, Bound.MAX, 1, groups), READINGS) == value


@pytest.mark.parametrize(
    ("metric", "groups", "violation"),
    [
        ("t", (), "no t"),
        ("nowhere", (), "no nowhere"),
        ("x", ("gone",), "no GONE line"),
        ("gone.x", (), "no GONE line"),
        ("b.y", (), "no b.y"),
        ("y", ("unknown",), "no y"),
    ],
)
def test_what_is_not_there_is_named(metric, groups, violation):
    for bound in Bound:
        found = check(Threshold(metric, bound, 0, groups), READINGS)
        assert (found.actual, found.passed, found.violation) == (None, False, violation)


@pytest.mark.parametrize(
    ("value", "limit", "actual", "passed"),
    [
        (2.9, 2, 2, True),  # a whole limit judges whole numbers
        (3.0, 2, 3, False),
        (2.9, 2.5, 2.9, False),
        (2.5, 2.5, 2.5, True),
        (-2.9, -2, -2, True),
        (True, 2, None, False),
        (float("nan"), 2, None, False),
        (float("-inf"), 2, None, False),
        (-(2**65), 2, None, False),
    ],
)
def test_limits_of_a_maximum(value, limit, actual, passed):
    found = check(Threshold("x", Bound.MAX, limit), {"a": Reading({"x": value})})
    assert (found.actual, found.passed) == (actual, passed)


def test_names_of_limits():
    table = Thresholds({"s": (Threshold("x", Bound.MIN, 1), Threshold("y", Bound.MAX, 2, title="slowest"))})
    assert table.as_json() == {"s": {"x_min": 1, "slowest": 2}}
    assert table.of("other") == ()


def test_every_way_of_reading(tmp_path):
    (tmp_path / "log").write_text("took 7 ms\nCOUNT n=1\ntook 9 ms\nCOUNT n=2 end")
    (tmp_path / "stats.json").write_text(
        '{"a": [{"name": "n1", "v": 1}, {"v": 2}, 3], "b": null, "c": "4", "d": 1e999}'
    )
    groups = [
        Group("line", "log", Line("COUNT")),
        Group("other", "log", Line("NOTHING")),
        Group("seen", "log", Patterns({"took": re.compile("took ([0-9]+)"), "lines": re.compile("took")})),
        Group("stats", "stats", Numbers()),
    ]
    warnings: list[str] = []
    found = read_groups(groups, {"log": tmp_path / "log", "stats": tmp_path / "stats.json"}, warnings.append)
    assert list(found) == ["line", "other", "seen", "stats"]
    assert found["line"].values == {"n": 2}
    assert found["other"].absence == "no NOTHING line"
    assert found["seen"].values == {"took": 9, "lines": 2}
    assert found["stats"].values == {"a.n1.v": 1, "a.1.v": 2, "a.2": 3}
    assert warnings == [f"{tmp_path / 'log'}: the last COUNT line has no end: its last value may be cut"]


@pytest.mark.parametrize(
    ("content", "absence"),
    [
        (None, "no x.json"),
        ("{", "x.json is not JSON"),
        ("[" * 100_000, "x.json is not JSON"),
        ("\xff", "x.json is not JSON"),
    ],
)
def test_json_that_is_none(tmp_path, content, absence):
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content.encode("latin-1"))
    found = read_groups([Group("g", "x", Numbers())], {"x": path}, lambda _text: None)
    assert str(found["g"].absence).startswith(absence)


@pytest.mark.parametrize("second", [None, "far"])
def test_captures_that_are_not_there(tmp_path, second):
    reader = Wire(Pairing(), second)
    groups = [Group("g", "near", reader), Group("p", "none", Patterns({}))]
    warnings: list[str] = []
    found = read_groups(groups, {"near": tmp_path / "near.pcapng"}, warnings.append)
    gone = f"near.pcapng cannot read {tmp_path / 'near.pcapng'}: No such file or directory"
    assert found["g"].absence == ("no far" if second else gone)
    assert found["p"].absence == "no none"
    assert len(warnings) == (0 if second else 1)


def test_a_log_that_cannot_be_opened_is_told(tmp_path):
    path = tmp_path / "log"
    path.symlink_to("log")
    warnings: list[str] = []
    assert read_groups([Group("g", "log", Line("COUNT"))], {"log": path}, warnings.append)["g"].absence
    assert "cannot be read: Too many levels of symbolic links" in warnings[0]


SUITE = Suite(
    "s", "t", Shape(("p",), ("a",), (Group("g", "p_log", Line("COUNT")),)), ("one", "two"),
    {"m": Thresholds({"one": (Threshold("n", Bound.MIN, 2),)})},
)  # fmt: skip


@pytest.fixture
def judge(tmp_path):
    def call(scenario, number=1, **cells):
        (tmp_path / "log").write_text("COUNT n=2\n")
        row = Row({"scenario_id": scenario, "order": str(number), "p_rc": "0", "p_log": "log", **cells})
        return judge_row(row, SUITE, "m", [tmp_path], lambda _text: None)

    return call


def test_differences_from_what_should_have_run(judge):
    one, two = judge("one"), judge("two")
    assert differences([one, two], SUITE.scenarios) == []
    assert differences([one, two] * 3, SUITE.scenarios, 3) == []
    assert differences([one], SUITE.scenarios) == ["scenario 'two' did not run"]
    assert differences([one, two, judge("three")], SUITE.scenarios) == ["scenario 'three' is not one of those expected"]
    assert differences([one, one, two], SUITE.scenarios, 2) == [
        "scenario 'two' stands in the manifest 1 times, expected 2"
    ]
    assert differences([], []) == ["no scenario is expected: nothing can pass"]


def test_nothing_that_was_expected_of_nobody_passes(judge):
    document = summarize([], SUITE, "m", RunFacts())
    assert (document["all_pass"], document["recommended_exit_code"]) == (False, 1)


def test_a_mode_that_is_unknown():
    with pytest.raises(SwarmrigError) as caught:
        MEDIA_FAULTS.thresholds("basline")
    assert "did you mean 'baseline'?" in str(caught.value)


def test_names_that_are_no_text_do_not_break_json(judge):
    verdict = judge("one", name=os.fsdecode(b"\xff"), a_path="\ud800")
    text = summary_text(summarize([verdict], SUITE, "m", RunFacts(run_id=os.fsdecode(b"r\xfe"))))
    assert text.isascii()
    json.loads(text).__repr__().encode("utf-8")  # no halves of characters


def test_junit_of_a_suite(judge):
    failed = judge("two", 2, p_rc="3", reason="\x00\x1b[31m")
    document = summarize([judge("one"), failed], SUITE, "m", RunFacts("r1", "/runs/r1", "2025-03-01T10:00:00Z"))
    (suite,) = JUnitXml.fromstring(junit("s", document, ["scenario 'x' did not run"]).encode())
    assert (suite.tests, suite.failures, suite.errors) == (3, 1, 1)
    one, two, missing = suite
    assert (one.name, one.classname) == ("one #1", "swarmrig.s.one")
    assert two.result[0].message == "process_rc(p=3)"
    assert "PASS n: 2, min 2" in one.system_out
    assert missing.result[0].type == "incomplete"


def test_statistics_over_runs(judge):
    document = summarize([judge("one", number) for number in range(1, 4)], SUITE, "m", RunFacts(), repetitions=3)
    for number, scenario in enumerate(document["scenarios"]):
        scenario["metrics"]["g"] = {"n": number * 10, "text": "x"}
        scenario["checks"][0]["actual"] = number or None
    assert samples(document) == {"one": {"duration_ms": [0, 0, 0], "g.n": [0, 10, 20]}}
    assert judged(document) == {("one", "n"): [1, 2]}
    assert statistics(document)["scenarios"]["one"]["metrics"]["g.n"] == {
        "n": 3, "min": 0, "p50": 10, "p95": 20, "p99": 20, "max": 20,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("count", "percent", "rank"),
    [(1, 50, 1), (2, 50, 1), (3, 50, 2), (100, 95, 95), (100, 99, 99), (101, 99, 100), (5, 0, 1)],
)
def test_percentiles_are_by_nearest_rank(count, percent, rank):
    assert percentile(range(1, count + 1), percent) == rank
    assert describe([7.5])["p95"] == 7.5
