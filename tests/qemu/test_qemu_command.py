"""The exact command lines, and that nothing a user writes changes their meaning."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmrig.model.scenario import FirmwareSpec, NodeSpec
from swarmrig.nodes.emulator.quoting import plain, value
from swarmrig.nodes.qemu.command import command_template, fill_in
from swarmrig.nodes.qemu.firmware import firmware_path
from swarmrig.nodes.qemu.machines import MACHINES, Nic
from swarmrig.nodes.qemu.options import QemuOptions
from swarmrig.nodes.qemu.setup import Setup, resolve

MAC = "52:54:00:01:02:03"


def setup(machine: str, image: Path | None = None, nic: Nic | None = None, **options: object) -> Setup:
    found = MACHINES[machine]
    return Setup(
        spec=NodeSpec(id="n1", number=1, machine=machine),
        machine=found,
        options=QemuOptions.model_validate(options),
        architecture=found.architecture or "arm",
        emulator=Path("/opt/qemu"),
        image=image,
        load=str(options.get("load", "kernel")),
        nic=nic or found.nic,
    )


def command(found: Setup, directory: Path = Path("/run/n1")) -> str:
    words = fill_in(command_template(found), mac=MAC, flash=directory / "flash.bin", efuse=directory / "efuse.bin")
    return " ".join(words)


COMMON = "/opt/qemu -nodefaults -no-user-config -display none -name guest=n1"
LINES = (
    "-chardev socket,id=console,fd=3 -serial chardev:console "
    "-chardev socket,id=monitor,fd=4 -mon chardev=monitor,mode=control"
)


@pytest.mark.parametrize("chip", ["esp32s3", "esp32c3"])
def test_esp32(chip: str) -> None:
    assert command(setup(chip)) == (
        f"{COMMON} -machine {chip} -accel tcg,tb-size=8 "
        f"-global driver=timer.{chip}.timg,property=wdt_disable,value=true -no-reboot -no-shutdown "
        "-drive if=mtd,format=raw,file=/run/n1/flash.bin -drive if=none,format=raw,id=efuse,file=/run/n1/efuse.bin "
        f"-global driver=nvram.{chip}.efuse,property=drive,value=efuse {LINES} "
        f"-netdev dgram,id=net,local.type=fd,local.str=6 -net nic,netdev=net,model=open_eth,macaddr={MAC}"
    )


def test_esp32_without_a_mac_of_its_own_and_with_psram() -> None:
    found = command(setup("esp32s3", factory_mac=False, memory="32MiB"))
    assert "efuse" not in found and " -m 32M " in found


def test_refnode() -> None:
    found = resolve(NodeSpec(id="n1", number=1), MACHINES)
    assert command(found) == (
        f"{COMMON.replace('/opt/qemu', str(shutil.which('qemu-system-riscv32')))} -machine virt -accel tcg,tb-size=8 "
        f"-m 16M -global virtio-mmio.force-legacy=off -bios {firmware_path('refnode-rv32')} "
        f"-drive if=pflash,unit=1,format=raw,file=/run/n1/flash.bin {LINES} "
        "-chardev socket,id=memory,fd=5 -object qtest,id=memory,chardev=memory,log=none "
        f"-netdev dgram,id=net,local.type=fd,local.str=6 -device virtio-net-device,netdev=net,mac={MAC}"
    )


def test_generic() -> None:
    found = command(
        setup(
            "generic",
            Path("/fw/a.elf"),
            Nic("lan9118", onboard=True),
            qemu_machine="mps2-an385",
            cpu="cortex-m3",
            memory=16384,
            console=2,
            bios="none",
            args=["-d", "unimp"],
        )
    )
    assert (
        "-machine mps2-an385 " in found and "-cpu cortex-m3 -m 16k" in found and "-bios none -kernel /fw/a.elf" in found
    )
    assert "-serial null -serial null -serial chardev:console" in found
    assert found.endswith(f"-net nic,netdev=net,model=lan9118,macaddr={MAC} -d unimp")
    assert "flash" not in found


def test_generic_without_a_network() -> None:
    found = command(setup("generic", Path("/fw/a,b.elf"), qemu_machine="virt", load="loader"))
    assert "-netdev" not in found and "-device loader,file=/fw/a,,b.elf" in found


def test_nothing_listens_and_no_path_is_shared() -> None:
    for machine in MACHINES:
        words = command(setup(machine, qemu_machine="virt") if machine == "generic" else setup(machine))
        assert "server" not in words and "tcp" not in words.replace("tcg", "") and "unix" not in words


@settings(deadline=None)
@given(st.text(min_size=1, max_size=30))
def test_paths_keep_their_meaning(name: str) -> None:
    directory = Path("/run") / name.replace("/", "_").replace("\0", "_")
    words = fill_in(command_template(setup("esp32c3")), mac=MAC, flash=directory / "f", efuse=directory / "e")
    drive = words[words.index("-drive") + 1]
    assert drive.startswith("if=mtd,format=raw,file=")
    assert drive.removeprefix("if=mtd,format=raw,file=").replace(",,", ",") == str(directory / "f")


@settings(deadline=None)
@given(st.text(max_size=30))
def test_text_passes_through_the_template_unchanged(text: str) -> None:
    def filled(template: str) -> str:
        return fill_in((template,), mac=MAC, flash=Path("f"), efuse=Path("e"))[0]

    assert filled(plain(text)) == text
    assert filled(value(text)).replace(",,", ",") == text
    assert "," not in filled(value(text)).replace(",,", "")


def test_images_with_braces(tmp_path: Path) -> None:
    image = tmp_path / "{mac},{flash}{0}.elf"
    image.write_bytes(firmware_path("refnode-rv32").read_bytes())
    found = resolve(NodeSpec(id="n1", number=1, firmware=FirmwareSpec(image=image)), MACHINES)
    assert f"-bios {image} " in command(found)
