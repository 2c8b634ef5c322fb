"""Two runs of a suite compared: what noise allows to be said, and what it does not."""

from __future__ import annotations

import json
import random
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmrig.errors import SwarmrigError
from swarmrig.model.verdict import Outcome
from swarmrig.suites.compare import Change, Judging, compare, outcome
from swarmrig.suites.confidence import _normal_rank, _orders, _rank, fewest, shift


def summary(values, *, metric="p99_us", bounds=("max",), failed=0, mode="m", scenario="s"):
    """A summary with one counter; None is a run that did not measure it."""
    runs = [
        {
            "id": scenario,
            "status": "fail" if index < failed else "pass",
            "checks": [{"metric": metric, "type": bound, "actual": value} for bound in bounds],
        }
        for index, value in enumerate(values)
    ]
    return {"mode": mode, "scenarios": runs}


def changes(before, after, **judging):
    return {each.metric: each.change for each in compare(before, after, Judging(**judging))}


BEFORE = [100, 104, 98, 101, 103, 99, 102]


@pytest.mark.parametrize(
    ("after", "change"),
    [
        ([150, 155, 149, 151, 152, 148, 156], Change.REGRESSION),
        ([50, 55, 49, 51, 52, 48, 56], Change.IMPROVEMENT),
        (BEFORE, Change.SAME),
        ([103, 107, 101, 104, 106, 102, 105], Change.UNCLEAR),  # worse, perhaps by more than the tolerance
        ([101, 105, 99, 102, 104, 100, 103], Change.SAME),
        ([90, 300, 95, 97, 250, 98, 280], Change.UNCLEAR),  # much noise
        ([100, 104, 98, 101, 103, 99, 9999], Change.SAME),  # one outlier
        ([97, 96, 99, 95, 98, 94, 93], Change.SAME),  # better, but not by much
    ],
)
def test_more_is_worse(after, change):
    assert changes(summary(BEFORE), summary(after))["p99_us"] is change


def test_less_is_worse_for_a_minimum_and_both_for_two_bounds():
    less, more = [value / 2 for value in BEFORE], [value * 2 for value in BEFORE]
    for bounds, on_less, on_more in (
        (("min",), Change.REGRESSION, Change.IMPROVEMENT),
        (("min", "max"), Change.REGRESSION, Change.REGRESSION),
    ):
        assert changes(summary(BEFORE, bounds=bounds), summary(less, bounds=bounds))["p99_us"] is on_less
        assert changes(summary(BEFORE, bounds=bounds), summary(more, bounds=bounds))["p99_us"] is on_more
        assert changes(summary(BEFORE, bounds=bounds), summary(BEFORE, bounds=bounds))["p99_us"] is Change.SAME


@pytest.mark.parametrize("runs", [1, 2, 3])
def test_a_few_runs_prove_nothing(runs):
    found = compare(summary([100] * runs), summary([900] * runs), Judging())
    assert found[1].change is Change.UNCLEAR
    assert found[1].message == "no verdict at 95% confidence below 4 runs each"
    assert outcome(comparison.change for comparison in found) is Outcome.WARN


def test_tolerance_and_confidence_are_the_readers_choice():
    after = [value * 1.08 for value in BEFORE]
    assert changes(summary(BEFORE), summary(after))["p99_us"] is Change.REGRESSION
    assert changes(summary(BEFORE), summary(after), tolerance=0.2)["p99_us"] is Change.SAME
    assert changes(summary(BEFORE), summary(after), confidence=0.9999)["p99_us"] is Change.UNCLEAR
    assert changes(summary([0] * 5), summary([1] * 5))["p99_us"] is Change.REGRESSION


def test_verdicts_and_what_has_gone():
    assert changes(summary(BEFORE), summary(BEFORE, failed=1))["verdict"] is Change.REGRESSION
    assert changes(summary(BEFORE, failed=2), summary(BEFORE, failed=3))["verdict"] is Change.UNCLEAR
    assert changes(summary(BEFORE, failed=2), summary(BEFORE))["verdict"] is Change.IMPROVEMENT
    assert changes(summary(BEFORE), summary(BEFORE, scenario="t"))["verdict"] is Change.REGRESSION
    assert changes(summary(BEFORE), summary([None] * 7))["p99_us"] is Change.REGRESSION
    assert changes(summary(BEFORE), summary(BEFORE, metric="other"))["p99_us"] is Change.REGRESSION
    assert "p99_us" not in changes(summary([None] * 7), summary(BEFORE))
    assert outcome([]) is Outcome.WARN


