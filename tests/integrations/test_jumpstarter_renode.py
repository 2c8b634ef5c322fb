"""A machine in Renode as a target; its Renode is the stand-in that the tests of those nodes made."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from jumpstarter.client.core import DriverError
from jumpstarter.common.utils import serve

from swarmrig.integrations.jumpstarter.drivers import SwarmNode
from swarmrig.proc import probe

pytestmark = pytest.mark.usefixtures("grpc_of_this_process")

RENODE_TESTS = Path(__file__).parent.parent / "renode"
SCENARIO = """
swarmrig: 1
name: board
time: real
duration: 20s
network: {topology: mesh, link: {latency: 5ms}}
nodes:
  m1:
    kind: renode
    platform: platforms/boards/stm32f4_discovery-kit.repl
    uart: sysbus.usart2
    machine_name: board-1
    allow_raw_monitor: RAW
    firmware: {image: fw.elf}
"""


@pytest.fixture
def stand_in(monkeypatch):
    """The module with the stand-in, by its path."""
    monkeypatch.syspath_prepend(str(RENODE_TESTS))
    monkeypatch.syspath_prepend(str(RENODE_TESTS.parent / "qemu"))
    return _module("fake_renode"), _module("node_bench")


def _module(name):
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, RENODE_TESTS / f"{name}.py")
        assert spec is not None and spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture
def board(stand_in, tmp_path, monkeypatch):
    """`board(raw)`: a driver whose node's raw monitor is open or not."""
    fake_renode, node_bench = stand_in
    place = tmp_path / "renode"
    place.mkdir()
    monkeypatch.setenv("RENODE", str(fake_renode.wrapper(place, log=str(tmp_path / "commands"))))
    (tmp_path / "fw.elf").write_bytes(node_bench.ELF)

    def make(raw: bool, **settings):
        path = tmp_path / "board.swarmrig.yml"
        path.write_text(SCENARIO.replace("RAW", str(raw).lower()))
        return SwarmNode(scenario=str(path), node="m1", output_dir=str(tmp_path / "runs"), **settings)

    return make


def test_a_machine_has_the_properties_of_its_platform(board):
    with serve(board(False)) as target:
        assert target.platform == "platforms/boards/stm32f4_discovery-kit.repl"
        assert target.uart == "sysbus.usart2"
        assert target.machine_name == "board-1"


def test_a_machine_that_is_ready_has_the_properties_of_its_board(board):
    ready = {"nodes.m1.platform": None, "nodes.m1.uart": None, "nodes.m1.machine": "stm32f4-discovery"}
    with serve(board(False, set=ready)) as target:
        assert target.platform == "platforms/boards/stm32f4_discovery-kit.repl"
        assert target.uart == "sysbus.usart2"


def test_its_command_takes_the_rest_of_the_line(board):
    with serve(board(True)) as target:
        target.power.on()
        for words, said in (
            (["echo", "--all", "-x", "-h"], "--all -x -h"),
            (['echo "a  b"'], "a  b"),
            (["version"], "Renode, version"),
            (["echo", "--help"], "--help"),
        ):
            result = CliRunner().invoke(target.cli(), ["monitor", *words])
            assert result.exit_code == 0 and said in result.output, (words, result)
        result = CliRunner().invoke(target.cli(), ["monitor", "nosuch"])
        assert result.exit_code != 0 and "No such command or device: nosuch" in str(result.exception)
        assert CliRunner().invoke(target.cli(), ["monitor"]).exit_code == 2


def test_close_ends_the_process_before_it_returns(board):
    driver = board(False)
    with serve(driver) as target:
        target.power.on()
        with target.console.pexpect() as console:
            console.expect("boot: hello", timeout=90)
        assert _stand_ins()
        driver.close()
        assert not _stand_ins()
        assert not driver.rig.is_on
        driver.close()


def _stand_ins():
    """Command lines of all stand-ins below this process."""
    commands = map(probe.command, probe.descendants(os.getpid()))
    return [command for command in commands if "fake_renode" in command]


def test_its_monitor_is_closed_unless_the_scenario_opens_it(board):
    with serve(board(False)) as target:
        target.power.on()
        with pytest.raises(DriverError, match="raw monitor commands are not allowed"):
            target.monitor("version")
    with serve(board(True)) as target:
        target.power.on()
        assert "Renode" in target.monitor("version")
        with pytest.raises(DriverError, match="No such command or device"):
            target.monitor("nosuch")
        for attack in ("version\nquit", "version\r\nquit", "a\0b"):
            with pytest.raises(DriverError, match="one line of text"):
                target.monitor(attack)
        assert "Renode" in target.monitor("version")


def test_it_is_flashed_while_it_runs(board, tmp_path):
    with serve(board(False)) as target:
        target.power.on()
        target.flasher.flash(tmp_path / "fw.elf")
        commands = [line for line in (tmp_path / "commands").read_text().splitlines() if not line.startswith("echo ")]
        loaded = [number for number, line in enumerate(commands) if line.startswith("sysbus LoadELF @")]
        assert len(loaded) == 2, commands
        assert "machine Reset" in commands[loaded[1] :] and commands[-1] == "start"
        assert target.swarm.status()["power"] is True
