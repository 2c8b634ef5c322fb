"""Whole runs in virtual time: schedules that repeat to the nanosecond; faults that did not happen do not pass."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from swarmrig.api import FaultContext, FaultSkippedError
from swarmrig.api.params import Params
from swarmrig.errors import ScenarioError
from swarmrig.faults.cut import Cut
from swarmrig.model.facts import FaultStage
from swarmrig.model.record import RunRecord
from swarmrig.model.scenario import REACTION_NS, FaultSpec
from swarmrig.plugins import Registry
from swarmrig.reports.write import write_reports
from swarmrig.runtime.plan import make_plan
from swarmrig.runtime.repeat import REPEAT_FILE
from swarmrig.runtime.run import FinishedRun, RunOptions, run
from swarmrig.scenario.build import Origin
from swarmrig.scenario.load import load_scenario, load_text

MS = 1_000_000
S = 1_000 * MS
HEAD = """\
swarmrig: 1
name: paper
duration: 12s
time: virtual
nodes: {a: {role: coordinator}, b: {config: {scenario: 2}}}
checks: [all_nodes_boot]
faults:
"""
MANY = """\
  - {at: 3s, id: dark, cut: {between: [b, lan]}}
  - {when: {fault: dark, after: 1s}, heal: dark}
  - {every: 2s, at: 5s, until: 9s, jitter: 300ms, cut: {between: {choose: [[a, lan], [b, lan]]}, for: 500ms}}
  - {when: {node: b, console: "main_task", after: 1s}, id: early, cut: {between: [a, lan], for: 300ms}}
  - {when: {link: lan--b, frames: csi, count: 7}, id: seventh, cut: {between: [b, lan], for: 200ms}}
  - {when: {fault: seventh, stage: healed}, id: then, cut: {between: [b, lan], for: 200ms}}
"""


def finish(text: str, output: Path, registry: Registry | None = None) -> FinishedRun:
    async def go() -> FinishedRun:
        known = registry or Registry.load()
        scenario = load_text(text, Origin("t.yml", output, "t"), registry=known)
        return await run(await make_plan(scenario, known), RunOptions(output_dir=output))

    return anyio.run(go)


def acted(record: RunRecord) -> list[tuple[str, list[tuple[FaultStage, int]]]]:
    return [(fault.id, list(fault.stages)) for fault in record.faults]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    return finish(HEAD + MANY, tmp_path_factory.mktemp("many"))


def test_everything_that_is_scheduled_happens_and_is_proved(finished: FinishedRun) -> None:
    record = finished.record
    assert (record.exit_code, record.tier) == (0, "exact"), record.faults
    assert [fault.id for fault in record.faults] == [
        "dark", "heal-2", "cut-3.1", "cut-3.2", "cut-3.3", "early", "seventh", "then",
    ]  # fmt: skip
    assert {fault.status.value for fault in record.faults} == {"proved"}
    begins = {fault.id: dict(fault.stages) for fault in record.faults}
    assert begins["dark"][FaultStage.HEALED] == begins["heal-2"][FaultStage.INJECTED] == 4 * S
    assert begins["then"][FaultStage.INJECTED] == begins["seventh"][FaultStage.HEALED]


def test_what_waits_acts_at_exactly_its_time(finished: FinishedRun) -> None:
    events = [json.loads(line) for line in (finished.directory / "events.jsonl").read_text().splitlines()]
    [line] = [event for event in events if event["source"] == "b" and "main_task" in event["data"].get("text", "")][:1]
    due = {fault.id: fault.at_ns for fault in finished.record.faults}
    assert due["early"] == line["t"] + S
    assert due["seventh"] is not None and due["seventh"] % REACTION_NS  # a frame's time, and 10 ms


def test_the_same_again(finished: FinishedRun, tmp_path: Path) -> None:
    again = finish(HEAD + MANY, tmp_path)
    assert again.record.digest == finished.record.digest is not None
    other = finish(HEAD.replace("time:", "seed: 5\ntime:") + MANY, tmp_path)
    assert acted(other.record) != acted(finished.record)


def test_what_a_run_exports_gives_the_same_schedule(finished: FinishedRun, tmp_path: Path) -> None:
    text = (finished.directory / REPEAT_FILE).read_text()
    assert "when" not in text and "choose" not in text
    again = finish(text, tmp_path)
    assert acted(again.record) == acted(finished.record)
    assert again.record.digest == finished.record.digest
    assert (again.directory / REPEAT_FILE).read_text() == text


def test_reports_and_their_schema(finished: FinishedRun) -> None:
    write_reports(finished.record, finished.directory)
    faults = json.loads((finished.directory / "results.json").read_text())["faults"]
    assert [stage["stage"] for stage in faults[0]["stages"]] == ["injected", "observed", "healed", "heal observed"]
    assert faults[0]["evidence"][0]["file"] == "net/lan--b.pcapng"
    assert faults[5]["when"] == "1s after b says /main_task/"
    assert "injected at 3.000 s" in (finished.directory / "junit.xml").read_text()


def test_in_real_time_conditions_hold_too(tmp_path: Path) -> None:
    items = """\
  - {when: {node: b, event: booted, after: 500ms}, id: first, cut: {between: [b, lan], for: 1s}}
  - {when: {fault: first, stage: healed, after: 200ms}, id: second, cut: {between: [a, lan]}}
  - {when: {link: lan--b, frames: csi, count: 60}, heal: second}
