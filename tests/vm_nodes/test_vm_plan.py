"""What is planned for a virtual machine, and what is refused before anything runs."""

from __future__ import annotations

import re
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from vm_guests import LOGIN, node

from swarmrig.api import NodePlan
from swarmrig.errors import HostError, NodeError, ScenarioError, SwarmrigError
from swarmrig.nodes.emulator import kvm
from swarmrig.nodes.vm.backend import VmBackend
from swarmrig.nodes.vm.options import VmOptions, options_of
from swarmrig.plugins import Registry
from swarmrig.scenario.load import load_scenario
from swarmrig.scenario.resolved import dump_scenario
from swarmrig.testing.workbench import scenario_of

pytestmark = pytest.mark.anyio


async def plan_of(options: dict[str, Any], **more: Any) -> NodePlan:
    spec = node(options, **more)
    return await VmBackend().plan(spec, scenario_of(spec))


async def refusal(options: dict[str, Any]) -> SwarmrigError:
    with pytest.raises((NodeError, HostError)) as caught:
        await plan_of(options)
    return caught.value


def value_of(command: tuple[str, ...], option: str) -> str:
    return command[command.index(option) + 1]


def with_pvh_note(path: Path, kind: int = 18) -> Path:
    """The smallest ELF file for x86-64 that has a note of Xen's."""
    note = struct.pack("<III4sQ", 4, 8, kind, b"Xen\0", 0x100000)
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    program = struct.pack("<IIQQQQQQ", 4, 4, 120, 0, 0, len(note), len(note), 4)
    path.write_bytes(header + program + note)
    return path


@pytest.fixture
def fast(no_kvm: Path) -> None:
    """No guest is run to find out about KVM."""


@pytest.fixture
def qcow2(tmp_path: Path) -> Path:
    path = tmp_path / "base,1.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "8M"], check=True)
    return path


async def test_a_kernel_is_started_with_its_place_in_the_network(bare: Path, tmp_path: Path) -> None:
    initrd = tmp_path / "ramdisk,2"
    initrd.write_bytes(b"070701")
    options = {
        "kernel": bare,
        "initrd": initrd,
        "append": "quiet mode={a}",
        "accel": "tcg",
        "cpus": 2,
        "memory": "1GiB",
    }
    plan = await plan_of(options)
    command = plan.command
    assert value_of(command, "-kernel") == str(bare)
    assert value_of(command, "-initrd") == str(initrd).replace(",", ",,")
    assert value_of(command, "-append").startswith("quiet mode={{a}} console=ttyS0 {ip} SWARMRIG_NODE={SWARMRIG_NODE} ")
    assert (value_of(command, "-smp"), value_of(command, "-m"), value_of(command, "-cpu")) == ("2", "1024M", "max")
    assert "name=opt/org.swarmrig/target,string={SWARMRIG_TARGET}" in command
    assert not plan.address_by_dhcp and plan.memory.ram == ((0, 1 << 30),)
    assert plan.details["accelerator"] == "tcg" and not plan.warnings
    assert "HasShell" not in plan.capabilities


async def test_what_the_append_says_itself_is_not_said_again(bare: Path) -> None:
    append = value_of(
        (await plan_of({"kernel": bare, "append": "console=hvc0 ip=dhcp", "accel": "tcg"})).command, "-append"
    )
    assert "ttyS0" not in append and "{ip}" not in append


async def test_a_disk_boots_by_itself_and_is_leased_an_address(qcow2: Path) -> None:
    plan = await plan_of({"disk": qcow2, "accel": "tcg", "login": LOGIN, "memory": "3GiB"})
    assert plan.address_by_dhcp and "-kernel" not in plan.command
    assert "if=none,id=disk,format=qcow2,cache=unsafe,discard=unmap,file={overlay}" in plan.command
    assert (plan.details["disk_format"], plan.details["disk_bytes"]) == ("qcow2", 8 << 20)
    assert plan.memory.ram == ((0, 2 << 30), (4 << 30, 1 << 30))
    assert "HasShell" in plan.capabilities
    assert not (await plan_of({"disk": qcow2, "accel": "tcg", "dhcp": False})).address_by_dhcp


