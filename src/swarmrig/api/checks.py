"""Checks: judge a run from observed facts (entry point group `swarmrig.checks`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from swarmrig.model.facts import Fact
from swarmrig.model.network import NetworkPlan
from swarmrig.model.scenario import Scenario
from swarmrig.model.verdict import Evidence, Judgement, Outcome


@dataclass(frozen=True, slots=True)
class CheckContext:
    """What a check may know beforehand."""

    scenario: Scenario
    network: NetworkPlan

    def console(self, node: str, line: int, note: str = "") -> Evidence:
        """Evidence: a line of a node's console log."""
        return Evidence(f"nodes/{node}/console.log", line=line, note=note)

    def capture(self, link: str, frame: int, note: str = "") -> Evidence:
        """Evidence: a packet of a link's capture."""
        return Evidence(f"net/{link}.pcapng", frame=frame, note=note)


class Check(Protocol):
    """Made once per run as `cls(context, **params)`; params are an instance of `params_model`, dumped.

    Facts arrive in time order per source (a console, a link), not across sources.
    """

    params_model: ClassVar[Any]
    """A pydantic model; `bare` (class attribute of the model, optional) names the field that a plain value
    fills: `frame_rate_above: 15`."""
    severity: ClassVar[Outcome]
    """What its failure counts as."""
    example: ClassVar[str]
    """Optional: an item of `checks:` as YAML, for nodes a (coordinator), b and c in a mesh."""

    def observe(self, fact: Fact) -> None: ...

    def judge(self, now_ns: int, *, final: bool) -> Judgement | None:
        """The judgement; None while undecided, never None when `final`. Nothing found is INCONCLUSIVE.

        A check of absence decides only when `final`.
        """
        ...


def describe(check: type[Any]) -> Mapping[str, Any]:
    """Name, one-line help and JSON Schema of the parameters, for `swarmrig schema` and the docs."""
    return {
        "help": (check.__doc__ or "").strip().split("\n")[0],
        "severity": check.severity.value,
        "params": check.params_model.model_json_schema(),
    }
