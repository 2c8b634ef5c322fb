"""The rig's side of the guardian: starts it, asks it, and notices at once when it dies."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio

from swarmrig.errors import HostError
from swarmrig.proc import channel, guardian, probe, rescue, sweep
from swarmrig.proc.failures import GuardianLostError
from swarmrig.proc.place import Place
from swarmrig.proc.private import private_directory
from swarmrig.proc.scope import TAG, RunScope

ANSWER_DEADLINE_S = 10.0
PACKAGE_ROOT = Path(__file__).resolve().parents[2]


class RefusedError(Exception):
    """The guardian answered that it could not: errno, its text, and the stage."""

    def __init__(self, number: int, text: str, stage: str) -> None:
        super().__init__(number, text, stage)
        self.number = number
        self.stage = stage


class Client:
    """A conversation with the guardian. Requests may overlap; answers are matched by number."""

    def __init__(
        self, scope: RunScope, sock: socket.socket, process: subprocess.Popen[bytes], log: Path | None
    ) -> None:
        self.scope = scope
        self.place: Place | None = None
        self.lost: GuardianLostError | None = None
        self.leftovers: list[str] = []
        self.on_lost: Callable[[], None] = lambda: None
        self.spawned: dict[int, int] = {}
        """Pid to start time of every process not yet released."""
        self._exits: dict[int, asyncio.Future[tuple[int | None, int | None]]] = {}
        self._sock = sock
        self._process = process
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._undoing: set[asyncio.Future[None]] = set()
        self._sending = anyio.Lock()
        self._number = 0
        self._parted = False
        self._killed: list[str] = []
        self._ended = self._loop.create_future()
        self._hello: asyncio.Future[None] = self._loop.create_future()
        self._pidfd = os.pidfd_open(process.pid)
        self._loop.add_reader(self._pidfd, self._on_guardian_exit)
        self._loop.add_reader(sock.fileno(), self._on_readable)

    @property
    def guardian_pid(self) -> int:
        return self._process.pid

    def exit_of(self, pid: int) -> asyncio.Future[tuple[int | None, int | None]]:
        """Resolves to (code, signal) when the process has ended; to GuardianLostError when nobody can know."""
        return self._exits[pid]

    async def greeted(self) -> None:
        """Return when the guardian holds the state directory."""
        await self._answered(self._hello, "start")

    async def spawn(self, order: dict[str, Any], fds: Sequence[int]) -> tuple[int, int]:
        """(pid, start time). Raises RefusedError. Never cancelled half-way: a started process is always known."""
        with anyio.CancelScope(shield=True):
            future = await self._request("spawn", order, fds=fds)
            try:
                pid, start = await self._answered(asyncio.shield(future), "spawn")
            except asyncio.CancelledError:  # by the event loop itself: no scope shields from that
                self._undoing.add(undo := asyncio.ensure_future(self._undo(future)))
                undo.add_done_callback(self._undoing.discard)
                raise
        return pid, start

    async def _undo(self, future: asyncio.Future[Any]) -> None:
        """Nobody waits for this process any more: let it go as soon as it is there."""
        with suppress(HostError, RefusedError):
            pid, _ = await self._answered(future, "spawn")
            await self.release(pid)

    async def release(self, pid: int) -> None:
        """Kill what is left of a process's group, reap it, and forget it. Raises RefusedError when that fails."""
        with anyio.CancelScope(shield=True):
            try:
                await self._ask("release", pid)
            finally:
                self.spawned.pop(pid, None)
                self._exits.pop(pid, None)

    async def part(self) -> None:
        """End the guardian, in order where that is possible; `leftovers` then says what it had to remove."""
        with anyio.CancelScope(shield=True):
            if self._undoing:
                await asyncio.wait(self._undoing)
            try:
                self.leftovers = await self._ask("goodbye")
            except (HostError, RefusedError):
                self._process.kill()
            await asyncio.shield(self._ended)
            self._process.wait()
            if not self._parted:
                await self._rescue()
            self._close()

    async def _rescue(self) -> None:
        self._lose()
        if self.place:
            await anyio.to_thread.run_sync(rescue.end_of_run, self.scope, self.place, dict(self.spawned), self._killed)

    def _close(self) -> None:
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()
        os.close(self._pidfd)
        for future in (self._hello, *self._answers.values(), *self._exits.values()):
            future.cancel()
        if self.place:
            os.close(self.place.lock)
            os.close(self.place.journal)
        with suppress(OSError):
            if self._log is not None and not self._log.stat().st_size:
                self._log.unlink()

    async def _ask(self, kind: str, *details: Any) -> Any:
        return await self._answered(await self._request(kind, *details), kind)

    async def _request(self, kind: str, *details: Any, fds: Sequence[int] = ()) -> asyncio.Future[Any]:
        """The answer to come. Cancelled before it returns: the request was not sent."""
        if self.lost:
            raise self.lost
        self._number += 1
        number = self._number
        future = self._answers[number] = self._loop.create_future()
        try:
            await self._send((kind, number, *details), fds)
        except BaseException:
            del self._answers[number]
            raise
        return future

    async def _send(self, message: Any, fds: Sequence[int]) -> None:
        async with self._sending:
            while True:
                try:
                    return channel.send(self._sock, message, fds)
                except BlockingIOError:
                    await anyio.wait_writable(self._sock)
                except channel.PeerGoneError:
                    self._lose()
                    raise self._loss() from None

    async def _answered(self, future: asyncio.Future[Any], what: str) -> Any:
        try:
            with anyio.fail_after(ANSWER_DEADLINE_S):
                return await future
        except TimeoutError:
            raise HostError(
                f"the guardian (pid {self.guardian_pid}) did not answer {what!r} within {ANSWER_DEADLINE_S:.0f} s",
                hint="is it stopped, or this machine overloaded?",
            ) from None

    def _on_readable(self) -> None:
        while True:
            try:
                message, fds = channel.receive(self._sock)
            except BlockingIOError:
                return
            except channel.PeerGoneError:
                self._loop.remove_reader(self._sock.fileno())
                self._lose()
                return
            self._take(message, fds)

    def _take(self, message: Any, fds: list[int]) -> None:
        kind, *rest = message
        if kind == "hello":
            self._take_place(fds)
        elif kind == "failed":
            hint = "choose another place with SWARMRIG_STATE_DIR"
            _fail(self._hello, HostError(f"cannot make the run's state directory: {rest[0]}", hint=hint))
        elif kind == "exit":
            pid, code, number = rest
            if pid in self._exits:  # else it was given up: it survived SIGKILL for too long
                _resolve(self._exits[pid], (code, number))
        else:
            self._take_reply(*rest)

    def _take_place(self, fds: list[int]) -> None:
        if len(fds) < 2:
            for fd in fds:
                os.close(fd)
            _fail(self._hello, HostError("too many open files", hint="raise `ulimit -n`"))
            return
        self.place = Place(self.scope.run_id, str(self.scope.state_directory), *fds)
        _resolve(self._hello, None)

    def _take_reply(self, number: int, ok: bool, result: Any) -> None:
        # A process is known from the very moment of its answer: its exit may be the next message.
        if ok and isinstance(result, tuple) and len(result) == 2:
            pid, start = result
            self.spawned[pid] = start
            self._exits[pid] = self._loop.create_future()
        elif isinstance(result, list):
            self._parted = True
        future = self._answers.pop(number)
        if ok:
            _resolve(future, result)
        else:
            _fail(future, RefusedError(*result))

    def _lose(self) -> None:
        """The guardian's end of the socket is closed. Unless it was told goodbye, that is a disaster."""
        if self.lost or self._parted:
            return
        self.lost = self._loss()
        self._killed = rescue.kill_groups(self.spawned)
        for future in (self._hello, *self._answers.values(), *self._exits.values()):
            _fail(future, self.lost)
        self.on_lost()

    def _loss(self) -> GuardianLostError:
        words = ""
        if self._log is not None and self._log.exists():
            words = self._log.read_text(errors="replace").strip()[-2000:]
        return GuardianLostError(
            f"the guardian process (pid {self.guardian_pid}) died" + (f"; its last words:\n{words}" if words else ""),
            hint="was it killed (out of memory, by hand)? Everything it guarded has been killed",
        )

    def _on_guardian_exit(self) -> None:
        self._loop.remove_reader(self._pidfd)
        _resolve(self._ended, None)


