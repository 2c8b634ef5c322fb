"""The verdict over a campaign, what is flaky, what should be the same, and how reports say it."""

from datetime import date
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from junitparser import JUnitXml

from swarmrig.campaigns.conduct import is_finished, unfinished
from swarmrig.campaigns.judge import NOTHING_COUNTS, judge
from swarmrig.campaigns.junit import junit
from swarmrig.campaigns.load import load_campaign_text
from swarmrig.campaigns.plan import combinations
from swarmrig.campaigns.prepare import Planned, part_of, quarantined, tasks_of
from swarmrig.campaigns.results import Facts, document, document_text, read_results, schema
from swarmrig.campaigns.sameness import differences
from swarmrig.campaigns.task import Attempt, CheckVerdict, Ending, Resources, Task, TaskResult
from swarmrig.campaigns.text import headline, summary_text
from swarmrig.cli.campaign_ci import annotate
from swarmrig.errors import HostError
from swarmrig.model.verdict import Outcome

PASS, WARN, FAIL, FATAL = Outcome.PASS, Outcome.WARN, Outcome.FAIL, Outcome.FATAL
FACTS = Facts("1a2b3c4d", "night", "n.campaign.yml", "2030-01-01T00:00:00Z", "2030-01-01T01:00:00Z", 12.0)


def task(name, **changes):
    return Task(
        **{"id": name, "key": f"key-{name}", "scenario": "a.yml", "variant": {}, "settings": (), "seed": ord(name[0])}
        | changes
    )


def result(name, verdict=PASS, *, ending=None, reason="", **changes):
    ending = ending or (Ending.JUDGED if verdict is not None else Ending.INFRASTRUCTURE)
    checks = () if verdict is None else (CheckVerdict("boot", "boot", verdict, f"it is {verdict.value}"),)
    values = {
        "task": name, "key": f"key-{name}", "verdict": verdict, "exit_code": 0, "checks": checks,
        "attempts": (Attempt(1, ending, reason, 1.0, "local-1"),), "directory": f"runs/{name}/1/x",
    }  # fmt: skip
    return TaskResult(**values | changes)


def judged(*pairs, facts=FACTS, **more):
    tasks = [each for each, _ in pairs]
    return judge(facts, tasks, {found.task: found for _, found in pairs if found is not None}, axes={}, **more)


def facts(**changes):
    return Facts("1a2b3c4d", "night", "n.yml", "s", "e", 1.0, **changes)


@pytest.mark.parametrize(
    ("pairs", "verdict", "code"),
    [
        ([(task("a"), result("a")), (task("b"), result("b"))], PASS, 0),
        ([(task("a"), result("a")), (task("b"), result("b", WARN))], WARN, 1),
        ([(task("a"), result("a", FAIL)), (task("b"), result("b", WARN))], FAIL, 2),
        ([(task("a"), result("a", FATAL)), (task("b"), result("b", FAIL))], FATAL, 3),
        ([(task("a"), result("a")), (task("b"), result("b", None, reason="time-out"))], PASS, 3),
        ([(task("a"), result("a")), (task("b"), result("b", None, ending=Ending.REFUSED))], PASS, 3),
        ([(task("a"), result("a")), (task("b"), None)], PASS, 130),
        ([(task("a"), result("a")), (task("b", quarantine="known"), result("b", FATAL))], PASS, 0),
        ([(task("a"), result("a")), (task("b", quarantine="known"), result("b", None))], PASS, 0),
        ([(task("a"), result("a")), (task("b", quarantine="known"), None)], PASS, 0),
        ([(task("a", quarantine="known"), result("a"))], WARN, 1),  # nothing that counts is no evidence
        ([(task("a"), None)], WARN, 130),
        ([(task("a"), result("a", None))], WARN, 3),
    ],
)
def test_the_verdict_is_the_worst_that_counts(pairs, verdict, code):
    found = judged(*pairs)
    assert (found.verdict, found.exit_code) == (verdict, code)
    jsonschema.validate(document(found), schema())
    xml = JUnitXml.fromstring(junit(found).encode())
    assert (xml.failures + xml.errors > 0) == (code not in (0, 1))
    assert xml.tests == len(pairs)
    assert f"# night: {verdict.value}" in summary_text(found)


def test_nothing_that_counts_is_told():
    assert NOTHING_COUNTS in judged((task("a", quarantine="x"), result("a"))).warnings


