"""What is wrong with a file and what this machine lacks are told together, and before anything is launched."""

from __future__ import annotations

from pathlib import Path

import pytest

import swarmrig
from swarmrig.cli.main import main
from swarmrig.errors import HostError, NodeError, ScenarioError
from swarmrig.plugins import Registry
from swarmrig.runtime.plan import make_plan
from swarmrig.scenario.load import load_scenario

BROKEN = """\
swarmrig: 1
duration: soon
nodes:
  a: {machine_binary: /nowhere/qemu}
  b: {colour: red, machine_binary: /elsewhere/qemu}
checks:
  - console: {node: a, absent: x}
"""


def problems_of(path: Path, text: str) -> list[str]:
    path.write_text(text)
    with pytest.raises(ScenarioError) as caught:
        swarmrig.run(path, output_dir=path.parent / "runs")
    assert not (path.parent / "runs").exists()
    return [str(problem) for problem in caught.value.problems]


def test_of_the_file_and_of_its_sound_nodes(tmp_path: Path) -> None:
    """A node that is wrong in the file is not looked at any further."""
    path = tmp_path / "broken.yml"
    duration, colour, emulator = problems_of(path, BROKEN)
    assert duration.startswith(f"{path}:2:11: duration: expected a duration")
    assert colour.startswith(f"{path}:5:7: unknown key 'colour'")
    assert "/nowhere/qemu" in emulator


def test_of_nodes_and_of_checks(tmp_path: Path) -> None:
    text = BROKEN.replace("soon", "9s").replace("colour: red, ", "") + "faults:\n  - {at: 1s, cut: {between: [a, b]}}\n"
    found = problems_of(tmp_path / "broken.yml", text)
    assert len(found) == 3
    assert "/nowhere/qemu" in found[1] and "/elsewhere/qemu" in found[2]
    assert "no link joins a and b" in found[0]


def test_the_command_line_tells_the_same(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "broken.yml"
    path.write_text(BROKEN)
    for command in (["run", str(path), "--output-dir", str(tmp_path / "runs")], ["plan", str(path)]):
        assert main(command) == 3
        told = capfd.readouterr().err
        assert "2:11: duration" in told and "/nowhere/qemu" in told and "colour" in told


class Choosy:
    """A backend that finds several things."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = errors

    async def prevents_virtual_time(self, spec: object) -> None:
        return None

    async def plan(self, spec: object, scenario: object) -> None:
        if len(self.errors) == 1:
            raise self.errors[0]
        raise ExceptionGroup("several", self.errors)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("errors", "kind", "texts"),
    [
        ([NodeError("a", "no flour"), NodeError("a", "no yeast")], ScenarioError, ["no flour", "no yeast"]),
        ([HostError("no oven"), NodeError("a", "no flour")], ScenarioError, ["no oven", "no flour"]),
        ([HostError("no oven", hint="buy one"), HostError("no oven")], HostError, ["no oven"]),
        ([HostError("no oven"), HostError("no table")], HostError, ["no oven", "no table"]),
    ],
)
async def test_one_node_may_have_several(
    errors: list[Exception], kind: type[Exception], texts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.yml"
    path.write_text("swarmrig: 1\nnodes:\n  a: {}\n")
    registry = Registry.load()
    scenario = load_scenario(path, registry=registry)
    monkeypatch.setitem(registry._loaded, ("swarmrig.nodes", "qemu"), lambda: Choosy(*errors))
    with pytest.raises(kind) as caught:
        await make_plan(scenario, registry)
    assert type(caught.value) is kind
    for text in texts:
        assert str(caught.value).count(text) == 1
