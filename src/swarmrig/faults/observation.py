"""Faults that are proved by single facts: what shows the effect, what contradicts it, what shows that it is over.

Facts become known a little after they happen, and not in step with `inject` and `heal`. So each fact of interest waits
until it is known whether it was before, during or after the fault; only its time decides.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar

from pydantic import BaseModel

from swarmrig.api import FaultContext, Proof, ProofStatus
from swarmrig.model.facts import ConsoleLine, Fact, FaultStage, Frame
from swarmrig.model.network import NetworkPlan
from swarmrig.model.scenario import FaultSpec, Scenario

KEPT = 4096
"""Facts that may wait for their part of the fault's life; of more, the latest are kept."""


def pointer(fact: Fact) -> str:
    """Where in the run directory a fact is told: `net/a--b.pcapng#7`, `nodes/a/console.log:3`."""
    if isinstance(fact, Frame):
        return f"net/{fact.link}.pcapng#{fact.number}"
    if isinstance(fact, ConsoleLine):
        return f"nodes/{fact.node}/console.log:{fact.line}"
    return "events.jsonl"


def evidence_data(fact: Fact) -> dict[str, Any]:
    """What a stage says of the fact that shows it, as FaultContext.emit takes it."""
    if isinstance(fact, Frame):
        return {"link": fact.link, "capture": f"net/{fact.link}.pcapng", "frame": fact.number, "t_ns": fact.t_ns}
    if isinstance(fact, ConsoleLine):
        path = f"nodes/{fact.node}/console.log"
        return {"node": fact.node, "console": path, "line": fact.line, "text": fact.text, "t_ns": fact.t_ns}
    return {"t_ns": fact.t_ns}


def node_or_place(name: str | int, scenario: Scenario) -> str:
    """The id of a node that is named by id or number; any other name (`lan`, `aggregator`) as it is."""
    node = scenario.find_node(name)
    return str(name) if node is None else node.id


class Candidates:
    """Facts of one kind, waiting until a stretch of time is known; `found` is the first one inside."""

    def __init__(self) -> None:
        self.found: Fact | None = None
        self._waiting: deque[Fact] = deque(maxlen=KEPT)

    def add(self, fact: Fact) -> None:
        if self.found is None:
            self._waiting.append(fact)

    def settle(self, is_inside: Callable[[int], bool | None]) -> bool:
        """Look for one inside; `is_inside` of a time is None while that is not known. True when it was found now."""
        while self._waiting and self.found is None:
            inside = is_inside(self._waiting[0].t_ns)
            if inside is None:
                break
            fact = self._waiting.popleft()
            if inside:
                self.found = fact
                self._waiting.clear()
                return True
        return False