def test_counters_that_are_judged_over_all_runs_are_compared_too():
    def over(values, metric):
        found = summary(values, bounds=())
        for scenario, value in zip(found["scenarios"], values, strict=True):
            scenario["metrics"] = {"other": {"x": 1}, "g": {"p50_us": value}}
        return found | {"over_runs": [{"scenario": "s", "metric": metric, "type": "max", "over": "p50"}]}

    for metric in ("p50_us", "g.p50_us"):
        worse = changes(over(BEFORE, metric), over([value * 2 for value in BEFORE], metric))
        assert worse == {"verdict": Change.SAME, metric: Change.REGRESSION}


def test_only_like_is_compared_with_like():
    with pytest.raises(SwarmrigError, match="different modes"):
        compare(summary(BEFORE), summary(BEFORE, mode="other"), Judging())


@pytest.mark.parametrize(("n", "m"), [(1, 1), (2, 3), (4, 4), (3, 5)])
def test_orders_are_counted_right(n, m):
    """Against counting them one by one."""
    expected = [0] * (n * m + 1)
    for places in combinations(range(n + m), n):
        expected[sum(place - index for index, place in enumerate(places))] += 1
    assert _orders(n, m) == expected


def test_critical_values_are_those_of_the_tables():
    """Mann-Whitney U, two-sided 5 %: the greatest U that is significant is the rank less one."""
    assert [_rank(n, m, 0.025) - 1 for n, m in ((4, 4), (5, 5), (7, 7), (10, 10), (5, 8), (20, 20))] == [
        0, 2, 8, 23, 6, 127,
    ]  # fmt: skip
    assert _rank(3, 3, 0.025) == 0
    assert abs(_normal_rank(100, 100, 0.025) - _rank(100, 100, 0.025)) <= 2
    assert (fewest(0.95), fewest(0.5)) == (4, 2)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    dice = random.Random(7)
    held = 0
    for _ in range(600):
        first = [dice.gauss(0, 1) for _ in range(6)]
        second = [dice.gauss(3, 1) for _ in range(6)]
        found = shift(first, second, 0.95)
        held += found.low <= 3 <= found.high
    assert 0.94 <= held / 600 <= 0.99


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.integers(-1000, 1000), min_size=4, max_size=12), st.integers(-500, 500))
def test_a_set_that_was_moved_was_moved_by_that(values, distance):
    found = shift(values, [value + distance for value in values], 0.9)
    assert found.low <= distance <= found.high
    assert found.low <= found.estimate <= found.high


def test_many_measurements_take_no_time():
    first = [float(value % 97) for value in range(10_000)]
    found = shift(first, [value + 5 for value in first], 0.95)
    assert found.low <= 5 <= found.high


@pytest.fixture
def written(tmp_path):
    def write(name, document):
        path = tmp_path / name
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return path

    return write


def test_the_command_says_it_in_words_json_and_exit_code(suite, written, tmp_path):
    (tmp_path / "run").mkdir()
    before, after = written("run/summary.json", summary(BEFORE)).parent, written("b.json", summary([200] * 7))
    result = suite("compare", before, after)
    assert result.returncode == 2
    assert "REGRESSION    s p99_us: median 101 -> 200 (+98.0%), 7 and 7 runs; 95% sure of +97" in result.stdout
    assert "1 same, 1 regression: FAIL" in result.stdout
    found = json.loads(suite("compare", before, after, "--json").stdout)
    assert found["verdict"] == "FAIL"
    assert found["comparisons"][1]["medians"] == [101, 200]
    assert suite("compare", before, before).returncode == 0
    assert suite("compare", before, written("c.json", summary([100]))).returncode == 1


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"mode": "m", "scenarios": [1]}', '{"mode": 1, "scenarios": []}']
)
def test_what_is_no_summary(suite, written, content):
    result = suite("compare", written("a.json", content), written("b.json", content))
    assert result.returncode == 3
    assert "no summary of a suite" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere", "nowhere"], "cannot read nowhere"),
        ([".", "."], "cannot read"),
        (["a", "b", "--confidence", "100%"], "which nothing reaches"),
        (["a", "b", "--confidence", "much"], "a share such as"),
        (["a"], "Missing argument"),
    ],
)
def test_wrong_usage_of_compare(suite, arguments, said):
    result = suite("compare", *arguments)
    assert result.returncode == 3
    assert said in result.stderr
