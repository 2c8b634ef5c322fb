"""The commit of a repository, compared with what git says."""

import os
import subprocess

import pytest

from swarmrig.campaigns.history_commit import commit_of

IDENTITY = {
    "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null",
}  # fmt: skip


def git(place, *words):
    told = subprocess.run(["git", "-C", place, *words], env=os.environ | IDENTITY, check=True, capture_output=True)
    return told.stdout.decode().strip()


@pytest.fixture
def repository(tmp_path):
    place = tmp_path / "repository"
    (place / "campaigns").mkdir(parents=True)
    git(place, "init", "-q")
    git(place, "commit", "-q", "--allow-empty", "-m", "one")
    return place


def test_of_a_branch_a_tag_and_packed_references(repository):
    expected = git(repository, "rev-parse", "HEAD")
    assert commit_of(repository / "campaigns") == expected
    git(repository, "pack-refs", "--all")
    assert not list((repository / ".git/refs/heads").iterdir())
    assert commit_of(repository) == expected
    git(repository, "commit", "-q", "--allow-empty", "-m", "two")
    assert commit_of(repository) == git(repository, "rev-parse", "HEAD") != expected
    git(repository, "checkout", "-q", expected)
    assert commit_of(repository) == expected


def test_of_another_work_tree(repository, tmp_path):
    git(repository, "worktree", "add", "-q", "-b", "side", tmp_path / "side")
    git(tmp_path / "side", "commit", "-q", "--allow-empty", "-m", "three")
    assert commit_of(tmp_path / "side") == git(tmp_path / "side", "rev-parse", "HEAD") != commit_of(repository)


def test_where_there_is_none(tmp_path):
    assert commit_of(tmp_path / "nothing here") is None
    git(tmp_path, "init", "-q")
    assert commit_of(tmp_path) is None  # no commit yet


@pytest.mark.parametrize(
    "head",
    ["ref: ../../../secret", "ref: refs/../../secret", "ref: refs/heads/a", "not a commit", "", "ref: refs/heads/loop"],
)
def test_what_is_no_reference_leads_nowhere(tmp_path, head):
    (tmp_path / ".git/refs/heads").mkdir(parents=True)
    (tmp_path / "secret").write_text("a" * 40)
    (tmp_path / ".git/refs/heads/loop").write_text("ref: refs/heads/loop")
    (tmp_path / ".git/HEAD").write_text(head + "\n")
    assert commit_of(tmp_path) is None


def test_binary_is_no_reference(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/HEAD").write_bytes(b"\xff\x00\xfe")
    assert commit_of(tmp_path) is None
