"""Two campaigns side by side: how each run went before and after, and what is said of it."""

import json

import pytest
from click.testing import CliRunner
from tests.campaigns.made_results import FAIL, FATAL, PASS, WARN, entry, facts, results, written

from swarmrig.campaigns.compare import Kind, Side, compare_campaigns
from swarmrig.campaigns.history import remember
from swarmrig.cli.main import root
from swarmrig.errors import HostError, SwarmrigError
from swarmrig.model.verdict import Outcome
from swarmrig.suites.compare import Change, Judging

BEFORE, AFTER = facts(number=1), facts(number=2, version="0.1.0")
JUDGING = Judging()


def compared(before, after, worse=None, of=(BEFORE, AFTER)):
    return compare_campaigns(Side(of[0], before), Side(of[1], after), JUDGING, worse)


def tries(*verdicts, **more):
    """Repetitions of one run."""
    return [entry(verdict, repetition=number, **more) for number, verdict in enumerate(verdicts, 1)]


@pytest.mark.parametrize(
    ("before", "after", "kind", "change"),
    [
        ([PASS], [PASS], Kind.SAME, Change.SAME),
        ([WARN], [PASS], Kind.SAME, Change.SAME),
        ([PASS], [WARN], Kind.NEWLY_WARNING, Change.UNCLEAR),
        ([PASS], [FAIL], Kind.NEWLY_FAILING, Change.REGRESSION),
        ([WARN], [FATAL], Kind.NEWLY_FAILING, Change.REGRESSION),
        ([FAIL], [PASS], Kind.NEWLY_PASSING, Change.IMPROVEMENT),
        ([FAIL], [FATAL], Kind.STILL_FAILING, Change.SAME),
        ([PASS], [None], Kind.NOT_JUDGED, Change.UNCLEAR),
        ([None], [FAIL], Kind.NOT_JUDGED, Change.UNCLEAR),
        ([PASS, PASS], [PASS, FAIL], Kind.FLAKY, Change.REGRESSION),
        ([PASS, FAIL], [PASS, FAIL], Kind.FLAKY, Change.SAME),
        ([PASS, FAIL], [FAIL, FAIL], Kind.FLAKY, Change.UNCLEAR),
        ([PASS, FAIL], [PASS, PASS], Kind.FLAKY, Change.IMPROVEMENT),
        ([PASS, PASS], [PASS, WARN], Kind.FLAKY, Change.UNCLEAR),
        ([PASS], [], Kind.ONLY_BEFORE, Change.UNCLEAR),
        ([], [PASS], Kind.ONLY_AFTER, Change.SAME),
        ([], [FAIL], Kind.ONLY_AFTER, Change.UNCLEAR),
    ],
)
def test_how_a_run_went(before, after, kind, change):
    (run,) = compared(tries(*before), tries(*after)).runs
    assert (run.kind, run.change) == (kind, change)


def test_the_message_says_why():
    (run,) = compared([entry(PASS)], [entry(FAIL)]).runs
    assert run.message == "FAIL (console a: never said); before PASS"
    (run,) = compared([entry(PASS)], [entry(None)]).runs
    assert run.message == "no verdict (time-out after 600 s); before PASS"
    (run,) = compared(tries(PASS, PASS), tries(PASS, FAIL)).runs
    assert run.message == "failed 1 of 2 (console a: never said); before PASS"


def test_digests_that_differ_within_a_campaign_are_flaky_though_all_pass():
    same, mixed = tries(PASS, PASS), [entry(PASS, digest=64 * "1"), entry(PASS, repetition=2, digest=64 * "2")]
    for before, after, change in ((same, mixed, Change.REGRESSION), (mixed, same, Change.IMPROVEMENT)):
        (run,) = compared(before, after).runs
        assert (run.kind, run.change) == (Kind.FLAKY, change)
    assert "PASS with 2 digests where there should be one" in compared(same, mixed).runs[0].message


def test_quarantine_is_told_and_does_not_count():
    found = compared([entry(PASS), entry(seed=2)], [entry(FAIL, quarantine="known"), entry(seed=2)])
    assert (found.runs[0].kind, found.runs[0].quarantined) == (Kind.NEWLY_FAILING, True)
    assert found.verdict is Outcome.PASS


def test_the_verdict_is_the_worst():
    assert compared([], []).verdict is Outcome.WARN
    assert compared([entry()], [entry()]).verdict is Outcome.PASS
    assert compared([entry()], [entry(None)]).verdict is Outcome.WARN
    assert compared([entry(), entry(seed=2)], [entry(FAIL), entry(None, seed=2)]).verdict is Outcome.FAIL


