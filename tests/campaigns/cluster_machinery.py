"""A real Dask scheduler and real workers, each a process, for the tests of campaigns on a cluster."""

import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path

import anyio

from swarmrig.campaigns.task import Resources, Task
from swarmrig.proc import probe

DEADLINE_S = 60.0
TINY = """\
swarmrig: 1
name: tiny
duration: {duration}
time: {time}
network: {{topology: star, hub: coord}}
defaults: {{kind: qemu, machine: refnode-rv32}}
nodes:
  coord: {{role: coordinator}}
  s1: {{role: sensor, config: {{scenario: 2, tdm_slot: 1}}}}
checks: [all_nodes_boot]
"""


MODELS = """\
swarmrig: 1
name: models
duration: {duration}
time: real
nodes:
  gw: {{kind: python, model: cloud}}
  s1: {{kind: python, model: sensor, settings: {{to: gw}}}}
checks: [no_crashes]
"""


def write_scenario(directory: Path, name="tiny", duration="300ms", time="virtual"):
    """Two guests."""
    (directory / f"{name}.swarmrig.yml").write_text(TINY.format(duration=duration, time=time))


def write_models(directory: Path, name="models", duration="10000s"):
    """Two Python nodes that live so long: whether anything crashes is known in the end only."""
    (directory / f"{name}.swarmrig.yml").write_text(MODELS.format(duration=duration))


def task(seed=1, scenario="tiny.swarmrig.yml", **values):
    values = {"resources": Resources(1, 64), "timeout_s": DEADLINE_S, "settings": (), **values}
    return Task(id=f"t{seed}", key=f"k{seed}", scenario=scenario, variant={}, seed=seed, **values)


def result_of(execution):
    (document,) = (each for each in execution.documents if each["kind"] == "result")
    return document


def runs_below(*workers):
    """Runs that they have started, and which have started something themselves."""
    below = [pid for each in workers for pid in probe.descendants(each.process.pid)]
    return [pid for pid in below if "-m swarmrig run" in probe.command(pid) and probe.descendants(pid)]


async def until(condition):
    with anyio.fail_after(DEADLINE_S):
        while not condition():
            await anyio.sleep(0.05)


class Program:
    """A process whose standard error is read to its end."""

    def __init__(self, *words, cwd, env=None):
        command, temporary = [sys.executable, "-m", *words], cwd / "tmp"  # where Dask leaves something
        temporary.mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, env={**(env or os.environ), "TMPDIR": str(temporary)}, cwd=cwd, start_new_session=True,
        )  # fmt: skip
        self.lines = []
        self._said = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stderr:
            with self._said:
                self.lines.append(line)
                self._said.notify_all()
        with self._said:
            self._ended = True
            self._said.notify_all()

    def wait_for(self, pattern):
        """The first match in what it has said, or will say."""

        def found():
            return next(filter(None, (re.search(pattern, line) for line in self.lines)), None)

        with self._said:
            self._said.wait_for(lambda: found() or self._ended, DEADLINE_S)
            match = found()
        assert match, f"/{pattern}/ was not said:\n{''.join(self.lines)}"
        return match

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        self.process.wait(DEADLINE_S)

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(DEADLINE_S)
        self.process.stderr.close()


class Cluster:
    """A scheduler, and the workers that have been started."""

    def __init__(self, root: Path, stack: ExitStack, options=()):
        self.options = options
        self.scheme = "tls" if "tls" in options else "tcp"
        self.root = root
        root.mkdir(exist_ok=True)
        self._stack = stack
        self.port = 0
        self.scheduler = None
        self.workers = []
        self.start_scheduler()

    @property
    def address(self):
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def start_scheduler(self):
        words = ["distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard"]
        self.scheduler = self._program(*words, *self.options)
        self.port = int(self.scheduler.wait_for(r"Scheduler at:\s+\w+://127\.0\.0\.1:(\d+)")[1])

    def start_worker(self, resources="cores=1 memory=1000", *, threads=2, env=None, words=("--no-nanny",)):
        number = len(self.workers)
        home = self.root / f"w{number}"
        home.mkdir()
        state = home / "state"
        own = {"SWARMRIG_CACHE_DIR": str(home / "cache"), "SWARMRIG_STATE_DIR": str(state)}
        words = ["distributed.cli.dask_worker", self.address, *words, "--nthreads", str(threads)]
        words += ["--host", "127.0.0.1", "--no-dashboard", "--local-directory", str(home), "--death-timeout", "60"]
        words += ["--resources", resources] if resources else []
        worker = self._program(*words, *self.options, env={**os.environ, **own, **(env or {})})
        worker.state, worker.cache = state, Path(own["SWARMRIG_CACHE_DIR"])
        self.workers.append(worker)
        worker.wait_for(r"Registered to:")
        worker.address = worker.wait_for(r"Listening to:\s+(\w+://\S+)")[1]
        return worker

    def _program(self, *words, env=None):
        program = Program(*words, env=env, cwd=self.root)
        self._stack.callback(program.close)
        return program


@contextmanager
def cluster(root: Path, workers=0):
    with ExitStack() as stack:
        found = Cluster(root, stack)
        for _ in range(workers):
            found.start_worker()
        yield found