async def test_an_image_without_the_magic_is_raw(tmp_path: Path, qcow2: Path) -> None:
    raw = tmp_path / "disk.img"
    raw.write_bytes(bytes(1 << 20))
    assert (await plan_of({"disk": raw, "accel": "tcg"})).details["disk_format"] == "raw"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file"),
        (b"", "is empty"),
        (b"#!/bin/sh\n", "is no kernel for a PC: neither a bzImage nor an ELF file"),
        (b"\x7fELF" + bytes(100), "has no PVH entry"),
        (Path("/bin/true").read_bytes(), "has no PVH entry"),
    ],
)
async def test_what_is_no_kernel_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    kernel = tmp_path / "kernel"
    if content is not None:
        kernel.write_bytes(content)
    assert message in str(await refusal({"kernel": kernel, "accel": "tcg"}))


async def test_what_may_be_a_kernel_is_taken(tmp_path: Path) -> None:
    bzimage = tmp_path / "vmlinuz"
    bzimage.write_bytes(bytes(0x202) + b"HdrS" + bytes(100))
    for kernel in (bzimage, with_pvh_note(tmp_path / "vmlinux")):
        assert str(kernel) in (await plan_of({"kernel": kernel, "accel": "tcg"})).command
    assert "no PVH entry" in str(await refusal({"kernel": with_pvh_note(tmp_path / "other", 17), "accel": "tcg"}))


async def test_missing_and_damaged_files_are_named(bare: Path, tmp_path: Path, qcow2: Path) -> None:
    nothing, empty = tmp_path / "nothing", tmp_path / "empty"
    empty.touch()
    assert f"initrd: {nothing} cannot be read" in str(await refusal({"kernel": bare, "initrd": nothing}))
    assert f"initrd: {empty} is empty" in str(await refusal({"kernel": bare, "initrd": empty}))
    assert f"disk: {nothing} cannot be read" in str(await refusal({"disk": nothing}))
    assert f"disk: {empty} is empty" in str(await refusal({"disk": empty}))
    damaged = qcow2.read_bytes()
    qcow2.write_bytes(damaged[:8] + b"\xff" * 20 + damaged[28:])
    assert "disk: the image cannot be used" in str(await refusal({"disk": qcow2, "accel": "tcg"}))