"""
    text = HEAD.replace("time: virtual", "time: real").replace("12s", "20s") + items
    record = finish(text, tmp_path).record
    assert (record.exit_code, record.tier) == (0, "scheduled"), record.faults
    assert record.run_ns < 20 * S  # over once everything was seen
    first, second, _ = (dict(fault.stages) for fault in record.faults)
    assert first[FaultStage.HEALED] < second[FaultStage.INJECTED] < second[FaultStage.HEALED]


class Idle(Cut):
    """Says that it has cut and healed, and does nothing."""

    async def _set(self, changes: dict[str, bool]) -> int:
        return self.context.now_ns()


class Leaky(Cut):
    """Cuts one direction alone."""

    async def _set(self, changes: dict[str, bool]) -> int:
        return await self.context.links.set_link(self.what, changes, direction="forward", layer=self.spec.id)


class Sticking(Cut):
    """Never heals, whatever it says."""

    async def _set(self, changes: dict[str, bool]) -> int:
        return await super()._set({"up": False})


class Inapplicable(Cut):
    async def inject(self) -> None:
        raise FaultSkippedError("there is nothing to cut")


class Refused(Cut):
    def __init__(self, spec: FaultSpec, context: FaultContext) -> None:
        super().__init__(spec, context)
        self.what = "no-such-link"


def registry_with(**kinds: Any) -> Registry:
    found = Registry.load()
    points = {
        name: SimpleNamespace(name=name, value="tests:fault", load=lambda target=target: target)
        for name, target in kinds.items()
    }
    faults: Any = {**found.points["swarmrig.faults"], **points}
    return Registry({**found.points, "swarmrig.faults": faults})


@pytest.mark.parametrize(
    ("kind", "required", "status", "message"),
    [
        (Idle, True, "failed", "was delivered although the link was down"),
        (Idle, False, "failed", "was delivered although the link was down"),
        (Leaky, True, "failed", "was delivered although the link was down"),
        (Sticking, True, "indeterminate", "no frame crossed lan--b after it healed"),
        (Inapplicable, True, "skipped", "there is nothing to cut"),
        (Inapplicable, False, "skipped", "there is nothing to cut"),
        (Refused, True, "failed", "no-such-link"),
    ],
)
def test_a_cut_that_did_not_happen_does_not_pass(
    kind: Any, required: bool, status: str, message: str, tmp_path: Path
) -> None:
    item = f"  - {{at: 3s, required: {str(required).lower()}, cut: {{between: [b, lan], for: 2s}}}}\n"
    record = finish(HEAD.replace("12s", "7s") + item, tmp_path, registry_with(cut=kind)).record
    assert record.exit_code == (2 if required else 1), record.faults
    [fault] = record.faults
    assert fault.status == status and message in fault.message


def test_what_nobody_could_see_is_indeterminate(tmp_path: Path) -> None:
    """The cut took place, and nobody tried to cross meanwhile."""
    text = HEAD.replace("12s", "5s") + "  - {at: 4990ms, cut: {between: [b, lan], for: 1ms}}\n"
    record = finish(text, tmp_path).record
    assert (record.exit_code, record.faults[0].status) == (2, "indeterminate")


def test_what_never_happened_never_fired(tmp_path: Path) -> None:
    item = "  - {when: {node: b, console: dragons}, cut: {between: [b, lan], for: 1s}}\n"
    record = finish(HEAD.replace("12s", "4s") + item, tmp_path).record
    assert (record.exit_code, record.faults[0].status) == (2, "never fired")
    assert record.faults[0].message == "nothing met its condition: when b says /dragons/"
    [repeat] = tmp_path.glob(f"*/{REPEAT_FILE}")
    assert "faults: []" in repeat.read_text()


def test_what_is_in_force_at_the_end_is_healed_and_not_proved(tmp_path: Path) -> None:
    item = "  - {when: {node: b, console: main_task, after: 2s}, cut: {between: [b, lan], for: 3s}}\n"
    record = finish(HEAD.replace("12s", "4s") + item, tmp_path).record
    [fault] = record.faults
    assert (record.exit_code, fault.status, fault.stages[-1]) == (2, "indeterminate", (FaultStage.HEALED, 4 * S))


OVERLAPS = [
    ("{at: 1s, cut: {between: [b, lan], for: 2s}}", "{at: 2s, cut: {between: [lan, 1], for: 2s}}"),
    ("{at: 1s, cut: {between: [b, lan]}}", "{at: 9s, cut: {between: [b, lan], for: 2s}}"),
    ("{at: 1s, id: x, cut: {between: [b, lan]}}, {at: 5s, heal: x}", "{at: 4s, cut: {between: [b, lan], for: 2s}}"),
    ("{at: 1s, id: x, cut: {between: [b, lan]}}", "{when: {fault: x, after: 1s}, cut: {between: [b, lan], for: 2s}}"),
    ("{at: 5s, cut: {between: [b, lan], for: 1s}}", "{at: 1s, cut: {between: [b, lan], for: 4001ms}}"),
]
NEIGHBOURS = [
    ("{at: 1s, cut: {between: [b, lan], for: 2s}}", "{at: 3s, cut: {between: [b, lan], for: 2s}}"),
    ("{at: 1s, id: x, cut: {between: [b, lan]}}, {at: 3s, heal: x}", "{at: 4s, cut: {between: [b, lan], for: 2s}}"),
    ("{at: 1s, cut: {between: [b, lan], for: 2s}}", "{at: 2s, cut: {between: [a, lan], for: 2s}}"),
    (
        "{when: {fault: x, stage: healed}, cut: {between: [b, lan], for: 1s}}",
        "{at: 2s, id: x, cut: {between: [b, lan], for: 2s}}",
    ),
]


def plan_of(items: tuple[str, ...], registry: Registry | None = None) -> Any:
    known = registry or Registry.load()
    text = HEAD + "".join(f"  - {item}\n" for pair in items for item in pair.replace("}, {", "}\n{").split("\n"))
    return anyio.run(make_plan, load_text(text, Origin("t.yml", Path.cwd(), "t"), registry=known), known)


@pytest.mark.parametrize("items", OVERLAPS)
def test_overlapping_cuts_of_one_link_are_refused(items: tuple[str, str]) -> None:
    with pytest.raises(ScenarioError) as caught:
        plan_of(items)
    [problem] = caught.value.problems
    assert "overlaps" in problem.message and "both take the link lan--b down" in problem.message
    assert problem.line is not None and problem.column is not None


@pytest.mark.parametrize("items", NEIGHBOURS)
def test_cuts_one_after_another_are_not(items: tuple[str, str]) -> None:
    assert len(plan_of(items).faults) >= 2


def test_a_link_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(ScenarioError, match=r"t.yml:8:47: fault cut: when: there is no link 'b': the links are lan--a"):
        plan_of(
            (
                "{when: {link: b, frames: csi, count: 99}, cut: {between: [b, lan]}}",
                "{at: 1s, cut: {between: [a, lan]}}",
            )
        )


def test_nodes_named_by_number_must_have_what_a_fault_needs() -> None:
    class NodeParams(Params):
        node: int | str | None = None
        nodes: tuple[int | str, ...] = ()

    class Fly(Cut):
        params_model: Any = NodeParams
        needs = frozenset({"CanFly"})

        @classmethod
        def resolve(cls, *_: Any) -> str:
            return "fly"

        @classmethod
        def claims(cls, *_: Any) -> frozenset[str]:
            return frozenset()

    registry = registry_with(fly=Fly)
    with pytest.raises(ScenarioError) as caught:
        plan_of(("{at: 1s, fly: {node: 1}}", "{at: 1s, fly: {nodes: [a, b]}}"), registry)
    messages = [str(problem) for problem in caught.value.problems]
    assert [message.split(", which ")[1].split(" (")[0] for message in messages] == ["node b", "node a", "node b"]
    assert all("fault fly needs CanFly" in message for message in messages)


def test_a_scenario_of_its_own_is_not_changed_by_being_written(finished: FinishedRun) -> None:
    registry = Registry.load()
    written = load_scenario(finished.directory / "scenario.yml", registry=registry)
    original = load_text(HEAD + MANY, Origin("t.yml", Path.cwd(), "t"), registry=registry)
    assert [replace(fault, source=None) for fault in written.faults] == [
        replace(fault, source=None) for fault in original.faults
    ]
