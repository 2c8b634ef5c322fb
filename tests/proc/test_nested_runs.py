"""A rig that is itself a process of a run: its own guardian cleans up after it."""

import os
import signal
import sys
from pathlib import Path

import anyio
import pytest

from swarmrig.proc import RunScope, open_spawner, probe

PROGRAM = Path(__file__).with_name("rig_program.py")


@pytest.mark.anyio
async def test_the_guardian_of_a_killed_inner_rig_ends_its_run_and_is_no_leftover(scope, tmp_path, below):
    (tmp_path / "inner").mkdir()
    inner = RunScope(tmp_path / "inner", state_root=tmp_path / "inner-state")
    words = [sys.executable, PROGRAM, inner.run_directory, inner.state_root, inner.run_id, "calm"]
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as said, os.fdopen(writing, "wb") as saying:
        async with open_spawner(scope) as spawner:
            root = {"PYTHONPATH": str(Path(__file__).parents[2])}
            async with spawner.process(words, name="inner", stdout=saying, env=root) as rig:
                saying.close()
                told = b""
                while b"ready" not in told:
                    await anyio.wait_readable(said)
                    told += said.read(4096)
                guardian = int(told.split()[1])
                assert probe.is_guardian(guardian)
                assert not probe.is_guardian(rig.pid)
                rig.send_signal(signal.SIGKILL)
                await rig.wait()
    assert not probe.is_running(guardian)
    assert not below()
    assert list(inner.state_root.iterdir()) == []
    assert (inner.run_directory / "aborted.json").is_file()  # by its own guardian, which knows all that it had
    assert not (scope.run_directory / "aborted.json").exists()
