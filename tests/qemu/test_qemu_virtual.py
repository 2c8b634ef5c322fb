"""QEMU nodes in virtual time: which can, why others cannot, the exact command line, and real guests on a channel."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import struct
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import anyio
import pytest

from swarmrig.api.nodes import CanKill, ExitStatus, HasNmi, LaunchContext, Node, NodePlan
from swarmrig.errors import NodeError
from swarmrig.model.network import PortKind
from swarmrig.model.scenario import FirmwareSpec, NetworkMode, NetworkSpec, NodeSpec, Scenario, TimeMode
from swarmrig.net.topology import AGGREGATOR, plan_network
from swarmrig.nodes.qemu import virtual
from swarmrig.nodes.qemu.backend import QemuBackend
from swarmrig.nodes.qemu.firmware import firmware_path
from swarmrig.nodes.qemu.machines import MACHINES, Machine
from swarmrig.proc import RunScope, open_spawner
from swarmrig.timebase import plugin, protocol
from swarmrig.timebase.protocol import Decoder, Feature, Hello, Message, Report

pytestmark = pytest.mark.anyio

SENSOR = NodeSpec("s1", 1, scenario=2)
MAC = "52:54:00:01:02:03"
S = 10**9
PATIENCE_S = 20.0
ARM = {"arch": "arm", "qemu_machine": "mps2-an385", "onboard_nic": "lan9118"}


def scenario(*nodes: NodeSpec, seed: int = 3, mode: NetworkMode = NetworkMode.FABRIC) -> Scenario:
    return Scenario("t", 10 * S, seed, TimeMode.VIRTUAL, NetworkSpec(mode=mode), nodes or (SENSOR,))


def generic(machine: dict[str, Any], image: Path | None = None, **options: Any) -> NodeSpec:
    firmware = FirmwareSpec(image=image or firmware_path("refnode-rv32"))
    return NodeSpec("g", 2, machine="generic", firmware=firmware, options={**machine, **options})


@pytest.fixture
def arm_image(tmp_path: Path) -> Path:
    """What passes for code for Arm: nothing runs it."""
    image = tmp_path / "app.elf"
    image.write_bytes(b"\x7fELF\x01\x01\x01" + bytes(9) + b"\x02\x00" + (40).to_bytes(2, "little") + bytes(40))
    return image


# --- the plan --------------------------------------------------------------------------------------------------------


async def test_the_command_of_the_reference_device() -> None:
    plan = await QemuBackend().plan(SENSOR, scenario())
    library = plugin.libraries()[int(plan.details["plugin_api"])]
    command = " ".join(plan.command).replace("{mac}", MAC).replace("{flash}", "/run/flash.bin")
    assert command == (
        f"{shutil.which('qemu-system-riscv32')} -nodefaults -no-user-config -display none -name guest=s1 "
        "-machine virt -accel tcg,tb-size=8 -m 16M -global virtio-mmio.force-legacy=off "
        f"-bios {firmware_path('refnode-rv32')} -drive if=pflash,unit=1,format=raw,file=/run/flash.bin "
        "-chardev null,id=console -serial chardev:console "
        "-chardev socket,id=monitor,fd=4 -mon chardev=monitor,mode=control "
        "-netdev hubport,id=net,hubid=0 -global virtio-mmio.ioeventfd=off "
        f"-device virtio-net-device,netdev=net,mac={MAC},tx=timer,x-txtimer=1000 "
        "-icount shift=4,sleep=off -rtc base=2020-01-01T00:00:00,clock=vm -seed 769 "
        "-global migration.store-global-state=off "
        f"-plugin file={library},fd=6,netdev=net,console=console"
    )


async def test_the_command_of_an_arm_board(arm_image: Path) -> None:
    spec = generic(ARM, arm_image, args=("-d", "unimp"))
    plan = await QemuBackend().plan(spec, scenario(SENSOR, spec))
    command = " ".join(plan.command)
    assert f"-kernel {arm_image} -chardev null,id=console " in command
    assert " -netdev hubport,id=net,hubid=0 -net nic,netdev=net,model=lan9118,macaddr={mac} -icount " in command
    assert "virtio" not in command and "qtest" not in command
    assert command.endswith("fd=6,netdev=net,console=console -d unimp")


async def test_a_guest_without_a_network() -> None:
    spec = generic({"arch": "riscv32", "qemu_machine": "virt"}, bios="none", load="loader")
    command = " ".join((await QemuBackend().plan(spec, scenario(spec))).command)
    assert "netdev" not in command and "fd=6,console=console" in command


async def test_what_the_plan_says_of_virtual_time() -> None:
    plan = await QemuBackend().plan(SENSOR, scenario())
    assert plan.port is PortKind.LOCKSTEP
    assert plan.capabilities >= {
        *("HasConsole", "CanPause", "CanReset", "CanKill", "CanPowerCycle", "HasMemory", "HasFlash")
    }
    assert plan.details["icount_shift"] == 4
    assert Path(str(plan.details["plugin"])).name == f"lockstep-api{plan.details['plugin_api']}.so"


@pytest.mark.parametrize("time", [TimeMode.REAL, TimeMode.AUTO])
async def test_other_times_know_nothing_of_it(time: TimeMode) -> None:
    plan = await QemuBackend().plan(SENSOR, replace(scenario(), time=time))
    assert plan.port is PortKind.PACKET and "HasConsole" in plan.capabilities
    assert not {"-icount", "-plugin", "-seed"} & set(plan.command) and "plugin" not in plan.details


def test_every_guest_has_a_seed_of_its_own() -> None:
    seeds = {virtual.guest_seed(seed, number) for seed in (0, 1, 2**40) for number in range(256)}
    assert len(seeds) == 3 * 256
    assert virtual.guest_seed(2**63 - 1, 255) < 2**64


async def test_the_rig_s_nat_is_no_place_for_virtual_time() -> None:
    with pytest.raises(NodeError, match="mode user lives by this machine's clock"):
        await QemuBackend().plan(SENSOR, scenario(mode=NetworkMode.USER))


# --- what prevents it ------------------------------------------------------------------------------------------------


async def prevented(spec: NodeSpec, backend: QemuBackend | None = None) -> str | None:
    return await (backend or QemuBackend()).prevents_virtual_time(spec)


async def test_nothing_prevents_what_is_known(arm_image: Path) -> None:
    assert await prevented(SENSOR) is None
    assert await prevented(generic({"arch": "riscv32", "qemu_machine": "virt", "nic": "virtio-net-device"})) is None
    assert await prevented(generic(ARM, arm_image, args=("-append", "x", "-d", "unimp"))) is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"args": ("-smp", "2")}, "`args` has -smp, which virtual time settles itself (with one processor)"),
        ({"args": ("-seed", "1", "-icount", "shift=1")}, "`args` has -icount, -seed, which virtual time settles"),
        ({"args": ("-rtc", "base=utc", "-device", "edu")}, "`args` has -rtc, which"),
        ({"args": ("-device", "edu")}, "`args` has -device: whether that keeps to virtual time is not known"),
        ({"args": ("-global", "virtio-mmio.ioeventfd=on")}, "`args` has -global"),
    ],
)
async def test_arguments_that_prevent_it(options: dict[str, Any], said: str) -> None:
    spec = replace(SENSOR, options=options)
    assert said in str(await prevented(spec))
    with pytest.raises(NodeError) as caught:
        await QemuBackend().plan(spec, scenario(spec))
    assert said in caught.value.message and caught.value.hint == "use `time: real`"


async def test_machines_that_prevent_it() -> None:
    known = "virtual time knows the QEMU machines virt (riscv32) and mps2-an385 (arm), not "
    other = generic({"arch": "riscv32", "qemu_machine": "sifive_e"})
    assert await prevented(other) == known + "sifive_e (riscv32)"
    card = generic({"arch": "riscv32", "qemu_machine": "virt", "nic": "e1000"})
    assert await prevented(card) == "of the network devices of virt, virtual time knows virtio-net-device, not e1000"


async def test_a_machine_that_halts_on_reboot_prevents_it() -> None:
    class Halting(QemuBackend):
        machines: ClassVar[dict[str, Machine]] = {
            "refnode-rv32": replace(MACHINES["refnode-rv32"], halts_on_reboot=True)
        }

    assert "not virt (riscv32)" in str(await prevented(SENSOR, Halting()))


@pytest.mark.parametrize("options", [{"machine_binary": "/no/such/qemu"}, {"memory": -1}])
async def test_what_is_wrong_in_any_time_is_for_the_plan_to_say(options: dict[str, Any]) -> None:
    assert await prevented(replace(SENSOR, options=options)) is None


# --- emulators -------------------------------------------------------------------------------------------------------


@pytest.fixture
def emulator(tmp_path: Path) -> Callable[[str], NodeSpec]:
    """A node whose emulator is a program that answers the plugin's probe; it counts how often it was asked."""

    def make(body: str) -> NodeSpec:
        path = tmp_path / "qemu-system-riscv32"
        count = f"open({str(tmp_path / 'asked')!r}, 'a').write('x')"
        path.write_text(f"#!{sys.executable} -IS\nimport sys\n{count}\n{textwrap.dedent(body)}")
        path.chmod(0o755)
        return replace(SENSOR, options={"machine_binary": path})

    return make