def test_a_full_disk_and_an_interruption_have_their_codes():
    pair = (task("a"), result("a"))
    assert judged(pair, facts=facts(stopped="a disk is full")).exit_code == 3
    assert judged(pair, facts=facts(interrupted=True)).exit_code == 130


def test_repetitions_that_end_differently_are_flaky():
    pairs = [(task(f"a{n}", repetition=n), result(f"a{n}", FAIL if n == 2 else PASS)) for n in (1, 2, 3)]
    found = judged(*pairs, (task("b", seed=2), result("b", FAIL)))
    (flaky,) = found.flaky
    assert flaky.verdicts == {"PASS": ("a1", "a3"), "FAIL": ("a2",)}
    assert "2 × PASS, 1 × FAIL; checks that differ: boot" in flaky.message
    assert found.counts["flaky"] == 1
    assert (found.verdict, found.exit_code) == (FAIL, 2)
    assert "## Flaky" in summary_text(found)
    assert "flaky: a1" in junit(found)


def test_flaky_warnings_are_no_pass():
    found = judged((task("a1"), result("a1")), (task("a2", repetition=2), result("a2", WARN)))
    assert (found.verdict, len(found.flaky)) == (WARN, 1)


def exact(name, digest, key="k", **inputs):
    return result(name, tier="exact", digest=digest, key=key, inputs=inputs)


def test_the_same_run_with_other_bytes_is_a_failure_when_no_input_tells_why():
    pairs = [(task("a", key="k"), exact("a", "1" * 64, qemu="7")), (task("b", key="k"), exact("b", "2" * 64, qemu="7"))]
    found = judged(*pairs)
    (difference,) = found.differences
    assert difference.digests == {"1" * 64: ("a",), "2" * 64: ("b",)}
    assert difference.inputs == {}
    assert "a defect of the rig or of a node" in difference.message
    assert (found.verdict, found.exit_code) == (FAIL, 2)
    assert JUnitXml.fromstring(junit(found).encode()).failures == 1


def test_the_same_run_on_another_emulator_is_a_warning_that_names_it():
    found = judged(
        (task("a", key="k"), exact("a", "1" * 64, **{"nodes.a.emulator_sha256": "e1", "nodes.a.emulator": "/x/qemu"})),
        (task("b", key="k"), exact("b", "2" * 64, **{"nodes.a.emulator_sha256": "e2", "nodes.a.emulator": "/y/qemu"})),
    )
    (difference,) = found.differences
    assert difference.inputs == {"nodes.a.emulator_sha256": {"e1": ("a",), "e2": ("b",)}}
    assert "nodes.a.emulator_sha256 (e1 and e2)" in difference.message
    assert found.verdict is WARN


@given(st.lists(st.tuples(st.sampled_from("kl"), st.sampled_from("12"), st.sampled_from(["exact", "scheduled"]))))
def test_only_exact_runs_of_one_key_are_compared(runs):
    found = differences(
        result(f"t{number}", key=key, digest=digest, tier=tier) for number, (key, digest, tier) in enumerate(runs)
    )
    several = {key for key in "kl" if len({run[1] for run in runs if run[0] == key and run[2] == "exact"}) > 1}
    assert {difference.key for difference in found} == several


def test_retries_are_told_everywhere():
    attempts = (Attempt(1, Ending.INFRASTRUCTURE, "worker lost", 1.0, "w1"), Attempt(2, Ending.JUDGED, "", 1.0, "w2"))
    found = judged((task("a"), result("a", attempts=attempts)))
    assert found.counts["retried"] == 1
    assert "a: 2 attempts: worker lost" in summary_text(found)
    assert "attempt 1 on w1: infrastructure worker lost" in junit(found)
    assert headline(found) == "1 run: 1 passed, 1 tried again"


def test_what_a_guest_says_becomes_neither_markup_nor_a_command(tmp_path):
    evil = "x\n::error::<b>\x1b[31m"
    bad = result("a", FAIL, checks=(CheckVerdict("c", "c", FAIL, evil),))
    found = judged((task("a"), bad), facts=facts())
    assert "\x1b" not in junit(found)
    assert summary_text(found).count("\n::error") == 0
    (line,) = annotate(found, tmp_path)
    assert line.startswith("::error title=night%3A FAIL a::c: x%0A::error::<b>")


