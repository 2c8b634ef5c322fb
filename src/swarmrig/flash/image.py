"""One flash image per node: a base (or merged parts), the node's NVS injected, padded to what the emulator takes.

Images are written under a temporary name, with mode 0600, and renamed when they are complete. A base is cloned where
the file system can share blocks, else copied in the kernel with its holes kept.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from swarmrig.errors import HostError, MissingExtraError
from swarmrig.flash.copying import clone_or_copy, fill, write_at
from swarmrig.flash.nvs import NVS_OFFSET
from swarmrig.flash.partition import (
    STANDARD_TABLE,
    TABLE_BYTES,
    TABLE_OFFSET,
    TYPE_APP,
    PartitionError,
    build_table,
    parse_table,
)
from swarmrig.model.scenario import FlashPart

MIB = 1 << 20
LEGAL_SIZES = (2 * MIB, 4 * MIB, 8 * MIB, 16 * MIB)
"""The flash chips that QEMU's ESP32 machines know; other image sizes make them exit."""
PFLASH_BYTES = 32 * MIB
"""Size of a pflash unit of QEMU's riscv `virt` machine; the file must have exactly this size."""
PFLASH_ERASED_BYTES = 256 * 1024
"""How much of a pflash image is really written: the erase sector that holds the partition table and NVS."""
PART_OFFSETS = {"bootloader": 0x0, "partition-table": 0x8000, "ota-data": 0xF000, "app": 0x20000}
"""Where the parts of an ESP32-S3/C3 application go."""

_TEMPORARY = itertools.count()


