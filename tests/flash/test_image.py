"""Flash images: content, padding, holes, refusals, and nothing half written."""

from __future__ import annotations

import errno
import os
import resource
import stat
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from swarmrig.errors import HostError, MissingExtraError
from swarmrig.flash import copying
from swarmrig.flash.image import (
    LEGAL_SIZES,
    MIB,
    PART_OFFSETS,
    PFLASH_BYTES,
    FlashError,
    assemble_image,
    assemble_pflash,
    blank_content,
    check_image,
    read_region,
)
from swarmrig.flash.nvs import NVS_OFFSET, NVS_SIZE, build_nvs, entries_from_values
from swarmrig.flash.partition import Partition, build_table, parse_table
from swarmrig.flash.reader import read_nvs
from swarmrig.model.scenario import FlashPart

NVS = build_nvs(entries_from_values({"csi_cfg": {"node_id": 7}}))
TABLE = build_table([Partition("nvs", 1, 2, 0x9000, 0x6000), Partition("app", 0, 0, 0x20000, 0x100000)])
NEEDS_ESPTOOL = pytest.mark.skipif(not find_spec("esptool"), reason="the extra esp32 is not installed")


def content(name: str, size: int) -> bytes:
    return (name.encode() * (size // len(name) + 1))[:size]


@pytest.fixture
def parts(tmp_path: Path) -> tuple[FlashPart, ...]:
    files = {"bootloader": content("boot", 0x5000), "partition-table": TABLE, "ota-data": b"\xff" * 0x2000,
             "app": content("application", 0x40123)}  # fmt: skip
    for name, data in files.items():
        (tmp_path / f"{name}.bin").write_bytes(data)
    return tuple(FlashPart(offset, tmp_path / f"{name}.bin") for name, offset in PART_OFFSETS.items())


@pytest.fixture
def base(tmp_path: Path) -> Path:
    image = tmp_path / "base.bin"
    image.write_bytes(content("base", 3 * MIB))
    return image


def test_a_base_is_copied_nvs_injected_and_the_rest_erased(tmp_path: Path, base: Path) -> None:
    image = assemble_image(tmp_path / "flash.bin", NVS, base=base)
    data = image.path.read_bytes()
    expected = bytearray(base.read_bytes().ljust(4 * MIB, b"\xff"))
    expected[NVS_OFFSET : NVS_OFFSET + NVS_SIZE] = NVS
    assert data == expected
    assert image.size == len(data) == 4 * MIB
    assert image.origin in ("cloned", "copied")
    assert stat.S_IMODE(image.path.stat().st_mode) == 0o600


@pytest.mark.parametrize("size", LEGAL_SIZES)
def test_every_legal_size_is_reached(tmp_path: Path, size: int) -> None:
    image = assemble_image(tmp_path / "flash.bin", NVS, size=size)
    assert image.path.stat().st_size == size
    assert read_region(image.path, size - 1, 10) == b"\xff"


@pytest.mark.parametrize(("used", "size"), [(1, 2), (2 * MIB, 2), (2 * MIB + 1, 4), (8 * MIB + 1, 16)])
def test_the_smallest_flash_that_holds_the_base_is_taken(tmp_path: Path, used: int, size: int) -> None:
    base = tmp_path / "base.bin"
    base.write_bytes(b"")
    os.truncate(base, used)
    assert assemble_image(tmp_path / "flash.bin", NVS, base=base).size == size * MIB


@NEEDS_ESPTOOL
def test_parts_are_merged_as_esptool_does(tmp_path: Path, parts: tuple[FlashPart, ...]) -> None:
    image = assemble_image(tmp_path / "flash.bin", NVS, parts=parts)
    expected = bytearray(b"\xff" * 2 * MIB)
    for part in parts:
        data = part.file.read_bytes()
        expected[part.offset : part.offset + len(data)] = data
    expected[NVS_OFFSET : NVS_OFFSET + NVS_SIZE] = NVS
    assert image.path.read_bytes() == expected
    assert image.origin == "merged"


@NEEDS_ESPTOOL
def test_a_changed_part_is_merged_anew(tmp_path: Path, parts: tuple[FlashPart, ...]) -> None:
    assemble_image(tmp_path / "one.bin", NVS, parts=parts)
    parts[3].file.write_bytes(b"another application")
    assemble_image(tmp_path / "two.bin", NVS, parts=parts)
    assert read_region(tmp_path / "two.bin", 0x20000, 19) == b"another application"


@NEEDS_ESPTOOL
def test_merging_prints_nothing(tmp_path: Path, parts: tuple[FlashPart, ...], capfd: Any) -> None:
    (tmp_path / "boot2.bin").write_bytes(b"something new")
    assemble_image(tmp_path / "flash.bin", NVS, parts=[FlashPart(0, tmp_path / "boot2.bin")])
    assert capfd.readouterr() == ("", "")


def test_without_esptool_the_extra_is_named(
    tmp_path: Path, parts: tuple[FlashPart, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "esptool", None)
    (tmp_path / "fresh.bin").write_bytes(b"never merged before")
    with pytest.raises(MissingExtraError, match=r"swarmrig\[esp32\]"):
        assemble_image(tmp_path / "flash.bin", NVS, parts=[FlashPart(0, tmp_path / "fresh.bin")])


def test_a_blank_image_says_where_nvs_is(tmp_path: Path) -> None:
    image = assemble_image(tmp_path / "flash.bin", NVS)
    assert parse_table(read_region(image.path, 0x8000, 0xC00))[0] == Partition("nvs", 1, 2, 0x9000, 0x6000)
    assert read_nvs(read_region(image.path, 0x9000, 0x6000)).values == {"csi_cfg": {"node_id": 7}}


def test_a_pflash_image_is_as_long_as_qemu_wants_and_hardly_there(tmp_path: Path) -> None:
    image = assemble_pflash(tmp_path / "flash.bin", NVS)
    status = image.path.stat()
    assert status.st_size == image.size == PFLASH_BYTES == 32 * MIB
    assert status.st_blocks * 512 < MIB, "the rest must be a hole"
    assert read_region(image.path, NVS_OFFSET, NVS_SIZE) == NVS
    assert read_region(image.path, 0, 16) == b"\xff" * 16
    assert parse_table(read_region(image.path, 0x8000, 0xC00))
    assert read_region(image.path, 16 * MIB, 16) == bytes(16)


def test_a_pflash_image_can_have_a_base(tmp_path: Path, base: Path) -> None:
    image = assemble_pflash(tmp_path / "flash.bin", NVS, base=base)
    assert read_region(image.path, 0, 0x9000) == base.read_bytes()[:0x9000]
    assert read_region(image.path, NVS_OFFSET, NVS_SIZE) == NVS
    assert image.path.stat().st_size == PFLASH_BYTES


def test_a_pflash_base_that_is_too_long_is_refused(tmp_path: Path, base: Path) -> None:
    with pytest.raises(FlashError, match="behind the 0x200000 bytes of the pflash"):
        assemble_pflash(tmp_path / "flash.bin", NVS, base=base, total=2 * MIB)


def test_holes_of_the_base_stay_holes(tmp_path: Path) -> None:
    base = tmp_path / "base.bin"
    with base.open("wb") as file:
        file.write(b"start")
        file.seek(12 * MIB)
        file.write(b"end")
        file.truncate(16 * MIB)
    image = assemble_image(tmp_path / "flash.bin", NVS, base=base)
    assert image.path.stat().st_blocks * 512 < MIB
    assert read_region(image.path, 12 * MIB, 3) == b"end"
    assert read_region(image.path, 0, 5) == b"start"


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        ({"size": 3 * MIB}, "a flash of 3 MiB is not possible: 2, 4, 8, 16 MiB"),
        ({"size": 0}, "a flash of 0 MiB"),
        ({"base": Path("/nonexistent/base.bin")}, "the flash base /nonexistent/base.bin does not exist"),
        ({"base": Path("/")}, "is no regular file"),
        ({"parts": [FlashPart(0, Path("/nonexistent/boot.bin"))]}, "the flash part at 0x0 /nonexistent/boot.bin does"),
        ({"nvs_offset": 16 * MIB}, "NVS ends at"),
    ],
)
def test_requests_that_make_no_image(tmp_path: Path, request_: dict[str, Any], problem: str) -> None:
    with pytest.raises(FlashError) as caught:
        assemble_image(tmp_path / "flash.bin", NVS, **request_)
    assert problem in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_base_and_parts_exclude_each_other(base: Path, parts: tuple[FlashPart, ...]) -> None:
    problems = check_image(base=base, parts=parts, size=None, nvs_size=NVS_SIZE)
    assert problems == ["either a flash base or parts make an image, not both"]


def test_an_oversized_base_and_empty_files_are_named(tmp_path: Path, base: Path) -> None:
    assert "does not fit into 0x200000" in check_image(base=base, parts=(), size=2 * MIB, nvs_size=NVS_SIZE)[0]
    empty = tmp_path / "empty.bin"
    empty.touch()
    assert "is empty" in check_image(base=empty, parts=(), size=None, nvs_size=NVS_SIZE)[0]


@pytest.mark.parametrize(
    ("offsets", "problem"),
    [
        ((0x0, 0x4FFF), "one.bin (0x0..0x5000) and two.bin (0x4fff..0x9fff) overlap"),
        ((0x0, 0x5000), "two.bin (0x5000..0xa000) and NVS (0x9000..0xf000) overlap"),
        ((0x0, 0xEFFF), "NVS (0x9000..0xf000) and two.bin (0xefff..0x13fff) overlap"),
        ((0x0, 2 * MIB - 0x4FFF), "two.bin (0x1fb001..0x200001) does not fit into 0x200000 bytes"),
        ((-1, 0x20000), "one.bin (-0x1..0x4fff) does not fit into 0x200000 bytes"),
    ],
)
def test_parts_that_are_in_each_others_way_are_named(tmp_path: Path, offsets: tuple[int, int], problem: str) -> None:
    parts = []
    for name, offset in zip(("one.bin", "two.bin"), offsets, strict=True):
        (tmp_path / name).write_bytes(bytes(0x5000))
        parts.append(FlashPart(offset, tmp_path / name))
    assert problem in check_image(base=None, parts=parts, size=2 * MIB, nvs_size=NVS_SIZE)


def test_a_small_part_inside_a_big_one_and_one_behind_it(tmp_path: Path) -> None:
    for name, size in (("big.bin", 0x8000), ("small.bin", 0x10), ("next.bin", 0x10)):
        (tmp_path / name).write_bytes(bytes(size))
    parts = [FlashPart(0, tmp_path / "big.bin"), FlashPart(0x10, tmp_path / "small.bin"),
             FlashPart(0x7000, tmp_path / "next.bin")]  # fmt: skip
    assert len(check_image(base=None, parts=parts, size=None, nvs_size=NVS_SIZE)) == 2


@pytest.mark.parametrize("size", [0x4000, 0x5000])
def test_nvs_must_be_where_the_firmware_looks_for_it(tmp_path: Path, size: int) -> None:
    table = build_table([Partition("nvs", 1, 2, 0x9000, size), Partition("otadata", 1, 0, 0x9000 + size, 0x2000)])
    base = tmp_path / "base.bin"
    base.write_bytes((b"\xff" * 0x8000 + table).ljust(MIB, b"\xff"))
    part = tmp_path / "table.bin"
    part.write_bytes(table)
    expected = f"has it at: 0x9000..{0x9000 + size:#x}"
    assert expected in check_image(base=base, parts=(), size=None, nvs_size=NVS_SIZE)[0]
    assert expected in check_image(base=None, parts=[FlashPart(0x8000, part)], size=None, nvs_size=NVS_SIZE)[0]
    assert check_image(base=base, parts=(), size=None, nvs_size=size) == []


def test_a_damaged_partition_table_is_named(tmp_path: Path) -> None:
    base = tmp_path / "base.bin"
    table = bytearray(TABLE)
    table[12] ^= 1
    base.write_bytes((b"\xff" * 0x8000 + table).ljust(MIB, b"\xff"))
    assert "is damaged: the MD5" in check_image(base=base, parts=(), size=None, nvs_size=NVS_SIZE)[0]


def test_blank_content_follows_another_nvs_size() -> None:
    data = blank_content(0x9000, 0x8000)
    assert len(data) == 0x11000
    labels = [(p.label, p.offset) for p in parse_table(data[0x8000:])]
    assert labels == [("nvs", 0x9000), ("phy_init", 0x11000)]


def test_an_existing_image_is_replaced_in_one_step(tmp_path: Path) -> None:
    image = tmp_path / "flash.bin"
    image.write_bytes(b"old")
    with image.open("rb") as old:
        assemble_pflash(image, NVS)
        assert old.read() == b"old"
    assert image.stat().st_size == PFLASH_BYTES
    assert list(tmp_path.iterdir()) == [image]


def test_a_missing_directory_is_an_error_of_the_host(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="cannot be written: No such file"):
        assemble_pflash(tmp_path / "missing" / "flash.bin", NVS)


@pytest.fixture
def file_size_limit() -> Iterator[int]:
    """Writing past 100 kB fails with EFBIG, as a full disk would with ENOSPC."""
    import signal

    previous = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, previous[1]))
    yield 100_000
    resource.setrlimit(resource.RLIMIT_FSIZE, previous)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_write_that_fails_leaves_neither_image_nor_rest(tmp_path: Path, file_size_limit: int) -> None:
    image = tmp_path / "flash.bin"
    image.write_bytes(b"old")
    with pytest.raises(HostError, match="cannot be written: File too large"):
        assemble_image(image, NVS)
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [("flash.bin", b"old")]


