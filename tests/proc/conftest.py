"""A scope of its own for every test, and programs that behave badly."""

import os
import sys
import textwrap

import pytest

from swarmrig.proc import RunScope, probe


@pytest.fixture
def scope(tmp_path):
    """A run with a state root that no other test sees."""
    (tmp_path / "run").mkdir()
    return RunScope(tmp_path / "run", state_root=tmp_path / "state")


@pytest.fixture
def python():
    """Makes argv of a short Python program that starts fast."""

    def argv(program, *arguments):
        return [sys.executable, "-I", "-S", "-c", textwrap.dedent(program), *map(str, arguments)]

    return argv


@pytest.fixture
def daemon(python):
    """argv of a program that ends once its child, asleep, is in a session of its own."""
    return python(
        """
        import os
        reading, writing = os.pipe()
        if os.fork():
            os.read(reading, 1)
            os._exit(0)
        os.setsid()
        os.write(writing, b"x")
        os.execvp("sleep", ["sleep", "100"])
        """
    )


@pytest.fixture
def gone():
    """True when the process is no more (a zombie is no more, too)."""
    return lambda pid: not probe.is_running(pid)


@pytest.fixture
def below():
    """Living processes below this one that were not there when the test began: what a dead rig has left."""
    before = set(probe.descendants(os.getpid()))

    def look():
        return [pid for pid in probe.descendants(os.getpid()) if pid not in before and probe.is_running(pid)]

    return look
