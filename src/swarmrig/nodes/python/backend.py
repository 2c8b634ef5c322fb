"""The backend of kind `python`: a node that is a Python model, hosted by the network's own process."""

from __future__ import annotations

import difflib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import anyio
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from swarmrig.api.nodes import ExitStatus, LaunchContext, Node, NodePlan
from swarmrig.errors import NodeError
from swarmrig.model.network import PortKind
from swarmrig.model.scenario import NodeSpec, Scenario
from swarmrig.net.devices import AGGREGATOR
from swarmrig.net.factory import load_object
from swarmrig.nodes.python.checked_settings import check_settings, final_settings, nodes_named
from swarmrig.nodes.python.model import Model
from swarmrig.nodes.python.settings import make_settings
from swarmrig.nodes.python.shipped import SHIPPED


class PythonOptions(BaseModel):
    """Settings of a Python node."""

    model_config = ConfigDict(extra="forbid", validate_default=True)

    model: str = Field(
        description=f"What the node is: the name of a model that comes with the rig ({', '.join(SHIPPED)}), "
        "`package.module:Class`, or `./file.py:Class`, relative to the scenario.",
    )
    settings: dict[str, Any] = Field(default_factory=dict, description="What the model is told: see the model.")

    @field_validator("model")
    @classmethod
    def _names_a_model(cls, model: str, info: ValidationInfo) -> str:
        placed = _placed(model, _directory(info))
        _load(placed)
        return placed

    @field_validator("settings")
    @classmethod
    def _fit_the_model(cls, settings: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "model" not in info.data:
            return settings  # that the model is wrong has been said
        kind = _settings_of(_load(info.data["model"]))
        if kind is None:
            return _json_able(settings)
        return check_settings(kind, settings, _directory(info))


class PythonNode:
    """A node without a process of its own: it lives as long as the network does."""

    def __init__(self, spec: NodeSpec) -> None:
        self.spec = spec

    async def wait_exited(self) -> ExitStatus:
        """Never returns: such a node does not end by itself."""
        await anyio.sleep_forever()
        raise AssertionError("unreachable")

    def last_words(self) -> str:
        """Nothing: what a model says stands in its console."""
        return ""


class PythonBackend:
    """Checks that the model exists; the network driver makes and runs it, and passes on its console."""

    kind: ClassVar[str] = "python"
    any_number: ClassVar[bool] = True
    restarts_exactly: ClassVar[bool] = True
    options_model: ClassVar[Any] = PythonOptions

    async def plan(self, spec: NodeSpec, scenario: Scenario) -> NodePlan:
        """What the model is told is made final here."""
        try:
            options = PythonOptions.model_validate(dict(spec.options))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise NodeError(spec.id, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
        model = _load(options.model)
        kind = _settings_of(model)
        if kind is None:
            settings = options.settings
        else:
            _see_to_nodes(spec.id, nodes_named(kind, options.settings), scenario)
            settings = final_settings(kind, options.settings)
            _examine(spec.id, model, settings, scenario)
        return NodePlan(
            spec=spec,
            command=(),
            port=PortKind.PYTHON,
            factory=SHIPPED.get(options.model, options.model),
            config={"settings": settings, "on_failure": asdict(spec.on_failure)},
            warnings=_warnings(spec),
            details={"model": options.model, "settings": options.settings},
        )

    async def prevents_virtual_time(self, spec: NodeSpec) -> str | None:  # noqa: ARG002 - the contract
        """Nothing: a model is told the time."""
        return None

    @asynccontextmanager
    async def open(self, plan: NodePlan, context: LaunchContext) -> AsyncIterator[Node]:  # noqa: ARG002
        yield PythonNode(plan.spec)

    def read_back(self, plan: NodePlan, context: LaunchContext) -> Sequence[str]:  # noqa: ARG002
        """Nothing is provisioned but the settings, which the driver hands over in memory."""
        return ()


def _directory(info: ValidationInfo) -> Path | None:
    """Where the scenario file is, as far as the reader of the file says so."""
    found = (info.context or {}).get("directory")
    return None if found is None else Path(found)


def _placed(model: str, directory: Path | None) -> str:
    """The name of a model wherever one is: files by their whole path."""
    file, colon, name = model.rpartition(":")
    if not file.endswith(".py"):
        return model
    return f"{((directory or Path()) / file).absolute()}{colon}{name}"


def _load(model: str) -> Any:
    """The class, or whatever makes the node. ValueError says why there is none."""
    if ":" not in model and model not in SHIPPED:
        raise ValueError(f"no model is called {model!r}: there are {', '.join(SHIPPED)}, or name one of yours as "
                         "`package.module:Class` or `./file.py:Class`")  # fmt: skip
    try:
        found = load_object(SHIPPED.get(model, model))
    except (LookupError, ValueError) as error:
        raise ValueError(str(error.args[0])) from error
    except FileNotFoundError:
        raise ValueError(f"the file {model.rpartition(':')[0]} does not exist") from None
    except Exception as error:  # a user's module may raise anything at import
        raise ValueError(
            f"the model {model!r} cannot be imported: {type(error).__name__}: {error}; "
            "is its package installed next to swarmrig, or its directory on PYTHONPATH?"
        ) from error
    if not callable(found):
        raise ValueError(f"the model {model!r} is a {type(found).__name__}, not callable")
    return found


def _settings_of(found: Any) -> Any:
    """The class of a model's settings; None for a maker of nodes that takes whatever there is."""
    return found.Settings if isinstance(found, type) and issubclass(found, Model) else None


def _examine(node: str, model: type[Model], settings: Mapping[str, Any], scenario: Scenario) -> None:
    try:
        made = make_settings(model.Settings, settings)
        _see_to_nodes(node, model.nodes_in(made), scenario)
        model.examine(made)
    except ValueError as error:
        raise NodeError(node, f"settings: {error}") from error


def _see_to_nodes(node: str, named: Mapping[str, str], scenario: Scenario) -> None:
    ids = [other.id for other in scenario.nodes]
    for setting, other in named.items():
        if other not in (*ids, *scenario.absent, AGGREGATOR):
            near = difflib.get_close_matches(other, ids, n=1)
            raise NodeError(node, f"settings.{setting}: no node is called {other!r}",
                            hint=f"did you mean {near[0]!r}?" if near else None)  # fmt: skip


def _json_able(settings: dict[str, Any]) -> dict[str, Any]:
    try:
        json.dumps(settings)
    except (TypeError, ValueError) as error:
        raise ValueError(f"settings are handed to another process as JSON: {error}") from error
    return settings


def _warnings(spec: NodeSpec) -> tuple[str, ...]:
    return (f"node {spec.id}: nvs values have no effect on a Python node",) if spec.nvs else ()
