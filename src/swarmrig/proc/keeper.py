"""The keeper: a small process that starts a program, keeps everything that it starts below it, and ends all of it.

Programs daemonise, ignore signals, and leave children behind. The keeper is a child subreaper, so that whatever they
do, it finds them; it ends as its program ended, once nothing of it is left. It is itself a child of the guardian, and
its program dies with it. It obeys a socket (`channel`), whose end is the order to end the program:

    ("start", order)            -> ("started", pid) or ("refused", errno, stage)
    ("run", number, order)      -> ("ran", number, code or None), once that has ended; None: it was not started
    ("pause",), ("resume",)     -> ("done",), once all of them stand still, or go on
    ("kill",)                      everything, without warning

An order is {"path", "argv", "env", "cwd", "limits": {resource: bytes or seconds}}, in bytes and ints.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import select
import signal
import socket
import time
from contextlib import suppress
from typing import Any, NoReturn

from swarmrig.proc import probe
from swarmrig.proc.channel import PeerGoneError, receive, send
from swarmrig.proc.sweep import Removed, kill_all, stand_still

TERM_S = 1.0
"""From SIGTERM to SIGKILL, unless told otherwise."""
FREEZE_S = 2.0
_PR_SET_PDEATHSIG = 1


class Keeper:
    """Keeps one program. `forks`: it has ended only when everything that it has started has."""

    def __init__(self, control: socket.socket, *, forks: bool = False, term_s: float = TERM_S) -> None:
        self._control = control
        self._forks = forks
        self._term_s = term_s
        self._main: int | None = None
        self._status: int | None = None
        """Of the program, as waitpid tells it."""
        self._runs: dict[int, int] = {}
        """Pid to number, of what else was to be run."""
        probe.be_subreaper()
        self._wakeup = _wake_on_child()

    def keep(self) -> int:
        """Serve until the program has ended and nothing is left; returns how it ended (a status as of waitpid)."""
        poll = select.poll()
        for fd in (self._control.fileno(), self._wakeup):
            poll.register(fd, select.POLLIN)
        try:
            while not self._is_over():
                ready = {fd for fd, _ in poll.poll()}
                if self._wakeup in ready:
                    os.read(self._wakeup, 4096)
                    self._reap()
                if self._control.fileno() in ready:
                    self._obey(*receive(self._control)[0])
        except PeerGoneError:
            self._end_politely()
        self._kill_everything()
        return self._status or 0

    def _is_over(self) -> bool:
        return self._status is not None and not (self._forks and _below())

    def _obey(self, command: str, *details: Any) -> None:
        if command == "start":
            self._start(details[0])
        elif command == "run":
            self._run(*details)
        elif command == "kill":
            self._kill_everything()
        else:
            self._pause() if command == "pause" else self._resume()
            send(self._control, ("done",))

    def _start(self, order: dict[str, Any]) -> None:
        try:
            self._main = _spawn(order, os.dup(0))
        except _RefusedError as refusal:
            send(self._control, ("refused", refusal.number, refusal.stage))
            return
        send(self._control, ("started", self._main))

    def _run(self, number: int, order: dict[str, Any]) -> None:
        try:
            self._runs[_spawn(order, os.open(os.devnull, os.O_RDONLY))] = number
        except _RefusedError:
            send(self._control, ("ran", number, None))

    def _pause(self) -> None:
        stand_still(_below, time.monotonic() + FREEZE_S)

    def _resume(self) -> None:
        for pid in _below():
            probe.send_signal(pid, None, signal.SIGCONT)

    def _end_politely(self) -> None:
        """The rig wants no more of it: SIGTERM to the program's group, and some time."""
        if self._main is None or self._is_over():
            return
        for number in (signal.SIGTERM, signal.SIGCONT):
            for pid in [self._main] if self._status is None else _below():
                _signal_group(pid, number)
        end = time.monotonic() + self._term_s
        poll = select.poll()
        poll.register(self._wakeup, select.POLLIN)
        while not self._is_over() and (left := end - time.monotonic()) > 0:
            if poll.poll(left * 1000):
                os.read(self._wakeup, 4096)
            self._reap()

    def _kill_everything(self) -> None:
        def below() -> list[int]:
            self._reap()
            return _below()

        kill_all(below, Removed())
        self._reap()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)  # only children of this process, and it has no others
            except ChildProcessError:
                return
            if not pid:
                return
            if pid == self._main:
                self._status = status
            elif pid in self._runs:
                self._tell(("ran", self._runs.pop(pid), os.waitstatus_to_exitcode(status)))

    def _tell(self, message: tuple[object, ...]) -> None:
        with suppress(PeerGoneError):  # it is noticed where it is read
            send(self._control, message)


class _RefusedError(Exception):
    """A program was not started: errno, and at which stage."""

    def __init__(self, number: int, stage: str) -> None:
        super().__init__(number, stage)
        self.number = number
        self.stage = stage


def end_like(status: int) -> NoReturn:
    """End this process as the one with that status has ended."""
    if os.WIFSIGNALED(status):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        number = os.WTERMSIG(status)
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 1)


def _below() -> list[int]:
    return probe.descendants(os.getpid())


def _signal_group(pid: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # it has just ended, or is somebody else's (setuid)
        os.killpg(os.getpgid(pid), number)


def _wake_on_child() -> int:
    """A descriptor that becomes readable whenever a child has ended."""
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    return reading


def _spawn(order: dict[str, Any], stdin: int) -> int:
    """Start a program in a session of its own. (posix_spawn could neither limit it nor bind its life to this one.)"""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        _become(order, stdin, writing)
    os.close(writing)
    os.close(stdin)
    with open(reading, "rb") as answer:
        refusal = answer.read()
    if not refusal:
        return pid
    os.waitpid(pid, 0)
    number, _, stage = refusal.decode().partition(" ")
    raise _RefusedError(int(number), stage)


def _become(order: dict[str, Any], stdin: int, report: int) -> NoReturn:
    stage = "program"
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        os.setsid()
        os.dup2(stdin, 0)
        os.dup2(1, 2)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        stage = "limits"
        for limit, value in order["limits"].items():
            resource.setrlimit(limit, (value, value))
        stage = "directory"
        os.chdir(order["cwd"])
        stage = "program"
        os.execve(order["path"], order["argv"], order["env"])  # noqa: S606 - no shell is what is wanted
    except (OSError, ValueError) as error:
        reason = error.errno if isinstance(error, OSError) and error.errno else errno.EINVAL
        os.write(report, f"{reason} {stage}".encode())
    os._exit(127)
