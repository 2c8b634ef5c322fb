"""The power goes at the n-th store into a stretch of memory: at one instant, whatever the horizons are."""

import signal

import pytest
from lockstep_swarm import BOARDS, MS, S, protocol

TYPED = 300 * MS


@pytest.fixture(scope="module", params=BOARDS)
def machine(request):
    return request.param


def cut(board, stores, *, t=TYPED, size=None):
    return protocol.power_cut(t, board.flash, board.flash_bytes if size is None else size, stores)


def write_and_die(guest, step, commands):
    """Live in steps until it is gone; True when it is, by SIGKILL."""
    guest.greet()
    guest.live(TYPED - 1)
    horizon = TYPED
    try:
        guest.live(horizon, [*commands, protocol.console_input(TYPED, b"flash-write 4\n")])
        while horizon < TYPED + 200 * MS:
            horizon += step
            guest.live(horizon)
    except ConnectionError:
        return guest.process.wait(5) == -signal.SIGKILL
    return False


@pytest.mark.parametrize("stores", [1, 7])
def test_the_same_instant_at_every_step(fleet, stores):
    seen = []
    for step in (1 * S, 5 * MS, 777_777):
        guest = fleet.guest(2)
        assert write_and_die(guest, step, [cut(fleet.board, stores)])
        seen.append((guest.console, guest.sent))
    assert seen[0] == seen[1] == seen[2]
    assert not any(b"done" in line for _, line in seen[0][0])


def test_what_it_did_before_is_told(fleet, machine):
    guest = fleet.guest(2)
    behind_the_first_write = {"refnode-rv32": 120, "refnode-arm": 30}[machine]
    assert write_and_die(guest, 50 * MS, [cut(fleet.board, behind_the_first_write)])
    assert any(b"write 1 of 4 done" in line for _, line in guest.console)


def test_stores_elsewhere_do_not_count(fleet):
    guest = fleet.guest(2)
    assert not write_and_die(guest, 50 * MS, [cut(fleet.board, 1, size=0x8000)])
    assert any(b"write 4 of 4 done" in line for _, line in guest.console)


def test_a_cut_can_be_called_off_and_leaves_no_trace(fleet):
    armed, called_off = fleet.guest(2), fleet.guest(2)
    assert not write_and_die(armed, 50 * MS, [])
    assert not write_and_die(called_off, 50 * MS, [cut(fleet.board, 3), cut(fleet.board, 0)])
    assert armed.digest() == called_off.digest()


def test_watching_costs_no_virtual_time(fleet):
    unwatched, watched = fleet.guest(2), fleet.guest(2)
    write_and_die(unwatched, 50 * MS, [])
    write_and_die(watched, 50 * MS, [cut(fleet.board, 1 << 31)])
    assert unwatched.digest() == watched.digest()


def test_a_cut_of_a_wrong_form_ends_the_guest(fleet):
    guest = fleet.guest(2)
    guest.greet()
    command = protocol.power_cut(0, 0, 1, 1)
    broken = command[:8] + (len(command) - 32 - 1).to_bytes(4, "little") + command[12:-1]
    with pytest.raises(ConnectionError):
        guest.live(1 * MS, [broken])
    assert "a power cut of a wrong form" in guest.last_words
