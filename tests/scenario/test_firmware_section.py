"""What nodes boot: files that must exist, parts that must fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from swarmrig.errors import ScenarioError
from swarmrig.model.scenario import FirmwareSpec, FlashPart


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name, size in (("a.bin", 0x1000), ("b.bin", 0x2000), ("app.elf", 10), ("base.bin", 2 << 20)):
        with (tmp_path / name).open("wb") as stream:
            stream.truncate(size)
    (tmp_path / "folder").mkdir()
    return tmp_path


def firmware(load: Any, files: Path, text: str) -> FirmwareSpec:
    found: FirmwareSpec = load(f"swarmrig: 1\nnodes:\n  a:\n    firmware: {text}\n", directory=files).nodes[0].firmware
    return found


def test_paths_are_relative_to_the_file(load: Any, files: Path) -> None:
    assert firmware(load, files, "{image: app.elf}") == FirmwareSpec(image=files / "app.elf")
    assert firmware(load, files, f"{{image: {files}/app.elf}}").image == files / "app.elf"
    found = firmware(load, files, "{flash_base: base.bin, variant: mute}")
    assert (found.flash_base, found.variant) == (files / "base.bin", "mute")


def test_home_is_understood(load: Any, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(files))
    assert firmware(load, Path("/nowhere"), "{image: ~/app.elf}").image == files / "app.elf"


def test_without_a_home_its_sign_is_a_name(load: Any, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home(_path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", no_home)
    with pytest.raises(ScenarioError, match=r"~/app\.elf' does not exist"):
        firmware(load, files, "{image: ~/app.elf}")


def test_parts_lie_side_by_side(load: Any, files: Path) -> None:
    text = "{parts: [{offset: 0x1000, file: b.bin}, {offset: 0, file: a.bin}, {offset: 12KiB, file: a.bin}]}"
    assert firmware(load, files, text).parts == (
        FlashPart(0x1000, files / "b.bin"), FlashPart(0, files / "a.bin"), FlashPart(0x3000, files / "a.bin"),
    )  # fmt: skip


def test_a_build_makes_the_files(load: Any, files: Path) -> None:
    found = firmware(load, files, "{build: make -C 'my fw', image: not/yet.elf}")
    assert found.build == ("make", "-C", "my fw")
    assert found.build_cwd == files
    assert found.image == files / "not/yet.elf"
    found = firmware(load, files, "{build: [idf.py, build], build_cwd: folder, image: x.elf}")
    assert (found.build, found.build_cwd) == (("idf.py", "build"), files / "folder")


@pytest.mark.parametrize(
    ("text", "place", "expected"),
    [
        ("{image: none.elf}", "4:23", "none.elf' does not exist (paths are relative to the scenario file)"),
        ("{image: folder}", "4:23", "is a directory"),
        ("{image: ''}", "4:23", "image: expected the path of a file, seen ''"),
        ('{image: "a\\0b"}', "4:23", "image: expected the path of a file"),
        ("{image: 5}", "4:23", "image: expected a text"),
        ("{flash_base: none.bin}", "4:28", "does not exist"),
        ("{parts: [{offset: 0, file: none.bin}]}", "4:24", "does not exist"),
        ("{parts: [{offset: 0, file: b.bin}, {offset: 0x1fff, file: a.bin}]}", "4:50", "at 0x1fff overlaps b.bin"),
        ("{parts: [{offset: 0, file: a.bin}, {offset: 0, file: a.bin}]}", "4:50", "overlaps a.bin (0x0..0xfff)"),
        ("{parts: [{offset: 0xfff001, file: a.bin}]}", "4:24", "does not fit into 16 MiB"),
        (f"{{parts: [{{offset: 0, file: {'x' * 300}}}]}}", "4:24", "cannot be used: File name too long"),
        ("{parts: [{offset: -1, file: a.bin}]}", "4:33", "offset: expected"),
        ("{parts: [{file: a.bin}]}", "4:24", "missing key 'offset'"),
        ("{parts: [{offset: 0, file: a.bin, size: 4}]}", "4:49", "unknown key 'size'"),
        ("{parts: {offset: 0}}", "4:23", "parts: expected a list, seen a mapping"),
        ("{flash_base: base.bin, parts: [{offset: 0, file: a.bin}]}", "4:38", "either flash_base or made of parts"),
        ("{image: app.elf, variant: mute}", "4:32", "variant: names a build of the reference firmware"),
        ("{variant: ../mute}", "4:25", "variant: expected a name"),
        ("{build_cwd: folder}", "4:16", "build_cwd: has no meaning without build"),
        ("{build: \"make 'x\"}", "4:23", "build: expected a command"),
        ("{build: []}", "4:23", "build: "),
        ("{build: ''}", "4:23", "build: "),
        ("{imag: app.elf}", "4:16", "unknown key 'imag' (did you mean 'image'?)"),
        ("app.elf", "4:15", "firmware: expected a mapping, seen 'app.elf'"),
    ],
)  # fmt: skip
def test_wrong_firmware_is_explained(load: Any, files: Path, text: str, place: str, expected: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        firmware(load, files, text)
    [problem] = map(str, caught.value.problems)
    assert problem.startswith(f"t.yml:{place}")
    assert expected in problem


def test_the_command_line_replaces_what_nodes_boot(load: Any, files: Path) -> None:
    from swarmrig.scenario.fleet import Forced

    firmware = "{parts: [{offset: 0, file: a.bin}]}"
    text = f"swarmrig: 1\nnodes:\n  a: {{machine: x, firmware: {firmware}}}\n  b: {{kind: python, factory: f}}\n"
    forced = Forced(machine="esp32s3", flash_base=files / "base.bin", qemu_path=Path("qemu-system-xtensa"))
    a, b = load(text, directory=files, forced=forced).nodes
    assert (a.machine, a.firmware.flash_base, a.firmware.parts) == ("esp32s3", files / "base.bin", ())
    assert a.options["machine_binary"] == Path("qemu-system-xtensa")
    assert b.machine != "esp32s3", "only QEMU nodes have such a machine"
    parts = Forced(parts={0: files / "a.bin", 0x8000: files / "b.bin"})
    text = "swarmrig: 1\nnodes: {a: {firmware: {flash_base: base.bin}}}\n"
    [node] = load(text, directory=files, forced=parts).nodes
    assert node.firmware.flash_base is None
    assert [part.offset for part in node.firmware.parts] == [0, 0x8000]


def test_a_wrong_option_is_named_as_the_place(load: Any, files: Path) -> None:
    from swarmrig.scenario.fleet import Forced

    with pytest.raises(ScenarioError) as caught:
        load("swarmrig: 1\nnodes: {a: , b: }\n", forced=Forced(flash_base=files / "none.bin"))
    [problem] = map(str, caught.value.problems)
    assert problem == f"--flash-base {files}/none.bin: flash_base: '{files}/none.bin' does not exist"
