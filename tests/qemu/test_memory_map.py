"""Where memory is on the boards that are known, and nothing on others."""

import pytest

from swarmrig.model.scenario import FirmwareSpec, NodeSpec
from swarmrig.nodes.qemu.machines import MACHINES, MIB
from swarmrig.nodes.qemu.memory_map import memory_map
from swarmrig.nodes.qemu.setup import resolve


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "kernel.bin"
    path.write_bytes(b"\0" * 64)
    return path


def generic(image, arch, machine, **options):
    options = {"arch": arch, "qemu_machine": machine, **options}
    return NodeSpec("n", 1, machine="generic", firmware=FirmwareSpec(image=image), options=options)


def test_the_reference_device():
    setup = resolve(NodeSpec("n", 1), MACHINES)
    known = memory_map(setup)
    assert known.ram == ((0x8000_0000, 16 * MIB),)
    assert known.flash_base == 0x2200_0000
    assert known.image == setup.image


def test_its_sister_on_arm():
    known = memory_map(resolve(NodeSpec("n", 1, machine="refnode-arm"), MACHINES))
    assert (0x2000_0000, 4 * MIB) in known.ram
    assert known.flash_base == 0x2100_0000


@pytest.mark.parametrize(("options", "size"), [({}, 128 * MIB), ({"memory": "64MiB"}, 64 * MIB)])
def test_a_generic_machine_of_a_known_board(image, options, size):
    known = memory_map(resolve(generic(image, "riscv32", "virt", **options), MACHINES))
    assert known.ram == ((0x8000_0000, size),)
    assert known.flash_base is None, "nothing is provisioned through its flash"


def test_of_other_boards_nothing_is_known(image):
    known = memory_map(resolve(generic(image, "riscv32", "spike"), MACHINES))
    assert known.ram == () and known.flash_base is None
    assert known.image == image