ANSWER = """
    print('{"lockstep": 1, "api": [0, 1], "qemu": "9.9.9", "target": "TARGET", "target_known": KNOWN, '
          '"missing": "MISSING"}')
"""


def answer(*, target: str = "riscv32", known: str = "true", missing: str = "") -> str:
    return ANSWER.replace("TARGET", target).replace("KNOWN", known).replace("MISSING", missing)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("sys.exit('qemu-system-riscv32: -plugin: invalid option')", "was built without support for plugins"),
        (answer(missing="qemu_find_netdev, timer_mod, icount_get, x"), "does not export qemu_find_netdev, timer_mod"),
        (
            "sys.exit('TCG plugin requires API version 7, but this QEMU supports only up to version 1')",
            "has a version of the plugin API for which there is no plugin",
        ),
        (answer(target="xtensa", known="false"), "emulates xtensa"),
        ("sys.exit('cannot allocate memory')", "does not load the lockstep plugin: cannot allocate memory"),
        ("print('{}')", "does not load the lockstep plugin: exit 0"),
        ("import os; os.kill(os.getpid(), 11)", "does not load the lockstep plugin: SIGSEGV"),
    ],
    ids=["no plugins", "stripped", "wrong version", "wrong target", "fails", "says nothing", "crashes"],
)
async def test_emulators_that_prevent_it(emulator: Callable[[str], NodeSpec], body: str, said: str) -> None:
    spec = emulator(body)
    reason = str(await prevented(spec))
    assert reason.startswith(f"{spec.options['machine_binary']} {said}")
    with pytest.raises(NodeError, match="cannot be in virtual time"):
        await QemuBackend().plan(spec, scenario(spec))


