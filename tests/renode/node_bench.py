"""Nodes on a workbench, for tests."""

from contextlib import asynccontextmanager

from swarmrig.nodes.renode.backend import RenodeBackend
from swarmrig.testing.workbench import open_workbench

DEADLINE_S = 60.0
ELF = b"\x7fELF\x01\x01\x01" + b"\0" * 9 + b"\x02\0" + b"\xf3\0" + b"\0" * 32
"""A header that says RISC-V."""


@asynccontextmanager
async def bench_of(tmp_path, *specs):
    """A workbench whose run directory is `tmp_path / "run"`."""
    directory = tmp_path / "run"
    directory.mkdir(exist_ok=True)
    async with open_workbench(directory, RenodeBackend(), *specs) as bench:
        yield bench


@asynccontextmanager
async def booted(tmp_path, spec):
    """(bench, node, trace) of a node that has booted."""
    async with bench_of(tmp_path, spec) as bench, bench.node(spec.id) as node:
        await bench.trace(spec.id).wait_for_console("boot: hello", deadline_s=DEADLINE_S)
        yield bench, node, bench.trace(spec.id)


def leftovers(bench):
    """What is in the private directories of nodes."""
    places = bench.spawner.scope.temporary_directory.glob("renode-*")
    return sorted(path.name for place in places for path in place.iterdir())
