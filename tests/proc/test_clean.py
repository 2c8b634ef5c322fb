"""`clean`, on state directories in every condition."""

import json
import os
import subprocess
import time

import pytest

from swarmrig.proc import probe
from swarmrig.proc.clean import clean
from swarmrig.proc.place import create, remove_tree

RUN = "0123456789ab"


@pytest.fixture
def dead(tmp_path):
    """Makes the state of a run that is over, with the journal records given."""
    root = tmp_path / "state"
    root.mkdir(mode=0o700)
    (tmp_path / "run").mkdir()

    def make(*records, boot=None, run_id=RUN):
        head = {"t": "run", "run_id": run_id, "boot": boot or probe.boot_id(), "run_directory": str(tmp_path / "run")}
        held = create(str(root), run_id, json.dumps(head))
        for record in records:
            os.write(held.journal, json.dumps(record).encode() + b"\n")
        os.close(held.journal)
        os.close(held.lock)
        return root

    return make


@pytest.fixture
def sleeper():
    """A process; and its journal record, true or false."""
    with subprocess.Popen(
        ["sleep", "100"], env={"SWARMRIG_RUN": "fedcba987654", "PATH": os.environ["PATH"]}
    ) as process:
        yield process
        process.kill()


def record_of(process, **changes):
    return {"t": "process", "pid": process.pid, "start": probe.start_time(process.pid), **changes}


def test_nothing_there(tmp_path):
    report = clean(tmp_path / "none")
    assert report.runs == () and report.ok


def test_a_dead_run_is_removed_and_its_journal_kept(dead, tmp_path):
    root = dead()
    (run,) = clean(root).runs
    assert (run.run_id, run.live, run.run_directory, run.remaining) == (RUN, False, str(tmp_path / "run"), ())
    assert run.removed == (f"state directory {root / RUN}",)
    assert not list(root.iterdir())
    assert sorted(os.listdir(tmp_path / "run")) == ["aborted.json", "journal.jsonl"]
    assert clean(root).runs == ()


def test_a_journalled_process_is_killed(dead, sleeper):
    (run,) = clean(dead(record_of(sleeper))).runs
    assert run.removed[0] == f"process {sleeper.pid} (sleep 100)"
    assert sleeper.wait(5) == -9


def test_a_tagged_process_is_killed(dead, sleeper):
    root = dead(run_id="fedcba987654")
    assert f"process {sleeper.pid} (sleep 100)" in clean(root, dry_run=True).runs[0].removed
    assert sleeper.poll() is None
    clean(root)
    assert sleeper.wait(5) == -9


def test_a_later_process_with_the_same_pid_lives(dead, sleeper):
    clean(dead(record_of(sleeper, start=record_of(sleeper)["start"] - 1)))
    assert sleeper.poll() is None


def test_after_another_boot_only_files_go(dead, sleeper, tmp_path):
    scratch = tmp_path / "run" / "flash.bin"
    scratch.touch()
    root = dead(
        record_of(sleeper),
        {"t": "netns", "name": f"swarmrig-{RUN}-x"},
        {"t": "link", "name": "lo"},
        {"t": "path", "path": str(scratch), "scratch": True},
        boot="of another day",
    )
    (run,) = clean(root).runs
    assert run.removed == (f"path {scratch}", f"state directory {root / RUN}")
    assert sleeper.poll() is None and not scratch.exists()


def test_the_caller_and_those_above_it_are_spared(dead):
    me = [{"t": "process", "pid": pid, "start": probe.start_time(pid)} for pid in (os.getpid(), os.getppid())]
    (run,) = clean(dead(*me)).runs
    assert not [line for line in run.removed if line.startswith("process")]


@pytest.mark.parametrize(
    "torn", [b'{"t":"pro', b'{"t":"process","pid":1', b"\0\0\0\0", b"[]\n7\nnull\n", b'{"t":5}\n', b"\xff\xfe"]
)
def test_a_torn_journal_is_no_obstacle(dead, sleeper, torn):
    root = dead(record_of(sleeper))
    with (root / RUN / "journal.jsonl").open("ab") as journal:
        journal.write(torn)
    assert clean(root).ok
    assert sleeper.wait(5) == -9 and not list(root.iterdir())


