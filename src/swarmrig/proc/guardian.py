"""The guardian: a small process that forks every child of a run and outlives the rig, but not the run.

It is a child subreaper, so each descendant (daemonised, setsid'ed, double-forked) stays below it. When the
rig goes away without a goodbye, it kills them all and removes what the journal names. It is started by
`swarmrig.proc.client` as `python -I -S` and imports only what is cheap: it must be up in ~20 ms and stay
small. One thread, one poll loop; children are reaped by pid, and a child that the rig still owns stays a
zombie until the rig releases it, so its pid and its process group cannot be somebody else's meanwhile.
"""

# ruff: noqa: SIM105
# (pathlib and contextlib would add 10 ms to the guardian's start)

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # as in probe: cheap
import _socket
import errno
import fcntl
import os
import resource
import select
import sys
import time

from swarmrig.proc import place, probe
from swarmrig.proc.channel import PeerGoneError, receive, send

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RELEASE_POLL_MS = 10
QUIET_MS = 100
RELEASE_DEADLINE_S = 2.0
MAX_LEFTOVERS = 100
SIGNALS = [number for number in range(1, 32) if number not in (_signal.SIGKILL, _signal.SIGSTOP)]
LAUNCHER = "import sys; sys.path.append(sys.argv[1]); from swarmrig.proc.guardian import main; main(sys.argv[2:])"


class Child:
    """A process that the rig asked for. `ended` is (code, signal) once it is a zombie."""

    def __init__(self, pid: int, start: int) -> None:
        self.pid = pid
        self.start = start
        self.ended: tuple[int | None, int | None] | None = None


class Guardian:
    """Serves requests until the rig says goodbye or is gone."""

    def __init__(self, sock: _socket.socket, rig_pid: int, journal: int) -> None:
        self.sock = sock
        self.journal = journal
        self.children: dict[int, Child] = {}
        self.adopted: set[int] = set()
        self.releases: dict[int, tuple[int, float]] = {}
        self.goodbye: int | None = None
        self.ready_to_sweep = False
        self.rig = _open_parent(rig_pid)
        self.rig_gone = self.rig is None
        self.wakeup = _wake_on_child()

    def serve(self) -> None:
        """Return when the rig has said goodbye (`self.goodbye` is its request number) or is gone."""
        poll = select.poll()
        for fd in (self.sock.fileno(), self.wakeup, self.rig):
            if fd is not None:
                poll.register(fd, select.POLLIN)
        try:
            while self.goodbye is None and not self.rig_gone:
                ready = {fd for fd, _ in poll.poll(self._patience_ms())}
                if not ready and not self.releases:
                    self._learn_to_sweep()
                if self.wakeup in ready:
                    os.read(self.wakeup, 4096)
                    self.reap()
                self._finish_releases()
                if self.rig in ready:
                    self.rig_gone = True
                elif self.sock.fileno() in ready:
                    self._serve_one()
        except PeerGoneError:
            self.rig_gone = True

    def _patience_ms(self) -> int | None:
        if self.releases:
            return RELEASE_POLL_MS
        return None if self.ready_to_sweep else QUIET_MS

    def _learn_to_sweep(self) -> None:
        """Load the rest of the code in the first quiet moment: by the end, the files may have been replaced."""
        from swarmrig.proc import sweep

        self.ready_to_sweep = bool(sweep)

    def reap(self) -> None:
        """Report children that ended; reap adopted orphans that did, and record those that live."""
        for child in self.children.values():
            self._look_after(child)
        self.adopted.intersection_update(orphans := set(probe.children(os.getpid())).difference(self.children))
        for pid in orphans:
            if not _reap(pid) and pid not in self.adopted:
                self.adopted.add(pid)
                self._record(pid, probe.start_time(pid) or 0)

    def reap_all(self) -> None:
        """At the end nobody asks for an exit status any more: reap whatever has ended."""
        for pid in probe.children(os.getpid()):
            _reap(pid)

    def say_goodbye(self, leftovers: list[str]) -> None:
        """Answer the rig's goodbye with what had to be removed; [] is how it should be."""
        try:
            send(self.sock, ("reply", self.goodbye, True, leftovers[:MAX_LEFTOVERS]))
        except PeerGoneError:  # it did not wait
            pass

    def _serve_one(self) -> None:
        message, fds = receive(self.sock)
        try:
            kind, number, *details = message
            if kind == "spawn":
                self._answer_spawn(number, details[0], fds)
            elif kind == "release":
                self._begin_release(number, details[0])
            elif kind == "goodbye":
                self.goodbye = number
        finally:
            for fd in fds:
                os.close(fd)

    def _answer_spawn(self, number: int, order: dict[str, Any], fds: list[int]) -> None:
        try:
            child = self._spawn(order, fds)
        except OSError as error:
            send(self.sock, ("reply", number, False, (error.errno, error.strerror, order["stage"])))
            return
        except ValueError as error:  # NUL in the environment, for instance: no reason to die
            send(self.sock, ("reply", number, False, (errno.EINVAL, str(error), order["stage"])))
            return
        self.children[child.pid] = child
        self._record(child.pid, child.start)
        send(self.sock, ("reply", number, True, (child.pid, child.start)))

    def _record(self, pid: int, start: int) -> None:
        """For `clean`, should the guardian be killed, too."""
        try:
            os.write(self.journal, b'{"t":"process","pid":%d,"start":%d}\n' % (pid, start))
        except OSError:  # a full disk: the environment tag still names the process
            pass

    def _spawn(self, order: dict[str, Any], fds: list[int]) -> Child:
        targets: list[int] = order["targets"]
        order["stage"] = "descriptors"
        if len(fds) < len(targets):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        moved: list[int] = []
        try:
            for fd in fds:  # above every target, so that no dup2 overwrites a source
                moved.append(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, max(targets) + 1))
            order["stage"] = "directory"
            os.chdir(order["cwd"])
            order["stage"] = "program"
            pid = _posix_spawn(order, [(os.POSIX_SPAWN_DUP2, *pair) for pair in zip(moved, targets, strict=True)])
        finally:
            os.chdir("/")
            for fd in moved:
                os.close(fd)
        return Child(pid, probe.start_time(pid) or 0)

    def _look_after(self, child: Child) -> None:
        if child.ended is None and (ended := _ended(child.pid)) is not None:
            child.ended = ended
            send(self.sock, ("exit", child.pid, *ended))

    def _begin_release(self, number: int, pid: int) -> None:
        """The rig is done with a process: kill what is left of its group; reply when the group is empty."""
        if pid not in self.children:
            send(self.sock, ("reply", number, False, (errno.ESRCH, os.strerror(errno.ESRCH), "release")))
            return
        _kill_group(pid)
        self.releases[pid] = (number, _now() + RELEASE_DEADLINE_S)
        self._finish_releases()

    def _finish_releases(self) -> None:
        for pid, (number, deadline) in list(self.releases.items()):
            child = self.children.get(pid)
            if child is not None:
                self._look_after(child)
                if child.ended is not None:
                    _reap(pid)
                    del self.children[pid]
            empty = pid not in self.children and not _group_exists(pid)
            if empty or _now() > deadline:
                del self.releases[pid]
                send(
                    self.sock,
                    ("reply", number, empty, None if empty else (errno.EBUSY, os.strerror(errno.EBUSY), "release")),
                )


