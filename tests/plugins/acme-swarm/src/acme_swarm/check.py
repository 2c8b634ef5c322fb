"""Nodes must show that they are alive."""

from collections import Counter
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from swarmrig.api import CheckContext
from swarmrig.model.facts import ConsoleLine, Fact
from swarmrig.model.verdict import Evidence, Judgement, Outcome


class BeatsParams(BaseModel):
    """How many."""

    model_config = ConfigDict(extra="forbid")
    bare: ClassVar[str] = "least"

    least: int = Field(ge=1, description="Beats that every node must have reported.")


class Beats:
    """Every node has reported at least so many beats."""

    params_model: ClassVar[type[BaseModel]] = BeatsParams
    severity: ClassVar[Outcome] = Outcome.FAIL

    def __init__(self, context: CheckContext, *, least: int) -> None:
        self._context = context
        self._least = least
        self._beats: Counter[str] = Counter()
        self._evidence: dict[str, Evidence] = {}

    def observe(self, fact: Fact) -> None:
        if isinstance(fact, ConsoleLine) and fact.text.startswith("beat "):
            self._beats[fact.node] += 1
            self._evidence[fact.node] = self._context.console(fact.node, fact.line)

    def judge(self, now_ns: int, *, final: bool) -> Judgement | None:
        short = [node.id for node in self._context.scenario.nodes if self._beats[node.id] < self._least]
        evidence = tuple(self._evidence.values())
        if not short:
            return Judgement(Outcome.PASS, f"every node reported {self._least} beats", evidence, self.severity)
        if not final:
            return None
        if not self._beats:
            return Judgement(Outcome.INCONCLUSIVE, "no node reported a beat", severity=self.severity)
        return Judgement(Outcome.FAIL, f"too few beats from {', '.join(short)}", evidence, self.severity)
