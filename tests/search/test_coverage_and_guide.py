"""What counts as a new state, and what is made of it."""

from hypothesis import given
from hypothesis import strategies as st

from swarmrig.model.facts import ConsoleLine, Frame, NodeChange, NodeState
from swarmrig.model.network import Fate
from swarmrig.search.coverage import Coverage, protocol_of, template_of
from swarmrig.search.guide import Guide
from swarmrig.search.observation import Break, Observation, broken_run, state_of

UDP = bytes(12) + bytes.fromhex("0800") + bytes([0x45]) + bytes(8) + bytes([17]) + bytes(10)


def frame(data, fate=Fate.DELIVERED, sender="s"):
    return Frame(0, "c--s", sender, 1, data, fate, fate is Fate.DELIVERED)


def seen(space, *facts):
    coverage = Coverage(space.scenario)
    for fact in facts:
        coverage.observe(fact)
    return coverage.features()


def line(text, node="s"):
    return ConsoleLine(0, node, 1, text)


def test_numbers_and_addresses_are_masked():
    assert template_of("I (123) csi: frame_rate=20.0 frames=99") == "I (#) csi: frame_rate=# frames=#"
    assert template_of("from 10.0.1.7 52:54:00:00:00:01 at 0x8000beef") == "from <ip> <mac> at <hex>"


@given(st.text(max_size=300))
def test_any_text_has_a_template(text):
    assert len(template_of(text)) <= 120


@given(st.binary(max_size=80))
def test_any_frame_has_a_protocol(data):
    assert isinstance(protocol_of(data), str)


def test_protocols_tell_udp_apart_by_port_and_first_bytes():
    datagram = UDP + bytes.fromhex("1000138d00000000") + b"\x01\x00\x11\xc5rest"
    assert protocol_of(datagram) == "udp 5005 010011c5"
    assert protocol_of(bytes(12) + b"\x08\x06" + bytes(28)) == "0806"


def test_the_same_at_another_node_or_time_is_not_new(pair_space):
    space = pair_space()
    assert seen(space, line("t=1"), line("t=2")) == seen(space, line("t=8"), line("t=9"), line("t=7"))
    assert seen(space, line("t=1")) != seen(space, line("t=1", "c"))
    assert seen(space, frame(UDP)) != seen(space, frame(UDP, Fate.DOWN))
    assert seen(space, NodeChange(0, "s", NodeState.EXITED)) - seen(space)


def test_order_is_a_state(pair_space):
    space = pair_space()
    assert seen(space, line("a"), line("b")) != seen(space, line("b"), line("a"))


def test_messages_are_the_same_but_for_numbers_and_peers(pair_space):
    scenario = pair_space().scenario
    assert state_of("s: panic at 0x12 and 3 more such lines", scenario) == "<sensor>: panic at <hex>"
    assert state_of("s: panic; c: panic", scenario) != state_of("c: panic", scenario)


def observation(*features):
    return Observation((), {}, {}, (), frozenset(features), None, "exact", 0.1, False)


def told(space, seed, guided=True):
    """The first schedules of a search in which every cut leads somewhere new."""
    guide = Guide(space, seed, guided=guided)
    proposed = []
    for number in range(60):
        schedule = guide.propose(number)
        proposed.append(schedule)
        cuts = [strike.identity for strike in schedule.strikes if strike.kind == "cut"]
        guide.learn(schedule, observation("s0", *(f"s{cut}" for cut in cuts)))
    return guide, proposed


def test_a_search_is_the_same_for_the_same_seed(pair_space):
    space = pair_space()
    first, again, other = (told(space, seed)[1] for seed in (1, 1, 2))
    assert [s.key for s in first] == [s.key for s in again]
    assert [s.key for s in first] != [s.key for s in other]


def test_all_proposals_are_valid_and_hardly_any_comes_twice(pair_space):
    space = pair_space()
    _, proposed = told(space, 1)
    assert all(space.is_valid(schedule) and 1 <= len(schedule.strikes) <= space.most for schedule in proposed)
    assert len({schedule.key for schedule in proposed}) > 50


def test_what_leads_to_new_states_is_tried_more_often(pair_space):
    space = pair_space(kinds=("cut", "reset", "pause", "power_cycle", "duplicate"))

    def cuts(guided):
        return sum(s.kind == "cut" for schedule in told(space, 1, guided)[1] for s in schedule.strikes)

    assert cuts(True) > 1.5 * cuts(False)


def test_a_failed_run_teaches_nothing(pair_space):
    guide = Guide(pair_space(), 0)
    assert guide.learn(guide.propose(0), broken_run("gone")) == 0
    assert (guide.covered, guide.kept) == (0, 0)


def test_an_observation_comes_back_from_json():
    broken = Break("no_crashes", "FATAL", "<sensor>: gone", "s: gone")
    one = Observation(
        (broken,), {"no_crashes": "FATAL"}, {"cut-1": "proved"}, (), frozenset("ab"), "d", "exact", 1.0, True
    )
    assert Observation.from_json(one.as_json()) == one
    assert one.breaking(broken.signature)
    assert one.proved == {"cut-1"}
