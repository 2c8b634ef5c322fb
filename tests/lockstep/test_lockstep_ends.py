"""First words, last words, and everything that can break in between."""

import os
import select
import signal
import struct
import subprocess
import sys
import time

import pytest
from lockstep_swarm import API, LOCKSTEP, MS, Guest, S, mac_of, protocol, refnode_command, refnode_flash

from swarmrig.nodes.qemu.firmware import firmware_path
from swarmrig.timebase.protocol import Command, Feature, Flag, Hello, Stopped

SOON_S = 1.0
GRANT = struct.Struct("<IHHqII")
COMMAND = struct.Struct("<qIHHII")


def ends_within(guest, seconds):
    """Exit code of QEMU, which must end by itself."""
    begin = time.monotonic()
    code = guest.process.wait(10)
    assert time.monotonic() - begin < seconds
    return code


@pytest.fixture
def started(fleet):
    guest = fleet.guest(2)
    guest.greet()
    return guest


# --- first words ----------------------------------------------------------------------------------------------


def test_the_guest_introduces_itself(fleet):
    hello = fleet.guest(2).greet()

    assert (hello.api, hello.target, hello.grain_ns, hello.now) == (API, "riscv32", 16, 0)
    assert hello.qemu.startswith({1: "7.2.", 4: "10.0."}[API])
    assert hello.features == Feature.NETWORK | Feature.CONSOLE | Feature.PC
    assert hello.commands == set(Command)


def test_another_version_is_refused_in_words(fleet):
    guest = fleet.guest(2)
    assert isinstance(guest.next_message(), Hello)

    guest.send(struct.pack("<IHHIHH", 16, 16, 0, protocol.MAGIC, protocol.VERSION + 1, 0))

    assert ends_within(guest, SOON_S) == 1
    assert f"the rig speaks version {protocol.VERSION + 1} of the protocol, this plugin version" in guest.last_words


def test_somebody_else_is_refused(fleet):
    guest = fleet.guest(2)
    assert isinstance(guest.next_message(), Hello)

    guest.send(struct.pack("<IHHIHH", 16, 16, 0, 0x20544547, 1, 0))

    assert ends_within(guest, SOON_S) == 1
    assert "no swarmrig coordinator" in guest.last_words


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"icount": None}, "-icount"),
        ({"icount": "shift=auto"}, "-icount"),
        ({"options": ",wrong=1"}, "unknown option or value: wrong=1"),
        ({"options": ",fd=1"}, "connected stream socket"),
        ({"options": ",fd=x"}, "unknown option or value: fd=x"),
        ({"options": ",cpu=4000"}, "not a core"),
        ({"smp": 2}, "one processor"),
    ],
)
def test_wrong_arguments_are_named(plugin, tmp_path, change, reason):
    smp, icount = change.pop("smp", None), change.get("icount", "")
    flash = refnode_flash(tmp_path / "flash", 2)
    command = refnode_command(firmware_path("refnode-rv32"), flash, mac_of(2), plugin, **change)
    if icount is None:
        at = command.index("-icount")
        del command[at : at + 2]
    if smp:
        command += ["-smp", str(smp)]

    with Guest(command, tmp_path) as guest:
        assert guest.process.wait(10) == 1
        assert reason in guest.last_words


@pytest.mark.parametrize("name", ["netdev", "console"])
def test_missing_devices_are_named(fleet, name):
    guest = fleet.guest(2, options=f",{name}=nobody")

    assert guest.process.wait(10) == 1
    assert "there is no" in guest.last_words


def test_idle_time_that_does_not_pass_is_named(fleet):
    guest = fleet.guest(2, icount="shift=4,sleep=on")
    guest.greet()
    guest.grant(1 * S)

    assert guest.process.wait(10) == 1
    assert "-icount needs sleep=off" in guest.last_words


# --- the end --------------------------------------------------------------------------------------------------


def test_the_end_is_clean(started):
    started.live(1 * S)
    started.send(protocol.END)

    assert ends_within(started, SOON_S) == 0
    assert "lockstep" not in started.last_words


def test_the_rig_went_away(started):
    started.live(1 * S)
    started.channel.close()

    assert ends_within(started, SOON_S) == 0


@pytest.mark.parametrize("busy", [False, True])
def test_the_rig_went_away_in_the_middle_of_a_quantum(fleet, busy):
    """Which would last for hours."""
    guest = fleet.bare_guest(SPIN) if busy else fleet.guest(2)
    guest.greet()
    guest.grant(36000 * S)
    guest.channel.close()

    assert ends_within(guest, SOON_S) == 0


def test_the_rig_was_killed(plugin, tmp_path):
    """Its end of the socket closes with it; nobody else holds it open."""
    script = f"""
import sys, time
sys.path[:0] = {[str(LOCKSTEP.parent / "tests" / "lockstep")]!r}
from lockstep_swarm import Fleet, Path, S
fleet = Fleet(Path({str(plugin)!r}), Path({str(tmp_path)!r}))
guests = [fleet.guest(number) for number in (2, 3)]
for guest in guests:
    guest.greet()
    guest.live(S)
print(*(guest.process.pid for guest in guests), flush=True)
time.sleep(60)
"""
    rig = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    with rig:
        pids = [int(word) for word in rig.stdout.readline().split()]
        handles = [os.pidfd_open(pid) for pid in pids]
        rig.send_signal(signal.SIGKILL)
        rig.wait()
    assert len(pids) == 2
    end = time.monotonic() + SOON_S
    for handle in handles:
        ready, _, _ = select.select([handle], [], [], max(0, end - time.monotonic()))
        os.close(handle)
        assert ready


