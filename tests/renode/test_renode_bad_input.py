"""What people and machines do wrong: each is told at once, with Renode's own words, and nothing is left."""

import os
import signal

import anyio
import pytest
from node_bench import DEADLINE_S, ELF, bench_of, booted, leftovers
from pydantic import ValidationError

from swarmrig.errors import HostError, NodeError
from swarmrig.model.scenario import NetworkSpec, NodeSpec, Scenario, TimeMode, Topology
from swarmrig.nodes.renode import bringup, life
from swarmrig.nodes.renode.backend import RenodeBackend
from swarmrig.nodes.renode.options import RenodeOptions
from swarmrig.testing.workbench import scenario_of

pytestmark = pytest.mark.anyio


async def refused(tmp_path, spec, kind=NodeError):
    """The error with which a node does not start; nothing of it is left."""
    async with bench_of(tmp_path, spec) as bench:
        with pytest.raises(kind) as caught:
            async with bench.node():
                pytest.fail("it has started")
        assert leftovers(bench) == []
    return str(caught.value)


async def not_planned(spec, kind=NodeError):
    with pytest.raises(kind) as caught:
        await RenodeBackend().plan(spec, scenario_of(spec))
    return str(caught.value)


# --- the program ---------------------------------------------------------------------------------------------------


async def test_renode_is_missing(renode, tmp_path, monkeypatch):
    text = await not_planned(renode(renode=tmp_path / "none"), HostError)
    assert f"no Renode at {tmp_path / 'none'}" in text and "hint: install Renode" in text
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("swarmrig.nodes.renode.program.candidates", lambda: iter(()))
    assert "Renode is not installed" in await not_planned(renode(renode=None), HostError)


@pytest.mark.parametrize(
    ("says", "told"),
    [
        ("Renode 1.14.0.1\n(c) Antmicro", "is version 1.14.0.1; 1.15 or newer is needed"),
        ("what?", "does not say its version, but 'what?'"),
        ("", "does not say its version"),
    ],
)
async def test_the_version_is_wrong(renode, says, told):
    assert told in await not_planned(renode(behaviour={"says": says}), HostError)


async def test_renode_cannot_be_executed(renode, tmp_path):
    program = tmp_path / "renode"
    program.write_text("")
    assert "may not be executed" in await not_planned(renode(renode=program), HostError)


async def test_a_port_that_is_stolen_is_not_the_end(renode, tmp_path):
    async with booted(tmp_path, renode(behaviour={"taken": 2})) as (bench, _, _):
        argv = (bench.contexts["m1"].directory / "argv").read_text()
        assert "--port 1236" in argv


@pytest.mark.parametrize("port", [0, 4567])
async def test_a_port_that_stays_taken_is(renode, tmp_path, port):
    text = await refused(tmp_path, renode(behaviour={"taken": 9}, monitor_port=port))
    assert "AddressAlreadyInUse" in text and f"0.0.0.0:{port or 1236}" in text


async def test_an_early_death_is_told_with_its_own_words(renode, tmp_path):
    text = await refused(tmp_path, renode(behaviour={"early_death": "Fatal error:\nno such assembly"}))
    assert "ended (exit 1) before it was ready for commands" in text and "no such assembly" in text


async def test_a_renode_that_does_not_say_that_it_listens_is_tried(renode, tmp_path, monkeypatch):
    monkeypatch.setattr(life, "START_S", 4.0)
    async with booted(tmp_path, renode(behaviour={"silent": True})):
        pass


# --- the machine ---------------------------------------------------------------------------------------------------


async def test_the_platform_is_not_found(renode, tmp_path):
    assert "/no/such.repl does not exist" in await not_planned(renode(platform="/no/such.repl"))
    text = await refused(tmp_path, renode(platform="platforms/boards/none.repl"))
    assert "Could not find file 'platforms/boards/none.repl'" in text


