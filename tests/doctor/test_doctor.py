"""The probes of `doctor`, on what is really here, and on programs that lie, fail and hang."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmrig.nodes.emulator import kvm
from swarmrig.runtime import doctor
from swarmrig.runtime.doctor import Probe, espressif_candidates, examine_host

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH of its own, with a shell and nothing else."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "sh").symlink_to("/bin/sh")
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("IDF_TOOLS_PATH", str(tmp_path / "idf"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    monkeypatch.setattr(doctor, "DEADLINE_S", 1.0)
    monkeypatch.setattr(kvm, "DEADLINE_S", 1.0)
    monkeypatch.setattr(kvm, "DEVICE", tmp_path / "kvm")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return programs


def program(path: Path, body: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def qemu(path: Path, version: str = "9.2.2", machines: str = "virt  RISC-V\nesp32c3  ESP32C3") -> None:
    program(
        path,
        f"""if [ "$1" = --version ]
        then echo "QEMU emulator version {version}"
        else printf "Supported:\\n{machines}\\n"
        fi""",
    )


async def probes() -> dict[str, Probe]:
    return {probe.name: probe for probe in await examine_host()}


async def test_this_machine_can_run_the_presets_and_is_told_so_in_time() -> None:
    begin = time.monotonic()
    found = await examine_host()
    assert time.monotonic() - begin < 5.0 + 5.0  # five alone; the tests share the machine
    names = [probe.name for probe in found]
    assert len(set(names)) == len(names)
    assert {"qemu-system-riscv32", "esp32s3", "esp32c3", "kvm", "tap", "user namespaces", "docker", "tshark"} <= {
        *names
    }
    required = [probe for probe in found if probe.required]
    assert [probe.name for probe in required] == ["qemu-system-riscv32"]
    assert (required[0].ok and "version 7" in required[0].detail) or "version" in required[0].detail
    assert all(probe.detail for probe in found) and all(probe.hint for probe in found if not probe.ok)


async def test_on_a_bare_machine_every_probe_says_what_to_install(path: Path) -> None:
    found = await probes()
    missing = {"qemu-system-riscv32", "qemu-system-arm", "qemu-system-x86_64", "esp32s3", "kvm", "tshark", "docker",
               "riscv64-unknown-elf-gcc", "arm-none-eabi-gcc", "user namespaces"}  # fmt: skip
    assert {name for name, probe in found.items() if not probe.ok} >= missing
    assert "apt install qemu-system-misc" in found["qemu-system-riscv32"].hint
    assert "apt install tshark" in found["tshark"].hint
    assert "Espressif" in found["esp32s3"].hint


async def test_emulators_that_are_too_old_strange_broken_or_hang(path: Path) -> None:
    qemu(path / "qemu-system-riscv32", version="6.2.0")
    qemu(path / "qemu-system-arm")
    program(path / "qemu-system-x86_64", "echo 'error while loading shared libraries' >&2; exit 127")
    program(path / "tshark", "while :; do :; done")
    program(path / "riscv64-unknown-elf-gcc", "exit 0")
    begin = time.monotonic()
    found = await probes()
    assert time.monotonic() - begin < 6.0
    assert "6.2.0" in found["qemu-system-riscv32"].detail and "7.2 or newer" in found["qemu-system-riscv32"].hint
    assert "no machine mps2-an385" in found["qemu-system-arm"].detail
    assert "shared libraries" in found["qemu-system-x86_64"].detail
    assert "did not end within 1 s" in found["tshark"].detail and not found["tshark"].ok
    assert found["riscv64-unknown-elf-gcc"].ok


async def test_slow_emulators_do_not_add_up(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "TOTAL_S", 0.5)
    for name in ("riscv32", "arm", "xtensa"):
        program(path / f"qemu-system-{name}", "while :; do :; done")
    begin = time.monotonic()
    found = await probes()
    assert time.monotonic() - begin < 4.0
    assert found["qemu-system-riscv32"].detail == found["esp32s3"].detail == "no result within 0.5 s"
    assert found["qemu-system-riscv32"].required


async def test_a_program_that_says_something_else_than_its_version(path: Path) -> None:
    program(path / "qemu-system-riscv32", "echo hello")
    assert "'hello'" in (await probes())["qemu-system-riscv32"].detail


async def test_espressif_emulators_are_found_where_their_installer_puts_them(path: Path, tmp_path: Path) -> None:
    qemu(path / "qemu-system-riscv32", machines="virt  RISC-V")
    tools = tmp_path / "idf" / "tools"
    qemu(tools / "qemu-riscv32/esp_develop_9.2.2_20250817/qemu/bin/qemu-system-riscv32")
    qemu(tools / "qemu-xtensa/esp_develop_9.0.0_20240606/qemu/bin/qemu-system-xtensa", machines="esp32  ESP32")
    found = await probes()
    assert found["esp32c3"].ok and "esp_develop_9.2.2" in found["esp32c3"].detail
    assert not found["esp32s3"].ok and "no machine esp32s3 in" in found["esp32s3"].detail
    assert len(espressif_candidates("riscv32")) == 2


@pytest.mark.parametrize(
    ("body", "ok", "detail"),
    [
        ("exit 43", True, "a guest ran"),
        ("exit 0", False, "a guest failed (exit 0)"),
        ("echo 'Could not access KVM kernel module' >&2; exit 1", False, "Could not access KVM"),
        ("while :; do :; done", False, "did not get anywhere"),
    ],
)
async def test_kvm_is_believed_only_when_a_guest_ran(
    path: Path, tmp_path: Path, body: str, ok: bool, detail: str
) -> None:
    (tmp_path / "kvm").touch()
    program(path / "qemu-system-x86_64", body)
    probe = (await probes())["kvm"]
    assert probe.ok is ok and detail in probe.detail


async def test_a_tap_interface_is_made_and_gone_again() -> None:
    probe = (await probes())["tap"]
    if os.geteuid() == 0 and Path("/dev/net/tun").exists():
        assert probe.ok
    assert not [name for name in os.listdir("/sys/class/net") if name.startswith("srdoctor")]


class Daemon:
    """Answers one connection on a unix socket."""

    def __init__(self, path: Path, answer: bytes | None) -> None:
        self._sock = socket.socket(socket.AF_UNIX)
        self._sock.bind(str(path))
        self._sock.listen()
        self._answer = answer
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._sock.accept()
        with connection:
            connection.recv(1000)
            if self._answer is None:
                connection.recv(1000)  # until the client gives up
            else:
                connection.sendall(self._answer)

    def close(self) -> None:
        self._thread.join()
        self._sock.close()


@pytest.fixture
def daemon(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path / "docker.sock", request.param)
    yield daemon
    daemon.close()


@pytest.mark.parametrize(
    ("daemon", "ok", "detail"),
    [
        (b"HTTP/1.0 200 OK\r\nServer: Docker/20.10.24\r\n\r\nOK", True, "Docker/20.10.24"),
        (b"HTTP/1.0 500 Internal\r\n\r\n", False, "does not answer as"),
        (b"", False, "does not answer as"),
        (b"SSH-2.0-x\r\n", False, "does not answer as"),
        (None, False, "no answer"),
    ],
    indirect=["daemon"],
)
async def test_docker_must_answer(path: Path, daemon: Daemon, ok: bool, detail: str) -> None:
    probe = (await probes())["docker"]
    assert probe.ok is ok and detail in probe.detail


async def test_a_docker_socket_without_a_daemon(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "docker.sock"))
    assert "refused" in (await probes())["docker"].detail
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    assert "tcp://127.0.0.1:1" in (await probes())["docker"].detail