def test_held_guests_end_as_well(started, fleet):
    other = fleet.guest(3)
    other.greet()
    for guest in (started, other):
        guest.live(100 * MS)
        guest.hold()

    started.send(protocol.END)
    other.channel.close()

    assert ends_within(started, SOON_S) == 0
    assert ends_within(other, SOON_S) == 0


def test_flash_is_written_back(fleet, tmp_path):
    flash = refnode_flash(tmp_path / "flash", 2)
    guest = fleet.guest(2, flash=flash)
    guest.greet()
    guest.live(1 * S, [protocol.console_input(500 * MS, b"flash-write 0x110000 c0ffee\r\n")])
    guest.send(protocol.END)

    assert ends_within(guest, SOON_S) == 0
    assert "3 bytes written" in guest.text()
    assert flash.read_bytes()[0x110000:0x110003] == b"\xc0\xff\xee"


def test_a_guest_that_switches_itself_off_says_what_it_did_last(fleet):
    """By the test device of riscv `virt`. QEMU 7.2 exits on the spot, later ones stop the machine first."""
    guest = fleet.guest(2)
    guest.greet()
    guest.grant(1 * S, [protocol.memory_write(300 * MS, 0x100000, struct.pack("<I", 0x5555))])

    while isinstance(message := guest.next_message(), Stopped):
        assert (message.now, message.as_asked, message.is_off) == (300 * MS, False, True)
    assert message.last.now == 300 * MS
    guest.collect(message.last)
    assert "boot_time=" in guest.text()
    assert guest.process.wait(5) == 0


# --- what does not fit ----------------------------------------------------------------------------------------


def raw_grant(horizon, *commands, count=None):
    body = b"".join(commands)
    return GRANT.pack(GRANT.size + len(body), 17, 0, horizon, len(commands) if count is None else count, 0) + body


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (struct.pack("<IHH", 8, 99, 0), "unknown kind 99"),
        (struct.pack("<IHH", 4, 17, 0), "message of 4 bytes"),
        (struct.pack("<IHH", 1 << 31, 17, 0), "message of 2147483648 bytes"),
        (struct.pack("<IHH", 8, 17, 0), "too short"),
        (raw_grant(-1), "a horizon in the past"),
        (raw_grant(S, count=1), "fewer commands than announced"),
        (raw_grant(S, COMMAND.pack(5, 100, 1, 0, 0, 0)), "longer than its message"),
        (raw_grant(S, COMMAND.pack(5, 0, 6, 0, 0, 0), b"x", count=1), "bytes behind the last command"),
        (raw_grant(S, *(COMMAND.pack(t, 0, 6, 0, 0, 0) for t in (7, 5))), "not in time order"),
        (raw_grant(S, COMMAND.pack(2 * S, 0, 6, 0, 0, 0)), "not in time order"),
        (raw_grant(S, COMMAND.pack(5, 0, 1, 0, 0, 0)), "a frame of a wrong size"),
        (raw_grant(S, COMMAND.pack(5, 8, 4, 0, 0, 0) + bytes(8)), "memory access of a wrong size"),
        (raw_grant(S, COMMAND.pack(5, 12, 5, 0, 0, 0) + struct.pack("<QI", 0, 1 << 30)), "memory read of a wrong size"),
    ],
)
def test_nonsense_ends_the_guest_with_a_reason(started, data, reason):
    started.send(data)

    assert ends_within(started, SOON_S) == 1
    assert reason in started.last_words


def test_a_socket_cut_in_the_middle_of_a_message(started):
    started.send(protocol.grant(1 * S)[:13])
    started.channel.close()

    assert ends_within(started, SOON_S) == 1
    assert "in the middle of a message" in started.last_words


def test_unknown_commands_fail_without_harm(started):
    started.live(1 * S, [COMMAND.pack(5, 0, 77, 0, 1, 0)])

    (reply,) = started.replies
    assert not reply.ok
    assert reply.data.decode() == "this plugin does not know the command"


def test_a_release_that_crossed_another_is_ignored(started):
    started.send(protocol.RELEASE)

    assert started.live(1 * S).now == 1 * S


# --- much of everything -----------------------------------------------------------------------------------------


def test_a_console_flood_is_handed_over_on_the_way(fleet):
    """A program that fills the UART as fast as it can: megabytes in a third of a virtual second, none lost."""
    guest = fleet.bare_guest(FLOOD)
    guest.greet()

    guest.grant(300 * MS)
    reports = [guest.next_message()]
    while not reports[-1].expects_answer:
        assert reports[-1].flags & Flag.MORE
        reports.append(guest.next_message())
    for report in reports:
        guest.collect(report)

    assert len(reports) > 1
    assert len(guest.part) > 2 << 20
    assert guest.part == (b"0123456789abcdef" * (len(guest.part) // 16 + 1))[: len(guest.part)]


def test_a_guest_that_never_idles_reaches_its_horizon(fleet):
    guest = fleet.bare_guest(SPIN)
    guest.greet()

    report = guest.live(50 * MS)

    assert 50 * MS <= report.now < 50 * MS + 16
    assert not report.flags & Flag.IDLE
    assert report.pc == 0x80000000


SPIN = """
.globl _start
_start: j _start
"""
FLOOD = """
.globl _start
_start: li t0, 0x10000000
        la t1, text
1:      mv t2, t1
2:      lbu t3, 0(t2)
        beqz t3, 1b
        sb t3, 0(t0)
        addi t2, t2, 1
        j 2b
text:   .asciz "0123456789abcdef"
"""
