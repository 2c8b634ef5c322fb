"""When faults happen: repetition, conditions, jitter, choice, groups and healing become single faults at load."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ConfigDict
from ruamel.yaml import YAML

from swarmrig.checks.patterns import is_boot_marker
from swarmrig.errors import ScenarioError
from swarmrig.faults.heal import Heal
from swarmrig.model.facts import FaultStage
from swarmrig.model.scenario import ConsoleSeen, FaultReached, FramesSeen, Scenario
from swarmrig.plugins import Registry
from swarmrig.scenario.build import Origin
from swarmrig.scenario.load import load_text
from swarmrig.scenario.resolved import dump_scenario
from swarmrig.scenario.schema import scenario_schema

S = 1_000_000_000
MS = 1_000_000


class BlinkParams(BaseModel):
    model_config = ConfigDict(extra="forbid")
    node: str


@pytest.fixture(scope="session")
def kinds(registry: Registry) -> Registry:
    """What the other tests have, a fault that is over in an instant, and the one that heals others."""
    blink = SimpleNamespace(params_model=BlinkParams, heals=False, __doc__="Over in an instant.")
    more = {
        name: SimpleNamespace(name=name, value="tests:plugin", load=lambda target=target: target)
        for name, target in (("blink", blink), ("heal", Heal))
    }
    faults: Any = {**registry.points["swarmrig.faults"], **more}
    return Registry({**registry.points, "swarmrig.faults": faults})


@pytest.fixture(scope="session")
def scheduled(kinds: Registry) -> Any:
    """The scenario of the items of `faults:`, in a run of one minute."""

    def read(items: str, **options: Any) -> Scenario:
        text = f"swarmrig: 1\nnodes: {{a: , b: {{number: 7}}, c: }}\nfaults: [{items}]\n"
        return load_text(text, Origin("t.yml", Path("/nowhere"), "t"), registry=kinds, **options)

    return read


def times(scenario: Scenario) -> list[tuple[str, int | None]]:
    return [(fault.id, fault.at_ns) for fault in scenario.faults]


def test_again_and_again(scheduled: Any) -> None:
    assert times(scheduled("{every: 10s, until: 40s, pause: a}")) == [
        ("pause-1.1", 10 * S), ("pause-1.2", 20 * S), ("pause-1.3", 30 * S), ("pause-1.4", 40 * S),
    ]  # fmt: skip
    assert times(scheduled("{at: 0, every: 25s, id: x, blink: {node: a}}")) == [
        ("x.1", 0), ("x.2", 25 * S), ("x.3", 50 * S),
    ]  # fmt: skip


def test_without_until_the_last_is_the_last_that_fits(scheduled: Any) -> None:
    found = scheduled("{every: 10s, jitter: 4s, pause: {node: a, for: 7s}}")
    assert len(found.faults) == 4  # the fifth, at 50 s, could heal at 61 s


def test_jitter_delays_by_a_draw_from_the_seed(scheduled: Any) -> None:
    item = "{every: 5s, until: 50s, jitter: 2s, pause: a}"
    first, again, other = (scheduled(item, seed=seed) for seed in (1, 1, 2))
    assert first.faults == again.faults
    assert times(first) != times(other)
    delays = [fault.at_ns - number * 5 * S for number, fault in enumerate(first.faults, 1)]
    assert all(0 <= delay <= 2 * S for delay in delays)
    assert len(set(delays)) == len(delays)


def test_a_group_happens_at_one_time(scheduled: Any) -> None:
    item = "{at: 5s, jitter: 3s, together: [{cut: {between: [a, b], for: 1s}}, {blink: {node: c}, required: false}]}"
    cut, blink = scheduled(item).faults
    assert (cut.id, blink.id) == ("cut-1.1", "blink-1.2")
    assert cut.at_ns == blink.at_ns != 5 * S
    assert (cut.for_ns, blink.for_ns) == (S, None)
    assert (cut.required, blink.required) == (True, False)


def test_members_of_a_group_have_its_name_or_their_own(scheduled: Any) -> None:
    item = "{every: 20s, id: storm, together: [{blink: {node: a}}, {blink: {node: b}, id: own}]}"
    assert [name for name, _ in times(scheduled(item))] == ["storm.1.1", "own.1", "storm.1.2", "own.2"]


def test_one_of_several_faults(scheduled: Any) -> None:
    item = "{every: 1s, choose: [{blink: {node: a}}, {pause: b}, {cut: {between: [a, b]}}]}"
    found = scheduled(item)
    assert len(found.faults) == 59
    assert {fault.kind for fault in found.faults} == {"blink", "pause", "cut"}
    assert found.faults == scheduled(item).faults


def test_some_of_several_faults(scheduled: Any) -> None:
    item = "{every: 1s, choose: {of: [{blink: {node: a}}, {blink: {node: b}}, {blink: {node: c}}], count: 2}}"
    found = scheduled(item).faults
    assert len(found) == 2 * 59
    pairs = {(one.params["node"], two.params["node"]) for one, two in zip(found[::2], found[1::2], strict=True)}
    assert pairs == {("a", "b"), ("a", "c"), ("b", "c")}
    assert found[0].id in ("blink-1.1.1", "blink-1.2.1")


def test_parameters_may_be_drawn(scheduled: Any) -> None:
    item = (
        "{every: 1s, cut: {between: {choose: {of: [a, b, c], count: 2}}, for: {choose: [1ms, 2ms]}}},"
        "{every: 1s, pause: {node: {choose: [b, c]}}}"
    )
    found = scheduled(item).faults
    assert {fault.params["between"] for fault in found if fault.kind == "cut"} == {("a", "b"), ("a", "c"), ("b", "c")}
    assert {fault.for_ns for fault in found if fault.kind == "cut"} == {MS, 2 * MS}
    assert {fault.params["node"] for fault in found if fault.kind == "pause"} == {"b", "c"}


def test_conditions(scheduled: Any) -> None:
    items = """
      {when: {node: 7, console: "fall|slip", count: 3, after: 1s}, id: first, pause: a},
      {when: {link: lan--a, frames: "csi.node == 1"}, blink: {node: a}},
      {when: {fault: first}, jitter: 1s, blink: {node: b}},
      {when: {fault: first, stage: healed, after: 5ms}, blink: {node: b}},
      {when: {fault: blink-2}, heal: first},
      {when: {node: c, event: booted, count: 2}, blink: {node: b}}"""
    found = [fault.when for fault in scheduled(items).faults]
    assert found[0] == ConsoleSeen("b", "fall|slip", 3, S)
    assert found[1] == FramesSeen("lan--a", "csi.node == 1")
    assert isinstance(found[2], FaultReached) and 0 < found[2].after_ns <= S
    assert found[3] == FaultReached("first", FaultStage.HEALED, 5 * MS)
    assert found[4] == FaultReached("blink-2", FaultStage.INJECTED)
    assert isinstance(found[5], ConsoleSeen) and (found[5].node, found[5].count) == ("c", 2)
    for text, boots in (("I (301) Main_Task: Calling app_main()", True), ("I (5) mem: 12", False)):
        assert bool(re.search(found[5].pattern, text)) is boots is is_boot_marker(text)
    assert all(fault.at_ns is None for fault in scheduled(items).faults)


ITEMS = [
    ("{at: 1s, id: x y, pause: a}", "3:23", "id: expected a name that is safe in paths"),
    ("{at: 1s, id: x, pause: a}, {at: 2s, id: x, pause: b}", "3:53", "id: 'x' stands here for the second time"),
    ("{at: 1s, required: 1, pause: a}", "3:29", "required: expected true or false, seen 1"),
    # repetition
    ("{every: 0, pause: a}", "3:18", "every: expected more than 0"),
    ("{every: 2m, pause: a}", "3:18", "every: it would not happen even once, first at 2m"),
    ("{at: 5s, every: 1s, until: 4s, pause: a}", "3:37", "until: it would not happen even once, first at 5s"),
    ("{every: 1s, until: 2m, pause: a}", "3:29", "until: 2m is not within the run of 1m"),
    ("{every: 1us, pause: a}", "3:18", "every: would happen 59999999 times, more than 1000"),
    ("{at: 1s, until: 4s, pause: a}", "3:19", "until: nothing is repeated (say `every`, too)"),
    ("{every: 10s, until: 55s, pause: {node: a, for: 10s}}", "3:57", "for: the fault would heal at 1m"),
    # jitter
    ("{at: 59s, jitter: 1s, pause: a}", "3:28", "jitter: it could be as late as 1m"),
    ("{at: 50s, jitter: 5s, pause: {node: a, for: 5s}}", "3:54", "for: the fault would heal at 1m"),
    # instants
    ("{at: 1s, blink: {node: a, for: 5s}}", "3:41", "for: blink is over in an instant, it does not last"),
    # conditions
    ("{when: {}, pause: a}", "3:17", "when: expected one of console, event, frames and fault, seen none of them"),
    ("{when: {node: a, console: x, fault: y}, pause: a}", "3:17", "seen console and fault"),
    ("{when: {node: a, console: '('}, pause: a}", "3:36", "console: not a regular expression"),
    ("{when: {node: a, event: exploded}, pause: a}", "3:34", "event: expected booted, seen 'exploded'"),
    ("{when: {event: booted}, pause: a}", "3:17", "missing key 'node'"),
    ("{when: {node: z, console: x}, pause: a}", "3:24", "node: no node is called 'z'"),
    ("{when: {frames: udp}, pause: a}", "3:17", "missing key 'link' (`swarmrig plan` names the links)"),
    ("{when: {link: l, frames: upd}, pause: a}", "3:35", "frames: "),
    ("{when: {link: l, frames: udp, node: a}, pause: a}", "3:40", "node: belongs to `console`, not to `frames`"),
    ("{when: {node: a, console: x, count: 0}, pause: a}", "3:46", "count: expected at least 1"),
    ("{when: {node: a, console: x, after: 2m}, pause: a}", "3:46", "after: 2m is not within the run"),
    ("{when: {fault: x, stage: seen}, pause: a}", "3:35", "stage: expected one of injected, healed"),
    ("{when: {fault: paus-2}, pause: a}, {at: 1s, pause: b}", "3:34", "no fault is called 'paus-2' (did you mean"),
    ("{when: {fault: pause-1}, pause: a}", "3:35", "when: pause-1 waits for pause-1"),
    (
        "{when: {fault: y}, id: x, pause: a}, {when: {fault: x}, id: y, pause: b}", "3:36",
        "when: x waits for y waits for x",
    ),
    ("{when: {fault: x, stage: healed}, pause: a}, {at: 1s, id: x, pause: b}", "3:44", "when: x never heals"),
    ("{when: {fault: x, after: 59s}, pause: a}, {at: 1s, id: x, pause: b}", "3:41", "when: it would be due at 1m"),
    (
        "{when: {fault: x}, pause: {node: a, for: 59s}}, {at: 1s, id: x, pause: b}", "3:29",
        "when: the fault would heal at 1m",
    ),
    ("{when: {node: a, console: x}, pause: {node: a, for: 60s}}", "3:62", "for: longer than the whole run of 1m"),
    ("{when: {fault: x}, pause: a}, {every: 20s, id: x, pause: b}", "3:29", "when: 'x' happens 2 times (one of x.1"),
    ("{at: 1s, when: {node: a, console: x}, pause: a}", "3:11", "at: a fault that waits for something happens once"),
    ("{every: 1s, when: {node: a, console: x}, pause: a}", "3:11", "every: a fault that waits for something"),
    ("{when: 5s, pause: a}", "3:17", "when: expected a mapping"),
    # healing
    ("{at: 2s, heal: x}", "3:19", "heal: no fault is called 'x'"),
    ("{at: 1s, id: x, blink: {node: a}}, {at: 2s, heal: x}", "3:54", "heal: x is over in an instant"),
    ("{at: 1s, id: x, pause: {node: a, for: 9s}}, {at: 2s, heal: x}", "3:63", "heal: x heals by itself after 9s"),
    (
        "{at: 1s, id: x, pause: a}, {at: 2s, heal: x}, {at: 3s, heal: x}", "3:65", "heal: x is healed already by heal-2"
    ),
    ("{at: 2s, id: x, pause: a}, {at: 2s, heal: x}", "3:46", "heal: x is not in force yet"),
    ("{at: 1s, id: x, pause: a}, {when: {fault: x, stage: healed}, heal: x}", "3:71", "waits for"),
    ("{at: 1s, id: x, pause: a}, {at: 2s, heal: {fault: x, for: 1s}}", "3:68", "for: heal is over in an instant"),
    # groups and choices
    ("{at: 1s, together: []}", "3:29", "together: expected a list of faults, seen a list"),
    ("{at: 1s, together: {pause: a}}", "3:29", "together: expected a list of faults, seen a mapping"),
    ("{at: 1s, together: [pause]}", "3:30", "together: expected faults, seen 'pause'"),
    ("{at: 1s, together: [{at: 2s, pause: a}]}", "3:31", "at: is said once, for the whole group"),
    ("{at: 1s, together: [{pause: a}], pause: b}", "3:43", "pause: stands beside `together`"),
    ("{at: 1s, together: [{pause: z}]}", "3:38", "pause: no node is called 'z'"),
    ("{at: 1s, choose: []}", "3:27", "choose: expected a list to choose from"),
    ("{at: 1s, choose: {count: 2}}", "3:27", "choose: expected a list to choose from, seen nothing"),
    ("{at: 1s, choose: {of: [{pause: a}], count: 2}}", "3:27", "choose: expected at most 1, as many as there are"),
    ("{at: 1s, choose: {of: [{pause: a}], count: 0}}", "3:53", "count: expected at least 1"),
    ("{at: 1s, choose: {of: [{pause: a}], cuont: 1}}", "3:46", "unknown key 'cuont' (did you mean 'count'?)"),
    ("{at: 1s, choose: [{pause: a}, {pause: z}]}", "3:48", "pause: no node is called 'z'"),
    ("{at: 1s, pause: {node: {choose: [a, b, z]}}}", "3:49", "node: no node is called 'z'"),
    ("{at: 1s, pause: {node: {choose: a}}}", "3:42", "choose: expected a list to choose from, seen 'a'"),
    ("{at: 1s, pause: {node: a, for: {choose: [1s, 60s]}}}", "3:41", "for: the fault would heal at 61s"),
]  # fmt: skip


@pytest.mark.parametrize(("items", "place", "expected"), ITEMS, ids=[item for item, _, _ in ITEMS])
def test_what_cannot_be_is_told_with_its_place(scheduled: Any, items: str, place: str, expected: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        scheduled(items)
    assert any(str(one).startswith(f"t.yml:{place}: ") and expected in str(one) for one in caught.value.problems), (
        caught.value
    )


def test_all_that_is_wrong_is_told_together(scheduled: Any) -> None:
    with pytest.raises(ScenarioError) as caught:
        scheduled("{at: 2m, pause: a}, {at: 1s, blink: {node: z, for: 1s}}, {when: {}, pause: a}")
    assert len(caught.value.problems) == 4


def test_what_is_chosen_is_valid_to_the_schema(kinds: Registry) -> None:
    validator = Draft202012Validator(scenario_schema(kinds))
    text = """\
