"""What faults do to the reference firmware, on every machine that runs it: through its console and its memory, at an
exact virtual time, with an effect that shows on the console or the wire."""

import subprocess

import pytest
from lockstep_swarm import BOARDS, MS, S, mac_of, protocol

from swarmrig.nodes.qemu.firmware import firmware_path
from swarmrig.timebase.protocol import Command

CSI_MAGIC = bytes.fromhex("0100 11c5")
HEADERS = 14 + 20 + 8
ARP_REPLY = (
    mac_of(2) + mac_of(1) + bytes.fromhex("0806 0001 0800 06 04 0002")
    + mac_of(1) + bytes([10, 0, 1, 11]) + mac_of(2) + bytes([10, 0, 1, 12]) + bytes(18)
)  # fmt: skip


@pytest.fixture(scope="module", params=BOARDS)
def machine(request):
    return request.param


@pytest.fixture(scope="module")
def symbols(machine):
    listing = subprocess.run(
        ["riscv64-unknown-elf-nm", str(firmware_path(machine))], capture_output=True, text=True, check=True
    ).stdout
    return {line.split()[2]: int(line.split()[0], 16) for line in listing.splitlines() if len(line.split()) == 3}


@pytest.fixture
def sensor(fleet):
    """A node whose frames go to somebody who answered ARP, so that it sends: three seconds old."""

    def start(*inputs):
        guest = fleet.guest(2)
        guest.greet()
        guest.live(3 * S, [protocol.frame(1 * S, ARP_REPLY)])
        guest.inbox = [(t, 0, index, make(t)) for index, (t, make) in enumerate(sorted(inputs, key=lambda one: one[0]))]
        return guest

    return start


def run(guest, until):
    guest.live(until, guest.due(until))
    return guest


def csi(guest):
    """(time, payload) of the frames with CSI, damaged or not."""
    return [(t, frame[HEADERS:]) for t, frame in guest.sent if frame[36:38] == b"\x13\x8d" and len(frame) == 166]


def typed(text):
    return lambda t: protocol.console_input(t, text + b"\n")


def lines(guest, text):
    return [(t, line.decode().rstrip()) for t, line in guest.console if text in line.decode()]


@pytest.mark.parametrize("offset", [0, 4, 20, 123])
def test_a_flipped_bit_of_the_frame_goes_over_the_wire_once(sensor, symbols, offset):
    at = 5 * S + 1
    flipped = run(sensor((at, lambda t: protocol.memory_xor(t, symbols["csi_frame"] + offset, b"\x01"))), 6 * S)
    plain = run(sensor(), 6 * S)

    assert [t for t, _ in csi(flipped)] == [t for t, _ in csi(plain)]
    pairs = zip(csi(flipped), csi(plain), strict=True)
    ((t, damaged), (_, whole)), *others = [(one, other) for one, other in pairs if one != other]
    assert not others
    assert at < t < at + 50 * MS
    assert [index for index in range(124) if damaged[index] != whole[index]] == [offset]
    assert whole.startswith(CSI_MAGIC)


def test_a_heap_limit_shows_within_a_second_and_heals(sensor, symbols):
    limit = symbols["heap_limit"]
    guest = sensor(
        (4 * S, lambda t: protocol.memory_write(t, limit, bytes(4))),
        (7 * S, lambda t: protocol.memory_write(t, limit, b"\xff" * 4)),
    )
    run(guest, 11 * S)

    errors = lines(guest, "HEAP_ERROR: out of memory, malloc(32) failed")
    assert len(errors) == 3
    assert all(4 * S < t < 7 * S for t, _ in errors)
    vitals = [t for t, frame in guest.sent if frame[HEADERS : HEADERS + 4] == bytes.fromhex("020011c5")]
    assert not [t for t in vitals if 4 * S < t < 7 * S]
    assert len([t for t in vitals if t > 7 * S]) >= 3


def test_starved_timers_are_told_at_the_end_of_it(sensor):
    guest = run(sensor((4 * S, typed(b"starve 500"))), 6 * S)

    ((t, text),) = lines(guest, "timer: starved")
    assert 4500 * MS <= t < 4502 * MS
    assert "served 4" in text
    assert not [t for t, _ in csi(guest) if 4001 * MS < t < 4500 * MS]
    assert len([t for t, _ in csi(guest) if t > 4500 * MS]) >= 28


def test_a_hang_lasts_until_a_reset(sensor):
    guest = run(sensor((4 * S, typed(b"hang")), (4500 * MS, typed(b"stats")), (5 * S, reset)), 6 * S)

    ((hung, _),) = lines(guest, "hanging until a reset")
    assert 4 * S < hung < 4 * S + 1 * MS
    assert [t // S for t, _ in lines(guest, "rst:0x1")] == [0, 5]
    assert not [t for t, _ in guest.console if hung < t < 5 * S]
    assert not [t for t, _ in guest.sent if hung < t < 5 * S]


def reset(t):
    return protocol.simple(Command.RESET, t)


def test_writes_to_flash_outlive_a_reset(sensor):
    guest = run(sensor((4 * S, typed(b"flash-write 100")), (4500 * MS, reset)), 6 * S)

    done = [text for t, text in lines(guest, "flash: write")]
    assert 45 <= len(done) <= 50
    assert lines(guest, f"nvs: writes={len(done)}")
