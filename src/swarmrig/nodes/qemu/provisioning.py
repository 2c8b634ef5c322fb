"""A node's storage before its start, and what it holds afterwards."""

from __future__ import annotations

from pathlib import Path

from swarmrig.api.nodes import LaunchContext, NodePlan, kept_flash
from swarmrig.errors import HostError, NodeError
from swarmrig.flash.image import FlashError, assemble_image, assemble_pflash, copy_image
from swarmrig.flash.matrix import config
from swarmrig.flash.nvs import NvsEntry, NvsError, build_nvs
from swarmrig.flash.provision import nvs_entries, untold, verify, verify_bytes
from swarmrig.model.scenario import NodeSpec, Scenario
from swarmrig.nodes.qemu.machines import Storage
from swarmrig.nodes.qemu.setup import Setup

EFUSE_BYTES = 1024
"""Size of the eFuse image that Espressif's QEMU takes for ESP32-S3 and -C3 (ESP-IDF, idf.py qemu)."""
_EFUSE_MAC = 24
"""Offset of BLOCK1's MAC: six bytes, last one first (ESP-IDF efuse table, MAC_FACTORY)."""
_EFUSE_REVISION = 38
_CHIP_REVISION_0_3 = 0x0C
_ETHERNET_MAC_OFFSET = 3
"""ESP-IDF gives Ethernet the factory MAC plus 3 in its last byte (esp_read_mac, four universal addresses)."""


def flash_path(directory: Path) -> Path:
    return directory / "flash.bin"


def efuse_path(directory: Path) -> Path:
    return directory / "efuse.bin"


def provision(setup: Setup, plan: NodePlan, context: LaunchContext) -> None:
    """Write the node's flash (and eFuses). NodeError when the scenario asks for what flash cannot hold."""
    storage = setup.machine.storage
    if storage is Storage.NONE:
        return
    destination = flash_path(context.directory)
    begin_with = context.flash if context.snapshot is None else context.snapshot.flash
    if begin_with is not None:
        copy_image(begin_with, destination)
        return
    firmware = setup.spec.firmware
    try:
        nvs = provisioned_nvs(plan, context)
        if storage in {Storage.PFLASH, Storage.MEMORY_FILE}:
            assemble_pflash(destination, nvs, base=firmware.flash_base, total=setup.machine.flash_bytes)
        else:
            assemble_image(
                destination,
                nvs,
                base=firmware.flash_base,
                parts=firmware.parts,
                chip=setup.machine.name,
                size=setup.flash_bytes,
            )
            _write_efuse(efuse_path(context.directory), context.device.mac)
    except (FlashError, NvsError) as error:
        raise NodeError(setup.spec.id, "; ".join(error.problems)) from error


def keep_flash(context: LaunchContext, life: int) -> None:
    """Copy the flash, if there is one, with which a further life of the node is about to begin."""
    if flash_path(context.directory).exists():
        copy_image(flash_path(context.directory), kept_flash(context.directory, life))


def provisioned_nvs(plan: NodePlan, context: LaunchContext) -> bytes:
    """The node's NVS partition."""
    if plan.spec.nvs_config is not None:
        return config(plan.spec.nvs_config).build()
    return build_nvs(expected_entries(plan, context))


def require_provisionable(spec: NodeSpec, scenario: Scenario) -> None:
    """NodeError when the node's flash has no room for what it would be told."""
    problems = () if spec.nvs_config is not None else untold(spec, scenario)
    if problems:
        hint = f"say what it is told instead: `{spec.id}: {{config: {{{problems[0].split()[0]}: ...}}}}`"
        raise NodeError(spec.id, f"cannot be told its place in this fleet: {'; '.join(problems)}", hint=hint)


def expected_entries(plan: NodePlan, context: LaunchContext) -> tuple[NvsEntry, ...]:
    """What the node is told."""
    return nvs_entries(
        plan.spec,
        context.scenario,
        context.device,
        target_ip=context.target_ip,
        aggregator_ip=context.aggregator_ip,
    )


def differences(plan: NodePlan, context: LaunchContext) -> list[str]:
    """What the node's flash holds differently from what was provisioned."""
    image = flash_path(context.directory)
    name = plan.spec.nvs_config
    if name is not None:
        return verify_bytes(image, config(name).build(), f"the configuration {name}")
    return verify(image, expected_entries(plan, context))


def efuse_image(mac: str) -> bytes:
    """eFuses of a chip of revision 0.3 whose Ethernet interface gets `mac`."""
    octets = bytearray.fromhex(mac.replace(":", ""))
    octets[5] = (octets[5] - _ETHERNET_MAC_OFFSET) & 0xFF
    image = bytearray(EFUSE_BYTES)
    image[_EFUSE_MAC : _EFUSE_MAC + 6] = octets[::-1]
    image[_EFUSE_REVISION] = _CHIP_REVISION_0_3
    return bytes(image)


def _write_efuse(path: Path, mac: str) -> None:
    try:
        path.write_bytes(efuse_image(mac))
    except OSError as error:
        raise HostError(f"the eFuse image {path} cannot be written: {error.strerror}") from error
