"""What is tried of a scenario: kinds, targets, parameters, times."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from swarmrig.api.params import DurationNs, Params, Share
from swarmrig.errors import HostError
from swarmrig.plugins import Registry
from swarmrig.search.parameters import UndrawableError, ladders_of
from swarmrig.search.schedule import Schedule, Strike, applied, scheduled
from swarmrig.search.times import grid_of, round_up

S = 1_000_000_000


@given(st.integers(1, 10**6), st.integers(10**7, 10**13))
def test_a_grid_has_room_for_every_fault(at, duration_ns):
    grid = grid_of(duration_ns)
    assert 10 <= len(grid.times_ns) <= 45
    at_ns = grid.times_ns[at % len(grid.times_ns)]
    assert grid.lasting(at_ns)
    assert all(at_ns + ns < duration_ns for ns in grid.lasting(at_ns))


@given(st.integers(1, 10**13))
def test_steps_are_round(ns):
    assert ns <= round_up(ns) < 5 * ns + 5
    assert str(round_up(ns)).rstrip("0") in ("1", "2", "5")


def test_a_grid_keeps_to_its_bounds():
    grid = grid_of(10 * S, 3 * S, 6 * S)
    assert (grid.times_ns[0], grid.end_ns) == (3 * S, 6 * S)
    assert all(at_ns + for_ns < 6 * S for at_ns in grid.times_ns for for_ns in grid.lasting(at_ns))
    with pytest.raises(ValueError, match="no room"):
        grid_of(10 * S, 9 * S, 9 * S)


def test_simpler_times_are_rounder_or_earlier():
    grid = grid_of(10 * S)
    assert grid.simpler_times(S) == ()
    assert grid.simpler_times(3 * S) == (S, 2 * S)
    assert grid.simpler_times(1_500_000_000)[:2] == (S, 2 * S)
    assert 1_500_000_000 not in grid.simpler_times(1_500_000_000)


class Odd(Params):
    node: str
    """Whom."""
    often: int = Field(3, ge=2, le=20)
    """How often."""
    last: DurationNs = 250_000_000
    """How long."""
    share: Share
    """How much."""
    whole: bool = True
    """All of it."""
    way: str | None = None
    """Not drawn."""


def test_ladders_follow_from_the_model_with_the_default_first():
    often, last, share, whole = ladders_of("odd", Odd)
    assert [rung["often"] for rung in often] == [3, 2, 5, 17]
    assert last[0] == {"last": "250ms"}
    assert share[0] == {"share": 1.0}
    assert whole == ({"whole": True}, {"whole": False})


class Told(Params):
    node: str
    """Whom."""
    text: str
    """Nobody can make this up."""


def test_what_only_an_author_can_say_is_not_made_up():
    with pytest.raises(UndrawableError, match="`text` is the author's to say"):
        ladders_of("told", Told)


def test_every_kind_has_values_that_its_model_takes_or_a_reason():
    registry = Registry.load()
    for name in registry.names("faults"):
        try:
            ladders = ladders_of(name, registry.fault(name).params_model)
        except UndrawableError as error:
            assert str(error)
            continue
        fields = registry.fault(name).params_model.model_fields
        assert {key for ladder in ladders for rung in ladder for key in rung} <= set(fields)


def test_the_plan_decides_what_is_tried(pair_space):
    space = pair_space(kinds=())
    assert {"cut", "reset", "pause", "power_cycle", "degrade", "crash", "nvs_erase", "flap"} <= {
        kind.name for kind in space.kinds
    }
    assert space.left_out["console_type"]
    assert space.kind("cut").targets == ({"between": ["c", "s"]}, {"between": ["aggregator", "c"]})
    assert space.kind("reset").targets == ({"node": "c"}, {"node": "s"})
    assert not space.kind("reset").lasts


def test_unknown_kinds_and_those_that_cannot_be_tried_are_refused(pair_space):
    with pytest.raises(HostError, match="no fault 'rest'") as error:
        pair_space(kinds=("rest",))
    assert "reset" in error.value.hint
    with pytest.raises(HostError, match="nothing can be tried of console_type"):
        pair_space(kinds=("cut", "console_type"))


def test_all_that_is_drawn_is_valid_and_always_the_same(pair_space):
    space = pair_space(kinds=())
    strikes = space.strikes(4, "a")
    assert [s.identity for s in strikes] == [s.identity for s in space.strikes(4, "a")]
    assert [s.identity for s in strikes] != [s.identity for s in space.strikes(4, "b")]
    assert {strike.kind for strike in strikes} == {kind.name for kind in space.kinds}
    for strike in strikes:
        assert strike.for_ns is None or strike.at_ns + strike.for_ns < space.grid.end_ns


def test_faults_that_exclude_each_other_are_not_tried_together(pair_space):
    space = pair_space()
    cuts = [Strike("cut", at, 2 * S, {"between": ["c", "s"]}) for at in (2 * S, 3 * S, 5 * S)]
    both = scheduled(cuts, 0)
    assert not space.is_valid(both)
    assert [strike.at_ns for strike in space.fitted(both).strikes] == [2 * S, 5 * S]


def test_a_schedule_comes_back_from_json_and_names_stay_when_others_go():
    one = scheduled([Strike("reset", 3 * S, None, {"node": "s"}), Strike("cut", S, S, {"between": ["c", "s"]})], 7)
    assert [strike.name for strike in one.strikes] == ["cut-1", "reset-2"]
    assert Schedule.from_json(one.as_json()) == one
    assert one.without([0]).strikes[0].name == "reset-2"
    assert one.without([0]).key != one.key
    assert str(one) == "1s cut (between c/s) for 1s; 3s reset (node s)"


def test_a_scenario_keeps_its_own_faults_and_requires_only_what_was_proved(pair_space):
    space = pair_space()
    registry = Registry.load()
    schedule = scheduled([Strike("cut", S, S, {"between": ["c", "s"]}), Strike("reset", 3 * S, None, {"node": "s"})], 9)
    made = applied(space.scenario, schedule, registry, proved=frozenset({"cut-1"}))
    assert [(spec.id, spec.at_ns, spec.for_ns, spec.required) for spec in made.faults] == [
        ("cut-1", S, S, True),
        ("reset-2", 3 * S, None, False),
    ]
    again = applied(made, schedule, registry)
    assert [spec.id for spec in again.faults] == ["cut-1", "reset-2", "cut-1-x", "reset-2-x"]
    assert made.seed == 9
