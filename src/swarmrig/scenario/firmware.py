"""What a node boots: paths made absolute, files that must exist, parts that must fit into flash."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from swarmrig.model.scenario import FirmwareSpec, FlashPart
from swarmrig.scenario.native import FirmwareEntry
from swarmrig.scenario.problems import Mark, Problems, shorten
from swarmrig.scenario.tree import Items, Table, Tree

LARGEST_FLASH = 16 << 20
"""Bytes; the ESP32 machines take 2, 4, 8 or 16 MiB, nothing else has more."""


def absolute(text: str, directory: Path) -> Path:
    """The path of a file named in a scenario: relative to the scenario's directory, `~/` is the user's home."""
    path = Path(text)
    if text == "~" or text.startswith("~/"):
        with suppress(RuntimeError):  # no home: a file that does not exist is reported like any other
            path = path.expanduser()
    return directory / path


def read_firmware(entry: FirmwareEntry, tree: Tree | None, directory: Path, problems: Problems) -> FirmwareSpec:
    """The model of a checked `firmware` section; what is wrong across its keys is reported."""
    table = tree if isinstance(tree, Table) else Table()
    parts = tuple(FlashPart(part.offset, absolute(part.file, directory)) for part in entry.parts)
    build_cwd = absolute(entry.build_cwd, directory) if entry.build_cwd else directory
    firmware = FirmwareSpec(
        image=absolute(entry.image, directory) if entry.image else None,
        build=entry.build,
        build_cwd=build_cwd if entry.build else None,
        flash_base=absolute(entry.flash_base, directory) if entry.flash_base else None,
        parts=parts,
        variant=entry.variant,
    )
    _refuse_contradictions(entry, table, problems)
    if entry.build is None:
        _require_files(firmware, table, problems)
    return firmware


def _refuse_contradictions(entry: FirmwareEntry, table: Table, problems: Problems) -> None:
    if entry.flash_base and entry.parts:
        problems.add(table.place("parts"), "parts: a flash image is either flash_base or made of parts, not both")
    if entry.variant and entry.image:
        message = "variant: names a build of the reference firmware, so it cannot go with image"
        problems.add(table.place("variant"), message)
    if entry.build_cwd and not entry.build:
        problems.add(table.place("build_cwd"), "build_cwd: has no meaning without build")


def _require_files(firmware: FirmwareSpec, table: Table, problems: Problems) -> None:
    """Files that no build makes must be there now; parts must lie side by side in flash."""
    for key, path in (("image", firmware.image), ("flash_base", firmware.flash_base)):
        if path is not None:
            _size(path, _value_mark(table, key), key, problems)
    places: list[tuple[int, int, int, Path]] = []
    for index, part in enumerate(firmware.parts):
        mark = _part_mark(table, index)
        size = _size(part.file, mark, "file", problems)
        if part.offset + size > LARGEST_FLASH:
            problems.add(mark, f"a part of {size} bytes at 0x{part.offset:x} does not fit into 16 MiB of flash")
        places.append((part.offset, index, max(size, 1), part.file))
    _refuse_overlaps(places, table, problems)


def _refuse_overlaps(places: list[tuple[int, int, int, Path]], table: Table, problems: Problems) -> None:
    """Places are offset, position in the file, size, file."""
    before, end, name = 0, 0, ""
    for offset, index, size, file in sorted(places):
        if name and offset < end:
            message = f"the part at 0x{offset:x} overlaps {name} (0x{before:x}..0x{end - 1:x})"
            problems.add(_part_mark(table, index), message)
        if offset + size > end:
            before, end, name = offset, offset + size, file.name


def _size(path: Path, mark: Mark, key: str, problems: Problems) -> int:
    """Bytes of the file; a problem and 0 when there is none."""
    try:
        if path.is_file():
            return path.stat().st_size
        reason = "is a directory" if path.is_dir() else "does not exist"
    except (OSError, ValueError) as error:
        reason = f"cannot be used: {getattr(error, 'strerror', None) or error}"
    hint = "paths are relative to the scenario file" if mark.line else None
    problems.add(mark, f"{key}: {shorten(str(path), 200)} {reason}", hint)
    return 0


def _value_mark(table: Table, key: str) -> Mark:
    value = table.get(key)
    return value.mark if value is not None else table.mark


def _part_mark(table: Table, index: int) -> Mark:
    parts = table.get("parts")
    if isinstance(parts, Items) and index < len(parts.items):
        return parts.items[index].mark
    return table.mark
