"""Models: settings from the file to the class, time, chance, names; what is wrong is told with its place."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from wired import MS, S, failures, node_of, wired

from swarmrig.errors import ScenarioError
from swarmrig.model.scenario import Scenario
from swarmrig.nodes.python import Model
from swarmrig.plugins import Registry
from swarmrig.runtime.plan import make_plan
from swarmrig.scenario.load import load_scenario

MODELS = """
from dataclasses import dataclass
from pathlib import Path
from pydantic import BaseModel, Field
from beside import NAME
from swarmrig.nodes.python import Duration, Model, NodeId, Rate, Share, Size


class Plain(Model):
    @dataclass(frozen=True)
    class Settings:
        to: NodeId
        period: Duration = 1_000
        part: Share = 0.5
        speed: Rate = 10
        room: Size = 1
        kinds: tuple[str, ...] = ()
        file: Path | None = None


class Inner(BaseModel):
    depth: int = Field(ge=0)


class Nested(Model):
    class Settings(BaseModel):
        inner: Inner
        period: Duration = 7


class Bare(Model):
    pass


def make(name, config):
    return Bare(name, {**config, "settings": {}})


class Picky(Model):
    @classmethod
    def examine(cls, settings):
        raise ValueError("not today")


BROKEN = 3
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "models.py").write_text(MODELS)
    (tmp_path / "beside.py").write_text("NAME = 'beside'\n")
    return tmp_path


def load(folder: Path, node: str) -> Scenario:
    file = folder / "t.yml"
    file.write_text(f"swarmrig: 1\ndefaults: {{kind: python}}\nnodes:\n  hub: {{model: cloud}}\n  n: {node}\n")
    return load_scenario(file, registry=Registry.load())


def config_of(scenario: Scenario) -> dict[str, Any]:
    plan = anyio.run(make_plan, scenario, Registry.load())
    return dict(plan.network.device("n").config)


def problems(folder: Path, node: str) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        scenario = load(folder, node)
        anyio.run(make_plan, scenario, Registry.load())
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


def test_quantities_get_to_the_model_as_numbers(folder: Path) -> None:
    settings = "{to: hub, period: 250ms, part: 25%, speed: 1Mbit, room: 2KiB, kinds: [a, b], file: x.bin}"
    config = config_of(load(folder, f'{{model: "./models.py:Plain", settings: {settings}}}'))
    assert config["settings"] == {
        "to": "hub", "period": 250 * MS, "part": 0.25, "speed": 10**6, "room": 2048, "kinds": ["a", "b"],
        "file": str(folder / "x.bin"),
    }  # fmt: skip


def test_settings_are_what_the_class_says() -> None:
    from dataclasses import dataclass

    class Kinds(Model):
        @dataclass(frozen=True)
        class Settings:
            kinds: tuple[str, ...] = ()
            size: int = 3

    engine = wired({"n": Kinds}, settings={"n": {"kinds": ["a", "b"]}})
    assert node_of(engine, "n").settings == Kinds.Settings(("a", "b"), 3)


def test_a_scenario_that_was_written_down_says_the_same(folder: Path) -> None:
    from swarmrig.scenario.resolved import dump_scenario

    first = load(folder, '{model: "./models.py:Plain", settings: {to: hub, period: 250ms}, count: 3}'.replace("n:", ""))
    again = folder / "elsewhere" / "again.yml"
    again.parent.mkdir()
    again.write_text(dump_scenario(first))
    second = load_scenario(again, registry=Registry.load())
    assert [node.id for node in second.nodes] == ["hub", "n-1", "n-2", "n-3"]
    assert [node.options for node in second.nodes] == [node.options for node in first.nodes]
    assert second.node("n-2").number == 2


def test_a_pydantic_model_may_be_nested(folder: Path) -> None:
    config = config_of(load(folder, '{model: "./models.py:Nested", settings: {inner: {depth: 2}, period: 1s}}'))
    assert config["settings"] == {"inner": {"depth": 2}, "period": S}


