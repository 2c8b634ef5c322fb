"""Trends over a history: the numbers, and what they are counted from."""

import json

import pytest
from click.testing import CliRunner
from tests.campaigns.made_results import FAIL, PASS, WARN, entry, facts, results, written

from swarmrig.campaigns.history import opened
from swarmrig.campaigns.results import Entry
from swarmrig.campaigns.trends import Filter, trends
from swarmrig.cli.main import root
from swarmrig.errors import HostError

OLD, NEW = {"nodes.a.firmware": 64 * "1"}, {"nodes.a.firmware": 64 * "2"}


@pytest.fixture
def past(tmp_path):
    """past(entries, ...): a history with a campaign of each, day after day."""
    file = tmp_path / "history.sqlite"

    def remembered(*campaigns, **changes):
        with opened(file, create=True) as history:
            for number, entries in enumerate(campaigns, 1):
                history.add(results(*entries, of=facts(number=number, **changes)), tmp_path / str(number))
        return file

    return remembered


def of(file, **wanted):
    with opened(file) as history:
        return trends(history, Filter(**wanted))


def test_pass_rates_have_their_counts(past):
    retried = entry(None).result.attempts + entry(PASS).result.attempts
    entries = [entry(PASS), entry(WARN, seed=2), entry(FAIL, seed=3), entry(None, seed=4), Entry(entry(seed=7).task),
               entry(FAIL, seed=5, quarantine="known"), entry(PASS, seed=6, attempts=retried)]  # fmt: skip
    (each,) = of(past(entries)).campaigns
    assert (each.runs, each.judged, each.passed, each.failed) == (7, 4, 3, 1)
    assert (each.not_judged, each.retried, each.quarantined, each.pass_rate) == (2, 1, 1, 0.75)
    assert each.wall_s == 6.0


def test_nothing_judged_is_no_rate(past):
    assert of(past([entry(None)])).campaigns[0].pass_rate is None


def test_broken_since_when_and_what_changed(past):
    file = past(
        [entry(PASS, inputs=OLD)],
        [entry(PASS, inputs=OLD)],
        [entry(FAIL, inputs=NEW, key="k2")],
        [entry(None, inputs=NEW, key="k2")],  # does not interrupt it
        [entry(FAIL, inputs=NEW, key="k2", failures=("gone",), checks=())],
    )
    (broken,) = of(file).broken
    assert (broken.first_failed.id, broken.failed_in) == ("c0000003", 2)
    assert broken.last_passed.id == "c0000002"
    assert [str(each) for each in broken.changes] == ["nodes.a.firmware 111111111111 -> 222222222222"]
    assert (broken.verdict, broken.reason) == ("FAIL", "gone")


def test_what_passes_again_is_not_broken_and_what_broke_again_is_new(past):
    file = past([entry(FAIL)], [entry(PASS)])
    assert of(file).broken == ()
    (broken,) = of(past([entry(FAIL)], [entry(PASS)], [entry(FAIL)])).broken
    assert broken.first_failed.id == "c0000003"


def test_broken_for_no_reason_that_is_recorded(past):
    (broken,) = of(past([entry(PASS)], [entry(FAIL)], commit="a" * 40)).broken
    assert broken.changes == ()


def test_broken_by_a_commit_that_changed_what_nobody_recorded(past):
    (broken,) = of(past([entry(PASS)], [entry(FAIL)])).broken
    assert [each.name for each in broken.changes] == ["commit"]


def test_a_run_that_never_passed(past):
    (broken,) = of(past([entry(FAIL)], [entry(FAIL)])).broken
    assert (broken.last_passed, broken.changes, broken.failed_in) == (None, (), 2)


def test_the_latest_to_break_comes_first(past):
    seeds = {1: (PASS, FAIL, FAIL), 2: (PASS, PASS, FAIL), 3: (FAIL, FAIL, FAIL)}
    file = past(*([entry(seeds[seed][day], seed=seed) for seed in seeds] for day in range(3)))
    assert [each.subject.seed for each in of(file).broken] == [2, 1, 3]


def test_campaigns_of_another_name_do_not_mix(past):
    past([entry(PASS)], [entry(PASS)])
    file = past([entry(FAIL)], name="smoke", id="s1", started_at="2030-01-09T02:00:00Z")
    (broken,) = of(file).broken
    assert (broken.subject.campaign, broken.last_passed) == ("smoke", None)
    assert of(file, campaign="nightly").broken == ()
    assert len(of(file, campaign="night*").campaigns) == 2
    assert [each.id for each in of(file, last=1).campaigns] == ["s1"]


