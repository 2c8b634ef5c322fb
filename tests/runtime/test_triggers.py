"""When faults act: whatever they wait for is traced to a time, or to something that is seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmrig.model.facts import FaultStage
from swarmrig.model.scenario import REACTION_NS, ConsoleSeen, FaultReached, FaultSpec, FramesSeen
from swarmrig.model.triggers import HEAL, Trigger, TriggerError, acting_order, healer_of, trigger_of

INJECTED, HEALED = FaultStage.INJECTED, FaultStage.HEALED


def spec(name, at_ns=None, for_ns=None, when=None, kind="any", **params):
    return FaultSpec(name, kind, at_ns, for_ns, params, when=when)


def by_id(*specs):
    return {one.id: one for one in specs}


def test_what_is_seen_takes_the_reaction_time_at_least():
    for condition in (ConsoleSeen("a", "x"), FramesSeen("l", "udp", after_ns=REACTION_NS - 1)):
        assert trigger_of(spec("x", when=condition), {}) == Trigger(REACTION_NS, condition)
    late = ConsoleSeen("a", "x", after_ns=REACTION_NS + 1)
    assert trigger_of(spec("x", when=late), {}) == Trigger(REACTION_NS + 1, late)


def test_delays_add_up_along_a_chain():
    seen = ConsoleSeen("a", "x", after_ns=20_000_000)
    root = spec("root", when=seen, for_ns=5)
    middle = spec("middle", when=FaultReached("root", HEALED, 7))
    leaf = spec("leaf", when=FaultReached("middle", INJECTED, 11))
    trigger = trigger_of(leaf, by_id(leaf, middle, root))
    assert (trigger.after_ns, trigger.seen, trigger.follows) == (20_000_023, seen, leaf.when)


def test_what_is_healed_by_another_fault_heals_when_that_acts():
    dark = spec("dark", 5)
    heal = spec("heal", when=FaultReached("dark", INJECTED, 10), kind=HEAL, fault="dark")
    after = spec("after", when=FaultReached("dark", HEALED, 1))
    specs = by_id(after, dark, heal)
    assert healer_of("dark", specs) is heal and healer_of("heal", specs) is None
    assert trigger_of(after, specs).after_ns == 16


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        ([spec("x", when=FaultReached("x", INJECTED))], "x waits for x"),
        ([spec("x", when=FaultReached("y", INJECTED)), spec("y", when=FaultReached("x", INJECTED), for_ns=1)],
         "x waits for y waits for x"),
        ([spec("x", when=FaultReached("y", INJECTED))], "there is no fault 'y'"),
        ([spec("x", when=FaultReached("y", HEALED)), spec("y", 1)], "y never heals"),
        ([spec("x", when=FaultReached("y", HEALED)), spec("y", 1),
          spec("z", when=FaultReached("x", INJECTED), kind=HEAL, fault="y")], "x waits for z waits for x"),
    ],
)  # fmt: skip
def test_what_can_never_be(specs, message):
    with pytest.raises(TriggerError, match=message):
        trigger_of(specs[0], by_id(*specs))


@st.composite
def schedules(draw):
    """Faults that wait only for those drawn before, in any order of the file."""
    specs = []
    for number in range(draw(st.integers(1, 12))):
        name = f"f{number}"
        if not specs or draw(st.booleans()):
            specs.append(spec(name, draw(st.integers(0, 3)), draw(st.none() | st.integers(1, 3))))
            continue
        target = draw(st.sampled_from(specs))
        if target.kind != HEAL and target.for_ns is None and healer_of(target.id, by_id(*specs)) is None:
            specs.append(spec(name, when=FaultReached(target.id, INJECTED, 1), kind=HEAL, fault=target.id))
        else:
            stage = HEALED if target.for_ns is not None and draw(st.booleans()) else INJECTED
            specs.append(spec(name, when=FaultReached(target.id, stage, draw(st.integers(0, 2)))))
    return draw(st.permutations(specs))


@given(schedules())
def test_faults_act_after_what_they_wait_for_and_otherwise_in_file_order(specs):
    ordered = acting_order(specs)
    assert sorted(one.id for one in ordered) == sorted(one.id for one in specs)
    position = {one.id: index for index, one in enumerate(ordered)}
    for one in specs:
        if isinstance(one.when, FaultReached):
            assert position[one.when.fault] < position[one.id]
            assert (
                trigger_of(one, by_id(*specs)).after_ns
                >= trigger_of(by_id(*specs)[one.when.fault], by_id(*specs)).after_ns
            )
    free = [one.id for one in specs if one.when is None]
    if len(free) == len(specs):
        assert [one.id for one in ordered] == free


@given(schedules())
def test_order_survives_circles(specs):
    """A file with a circle is refused, but its order must not recurse for ever."""
    first, last = specs[0], specs[-1]
    circle = [*specs, spec("p", when=FaultReached("q", INJECTED)), spec("q", when=FaultReached("p", INJECTED))]
    assert len(acting_order(circle)) == len(circle)
    assert first in acting_order(circle) and last in acting_order(circle)