async def test_a_bad_platform_is_told_with_its_line(renode, tmp_path):
    platform = tmp_path / "bad.repl"
    platform.write_text("cpu: CPU.RiscV32 @ sysbus\n\nuart: BROKEN @ sysbus 0x0\n")
    text = await refused(tmp_path, renode(platform=platform))
    assert f"{platform}:3:1" in text and "uart: BROKEN" in text and "hint:" in text


async def test_the_name_of_the_uart_is_wrong(renode, tmp_path):
    text = await refused(tmp_path, renode(uart="sysbus.nope"))
    assert "Parameters did not match the signature" in text and "has the platform a UART sysbus.nope?" in text


@pytest.mark.parametrize("machine", ["stm32f4-discovery", "nucleo-h753zi", "s32k388"])
async def test_the_firmware_is_for_another_architecture(renode, machine, firmware):
    text = await not_planned(renode(machine=machine, platform=None))
    assert f"{firmware} is RISC-V code, but {machine} runs Arm" in text


@pytest.mark.parametrize(
    ("content", "told"), [(b"", "is empty"), (b"raw", "needs `load_address`"), (None, "does not exist")]
)
async def test_the_firmware_is_none(renode, tmp_path, content, told):
    image = tmp_path / "image.bin"
    if content is not None:
        image.write_bytes(content)
    assert told in await not_planned(renode(image=image))


async def test_a_path_that_renode_cannot_be_told(renode, tmp_path):
    image = tmp_path / "a;quit.elf"
    image.write_bytes(ELF)
    assert "it has ';'; give the file another place" in await not_planned(renode(image=image))


async def test_an_unknown_machine_names_those_that_are_known(renode):
    text = await not_planned(renode(platform=None, machine="pdp11"))
    assert "nucleo-h753zi, refnode-rv32, s32k388, stm32f4-discovery" in text


async def test_a_command_of_the_scenario_fails(renode, tmp_path):
    text = await refused(tmp_path, renode(extra_commands=["nosuch"]))
    assert "No such command or device: nosuch" in text and "extra_commands" in text


@pytest.mark.parametrize(
    ("lines", "made"), [('mach create "mine"', "made the machine 'mine'"), ("version", "made no machine")]
)
async def test_a_script_whose_machine_has_another_name(renode, tmp_path, lines, made):
    script = tmp_path / "own.resc"
    script.write_text(f"{lines}\n")
    text = await refused(tmp_path, renode(script=script, platform=None))
    assert f"{made}, and not 'machine-0'" in text and "hint: machine_name" in text


async def test_a_script_makes_the_machine(renode, tmp_path, commands, firmware):
    script = tmp_path / "own.resc"
    load = f"sysbus LoadELF @{firmware}"
    script.write_text(
        f'mach create "mine"\nmachine LoadPlatformDescription @platforms/cpus/stm32h743.repl\n{load}\nstart\n'
    )
    spec = renode(script=script, platform=None, machine_name="mine", image=None)
    async with bench_of(tmp_path, spec) as bench, bench.node():  # what it said before it had a console is lost
        await bench.trace().wait_for_console("tick", deadline_s=DEADLINE_S)
    assert commands()[:2] == [f"include @{script}", "pause"] and commands()[-2:] == ["start", "quit"]
    assert not any("mach create" in one for one in commands())


async def test_firmware_that_aborts_the_processor(renode, tmp_path):
    image = tmp_path / "abort.elf"
    image.write_bytes(ELF + b"abort")
    async with bench_of(tmp_path, renode(image=image)) as bench, bench.node() as node:
        with anyio.fail_after(DEADLINE_S), pytest.raises(NodeError, match="CPU abort") as caught:
            await node.wait_exited()
        assert "0x9ABCDEF0" in str(caught.value) and "renode.log" in str(caught.value)
        assert "CPU abort" in node.last_words()


