"""Emulators that die, hang, lie and flood: each gives a clear error in time, and harms nobody else."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from swarmrig.api.nodes import ExitStatus
from swarmrig.errors import HostError, NodeError
from swarmrig.model.scenario import FirmwareSpec, NodeSpec, Role
from swarmrig.nodes import console
from swarmrig.nodes.emulator import memory, monitor, process
from swarmrig.nodes.qemu.backend import QemuBackend
from swarmrig.nodes.qemu.firmware import firmware_path
from swarmrig.testing import open_workbench

pytestmark = pytest.mark.anyio

Fake = Callable[..., NodeSpec]


async def start_error(spec: NodeSpec, directory: Path) -> tuple[NodeError, float]:
    """What starting the node raises, and after how many seconds."""
    async with open_workbench(directory, QemuBackend(), spec) as bench:
        begin = time.monotonic()
        with pytest.raises(NodeError) as caught:
            async with bench.node():
                pytest.fail("the node started")
        return caught.value, time.monotonic() - begin


async def test_death_at_start_is_told_at_once_with_its_own_words(fake_emulator: Fake, tmp_path: Path) -> None:
    spec = fake_emulator('sys.stderr.write("could not load PC BIOS\\n"); sys.exit(1)')
    error, seconds = await start_error(spec, tmp_path)
    assert "n1" in error.message and "exit 1" in error.message and "could not load PC BIOS" in error.message
    assert error.log is not None and Path(error.log).read_text() == "could not load PC BIOS\n"
    assert seconds < 1.0


async def test_death_at_start_without_a_word(fake_emulator: Fake, tmp_path: Path) -> None:
    error, seconds = await start_error(fake_emulator("os.kill(os.getpid(), signal.SIGSEGV)"), tmp_path)
    assert "SIGSEGV" in error.message and "nothing to stderr" in error.message
    assert seconds < 1.0


async def test_words_of_the_real_emulator(tmp_path: Path) -> None:
    spec = NodeSpec(
        id="n1",
        number=1,
        machine="generic",
        firmware=FirmwareSpec(image=firmware_path("refnode-rv32")),
        options={"arch": "riscv32", "qemu_machine": "no-such-board"},
    )
    error, seconds = await start_error(spec, tmp_path)
    assert "unsupported machine type" in error.message
    assert seconds < 1.0


async def test_an_emulator_that_never_greets(
    fake_emulator: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "START_DEADLINE_S", 0.5)
    error, seconds = await start_error(fake_emulator("live()"), tmp_path)
    assert "not started within 0.5 s" in error.message
    assert seconds < 3.0


async def test_closing_the_monitor_is_not_a_greeting(fake_emulator: Fake, tmp_path: Path) -> None:
    spec = fake_emulator('monitor.close(); sys.stderr.write("oops\\n"); time.sleep(0.1); sys.exit(3)')
    error, seconds = await start_error(spec, tmp_path)
    assert "exit 3" in error.message and "oops" in error.message
    assert seconds < 1.0


async def test_death_in_the_middle_is_noticed_with_all_that_was_said(fake_emulator: Fake, tmp_path: Path) -> None:
    spec = fake_emulator(
        """
        greet()
        console.recv(1)
        console.sendall(b"x" * 100_000 + b"\\nlast line\\n")
        sys.stderr.write("qemu: fatal: Trying to execute code outside RAM\\n")
        os.kill(os.getpid(), signal.SIGABRT)
        """
    )
    async with open_workbench(tmp_path, QemuBackend(), spec) as bench, bench.node() as node:
        begin = time.monotonic()
        await node.write_console(b"!")  # type: ignore[attr-defined]
        assert await node.wait_exited() == ExitStatus(None, 6)
        assert time.monotonic() - begin < 1.0
        assert bench.trace().text.endswith("\nlast line\n") and len(bench.trace().text) == 100_011
        assert "outside RAM" in node.last_words()


async def test_exit_0_is_an_exit_like_any_other(fake_emulator: Fake, tmp_path: Path) -> None:
    async with open_workbench(tmp_path, QemuBackend(), fake_emulator("greet()")) as bench, bench.node() as node:
        with anyio.fail_after(2):
            assert await node.wait_exited() == ExitStatus(0, None)
        with pytest.raises(NodeError, match="has ended before"):
            await node.kill()  # type: ignore[attr-defined]
        with pytest.raises(NodeError, match="n1"):
            await node.pause()  # type: ignore[attr-defined]
        with pytest.raises(NodeError, match="console is closed"):
            for _ in range(3):  # the first ones may still find room
                await node.write_console(b"x" * 1_000_000)  # type: ignore[attr-defined]


async def test_an_emulator_that_ignores_the_request_to_end(fake_emulator: Fake, tmp_path: Path) -> None:
    spec = fake_emulator("signal.signal(signal.SIGTERM, signal.SIG_IGN); greet(); console.sendall(b'up\\n'); live()")
    async with open_workbench(tmp_path, QemuBackend(), spec) as bench:
        async with bench.node():
            await bench.trace().wait_for_console("up")
            begin = time.monotonic()
        assert time.monotonic() - begin < process.STOP.term_s + 1.0


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("greet()", "did not answer 'stop' within 0.3 s"),
        ("monitor.sendall(b'hello\\n')", "cannot be asked to 'stop'"),
        ("greet(); monitor.recv(999); monitor.shutdown(2)", "cannot be asked to 'stop'"),
        ("greet(); monitor.recv(999); monitor.sendall(b'[]\\n')", "cannot be asked to 'stop'"),
    ],
)
async def test_monitors_that_do_not_talk(
    fake_emulator: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, words: str
) -> None:
    if "within" in words:
        monkeypatch.setattr(monitor, "DEADLINE_S", 0.3)
    spec = fake_emulator(f"{answer}; live()")
    async with open_workbench(tmp_path, QemuBackend(), spec) as bench, bench.node() as node:
        with pytest.raises(NodeError) as caught:
            await node.pause()  # type: ignore[attr-defined]
        assert words in str(caught.value)
        with pytest.raises(NodeError):  # and it stays an error, not a traceback
            await node.resume()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("", "within 0.3 s"),
        ("memory.sendall(b'FAIL Unknown command\\n')", "FAIL Unknown command"),
        ("memory.sendall(b'OK !!!\\n')", "'!!!'"),
        ("memory.recv(99); memory.close()", "it is gone"),
    ],
)
async def test_memories_that_do_not_talk(
    fake_emulator: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, words: str
) -> None:
    if "within" in words:
        monkeypatch.setattr(memory, "DEADLINE_S", 0.3)
    spec = fake_emulator(f"greet(); {answer}; live()" if answer else "greet(); live()")
    async with open_workbench(tmp_path, QemuBackend(), spec) as bench, bench.node() as node:
        with pytest.raises(NodeError) as caught:
            await node.read_memory(0x1000, 4)  # type: ignore[attr-defined]
        assert words in str(caught.value)


async def test_a_flooding_console_starves_nobody_and_costs_no_memory(
    fake_emulator: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "LOG_LIMIT", 1 << 20)
    flood = fake_emulator("greet(); data = b'0123456789abcde\\n' * 4096\nwhile True: console.sendall(data)", "flood", 7)
    good = NodeSpec(id="good", number=1, role=Role.COORDINATOR)
    async with open_workbench(tmp_path, QemuBackend(), flood, good) as bench:
        received = 0

        def swallow(t_ns: int, chunk: bytes) -> None:
            nonlocal received
            received += len(chunk)

        bench.traces["flood"].on_console = swallow  # type: ignore[method-assign]
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        async with bench.node("flood"), bench.node("good") as node:
            trace = bench.traces["good"]
            await trace.wait_for_console("app_main", deadline_s=10)
            for asked in range(1, 21):
                await node.write_console(b"help\r")  # type: ignore[attr-defined]
                await trace.wait_for_console("stats", count=asked, deadline_s=2)
                await node.read_memory(0x8000_0000, 16)  # type: ignore[attr-defined]
            while received < 2 << 20:
                await anyio.sleep(0.01)
        grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        log = tmp_path / "nodes/flood/console.log"
        assert log.stat().st_size == (1 << 20) + len(console.TRUNCATED)
        assert log.read_bytes().endswith(console.TRUNCATED)
        assert grown_kib < 30_000


async def test_a_flood_on_stderr_ends_its_writer(
    fake_emulator: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "FILE_SIZE_LIMIT", 4 << 20)
    spec = fake_emulator(
        """
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it, C programs do not
        greet()
        while True:
            os.write(2, b"warning: this is fine\\n" * 4096)
        """
    )
    async with open_workbench(tmp_path, QemuBackend(), spec) as bench, bench.node() as node:
        with anyio.fail_after(10):
            assert str(await node.wait_exited()) == "SIGXFSZ"
        assert (tmp_path / "nodes/n1/stderr.log").stat().st_size <= 4 << 20
        assert 0 < len(node.last_words()) < 2000


async def test_a_log_that_cannot_be_written_is_an_error_but_the_guest_is_still_read(
    fake_emulator: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def on_full_disk(node: str, sock: socket.socket, log: Path, sink: Callable[[bytes], None]) -> object:
        return open_console(node, sock, Path("/dev/full"), sink)

    open_console = console.open_console
    monkeypatch.setattr(process, "open_console", on_full_disk)
    spec = fake_emulator("greet(); console.recv(1); console.sendall(b'hello\\n'); live()")
    with pytest.raises(HostError, match="could not be logged on: No space left on device"):
        async with open_workbench(tmp_path, QemuBackend(), spec) as bench, bench.node() as node:
            await node.write_console(b"!")  # type: ignore[attr-defined]
            await bench.trace().wait_for_console("hello")


async def test_a_console_log_that_cannot_be_made(fake_emulator: Fake, tmp_path: Path) -> None:
    (tmp_path / "nodes/n1/console.log").mkdir(parents=True)
    async with open_workbench(tmp_path, QemuBackend(), fake_emulator("greet(); live()")) as bench:
        with pytest.raises(HostError, match=r"console.log cannot be written"):
            async with bench.node():
                pytest.fail("the node started")
