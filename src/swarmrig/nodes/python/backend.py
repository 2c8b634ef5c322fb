"""The backend of kind `python`: a node that is a Python model, hosted by the network's own process."""

from __future__ import annotations

import importlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import anyio
from pydantic import BaseModel, ConfigDict, Field, field_validator

from swarmrig.api.nodes import ExitStatus, LaunchContext, Node, NodePlan
from swarmrig.errors import NodeError
from swarmrig.model.network import PortKind
from swarmrig.model.scenario import NodeSpec, Scenario


class PythonOptions(BaseModel):
    """Settings of a Python node."""

    model_config = ConfigDict(extra="forbid")

    model: str = Field(
        description="`package.module:callable`, called as callable(name, config); returns a steppable node",
        pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$",
    )
    settings: dict[str, Any] = Field(default_factory=dict, description="the model's own: `settings` of a `Host`")

    @field_validator("settings")
    @classmethod
    def _json_able(cls, settings: dict[str, Any]) -> dict[str, Any]:
        try:
            json.dumps(settings)
        except (TypeError, ValueError) as error:
            raise ValueError(f"settings are handed to another process as JSON: {error}") from error
        return settings


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
    options_model: ClassVar[Any] = PythonOptions

    async def plan(self, spec: NodeSpec, scenario: Scenario) -> NodePlan:  # noqa: ARG002 - the contract
        """Import the model here, where a mistake is an error of the plan and not of a running network."""
        options = PythonOptions.model_validate(dict(spec.options))
        _check_model(spec.id, options.model)
        return NodePlan(
            spec=spec,
            command=(),
            port=PortKind.PYTHON,
            factory=options.model,
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


def _check_model(node: str, model: str) -> None:
    module, _, name = model.partition(":")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except Exception as error:  # a user's module may raise anything at import
        raise NodeError(
            node, f"the model {model!r} cannot be imported: {type(error).__name__}: {error}",
            hint="is its package installed next to swarmrig, or its directory on PYTHONPATH?",
        ) from error  # fmt: skip
    if found is None:
        raise NodeError(node, f"the module {module!r} has no {name!r}")
    if not callable(found):
        raise NodeError(node, f"the model {model!r} is a {type(found).__name__}, not callable")


def _warnings(spec: NodeSpec) -> tuple[str, ...]:
    return (f"node {spec.id}: nvs values have no effect on a Python node",) if spec.nvs else ()