def test_scenarios_can_be_chosen(past):
    file = past([entry(FAIL), entry(FAIL, scenario="net.yml")], [entry(PASS)])
    found = of(file, scenario="net*")
    assert [each.subject.scenario for each in found.broken] == ["net.yml"]
    assert [each.runs for each in found.campaigns] == [1]
    assert of(file, scenario="nothing").campaigns == ()


def test_the_slowest_by_their_median(past):
    walls = {1: (1.0, 2.0, 9.0), 2: (3.0, 3.0, 3.5)}
    file = past(*([entry(seed=seed, wall_s=walls[seed][day]) for seed in walls] for day in range(3)))
    told = [(each.subject.seed, each.runs, each.median_s, each.longest_s, each.last_s) for each in of(file).slowest]
    assert told == [(2, 3, 3.0, 3.5, 3.5), (1, 3, 2.0, 9.0, 9.0)]


def test_undecided_is_what_ended_differently_though_it_was_the_same(past):
    file = past(
        [entry(PASS, repetition=1), entry(FAIL, repetition=2), entry(PASS, seed=2), entry(PASS, seed=3, inputs=OLD)],
        [entry(PASS, repetition=1), entry(PASS, repetition=2), entry(PASS, seed=2), entry(FAIL, seed=3, inputs=NEW)],
    )
    (undecided,) = of(file).flakiest
    assert (undecided.subject.seed, undecided.passed, undecided.failed, undecided.campaigns) == (1, 3, 1, 2)
    assert undecided.share == 0.25


def test_where_a_file_lies_does_not_make_it_another(past):
    file = past([entry(PASS, inputs={"file": "/a", **OLD})], [entry(FAIL, inputs={"file": "/b", **OLD})])
    assert len(of(file).flakiest) == 1


# The command.


def invoked(*arguments):
    return CliRunner().invoke(root, ["campaign", "trends", *map(str, arguments)], standalone_mode=False)


def test_the_command(past):
    file = past([entry(PASS, inputs=OLD), entry(seed=2)], [entry(FAIL, inputs=NEW, key="k2"), entry(PASS, seed=2)])
    done = invoked("--history", file)
    assert done.return_value == 0, done.output
    lines = done.output.splitlines()
    assert lines[0].split() == ["campaign", "started", "passed", "failed", "not", "judged", "retried", "quarantined",
                                "wall", "time", "commit"]  # fmt: skip
    assert lines[2].split()[:6] == ["nightly", "c0000002", "2030-01-02T02:00:00Z", "50.0%", "1/2", "1"]
    assert (
        "  nightly: boot.yml seed 1: FAIL since c0000002 (2030-01-02T02:00:00Z, commit 000000000000), in 1 campaign"
        in lines
    )
    passed = "      passed in c0000001 (2030-01-01T02:00:00Z, commit 000000000000); changed since: "
    assert passed + "nodes.a.firmware 111111111111 -> 222222222222" in lines
    assert "nothing is undecided: what was the same ended alike" in lines

    told = json.loads(invoked("--history", file, "--json").output)
    assert [each["pass_rate"] for each in told["campaigns"]] == [1.0, 0.5]
    assert told["broken"][0]["last_passed"]["id"] == "c0000001"
    assert told["broken"][0]["changes"] == [{"name": "nodes.a.firmware", "before": 64 * "1", "after": 64 * "2"}]


def test_the_command_with_nothing_to_tell(past, tmp_path):
    done = invoked("--history", past([entry()]), "--scenario", "none*")
    assert (done.return_value, done.output) == (1, "no campaign in the history has such runs\n")
    with pytest.raises(HostError, match="there is no history"):
        raise invoked("--history", tmp_path / "none").exception


def test_directories_are_imported_once(past, tmp_path):
    places = [written(tmp_path / f"d{number}", results(entry(), of=facts(number=number))) for number in (1, 2)]
    file = tmp_path / "h.sqlite"

    def imported(*directories):
        arguments = ["campaign", "import", *map(str, directories), "--history", str(file)]
        return CliRunner().invoke(root, arguments, standalone_mode=False)

    assert imported(*places).output.splitlines()[0] == "nightly c0000001: 1 new run of 1"
    assert "nightly c0000002: 0 new runs of 1" in imported(places[1] / "campaign.json").output
    assert isinstance(imported(places[0], tmp_path / "none").exception, HostError)


def test_the_history_of_thousands_of_runs_is_read(past):
    day = [entry(PASS if seed % 7 else FAIL, seed=seed, scenario=f"s{seed % 10}.yml") for seed in range(3000)]
    found = of(past(day, day))
    assert (len(found.broken), len(found.slowest), found.campaigns[1].judged) == (429, 3000, 3000)
