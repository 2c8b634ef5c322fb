"""A guest as its driver sees it, without an emulator: two clocks, answers, the end of a life; and patience."""

import socket

import pytest

from swarmrig.timebase import patience as patience_module
from swarmrig.timebase import protocol
from swarmrig.timebase.commands import command_from
from swarmrig.timebase.guest import Guest, Question
from swarmrig.timebase.patience import Patience
from swarmrig.timebase.protocol import NEVER, Flag, Line, Reply, Report, Stopped
from swarmrig.timebase.recording import InputLog, read_recording


class Asker:
    def __init__(self):
        self.answers = []

    def give(self, result):
        self.answers.append(result)

    def refuse(self, reason):
        self.answers.append(f"refused: {reason}")


class World:
    """A guest, and its emulator's end of the channel."""

    def __init__(self, directory):
        self.lines = []
        self.path = directory / "g.inputs"
        self.guest = Guest(0, "g", InputLog(self.path), lambda *line: self.lines.append(line))
        self.end = None

    def life(self, t_ns):
        near, self.end = socket.socketpair()
        self.end.settimeout(5)
        self.guest.connect(near.detach(), t_ns)
        return self.guest

    def close(self):
        self.guest.disconnect("over")
        self.guest.inputs.close()
        if self.end:
            self.end.close()


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.close()


def report(now, *, frames=(), console=(), replies=(), pc=0x80000000):
    return Report(now, NEVER, pc, 0, Flag(0), list(frames), list(console), list(replies))


def test_a_guest_that_was_switched_on_later_has_a_clock_of_its_own(world):
    guest = world.life(5000)
    guest.grant(6000, [(5500, b"f" * 60)])
    sent = world.end.recv(4096)
    assert sent == protocol.grant(1000, [protocol.frame(500, b"f" * 60)])
    frames = guest.hear(report(1000, frames=[(700, b"x" * 60)], console=[Line(800, b"up\n", True)]))
    assert frames == [(5700, b"x" * 60)]
    assert guest.take_lines() == [(5800, "up")] and guest.take_lines() == []
    assert world.lines == [("g", 5800, b"up\n")]
    assert guest.seen_ns == 6000


def test_each_question_has_its_answer(world):
    guest, asker, other = world.life(0), Asker(), Asker()
    make = command_from({"kind": "read", "address": 16, "size": 4})
    guest.ask(900, [Question(make, asker), Question(command_from({"kind": "nmi"}), other)])
    assert world.end.recv(4096) == protocol.grant(
        900, [protocol.memory_read(900, 16, 4, 1), protocol.simple(protocol.Command.NMI, 900, 2)]
    )
    guest.hear(report(900, replies=[Reply(900, 1, True, b"\x01\x02"), Reply(900, 2, False, b"no NMI")]))
    assert asker.answers == ["0102"] and other.answers == ["refused: no NMI"]


def test_there_are_no_answers_after_the_end(world):
    guest, asked, waiting, holder = world.life(0), Asker(), Asker(), Asker()
    guest.ask(1, [Question(command_from({"kind": "reset"}), asked)])
    guest.waiting.append(Question(command_from({"kind": "reset"}), waiting))
    guest.held = holder
    guest.disconnect("gone")
    guest.disconnect("twice")
    assert asked.answers == waiting.answers == holder.answers == ["refused: gone"]
    assert guest.unreported and not guest.alive


def test_a_line_that_was_not_ended_ends_with_the_guest(world):
    guest = world.life(100)
    guest.hear(report(50, console=[Line(40, b"half a ", False)]))
    assert guest.lines == []
    guest.disconnect("gone")
    assert guest.lines == [(150, "half a ")]


def test_every_life_is_recorded(world):
    guest = world.life(0)
    guest.ask(10, [Question(command_from({"kind": "reset"}), Asker())])
    guest.hear(report(20, replies=[Reply(10, 1, True, b"")]))
    guest.disconnect("off")
    world.end.close()
    guest = world.life(1000)
    guest.ask(1000, [Question(command_from({"kind": "console", "data": b"x".hex()}), Asker())])
    guest.hear(report(5, replies=[Reply(0, 1, True, b"")]))
    guest.disconnect("off")
    guest.inputs.close()
    first, second = read_recording(world.path)
    assert (first.power_on_ns, first.end_ns, second.power_on_ns, second.end_ns) == (0, 20, 1000, 5)
    assert [one.t_ns for one in first.inputs] == [10] and [one.t_ns for one in second.inputs] == [0]


def test_a_stop_is_the_answer_to_who_wanted_a_hold(world):
    guest, holder = world.life(7), Asker()
    guest.stop(Stopped(3, 0x80, as_asked=False))
    assert guest.halted and guest.held is False
    guest.hear(report(3))
    guest.held = holder
    guest.stop(Stopped(3, 0x80, as_asked=True))
    assert holder.answers == [{"t_ns": 10, "pc": 0x80}] and guest.held is True


def test_where_it_was_last_seen_in_words(world):
    guest = world.life(0)
    assert guest.last_seen == "g has not begun"
    guest.greeted = True
    guest.hear(report(1_500_000_001, pc=0x8000_1234))
    assert guest.last_seen == "g was last seen at 1.500000001 s, program counter 0x80001234"


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"kind": "explode"}, "there is no command 'explode': the commands are console, write, flip"),
        ({"kind": "read", "address": 1, "size": 0}, "0 bytes of memory at once"),
        ({"kind": "write", "address": 1, "data": ""}, "0 bytes of memory at once"),
        ({"kind": "write", "address": 1, "data": "zz"}, "hexadecimal"),
    ],
)
def test_what_is_no_command(message, said):
    with pytest.raises(ValueError, match=said):
        command_from(message)


# --- patience ------------------------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now_s = 100.0

    monkeypatch.setattr(patience_module.time, "monotonic", lambda: Clock.now_s)
    return Clock


def test_silence_adds_up(clock):
    patience = Patience()
    patience.limit_s = 3
    for _ in range(3):
        clock.now_s += 1
        assert not patience.is_over()
    clock.now_s += 0.5
    assert patience.is_over()


def test_a_sign_of_life_begins_it_anew(clock):
    patience = Patience()
    patience.limit_s = 2
    for _ in range(10):
        clock.now_s += 1
        patience.heard()
        assert not patience.is_over()


def test_time_in_which_nobody_looked_counts_little(clock):
    patience = Patience()
    patience.limit_s = 3
    for _ in range(3):
        clock.now_s += 1000
        assert not patience.is_over()
