"""Which part of a node's flash a fault is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import model_validator

from swarmrig.api import NodePlan
from swarmrig.faults.memory_place import Address, Size
from swarmrig.faults.nodes import Expression, NodeParams
from swarmrig.flash.damage import Place, partition_place, read_table
from swarmrig.flash.image import blank_content
from swarmrig.flash.nvs import NVS_OFFSET, NVS_SIZE
from swarmrig.flash.partition import TABLE_BYTES, TABLE_OFFSET, Partition, PartitionError, parse_table
from swarmrig.model.scenario import FirmwareSpec, NodeSpec, Scenario

NVS = "nvs"


class FlashParams(NodeParams):
    """The node, and what it will say."""

    says: Expression | None = None
    """What the node must say when it boots from the changed flash (regular expression)."""


class PartParams(FlashParams):
    """The node and a part of its flash: a partition (default: nvs), or `offset` and `size`."""

    partition: str | None = None
    """Label of a partition in the table of the flash."""
    offset: Address | None = None
    """From the beginning of the partition, if one is named, else of the flash."""
    size: Size | None = None
    """Bytes. Default: up to the end of the partition."""

    @model_validator(mode="after")
    def _bounded(self) -> PartParams:
        if self.partition is None and self.offset is not None and self.size is None:
            raise ValueError("`offset` without `partition` needs `size`")
        return self


def place_in(params: PartParams, table: Sequence[Partition]) -> Place:
    """The part that is meant. ValueError when it is not there, or leaves its partition."""
    if params.partition is None and params.offset is not None:
        return Place("flash", params.offset, params.size or 0)
    name = params.partition or NVS
    whole = partition_place(table, name) if table or name != NVS else Place(NVS, NVS_OFFSET, NVS_SIZE)
    start = params.offset or 0
    size = whole.size - start if params.size is None else params.size
    if size < 1 or start + size > whole.size:
        raise ValueError(f"{start:#x}..{start + max(size, 1):#x} is not within {whole}")
    return Place(whole.name, whole.offset + start, size)


def table_of(image: Path) -> tuple[Partition, ...]:
    """The partitions of an image; none when it has no table that can be read."""
    try:
        return read_table(image)
    except PartitionError:
        return ()


def examine_part(params: PartParams, scenario: Scenario, plans: Mapping[str, NodePlan]) -> None:
    """ValueError when the node's flash, as far as it is known before it is written, has no such part."""
    node = scenario.find_node(params.node)
    assert node is not None
    size: Any = plans[node.id].details.get("flash_bytes")
    table = planned_table(node)
    if table is None:
        return
    place = place_in(params, table)
    if size is not None and place.offset + place.size > size:
        raise ValueError(f"{place} is not within the flash, which has {size:#x} bytes")


def planned_table(node: NodeSpec) -> tuple[Partition, ...] | None:
    """The partitions that the node's flash will have; None when its files are still to be built."""
    firmware: FirmwareSpec = node.firmware
    if firmware.flash_base is not None:
        return table_of(firmware.flash_base) if firmware.flash_base.is_file() else None
    if firmware.parts:
        file = next((part.file for part in firmware.parts if part.offset == TABLE_OFFSET), None)
        if file is None or not file.is_file():
            return None
        content = file.read_bytes()
    else:
        content = blank_content()[TABLE_OFFSET : TABLE_OFFSET + TABLE_BYTES]
    try:
        return parse_table(content)
    except PartitionError:
        return ()
