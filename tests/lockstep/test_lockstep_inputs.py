"""Inputs reach a guest at their very nanosecond, whatever the horizons are."""

import pytest
from lockstep_swarm import AGGREGATOR_MAC, BOARDS, MS, Flag, S, protocol
from lockstep_swarm import mac_of as mac

from swarmrig.timebase.protocol import NEVER, Command


@pytest.fixture(scope="module", params=BOARDS)
def machine(request):
    return request.param


def lives(guest, until, step, inputs):
    """Runs a guest alone in steps, with inputs (t, make)."""
    guest.greet()
    rest = sorted(inputs, key=lambda item: item[0])
    for horizon in range(step, until + step, step):
        horizon = min(horizon, until)
        due = [make(t) for t, make in rest if t <= horizon]
        rest = [item for item in rest if item[0] > horizon]
        guest.live(horizon, due)
    return guest


def typed(text):
    return lambda t: protocol.console_input(t, text)


def simple(command, tag=0):
    return lambda t: protocol.simple(command, t, tag)


def times_of(guest, text):
    return [t for t, line in guest.console if text in line.decode()]


@pytest.mark.parametrize("name", ["console", "reset", "reboot", "crash", "pause", "flip", "frame"])
def test_an_input_has_one_effect_at_every_step(fleet, name):
    arp = bytes.fromhex("ffffffffffff") + AGGREGATOR_MAC + bytes.fromhex(
        "0806 0001 0800 06 04 0001" + AGGREGATOR_MAC.hex() + "0a000001 000000000000 0a00010c"
    ) + bytes(18)  # fmt: skip
    inputs = {
        "console": [(300 * MS + 7, typed(b"stats\r\n"))],
        "reset": [(400 * MS + 11, simple(Command.RESET))],
        "reboot": [(400 * MS + 11, typed(b"reboot\r\n"))],
        "crash": [(400 * MS + 11, typed(b"crash\r\n"))],
        "pause": [(2 * MS + 1, simple(Command.PAUSE)), (300 * MS + 5, simple(Command.RESUME))],
        "flip": [(1 * MS + 1, lambda t: protocol.memory_xor(t, fleet.board.code + 0x2000, b"\x10"))],
        "frame": [(500 * MS + 3, lambda t: protocol.frame(t, arp))],
    }[name]

    runs = [lives(fleet.guest(2), 1 * S, step, inputs) for step in (1 * S, 50 * MS, 1_777_777)]

    assert len({run.digest() for run in runs}) == 1
    assert not any(run.violated for run in runs)
    if name == "frame":
        assert [t for t, frame in runs[0].sent if frame[:6] == AGGREGATOR_MAC and frame[12:14] == b"\x08\x06"]
    elif name != "flip":
        undisturbed = lives(fleet.guest(2), 1 * S, 50 * MS, [])
        assert undisturbed.digest() != runs[0].digest()


def test_reset_is_at_its_instant(fleet):
    guest = lives(fleet.guest(2), 1 * S, 100 * MS, [(400 * MS + 3, simple(Command.RESET))])

    first, second = times_of(guest, "rst:0x1")
    assert 400 * MS + 3 <= second - first < 400 * MS + 1000  # the second start takes a few instructions more


def test_a_guest_resets_itself_at_its_own_instant(fleet):
    """Not when QEMU's main loop gets to it, and time is not warped meanwhile."""
    runs = [lives(fleet.guest(2, variant="panic-at-10s"), 11 * S, step, []) for step in (11 * S, 500 * MS)]

    for guest in runs:
        (panic,), (boot,) = times_of(guest, "Rebooting..."), times_of(guest, "rst:0xc")
        assert 0 < boot - panic < 1 * MS
    assert runs[0].digest() == runs[1].digest()


def test_a_paused_guest_does_not_notice(fleet):
    plain = lives(fleet.guest(2), 3 * S, 1 * S, [])
    pause = 600 * MS
    paused = lives(
        fleet.guest(2),
        3 * S + pause,
        100 * MS,
        [(1 * S, simple(Command.PAUSE)), (1 * S + pause, simple(Command.RESUME))],
    )

    before = [entry for entry in plain.console + plain.sent if entry[0] <= 1 * S]
    after = [(t + pause, data) for t, data in plain.console + plain.sent if t > 1 * S]
    assert after
    assert sorted(paused.console + paused.sent) == sorted(before + after)


def test_a_paused_guest_reports_at_once_and_needs_nothing(fleet):
    guest = fleet.guest(2)
    guest.greet()
    guest.live(1 * S, [protocol.simple(Command.PAUSE, 1 * S)])

    report = guest.live(3600 * S)

    assert report.now == 3600 * S
    assert report.deadline == NEVER
    assert report.flags & Flag.PAUSED


