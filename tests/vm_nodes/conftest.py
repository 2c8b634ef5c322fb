"""Guests for the tests: a bare one that boots at once, and a Linux of Debian's kernel and busybox."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from vm_guests import Linux

from swarmrig.fixtures import cpio
from swarmrig.fixtures.kernel import NETWORK, read_kernel
from swarmrig.nodes.emulator import kvm

HERE = Path(__file__).parent
PACKAGES = HERE.parents[1] / "build" / "kernel"
"""Where tools/install puts the package of a kernel."""
MODULES = (*NETWORK, "virtio_blk", "qemu_fw_cfg", "af_packet")
HASH = "$1$swarmrig$zpZmeBn0X.iC9E5eyUCEv."


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def no_kvm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where the KVM device is not, until the test puts one there."""
    monkeypatch.setattr(kvm, "DEVICE", tmp_path / "no-kvm")
    return tmp_path / "no-kvm"


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of all workers of the session."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def made_once(directory: Path, make: Callable[[Path], None]) -> Path:
    """The directory, made by the first who needs it; the others wait."""
    with open(f"{directory}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not directory.exists():
            fresh = directory.with_name(directory.name + ".new")
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(parents=True)
            make(fresh)
            fresh.rename(directory)
    return directory


@pytest.fixture(scope="session")
def bare(shared: Path) -> Path:
    """The kernel of a guest that boots at once."""

    def make(directory: Path) -> None:
        flags = ["-m32", "-O2", "-ffreestanding", "-fno-pic", "-fno-stack-protector", "-fcf-protection=none", "-w"]
        link = ["-nostdlib", "-static", "-no-pie", "-Wl,-n,-Ttext=0x100000,--build-id=none,-z,noexecstack"]
        words = ["cc", *flags, *link, "-fno-asynchronous-unwind-tables", "-o", directory / "kernel"]
        subprocess.run([*words, HERE / "bare_guest.c"], check=True)

    return made_once(shared / "bare-guest", make) / "kernel"


@pytest.fixture(scope="session")
def kernel() -> Path:
    """A directory with Debian's kernel and its modules, numbered in the order in which they are to be loaded."""
    packages = sorted(PACKAGES.glob("linux-image-*.deb"))
    if not packages:
        pytest.skip(f"no package of a kernel in {PACKAGES}: tools/install fetches it")

    def make(directory: Path) -> None:
        found = read_kernel(packages[-1], MODULES)
        (directory / "vmlinux").write_bytes(found.vmlinux)
        for number, (name, content) in enumerate(found.modules):
            (directory / f"{number:02}-{name}.ko").write_bytes(content)

    return made_once(PACKAGES / f"{packages[-1].stem}.{'.'.join(MODULES)}", make)


@pytest.fixture(scope="session")
def linux(kernel: Path, shared: Path) -> Linux:
    busybox = shutil.which("busybox")
    assert busybox is not None

    def make(directory: Path) -> None:
        modules = sorted(kernel.glob("*.ko"))
        entries = [
            cpio.file("init", (HERE / "linux_init").read_bytes(), 0o755),
            *(cpio.directory(name) for name in ("proc", "sys", "dev", "root", "tmp")),
            cpio.character_device("dev/console", 5, 1),
            cpio.file("bin/busybox", Path(busybox).read_bytes(), 0o755),
            cpio.file("etc/passwd", f"root:{HASH}:0:0:root:/root:/bin/sh\n".encode()),
            cpio.file("modules/order", "".join(f"{module.name}\n" for module in modules).encode()),
            *(cpio.file(f"modules/{module.name}", module.read_bytes()) for module in modules),
        ]
        (directory / "initrd").write_bytes(cpio.archive(entries))

    return Linux(kernel / "vmlinux", made_once(shared / "linux-guest", make) / "initrd")