def test_results_are_read_as_they_were_written(tmp_path):
    found = judged((task("a"), result("a", metrics={"x": None, "y": 1.5})), (task("b"), None))
    (tmp_path / "campaign.json").write_text(document_text(found))
    assert read_results(tmp_path) == found
    for text in ("", "[]", '{"format": 2}', '{"format": 1}'):
        (tmp_path / "campaign.json").write_text(text)
        with pytest.raises(HostError, match="is not what a campaign writes"):
            read_results(tmp_path)
    with pytest.raises(HostError, match="cannot read"):
        read_results(tmp_path / "none")


def test_what_has_a_verdict_for_the_same_content_is_finished():
    assert is_finished(task("a"), result("a", FAIL))
    assert not is_finished(task("a", key="other"), result("a"))
    assert not is_finished(task("a"), result("a", None))
    assert not is_finished(task("a"), None)
    large = task("b", resources=Resources(2.0))
    assert unfinished([task("a"), large, task("c")], {"c": result("c")}) == (large, task("a"))


def planned(text):
    plan = load_campaign_text(f"campaign: 1\n{text}", "n.yml", Path())
    return plan, [
        Planned(each, "virtual", "exact", 2, Resources(), 600.0, str(number), tuple(each.seeds or (0,)))
        for number, each in enumerate(combinations(plan))
    ]


SHARDED = (
    "scenarios: [a.yml, sub/a.yml, b.yml]\nmatrix: {x: {'5%': p=1, '5': p=2, z: p=3}}\nseeds: 1..7\nrepetitions: 2\n"
)


def test_ids_are_unique_and_safe_and_tell_what_they_are():
    ids = [each.id for each in tasks_of(*planned(SHARDED))]
    assert len(set(ids)) == len(ids) == 3 * 3 * 7 * 2
    assert all(each.replace(".", "").replace("-", "").isalnum() for each in ids)
    assert "b.z.s7.r2" in ids
    assert sum(each.startswith("b.5.s1.r1.") for each in ids) == 2  # 5% and 5 are the same in a file's name
    assert [each.id for each in tasks_of(*planned(SHARDED))] == ids
    (long,) = tasks_of(*planned(f"scenarios: [{'n' * 300}.yml]"))
    assert len(long.id) <= 120


@given(st.integers(1, 9))
def test_shards_are_disjoint_and_complete_and_of_one_size_and_keep_repetitions_together(number):
    tasks = tuple(tasks_of(*planned(SHARDED)))
    shards = [part_of(tasks, (part, number), ()) for part in range(1, number + 1)]
    assert sorted(each.id for shard in shards for each in shard) == sorted(each.id for each in tasks)
    sizes = [len(shard) for shard in shards]
    assert max(sizes) - min(sizes) <= 2
    for shard in shards:
        assert {each.group for each in shard}.isdisjoint(
            each.group for other in shards if other is not shard for each in other
        )
        assert [each.id for each in tasks if each in shard] == [each.id for each in shard]


def test_a_shard_does_not_depend_on_what_was_built():
    plan, found = planned(SHARDED)
    other = [
        Planned(each.combination, "virtual", "exact", 2, Resources(), 600.0, "elsewhere", each.seeds) for each in found
    ]
    ids = [each.id for each in part_of(tuple(tasks_of(plan, found)), (2, 3), ())]
    assert [each.id for each in part_of(tuple(tasks_of(plan, other)), (2, 3), ())] == ids
    assert [each.id for each in part_of(tuple(tasks_of(plan, found)), None, ["b.z.s[12].*"])] == [
        f"b.z.s{seed}.r{repetition}" for seed in (1, 2) for repetition in (1, 2)
    ]


def test_a_quarantine_ends_on_its_day():
    plan, found = planned(
        "scenarios: [a.yml]\nseeds: 1..3\nquarantine:\n"
        "- {match: {seed: 1}, reason: first, until: 2030-05-05}\n"
        "- {match: {seed: 1..2}, reason: second}\n"
        "- {match: {scenario: a}, reason: third, until: 2030-05-04}\n"
    )
    tasks, uses = quarantined(plan, tuple(tasks_of(plan, found)), date(2030, 5, 5))
    assert [each.quarantine for each in tasks] == ["first", "second", None]
    assert [(use.reason, use.expired, len(use.tasks)) for use in uses] == [
        ("first", False, 1), ("second", False, 2), ("third", True, 3),
    ]  # fmt: skip
    tasks, _ = quarantined(plan, tuple(tasks_of(plan, found)), date(2030, 5, 6))
    assert [each.quarantine for each in tasks] == ["second", "second", None]
