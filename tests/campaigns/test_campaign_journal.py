"""The journal of a campaign: what was written is read, what was not finished is cut, and nothing else is lost."""

import resource

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmrig.campaigns.directory import (
    Begun,
    Journal,
    begin_directory,
    open_journal,
    read_journal,
    reopen_directory,
)
from swarmrig.campaigns.results import result_line, result_of_line, tasks_of_text, tasks_text
from swarmrig.campaigns.task import Attempt, CheckVerdict, Ending, Resources, Task, TaskResult
from swarmrig.errors import HostError
from swarmrig.model.verdict import EXIT_CODES, Outcome

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
OUTCOME = st.sampled_from(list(EXIT_CODES))
RESULTS = st.builds(
    TaskResult,
    task=st.sampled_from("abcdef"),
    key=TEXT,
    verdict=st.none() | OUTCOME,
    exit_code=st.integers(0, 130),
    tier=st.none() | st.just("exact"),
    digest=st.none() | TEXT,
    inputs=st.dictionaries(TEXT, TEXT, max_size=3),
    checks=st.lists(st.builds(CheckVerdict, TEXT, TEXT, OUTCOME, TEXT), max_size=2).map(tuple),
    failures=st.lists(TEXT, max_size=2).map(tuple),
    metrics=st.dictionaries(TEXT, st.none() | st.floats(allow_nan=False, allow_infinity=False), max_size=3),
    attempts=st.lists(
        st.builds(Attempt, st.integers(1, 9), st.sampled_from(Ending), TEXT, st.floats(0, 9), TEXT), max_size=2
    ).map(tuple),
    directory=st.none() | TEXT,
)


@given(RESULTS)
def test_a_line_holds_a_result(result):
    line = result_line(result)
    assert line.count(b"\n") == 1
    assert result_of_line(line) == result


TASKS = st.builds(
    Task,
    TEXT,
    TEXT,
    TEXT,
    st.dictionaries(TEXT, TEXT, max_size=2),
    st.tuples(TEXT),
    st.integers(0, 2**63 - 1),
    resources=st.builds(Resources, st.floats(0.1, 9), st.integers(0, 9)),
    quarantine=st.none() | TEXT,
)


@given(st.lists(TASKS, max_size=3))
def test_tasks_come_back(tasks):
    assert tasks_of_text(tasks_text(tuple(tasks))) == tuple(tasks)


@given(results=st.lists(RESULTS, max_size=5), data=st.data())
def test_wherever_the_power_went_the_whole_lines_before_are_there(tmp_path_factory, results, data):
    path = tmp_path_factory.mktemp("journal") / "tasks.jsonl"
    journal = Journal(path)
    for result in results:
        journal.add(result)
    written = path.read_bytes() if results else b""
    cut = data.draw(st.integers(0, len(written)))
    path.write_bytes(written[:cut])
    whole = written[:cut].count(b"\n")
    assert list(read_journal(path, cut=True)) == results[:whole]
    again = Journal(path)
    for result in results[whole:]:
        again.add(result)
    assert path.read_bytes() == written


@pytest.fixture
def directory(tmp_path):
    return begin_directory(tmp_path, "campaign: 1\n", Begun("night", "n.yml", "/x", "2030-01-01T00:00:00Z"))


def result(task="a", verdict=Outcome.PASS):
    return TaskResult(task, "k", verdict, 0, attempts=(Attempt(1, Ending.JUDGED, "", 1.0, "local"),))


def test_the_last_word_on_a_task_counts(directory):
    journal = open_journal(directory)
    journal.add(result(verdict=Outcome.FAIL))
    journal.add(result())
    assert open_journal(directory).results == {"a": result()}


def test_a_campaign_that_was_begun_is_found_again(directory, tmp_path):
    found = reopen_directory(directory.path)
    assert found == directory
    assert found.text == "campaign: 1\n"
    assert found.begun.id == directory.path.name.rpartition("-")[2]
    with directory.locked(), pytest.raises(HostError, match="is running already"), found.locked():
        pass
    with pytest.raises(HostError, match="is it the directory of a campaign"):
        reopen_directory(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "shard": null, "only": 3}'])
def test_a_state_that_nobody_wrote_is_refused(directory, text):
    (directory.path / "begun.json").write_text(text)
    with pytest.raises(HostError, match="is not what a campaign writes"):
        reopen_directory(directory.path)


def test_a_damaged_line_is_told_with_its_number(directory):
    journal = open_journal(directory)
    journal.add(result())
    with journal.path.open("ab") as file:
        file.write(b'{"task": 3}\n')
    with pytest.raises(HostError, match=r"tasks\.jsonl:2 is not what a campaign writes"):
        open_journal(directory)
    (directory.path / "plan.json").write_text("[3]")
    with pytest.raises(HostError, match=r"plan\.json is not what a campaign writes"):
        directory.planned()


def test_a_line_that_does_not_fit_leaves_no_half_of_it(directory):
    journal = open_journal(directory)
    journal.add(result())
    before = journal.path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, limits[1]))
    try:
        with pytest.raises(OSError, match=r"No space left|File too large"):
            journal.add(result("b"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert journal.path.read_bytes() == before
    assert set(journal.results) == {"a"}


def test_a_place_is_empty_whatever_was_there(directory):
    place = directory.place_of("t", 1)
    (place / "left").write_text("by an interrupted run")
    assert list(directory.place_of("t", 1).iterdir()) == []
