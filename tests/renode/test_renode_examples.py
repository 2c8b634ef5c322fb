"""The example pair: its firmware boots on an emulator of its processor, its scenario repeats to the byte."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from fake_renode import wrapper
from recordings import VERSIONS
from ruamel.yaml import YAML

import swarmrig
from swarmrig.cli.main import root

EXAMPLE = Path(__file__).parents[2] / "examples" / "renode-pair"
COMPILER = "riscv64-unknown-elf-gcc"


@pytest.fixture
def example(tmp_path):
    """A copy, so that what it builds stays out of the sources."""
    return Path(shutil.copytree(EXAMPLE, tmp_path / "pair", ignore=shutil.ignore_patterns("build")))


@pytest.fixture
def compiler():
    if shutil.which(COMPILER) is None:
        pytest.skip(f"not installed: {COMPILER}")


@pytest.mark.slow
def test_runs_of_the_pair_have_one_digest(example, compiler, tmp_path, monkeypatch):
    digests = []
    for number, version in enumerate(VERSIONS):
        place = tmp_path / f"renode{number}"
        place.mkdir()
        monkeypatch.setenv("RENODE", str(wrapper(place, version=version)))
        result = swarmrig.run(example / "pair.swarmrig.yml", output_dir=tmp_path / "runs")
        told = [f"{check.label}: {check.judgement.message}" for check in result.checks]
        assert result.success, (told, result.problems)
        digests.append(result.digest)
    assert len(set(digests)) == 1 and digests[0]


def test_its_firmware_boots_and_pings(example, compiler):
    """On QEMU's `virt`, which has one UART at the same place: there the line is the console."""
    if shutil.which("qemu-system-riscv32") is None:
        pytest.skip("not installed: qemu-system-riscv32")
    subprocess.run(["make", "-C", example, "DEFINES=-DLINE=0x10000000u"], check=True, capture_output=True)
    command = [
        "qemu-system-riscv32",
        "-M",
        "virt",
        "-bios",
        example / "build/pair.elf",
        "-nographic",
        "-monitor",
        "none",
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline().strip() == "boot: pair"
            assert process.stdout.readline().strip() == "ping 1"
            process.stdin.write("hello\r")
            process.stdin.flush()
            assert any("heard: hello" in process.stdout.readline() for _ in range(500))
        finally:
            process.kill()


def test_the_workflow_for_users_names_what_there_is():
    """An archive of a version that is supported, named by the variable that is looked at, and commands that exist."""
    (job,) = YAML(typ="safe").load(EXAMPLE / "workflow.yml")["jobs"].values()
    script = "\n".join(step.get("run", "") for step in job["steps"])
    version = re.search(r"renode-([\d.]+)\.linux-portable\.tar\.gz", script)
    assert version is not None and version[1] in VERSIONS
    assert 'echo "RENODE=$HOME/renode/renode" >> "$GITHUB_ENV"' in script
    for command in re.findall(r"^swarmrig (\w+)", script, re.M):
        assert command in root.list_commands(None)
    for file in re.findall(r"\S+\.swarmrig\.yml", script):
        assert (EXAMPLE.parents[1] / file).is_file()
    assert "swarmrig run" in script and COMPILER.removesuffix("-gcc") in script