def test_whatever_makes_a_node_is_a_model(folder: Path) -> None:
    assert config_of(load(folder, '{model: "./models.py:make", settings: {any: [1]}}'))["settings"] == {"any": [1]}


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ("{model: sensr}", "t.yml:5:14: model: no model is called 'sensr'"),
        ('{model: "./model.py:Plain"}', "t.yml:5:14: model: the file model.py does not exist"),
        ('{model: "./models.py:Plan"}', "t.yml:5:14: model: models.py has no 'Plan'"),
        ('{model: "./models.py:BROKEN"}', "is a int, not callable"),
        ("{settings: {}}", "missing key 'model'"),
        ('{model: "./models.py:Plain"}', "missing key 'to'"),
        (
            '{model: "./models.py:Plain", settings: {to: hub, perod: 1s}}',
            "t.yml:5:62: perod: unknown setting: did you mean",
        ),
        ('{model: "./models.py:Plain", settings: {to: hub, period: x}}', "t.yml:5:63: period: expected a duration"),
        ('{model: "./models.py:Plain", settings: {to: hub, kinds: [1]}}', "kinds: expected a text"),
        ('{model: "./models.py:Plain", settings: {to: hib}}', "settings.to: no node is called 'hib'"),
        ('{model: "./models.py:Nested", settings: {inner: {depth: -1}}}', "depth: expected at least 0"),
        ('{model: "./models.py:Bare", settings: {x: 1}}', "unknown setting: there are none"),
        ('{model: "./models.py:Picky"}', "settings: not today"),
        ("{model: cloud, count: 0}", "count: expected at least 1"),
        ("{model: cloud, count: 2, number: 7}", "number: several nodes cannot have one number"),
        ("{model: cloud, count: 60000}", "count: expected at most 50000"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(folder: Path, node: str, expected: str) -> None:
    found = problems(folder, node)
    assert any(expected in problem for problem in found), found


def test_a_changed_file_is_read_anew(folder: Path) -> None:
    import os

    load(folder, '{model: "./models.py:Bare"}')
    (folder / "models.py").write_text("from swarmrig.nodes.python import Model\nclass Other(Model): pass\n")
    os.utime(folder / "models.py", ns=(1, 1))
    load(folder, '{model: "./models.py:Other"}')
    assert problems(folder, '{model: "./models.py:Bare"}')


def test_many_nodes_have_names_numbers_and_addresses_of_their_own(folder: Path) -> None:
    scenario = load(folder, "{model: cloud, count: 600}")
    plan = anyio.run(make_plan, scenario, Registry.load())
    assert [node.id for node in scenario.nodes[:2]] == ["hub", "n-1"]
    devices = plan.network.devices
    assert len({device.mac for device in devices}) == len({device.ip for device in devices}) == len(devices) == 602
    assert not any(link.capture for link in plan.network.links)
    assert any("are not captured" in warning for warning in plan.warnings)


def test_captures_are_made_when_they_are_asked_for(folder: Path) -> None:
    for wanted, count, captured in (("true", 600, True), ("false", 2, False)):
        (folder / "t.yml").write_text(
            f"swarmrig: 1\nnetwork: {{capture: {wanted}}}\n"
            f"nodes: {{n: {{kind: python, model: cloud, count: {count}}}}}\n"
        )
        plan = anyio.run(make_plan, load_scenario(folder / "t.yml", registry=Registry.load()), Registry.load())
        assert {link.capture for link in plan.network.links} == {captured}
        assert not plan.warnings


class Clocked(Model):
    def on_start(self) -> None:
        self.ticks: list[int] = []
        self.draws = [self.random.random() for _ in range(3)]
        self.repeated = self.every(10 * MS, self.tick, first_ns=MS)

    def tick(self) -> None:
        self.ticks.append(self.now_ns)
        self.count("ticks")
        self.count("weight", 0.5)
        if len(self.ticks) == 3:
            self.cancel(self.repeated)


def test_repeated_calls_do_not_drift_and_can_be_ended() -> None:
    engine = wired({"n": Clocked})
    engine.advance(S)
    node = node_of(engine, "n")
    assert node.ticks == [MS, 11 * MS, 21 * MS]
    assert node.report()["metrics"] == {"ticks": 3, "weight": 1.5}


def test_the_same_model_advanced_step_by_step_does_the_same() -> None:
    node = Clocked("n", {"mac": "02:00:00:00:00:01", "ip": "10.0.0.1", "seed": 1})
    for t_ns in range(0, 40 * MS, 7 * MS):
        node.advance(t_ns)
    assert node.ticks == [MS, 11 * MS, 21 * MS]
    assert node.next_deadline_ns() is None


def test_a_period_of_nothing_is_refused() -> None:
    engine = wired({"n": type("Never", (Model,), {"on_start": lambda self: self.every(0, print)})})
    engine.advance(0)
    assert "a period takes at least 1 ns" in failures(engine)[0]


def test_chance_belongs_to_the_seed_and_the_node() -> None:
    def draws(seed: int) -> list[list[float]]:
        engine = wired({"a": Clocked, "b": Clocked}, seed=seed)
        engine.advance(0)
        return [node_of(engine, name).draws for name in "ab"]

    assert draws(1) == draws(1)
    assert draws(1) != draws(2)
    assert draws(1)[0] != draws(1)[1]


def test_private_names_of_a_model_do_not_clash_with_those_of_its_base() -> None:
    class Names(Model):
        def on_start(self) -> None:
            self._messages = self._timers = self._sockets = self._place = self._directory = self._tcp = 0
            self.send("n", "to myself")
            self.call_after(MS, self.log_it)

        def log_it(self) -> None:
            self.log("fine")

    engine = wired({"n": Names})
    engine.advance(S)
    assert failures(engine) == []
    assert engine.nodes["n"].take_console() == [(MS, "fine")]


def test_neighbours_of_the_plan_need_not_be_asked_for() -> None:
    records: list[Any] = []
    engine = wired(
        {"a": Clocked, "b": type("Sends", (Model,), {"on_start": lambda self: self.send("a", 1) and None})},
        captures={"lan--a": records.append, "lan--b": records.append},
    )
    engine.advance(S)
    assert len(records) == 2, "one frame on two links: neither ARP nor flooding"
