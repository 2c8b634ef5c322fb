"""Run time as this machine's clock has it: it waits for virtual time rather than to run away, and says by how much."""

from hypothesis import given
from hypothesis import strategies as st

from swarmrig.timebase.pace import BEHIND_LIMIT_NS, Pace

MS, S = 10**6, 10**9
START_NS = 5 * S


def begun():
    pace = Pace()
    pace.begin(START_NS)
    return pace


def test_it_stands_at_0_until_it_begins():
    pace = Pace()
    assert pace.follow(START_NS, 0, held=False) == 0
    assert pace.statistics()["origin_ns"] is None
    pace.begin(START_NS)
    assert pace.follow(START_NS + 7 * MS, S, held=False) == 7 * MS


def test_to_be_a_little_behind_is_caught_up_and_told():
    pace = begun()
    assert pace.follow(START_NS + 80 * MS, 20 * MS, held=False) == 80 * MS
    assert pace.follow(START_NS + 90 * MS, 200 * MS, held=False) == 90 * MS
    assert (pace.behind_max_ns, pace.slipped_ns, pace.held_ns) == (60 * MS, 0, 0)


def test_beyond_the_limit_the_clock_waits_and_says_how_long():
    pace = begun()
    assert pace.follow(START_NS + 500 * MS, 20 * MS, held=False) == 20 * MS + BEHIND_LIMIT_NS
    assert pace.slipped_ns == 500 * MS - 20 * MS - BEHIND_LIMIT_NS
    assert pace.behind_max_ns == BEHIND_LIMIT_NS
    # From then on it goes on from there.
    assert pace.follow(START_NS + 510 * MS, S, held=False) == 30 * MS + BEHIND_LIMIT_NS
    assert pace.origin_ns == START_NS + pace.slipped_ns


def test_waiting_for_somebody_who_holds_time_is_no_failure_to_keep_up():
    pace = begun()
    pace.follow(START_NS + 3 * S, S, held=True)
    assert pace.clock_ns == S + BEHIND_LIMIT_NS
    assert (pace.behind_max_ns, pace.slipped_ns, pace.held_ns) == (0, 0, 2 * S - BEHIND_LIMIT_NS)


def test_frames_that_are_handed_over_late_are_counted():
    pace = begun()
    pace.follow(START_NS + 10 * MS, S, held=False)
    for due_ns in (10 * MS, 8 * MS, 9 * MS):
        pace.hand_over(due_ns)
    assert (pace.handed_over, pace.late_ns, pace.late_max_ns) == (3, 3 * MS, 2 * MS)


@given(st.lists(st.tuples(st.integers(0, S), st.integers(0, S), st.booleans()), max_size=30))
def test_it_never_goes_back_and_is_never_too_far_ahead(moves):
    pace = begun()
    now_ns, reached_ns, last_ns = START_NS, 0, 0
    for elapsed_ns, lived_ns, held in moves:
        now_ns += elapsed_ns
        clock_ns = pace.follow(now_ns, reached_ns, held=held)
        assert last_ns <= clock_ns <= max(last_ns, reached_ns + BEHIND_LIMIT_NS)
        assert clock_ns + pace.slipped_ns + pace.held_ns == now_ns - START_NS
        last_ns = clock_ns
        reached_ns = max(reached_ns, clock_ns - BEHIND_LIMIT_NS) + lived_ns