def test_a_variant_is_compared_with_itself():
    slow, fast = {"link": "slow", "fw": "a"}, {"fw": "a", "link": "fast"}
    before = [entry(PASS, variant=slow), entry(FAIL, variant=fast)]
    after = [entry(FAIL, variant=fast), entry(PASS, variant=dict(reversed(slow.items())))]
    assert [run.kind for run in compared(before, after).runs] == [Kind.SAME, Kind.STILL_FAILING]


def test_a_digest_that_changed_is_explained_by_what_did():
    old, new = (
        {"nodes.a.firmware": 64 * "1", "nodes.a.file": "/old/fw"},
        {"nodes.a.firmware": 64 * "2", "nodes.a.file": "/n"},
    )
    (change,) = compared([entry(key="k1", inputs=old)], [entry(key="k2", inputs=new)]).digests
    assert [str(each) for each in change.inputs] == ["nodes.a.firmware 111111111111 -> 222222222222"]

    (change,) = compared([entry(key="k1")], [entry(key="k2")]).digests
    assert [str(each) for each in change.inputs] == ["the scenario, or its settings"]

    other = facts(number=2, version="0.2.0")
    (change,) = compared([entry()], [entry(digest=64 * "9")], of=(BEFORE, other)).digests
    assert [str(each) for each in change.inputs] == ["swarmrig 0.1.0 -> 0.2.0"]


def test_a_digest_that_changed_for_no_reason_is_unclear():
    found = compared([entry()], [entry(digest=64 * "9")])
    assert [each.name for each in found.digests[0].inputs] == ["commit"]
    same = facts(number=2, commit=BEFORE.commit)
    found = compared([entry()], [entry(digest=64 * "9")], of=(BEFORE, same))
    assert found.digests[0].inputs == ()
    assert found.verdict is Outcome.WARN


def test_only_exact_runs_have_digests_to_compare():
    assert compared([entry(tier="scheduled")], [entry(tier="scheduled", digest=64 * "9")]).digests == ()


def measured(values, **more):
    return [entry(seed=seed, metrics={"nodes.a.rate_hz": value}, **more) for seed, value in enumerate(values)]


SLOW, FAST = [10, 11, 10.5, 10.2, 10.8], [20, 21, 20.5, 20.2, 20.8]


@pytest.mark.parametrize(
    ("before", "after", "way", "change"),
    [
        (SLOW, FAST, "min", Change.IMPROVEMENT),
        (FAST, SLOW, "min", Change.REGRESSION),
        (SLOW, FAST, "max", Change.REGRESSION),
        (SLOW[:3], FAST[:3], "max", Change.UNCLEAR),
        (SLOW, SLOW, "max", Change.SAME),
        (SLOW, [None] * 5, "max", Change.REGRESSION),
    ],
)
def test_a_metric_that_is_judged(before, after, way, change):
    found = compared(measured(before), measured(after), {"nodes.*.rate_hz": frozenset([way])})
    (metric,) = found.metrics
    assert (metric.comparison.change, metric.judged) == (change, True)
    expected = {Change.REGRESSION: Outcome.FAIL, Change.UNCLEAR: Outcome.WARN}.get(change, Outcome.PASS)
    assert found.verdict is expected


def test_a_metric_that_nobody_judges_is_only_told():
    found = compared(measured(SLOW), measured(FAST))
    assert [(each.moved, each.judged) for each in found.metrics] == [(True, False)]
    assert found.verdict is Outcome.PASS
    (unclear,) = compared(measured([1]), measured([2])).metrics
    assert not unclear.moved
    assert "below 4 runs each" in unclear.comparison.message
    assert compared(measured(SLOW), measured(reversed(SLOW))).metrics == ()
    assert compared(measured(SLOW), measured([None] * 5)).metrics == ()


def test_repetitions_of_an_exact_run_are_one_measurement():
    def repeated(value, tier):
        return [entry(repetition=number, metrics={"m": value}, tier=tier) for number in range(1, 9)]

    (metric,) = compared(repeated(1, "exact"), repeated(2, "exact")).metrics
    assert (metric.comparison.runs, metric.moved) == ((1, 1), False)
    (metric,) = compared(repeated(1, "scheduled"), repeated(2, "scheduled")).metrics
    assert (metric.comparison.runs, metric.moved) == ((8, 8), True)


def test_runs_that_were_not_judged_measure_nothing():
    (metric,) = compared(measured(SLOW), [*measured(FAST), entry(None, seed=9, metrics={"nodes.a.rate_hz": 1})]).metrics
    assert metric.comparison.runs == (5, 5)


