"""From the words of the command line to a scenario."""

from __future__ import annotations

from pathlib import Path

from swarmrig.cli.options import Choice
from swarmrig.model.scenario import Scenario, TimeMode
from swarmrig.plugins import Registry

_BOOTLOADER, _PARTITION_TABLE, _APP = 0x0, 0x8000, 0x20000


def load(choice: Choice, registry: Registry, faults: Path | None = None) -> Scenario:
    """Load and check what was chosen; `faults` names a file with others. ScenarioError has all problems at once."""
    from swarmrig.scenario.baseline import Baseline
    from swarmrig.scenario.load import load_scenario

    return load_scenario(
        choice.scenario,
        registry=registry,
        overrides=choice.overrides,
        seed=choice.seed,
        duration_ns=choice.duration_ns,
        time=TimeMode(choice.time) if choice.time is not None else None,
        machine=choice.machine,
        flash_base=choice.flash_base,
        flash_parts=_flash_parts(choice),
        qemu_path=choice.qemu_path,
        baseline=Baseline(choice.baseline, dict(choice.tolerances)) if choice.baseline is not None else None,
        faults=faults,
    )


def _flash_parts(choice: Choice) -> dict[int, Path]:
    parts = {_BOOTLOADER: choice.bootloader, _PARTITION_TABLE: choice.partition_table, _APP: choice.app}
    return {offset: file for offset, file in parts.items() if file is not None}
