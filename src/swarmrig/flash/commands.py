"""What `swarmrig nvs build|show|matrix` do, as functions that return data."""

from __future__ import annotations

from collections.abc import Mapping

from swarmrig.flash.image import LEGAL_SIZES, PFLASH_BYTES
from swarmrig.flash.matrix import MATRIX, NvsConfig
from swarmrig.flash.nvs import NVS_OFFSET, NVS_SIZE, build_nvs, entries_from_values
from swarmrig.flash.partition import TABLE_BYTES, TABLE_OFFSET, PartitionError, parse_table
from swarmrig.flash.reader import NvsContents, read_nvs


def build_from_values(values: Mapping[str, Mapping[str, object]], size: int = NVS_SIZE) -> bytes:
    """The partition of `namespace -> {key: value}`, typed by the key tables; NvsError has every problem."""
    return build_nvs(entries_from_values(values), size)


def show(data: bytes) -> NvsContents:
    """The NVS in `data`: an NVS partition, or a whole flash image, whose partition table says where NVS is
    (without a readable table: where the rig puts it)."""
    if len(data) not in (*LEGAL_SIZES, PFLASH_BYTES):
        return read_nvs(data)
    offset, size = _nvs_region(data)
    return read_nvs(data[offset : offset + size])


def matrix() -> list[NvsConfig]:
    """The named configurations, in the order of the specification."""
    return list(MATRIX)


def _nvs_region(image: bytes) -> tuple[int, int]:
    try:
        partitions = parse_table(image[TABLE_OFFSET : TABLE_OFFSET + TABLE_BYTES])
    except PartitionError:
        return NVS_OFFSET, NVS_SIZE
    return next(((p.offset, p.size) for p in partitions if p.is_nvs), (NVS_OFFSET, NVS_SIZE))
