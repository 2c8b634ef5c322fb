"""Names and places of a run: where they are, and that nobody else gets in."""

import os
import stat
from pathlib import Path

import pytest

from swarmrig.errors import HostError
from swarmrig.proc import RunScope, private_directory
from swarmrig.proc.journal import Journal
from swarmrig.proc.scope import default_state_root
from swarmrig.proc.sweep import read_journal


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"SWARMRIG_STATE_DIR": "/a/b", "XDG_STATE_HOME": "/x"}, "/a/b"),
        ({"XDG_STATE_HOME": "/x"}, "/x/swarmrig"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/h"}, "/h/.local/state/swarmrig"),
        ({"XDG_STATE_HOME": "", "HOME": "/h"}, "/h/.local/state/swarmrig"),
        ({"HOME": "/h"}, "/h/.local/state/swarmrig"),
    ],
)
def test_the_state_root(monkeypatch, variables, expected):
    for name in ("SWARMRIG_STATE_DIR", "XDG_STATE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert default_state_root() == Path(expected)


def test_names_of_a_run(tmp_path):
    scope = RunScope(tmp_path, "0123456789ab", Path("/s"))
    assert scope.temporary_directory == Path("/s/0123456789ab/tmp")
    assert (scope.link_prefix, scope.link_alias) == ("sr012345", "swarmrig:0123456789ab")
    assert scope.namespace_prefix == "swarmrig-0123456789ab"


def test_run_ids_differ(tmp_path):
    assert len({RunScope(tmp_path).run_id for _ in range(100)}) == 100


@pytest.mark.parametrize("run_id", ["", "short", "UPPERCASE", "../../../etc", "a" * 33, "0123456789ab\n", "é" * 9])
def test_a_run_id_that_is_no_name_is_refused(tmp_path, run_id):
    with pytest.raises(ValueError, match="run id"):
        RunScope(tmp_path, run_id)


def test_a_private_directory_is_made_with_its_parents(tmp_path):
    path = private_directory(tmp_path / "a" / "b")
    assert stat.S_IMODE(path.stat().st_mode) == 0o700 and private_directory(path) == path


def test_an_open_directory_is_tightened(tmp_path):
    (tmp_path / "open").mkdir(mode=0o777)
    (tmp_path / "open").chmod(0o777)
    assert stat.S_IMODE(private_directory(tmp_path / "open").stat().st_mode) == 0o700


@pytest.mark.parametrize("kind", ["file", "symbolic link", "dangling link", "fifo"])
def test_what_is_no_directory_is_refused(tmp_path, kind):
    path = tmp_path / "it"
    if kind == "file":
        path.touch()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to(tmp_path if kind == "symbolic link" else tmp_path / "none")
    with pytest.raises(HostError, match=f"it is {'a symbolic link' if 'link' in kind else 'not a directory'}") as error:
        private_directory(path)
    assert "SWARMRIG_STATE_DIR" in str(error.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_somebody_elses_directory_is_refused(tmp_path):
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", 1, -1)
    with pytest.raises(HostError, match="user 1 owns it"):
        private_directory(tmp_path / "theirs")


def test_a_place_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(HostError, match="cannot make the private directory"):
        private_directory(tmp_path / "file" / "below")


def test_the_journal_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "journal.jsonl"
    with path.open("ab", buffering=0) as file:
        journal = Journal(file.fileno())
        journal.path(Path("/a\nb\udcff"), scratch=True)
        journal.link("sr0")
        journal.namespace("swarmrig-0")
    assert read_journal(str(path)) == [
        {"t": "path", "path": "/a\nb\udcff", "scratch": True},
        {"t": "link", "name": "sr0"},
        {"t": "netns", "name": "swarmrig-0"},
    ]


def test_a_full_disk_is_said():
    with open("/dev/full", "wb", buffering=0) as full:
        with pytest.raises(HostError, match="journal: No space left on device"):
            Journal(full.fileno()).link("sr0")
