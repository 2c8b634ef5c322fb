"""Builds the firmware that a scenario brings the command for."""

from __future__ import annotations

import shlex
from pathlib import Path

from swarmrig.errors import HostError
from swarmrig.model.scenario import FirmwareSpec, Scenario
from swarmrig.proc import Spawner

DEADLINE_S = 1800.0


async def build_firmware(
    scenario: Scenario, spawner: Spawner, *, skip: bool, done: set[tuple[tuple[str, ...], Path | None]] | None = None
) -> None:
    """Run each distinct build command once, in file order; its image must exist afterwards. Several scenarios share
    what they have `done`."""
    done = set() if done is None else done
    for node in scenario.nodes:
        firmware = node.firmware
        if firmware.build is None:
            continue
        key = (firmware.build, firmware.build_cwd)
        if not skip and key not in done:
            await _build(firmware.build, firmware.build_cwd, spawner)
            done.add(key)
        _require_image(node.id, firmware, skipped=skip)


async def _build(command: tuple[str, ...], cwd: Path | None, spawner: Spawner) -> None:
    completed = await spawner.run(command, cwd=cwd, deadline_s=DEADLINE_S)
    if completed.exit.code != 0:
        tail = "\n".join(f"  {line}" for line in completed.stderr.decode("utf-8", "replace").splitlines()[-15:])
        raise HostError(
            f"the firmware build failed ({completed.exit}): {shlex.join(command)}\n{tail}",
            hint="repair the build, or use --skip-build with an image that exists",
        )


def _require_image(node: str, firmware: FirmwareSpec, *, skipped: bool) -> None:
    if firmware.image is not None and not firmware.image.is_file():
        why = "and the build was skipped" if skipped else "although its build succeeded"
        raise HostError(f"node {node}: the firmware image {firmware.image} does not exist, {why}")
