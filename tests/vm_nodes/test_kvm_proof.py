"""KVM is believed when a guest ran: the guest itself, and what is made of how it fares."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from swarmrig.nodes.emulator import kvm

pytestmark = pytest.mark.anyio

COUNTING = 'echo started >>"$0.count"\n'


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A KVM device that is there, and a cache of the test's own."""
    monkeypatch.setattr(kvm, "DEVICE", tmp_path / "kvm")
    monkeypatch.setattr(kvm, "DEADLINE_S", 1.0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "kvm").touch()
    return tmp_path / "kvm"


@pytest.fixture
def emulator(tmp_path: Path) -> Path:
    return tmp_path / "qemu-system-x86_64"


def becomes(emulator: Path, body: str) -> None:
    emulator.write_text(f"#!/bin/sh\n{COUNTING}{body}\n")
    emulator.chmod(0o755)


def starts(emulator: Path) -> int:
    counted = Path(f"{emulator}.count")
    return len(counted.read_text().splitlines()) if counted.exists() else 0


@pytest.mark.parametrize(
    ("body", "ok", "detail"),
    [
        ("exit 43", True, "a guest ran"),
        ("exit 0", False, "a guest failed (exit 0)"),
        ("echo 'Could not access KVM kernel module' >&2; exit 1", False, "Could not access KVM kernel module"),
        ("exec sleep 30", False, "a guest did not get anywhere within 1 s"),
    ],
)
async def test_how_a_guest_fares_decides_and_is_remembered(
    device: Path, emulator: Path, body: str, ok: bool, detail: str
) -> None:
    becomes(emulator, body)
    found = await kvm.proved(emulator)
    assert found.ok is ok and detail in found.detail and bool(found.hint) is not ok
    assert await kvm.proved(emulator) == found
    assert starts(emulator) == 1


async def test_another_emulator_is_another_question(device: Path, emulator: Path) -> None:
    becomes(emulator, "exit 0")
    assert not (await kvm.proved(emulator)).ok
    becomes(emulator, "exit 43  # repaired")
    assert (await kvm.proved(emulator)).ok
    assert starts(emulator) == 2


async def test_after_a_restart_of_the_machine_it_is_tried_again(
    device: Path, emulator: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    becomes(emulator, "exit 43")
    await kvm.proved(emulator)
    monkeypatch.setattr(kvm, "boot_id", lambda: "another")
    await kvm.proved(emulator)
    assert starts(emulator) == 2
    assert len(list(Path(os.environ["XDG_CACHE_HOME"], "swarmrig").iterdir())) == 1  # former answers have gone


async def test_a_device_that_is_gone_is_not_believed_to_work(device: Path, emulator: Path) -> None:
    becomes(emulator, "exit 43")
    assert (await kvm.proved(emulator)).ok
    device.unlink()
    found = await kvm.proved(emulator)
    assert not found.ok and "does not exist" in found.detail and found.hint


@pytest.mark.parametrize("content", ["", "{", "[]", '{"ok": true}', "null"])
async def test_a_damaged_memory_is_no_proof(device: Path, emulator: Path, content: str) -> None:
    becomes(emulator, "exit 0")
    await kvm.proved(emulator)
    for file in Path(os.environ["XDG_CACHE_HOME"], "swarmrig").iterdir():
        file.write_text(content)
    assert not (await kvm.proved(emulator)).ok
    assert starts(emulator) == 2


async def test_it_works_without_a_place_to_remember(
    device: Path, emulator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    becomes(emulator, "exit 43")
    assert (await kvm.proved(emulator)).ok and (await kvm.proved(emulator)).ok
    assert starts(emulator) == 2


def test_the_guest_begins_where_processors_do() -> None:
    rom = kvm.firmware()
    assert len(rom) == 0x10000
    assert rom[0xFFF0:0xFFF5] == bytes.fromhex("ea000000f0")
    assert rom[0x121:0x123] == bytes.fromhex("ffc3")  # the handler, where the gate leads
    assert rom[0x150:0x152] == bytes.fromhex("1f00")  # gdtr, where lgdt looks
    assert kvm.tiny_guest(Path("q"), "kvm", Path("/a,b"))[-3] == "/a,,b"


async def test_the_guest_runs_to_its_end_under_emulation(tmp_path: Path) -> None:
    """The control: the same guest, where it must run."""
    emulator = shutil.which("qemu-system-x86_64")
    assert emulator is not None
    rom = tmp_path / "rom"
    rom.write_bytes(kvm.firmware())
    done = subprocess.run(kvm.tiny_guest(Path(emulator), "tcg", rom), timeout=60, capture_output=True)
    assert done.returncode == kvm.EXIT_CODE, done.stderr
