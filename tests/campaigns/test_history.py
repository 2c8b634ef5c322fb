"""The file of the history: nothing twice, nothing lost, and refused when it is something else."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.campaigns.made_results import FAIL, PASS, WARN, entry, facts, results, written

from swarmrig.campaigns import history_file
from swarmrig.campaigns.history import opened, remember
from swarmrig.campaigns.results import Entry
from swarmrig.errors import HostError


@pytest.fixture
def file(tmp_path):
    return tmp_path / "history.sqlite"


@contextmanager
def database(path):
    with closing(sqlite3.connect(path)) as connection, connection:
        yield connection


def dumped(path):
    with database(path) as connection:
        return sorted(
            map(repr, (*connection.execute("SELECT * FROM campaigns"), *connection.execute("SELECT * FROM runs")))
        )


def test_what_was_remembered_is_told_again_to_the_letter(file, tmp_path):
    found = results(entry(PASS), entry(FAIL, seed=2, variant={"fw": "b", "link": "slow"}), entry(None, seed=3))
    assert remember(file, written(tmp_path / "a", found)) == 3
    with opened(file) as history:
        assert [(each.facts, each.home) for each in history.campaigns()] == [(found.campaign, str(tmp_path / "a"))]
        assert sorted(history.entries(found.campaign.id), key=lambda each: each.task.seed) == list(found.tasks)
        (late,) = (run for run in history.runs(found.campaign.id) if run.seed == 2)
        assert (late.verdict, late.labels, late.wall_s) == ("FAIL", {"fw": "b", "link": "slow"}, 1.0)
        assert history.entry(late) == found.tasks[1]
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("history")] == ["history.sqlite"]


def test_a_campaign_that_went_on_has_the_later_results(file, tmp_path):
    begun = results(entry(PASS), Entry(entry(seed=2).task), of=facts(interrupted=True))
    assert remember(file, written(tmp_path / "a", begun)) == 2
    whole = results(entry(PASS), entry(FAIL, seed=2), of=facts(ended_at="2030-01-01T04:00:00Z"))
    assert remember(file, written(tmp_path / "a", whole)) == 1
    assert remember(file, written(tmp_path / "b", begun)) == 0
    with opened(file) as history:
        assert history.campaigns()[0].facts == whole.campaign
        assert {run.seed: run.verdict for run in history.runs("c0000001")} == {1: "PASS", 2: "FAIL"}


def test_a_run_that_was_made_again_because_its_key_changed_replaces_the_former(file, tmp_path):
    old, new = entry(PASS, key="k1"), entry(FAIL, key="k2", began_at="2030-01-01T05:00:00Z")
    for each in (new, old):
        remember(file, written(tmp_path / "a", results(each)))
    with opened(file) as history:
        assert history.entries("c0000001") == (new,)


def test_merged_shards_stand_for_their_parts(file, tmp_path):
    one, two = facts(number=1, shard="1/2"), facts(number=2, shard="2/2")
    both = facts(number=3, parts=(one.id, two.id))
    for each, of in ((entry(seed=1), one), (entry(seed=2), two)):
        remember(file, written(tmp_path / of.id, results(each, of=of)))
    with opened(file) as history:
        assert [each.facts.shard for each in history.campaigns()] == ["1/2", "2/2"]
    remember(file, written(tmp_path / "m", results(entry(seed=1), entry(seed=2), of=both)))
    with opened(file) as history:
        assert [each.facts.id for each in history.campaigns()] == [both.id]


def test_campaigns_are_named_by_a_part_of_their_id(file, tmp_path):
    for number in (1, 2, 12):
        remember(file, written(tmp_path / str(number), results(entry(), of=facts(number=number, id=f"ab{number}"))))
    with opened(file) as history:
        assert history.campaign("last").facts.id == "ab12"
        assert history.campaign("ab1").facts.id == "ab1"  # exact, though it begins another
        assert history.campaign("ab12").facts.id == "ab12"
        with pytest.raises(HostError, match="several campaigns"):
            history.campaign("ab")
        with pytest.raises(HostError, match="no campaign"):
            history.campaign("zz")


outcomes = st.sampled_from([PASS, WARN, FAIL, None])
entries = st.builds(
    entry, outcomes, seed=st.integers(1, 3), repetition=st.integers(1, 2), key=st.sampled_from(["k1", "k2"]),
    variant=st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
    wall_s=st.floats(0, 1e6), began_at=st.sampled_from(["2030-01-01T02:00:00Z", "2030-01-01T02:00:01Z"]),
    metrics=st.dictionaries(st.text(max_size=3), st.none() | st.floats(-1e300, 1e300), max_size=2),
)  # fmt: skip
campaigns = st.builds(
    lambda number, ended, tasks: results(*tasks, of=facts(number=number, ended_at=ended)),
    st.integers(1, 2), st.sampled_from(["2030-01-03T00:00:00Z", "2030-01-04T00:00:00Z"]), st.lists(entries, max_size=4),
)  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(campaigns, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_twice_and_in_any_order_is_the_same(tmp_path_factory, found, random):
    place = tmp_path_factory.mktemp("order")
    shuffled = [*found, *random.sample(found, len(found))]
    random.shuffle(shuffled)
    for name, order in (("a", found), ("b", shuffled)):
        with opened(place / name, create=True) as history:
            for each in order:
                history.add(each, place)
    assert dumped(place / "a") == dumped(place / "b")


REMEMBER = """
import sys
from pathlib import Path
from swarmrig.campaigns.history import remember
remember(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_campaigns_that_end_at_once_wait_for_each_other(file, tmp_path):
    made = [
        written(tmp_path / str(number), results(*(entry(seed=seed) for seed in range(30)), of=facts(number=number)))
        for number in range(1, 6)
    ]
    writers = [subprocess.Popen([sys.executable, "-c", REMEMBER, file, directory]) for directory in made]
    assert [writer.wait() for writer in writers] == [0] * 5
    with opened(file) as history:
        assert len(history.campaigns()) == 5
        assert sum(len(history.runs(each.facts.id)) for each in history.campaigns()) == 150


KILLED = """
import os, signal, sys
from pathlib import Path
from swarmrig.campaigns import history
add = history._row
def dies(campaign, entry):
    if entry.task.seed == 2000:
        os.kill(os.getpid(), signal.SIGKILL)
    return add(campaign, entry)
history._row = dies
history.remember(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_a_writer_that_is_killed_leaves_the_history_as_it_was(file, tmp_path):
    remember(file, written(tmp_path / "a", results(entry())))
    before = dumped(file)
    many = results(
        *(entry(seed=seed, metrics={f"m{n}.{seed}": n / 7 for n in range(60)}) for seed in range(2001)),
        of=facts(number=2),
    )
    done = subprocess.run([sys.executable, "-c", KILLED, file, written(tmp_path / "b", many)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert file.with_name("history.sqlite-journal").exists()  # it had begun
    with opened(file) as history:
        assert [each.facts.id for each in history.campaigns()] == ["c0000001"]
    assert dumped(file) == before


def test_what_is_no_history_is_refused_and_left_alone(file, tmp_path):
    directory = written(tmp_path / "a", results(entry()))
    for content in (b"some notes of somebody\n" * 100, b"SQLite format 3\0" + b"\1" * 500):
        file.write_bytes(content)
        with pytest.raises(HostError, match="is damaged, or not a history"):
            remember(file, directory)
        assert file.read_bytes() == content


def test_a_database_of_something_else_is_refused(file, tmp_path):
    with database(file) as connection:
        connection.execute("CREATE TABLE notes (text)")
    before = file.read_bytes()
    with pytest.raises(HostError, match="database of something else"):
        remember(file, written(tmp_path / "a", results(entry())))
    assert file.read_bytes() == before


def test_a_newer_history_is_refused(file, tmp_path):
    directory = written(tmp_path / "a", results(entry()))
    remember(file, directory)
    with database(file) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(HostError, match="written by a newer swarmrig: version 99"):
        remember(file, directory)


def test_an_older_history_is_brought_up_and_keeps_what_it_has(file, tmp_path, monkeypatch):
    directory = written(tmp_path / "a", results(entry()))
    remember(file, directory)
    monkeypatch.setattr(history_file, "_STEPS", (*history_file._STEPS, ("ALTER TABLE runs ADD COLUMN host TEXT",)))
    monkeypatch.setattr(history_file, "VERSION", 2)
    with opened(file) as history:
        assert len(history.runs("c0000001")) == 1
    with database(file) as connection:
        assert connection.execute("SELECT host FROM runs").fetchall() == [(None,)]
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)


def test_a_damaged_page_is_found_before_anything_is_written(file, tmp_path):
    many = results(*(entry(seed=seed) for seed in range(200)))
    remember(file, written(tmp_path / "a", many))
    content = bytearray(file.read_bytes())
    content[4096 * 2 : 4096 * 3] = bytes(range(256)) * 16
    file.write_bytes(content)
    with pytest.raises(HostError, match="is damaged"):
        remember(file, written(tmp_path / "b", results(entry(), of=facts(number=2))))
    assert file.read_bytes() == bytes(content)


def test_a_damaged_document_is_told(file, tmp_path):
    remember(file, written(tmp_path / "a", results(entry())))
    with database(file) as connection:
        connection.execute("UPDATE runs SET document = x'00'")
    with opened(file) as history, pytest.raises(HostError, match="is damaged"):
        history.entries("c0000001")


def test_there_is_no_history_where_nobody_made_one(file):
    with pytest.raises(HostError, match="there is no history"), opened(file):
        pass
    assert not file.exists()


def test_a_directory_without_results_adds_nothing(file, tmp_path):
    with pytest.raises(HostError, match=r"cannot read .*campaign\.json"):
        remember(file, tmp_path)
    assert not file.exists()


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "notes").write_text("a file")
    with pytest.raises(HostError, match="cannot open"):
        remember(tmp_path / "notes/history.sqlite", written(tmp_path / "a", results(entry())))


def test_a_full_disk_leaves_the_history_as_it_was(file, tmp_path):
    """Here, because files may not be longer than 64 KiB."""
    remember(file, written(tmp_path / "a", results(entry())))
    before = dumped(file)
    metrics = {f"m{number}": number / 7 for number in range(100)}
    many = results(*(replace(each, result=replace(each.result, metrics=metrics)) for each in map(_seeded, range(300))))
    directory = written(tmp_path / "b", many)
    done = subprocess.run(
        ["bash", "-c", 'trap "" XFSZ; ulimit -f 64; exec "$@"', "-", sys.executable, "-c", REMEMBER, file, directory],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert f"cannot use {file}" in done.stderr
    assert dumped(file) == before


def _seeded(seed):
    return entry(seed=seed)


def test_it_can_be_read_where_nothing_can_be_written(tmp_path, monkeypatch):
    place = tmp_path / "kept"
    remember(place / "history.sqlite", written(tmp_path / "a", results(entry())))
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    with opened(place / "history.sqlite") as history:
        assert len(history.runs("c0000001")) == 1
        with pytest.raises(HostError, match="readonly"), history_file._told(history.path):
            history.add(results(entry()), tmp_path)
