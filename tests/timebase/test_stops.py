"""Where time stops, and who is told there; without guests."""

import pytest

from swarmrig.timebase.stops import NEVER, Stops


class Book:
    """Who was told what."""

    def __init__(self):
        self.entries = []

    def __call__(self, name):
        return lambda now_ns: self.entries.append((name, now_ns))


@pytest.fixture
def told():
    return Book()


def stops(holders=1, end_ns=1000):
    made = Stops()
    made.expect(holders, end_ns)
    return made


def test_time_goes_on_when_every_holder_has_said_where_to_stop(told):
    made = stops(2)
    made.reach(0, 100, told("a"))
    assert not made.known
    made.reach(1, 50, told("b"))
    assert made.known and made.barrier_ns == 50


def test_it_stands_until_whoever_was_told_reaches_on(told):
    made = stops(2)
    made.reach(0, 100, told("a"))
    made.reach(1, 50, told("b"))
    made.tell(50)
    made.tell(50)
    assert told.entries == [("b", 50)]
    assert made.barrier_ns == 50
    made.reach(1, 200, told("b"))
    assert made.barrier_ns == 100


def test_several_at_one_time_have_turns_in_the_order_of_tokens(told):
    made = stops(3)
    for token in (2, 0, 1):
        made.reach(token, 70, told(token))
    made.tell(70)
    made.tell(70)
    assert told.entries == [(0, 70)]
    made.reach(0, 70, told("0 again"))
    made.tell(70)
    assert told.entries == [(0, 70), ("0 again", 70)]
    made.release(0)
    made.tell(70)
    assert told.entries[2:] == [(1, 70)]


def test_who_waits_for_what_may_never_come_holds_nobody_up(told):
    made = stops(2)
    made.reach(0, NEVER, told("maybe"))
    made.reach(1, 300, told("b"))
    assert made.known and made.barrier_ns == 300
    made.move(0, 120)
    assert made.barrier_ns == 120


def test_the_end_is_a_stop():
    made = stops(1)
    made.reach(0, NEVER, lambda _: None)
    assert made.barrier_ns == 1000
    made.release(0)
    assert made.known and made.barrier_ns == 1000


def test_who_comes_unasked_stops_time_but_is_not_waited_for(told):
    made = stops(1)
    made.stand(7, 40, told("guest"))
    assert made.known, "time may get to where the guest wants it"
    assert made.barrier_ns == 40
    made.tell_guests(40)
    made.tell_guests(40)
    assert told.entries == [("guest", 40)]
    made.leave(7)
    assert not made.known and made.barrier_ns == 1000


def test_actions_are_taken_once_when_their_time_has_come(told):
    made = stops(0)
    made.act(30, told("early"))
    made.act(60, told("late"))
    assert made.barrier_ns == 30
    assert made.take_actions(10) == []
    for action in made.take_actions(30):
        action(30)
    assert told.entries == [("early", 30)] and made.barrier_ns == 60
    assert made.take_actions(30) == []
