"""A machine in Renode as a target; its Renode is the stand-in that the tests of those nodes made."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from jumpstarter.client.core import DriverError
from jumpstarter.common.utils import serve

from swarmrig.integrations.jumpstarter.drivers import SwarmNode

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

    def make(raw: bool):
        path = tmp_path / "board.swarmrig.yml"
        path.write_text(SCENARIO.replace("RAW", str(raw).lower()))
        return SwarmNode(scenario=str(path), node="m1", output_dir=str(tmp_path / "runs"))

    return make


def test_a_machine_has_the_properties_of_its_platform(board):
    with serve(board(False)) as target:
        assert target.platform == "platforms/boards/stm32f4_discovery-kit.repl"
        assert target.uart == "sysbus.usart2"
        assert target.machine_name == "board-1"


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
