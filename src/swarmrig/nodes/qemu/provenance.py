"""What a guest was made of, by digest: the emulator, its plugin, the firmware, the flash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from swarmrig.api.nodes import LaunchContext, NodePlan
from swarmrig.flash.nvs import build_nvs
from swarmrig.nodes.digests import sha256_of
from swarmrig.nodes.qemu.machines import Storage
from swarmrig.nodes.qemu.provisioning import expected_entries
from swarmrig.nodes.qemu.setup import Setup


def provenance(setup: Setup, plan: NodePlan, context: LaunchContext) -> Mapping[str, str]:
    """`emulator_version` is known in virtual time only, where the emulator has been asked. `flash` is over what the
    flash was made from: base or parts, and the NVS partition."""
    found = {"emulator": str(setup.emulator), "emulator_sha256": sha256_of(setup.emulator)}
    if "emulator_version" in plan.details:
        found["emulator_version"] = str(plan.details["emulator_version"])
        found["plugin_sha256"] = sha256_of(Path(str(plan.details["plugin"])))
    if setup.image is not None:
        found["firmware"] = str(setup.image)
        found["firmware_sha256"] = sha256_of(setup.image)
    if setup.machine.storage is not Storage.NONE:
        found["flash_sha256"] = _flash_digest(setup, plan, context)
    return found


def _flash_digest(setup: Setup, plan: NodePlan, context: LaunchContext) -> str:
    firmware = setup.spec.firmware
    parts = [(part.offset, part.file) for part in firmware.parts]
    if firmware.flash_base is not None:
        parts.append((0, firmware.flash_base))
    lines = [f"{offset:#x} {sha256_of(file)}\n" for offset, file in parts]
    return hashlib.sha256("".join(lines).encode() + build_nvs(expected_entries(plan, context))).hexdigest()
