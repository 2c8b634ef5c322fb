"""What /proc says, about processes with awkward names and short lives."""

import os
import subprocess
import sys

import pytest

from swarmrig.proc import probe


@pytest.fixture
def awkward(tmp_path):
    """A process whose name looks like the fields of /proc/PID/stat."""
    program = tmp_path / ") Z 1 1 (x"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([program, "100"], env={"A": "1", "TAG": "x=y", "TAGGED": "no"}) as process:
        while probe.variable(process.pid, "A") is None:  # between fork and exec the environment is still ours
            pass
        yield process
        process.kill()


def test_stat_of_an_awkward_name(awkward):
    found = probe.stat(awkward.pid)
    assert (found.parent, found.session) == (os.getpid(), os.getsid(0))
    assert found.state in "SR" and probe.is_running(awkward.pid, found.start)
    assert not probe.is_running(awkward.pid, found.start + 1)


def test_environment_and_command(awkward):
    assert [probe.variable(awkward.pid, name) for name in ("TAG", "A", "NONE")] == ["x=y", "1", None]
    assert probe.command(awkward.pid).endswith(") Z 1 1 (x 100")


def test_children_and_descendants(awkward):
    script = "import subprocess as s; p = s.Popen(['sleep', '100']); print(p.pid, flush=True); p.wait()"
    with subprocess.Popen([sys.executable, "-ISc", script], stdout=subprocess.PIPE, text=True) as parent:
        grandchild = int(parent.stdout.readline())
        assert {awkward.pid, parent.pid} <= set(probe.children(os.getpid()))
        assert grandchild not in probe.children(os.getpid())
        assert {awkward.pid, parent.pid, grandchild} <= set(probe.descendants(os.getpid()))
        assert probe.kill(grandchild)


def test_a_kernel_without_lists_of_children(awkward, monkeypatch):
    real = probe._read

    def read(path):
        if path.endswith("/children"):
            raise FileNotFoundError(path)
        return real(path)

    monkeypatch.setattr(probe, "_read", read)
    assert awkward.pid in probe.children(os.getpid())


def test_kill_is_exact(awkward):
    start = probe.start_time(awkward.pid)
    assert not probe.kill(awkward.pid, start - 1) and awkward.poll() is None
    assert probe.kill(awkward.pid, start)
    assert awkward.wait(5) == -9


def test_what_is_gone():
    with subprocess.Popen(["true"]) as process:
        pass
    pid = process.pid
    assert probe.stat(pid) is None and probe.start_time(pid) is None and not probe.is_running(pid)
    assert (probe.children(pid), probe.command(pid), probe.variable(pid, "A")) == ([], "", None)
    assert not probe.kill(pid)


def test_a_zombie_does_not_run():
    with subprocess.Popen(["true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert probe.stat(process.pid).state == "Z" and not probe.is_running(process.pid)
        assert process.pid in probe.children(os.getpid())
        assert probe.command(process.pid) == "[true]"


def test_boot_id_is_stable():
    assert probe.boot_id() == probe.boot_id() and len(probe.boot_id()) == 36
