"""Faults: make something go wrong, observe that it did, heal it, observe that too (group `swarmrig.faults`)."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from swarmrig.api.nodes import NodePlan
from swarmrig.errors import SwarmrigError
from swarmrig.model.facts import Fact, FaultStage, ProofStatus
from swarmrig.model.network import NetworkPlan
from swarmrig.model.scenario import FaultSpec, Scenario


@dataclass(frozen=True, slots=True)
class Proof:
    """Whether a fault and its healing were both observed, and how (or what was missing)."""

    status: ProofStatus
    message: str


class FaultSkippedError(SwarmrigError):
    """Raised by `inject` when the fault is not applicable in this run; the message says why."""


class LinkControl(Protocol):
    """Changes links while the network runs. What changes something returns the run time (ns) at which it took effect;
    ValueError names what does not exist."""

    async def set_link(
        self,
        link: str,
        changes: Mapping[str, Any],
        *,
        direction: str | None = None,
        layer: str | None = None,
        frames: int | None = None,
    ) -> int:
        """Change fields of model.network.Impairment, in both directions or `forward`/`backward`.

        With `layer` (the fault's id, say) the changes lie over what else is in force, until no changes, `{}`, take
        that layer away: so what else goes wrong with the link stays as it is. With `frames` as well, they are in
        force for so many frames only, counted in each direction.
        """
        ...

    async def set_filter(
        self, link: str, filter_text: str | None, *, direction: str | None = None, layer: str = ""
    ) -> int:
        """Drop frames that match (see wire.filter), with the fate `drop: blackhole`; None ends what `layer` drops."""
        ...

    async def inject_frames(self, link: str, sender_end: str, frames: Sequence[tuple[int, bytes]]) -> int:
        """Have frames enter a link at the end called `sender_end`, each at its run time (ns): exact in virtual time.
        In the capture they have the comment `injected`. Returns when the first of them enters."""
        ...

    async def recorded_frames(self, link: str, sender_end: str, since_ns: int) -> list[tuple[int, bytes]]:
        """What has entered a link at that end since then, with its times."""
        ...


class FaultControl(Protocol):
    """The other faults of a run."""

    async def heal(self, fault: str) -> None:
        """Heal a fault that was injected for good. SwarmrigError when it is not in force."""
        ...

    def reached(self, fault: str, stage: FaultStage) -> bool:
        """Has the fault reached this stage?"""
        ...


@dataclass(frozen=True, slots=True)
class FaultContext:
    """What a fault works with. Times are run time in ns."""

    scenario: Scenario
    network: NetworkPlan
    links: LinkControl
    nodes: Mapping[str, Any]
    """Node id -> running Node; test for capabilities with isinstance."""
    now_ns: Callable[[], int]
    emit: Callable[[FaultStage, Mapping[str, Any]], None]
    """Record a stage of this fault in the event log. `t_ns` in the data is its time (default: now); `capture` and
    `frame`, or `console` and `line`, point to the evidence (files of the run directory)."""
    random: random.Random
    """Seeded from the scenario's seed and the fault's id: the only source of chance."""
    wait_until: Callable[[int], Awaitable[None]]
    """Return when it is that time; only inside `inject`, `hold` and `heal`. In virtual time, time stands otherwise."""
    faults: FaultControl
    plans: Mapping[str, NodePlan] = field(default_factory=dict)
    """Node id -> what was planned for it: its capabilities, where its memory is."""


class Fault(Protocol):
    """Made as `cls(spec, context)`. The first line of the docstring is its summary, the rest explains it.

    A fault is proved by facts that come from outside the injector: `observe` is fed like a check and calls
    `context.emit(OBSERVED …)` once its effect was seen, `HEAL_OBSERVED` once its end was. `inject` emits INJECTED,
    `heal` emits HEALED. Facts come later than the calls they tell of, in order of time
    (only what other faults do is told at once): decide by their times.

    Whatever `inject`, `hold` or `heal` raises as SwarmrigError is told as the stage FAILED.

    Optional: `async hold(until_ns: int | None)`, called between `inject` and `heal`, for what acts again and again
    until it is healed; it returns at `until_ns`, and with None is cancelled when the fault is healed. Static
    `claims(spec, scenario, network) -> frozenset[str]` names what the fault has for itself while it lasts (a link's
    state, a node's power): faults with a claim in common must not overlap. Static
    `examine(spec, scenario, plans: Mapping[str, NodePlan]) -> None` checks what it names of the planned nodes (an
    address, a symbol), which have the capabilities that it needs, and raises ValueError. Class attribute
    `ends_nodes = True`: it ends nodes that it names by SIGKILL, which then is no failure of the run;
    `changes_flash = True`: what their flash holds in the end is its business; `looks_back = False`: facts from before
    its time `at` are not for it. Attribute `settled`: True once no further fact can change what `proved` says, which
    spares a long run with many faults the telling. `conclude()` is called once, when all
    facts have been observed and before `proved` is asked for the last time.
    """

    params_model: ClassVar[Any]
    """A pydantic model; `bare` (class attribute, optional) names the field that a plain value fills. Fields called
    `node` and `nodes` name the nodes that are touched, by id or number."""
    needs: ClassVar[frozenset[str]]
    """Capability names (api.nodes) that the nodes it names must have; a plan where one lacks them is refused."""
    changes_links: ClassVar[bool]
    """Default False. A network whose links cannot be changed then refuses the plan."""
    heals: ClassVar[bool]
    """Default True. False: it is over in an instant, so it is neither given `for` nor healed."""
    evidence: ClassVar[str]
    """The evidence rule in a sentence or two: what must be seen after injection, and what after healing."""
    example: ClassVar[str]
    """An item of `faults:` as YAML in flow style, for nodes a, b and c in a mesh. Documents show it, tests load it."""

    @staticmethod
    def resolve(spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> str:
        """Check that what the fault names exists and say in one line what it will do; raises ValueError."""
        ...

    async def inject(self) -> None: ...

    async def heal(self) -> None: ...

    def observe(self, fact: Fact) -> None: ...

    def proved(self) -> Proof:
        """At the end of the run, and in between: what is proved so far."""
        ...


__all__ = [
    "Fault",
    "FaultContext",
    "FaultControl",
    "FaultSkippedError",
    "FaultSpec",
    "LinkControl",
    "Proof",
    "ProofStatus",
]
