"""A spawner for a few commands, without a run directory."""

import sys

import pytest

from swarmrig.errors import HostError
from swarmrig.proc import RunScope, open_spawner


@pytest.mark.anyio
async def test_commands_run_and_nothing_stays():
    scope = RunScope.passing()
    async with open_spawner(scope) as spawner:
        done = await spawner.run([sys.executable, "-c", "print('hello')"], deadline_s=30)
        assert (done.ok, done.stdout) == (True, b"hello\n")
        assert scope.state_directory.is_dir()
    assert not scope.state_directory.exists()


@pytest.mark.anyio
async def test_errors_are_as_exact_as_ever():
    async with open_spawner(RunScope.passing()) as spawner:
        with pytest.raises(HostError, match="no program"):
            await spawner.run(["/nowhere/at/all"], deadline_s=30)