def _posix_spawn(order: dict[str, Any], actions: list[tuple[int, int, int]]) -> int:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    wanted = order["file_size"]
    if wanted is not None:
        soft = wanted if limits[1] == resource.RLIM_INFINITY else min(wanted, limits[1])
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, limits[1]))
    try:
        return os.posix_spawn(
            order["path"],
            order["argv"],
            order["env"],
            file_actions=actions,
            setsid=True,
            setsigmask=[],
            setsigdef=SIGNALS,
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def _open_parent(pid: int) -> int | None:
    """A pidfd of the process that started this one; None when it is gone already."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    if os.getppid() == pid:
        return handle
    os.close(handle)
    return None


def _wake_on_child() -> int:
    """A descriptor that becomes readable whenever a child has ended."""
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    _signal.signal(_signal.SIGCHLD, lambda _number, _frame: None)
    _signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    return reading


def _ended(pid: int) -> tuple[int | None, int | None] | None:
    """(code, signal) of a child that has ended, without reaping it; None while it runs."""
    found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if found is None:
        return None
    return (found.si_status, None) if found.si_code == os.CLD_EXITED else (None, found.si_status)


def _reap(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, _signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # only zombies, or somebody else's program (setuid)
        pass


def _group_exists(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _now() -> float:
    return time.monotonic()


def _prepare() -> None:
    """Nothing from a terminal reaches the guardian; orphans do."""
    for number in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP, _signal.SIGQUIT, _signal.SIGTSTP):
        _signal.signal(number, _signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    probe.be_subreaper()
    os.chdir("/")


def main(argv: list[str]) -> None:
    """argv: socket fd, rig pid, state root, run id, run directory, first journal record."""
    fd, rig_pid, state_root, run_id, run_directory, head = argv
    _prepare()
    sock = _socket.socket(fileno=int(fd))
    os.set_inheritable(int(fd), False)
    try:
        held = place.create(state_root, run_id, head)
    except OSError as error:
        send(sock, ("failed", f"{error.strerror}: {os.fsdecode(error.filename or state_root)}"))
        return
    guardian = Guardian(sock, int(rig_pid), held.journal)
    try:
        send(sock, ("hello",), (held.lock, held.journal))
        guardian.serve()
    except PeerGoneError:
        pass
    except Exception:  # a guardian with a bug still guards: say it (stderr is a log) and clean up
        sys.excepthook(*sys.exc_info())
    from swarmrig.proc import sweep

    sweep.end_of_run(guardian, held, run_directory)
    os._exit(0)  # everything is done; the interpreter's own tidying would take 10 ms