@pytest.mark.parametrize("options", [{"serial": "sysbus.usart1", "extra_commands": ["version"]}, {"console": "socket"}])
async def test_death_at_every_step_of_power_on(renode, tmp_path, commands, options):
    """After none of its commands, after one, and so on, until there are enough."""
    told = []
    async with bench_of(tmp_path, renode(**options)) as bench:
        for count in range(100):
            renode(behaviour={"die_after": count}, **options)  # in place of the one before
            (tmp_path / "renode-m1" / "commands").unlink(missing_ok=True)
            try:
                async with bench.node():
                    break
            except NodeError as error:
                assert "ended (exit 1)" in str(error) and "Out of memory" in str(error), error
            assert leftovers(bench) == []
            told.append(commands() if count else [])
    assert len(told) >= 8 and told[0] == []
    assert told[-1][-1].startswith("macro reset") and commands()[-2:] == ["start", "quit"]


async def test_a_step_that_is_never_answered(renode, tmp_path, monkeypatch):
    monkeypatch.setattr(bringup, "LOAD_S", 0.1)
    text = await refused(tmp_path, renode(behaviour={"hang": ["sysbus LoadELF"]}))
    assert "no answer to 'sysbus LoadELF" in text


async def test_power_on_that_fails_leaves_the_power_off_and_can_be_tried_again(renode, tmp_path, firmware):
    async with booted(tmp_path, renode()) as (bench, node, trace):
        await node.power_off()
        kept = firmware.read_bytes()
        firmware.unlink()
        with pytest.raises(NodeError, match="File does not exist"):
            await node.power_on()
        assert leftovers(bench) == []
        with pytest.raises(NodeError, match="power is off"):
            await node.pause()
        firmware.write_bytes(kept)
        await node.power_on()
        await trace.wait_for_console("boot", count=2, deadline_s=DEADLINE_S)


async def test_a_renode_that_is_killed_while_it_is_asked(renode, tmp_path):
    async with booted(tmp_path, renode(behaviour={"hang": ["sysbus Read"]})) as (_, node, _):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, os.kill, node.life.renode.process.pid, signal.SIGKILL)
            with pytest.raises(NodeError):
                await node.read_memory(0x2000_0000, 4)


# --- the scenario --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"uart": "sysbus uart"}, "no name of a peripheral"),
        ({"machine_name": "monitor"}, "not `monitor`"),
        ({"monitor_port": 70000}, "65535"),
        ({"extra_commands": ["version\nquit"]}, "one line"),
        ({"load_command": "quit"}, "does not load firmware"),
        ({"load_address": -1}, "greater than or equal to 0"),
        ({"platform": "platforms/../x.repl"}, "ships with"),
        ({"platform": "a.repl", "script": "b.resc"}, "there can be no `platform`"),
        ({"serial": "sysbus.uart1", "ethernet": "sysbus.ethernet"}, "not by both"),
        ({"step": "150us"}, "multiple of 100us"),
        ({"step": "2s"}, "1s at most"),
        ({"step": "0s"}, "multiple of 100us"),
        ({"alow_raw_monitor": True}, "alow_raw_monitor"),
    ],
)
def test_settings_are_checked(options, told):
    with pytest.raises(ValidationError, match=told.replace("(", r"\(")):
        RenodeOptions(**options)


@pytest.mark.parametrize("topology", [Topology.LINE, Topology.RING])
async def test_routers_pass_on_no_serial_line(renode, topology):
    spec = renode(serial="sysbus.uart1")
    scenario = Scenario("s", 10**9, 0, TimeMode.REAL, NetworkSpec(topology=topology), (spec,))
    with pytest.raises(NodeError, match="routers, which pass on no serial line"):
        await RenodeBackend().plan(spec, scenario)


async def test_what_cannot_be_told_is_warned_of(renode):
    spec = renode()
    told = NodeSpec(id="m1", number=1, kind="renode", scenario=2, options=spec.options, firmware=spec.firmware)
    plan = await RenodeBackend().plan(told, scenario_of(told))
    assert any("no flash with NVS" in warning for warning in plan.warnings)
