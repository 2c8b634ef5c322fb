"""What a node is told by its flash: from the scenario to NVS entries, and the comparison with what it holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from swarmrig.flash.image import read_region
from swarmrig.flash.keys import CSI_CFG, SWARMRIG
from swarmrig.flash.nvs import NVS_OFFSET, NVS_SIZE, NvsEntry, NvsError, entries_from_values
from swarmrig.flash.reader import NvsContents, read_nvs
from swarmrig.model.network import DevicePlan
from swarmrig.model.scenario import NodeSpec, Role, Scenario

_ANY_ADDRESS = "10.0.0.1"
ROLE_CODES: Mapping[Role, int] = {Role.SENSOR: 0, Role.COORDINATOR: 1, Role.GATEWAY: 2}


def nvs_entries(
    spec: NodeSpec, scenario: Scenario, device: DevicePlan, *, target_ip: str, aggregator_ip: str
) -> tuple[NvsEntry, ...]:
    """The entries of both namespaces. The node's own `nvs:` values come last and replace what the rig would say.

    A device without an address gets none here either: it asks DHCP. NvsError names every value out of range.
    """
    return entries_from_values(
        {
            CSI_CFG: {**_csi_cfg(spec, scenario, target_ip), **spec.nvs},
            SWARMRIG: _swarmrig(spec, scenario, device, aggregator_ip),
        }
    )


def untold(spec: NodeSpec, scenario: Scenario) -> tuple[str, ...]:
    """What of a node's place in the fleet has no room in NVS, whatever its address will be."""
    try:
        entries_from_values({CSI_CFG: {**_csi_cfg(spec, scenario, _ANY_ADDRESS), **spec.nvs}})
    except NvsError as error:
        return error.problems
    return ()


def verify(
    image: Path, expected: Sequence[NvsEntry], *, nvs_offset: int = NVS_OFFSET, nvs_size: int = NVS_SIZE
) -> list[str]:
    """Read the image's NVS back and compare: what is damaged, missing, different or too much; [] when all is well."""
    try:
        partition = read_region(image, nvs_offset, nvs_size)
    except OSError as error:
        return [f"{image.name} cannot be read: {error.strerror}"]
    return compare(expected, read_nvs(partition))


def verify_bytes(image: Path, partition: bytes, name: str, *, nvs_offset: int = NVS_OFFSET) -> list[str]:
    """Is the image's NVS, byte by byte, what it was made of? For partitions that no reader can vouch for."""
    try:
        held = read_region(image, nvs_offset, len(partition))
    except OSError as error:
        return [f"{image.name} cannot be read: {error.strerror}"]
    return [] if held == partition else [f"NVS: it is not {name} any more"]


def compare(expected: Sequence[NvsEntry], contents: NvsContents) -> list[str]:
    """The differences between what was asked for and what a partition holds.

    Namespaces of which nothing was asked for are the firmware's own.
    """
    found = {(entry.namespace, entry.key): entry for entry in contents.entries}
    wanted = {(entry.namespace, entry.key): entry for entry in expected}
    differences = [f"NVS: {problem}" for problem in contents.problems]
    for place, entry in wanted.items():
        if place not in found:
            differences.append(f"NVS: {entry} was provisioned and is missing")
        elif found[place] != entry:
            differences.append(f"NVS: {entry} was provisioned, the image holds {found[place]}")
    ours = {entry.namespace for entry in expected}
    differences += [
        f"NVS: {entry} was not provisioned"
        for place, entry in found.items()
        if place not in wanted and entry.namespace in ours
    ]
    return differences


def _csi_cfg(spec: NodeSpec, scenario: Scenario, target_ip: str) -> dict[str, object]:
    values: dict[str, object] = {
        "target_ip": target_ip,
        "target_port": scenario.aggregator_port,
        "node_id": spec.number,
        "tdm_slot": spec.tdm_slot,
        "tdm_nodes": len(scenario.nodes),
        "csi_channel": spec.channel,
    }
    if spec.edge_tier is not None:
        values["edge_tier"] = spec.edge_tier
    if spec.filter_mac is not None:
        values["filter_mac"] = spec.filter_mac
    return values


def _swarmrig(spec: NodeSpec, scenario: Scenario, device: DevicePlan, aggregator_ip: str) -> dict[str, object]:
    hub = scenario.coordinator
    values: dict[str, object] = {
        "role": ROLE_CODES[spec.role],
        "hub": int(hub is not None and hub.id == spec.id),
        "scenario": spec.scenario,
        "agg_ip": aggregator_ip,
        "seed": scenario.seed & 0xFFFFFFFF,
    }
    if device.ip:
        values |= {"ip": device.ip, "prefix": device.prefix}
        if device.gateway:
            values["gw"] = device.gateway
    return values