async def test_without_programs_it_says_what_to_install(
    bare: Path, qcow2: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (await refusal({"kernel": bare})).hint == "apt install qemu-system-x86"
    missing = await refusal({"kernel": bare, "machine_binary": tmp_path / "my-qemu"})
    assert f"machine_binary: {tmp_path}/my-qemu does not exist" in str(missing)
    (tmp_path / "qemu-system-x86_64").write_text("#!/bin/sh\n")
    (tmp_path / "qemu-system-x86_64").chmod(0o755)
    assert (await refusal({"disk": qcow2, "accel": "tcg"})).hint == "apt install qemu-utils"


async def test_kvm_is_used_where_it_was_seen_to_work(
    bare: Path, no_kvm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator = tmp_path / "my-qemu"
    emulator.write_text("#!/bin/sh\nexit 43\n")
    emulator.chmod(0o755)
    no_kvm.touch()
    for accel in ("auto", "kvm"):
        plan = await plan_of({"kernel": bare, "machine_binary": emulator, "accel": accel})
        assert (value_of(plan.command, "-accel"), value_of(plan.command, "-cpu")) == ("kvm", "host")
        assert not plan.warnings
    assert (await plan_of({"kernel": bare, "machine_binary": emulator, "accel": "tcg"})).details["accelerator"] == "tcg"


async def test_kvm_that_lets_guests_hang_is_not_used(
    bare: Path, no_kvm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kvm, "DEADLINE_S", 0.3)
    emulator = tmp_path / "my-qemu"
    emulator.write_text("#!/bin/sh\nexec sleep 60\n")
    emulator.chmod(0o755)
    no_kvm.touch()
    options = {"kernel": bare, "machine_binary": emulator}
    plan = await plan_of({**options, "accel": "auto"})
    assert plan.details["accelerator"] == "tcg" and "did not get anywhere" in plan.details["kvm"]
    assert "emulated (TCG), which is slow" in plan.warnings[0]
    refused = await refusal({**options, "accel": "kvm"})
    assert "accel: kvm cannot be relied upon here" in str(refused) and "did not get anywhere" in str(refused)
    assert refused.hint is not None and "accel: auto" in refused.hint and "swarmrig doctor" in refused.hint


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "expected a `kernel` or a `disk`"),
        ({"disk": "d", "initrd": "i"}, "`initrd` needs a `kernel`"),
        ({"disk": "d", "append": "quiet"}, "`append` needs a `kernel`"),
        ({"kernel": "k", "boot_commands": ["true"]}, "`boot_commands` need a `login`"),
        ({"kernel": "k", "append": "a\nb"}, "one line of printable text"),
        ({"kernel": "k", "login": {"user": "a\nb"}}, "one line of printable text"),
        ({"kernel": "k", "ready": "("}, "no regular expression"),
        ({"kernel": "k", "panic": "*"}, "no regular expression"),
        ({"kernel": "k", "login": {"prompt": "["}}, "no regular expression"),
        ({"kernel": "k", "memory": "1MiB"}, "greater than or equal to"),
        ({"kernel": "k", "memory": (16 << 20) + 1}, "multiple of"),
        ({"kernel": "k", "cpus": 0}, "greater than or equal to 1"),
        ({"kernel": "k", "accel": "xen"}, "'auto', 'tcg' or 'kvm'"),
        ({"kernel": "k", "deadline": "soon"}, "expected a duration"),
        ({"kernel": "k", "kernal": "k"}, "Extra inputs"),
    ],
)
def test_what_contradicts_itself_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(message)):
        VmOptions.model_validate(options)


SCENARIO = """
swarmrig: 1
name: one
nodes:
  web:
    kind: vm
    kernel: guest/vmlinuz
    initrd: guest/initrd
    login: {user: root, password: 1234}
    boot_commands: [true]
    deadline: 30s
"""


def test_paths_are_relative_to_the_file_and_the_resolved_file_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "one.swarmrig.yml"
    path.write_text(SCENARIO)
    registry = Registry.load()
    scenario = load_scenario(path, registry=registry)
    options = options_of(scenario.nodes[0].options)
    assert options.kernel == tmp_path / "guest/vmlinuz"
    assert options.login is not None and options.login.password == "1234"
    assert (options.boot_commands, options.deadline) == (("true",), 30_000_000_000)
    again = tmp_path / "elsewhere" / "again.swarmrig.yml"
    again.parent.mkdir()
    again.write_text(dump_scenario(scenario))
    assert load_scenario(again, registry=registry).nodes[0].options == scenario.nodes[0].options


def test_mistakes_have_their_place(tmp_path: Path) -> None:
    path = tmp_path / "one.swarmrig.yml"
    path.write_text(SCENARIO.replace("deadline: 30s", "deadline: never\n    memery: 1GiB"))
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path, registry=Registry.load())
    text = str(caught.value)
    assert "one.swarmrig.yml:11" in text and "memory" in text


async def test_what_has_no_effect_is_said(bare: Path, fast: None) -> None:
    plan = await plan_of({"kernel": bare}, nvs={"ssid": "x"})
    assert "nvs values have no effect on a virtual machine" in plan.warnings
    assert await VmBackend().prevents_virtual_time(plan.spec)


async def test_a_directory_is_no_kernel(tmp_path: Path) -> None:
    assert "Is a directory" in str(await refusal({"kernel": tmp_path, "accel": "tcg"}))
