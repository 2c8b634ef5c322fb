"""A Docker engine of the tests' own, with one small image; shared by all workers of a session."""

from __future__ import annotations

import fcntl
import http.client
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from swarmrig.model.scenario import NodeSpec
from swarmrig.proc import probe

IMAGE = "swarmrig-test:1"
APPLETS = ("sh", "sleep", "echo", "nc", "ip", "ping", "cat", "true", "false", "head", "stat", "test", "touch", "env")
BEATING = """
trap 'exit 0' TERM
echo ready at $SWARMRIG_ADDRESS
(i=0; while :; do i=$((i+1)); echo beat $i; sleep 0.1; done) &
while read word; do echo said $word; done
wait
"""
"""For `sh -c`: boots, beats, answers, and ends when it is asked to."""
STARTED_S = 30.0


@dataclass(frozen=True)
class Engine:
    """A running engine."""

    socket: Path
    pid: int

    def ask(self, method: str, path: str, body: bytes | None = None, kind: str = "application/json") -> Any:
        """One request of its interface; the answer's JSON, if it is any."""
        connection = http.client.HTTPConnection("docker", timeout=STARTED_S)
        connection.sock = socket.socket(socket.AF_UNIX)
        try:
            connection.sock.settimeout(STARTED_S)
            connection.sock.connect(str(self.socket))
            connection.request(method, path, body, {"Content-Type": kind})
            answer = connection.getresponse()
            data = answer.read()
            assert answer.status < 400, (method, path, answer.status, data)
        finally:
            connection.close()
        try:
            return json.loads(data)
        except ValueError:
            return data

    def containers(self, label: str = "swarmrig.run") -> list[dict[str, Any]]:
        """All that have the label."""
        everything: list[dict[str, Any]] = self.ask("GET", "/containers/json?all=1")
        name, _, value = label.partition("=")
        return [one for one in everything if name in one["Labels"] and value in ("", one["Labels"][name])]

    def inspect(self, run_id: str) -> dict[str, Any]:
        """The one container of the run."""
        found = self.containers(f"swarmrig.run={run_id}")
        assert len(found) == 1, found
        answer: dict[str, Any] = self.ask("GET", f"/containers/{found[0]['Id']}/json")
        return answer

    def crash(self) -> None:
        """Die without warning. What runs in its containers lives on, as it does with any engine."""
        self.end_processes(but="containerd-shim")

    def end_processes(self, but: str | None = None) -> None:
        """SIGKILL those that were started for it, by their command lines."""
        commands = {pid: probe.command(pid) for pid in probe.all_pids()}
        pids = [
            pid
            for pid, command in commands.items()
            if str(self.socket.parent) in command and (but is None or but not in command)
        ]
        for pid in pids:
            for each in (pid, *(probe.descendants(pid) if but is None else ())):
                probe.kill(each)
        for pid in (self.pid, *pids):  # once it is gone, what it had started is this process's
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)


@pytest.fixture(scope="session")
def shared_engine(places: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    missing = _missing()
    if missing:
        pytest.skip(missing)
    base = tmp_path_factory.getbasetemp()
    common = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with open(common / "engine.lock", "a") as users, open(common / "engine.start", "a") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        fcntl.flock(users, fcntl.LOCK_SH)
        place = common / "engine.json"
        if not place.exists():
            started = start_engine()
            place.write_text(json.dumps([str(started.socket), started.pid]))
        path, pid = json.loads(place.read_text())
        fcntl.flock(turn, fcntl.LOCK_UN)
        yield Engine(Path(path), pid)
        fcntl.flock(turn, fcntl.LOCK_EX)
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # another worker still needs it
            return
        place.unlink()
        stop_engine(Engine(Path(path), pid))


@pytest.fixture
def engine(shared_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """The engine that containers of this test are made by."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{shared_engine.socket}")
    return shared_engine


@pytest.fixture
def own_engine(shared_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Engine]]:
    """Starts an engine that may be killed; started again, it has what it had."""
    directory = Path(tempfile.mkdtemp(prefix="sre", dir="/tmp"))
    running: list[Engine] = []

    def start() -> Engine:
        running.append(start_engine(directory))
        return running[-1]

    monkeypatch.setenv("DOCKER_HOST", f"unix://{directory}/sock")
    try:
        yield start
    finally:
        if running:
            stop_engine(running[-1])
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def container(request: pytest.FixtureRequest) -> Callable[..., NodeSpec]:
    """A node that runs the script in the tests' image."""

    def make(script: str = BEATING, node_id: str = "c1", number: int = 1, **options: Any) -> NodeSpec:
        values = {"image": IMAGE, "command": ("/bin/sh", "-c", script), **options}
        return NodeSpec(id=node_id, number=number, kind="container", options=values)

    return make


@pytest.fixture
def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def _missing() -> str | None:
    """Why there can be no engine here."""
    if os.geteuid() != 0:
        return "an engine of the tests' own takes root"
    if shutil.which("dockerd", path=_path()) is None:
        return "no dockerd: apt install docker.io"
    if shutil.which("busybox", path=_path()) is None:
        return "no busybox: apt install busybox-static"
    return None


def _path() -> str:
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def start_engine(directory: Path | None = None) -> Engine:
    """Without a bridge, and without touching this machine's packet filter. Its data is in a short path: it makes
    sockets there."""
    directory = directory or Path(tempfile.mkdtemp(prefix="sre", dir="/tmp"))
    path = directory / "sock"
    (directory / "pid").unlink(missing_ok=True)
    options = {"data-root": directory / "data", "exec-root": directory / "exec", "pidfile": directory / "pid",
               "host": f"unix://{path}", "storage-driver": "vfs"}  # fmt: skip
    switches = ["--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false"]
    command = ["dockerd", *(f"--{name}={value}" for name, value in options.items()), *switches]
    with open(directory / "log", "ab") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
            env={"PATH": _path(), "TMPDIR": "/tmp"}, preexec_fn=probe.be_subreaper,
        )  # fmt: skip
    started = Engine(path, process.pid)
    end = time.monotonic() + STARTED_S
    while time.monotonic() < end and process.poll() is None:
        try:
            started.ask("GET", "/_ping")
            break
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)
    else:
        process.kill()
        process.wait()
        words = (directory / "log").read_text(errors="replace")[-2000:]
        shutil.rmtree(directory, ignore_errors=True)
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"dockerd does not start here:\n{words}")
    process.returncode = 0  # it is known by its pid from here on, and may outlive this object
    started.ask("POST", f"/images/create?fromSrc=-&repo={IMAGE.replace(':', '&tag=')}", _root(), "application/x-tar")
    return started


def stop_engine(engine: Engine) -> None:
    """With everything that it has started, also what an engine before it has."""
    with suppress(ProcessLookupError):
        os.kill(engine.pid, signal.SIGTERM)
    end = time.monotonic() + 15.0
    while probe.is_running(engine.pid) and time.monotonic() < end:
        time.sleep(0.02)
    directory = engine.socket.parent
    engine.end_processes()
    with open("/proc/self/mounts") as mounts:
        places = [line.split()[1] for line in mounts if line.split()[1].startswith(f"{directory}/")]
    for place in reversed(places):
        subprocess.run(["umount", "-l", place], check=False)
    shutil.rmtree(directory, ignore_errors=True)


def _root() -> bytes:
    """A file system that is nothing but busybox."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(os.path.realpath(str(shutil.which("busybox", path=_path()))), arcname="bin/busybox")
        for applet in APPLETS:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        folder = tarfile.TarInfo("tmp")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(folder)
    return archive.getvalue()
