"""Guests that fail: what is said, and when."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from vm_guests import LOGIN, Linux, node

from swarmrig.api import HasShell
from swarmrig.errors import NodeError
from swarmrig.nodes.vm.backend import VmBackend
from swarmrig.nodes.vm.node import VmNode
from swarmrig.testing import open_workbench

pytestmark = pytest.mark.anyio
PATIENCE_S = 60.0


def bare_options(bare: Path, **more: Any) -> dict[str, Any]:
    return {"kernel": bare, "memory": "16MiB", "accel": "tcg", **more}


async def failure_of(node: VmNode) -> NodeError:
    with anyio.fail_after(PATIENCE_S), pytest.raises(NodeError) as caught:
        await node.wait_exited()
    return caught.value


@contextmanager
def written_into(image: Path, kind: str) -> Iterator[None]:
    """Somebody else has the image as a disk."""
    command = ["qemu-system-x86_64", "-nodefaults", "-display", "none", "-S", "-monitor", "stdio", "-accel", "tcg"]
    disk = ["-drive", f"if=none,id=disk,format={kind},file={image}", "-device", "virtio-blk-pci,drive=disk"]
    program = subprocess.Popen([*command, *disk], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert program.stdin is not None and program.stdout is not None
    try:
        program.stdin.write(b"info block\n")
        program.stdin.flush()
        while b"disk" not in program.stdout.readline():
            pass  # it answers when all has been opened
        yield
    finally:
        program.kill()
        program.communicate()


async def test_a_kernel_that_panics_fails_the_node(linux: Linux, tmp_path: Path) -> None:
    options = linux.options(initrd=None, append="quiet")  # nothing to run: there is no root
    async with open_workbench(tmp_path, VmBackend(), node(options)) as bench, bench.node() as guest:
        error = await failure_of(guest)
    assert "its kernel gave up: " in error.message and "Kernel panic - not syncing: VFS" in error.message
    assert "its console ends with:\n" in error.message and error.log == "nodes/vm1/console.log"


async def test_the_pattern_of_a_panic_can_be_chosen(bare: Path, tmp_path: Path) -> None:
    spec = node(bare_options(bare, panic="oh no"))
    async with open_workbench(tmp_path, VmBackend(), spec) as bench, bench.node() as guest:
        await guest.write_console(b"Kernel panic - not syncing: not this one\noh no\n")
        assert "its kernel gave up: said oh no" in (await failure_of(guest)).message


async def test_no_pattern_is_no_panic(bare: Path, tmp_path: Path) -> None:
    spec = node(bare_options(bare, panic="", ready="said Kernel panic - not syncing"))
    async with open_workbench(tmp_path, VmBackend(), spec) as bench, bench.node() as guest:
        await guest.write_console(b"Kernel panic - not syncing\n")
        await guest.wait_until_ready(timeout_s=PATIENCE_S)
        await guest.kill()
        assert str(await guest.wait_exited()) == "SIGKILL"


async def test_who_never_gets_to_the_login_fails_with_the_end_of_its_console(bare: Path, tmp_path: Path) -> None:
    spec = node(bare_options(bare, login=LOGIN, deadline="2s"))
    async with open_workbench(tmp_path, VmBackend(), spec) as bench, bench.node() as guest:
        assert isinstance(guest, HasShell)
        with pytest.raises(NodeError, match="was not through with login on its console within 2 s of its start"):
            await guest.execute("true", timeout_s=PATIENCE_S)
        error = await failure_of(guest)
    assert error.message.endswith("beat (log: nodes/vm1/console.log)")


async def test_readiness_is_a_pattern_and_has_a_deadline(bare: Path, tmp_path: Path) -> None:
    good, bad = node(bare_options(bare, ready="^beat$")), node(bare_options(bare, ready="^done$", deadline="1s"), 2)
    async with open_workbench(tmp_path, VmBackend(), good, bad) as bench:
        async with bench.node("vm1") as guest:
            assert not isinstance(guest, HasShell)
            await guest.wait_until_ready(timeout_s=PATIENCE_S)
            assert (await guest.wait_for_console_text("^(bea).$", timeout_s=PATIENCE_S))[1] == "bea"
        async with bench.node("vm2") as guest:
            assert "was not through with /^done$/ on its console within 1 s" in (await failure_of(guest)).message


async def test_what_is_waited_for_is_the_next_one(bare: Path, tmp_path: Path) -> None:
    async with open_workbench(tmp_path, VmBackend(), node(bare_options(bare))) as bench, bench.node() as guest:
        for word in (b"one", b"two", b"two"):
            await guest.write_console(word + b"\n")
        for word in ("one", "two", "two"):
            await guest.wait_for_console_text(f"^said {word}$", timeout_s=PATIENCE_S)
        with pytest.raises(
            NodeError, match=r"was not said to match /\^said two\$/ within 0.2 s; its console ends with"
        ):
            await guest.wait_for_console_text("^said two$", timeout_s=0.2)


async def test_who_waits_hears_of_the_end(bare: Path, tmp_path: Path) -> None:
    async with open_workbench(tmp_path, VmBackend(), node(bare_options(bare))) as bench, bench.node() as guest:
        with pytest.raises(NodeError, match=r"ended \(SIGKILL\) before it was said to match"):
            async with anyio.create_task_group() as tasks:
                await guest.wait_for_console_text("^beat$", timeout_s=PATIENCE_S)
                tasks.start_soon(guest.kill)
                try:
                    await guest.wait_for_console_text("never", timeout_s=PATIENCE_S)
                except NodeError as error:
                    found = error
            raise found
        assert "its console ends with:\nready" in guest.last_words() or "beat" in guest.last_words()


async def test_after_a_reset_it_must_be_ready_anew(bare: Path, tmp_path: Path) -> None:
    spec = node(bare_options(bare, ready="^said hello$"))
    async with open_workbench(tmp_path, VmBackend(), spec) as bench, bench.node() as guest:
        await guest.write_console(b"hello\n")
        await guest.wait_until_ready(timeout_s=PATIENCE_S)
        await guest.reset()
        assert not guest.guest.ready.is_set()
        await guest.wait_for_console_text("^ready$", timeout_s=PATIENCE_S)
        await guest.write_console(b"hello\n")
        await guest.wait_until_ready(timeout_s=PATIENCE_S)


async def test_an_image_that_somebody_writes_into_is_refused(tmp_path: Path, bare: Path) -> None:
    """The tool notices that of a qcow2 image, before anything runs; of a raw one the emulator does."""
    for kind in ("qcow2", "raw"):
        image = tmp_path / f"disk.{kind}"
        subprocess.run(["qemu-img", "create", "-q", "-f", kind, image, "1M"], check=True)
        spec = node(bare_options(bare, disk=image))
        with (
            written_into(image, kind),
            pytest.raises(NodeError, match=r'(?s)Failed to get shared "write" lock') as caught,
        ):
            async with open_workbench(tmp_path, VmBackend(), spec) as bench, bench.node():
                pass
        if kind == "qcow2":
            assert caught.value.hint == "another program writes into it: give each its own copy, or end it"
        async with open_workbench(tmp_path, VmBackend(), spec) as bench, bench.node():
            pass  # now it can be had


async def test_two_guests_have_one_image_each_for_itself(tmp_path: Path, bare: Path) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(1 << 20))
    specs = [node(bare_options(bare, disk=image), number) for number in (1, 2)]
    async with open_workbench(tmp_path, VmBackend(), *specs) as bench, bench.node("vm1"), bench.node("vm2"):
        for name in ("vm1", "vm2"):
            await bench.trace(name).wait_for_console("^ready$", deadline_s=PATIENCE_S)
        backend = bench.backend
        assert isinstance(backend, VmBackend)
        plan, context = bench.plans["vm1"], bench.contexts["vm1"]
        assert not backend.read_back(plan, context)
        image.write_bytes(b"changed".ljust(1 << 20))
        assert "was written into while the run went on" in backend.read_back(plan, context)[0]
        told = backend.provenance(plan, context)
        assert told["kernel"] == str(bare) and len(told["kernel_sha256"]) == len(told["disk_sha256"]) == 64


async def test_an_emulator_that_does_not_start_says_why(tmp_path: Path, bare: Path) -> None:
    spec = node(bare_options(bare, machine_binary=tmp_path / "broken"))
    (tmp_path / "broken").write_text("#!/bin/sh\necho 'broken: no such machine' >&2; exit 1\n")
    (tmp_path / "broken").chmod(0o755)
    async with open_workbench(tmp_path, VmBackend(), spec) as bench:
        with pytest.raises(NodeError, match=r"(?s)ended \(exit 1\) before it was started.*broken: no such machine"):
            async with bench.node():
                pass
