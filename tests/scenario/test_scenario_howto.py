"""The how-to page shows scenarios that load and messages that come."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from swarmrig.errors import ScenarioError
from swarmrig.plugins import Registry
from swarmrig.scenario.build import Origin
from swarmrig.scenario.load import load_text
from swarmrig.scenario.located import LIMITS

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "write-a-scenario.md").read_text()
SHOWN = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)

WRONG = """\
swarmrig: 1
nodes: {coord: {role: coordinator}, s1: }
network:
  toplogy: star
defaults:
  config:
    {edge_tier: 2, channel: 20}
checks: [all_node_boot]
"""


@pytest.mark.parametrize("text", SHOWN)
def test_scenarios_load(text: str, tmp_path: Path) -> None:
    for name, offset in (("bootloader", 0x100), ("partition-table", 0xC00), ("app", 0x4000)):
        (tmp_path / f"{name}.bin").write_bytes(b"\xe9" * offset)
    scenario = load_text(text, Origin("shown.yml", tmp_path, "shown"), registry=Registry.load())
    assert scenario.checks
    assert scenario.warnings == ()


def test_messages_are_as_shown() -> None:
    [messages] = re.findall(r"^```text\n(.*?)^```", PAGE, re.M | re.S)
    with pytest.raises(ScenarioError) as caught:
        load_text(WRONG, Origin("two-rooms.swarmrig.yml", Path("/"), "x"), registry=Registry.load())
    assert [str(problem) for problem in caught.value.problems] == messages.splitlines()


def test_limits_are_as_shown() -> None:
    assert f"{LIMITS.size_bytes >> 20} MiB, {LIMITS.depth} levels and {LIMITS.values:_}".replace("_", " ") in " ".join(
        PAGE.split()
    )
