"""Swarms to lead: scenarios as files, and what leads them."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal

from swarmrig.integrations.session import open_swarm

PAIR = """
swarmrig: 1
name: pair
duration: 20s
network: {topology: star, hub: coord, link: {latency: 5ms}}
nodes:
  coord: {role: coordinator, config: {edge_tier: 2}}
  s1: {role: sensor, config: {scenario: 2, tdm_slot: 1}}
checks: [all_nodes_boot, no_crashes]
"""


@pytest.fixture
def pair(tmp_path) -> Path:
    """A coordinator and a sensor; they can live in virtual time."""
    path = tmp_path / "pair.swarmrig.yml"
    path.write_text(PAIR)
    return path


@pytest.fixture
def lead(pair, tmp_path):
    """`with lead(seed=…) as swarm`: the pair, led by hand."""
    return partial(open_swarm, pair, output_dir=tmp_path / "runs")


@dataclass
class Ran:
    """What a pytest of its own said."""

    exit_code: int
    text: str

    @property
    def outcomes(self) -> dict[str, int]:
        return {
            word: int(count) for count, word in re.findall(r"(\d+) (passed|failed|error)", self.text.splitlines()[-1])
        }


class Inner:
    """A directory with tests, and a pytest of its own to run them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        (path / "pair.swarmrig.yml").write_text(PAIR)

    def tests(self, text: str) -> None:
        (self.path / "test_inner.py").write_text(textwrap.dedent(text))

    def command(self, *arguments: str) -> list[str]:
        fixed = ["--basetemp=tmp", "-c", "/dev/null", "--rootdir=."]
        fixed += [f"-pno:{plugin}" for plugin in ("cacheprovider", "asyncio", "pytest_cov", "hypothesispytest")]
        return [sys.executable, "-m", "pytest", *fixed, *arguments]

    def run(self, *arguments: str) -> Ran:
        done = subprocess.run(
            self.command(*arguments), cwd=self.path, capture_output=True, text=True, timeout=200, check=False
        )
        return Ran(done.returncode, done.stdout + done.stderr)


@pytest.fixture
def inner(tmp_path) -> Inner:
    return Inner(tmp_path / "inner")


@pytest.fixture(scope="module")
def grpc_of_this_process():
    """What gRPC has once in a process, threads and descriptors, is no test's own."""
    import grpc.aio
    from jumpstarter.common.utils import serve
    from jumpstarter_driver_power.driver import MockPower

    async def called(what):
        what()

    with start_blocking_portal() as portal:  # in a loop of its own: this thread's may have been closed by other tests
        portal.call(called, grpc.aio.init_grpc_aio)
        with serve(MockPower()) as power:
            power.on()
            yield
        portal.call(called, grpc.aio.shutdown_grpc_aio)
