"""Faults that are proved by silence: a node that was heard, is not heard while they last, and is heard again.

Silence alone is no evidence: a node may have nothing to say. So it must have been heard often enough in as long a time
before.
"""

from __future__ import annotations

from collections import deque
from typing import ClassVar

from swarmrig.api import FaultContext, Proof, ProofStatus
from swarmrig.faults.nodes import NodeFault, heard
from swarmrig.faults.observation import evidence_data
from swarmrig.model.facts import Fact, FaultChange, FaultStage
from swarmrig.model.scenario import FaultSpec
from swarmrig.model.units import format_duration

REMEMBERED = 4096
"""Facts before the fault by which we know how often a node is heard."""
HEARD = 5
"""Silence is remarkable when the node was heard so often in a stretch of the same length before."""
GRACE_NS = 200_000_000
"""In real time, what a node did before may become known so much later."""


class SilentFault(NodeFault):
    """Base of faults during which a node is not heard: neither on its console nor on its links."""

    looks_back: ClassVar[bool] = True
    claim = "decide whether {node} runs"
    end_words = "was heard again"
    no_end = "{what} was not heard again"
    contrary_words = "was heard all the same"

    def __init__(self, spec: FaultSpec, context: FaultContext) -> None:
        super().__init__(spec, context)
        self._before: deque[Fact] = deque(maxlen=REMEMBERED)
        self.grace_ns = 0 if self.exact else GRACE_NS
        self._heard_ns: int | None = None
        """When it was first heard since the fault began."""
        self._reason = ""

    def hears(self, fact: Fact) -> bool:
        """Is this what must not be heard?"""
        return heard(fact, self.what)

    def observe(self, fact: Fact) -> None:
        if isinstance(fact, FaultChange):  # known at once, other facts of that time are not yet
            return
        if self.hears(fact) and (self.injected_ns is None or fact.t_ns <= self.injected_ns):
            self._before.append(fact)
        else:
            if self.hears(fact) and self._heard_ns is None and fact.t_ns > (self.injected_ns or 0) + self.grace_ns:
                self._heard_ns = fact.t_ns
            self._notice(fact.t_ns)
        super().observe(fact)

    def conclude(self) -> None:
        super().conclude()
        self._notice(self.now())

    def shows_effect(self, fact: Fact) -> bool:  # noqa: ARG002
        """No single fact shows silence."""
        return False

    def shows_contrary(self, fact: Fact) -> bool:
        return self.hears(fact)

    def shows_end(self, fact: Fact) -> bool:
        return self.hears(fact)

    def proved(self) -> Proof:
        proof = super().proved()
        if self._reason and proof.status is ProofStatus.INDETERMINATE and self._effect.found is None:
            return Proof(ProofStatus.INDETERMINATE, self._reason)
        return proof

    def _is_during(self, t_ns: int) -> bool | None:
        return False if t_ns <= (self.injected_ns or 0) + self.grace_ns else super()._is_during(t_ns)

    def _notice(self, now_ns: int) -> None:
        """Has the node been silent for as long as it took it before to be heard so often?"""
        if self.injected_ns is None or self._effect.found is not None:
            return
        if self._heard_ns is not None and (self.healed_ns is None or self._heard_ns < self.healed_ns):
            return
        start = self.injected_ns + self.grace_ns
        end = now_ns if self.healed_ns is None else min(now_ns, self.healed_ns)
        before = sorted((fact for fact in self._before if fact.t_ns <= self.injected_ns), key=lambda fact: fact.t_ns)
        recent = [fact for fact in before if fact.t_ns > self.injected_ns - (end - start)]
        if len(recent) >= HEARD:
            self._effect.found = recent[-1]
            self.context.emit(FaultStage.OBSERVED, {**evidence_data(recent[-1]), "t_ns": now_ns})
        elif self._is_over(now_ns):
            self._reason = (
                f"{self.what} was silent for {format_duration(max(0, end - self.injected_ns))}, which means nothing: "
                f"in as long a time before, it was heard {len(recent)} times"
            )

    def _is_over(self, now_ns: int) -> bool:
        return self._concluded or (self.healed_ns is not None and now_ns >= self.healed_ns)


class Pause(SilentFault):
    """A node stands still for a while: its processor and its clock.

    What is sent to it meanwhile waits at its devices as long as they have room. In virtual time the network's time goes
    on and the node's does not, so it comes back with a clock that is late.
    """

    verb = "pause"
    needs: ClassVar[frozenset[str]] = frozenset({"CanPause"})
    evidence: ClassVar[str] = (
        "In as long a time before, the node was heard five times or more, by its console or its frames; not while it "
        "was paused; and again when it went on."
    )
    example: ClassVar[str] = "{at: 10s, pause: {node: a, for: 2s}}"
    effect_words = "was the last of it before the pause"

    async def inject(self) -> None:
        await self.node.pause()
        self.injected(self.now(), node=self.what)

    async def heal(self) -> None:
        at_ns = self.now()
        await self.node.resume()
        self.healed(at_ns, node=self.what)
