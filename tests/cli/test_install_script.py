"""tools/install: says what is missing when it cannot install, and does nothing when all is there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
NEEDED = [
    "bash", "env", "uname", "mkdir", "flock", "cat", "sha256sum", "sort", "tail", "sed", "rm", "dirname",
]  # fmt: skip


class Machine:
    """A machine with just the programs that a test gives it, and a checkout of the project."""

    def __init__(self, directory: Path) -> None:
        self.bin = directory / "bin"
        self.checkout = directory / "checkout"
        self.bin.mkdir()
        (self.checkout / "tools").mkdir(parents=True)
        shutil.copy(ROOT / "tools/install", self.checkout / "tools/install")
        shutil.copy(ROOT / "pyproject.toml", self.checkout / "pyproject.toml")
        for program in NEEDED:
            found = shutil.which(program, path="/usr/bin:/bin")
            assert found, program
            (self.bin / program).symlink_to(found)

    def has(self, program: str, script: str = "exit 0") -> None:
        path = self.bin / program
        path.write_text(f"#!/usr/bin/env bash\n{script}\n")
        path.chmod(0o755)

    def log(self) -> str:
        path = self.checkout / "log"
        return path.read_text() if path.exists() else ""

    def install(self, which: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.checkout / "tools/install", which],
            env={"PATH": str(self.bin), "CALLS": str(self.checkout / "log"), "HOME": str(self.checkout)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    machine.has("python3", f'exec {sys.executable} "$@"')
    machine.has("apt-cache")
    machine.has("apt-get", 'echo "apt-get $*" >> "$CALLS"')
    machine.has("id", "echo 1000")
    return machine


def with_venv(machine: Machine) -> None:
    """A Python whose venv module and pip only pretend, quickly."""
    pretend = (
        'case "$*" in\n'
        f'  "-m venv "*) mkdir -p "$3/bin"; cat "$0" > "$3/bin/python"; {shutil.which("chmod")} +x "$3/bin/python" ;;\n'
        '  "-m pip"*) echo "pip $*" >> "$CALLS"; exit ${PIP_EXIT:-0} ;;\n'
        f'  *) exec {sys.executable} "$@" ;;\n'
        "esac"
    )
    machine.has("python3", pretend)


def test_without_root_the_missing_packages_are_listed(machine):
    result = machine.install("test")
    assert result.returncode == 3
    for package in (
        "qemu-system",
        "build-essential",
        "gcc-riscv64-unknown-elf",
        "gcc-arm-none-eabi",
        "tshark",
        "vde2",
        "busybox-static",
        "iproute2",
    ):
        assert package in result.stderr
    assert "sudo apt-get install" in result.stderr
    assert machine.log() == ""


def test_the_demo_needs_less_than_the_tests(machine):
    result = machine.install("demo")
    assert result.returncode == 3
    assert "qemu-system" in result.stderr
    assert "tshark" not in result.stderr


def test_sudo_that_asks_for_a_password_is_not_asked(machine):
    machine.has("sudo", "exit 1")
    assert machine.install("demo").returncode == 3


def test_sudo_without_password_is_used(machine):
    machine.has("sudo", '[[ "$1 $2" == "-n true" ]] && exit 0\n[[ $1 == -n ]] && shift\nexec "$@"')
    result = machine.install("demo")
    assert result.returncode == 3  # this apt-get installs nothing, which is noticed
    assert "still missing" in result.stderr
    assert machine.log().splitlines()[0].endswith("update")
    assert "install --no-install-recommends build-essential qemu-system-riscv" in machine.log()


def test_elsewhere_than_on_debian_the_programs_are_listed(machine):
    (machine.bin / "apt-get").unlink()
    result = machine.install("demo")
    assert result.returncode == 3
    assert "qemu-system-riscv32" in result.stderr
    assert "Containerfile" in result.stderr


def test_an_old_python_is_not_enough(machine):
    machine.has("qemu-system-riscv32")
    machine.has("cc")
    machine.has("python3", 'case "$1 $2" in "-c import sys; sys.exit"*) exit 1 ;; esac')
    result = machine.install("demo")
    assert result.returncode == 3
    assert "python3.11-venv" in result.stderr


def test_errors_of_apt_name_no_host(machine):
    machine.has("id", "echo 0")
    machine.has(
        "apt-get", "echo \"E: Failed to fetch http://mirror.example/x  Could not resolve 'mirror.example'\"; exit 100"
    )
    result = machine.install("demo")
    assert result.returncode == 3
    assert "Failed to fetch <package index>" in result.stderr
    assert "mirror.example" not in result.stderr


def test_the_second_time_nothing_is_done(machine):
    machine.has("qemu-system-riscv32")
    machine.has("cc")
    with_venv(machine)
    first = machine.install("demo")
    assert (first.returncode, first.stderr) == (0, "")
    assert "--editable ." in machine.log()
    before = machine.log()
    second = machine.install("demo")
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert machine.log() == before


TEST_PROGRAMS = re.findall(r'^    "([\w.-]+):[\w .+-]+"', (ROOT / "tools/install").read_text(), re.M)


def test_a_kernel_is_fetched_once_for_the_tests(machine):
    for program in TEST_PROGRAMS:
        machine.has(program)
    with_venv(machine)
    machine.has("apt-cache", 'printf "linux-image-amd64\\n  Depends: linux-image-6.1.0-9-amd64\\n"')
    machine.has("apt-get", 'echo "apt-get $*" >> "$CALLS"; : > "${!#}_6.1_amd64.deb"')
    first = machine.install("test")
    assert (first.returncode, first.stderr) == (0, "")
    assert "apt-get -q download linux-image-6.1.0-9-amd64" in machine.log()
    assert (machine.checkout / "build/kernel/linux-image-6.1.0-9-amd64_6.1_amd64.deb").exists()
    assert (machine.install("test").stdout, machine.log().count("download")) == ("", 1)


def test_without_a_kernel_it_says_which_tests_are_skipped(machine):
    for program in TEST_PROGRAMS:
        machine.has(program)
    with_venv(machine)
    machine.has("id", "echo 0")
    result = machine.install("test")
    assert result.returncode == 0
    assert "tests with Linux guests will be skipped" in result.stderr
    assert "update" in machine.log()


def test_a_changed_project_file_renews_the_venv(machine):
    machine.has("qemu-system-riscv32")
    machine.has("cc")
    with_venv(machine)
    machine.install("demo")
    with (machine.checkout / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    before = machine.log().count("--editable")
    assert machine.install("demo").returncode == 0
    assert machine.log().count("--editable") == before + 1


def test_a_failed_pip_leaves_no_stamp(machine):
    machine.has("qemu-system-riscv32")
    machine.has("cc")
    with_venv(machine)
    script = (machine.bin / "python3").read_text()
    (machine.bin / "python3").write_text(
        script.replace("${PIP_EXIT:-0}", '$([[ "$*" == *install* ]] && echo 1 || echo 0)')
    )
    result = machine.install("demo")
    assert result.returncode == 3
    assert "pip could not install" in result.stderr
    assert not list((machine.checkout / ".venv").glob(".stamp-*"))


def test_wrong_usage(machine):
    assert machine.install("everything").returncode == 3


def test_make_lists_its_targets():
    make = shutil.which("make")
    if make is None:
        pytest.skip("no make")
    result = subprocess.run([make, "-C", ROOT], capture_output=True, text=True, check=True, env=dict(os.environ))
    for target in ("demo", "test", "bench", "clean"):
        assert f"make {target}" in result.stdout