@asynccontextmanager
async def open_client(scope: RunScope) -> AsyncIterator[Client]:
    """A guardian for the run, up and holding the state directory; at the end it is gone, and all it guarded."""
    client = _start(scope)
    try:
        await client.greeted()
        yield client
    finally:
        await client.part()


def _start(scope: RunScope) -> Client:
    if not scope.is_passing and not scope.run_directory.is_dir():
        raise HostError(f"the run directory {scope.run_directory} does not exist")
    private_directory(scope.state_root)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    log = None if scope.is_passing else scope.run_directory / sweep.GUARDIAN_LOG
    try:
        ours.setblocking(False)
        with theirs, open(log or os.devnull, "ab") as words:
            process = _popen(scope, theirs, words.fileno())
    except OSError as error:
        ours.close()
        raise HostError(f"cannot start the guardian process: {error}") from error
    return Client(scope, ours, process, log)


def _popen(scope: RunScope, theirs: socket.socket, words: int) -> subprocess.Popen[bytes]:
    me = os.getpid()
    head = {
        "t": "run",
        "run_id": scope.run_id,
        "boot": probe.boot_id(),
        "pid": me,
        "start": probe.start_time(me),
        "run_directory": str(scope.run_directory.absolute()),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    argv = [sys.executable, "-I", "-S", "-c", guardian.LAUNCHER, str(PACKAGE_ROOT), str(theirs.fileno()), str(me)]
    argv += [str(scope.state_root), scope.run_id, str(scope.run_directory.absolute()), json.dumps(head)]
    return subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=words,
        pass_fds=(theirs.fileno(),),
        start_new_session=True,
        env={name: value for name, value in os.environ.items() if name != TAG},
    )


def _resolve(future: asyncio.Future[Any], value: Any) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # not every one of them is awaited