class FlashError(ValueError):
    """The image cannot be made as asked; carries every problem found."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(problems))


@dataclass(frozen=True, slots=True)
class FlashImage:
    """An image on disk; `origin` says how: "cloned" (shares the base's blocks), "copied", "merged" or "blank"."""

    path: Path
    size: int
    origin: str
    nvs_offset: int
    nvs_size: int


def assemble_image(
    destination: Path,
    nvs: bytes,
    *,
    base: Path | None = None,
    parts: Sequence[FlashPart] = (),
    chip: str = "esp32s3",
    size: int | None = None,
    nvs_offset: int = NVS_OFFSET,
) -> FlashImage:
    """An ESP32 image: `base` or `parts` merged by esptool (or blank with the standard table), `nvs` injected, padded
    with 0xFF to `size`, by default the smallest of 2, 4, 8, 16 MiB that holds everything.

    Raises FlashError with every problem (overlap, size, missing file), MissingExtraError when parts are given without
    esptool, HostError when the file cannot be written.
    """
    problems = check_image(base=base, parts=parts, size=size, nvs_size=len(nvs), nvs_offset=nvs_offset)
    if problems:
        raise FlashError(problems)
    content: Path | bytes = base or (_merged(_identity(parts), chip) if parts else blank_content(nvs_offset, len(nvs)))
    used = content.stat().st_size if isinstance(content, Path) else len(content)
    used = max(used, nvs_offset + len(nvs))
    total = size or next(legal for legal in LEGAL_SIZES if legal >= used)
    with _replacing(destination) as fd:
        origin = _write_content(fd, content, merged=bool(parts))
        end = os.lseek(fd, 0, os.SEEK_END)
        fill(fd, end, total - end)
        write_at(fd, nvs_offset, nvs)
    return FlashImage(destination, total, origin, nvs_offset, len(nvs))


def assemble_pflash(
    destination: Path, nvs: bytes, *, base: Path | None = None, total: int = PFLASH_BYTES, nvs_offset: int = NVS_OFFSET
) -> FlashImage:
    """A pflash image for riscv `virt`: partition table and `nvs` in an erased (0xFF) first sector, then a hole.

    The hole reads as zeros, not as erased flash; writing 32 MiB of 0xFF per node would cost more than booting it.
    """
    problems = _file_problems("the flash base", base) + _region_problems(base, nvs_offset, len(nvs))
    used = max(base.stat().st_size if base and not problems else 0, nvs_offset + len(nvs))
    if used > total:
        problems.append(f"the flash content ends at {used:#x}, behind the {total:#x} bytes of the pflash")
    if problems:
        raise FlashError(problems)
    with _replacing(destination) as fd:
        origin = _write_content(fd, base or blank_content(nvs_offset, len(nvs)), merged=False)
        end = os.lseek(fd, 0, os.SEEK_END)
        fill(fd, end, PFLASH_ERASED_BYTES - end)
        write_at(fd, nvs_offset, nvs)
        os.ftruncate(fd, total)
    return FlashImage(destination, total, origin, nvs_offset, len(nvs))


def copy_image(source: Path, destination: Path) -> None:
    """The same image again, whole or not at all. HostError when it cannot be written."""
    with _replacing(destination) as fd:
        clone_or_copy(source, fd)


def check_image(
    *, base: Path | None, parts: Sequence[FlashPart], size: int | None, nvs_size: int, nvs_offset: int = NVS_OFFSET
) -> list[str]:
    """What keeps these from becoming an image, each with the names of the parts; [] when nothing does."""
    problems: list[str] = []
    if base and parts:
        problems.append("either a flash base or parts make an image, not both")
    if size is not None and size not in LEGAL_SIZES:
        problems.append(f"a flash of {size / MIB:g} MiB is not possible: {_legal()}")
    limit = size if size in LEGAL_SIZES else LEGAL_SIZES[-1]
    problems += _file_problems("the flash base", base)
    if base and base.is_file() and base.stat().st_size > limit:
        problems.append(f"the flash base {base} ({base.stat().st_size:#x} bytes) does not fit into {limit:#x}")
    problems += _part_problems(parts, limit, nvs_offset, nvs_size)
    problems += _region_problems(base, nvs_offset, nvs_size)
    return problems + [
        problem
        for part in parts
        if part.offset == TABLE_OFFSET
        for problem in _region_problems(part.file, nvs_offset, nvs_size, at=0)
    ]


@lru_cache(maxsize=8)
def blank_content(nvs_offset: int = NVS_OFFSET, nvs_size: int = 0x6000) -> bytes:
    """Erased flash up to the end of NVS, with a partition table that says where NVS is."""
    table = [p for p in STANDARD_TABLE if p.type != TYPE_APP and not p.is_nvs and p.offset >= nvs_offset + nvs_size]
    nvs = next(p for p in STANDARD_TABLE if p.is_nvs)
    placed = type(nvs)(nvs.label, nvs.type, nvs.subtype, nvs_offset, nvs_size)
    content = bytearray(b"\xff" * (nvs_offset + nvs_size))
    content[TABLE_OFFSET : TABLE_OFFSET + TABLE_BYTES] = build_table([placed, *table])
    return bytes(content)


def read_region(image: Path, offset: int, size: int) -> bytes:
    """Bytes of an image; shorter when the file ends before."""
    with image.open("rb") as file:
        file.seek(offset)
        return file.read(size)


def _write_content(fd: int, content: Path | bytes, *, merged: bool) -> str:
    if isinstance(content, Path):
        return "cloned" if clone_or_copy(content, fd) else "copied"
    write_at(fd, 0, content)
    return "merged" if merged else "blank"


@contextmanager
def _replacing(destination: Path) -> Iterator[int]:
    """A file that appears as `destination` only when the block ends without an error."""
    temporary = destination.with_name(f".{destination.name}.{os.getpid()}-{next(_TEMPORARY)}.part")
    try:
        fd = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise HostError(f"the flash image {destination} cannot be written: {error.strerror}") from error
    try:
        try:
            yield fd
        finally:
            os.close(fd)
        temporary.replace(destination)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise HostError(f"the flash image {destination} cannot be written: {error.strerror}") from error
        raise


def _identity(parts: Sequence[FlashPart]) -> tuple[tuple[int, str, int, int], ...]:
    """Offsets, paths and what changes when a file does, so that equal parts are merged once for all nodes."""
    found = []
    for part in parts:
        status = part.file.stat()
        found.append((part.offset, str(part.file), status.st_mtime_ns, status.st_size))
    return tuple(found)


@lru_cache(maxsize=2)
def _merged(parts: tuple[tuple[int, str, int, int], ...], chip: str) -> bytes:
    try:
        from esptool import merge_bin
        from esptool.logger import log
        from esptool.util import FatalError
    except ImportError as error:
        raise MissingExtraError("merging the parts of a flash image", "esp32") from error
    sources: list[Any] = [(offset, path) for offset, path, _, _ in parts]
    log.set_verbosity("silent")
    try:
        return bytes(merge_bin(sources, chip))
    except (FatalError, OSError, ValueError) as error:
        raise FlashError([f"esptool cannot merge the parts: {error}"]) from error
    finally:
        log.set_verbosity("auto")


def _part_problems(parts: Sequence[FlashPart], limit: int, nvs_offset: int, nvs_size: int) -> list[str]:
    problems: list[str] = []
    regions = [(nvs_offset, nvs_offset + nvs_size, "NVS")]
    if nvs_offset + nvs_size > limit:
        problems.append(f"NVS ends at {nvs_offset + nvs_size:#x}, behind the end of a flash of {limit:#x} bytes")
    for part in parts:
        missing = _file_problems(f"the flash part at {part.offset:#x}", part.file)
        problems += missing
        if not missing:
            end = part.offset + part.file.stat().st_size
            regions.append((part.offset, end, part.file.name))
            if part.offset < 0 or end > limit:
                problems.append(f"{part.file.name} ({part.offset:#x}..{end:#x}) does not fit into {limit:#x} bytes")
    regions.sort()
    last = regions[0]
    for region in regions[1:]:
        if region[0] < last[1]:
            problems.append(
                f"{last[2]} ({last[0]:#x}..{last[1]:#x}) and {region[2]} ({region[0]:#x}..{region[1]:#x}) overlap"
            )
        last = max(last, region, key=lambda entry: entry[1])
    return problems


def _file_problems(what: str, file: Path | None) -> list[str]:
    if file is None:
        return []
    if not file.exists():
        return [f"{what} {file} does not exist"]
    if not file.is_file():
        return [f"{what} {file} is no regular file"]
    if not os.access(file, os.R_OK):
        return [f"{what} {file} cannot be read: permission denied"]
    return [] if file.stat().st_size else [f"{what} {file} is empty"]


def _region_problems(file: Path | None, offset: int, size: int, at: int = TABLE_OFFSET) -> list[str]:
    """Does the firmware's own partition table expect NVS where it will be? A file without a table is not judged."""
    if file is None or _file_problems("", file):
        return []
    table = read_region(file, at, TABLE_BYTES)
    if table[:2] != b"\xaa\x50":
        return []
    try:
        partitions = parse_table(table)
    except PartitionError as error:
        return [f"the partition table in {file.name} is damaged: {error}"]
    if any(p.is_nvs and p.offset == offset and p.size >= size for p in partitions):
        return []
    found = ", ".join(f"{p.offset:#x}..{p.end:#x}" for p in partitions if p.is_nvs) or "none"
    return [
        f"NVS would go to {offset:#x}..{offset + size:#x}, but the partition table in {file.name} has it at: {found}"
    ]


def _legal() -> str:
    return ", ".join(f"{size // MIB}" for size in LEGAL_SIZES) + " MiB"