swarmrig: 1
nodes: {a: , b: , c: }
faults:
  - {every: 5s, until: 20s, at: 1s, jitter: 100ms, id: x, pause: {node: {choose: [a, b]}, for: {choose: [1s, 2s]}}}
  - {when: {node: a, console: x, after: 1s}, required: false, together: [{pause: a}, {blink: {node: b}, id: y}]}
  - {when: {link: l, frames: udp, count: 2}, choose: {of: [{pause: a}, {pause: b}], count: 1}}
  - {at: 5s, choose: [{pause: a}, {cut: {between: {choose: {of: [a, b, c], count: 2}}}}]}
  - {when: {fault: y, stage: injected}, heal: z}
"""
    validator.validate(YAML(typ="safe").load(text))


@pytest.mark.parametrize(
    "item",
    ["{pause: a}", "{at: 1s}", "{at: 1s, blink: {node: a, for: 1s}}", "{at: 1s, together: [{at: 1s, pause: a}]}"],
)
def test_what_is_wrong_is_wrong_to_the_schema_too(kinds: Registry, item: str) -> None:
    validator = Draft202012Validator(scenario_schema(kinds))
    assert not validator.is_valid(YAML(typ="safe").load(f"swarmrig: 1\nnodes: {{a: }}\nfaults: [{item}]"))


def plain(scenario: Scenario) -> list[Any]:
    return [replace(fault, source=None) for fault in scenario.faults]


DURATIONS = st.integers(1, 9).map("{}s".format)
PAUSES = st.sampled_from(["pause: a", "pause: {node: b, for: 900ms}", "pause: {node: {choose: [a, b, c]}}"])
FAULTS = st.one_of(
    PAUSES,
    st.lists(PAUSES, min_size=1, max_size=3).map(lambda some: f"together: [{', '.join(f'{{{one}}}' for one in some)}]"),
    st.lists(PAUSES, min_size=1, max_size=3).map(lambda some: f"choose: [{', '.join(f'{{{one}}}' for one in some)}]"),
)
WHEN = st.one_of(
    DURATIONS.map("at: {}".format),
    st.tuples(DURATIONS, DURATIONS).map(lambda pair: "every: {}, until: 5{}".format(*pair)),
    DURATIONS.map("when: {{node: a, console: '[x]', after: {}}}".format),
)
JITTERS = st.sampled_from(["", "jitter: 17ms, ", "jitter: 3us, "])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(WHEN, JITTERS, FAULTS), max_size=4), st.integers(0, 5))
def test_any_schedule_is_the_same_again_and_survives_being_written(
    scheduled: Any, kinds: Registry, items: list[tuple[str, str, str]], seed: int
) -> None:
    text = ", ".join(f"{{{when}, {jitter}{fault}}}" for when, jitter, fault in items)
    scenario = scheduled(text, seed=seed)
    assert scenario.faults == scheduled(text, seed=seed).faults
    ids = [fault.id for fault in scenario.faults]
    assert len(set(ids)) == len(ids)
    for fault in scenario.faults:
        assert (fault.at_ns is None) != (fault.when is None)
        assert fault.at_ns is None or 0 < fault.at_ns + (fault.for_ns or 0) < scenario.duration_ns
        assert fault.params["node"] in ("a", "b", "c")
    written = dump_scenario(scenario, kinds)
    again = load_text(written, Origin("t.yml", Path("/nowhere"), "t"), registry=kinds)
    assert plain(again) == plain(scenario)
