"""Another architecture, another network card, and both kinds in one swarm."""

import shutil
import subprocess
from pathlib import Path

import pytest
from lockstep_swarm import ARM, CHANNEL_FD, MONITOR_FD, MS, RISCV, Guest, S, Swarm, mac_of, protocol, text_of

from swarmrig.timebase.protocol import Command, Feature

COMPILER = "arm-none-eabi-gcc"
pytestmark = pytest.mark.skipif(
    not (shutil.which(COMPILER) and shutil.which("qemu-system-arm")), reason=f"needs {COMPILER} and qemu-system-arm"
)
LINKER_SCRIPT = """ENTRY(start)
SECTIONS { . = 0; .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) } . = 0x20000000; .bss : { *(.data*) *(.bss*) } }
"""


@pytest.fixture(scope="module")
def firmware(tmp_path_factory):
    directory = tmp_path_factory.mktemp("arm")
    script, image = directory / "arm_node.ld", directory / "arm_node.elf"
    script.write_text(LINKER_SCRIPT)
    subprocess.run(
        [COMPILER, "-mcpu=cortex-m3", "-mthumb", "-O1", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-fno-builtin",
         "-nostdlib", "-Wl,--build-id=none", "-T", script, Path(__file__).parent / "arm_node.c", "-o", image, "-lgcc"],
        check=True,
    )  # fmt: skip
    return image


def arm_guest(fleet, firmware, number):
    command = [
        "qemu-system-arm", "-nodefaults", "-no-user-config", "-display", "none",
        "-machine", "mps2-an385", "-accel", "tcg,tb-size=8", "-kernel", str(firmware),
        "-chardev", "null,id=console", "-serial", "chardev:console",
        "-chardev", f"socket,id=monitor,fd={MONITOR_FD}", "-mon", "chardev=monitor,mode=control",
        "-netdev", "hubport,id=net,hubid=0",
        "-net", f"nic,netdev=net,model=lan9118,macaddr={text_of(mac_of(number))}",
        "-icount", "shift=4,sleep=off", "-rtc", "base=2020-01-01T00:00:00,clock=vm", "-seed", "1",
        "-plugin", f"file={fleet.plugin},fd={CHANNEL_FD},netdev=net,console=console",
    ]  # fmt: skip
    guest = fleet.stack.enter_context(Guest(command, fleet.directory, f"arm{next(fleet.serial)}"))
    guest.mac = mac_of(number)
    return guest


def test_arm_introduces_itself(fleet, firmware):
    hello = arm_guest(fleet, firmware, 5).greet()

    assert hello.target == "arm"
    assert hello.features == Feature.NETWORK | Feature.CONSOLE | Feature.PC


def test_two_architectures_in_one_time(fleet, firmware):
    """Any step, held on the way or not: the same bytes at the same times."""
    digests = set()
    for quantum, holds in ((5 * MS, ()), (1 * MS, ()), (3_333_333, (123_456_789, 500 * MS))):
        guests = [arm_guest(fleet, firmware, number) for number in (5, 6)] + [fleet.guest(2)]
        swarm = Swarm(guests, quantum=quantum)
        for t in holds:
            swarm.run(t)
            for guest in guests:
                guest.hold()
                guest.release()
        swarm.run(1 * S)
        digests.add(swarm.digest())
        assert not any(guest.violated for guest in guests)
        assert all(guest.sent for guest in guests)
        assert guests[0].text().count("received") > 30

    assert len(digests) == 1


def test_resets_and_nmis_are_exact(fleet, firmware):
    inputs = [protocol.simple(Command.NMI, 200 * MS + 3, tag=1), protocol.simple(Command.RESET, 300 * MS + 5, tag=2)]
    one, other = arm_guest(fleet, firmware, 5), arm_guest(fleet, firmware, 5)
    for guest in (one, other):
        guest.greet()

    one.live(1 * S, inputs)
    for t in range(100 * MS, 1 * S + 1, 100 * MS):
        other.live(t, [command for command, at in zip(inputs, (200 * MS + 3, 300 * MS + 5), strict=True)
                       if t - 100 * MS < at <= t])  # fmt: skip

    assert one.digest() == other.digest()
    assert [reply.ok for reply in one.replies] == [True, True]
    assert one.text().count("boot") == 2
    (nmi,) = [t for t, line in one.console if line.startswith(b"nmi")]
    assert 200 * MS < nmi < 201 * MS


def test_where_arm_is(fleet, firmware):
    guest = arm_guest(fleet, firmware, 5)
    guest.greet()

    assert 0 < guest.live(1 * MS).pc < 0x1000


@pytest.mark.parametrize("machines", [(RISCV, ARM), (ARM, RISCV)])
def test_both_machines_in_one_swarm(fleet, machines):
    """Whatever the step: the hub on either kind of core, sensors on both."""
    digests = set()
    for quantum in (5 * MS, 1 * MS, 1_234_567):
        swarm = fleet.swarm(4, machines=machines, quantum=quantum).run(3 * S)
        digests.add(swarm.digest())
        assert not any(guest.violated for guest in swarm.guests)
        for number in (2, 3, 4):
            assert f"first frame from node_id={number}" in swarm.guests[0].text()

    assert len(digests) == 1
