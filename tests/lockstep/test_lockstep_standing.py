"""A grant of no length: a guest is given commands where it stands, busy or idle, and lives no further."""

import pytest
from lockstep_swarm import BOARDS, MS, Flag, S, protocol

from swarmrig.timebase.protocol import NEVER, Command

BUSY, IDLE = 1_500_003, 2 * S + 7
"""In the middle of the boot, at no instruction's end; and long after it."""


@pytest.fixture(scope="module", params=BOARDS)
def machine(request):
    return request.param


def ways(fleet, t, *make):
    """The same commands at the same time: within one grant, where the guest stands, and one after another there."""
    guests = [fleet.guest(2) for _ in range(3)]
    for guest in guests:
        guest.greet()
    guests[0].live(t + S, [one(t) for one in make])
    guests[1].live(t)
    guests[1].live(t, [one(t) for one in make])
    guests[1].live(t + S)
    guests[2].live(t)
    for one in make:
        guests[2].live(t, [one(t)])
    guests[2].live(t + S)
    return guests


@pytest.mark.parametrize("t", [BUSY, IDLE], ids=["busy", "idle"])
@pytest.mark.parametrize(
    "make",
    [
        [lambda t: protocol.console_input(t, b"stats\r"), lambda t: protocol.console_input(t, b"stats\r")],
        [lambda t: protocol.simple(Command.RESET, t)],
        [lambda t: protocol.simple(Command.PAUSE, t), lambda t: protocol.simple(Command.RESUME, t)],
        [lambda t: protocol.simple(Command.RESET, t), lambda t: protocol.console_input(t, b"stats\r")],
    ],
    ids=["console", "reset", "pause", "reset and console"],
)
def test_commands_have_the_effect_that_they_have_on_the_way(fleet, t, make):
    guests = ways(fleet, t, *make)
    assert len({guest.digest() for guest in guests}) == 1
    assert not any(guest.violated for guest in guests)


@pytest.mark.parametrize("t", [BUSY, IDLE], ids=["busy", "idle"])
def test_a_guest_stands_where_it_stood(fleet, t):
    guest = fleet.guest(2)
    guest.greet()
    before = guest.live(t)
    assert bool(before.flags & Flag.IDLE) is (t == IDLE) and t <= before.now < t + 16
    place = fleet.board.code
    for tag in range(1, 5):
        report = guest.live(t, [protocol.memory_read(t, place, 4, tag)])
        assert (report.now, report.pc, report.deadline) == (before.now, before.pc, before.deadline)
        (reply,) = report.replies
        assert (reply.t, reply.tag, reply.ok) == (before.now, tag, True)
    assert not guest.violated


def test_its_deadline_is_a_new_one(fleet):
    guest = fleet.guest(2)
    guest.greet()
    idle = guest.live(IDLE)
    assert IDLE + MS < idle.deadline < NEVER
    typed = guest.live(IDLE, [protocol.console_input(IDLE, b"st")])
    assert typed.deadline <= IDLE + 100_000, "the next byte is due soon"
    reset = guest.live(IDLE, [protocol.simple(Command.RESET, IDLE)])
    assert reset.deadline == reset.now == IDLE and not reset.flags & Flag.IDLE
    paused = guest.live(IDLE, [protocol.simple(Command.PAUSE, IDLE)])
    assert paused.deadline == NEVER and paused.flags & Flag.PAUSED


def test_a_grant_of_no_length_and_nothing_in_it(fleet):
    guest = fleet.guest(2)
    guest.greet()
    first = guest.live(0)
    assert guest.live(0).now == first.now == 0
    report = guest.live(IDLE)
    assert guest.live(IDLE) == report._replace(overshoot=0, console=[], frames=[], replies=[])
