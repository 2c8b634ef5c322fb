"""The how-to pages show a fault that works and scenarios that load."""

from __future__ import annotations

import re
from pathlib import Path

import anyio
import pytest
from test_fault_kinds import INSTALLED

from swarmrig.runtime.plan import make_plan
from swarmrig.runtime.run import FinishedRun, RunOptions, run
from swarmrig.scenario.build import Origin
from swarmrig.scenario.load import load_text

HOWTO = Path(__file__).parents[2] / "docs" / "howto"
SHOWN = re.findall(r"^```yaml\n(.*?)^```", (HOWTO / "inject-faults.md").read_text(), re.M | re.S)
CODE = re.findall(r"^```python\n(.*?)^```", (HOWTO / "write-a-fault.md").read_text(), re.M | re.S)


@pytest.mark.parametrize("text", SHOWN)
def test_scenarios_load(text: str) -> None:
    scenario = load_text(text, Origin("shown.yml", Path.cwd(), "shown"), registry=INSTALLED)
    assert len(scenario.faults) >= 4


def test_the_first_one_passes(tmp_path: Path) -> None:
    async def go() -> FinishedRun:
        scenario = load_text(SHOWN[0], Origin("shown.yml", Path.cwd(), "shown"), registry=INSTALLED)
        return await run(await make_plan(scenario, INSTALLED), RunOptions(output_dir=tmp_path))

    record = anyio.run(go).record
    assert record.exit_code == 0, record.faults
    assert {fault.status.value for fault in record.faults} == {"proved"}


def test_the_example_does_what_its_page_says() -> None:
    names: dict[str, object] = {"__name__": "shown"}
    exec("\n".join(CODE), names)
    assert "made" in names