class ObservedFault:
    """Base of faults that are proved by facts of their kind. A subclass injects and heals, tells so with `injected` and
    `healed`, and says what a fact shows; the words complete the sentence that begins with a pointer to that fact."""

    params_model: ClassVar[type[BaseModel]]
    needs: ClassVar[frozenset[str]] = frozenset()
    changes_links: ClassVar[bool] = False
    heals: ClassVar[bool] = True
    looks_back: ClassVar[bool] = False

    effect_words: ClassVar[str] = "shows it"
    end_words: ClassVar[str] = "shows that it is over"
    contrary_words: ClassVar[str] = "shows the contrary"
    no_effect: ClassVar[str] = "nothing showed its effect on {what}"
    no_end: ClassVar[str] = "nothing showed that {what} has recovered"

    def __init__(self, spec: FaultSpec, context: FaultContext) -> None:
        self.spec = spec
        self.context = context
        self.what = self.target(spec, context.scenario, context.network)
        self.injected_ns: int | None = None
        self.healed_ns: int | None = None
        self._concluded = False
        self._effect = Candidates()
        self._contrary = Candidates()
        self._end = Candidates()
        self._questions = (
            (self._effect, self.shows_effect),
            (self._contrary, self.shows_contrary),
            (self._end, self.shows_end),
        )

    @classmethod
    def target(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> str:
        """What the fault is done to, in a word: a link, a node. ValueError when that is not there."""
        raise NotImplementedError

    def shows_effect(self, fact: Fact) -> bool:
        """Does this fact prove the effect, if it happens after injection and before healing?"""
        raise NotImplementedError

    def shows_contrary(self, fact: Fact) -> bool:  # noqa: ARG002
        """Does this fact, at that time, prove that the fault has no effect?"""
        return False

    def shows_end(self, fact: Fact) -> bool:  # noqa: ARG002
        """Does this fact, after healing, prove that the effect is over?"""
        return False

    def injected(self, t_ns: int, **data: Any) -> None:
        """To be called by `inject`, with the time at which it took effect."""
        self.injected_ns = t_ns
        self.context.emit(FaultStage.INJECTED, {**data, "t_ns": t_ns})
        self._settle()

    def healed(self, t_ns: int, **data: Any) -> None:
        """To be called by `heal`, with the time at which it took effect."""
        self.healed_ns = t_ns
        self.context.emit(FaultStage.HEALED, {**data, "t_ns": t_ns})
        self._settle()

    def observe(self, fact: Fact) -> None:
        if fact.t_ns < (self.spec.at_ns or 0) or self._end.found is not None:
            return
        of_interest = False
        for candidates, shows in self._questions:
            if candidates.found is None and shows(fact):
                candidates.add(fact)
                of_interest = True
        if of_interest:
            self._settle()

    @property
    def settled(self) -> bool:
        """Its end was seen; or its effect was, of one that is over in an instant and that nothing can contradict. A
        kind that observes in a way of its own knows better."""
        if type(self).observe is not ObservedFault.observe:
            return False
        if self.heals or type(self).shows_contrary is not ObservedFault.shows_contrary:
            return self._end.found is not None
        return self._effect.found is not None

    def conclude(self) -> None:
        """What was not healed by now is in force to the end."""
        self._concluded = True
        self._settle()

    def proved(self) -> Proof:
        if self.injected_ns is None:
            return Proof(ProofStatus.FAILED, f"{self.what} was never touched")
        if self._contrary.found is not None:
            return Proof(ProofStatus.FAILED, f"{pointer(self._contrary.found)} {self.contrary_words}")
        if self._effect.found is None:
            return Proof(ProofStatus.INDETERMINATE, self.no_effect.format(what=self.what))
        seen = f"{pointer(self._effect.found)} {self.effect_words}"
        if not self.heals or (self.spec.for_ns is None and self.healed_ns is None):
            return Proof(ProofStatus.PROVED, seen)
        if self.healed_ns is None:
            return Proof(ProofStatus.INDETERMINATE, f"{seen}, but {self.what} was never healed")
        if self._end.found is None:
            return Proof(ProofStatus.INDETERMINATE, f"{seen}, but {self.no_end.format(what=self.what)}")
        return Proof(ProofStatus.PROVED, f"{seen}, {pointer(self._end.found)} {self.end_words}")

    def _settle(self) -> None:
        if self.injected_ns is None:
            return
        if self._effect.settle(self._is_during_or_unhealed):
            self._tell(FaultStage.OBSERVED, self._effect.found)
        self._contrary.settle(self._is_during)
        if self._end.settle(self._is_after):
            self._tell(FaultStage.HEAL_OBSERVED, self._end.found)

    def _is_during(self, t_ns: int) -> bool | None:
        """Not known after injection as long as the fault may have healed meanwhile."""
        if t_ns <= (self.injected_ns or 0):
            return False
        if self.healed_ns is not None:
            return t_ns < self.healed_ns
        return True if self._concluded or not self.heals else None

    def _is_during_or_unhealed(self, t_ns: int) -> bool | None:
        """As long as no healing is known of, what shows the effect happened before it."""
        during = self._is_during(t_ns)
        return True if during is None else during

    def _is_after(self, t_ns: int) -> bool | None:
        if self.healed_ns is None:
            return False if t_ns <= (self.injected_ns or 0) or self._concluded else None
        return t_ns >= self.healed_ns

    def _tell(self, stage: FaultStage, fact: Fact | None) -> None:
        if fact is not None:
            self.context.emit(stage, evidence_data(fact))