def test_a_metric_that_nobody_measured_is_refused():
    with pytest.raises(SwarmrigError, match=r"no run measured a metric 'nodes\.\*\.rate'") as caught:
        compared(measured(SLOW), measured(FAST), {"nodes.*.rate": frozenset(["max"])})
    assert "nodes.a.rate_hz" in caught.value.hint


# The command.


def invoked(*arguments):
    return CliRunner().invoke(root, ["campaign", *map(str, arguments)], standalone_mode=False)


@pytest.fixture
def two(tmp_path):
    """Directories of two campaigns: firmware changed, one run broke."""
    new = {"nodes.a.firmware": 64 * "2", "nodes.a.qemu": "7.2.0"}
    before = [entry(seed=seed) for seed in range(1, 6)]
    after = [
        entry(FAIL if seed == 2 else PASS, seed=seed, key="k2", inputs=new, metrics={"nodes.a.rate_hz": seed / 9})
        for seed in range(1, 6)
    ]
    places = (tmp_path / "one", tmp_path / "two")
    for place, entries, of in zip(places, (before, after), (BEFORE, AFTER), strict=True):
        written(place, results(*entries, of=of))
    return places


def test_the_command_tells_what_changed(two):
    done = invoked("compare", *two)
    assert done.return_value == 2, done.output
    assert done.output.splitlines() == [
        f"before  nightly c0000001, 2030-01-01T02:00:00Z, swarmrig 0.1.0, commit {1:040x}"[:-28],
        f"after   nightly c0000002, 2030-01-02T02:00:00Z, swarmrig 0.1.0, commit {2:040x}"[:-28],
        "",
        "newly failing (1)",
        "  boot.yml seed 2: FAIL (console a: never said); before PASS",
        "",
        "digests that changed (1)",
        "  boot.yml seed 1 and 4 more: nodes.a.firmware 111111111111 -> 222222222222",
        "",
        "metrics that moved (1)",
        "  moved       boot.yml nodes.a.rate_hz: median 13 -> 0.333333 (-97.4%), 5 and 5 runs; "
        "95% sure of -14.6667 .. -10.6667, tolerated 0.65",
        "",
        "1 newly failing, 4 same: FAIL",
    ]


def test_the_command_as_json(two):
    done = invoked("compare", *two, "--json", "--judge", "nodes.*.rate_hz=min")
    told = json.loads(done.output)
    assert (told["verdict"], told["counts"]["newly failing"], told["counts"]["same"]) == ("FAIL", 1, 4)
    assert [(each["seed"], each["kind"], each["change"]) for each in told["runs"]] == [
        (2, "newly failing", "REGRESSION")
    ]
    assert len(told["digests"]) == 5
    assert [(each["judged"], each["change"]) for each in told["metrics"]] == [(True, "REGRESSION")]


def test_campaigns_are_found_by_file_and_in_the_history(two, tmp_path):
    history = tmp_path / "h.sqlite"
    for place in two:
        remember(history, place)
    by_path = invoked("compare", two[0] / "campaign.json", two[1])
    by_id = invoked("compare", "c0000001", "last", "--history", history)
    assert (by_id.output, by_id.return_value) == (by_path.output, 2)
    shown = invoked("show", "c0000002", "--history", history).output
    assert "FAIL: console a: never said (1)\n  boot.yml seed 2\n" in shown
    assert shown.endswith("5 runs: 4 PASS, 1 FAIL\n")
    assert json.loads(invoked("show", two[0], "--json").output)["campaign"]["id"] == "c0000001"


def test_what_is_no_campaign_is_told(two, tmp_path):
    with pytest.raises(HostError, match="is no campaign"):
        raise invoked("compare", "nowhere", two[0], "--history", tmp_path / "h.sqlite").exception
    with pytest.raises(HostError, match="cannot read"):
        raise invoked("compare", tmp_path, two[0]).exception


@pytest.mark.parametrize("wrong", ["rate", "rate=", "=max", "rate=most"])
def test_what_decides_is_said_right(two, wrong):
    done = invoked("compare", *two, "--judge", wrong)
    assert "expected METRIC=max" in str(done.exception)


def test_text_from_runs_does_not_steer_the_terminal(tmp_path):
    evil = "\x1b[2J\nname"
    place = written(tmp_path / "a", results(entry(FAIL, scenario=evil), entry(None, scenario="x", failures=(evil,))))
    for done in (invoked("compare", place, place), invoked("show", place)):
        assert "\x1b" not in done.output
        assert "\\x1b[2J" in done.output


def test_many_lines_are_cut(tmp_path):
    many = written(tmp_path / "a", results(*(entry(FAIL, seed=seed) for seed in range(50))))
    assert "  and 30 more (--json has them all)" in invoked("compare", many, many).output
    assert "  and 30 more (--json has them all)" in invoked("show", many).output