def test_an_idle_guest_names_its_deadline(fleet):
    guest = fleet.guest(2)
    guest.greet()

    report = guest.live(100 * MS)

    assert report.flags & Flag.IDLE
    assert report.now == 100 * MS
    assert 100 * MS < report.deadline <= 1100 * MS
    busy = guest.live(report.deadline + 100)
    assert not busy.flags & Flag.IDLE
    assert busy.deadline == busy.now


def test_busy_guests_have_a_program_counter(fleet):
    guest = fleet.guest(2)
    guest.greet()

    counters = {guest.live(t).pc for t in range(1 * MS, 4 * MS, 100_000)}

    assert len(counters) > 3
    assert all(fleet.board.code <= pc < fleet.board.code + 0x100000 for pc in counters)


def test_memory_is_read_written_and_flipped(fleet):
    guest = fleet.guest(2)
    guest.greet()
    board, place = fleet.board, fleet.board.free_memory
    guest.live(
        1 * S,
        [
            protocol.memory_write(1, place, b"swarmrig", tag=1),
            protocol.memory_read(2, place, 8, tag=2),
            protocol.memory_xor(3, place, b"\x01\x80", tag=3),
            protocol.memory_xor(4, board.flash, b"\xff", tag=4),
            protocol.memory_read(5, board.flash, 1, tag=5),
            protocol.memory_read(6, board.nowhere, 1, tag=6),
            protocol.memory_xor(7, board.uart, b"\x01", tag=7),
            protocol.memory_xor(8, board.nowhere, b"\x01", tag=8),
        ],
    )

    answers = {reply.tag: reply for reply in guest.replies}
    assert answers[1].ok
    assert answers[2].data == b"swarmrig"
    assert answers[3].data == b"sw" + b"r\xf7"
    assert answers[4].data == b"\xff\x00"
    assert answers[5].data == b"\x00"
    assert [answers[tag].ok for tag in (6, 7, 8)] == [True, False, False] or not answers[6].ok
    assert b"no memory" in answers[7].data
    assert all(answers[tag].t < 1 * MS for tag in answers)


def test_an_nmi_reports_and_resets_or_fails_in_words(fleet):
    guest = fleet.guest(2)
    guest.greet()

    guest.live(1 * S, [protocol.simple(Command.NMI, 500 * MS, tag=9)])

    (reply,) = guest.replies
    assert reply.ok == fleet.board.has_nmi
    if reply.ok:
        assert times_of(guest, "Interrupt wdt timeout on CPU0")
        assert times_of(guest, "rst:0xc (SW_CPU_RESET)")
    else:
        assert b"not" in reply.data


def test_console_input_waits_for_its_reader(fleet):
    """More than the UART's FIFO holds, while the guest stands still: nothing is lost."""
    line = b"nonsense " * 20 + b"\r\nstats\r\n"
    guest = lives(fleet.guest(2), 1 * S, 1 * S, [(1, typed(line)), (100 * MS, typed(b"stats\r\n"))])

    assert len(times_of(guest, "uptime_ms=")) == 2


def test_frames_before_the_driver_is_up_do_no_harm(fleet):
    frame = mac(2) + AGGREGATOR_MAC + b"\x08\x00" + bytes(50)
    guest = fleet.guest(2)
    guest.greet()

    guest.live(1 * S, [protocol.frame(t, frame, tag=t) for t in range(1, 200)])

    assert all(reply.ok for reply in guest.replies)
    assert "boot_time=" in guest.text()


def held(guest):
    stopped = guest.hold()
    guest.release()
    return stopped


def test_a_held_guest_says_whether_its_state_is_all(fleet):
    """Frames that its card does not take yet, input that is being typed, a pause: a snapshot would lose them."""
    frame = mac(2) + AGGREGATOR_MAC + b"\x08\x00" + bytes(50)
    guest = fleet.guest(2)
    guest.greet()
    guest.live(1_000)
    assert not held(guest).with_more
    guest.live(2_000, [protocol.frame(2_000, frame)])
    early = held(guest).with_more
    guest.live(1 * S)
    assert not held(guest).with_more
    guest.live(1 * S, [protocol.console_input(1 * S, b"stats\r\n")])
    assert held(guest).with_more
    guest.live(2 * S)
    assert not held(guest).with_more
    guest.live(2 * S, [protocol.simple(Command.PAUSE, 2 * S)])
    assert held(guest).with_more
    assert early or fleet.board.has_nmi  # Arm's card drops what it does not take
