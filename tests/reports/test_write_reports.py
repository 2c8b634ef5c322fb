"""Writing: whole files or none, and a clear error on a full disk."""

import contextlib
import errno
import json
import os
import resource
import signal

import pytest

from swarmrig.errors import HostError
from swarmrig.reports import document
from swarmrig.reports.write import write_reports

FILES = ["results.json", "summary.json", "aggregator.json", "junit.xml", "summary.md"]


@pytest.fixture
def directory(tmp_path):
    for node in ("n0", "n1"):
        (tmp_path / "nodes" / node).mkdir(parents=True)
        (tmp_path / "nodes" / node / "console.log").write_bytes(f"I am {node}\r\n".encode())
    return tmp_path


def names(directory):
    return sorted(path.name for path in directory.iterdir() if path.is_file())


def test_native_runs_get_four_files(record_of, directory):
    written = write_reports(record_of(), directory)
    assert [path.name for path in written] == FILES
    assert names(directory) == sorted(FILES)
    assert json.loads((directory / "results.json").read_text())["format"] == 1


def test_swarm_runs_get_the_names_of_the_swarm_dialect(record_of, directory):
    write_reports(record_of(dialect="swarm"), directory)
    assert names(directory) == sorted([*FILES, "swarm_summary.json", "qemu_node0.log", "qemu_node1.log"])
    assert (directory / "qemu_node1.log").read_bytes() == b"I am n1\r\n"
    assert (directory / "swarm_summary.json").read_bytes() == (directory / "summary.json").read_bytes()


def test_writing_again_replaces(record_of, directory):
    for _ in range(2):
        write_reports(record_of(dialect="swarm"), directory)
    assert len(names(directory)) == 8


def test_a_node_without_a_console_has_none_under_another_name(record_of, directory):
    (directory / "nodes/n1/console.log").unlink()
    write_reports(record_of(dialect="swarm"), directory)
    assert "qemu_node1.log" not in names(directory)


def test_without_hard_links_the_console_is_copied(record_of, directory, monkeypatch):
    def refuse(*args):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    write_reports(record_of(dialect="swarm"), directory)
    assert (directory / "qemu_node0.log").read_bytes() == b"I am n0\r\n"


def test_a_missing_directory_is_a_host_error(record_of, tmp_path):
    with pytest.raises(HostError, match=r"cannot write .*results\.json: No such file"):
        write_reports(record_of(), tmp_path / "gone")


def test_a_full_disk_names_what_was_written_and_leaves_no_half_file(record_of, directory, monkeypatch):
    real, calls = os.fsync, []

    def full(fd):
        calls.append(fd)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(fd)

    monkeypatch.setattr(document.os, "fsync", full)
    with pytest.raises(HostError) as caught:
        write_reports(record_of(), directory)
    assert "aggregator.json: No space left on device" in str(caught.value)
    assert "results.json, summary.json" in caught.value.hint
    assert names(directory) == ["results.json", "summary.json"]


@pytest.mark.parametrize("room", [0, 1, 1000])
def test_a_really_full_disk(record_of, tmp_path, room, limited_files):
    """A process may write files of so many bytes only: the kernel itself refuses the rest."""
    with limited_files(room):
        with pytest.raises(HostError, match=r"cannot write .*File too large"):
            write_reports(record_of(), tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    for path in tmp_path.glob("*.json"):
        json.loads(path.read_text())


@pytest.fixture
def limited_files():
    @contextlib.contextmanager
    def limit(size):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, handler)

    return limit