@pytest.mark.parametrize("record", [{"t": "process"}, {"t": "process", "pid": "x", "start": None}, {"t": "path"}])
def test_a_record_that_lacks_something_is_no_obstacle(dead, record):
    root = dead(record)
    assert clean(root).ok and not list(root.iterdir())


def test_without_any_journal(dead):
    root = dead()
    (root / RUN / "journal.jsonl").unlink()
    assert clean(root).ok and not list(root.iterdir())


def test_paths_outside_the_directories_of_the_run_stay(dead, tmp_path):
    outside, inside = tmp_path / "outside", tmp_path / "run" / "inside"
    outside.mkdir()
    (outside / "precious").touch()
    (tmp_path / "run" / "link").symlink_to(outside)
    inside.mkdir()
    (inside / "link").symlink_to(outside)
    wanted = [outside / "precious", tmp_path / "run" / ".." / "outside", tmp_path / "run" / "link" / "precious"]
    wanted += [tmp_path / "run", tmp_path / "run" / "link", inside, "/"]
    clean(dead(*({"t": "path", "path": str(path)} for path in wanted)))
    assert (outside / "precious").exists()
    assert not inside.exists() and not (tmp_path / "run" / "link").is_symlink()


def test_a_state_directory_with_links_out_of_it_takes_nothing_along(dead, tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()
    root = dead()
    (root / RUN / "tmp" / "link").symlink_to(tmp_path / "precious")
    (root / RUN / "tmp" / "deep" / "deeper").mkdir(parents=True)
    (root / RUN / "tmp" / "deep" / "file").touch()
    clean(root)
    assert not list(root.iterdir()) and (tmp_path / "precious" / "file").exists()


def test_what_is_no_run_is_not_touched(dead):
    root = dead()
    (root / "README").touch()
    (root / "Not-A-Run").mkdir()
    clean(root)
    assert sorted(os.listdir(root)) == ["Not-A-Run", "README"]


def test_a_run_that_is_just_beginning_is_live(tmp_path):
    fresh = tmp_path / f".new-{RUN}"
    fresh.mkdir()
    assert [run.live for run in clean(tmp_path).runs] == [True] and fresh.exists()
    hour_ago = time.time() - 3600
    os.utime(fresh, (hour_ago, hour_ago))
    assert [run.live for run in clean(tmp_path).runs] == [False] and not fresh.exists()


def test_a_held_lock_means_live_whatever_the_journal_says(tmp_path, sleeper):
    held = create(str(tmp_path), RUN, json.dumps(record_of(sleeper)))
    try:
        assert [run.live for run in clean(tmp_path).runs] == [True]
        assert sleeper.poll() is None
    finally:
        os.close(held.lock)
        os.close(held.journal)


def test_a_run_directory_that_is_gone_is_no_obstacle(dead, tmp_path):
    root = dead()
    (tmp_path / "run").rmdir()
    assert clean(root).ok and not list(root.iterdir()) and not (tmp_path / "run").exists()


def test_dry_run_changes_nothing(dead, sleeper, tmp_path):
    scratch = tmp_path / "run" / "flash.bin"
    scratch.touch()
    root = dead(record_of(sleeper), {"t": "path", "path": str(scratch), "scratch": True})
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    (run,) = clean(root, dry_run=True).runs
    assert run.removed == (
        f"process {sleeper.pid} (sleep 100)",
        f"path {scratch}",
        f"state directory {root / RUN}",
    )
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before and sleeper.poll() is None


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to make a file that not even root can remove")
def test_what_cannot_be_removed_is_said_and_the_state_stays(dead, tmp_path):
    stubborn = tmp_path / "run" / "mounted"
    stubborn.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "none", stubborn], check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        root = dead({"t": "path", "path": str(stubborn)})
        report = clean(root)
        assert not report.ok and "Device or resource busy" in report.runs[0].remaining[0]
        assert (root / RUN).exists()
    finally:
        subprocess.run(["umount", stubborn], check=True)
    assert clean(root).ok and not list(root.iterdir())


def test_removing_a_tree_that_is_not_there(tmp_path):
    remove_tree(str(tmp_path / "none"))
