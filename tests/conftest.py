"""For every test: nothing may be left behind, and async tests run on asyncio.

Checked after each test, for this worker process only: child processes (orphans included: the worker is a
subreaper), descriptors (sockets, pipes, pidfds, TAPs), asyncio tasks, files in the temporary directory,
state directories of dead runs, and network links and namespaces named by a run that is over.
"""

import asyncio
import fcntl
import functools
import gc
import inspect
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import settings

from swarmrig.proc import probe

settings.register_profile("rig", deadline=None)  # how long an example takes, says most of the machine
settings.load_profile("rig")
GRACE_S = 0.5
DESCRIPTORS = ("socket:", "pipe:", "anon_inode:", "/dev/net/tun", "/memfd:")


def pytest_collection_modifyitems(items):
    """What is slow goes to the beginning of the workers' shares, so that nobody waits for it in the end."""
    slow = [item for item in items if item.get_closest_marker("slow")]
    others = [item for item in items if not item.get_closest_marker("slow")]
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    share = -(-len(others) // workers)
    items[:] = [
        item
        for worker in range(workers)
        for item in (*slow[worker::workers], *others[worker * share : (worker + 1) * share])
    ]


@pytest.fixture(scope="session")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def places(tmp_path_factory):
    """A temporary directory of this worker's own, a state root that all workers of the session share."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    temporary, state = base / "tmp", shared / "state"
    temporary.mkdir()
    state.mkdir(mode=0o700, exist_ok=True)
    before = probe.be_subreaper()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(temporary))
        patch.setattr(tempfile, "tempdir", str(temporary))
        patch.setenv("SWARMRIG_STATE_DIR", str(state))
        yield temporary, state
    probe.be_subreaper(before)


@pytest.fixture(autouse=True)
def nothing_left_behind(request, places):
    """Fails the test that leaves something behind; what it left is removed, for the tests after it."""
    temporary, state = places
    if inspect.iscoroutinefunction(request.node.obj):
        request.node.obj = leaving_no_task(request.node.obj)
    before = (set(probe.children(os.getpid())), descriptors(), {*os.listdir(temporary), *os.listdir(state)})
    yield
    found = leftovers(before, temporary, state)
    if found:  # look again: cycles of garbage, processes that are just about to end
        gc.collect()
        end = time.monotonic() + GRACE_S
        while (found := leftovers(before, temporary, state)) and time.monotonic() < end:
            time.sleep(0.01)
    if found:
        for pid in set(probe.children(os.getpid())) - before[0]:
            for below in (pid, *probe.descendants(pid)):
                probe.kill(below)
        pytest.fail("left behind:\n  " + "\n  ".join(found), pytrace=False)


def leftovers(before, temporary, state):
    children, fds, names_before = before
    found = [f"process {pid}: {probe.command(pid)}" for pid in probe.children(os.getpid()) if lives(pid, children)]
    found += [f"descriptor {fd}: {what}" for fd, what in descriptors().items() if fds.get(fd) != what]
    found += [f"temporary file {temporary / name}" for name in os.listdir(temporary) if name not in names_before]
    runs = os.listdir(state)
    found += [f"state directory {state / run}" for run in runs if run not in names_before and is_dead(state / run)]
    alive = {run[:6] for run in runs}
    found += [f"link {name}" for name in names("/sys/class/net", "sr") if name[2:8] not in alive]
    return found + [f"namespace {n}" for n in names("/run/netns", "swarmrig-") if n[9:15] not in alive]


def lives(pid, before):
    """Zombies are reaped on the way: an orphan of a killed rig has no other parent than this process."""
    if pid in before:
        return False
    seen = probe.stat(pid)
    if seen is not None and seen.state == "Z":
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        return False
    return seen is not None


def descriptors():
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        if target.startswith(DESCRIPTORS):
            found[int(name)] = target
    return found


def is_dead(directory: Path):
    """A state directory that nobody holds the lock of (`.new-`: not yet one)."""
    if directory.name.startswith("."):
        return False
    try:
        fd = os.open(directory / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        try:
            return bool(os.listdir(directory))
        except FileNotFoundError:  # another worker's, and gone by now
            return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return directory.exists()
    except BlockingIOError:
        return False
    finally:
        os.close(fd)


def names(directory, prefix):
    """Network things named `prefix` and six hexadecimal digits of a run id or more."""
    try:
        found = os.listdir(directory)
    except OSError:
        return []
    size = len(prefix)
    return [n for n in found if n.startswith(prefix) and set(n[size : size + 6]) <= set("0123456789abcdef")]


def leaving_no_task(test):
    """An async test that fails when tasks it began still run at its end (they are cancelled then)."""

    @functools.wraps(test)
    async def checked(*args, **kwargs):
        before = asyncio.all_tasks()
        await test(*args, **kwargs)
        left = asyncio.all_tasks() - before
        if left:
            await asyncio.wait(left, timeout=0.1)
        left = {task for task in left if not task.done()}
        for task in left:
            task.cancel()
        assert not left, f"left behind: {left}"

    return checked