async def test_without_the_plugin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(virtual, "_probed", {})
    monkeypatch.setattr(virtual, "probe", partial(plugin.probe, directory=tmp_path / "nothing"))
    reason = str(await prevented(SENSOR))
    assert reason.startswith("qemu-system-riscv32 cannot be in virtual time: the lockstep plugin was not built")
    assert "install a C compiler" in reason


async def test_an_emulator_is_asked_once(emulator: Callable[[str], NodeSpec], tmp_path: Path) -> None:
    spec = emulator(answer())
    backend = QemuBackend()
    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(backend.prevents_virtual_time, spec)
    assert await prevented(spec) is None, "another run of this process"
    await backend.plan(spec, scenario(spec))
    assert (tmp_path / "asked").read_text() == "x"
    assert "gone" in str(await prevented(emulator(answer(missing="gone"))))


async def test_asking_leaves_nothing_behind(
    emulator: Callable[[str], NodeSpec], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, temporary = tmp_path / "state", tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("SWARMRIG_STATE_DIR", str(state))
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    assert await prevented(emulator(answer())) is None
    assert list(temporary.iterdir()) == [] and not [path for path in state.rglob("*") if path.is_file()]


# --- real guests -----------------------------------------------------------------------------------------------------


@dataclass
class Guest:
    """A node, and the smallest coordinator of it."""

    node: Node
    plan: NodePlan
    channel: socket.socket
    console: list[tuple[int, str]] = field(default_factory=list)
    frames: list[tuple[int, bytes]] = field(default_factory=list)
    decoder: Decoder = field(default_factory=Decoder)

    async def hear(self) -> Message:
        loop, messages = asyncio.get_running_loop(), []
        with anyio.fail_after(PATIENCE_S):
            while not messages:
                data = await loop.sock_recv(self.channel, 65536)
                assert data, f"the guest is gone: {self.node.last_words()}"
                messages = self.decoder.feed(data)
        [message] = messages
        return message

    async def live(self, horizon: int) -> Report:
        await asyncio.get_running_loop().sock_sendall(self.channel, protocol.grant(horizon))
        report = await self.hear()
        assert isinstance(report, Report)
        self.console += [(line.t, line.data.decode().rstrip()) for line in report.console]
        self.frames += report.frames
        return report

    async def greet(self) -> Hello:
        hello = await self.hear()
        assert isinstance(hello, Hello)
        await asyncio.get_running_loop().sock_sendall(self.channel, protocol.WELCOME)
        return hello

    async def ended(self) -> ExitStatus:
        with anyio.fail_after(1):
            return await self.node.wait_exited()


@asynccontextmanager
async def running(directory: Path, spec: NodeSpec = SENSOR, *, seed: int = 3) -> AsyncIterator[Guest]:
    """The node, started by its backend as a run would, with our end of its channel."""
    backend, made = QemuBackend(), scenario(spec, seed=seed)
    plan = await backend.plan(spec, made)
    network = plan_network(made, [plan])
    home = directory / spec.id
    home.mkdir(parents=True)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        async with open_spawner(RunScope(directory, state_root=directory / "state")) as spawner:
            context = LaunchContext(
                scenario=made,
                device=network.device(spec.id),
                target_ip=network.device(AGGREGATOR).ip,
                aggregator_ip=network.device(AGGREGATOR).ip,
                directory=home,
                port_fd=theirs.detach(),
                spawner=spawner,
                now_ns=lambda: 0,
                on_console=lambda *_: pytest.fail("the coordinator has the console"),
            )
            async with backend.open(plan, context) as node:
                yield Guest(node, plan, ours)


async def test_a_guest_lives_by_its_channel(tmp_path: Path) -> None:
    async with running(tmp_path) as guest:
        hello = await guest.greet()
        assert (hello.target, hello.grain_ns, hello.now) == ("riscv32", 16, 0)
        assert hello.features == Feature.NETWORK | Feature.CONSOLE | Feature.PC
        report = await guest.live(S)
        assert S <= report.now < S + 16
        lines = [line for _, line in guest.console]
        assert any("Calling app_main()" in line for line in lines)
        assert any("refnode: node_id=1 role=sensor scenario=2" in line for line in lines)
        assert [t for t, _ in guest.console] == sorted(t for t, _ in guest.console)
        assert guest.frames, "it has a network"
        guest.channel.close()
        assert str(await guest.ended()) == "exit 0"
    home = tmp_path / "s1"
    assert {path.name for path in home.iterdir()} == {"argv", "flash.bin", "stderr.log"}
    words = (home / "stderr.log").read_text().strip()
    assert words.endswith("hub 0 is not connected to host network") and "\n" not in words  # the plugin is its other end
    assert "{" not in (home / "argv").read_text()


CORTEX_M_SAYS_A = struct.pack(
    "<II10H2HI",
    *(0x20010000, 0x9),  # initial stack pointer, reset vector
    *(0x4805, 0x2110, 0x6101),  # r0 = UART0; BAUDDIV = 16
    *(0x2101, 0x6081),  # CTRL = transmitter on
    *(0x2141, 0x6001, 0x210A, 0x6001),  # DATA = 'A', then a newline
    *(0xBF30, 0xE7FD, 0xBF00),  # wfi, and again
    0x40004000,
)
"""Hand-assembled for the UART of mps2-an385 (Arm DAI 0385, CMSDK APB UART)."""


async def test_an_arm_board_lives_by_its_channel(tmp_path: Path) -> None:
    image = tmp_path / "app.bin"
    image.write_bytes(CORTEX_M_SAYS_A)
    async with running(tmp_path, generic(ARM, image)) as guest:
        hello = await guest.greet()
        assert (hello.target, hello.features) == ("arm", Feature.NETWORK | Feature.CONSOLE | Feature.PC)
        report = await guest.live(S)
        assert [line for _, line in guest.console] == ["A"]
        assert report.now == S and report.deadline > S, "it sleeps, and time passes all the same"
        guest.channel.close()
        assert str(await guest.ended()) == "exit 0"


async def test_the_same_seed_gives_the_same_bytes_at_any_step(tmp_path: Path) -> None:
    seen = []
    for name, step in (("a", S // 2), ("b", S // 100)):
        async with running(tmp_path / name) as guest:
            await guest.greet()
            for horizon in range(step, S // 2 + 1, step):
                await guest.live(horizon)
            seen.append((guest.console, guest.frames))
            guest.channel.close()
            await guest.ended()
    assert seen[0] == seen[1]
    assert seen[0][0]


async def test_its_capabilities_are_those_of_the_plan(tmp_path: Path) -> None:
    async with running(tmp_path) as guest:
        assert isinstance(guest.node, CanKill) and not isinstance(guest.node, HasNmi)
        await guest.greet()
        await guest.node.kill()
        assert str(await guest.ended()) == "SIGKILL"
        with pytest.raises(NodeError, match="has ended before"):
            await guest.node.kill()


@pytest.mark.parametrize("greeted", [False, True])
async def test_a_guest_whose_coordinator_keeps_silent_is_stopped(tmp_path: Path, greeted: bool) -> None:
    """It stands in the plugin, with the channel open; that must not hold up the end of the run."""
    with anyio.fail_after(5):
        async with running(tmp_path) as guest:
            if greeted:
                await guest.greet()
                await guest.live(S // 10)
            node: Any = guest.node
            pid = node.pid
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        pytest.fail("it still runs")


async def test_an_emulator_that_refuses_its_arguments_says_why(tmp_path: Path) -> None:
    spec = generic({"arch": "riscv32", "qemu_machine": "virt"}, bios="none", load="loader", cpu="no-such-cpu")
    async with running(tmp_path, spec) as guest:
        status = await guest.ended()
        assert status.code == 1
        assert "no-such-cpu" in guest.node.last_words()
