"""A node's specification against this host: emulators, images, flash."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from swarmrig.errors import HostError, NodeError
from swarmrig.model.scenario import FirmwareSpec, FlashPart, NodeSpec, SourceRef
from swarmrig.nodes.qemu.architectures import ARCHITECTURES, architecture_of_emulator, elf_kind, mismatch
from swarmrig.nodes.qemu.firmware import firmware_path
from swarmrig.nodes.qemu.machines import MACHINES
from swarmrig.nodes.qemu.setup import Setup, resolve

MIB = 1 << 20


def node(machine: str = "refnode-rv32", *, source: SourceRef | None = None, **firmware: object) -> NodeSpec:
    options = firmware.pop("options", {})
    return NodeSpec(
        id="n1",
        number=1,
        machine=machine,
        firmware=FirmwareSpec(**firmware),  # type: ignore[arg-type]
        options=options,  # type: ignore[arg-type]
        source=source,
    )


def setup(spec: NodeSpec) -> Setup:
    return resolve(spec, MACHINES)


def refusal(spec: NodeSpec) -> str:
    with pytest.raises(NodeError) as caught:
        setup(spec)
    assert caught.value.node == "n1"
    return str(caught.value)


def elf(path: Path, machine: int, bits: int = 32, order: str = "<") -> Path:
    header = b"\x7fELF" + bytes((bits // 32, 1 if order == "<" else 2, 1)) + bytes(9)
    path.write_bytes(header + struct.pack(f"{order}HH", 2, machine) + bytes(40))
    return path


def esp_image(path: Path, chip: int, *, flash_code: int = 2, size: int = 64 * 1024) -> Path:
    """A file with the header of a bootable image; flash_code 0, 1, 2, … is 1, 2, 4, … MiB."""
    header = bytearray(24)
    header[0], header[3] = 0xE9, flash_code << 4
    struct.pack_into("<H", header, 12, chip)
    path.write_bytes(bytes(header) + b"\xff" * (size - 24))
    return path


@pytest.fixture
def espressif(tmp_path: Path) -> Path:
    """Something executable in place of the emulator that is not there."""
    binary = tmp_path / "espressif-qemu"
    binary.write_text("#!/bin/sh\n")
    binary.chmod(0o755)
    return binary


def test_the_reference_device_needs_nothing_said() -> None:
    found = setup(node())
    assert found.emulator.name == "qemu-system-riscv32" and found.image == firmware_path("refnode-rv32")
    assert (found.load, found.architecture, found.qemu_machine) == ("bios", "riscv32", "virt")


def test_a_variant_is_another_image() -> None:
    assert setup(node(variant="mute")).image == firmware_path("refnode-rv32", "mute")
    assert "no firmware variant 'mutte'" in refusal(node(variant="mutte"))


@pytest.mark.parametrize(
    ("machine", "bits", "order", "target", "fits"),
    [
        (243, 32, "<", "riscv32", True),
        (243, 64, "<", "riscv32", False),
        (40, 32, "<", "riscv32", False),
        (40, 32, "<", "aarch64", True),
        (8, 32, ">", "mips", True),
        (8, 32, "<", "mips", False),
        (62, 64, "<", "x86_64", True),
    ],
)
def test_code_and_emulator_fit_or_not(
    tmp_path: Path, machine: int, bits: int, order: str, target: str, fits: bool
) -> None:
    assert (mismatch(elf(tmp_path / "image", machine, bits, order), target) is None) is fits


def test_a_wrong_architecture_is_told_with_both_names(tmp_path: Path) -> None:
    text = refusal(node(image=elf(tmp_path / "arm.elf", 40)))
    assert "wrong architecture" in text and "arm.elf is 32-bit little-endian Arm code" in text
    assert "qemu-system-riscv32 runs 32-bit little-endian RISC-V code" in text


@pytest.mark.parametrize("content", [b"\x7fELF", b"MZ" + bytes(100), b"\x7fELF\x07\x01" + bytes(30)])
def test_what_is_no_elf_is_not_judged(tmp_path: Path, content: bytes) -> None:
    image = tmp_path / "image"
    image.write_bytes(content)
    assert elf_kind(image) is None and mismatch(image, "arm") is None


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    image = elf(tmp_path / "image", 40)
    assert mismatch(image, "arm") is None
    image.write_bytes(elf(tmp_path / "other", 243).read_bytes() + b"more")
    assert mismatch(image, "arm") is not None


def test_missing_and_empty_images(tmp_path: Path) -> None:
    assert "does not exist" in refusal(node(image=tmp_path / "none.elf"))
    (tmp_path / "empty").touch()
    assert "is empty" in refusal(node(image=tmp_path / "empty"))
    assert "does not exist" in refusal(node(image=tmp_path))
    assert setup(node(image=tmp_path / "later.elf", build=("make",))).image == tmp_path / "later.elf"


def test_names_of_emulators() -> None:
    assert architecture_of_emulator(Path("/x/qemu-system-riscv32")) == "riscv32"
    assert architecture_of_emulator(Path("/x/my-qemu")) is None
    assert architecture_of_emulator(Path("/x/qemu-system-xyz")) is None
    assert {"riscv32", "arm", "xtensa", "x86_64"} <= set(ARCHITECTURES)


def test_an_emulator_that_is_not_there_comes_with_the_way_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(HostError) as caught:
        setup(node(options={"machine_binary": tmp_path / "qemu-system-riscv32"}))
    assert "does not exist" in str(caught.value) and "apt install" in str(caught.value)
    (tmp_path / "qemu-system-riscv32").touch(mode=0o644)
    with pytest.raises(HostError):
        setup(node(options={"machine_binary": tmp_path / "qemu-system-riscv32"}))


def test_an_emulator_for_something_else(tmp_path: Path) -> None:
    text = refusal(node(options={"machine_binary": "qemu-system-arm"}))
    assert "needs an emulator for riscv32" in text and "qemu-system-arm emulates arm" in text


def test_an_emulator_may_be_named_relative_to_the_file(espressif: Path) -> None:
    source = SourceRef(str(espressif.parent / "a.swarmrig.yml"), 1, 1)
    found = setup(node(options={"machine_binary": espressif.name}, source=source))
    assert found.emulator == espressif


def test_unknown_machines_and_misplaced_options() -> None:
    text = refusal(node("esp32s4"))
    assert "unknown machine 'esp32s4'" in text and "esp32c3, esp32s3, generic, refnode-arm, refnode-rv32" in text
    assert "nic, onboard_nic cannot be set" in refusal(node(options={"nic": "e1000", "onboard_nic": "x"}))
    assert "console: Input should be" in refusal(node(options={"console": 99}))


def test_a_generic_machine_says_what_it_is(tmp_path: Path) -> None:
    image = elf(tmp_path / "image", 40)
    assert "`qemu_machine:`" in refusal(node("generic", image=image, options={"arch": "arm"}))
    assert "`arch:`" in refusal(node("generic", image=image, options={"qemu_machine": "mps2-an385"}))
    assert "firmware.image" in refusal(node("generic", options={"arch": "arm", "qemu_machine": "mps2-an385"}))
    both = {"arch": "arm", "qemu_machine": "mps2-an385", "nic": "e1000", "onboard_nic": "lan9118"}
    assert "not both" in refusal(node("generic", image=image, options=both))
    none = {"arch": "arm", "qemu_machine": "mps2-an385", "load": "bios", "bios": "none"}
    assert "bios: none" in refusal(node("generic", image=image, options=none))
    by_name = setup(node("generic", image=image, options={"machine_binary": "qemu-system-arm", "qemu_machine": "virt"}))
    assert by_name.architecture == "arm"


def test_esp_machines_boot_from_flash_only(tmp_path: Path, espressif: Path) -> None:
    options = {"machine_binary": espressif}
    assert "none is given" in refusal(node("esp32s3", options=options))
    assert "no image" in refusal(node("esp32s3", image=elf(tmp_path / "x", 94), options=options))
    assert "boot from flash" in refusal(node(parts=(FlashPart(0, tmp_path / "x"),)))
    with pytest.raises(HostError, match="Espressif"):
        setup(node("esp32s3", flash_base=tmp_path / "x", options={"machine_binary": "no-such-qemu"}))


def test_esp_flash_is_at_least_what_its_bootloader_claims(tmp_path: Path, espressif: Path) -> None:
    """A smaller one panics at boot: see panic_flash_too_small.log."""
    base = esp_image(tmp_path / "flash.bin", 9, flash_code=3)
    found = setup(node("esp32s3", flash_base=base, options={"machine_binary": espressif}))
    assert found.flash_bytes == 8 * MIB and found.image is None


@pytest.mark.parametrize(("size", "expected"), [(2 * MIB, 4), (4 * MIB, 4), (4 * MIB + 1, 8), (16 * MIB, 16)])
def test_esp_flash_has_a_size_that_the_emulator_takes(
    tmp_path: Path, espressif: Path, size: int, expected: int
) -> None:
    base = esp_image(tmp_path / "flash.bin", 5, size=size)
    found = setup(node("esp32c3", flash_base=base, options={"machine_binary": espressif}))
    assert found.flash_bytes == expected * MIB


def test_esp_flash_that_cannot_boot_is_refused(tmp_path: Path, espressif: Path) -> None:
    options = {"machine_binary": espressif}
    c3 = esp_image(tmp_path / "c3.bin", 5)
    text = refusal(node("esp32s3", flash_base=c3, options=options))  # see chip_mismatch.log
    assert "wrong architecture" in text and "is for esp32c3, the node is esp32s3" in text
    blank = tmp_path / "blank.bin"
    blank.write_bytes(b"\xff" * 4096)
    assert "holds no bootloader" in refusal(node("esp32c3", flash_base=blank, options=options))
    big = esp_image(tmp_path / "big.bin", 5, size=16 * MIB + 1)
    assert "does not fit" in refusal(node("esp32c3", flash_base=big, options=options))
    app_only = (FlashPart(0x20000, c3),)
    assert "0x0" in refusal(node("esp32c3", parts=app_only, options=options))
    overlapping = (FlashPart(0, c3), FlashPart(0x8000, c3))
    assert "overlap" in refusal(node("esp32c3", parts=overlapping, options=options))
    assert "does not exist" in refusal(node("esp32c3", flash_base=tmp_path / "none", options=options))


def test_esp_flash_that_is_still_to_be_built(tmp_path: Path, espressif: Path) -> None:
    spec = node("esp32c3", flash_base=tmp_path / "later.bin", build=("make",), options={"machine_binary": espressif})
    assert setup(spec).flash_bytes is None
