"""Machines that are not the same: it is said which input differs, and another version of the rig is refused."""

import os
import shutil
from pathlib import Path

import pytest
from tests.campaigns.cluster_machinery import cluster, task, write_scenario

import swarmrig
from swarmrig.campaigns.cluster import open_cluster
from swarmrig.campaigns.cluster_machines import refuse_other_versions
from swarmrig.errors import HostError
from swarmrig.nodes.digests import sha256_of
from swarmrig.nodes.qemu.firmware import firmware_path

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]
EMULATOR = "qemu-system-riscv32"


def wrapped_emulator(directory: Path):
    """PATH with another QEMU first: the real one, said to be of another version, by a script."""
    directory.mkdir()
    script = directory / EMULATOR
    real = shutil.which(EMULATOR)
    script.write_text(f"""#!/bin/sh
[ "$1" = --version ] && exec echo "QEMU emulator version 99.1.0"
exec {real} "$@"
""")
    script.chmod(0o755)
    return {"PATH": f"{directory}:{os.environ['PATH']}"}


def copied_package(directory: Path):
    """PYTHONPATH with another state of the rig: the slow firmware instead of the right one."""
    package = directory / "swarmrig"
    shutil.copytree(Path(swarmrig.__file__).parent, package, ignore=shutil.ignore_patterns("*.pyc.*"))
    slow, right = (package / f"nodes/qemu/firmware/refnode-rv32{name}.elf" for name in ("-slow-boot", ""))
    shutil.copyfile(slow, right)
    return {"PYTHONPATH": str(directory)}


async def test_what_differs_between_workers_is_named(tmp_path):
    write_scenario(tmp_path)
    one, told = task(), []
    with cluster(tmp_path / "cluster") as ours:
        usual = ours.start_worker()
        other_qemu = ours.start_worker(env=wrapped_emulator(tmp_path / "bin"))
        other_firmware = ours.start_worker(env=copied_package(tmp_path / "other"))
        async with open_cluster(ours.address, [one], here=tmp_path, tell=told.append):
            pass
        code, emulator, differs, *causes = told
        assert code.startswith("code of the rig differs: ")
        assert f"on {other_firmware.address}" in code and "here" in code
        assert emulator.startswith(f"{EMULATOR} differs: ")
        assert f"99.1.0 ({sha256_of(tmp_path / 'bin' / EMULATOR)[:12]}) on {other_qemu.address}" in emulator
        assert differs.startswith("t1 is not the same on all workers: ")
        same, other = sorted(differs.removeprefix("t1 is not the same on all workers: ").split("; "), key=len)[::-1]
        assert usual.address in same and other_qemu.address in same and other.endswith(other_firmware.address)
        right = sha256_of(firmware_path("refnode-rv32"))
        assert any(each.startswith("nodes.s1.firmware_sha256 differs") and right[:40] in each for each in causes)
        assert any(each.startswith("nodes.s1.emulator_sha256 differs") for each in causes)
        told.clear()
        package = tmp_path / "old/swarmrig"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text('__version__ = "0.0.1"')
        ours.start_worker(env={"PYTHONPATH": str(package.parent)})
        with pytest.raises(HostError, match=r"has swarmrig none that answers .*No module named 'swarmrig\.campaigns'"):
            async with open_cluster(ours.address, [one], here=tmp_path, tell=told.append):
                pass
        assert told == []


def test_another_version_of_the_rig_is_refused():
    refuse_other_versions("1.0", {"a": "1.0", "b": "1.0"})
    with pytest.raises(HostError, match=r"worker b has swarmrig 0\.9, this is 1\.0, and 1 more") as refused:
        refuse_other_versions("1.0", {"a": "1.0", "b": "0.9", "c": "1.1"})
    assert "pip install 'swarmrig[cluster]==1.0'" in refused.value.hint
