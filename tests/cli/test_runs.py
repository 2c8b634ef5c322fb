"""`runs`: the shelf of former runs; what is not a run's is never touched."""

from __future__ import annotations

import fcntl
import json
import os
import time

import pytest

from swarmrig.errors import HostError, SwarmrigError
from swarmrig.replay.shelf import SETTLED_S, Pruning, State, find_run, remove, shelf
from swarmrig.runtime.directory import held
from swarmrig.runtime.events import open_event_log

RESULTS = {
    "verdict": "PASS",
    "exit_code": 0,
    "run": {"run_s": 3.0, "seed": 1, "tier": "exact", "interrupted": False},
    "checks": [
        {"outcome": "PASS", "label": "boots", "message": "both \x1b[31mbooted", "evidence": [{"at": "nodes/a/c:2"}]}
    ],
    "warnings": ["slow"],
    "failures": [],
}


@pytest.fixture
def output(bare_environment, tmp_path):
    """A finished run, a failed one, one without a verdict, a suite, and things that are none of ours."""
    runs = tmp_path / "runs"
    for name, files in {
        "a-20260101-000000-aaaaaaaa": {"results.json": RESULTS},
        "a-20260102-000000-bbbbbbbb": {"results.json": {**RESULTS, "verdict": "FAIL"}, "summary.json": {}},
        "b-20260103-000000-cccccccc": {"events.jsonl": {}},
        "s-20260104-000000-dddddddd": {"suite.json": {}, "summary.json": {"all_pass": False}},
    }.items():
        (runs / name / "net").mkdir(parents=True)
        for file, content in files.items():
            (runs / name / file).write_text(json.dumps(content))
    long_ago_s = time.time() - 2 * SETTLED_S
    for path in runs.glob("*/*"):
        os.utime(path, (long_ago_s, long_ago_s))
    (runs / "notes").mkdir()
    (runs / "a-20261399-000000-eeeeeeee").mkdir()
    (runs / "l-20260101-000000-ffffffff").symlink_to(runs / "a-20260101-000000-aaaaaaaa")
    return runs


def lock(run_id):
    """As a rig that lives holds it."""
    from swarmrig.proc.scope import default_state_root

    place = default_state_root() / run_id
    place.mkdir(parents=True)
    fd = os.open(place / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(fd, fcntl.LOCK_EX)
    return fd


def test_the_shelf_has_runs_the_latest_first(output):
    found = [(run.name, run.kind, run.verdict) for run in shelf(output)]
    assert found == [("s", "suite", "FAIL"), ("b", "run", "unfinished"), ("a", "run", "FAIL"), ("a", "run", "PASS")]
    assert shelf(output / "nowhere") == []


def test_a_run_whose_lock_is_held_is_live_and_stays(output):
    fd = lock("cccccccc")
    try:
        (run,) = [run for run in shelf(output) if run.name == "b"]
        assert run.state is State.LIVE
        assert run not in Pruning().chosen(shelf(output), 2e9)
        with pytest.raises(HostError, match="in use"):
            remove(run)
    finally:
        os.close(fd)
    assert find_run("cccccccc", output).state is State.UNFINISHED


@pytest.mark.parametrize(
    ("named", "found"),
    [("last", "dddddddd"), ("b-", "cccccccc"), ("bbb", "bbbbbbbb"), ("a-20260101-000000-aaaaaaaa", "aaaaaaaa")],
)
def test_runs_are_found_by_the_beginning_of_name_or_id(output, named, found):
    assert find_run(named, output).id == found


def test_runs_are_found_by_their_directory_or_results(output):
    path = output / "a-20260101-000000-aaaaaaaa"
    assert find_run(str(path), output / "elsewhere").id == "aaaaaaaa"
    assert find_run(str(path / "results.json"), output / "elsewhere").id == "aaaaaaaa"


@pytest.mark.parametrize(("named", "said"), [("a-", "beginning of 2 runs"), ("zz", "no run 'zz'"), ("notes", "no run")])
def test_what_cannot_be_told_apart_or_is_not_there_is_said(output, named, said):
    with pytest.raises(SwarmrigError, match=said):
        find_run(named, output)


def test_list_and_show(swarmrig, output):
    lines = swarmrig("runs", "list").stdout.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == ["FAIL", "unfinished", "FAIL", "PASS"]
    assert lines[-1].startswith("4 runs in runs, ")
    shown = swarmrig("runs", "show", "aaaa")
    assert shown.returncode == 0
    assert "both \\x1b[31mbooted (nodes/a/c:2)" in shown.stdout
    assert "warning       slow" in shown.stdout
    assert "it has no verdict" in swarmrig("runs", "show", "b-").stdout
    described = json.loads(swarmrig("runs", "show", "bbbb", "--json").stdout)
    assert (described["verdict"], described["state"], described["kind"]) == ("FAIL", "finished", "run")
    assert next(run["id"] for run in json.loads(swarmrig("runs", "list", "--json").stdout)) == "dddddddd"
    assert swarmrig("runs", "list", "--output-dir", "empty").stdout == "no runs in empty\n"


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        (["--keep", "3"], {"bbbbbbbb", "cccccccc", "dddddddd"}),
        (["--verdict", "pass", "--verdict", "unfinished"], {"bbbbbbbb", "dddddddd"}),
        (["--older-than", "10000d"], None),
        (["--older-than", "1h", "--keep", "1"], {"dddddddd"}),
        (["--keep", "1", "--dry-run"], {"aaaaaaaa", "bbbbbbbb", "cccccccc", "dddddddd"}),
    ],
)
def test_prune_removes_what_meets_all_conditions(swarmrig, output, arguments, left):
    result = swarmrig("runs", "prune", *arguments)
    if left is None:  # no such unit
        assert result.returncode == 3
        return
    assert result.returncode == 0, result.stderr
    assert {run.id for run in shelf(output)} == left
    assert (output / "notes").is_dir()
    assert (output / "l-20260101-000000-ffffffff").is_symlink()


