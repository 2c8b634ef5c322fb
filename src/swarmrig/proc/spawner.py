"""The one function that starts programs."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import anyio

from swarmrig.api.nodes import ExitStatus
from swarmrig.errors import HostError
from swarmrig.proc import rescue
from swarmrig.proc.client import Client, RefusedError, open_client
from swarmrig.proc.failures import LeftoverError, spawn_error
from swarmrig.proc.journal import Journal
from swarmrig.proc.process import Process, StopLadder
from swarmrig.proc.scope import TAG, RunScope

FILE_SIZE_LIMIT = 1 << 30
OUTPUT_LIMIT = 8 << 20
APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
MAX_FDS = 240
COMMANDS_LOG = "commands.log"
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class HasFileno(Protocol):
    def fileno(self) -> int: ...


Descriptor = int | HasFileno


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that has ended. Output beyond the limit is missing, and `truncated` says so."""

    exit: ExitStatus
    stdout: bytes
    stderr: bytes
    truncated: bool = False

    @property
    def ok(self) -> bool:
        return self.exit.code == 0


class Spawner:
    """Starts programs for one run. Everything it starts has ended when `open_spawner` has."""

    def __init__(self, scope: RunScope, client: Client, commands: int) -> None:
        assert client.place is not None
        self.scope = scope
        self.journal = Journal(client.place.journal)
        self._client = client
        self._commands = commands
        self._programs: dict[tuple[str, str, Path], bytes] = {}
        self._serial = 0

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """What a program gets: a fixed minimum, the run's tag, and what the caller adds."""
        return {
            "PATH": os.environ.get("PATH", DEFAULT_PATH),
            "HOME": os.environ.get("HOME", "/"),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "TMPDIR": str(self.scope.temporary_directory),
            **(extra or {}),
            TAG: self.scope.run_id,
        }

    @asynccontextmanager
    async def process(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        name: str,
        fds: Mapping[int, Descriptor] | None = None,
        stdout: Path | Descriptor | None = None,
        stderr: Path | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        polite: Callable[[], Awaitable[object]] | None = None,
        stop: StopLadder = StopLadder(),
        file_size_limit: int | None = FILE_SIZE_LIMIT,
    ) -> AsyncIterator[Process]:
        """Start a program; when the context ends, stop it: `polite`, then SIGTERM, then SIGKILL to its group.

        `fds` maps descriptor numbers in the child to ours, which stay ours to close; the child gets nothing
        else. stdin (unless fds has 0) is /dev/null; stdout goes to a file, a descriptor, or /dev/null; stderr
        always to a file, by default `processes/<name>.stderr.log` in the run directory. Files are appended
        to. `env` is added to `environment()`. `file_size_limit` (bytes) is RLIMIT_FSIZE: a runaway log ends
        its writer, not the disk. Raises SpawnError with the exact reason when the program cannot be started.
        """
        words = _checked(argv, fds or {})
        errors = stderr or self._default_stderr(name)
        with ExitStack() as files:
            given = _streams(files, fds or {}, stdout, errors)
            process = await self._spawn(
                words, name, given, env, (cwd or self.scope.run_directory).absolute(), file_size_limit, errors
            )
        try:
            self._log(process)
            yield process
        finally:
            await process._stop(polite, stop)

    async def run(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        deadline_s: float,
        name: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        output_limit: int = OUTPUT_LIMIT,
        file_size_limit: int | None = FILE_SIZE_LIMIT,
    ) -> Completed:
        """Run a short command to its end. A failing command is a result; one that cannot be started, or that
        does not end within `deadline_s`, raises HostError (and is killed). stdin is /dev/null."""
        self._serial += 1
        name = name or Path(argv[0]).name
        base = self.scope.temporary_directory / f"run-{self._serial}"
        out, err = base.with_suffix(".stdout"), base.with_suffix(".stderr")
        try:
            async with self.process(
                argv, name=name, stdout=out, stderr=err, env=env, cwd=cwd, file_size_limit=file_size_limit
            ) as process:
                try:
                    with anyio.fail_after(deadline_s):
                        status = await process.wait()
                except TimeoutError:
                    raise _overdue(process, deadline_s) from None
            stdout, cut_out = _head(out, output_limit)
            stderr, cut_err = _head(err, output_limit)
            return Completed(status, stdout, stderr, truncated=cut_out or cut_err)
        finally:
            out.unlink(missing_ok=True)
            err.unlink(missing_ok=True)

    async def _spawn(
        self,
        argv: tuple[str, ...],
        name: str,
        given: Mapping[int, int],
        env: Mapping[str, str] | None,
        cwd: Path,
        file_size: int | None,
        stderr: Path,
    ) -> Process:
        environment = self.environment(env)
        words = [os.fsencode(word) for word in argv]
        path = self._program(argv[0], environment["PATH"], cwd)
        order = {
            "path": path,
            "argv": words,
            "env": {os.fsencode(key): os.fsencode(value) for key, value in environment.items()},
            "cwd": os.fsencode(cwd),
            "targets": list(given),
            "file_size": file_size,
        }
        try:
            pid, start = await self._client.spawn(order, list(given.values()))
        except RefusedError as error:
            raise spawn_error(name, os.fsdecode(path), str(cwd), words, error.number, error.stage) from None
        return Process(self._client, name=name, argv=argv, pid=pid, start=start, stderr=stderr)

    def _program(self, program: str, path: str, cwd: Path) -> bytes:
        if "/" in program:
            return os.fsencode(program)
        key = (program, path, cwd)
        if key not in self._programs:
            found = _find(*key)
            if found is None:
                return os.fsencode(program)
            self._programs[key] = os.fsencode(found)
        return self._programs[key]

    def _default_stderr(self, name: str) -> Path:
        directory = self.scope.run_directory / "processes"
        try:
            directory.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise HostError(f"cannot make {directory}: {error.strerror}") from error
        return directory / (re.sub(r"[^\w.-]", "_", name) + ".stderr.log")

    def _log(self, process: Process) -> None:
        line = f"{process.name}[{process.pid}]: {shlex.join(process.argv)}\n"
        try:
            os.write(self._commands, os.fsencode(line))
        except OSError as error:
            raise HostError(f"cannot write {COMMANDS_LOG}: {error.strerror}") from error