@pytest.mark.parametrize("code", [errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, None])
def test_copying_works_where_the_kernel_cannot_help(
    tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch, code: int | None
) -> None:
    def refuse(*_: object) -> int:
        if code is None:
            return 0
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "copy_file_range", refuse)
    monkeypatch.setattr(copying.fcntl, "ioctl", refuse if code else _not_supported)
    image = assemble_image(tmp_path / "flash.bin", NVS, base=base)
    assert image.origin == "copied"
    assert read_region(image.path, 0, 0x9000) == base.read_bytes()[:0x9000]
    assert read_region(image.path, 0xF000, 3 * MIB - 0xF000) == base.read_bytes()[0xF000:]


def _not_supported(*_: object) -> int:
    raise OSError(errno.EOPNOTSUPP, "")


def test_other_errors_of_the_kernel_are_told(tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "copy_file_range", fail)
    monkeypatch.setattr(copying.fcntl, "ioctl", _not_supported)
    with pytest.raises(HostError, match="Input/output error"):
        assemble_image(tmp_path / "flash.bin", NVS, base=base)


@pytest.mark.parametrize("count", [0, 1, 65535, 65536, 65537, 65 * 65536 + 5])
def test_filling_writes_exactly_that_many_bytes(tmp_path: Path, count: int) -> None:
    path = tmp_path / "file"
    with path.open("w+b") as file:
        copying.fill(file.fileno(), 3, count)
        file.seek(0)
        assert file.read() == (b"\0" * 3 + b"\xff" * count if count else b"")
