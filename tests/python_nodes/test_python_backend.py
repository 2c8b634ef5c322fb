"""The backend of kind `python`: mistakes are errors of the plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import ValidationError

from swarmrig.api.nodes import LaunchContext, NodeBackend, NodePlan
from swarmrig.errors import NodeError
from swarmrig.model.network import DevicePlan, PortKind
from swarmrig.model.scenario import NetworkSpec, NodeSpec, Scenario, TimeMode
from swarmrig.nodes.python.backend import PythonBackend, PythonOptions
from swarmrig.plugins import Registry

MODEL = "swarmrig.nodes.python.aggregator:make_aggregator"


def spec(model: str = MODEL, **changes: Any) -> NodeSpec:
    return NodeSpec("model", 5, kind="python", options={"model": model, "settings": {"gain": 2}}, **changes)


def scenario(node: NodeSpec) -> Scenario:
    return Scenario("test", 10**9, 0, TimeMode.REAL, NetworkSpec(), (node,))


def plan(node: NodeSpec) -> NodePlan:
    return anyio.run(PythonBackend().plan, node, scenario(node))


def context(node: NodeSpec, directory: Path) -> LaunchContext:
    device = DevicePlan(node.id, "52:54:00:00:00:01", "lan--model", PortKind.PYTHON)
    return LaunchContext(
        scenario(node), device, "10.0.0.1", "10.0.0.1", directory, None, None, lambda: 0, lambda *_: None
    )


def test_it_comes_through_the_entry_points() -> None:
    backend: type[NodeBackend] = Registry.load().node("python")
    assert backend is PythonBackend
    assert backend.kind == "python"


def test_the_plan_names_the_factory_and_no_command() -> None:
    made = plan(spec())
    assert (made.port, made.factory, made.command) == (PortKind.PYTHON, MODEL, ())
    assert made.details == {"model": MODEL, "settings": {"gain": 2}}
    assert made.warnings == ()


def test_nothing_keeps_a_model_from_virtual_time() -> None:
    assert anyio.run(PythonBackend().prevents_virtual_time, spec()) is None


def test_nvs_values_are_warned_about() -> None:
    assert "no effect" in plan(spec(nvs={"ssid": "x"})).warnings[0]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("no_such_package.module:make", "cannot be imported: ModuleNotFoundError"),
        ("swarmrig.nodes.python.aggregator:make_agregator", "has no 'make_agregator'"),
        ("swarmrig.nodes.python.aggregator:DEFAULT_PORT", "is a int, not callable"),
    ],
)
def test_a_model_that_is_not_there_is_an_error_of_the_plan(model: str, message: str) -> None:
    with pytest.raises(NodeError, match=message) as caught:
        plan(spec(model))
    assert caught.value.node == "model"


def test_a_module_that_fails_at_import_is_told_with_its_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_model_for_test.py").write_text("raise RuntimeError('not today')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(NodeError, match="RuntimeError: not today"):
        plan(spec("broken_model_for_test:make"))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("", "no model is called ''"),
        ("sensr", "no model is called 'sensr': there are .*sensor"),
        ("module:", "neither"),
        (":make", "neither"),
        ("a b:make", "cannot be imported"),
        ("math:make()", "neither"),
        ("../x:make", "cannot be imported"),
        ("math:a.b", "neither"),
        ("./nowhere.py:Model", "nowhere.py does not exist"),
    ],
)
def test_options_refuse_what_names_no_model(model: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PythonOptions(model=model)


def test_options_refuse_what_cannot_be_handed_over() -> None:
    with pytest.raises(ValidationError, match="JSON"):
        PythonOptions(model=MODEL, settings={"x": object()})
    with pytest.raises(ValidationError, match="extra"):
        PythonOptions(model=MODEL, colour="red")  # type: ignore[call-arg]


def test_the_node_lives_until_its_context_ends(tmp_path: Path) -> None:
    made = plan(spec())

    async def live() -> tuple[bool, str]:
        backend = PythonBackend()
        async with backend.open(made, context(made.spec, tmp_path)) as node:
            assert node.spec is made.spec
            with anyio.move_on_after(0) as waiting:
                await node.wait_exited()
            assert list(backend.read_back(made, context(made.spec, tmp_path))) == []
            return waiting.cancelled_caught, node.last_words()

    assert anyio.run(live) == (True, "")