def test_a_run_that_writes_its_log_is_live_wherever_its_state_is(output):
    directory = output / "c-20260105-000000-99999999"
    directory.mkdir()
    with open_event_log(directory):
        assert find_run("last", output).state is State.LIVE
        assert "c" not in {run.name for run in Pruning().chosen(shelf(output), 2e9)}
    assert find_run("last", output).state is State.UNFINISHED


@pytest.mark.parametrize(
    ("state", "kind", "document"),
    [
        ("suite.json", "suite", {"summary.json": {"all_pass": True}}),
        ("begun.json", "campaign", {"campaign.json": {"verdict": "PASS"}}),
        ("explore.json", "search", {"findings.json": {"findings": []}}),
    ],
)
def test_what_goes_on_again_is_live_though_it_has_results(output, state, kind, document):
    directory = output / "z-20260105-000000-99999999"
    directory.mkdir()
    for name, content in {state: {}, **document}.items():
        (directory / name).write_text(json.dumps(content))
    with held(directory / state, "it"):
        assert find_run("last", output).state is State.LIVE
        assert "z" not in {run.name for run in Pruning().chosen(shelf(output), 2e9)}
    ended = find_run("last", output)
    assert (ended.state, ended.kind, ended.verdict) == (State.FINISHED, kind, "PASS")
    (directory / next(iter(document))).unlink()
    assert (find_run("last", output).state, find_run("last", output).kind) == (State.LIVE, kind)  # it is fresh


def test_a_search_that_found_something_has_failed(output):
    directory = output / "z-20260105-000000-99999999"
    directory.mkdir()
    (directory / "findings.json").write_text(json.dumps({"findings": [{}]}))
    assert find_run("last", output).verdict == "FAIL"


def test_what_has_just_ended_may_be_writing_its_verdict(output):
    (run,) = [run for run in shelf(output) if run.name == "b"]
    assert run in Pruning().chosen(shelf(output), time.time())
    (run.path / "stderr.log").write_text("")
    assert run not in Pruning().chosen(shelf(output), time.time())


def test_of_several_runs_that_are_meant_the_live_one_is_watched(output):
    later = output / "b-20260109-000000-12121212"
    later.mkdir()
    (later / "results.json").write_text("{}")
    assert find_run("b-", output, live=True) == find_run("last", output, live=True) == find_run("last", output)
    locks = [lock("cccccccc")]
    try:
        assert find_run("b-", output, live=True).id == "cccccccc"
        assert find_run("last", output, live=True).id == "cccccccc"
        assert find_run("last", output).id == "12121212"
        (later / "results.json").unlink()
        locks.append(lock("12121212"))
        with pytest.raises(SwarmrigError, match="beginning of 2 runs"):
            find_run("b-", output, live=True)
    finally:
        for fd in locks:
            os.close(fd)


def test_names_that_are_nearly_right_are_suggested(output):
    (output / "two-rooms-20260109-000000-12121212").mkdir()
    with pytest.raises(SwarmrigError) as caught:
        find_run("tow-rooms", output)
    assert caught.value.hint == "did you mean 'two-rooms'?"


def test_prune_wants_a_condition(swarmrig, output):
    result = swarmrig("runs", "prune")
    assert result.returncode == 3
    assert "--keep" in result.stderr
    assert len(shelf(output)) == 4


def test_damaged_results_are_no_verdict(output):
    path = output / "a-20260101-000000-aaaaaaaa" / "results.json"
    for content in (b"", b"[1]", b"{", b"\xff\xfe"):
        path.write_bytes(content)
        assert find_run("aaaa", output).verdict == "unfinished"