@asynccontextmanager
async def open_spawner(scope: RunScope) -> AsyncIterator[Spawner]:
    """A spawner, and the guardian behind it, for one run.

    On leaving, whatever still lives of the run is removed. If there was anything, that is a failure:
    LeftoverError, or a note on the exception that is already on its way. When the guardian dies, the body
    is cancelled and GuardianLostError raised.
    """
    with rescue.subreaper():
        client: Client | None = None
        try:
            async with open_client(scope) as client:
                with anyio.CancelScope() as body, ExitStack() as files:
                    client.on_lost = body.cancel
                    yield Spawner(scope, client, _opened(files, scope.run_directory / COMMANDS_LOG, APPEND))
        except BaseException as error:
            for note in _aftermath(client):
                if error is not note:
                    error.add_note(str(note))
            raise
    for problem in _aftermath(client):
        raise problem


def _aftermath(client: Client | None) -> list[HostError | LeftoverError]:
    found: list[HostError | LeftoverError] = []
    if client and client.lost:
        found.append(client.lost)
    if client and client.leftovers:
        found.append(LeftoverError(client.leftovers))
    return found


def _checked(argv: Sequence[str | os.PathLike[str]], fds: Mapping[int, Descriptor]) -> tuple[str, ...]:
    words = tuple(os.fspath(word) for word in argv)
    if not words or not words[0] or any("\0" in word for word in words):
        raise ValueError(f"argv {words!r}: a program, and words without NUL, expected")
    if len(fds) > MAX_FDS or any(number < 0 for number in fds):
        raise ValueError(f"fds: at most {MAX_FDS} descriptors, numbered from 0, expected")
    return words


def _streams(
    files: ExitStack, fds: Mapping[int, Descriptor], stdout: Path | Descriptor | None, stderr: Path
) -> dict[int, int]:
    """Child descriptor to ours, complete from 0 to 2; what is opened here is closed with `files`."""

    given = {number: fd if isinstance(fd, int) else fd.fileno() for number, fd in fds.items()}
    if isinstance(stdout, Path):
        given[1] = _opened(files, stdout, APPEND)
    elif stdout is not None:
        given[1] = stdout if isinstance(stdout, int) else stdout.fileno()
    if 2 not in given:
        given[2] = _opened(files, stderr, APPEND)
    if 0 not in given or 1 not in given:
        null = _opened(files, Path("/dev/null"), os.O_RDWR)
        given = {0: null, 1: null, **given}
    return given


def _opened(files: ExitStack, path: Path, flags: int) -> int:
    try:
        fd = os.open(path, flags | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise HostError(f"cannot open {path}: {error.strerror}") from error
    files.callback(os.close, fd)
    return fd


def _find(program: str, path: str, cwd: Path) -> Path | None:
    """The first executable on PATH, else the first file of that name, else None.

    What is wrong with it, the kernel says when it is executed.
    """
    candidates = [cwd / (entry or ".") / program for entry in path.split(":")]
    found = [file for file in candidates if file.is_file()]
    return next((file for file in found if os.access(file, os.X_OK)), found[0] if found else None)


def _overdue(process: Process, deadline_s: float) -> HostError:
    words = process.last_words()
    return HostError(
        f"{shlex.join(process.argv)[:500]} did not end within {deadline_s:g} s"
        + (f"; its last words:\n{words}" if words else "")
    )


def _head(path: Path, limit: int) -> tuple[bytes, bool]:
    with path.open("rb") as file:
        data = file.read(limit + 1)
    return data[:limit], len(data) > limit
