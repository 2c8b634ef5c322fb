"""The reference device's firmware, built from `refnode/` of the source tree; one ELF per variant."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from swarmrig.errors import HostError

MACHINES = ("refnode-rv32", "refnode-arm")
VARIANTS = (
    "mute",
    "wrong-slot",
    "panic-at-10s",
    "leak-until-oom",
    "corrupt-frame",
    "slow-boot",
    "deaf-coordinator",
    "outage-report",
)
"""Planted bugs: what each does stands in refnode/src/bugs.h."""


def firmware_path(machine: str, variant: str | None = None) -> Path:
    """The ELF for a machine, or its build with the planted bug `variant` (in any case: leak-until-OOM).

    Raises HostError when there is no such machine or variant, or when the file is not where it belongs.
    """
    if machine not in MACHINES:
        raise HostError(f"no reference firmware for machine {machine!r}", hint=f"there is {', '.join(MACHINES)}")
    variant = variant.lower() if variant else None
    if variant is not None and variant not in VARIANTS:
        raise HostError(f"no firmware variant {variant!r}", hint=f"there is {', '.join(VARIANTS)}")
    name = f"{machine}-{variant}.elf" if variant else f"{machine}.elf"
    path = Path(str(files(__name__) / name))
    if not path.is_file():
        raise HostError(f"the firmware {path} is missing", hint="reinstall swarmrig, or run: make -C refnode")
    return path
