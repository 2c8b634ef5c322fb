"""A node that must end by itself, and how."""

from __future__ import annotations

import signal as signals
from typing import Any, ClassVar

from pydantic import Field, field_validator, model_validator

from swarmrig.api import CheckContext
from swarmrig.checks.health import describe_exit
from swarmrig.checks.params import Params
from swarmrig.checks.sightings import find_node
from swarmrig.checks.tally import Tally
from swarmrig.model.facts import Fact, NodeChange, NodeState
from swarmrig.model.verdict import Evidence, Judgement, Outcome


class ExitParams(Params):
    """The node, and the exit code or the signal that is expected; exit code 0 without either."""

    bare: ClassVar[str | None] = "node"
    node: str | int
    """Id or number of the node."""
    code: int | None = Field(default=None, ge=0, le=255)
    """The exit code; 0 when no signal is given either."""
    signal: int | None = Field(default=None, ge=1, le=64)
    """A number, or a name such as SIGTERM."""

    @field_validator("signal", mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        name = value.upper() if value.upper().startswith("SIG") else f"SIG{value.upper()}"
        if name not in signals.Signals.__members__:
            raise ValueError(f"unknown signal {value!r}")
        return signals.Signals[name].value

    @model_validator(mode="before")
    @classmethod
    def _code_or_signal(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        if values.get("code") is not None and values.get("signal") is not None:
            raise ValueError("give either code or signal")
        if values.get("code") is None and values.get("signal") is None:
            return {**values, "code": 0}
        return values


class Exit:
    """The node ends by itself, with the expected exit code or by the expected signal."""

    params_model: ClassVar[type[Params]] = ExitParams
    severity: ClassVar[Outcome] = Outcome.FAIL
    example: ClassVar[str] = "exit: {node: b, code: 0}"

    def __init__(
        self, context: CheckContext, *, node: str | int, code: int | None = None, signal: int | None = None
    ) -> None:
        found = find_node(context, node)
        self._name = str(node) if found is None else found.id
        self._known = found is not None
        self._code = 0 if code is None and signal is None else code
        self._signal = signal
        self._exited: NodeChange | None = None
        self._last: NodeChange | None = None

    def observe(self, fact: Fact) -> None:
        if isinstance(fact, NodeChange) and fact.node == self._name:
            self._last = fact
            if fact.state is NodeState.EXITED and self._exited is None:
                self._exited = fact

    def judge(self, now_ns: int, *, final: bool) -> Judgement | None:  # noqa: ARG002 - the contract
        if not final and self._exited is None:
            return None
        tally = Tally(self.severity)
        change = self._exited
        if not self._known:
            tally.gap(f"the scenario has no node {self._name}")
        elif change is None and self._last is None:
            tally.gap(f"neither a start nor an end of {self._name} was seen")
        elif change is None:
            tally.fail(f"{self._name} was still running, expected {self._wanted}", self._event("not exited"))
        elif (change.data.get("code"), change.data.get("signal")) == (self._code, self._signal):
            tally.support(self._event(describe_exit(change)))
        else:
            seen = change.data.get("status") or describe_exit(change)
            words = Evidence(f"nodes/{self._name}/stderr.log", note="its last words")
            tally.fail(f"{self._name} ended with {seen}, expected {self._wanted}", self._event(str(seen)), words)
        return tally.judgement(f"{self._name} ended with {self._wanted}")

    @property
    def _wanted(self) -> str:
        return f"signal {self._signal}" if self._signal is not None else f"exit {self._code}"

    def _event(self, note: str) -> Evidence:
        return Evidence("events.jsonl", note=f"{self._name}: {note}")
