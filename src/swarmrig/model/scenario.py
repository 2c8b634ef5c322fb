"""The scenario after parsing: one frozen model for every dialect. Nothing downstream sees a dict of YAML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from swarmrig.model.facts import FaultStage
from swarmrig.model.network import Impairment
from swarmrig.model.units import format_duration


@dataclass(frozen=True, slots=True)
class SourceRef:
    """Where in a file something was said (1-based)."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Role(StrEnum):
    SENSOR = "sensor"
    COORDINATOR = "coordinator"
    GATEWAY = "gateway"


class Topology(StrEnum):
    STAR = "star"
    MESH = "mesh"
    LINE = "line"
    RING = "ring"
    CUSTOM = "custom"


class TimeMode(StrEnum):
    """Which clock rules a run."""

    AUTO = "auto"  # virtual when every node can, paced when some can, else real; settled by the plan of a run
    REAL = "real"
    VIRTUAL = "virtual"
    PACED = "paced"  # virtual for the nodes that can, held to this machine's clock, by which the others live

    @property
    def has_guests(self) -> bool:
        """Do nodes that can live in virtual time?"""
        return self in (TimeMode.VIRTUAL, TimeMode.PACED)


class NetworkMode(StrEnum):
    """Which wires: our own engine, or, announced, what the host offers."""

    FABRIC = "fabric"
    BRIDGE = "bridge"  # host bridge and TAPs, needs root
    USER = "user"  # QEMU's slirp with UDP port forwards, no node-to-node traffic


@dataclass(frozen=True, slots=True)
class FlashPart:
    """A file and the offset in flash where it goes."""

    offset: int
    file: Path


@dataclass(frozen=True, slots=True)
class FirmwareSpec:
    """What a node boots. `image` is an ELF/kernel (generic QEMU), `flash_base`/`parts` a flash image."""

    image: Path | None = None
    build: tuple[str, ...] | None = None
    """Command that makes `image`, run in `build_cwd` before launch unless the build is skipped."""
    build_cwd: Path | None = None
    flash_base: Path | None = None
    parts: tuple[FlashPart, ...] = ()
    variant: str | None = None
    """A planted bug of the reference firmware, see `refnode`."""


class FailurePolicy(StrEnum):
    """What becomes of a node that failed: it ended by itself, did not start, or cannot go on."""

    FAIL = "fail"  # the run fails
    RESTART = "restart"  # it is started again, after a while and so many times; then the run fails
    IGNORE = "ignore"  # the run goes on without it, and warns


@dataclass(frozen=True, slots=True)
class OnFailure:
    """A failure policy, and how a node is started again. Times are run time."""

    policy: FailurePolicy = FailurePolicy.FAIL
    after_ns: int = 1_000_000_000
    """How long after its first failure it is started again."""
    factor: float = 2.0
    """After each further failure, so many times as long as after the one before."""
    at_most_ns: int = 30_000_000_000
    """But never longer."""
    limit: int = 3
    """How often in a run; the next failure fails it."""

    def restart_after_ns(self, restarts: int) -> int | None:
        """How long after a failure, before which it was restarted so many times already, it is started again; None
        when it is not."""
        if self.policy is not FailurePolicy.RESTART or restarts >= self.limit:
            return None
        return int(min(self.after_ns * self.factor ** min(restarts, 64), self.at_most_ns))


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """One node. `id` names it in files, links and faults; `number` is the 0..255 id in its frames."""

    id: str
    number: int
    kind: str = "qemu"
    role: Role = Role.SENSOR
    machine: str = "refnode-rv32"
    is_gateway: bool = False
    scenario: int = 0
    channel: int = 6
    tdm_slot: int = 0
    edge_tier: int | None = None
    """None leaves the key out of NVS, so the firmware's own default holds."""
    filter_mac: str | None = None
    nvs: Mapping[str, Any] = field(default_factory=dict)
    """Further NVS values by key of the namespace `csi_cfg`."""
    nvs_config: str | None = None
    """Name of a configuration of the NVS matrix that it boots with, instead of all that the rig would tell it."""
    firmware: FirmwareSpec = FirmwareSpec()
    options: Mapping[str, Any] = field(default_factory=dict)
    """Settings that only the node's backend knows, already validated by it."""
    on_failure: OnFailure = OnFailure()
    source: SourceRef | None = None

    @property
    def gateway(self) -> bool:
        return self.is_gateway or self.role is Role.GATEWAY


@dataclass(frozen=True, slots=True)
class LinkSpec:
    """One link of the file: the two nodes it joins and the impairment of both directions."""

    between: tuple[str, str]
    impairment: Impairment
    source: SourceRef | None = None


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    topology: Topology = Topology.MESH
    hub: str | None = None
    impairment: Impairment = Impairment()
    links: tuple[LinkSpec, ...] = ()
    mode: NetworkMode = NetworkMode.FABRIC
    capture: bool | None = None
    """Are links captured? None: unless there are very many."""
    quantum_ns: int = 0
    """Messages are handed to Python nodes at multiples of this; 0: when they arrive."""


@dataclass(frozen=True, slots=True)
class ConsoleSeen:
    """Met by the `count`-th line of a node's console in which the regular expression is found."""

    node: str
    pattern: str
    count: int = 1
    after_ns: int = 0
    """How long after that line; less than REACTION_NS counts as that."""

    def __str__(self) -> str:
        return _nth(f"{self.node} says /{self.pattern}/", self.count, self.after_ns)


@dataclass(frozen=True, slots=True)
class FramesSeen:
    """Met by the `count`-th frame that enters the link, at either end, and matches the filter (see wire.filter),
    whatever becomes of it."""

    link: str
    filter: str
    count: int = 1
    after_ns: int = 0
    """How long after that frame; less than REACTION_NS counts as that."""

    def __str__(self) -> str:
        return _nth(f"{self.filter} on {self.link}", self.count, self.after_ns)


@dataclass(frozen=True, slots=True)
class FaultReached:
    """Met when another fault is `injected` or `healed`: what the rig does itself, not what is seen of it."""

    fault: str
    stage: FaultStage
    after_ns: int = 0

    def __str__(self) -> str:
        return _nth(f"{self.fault} is {self.stage}", 1, self.after_ns)


def _nth(what: str, count: int, after_ns: int) -> str:
    times = f" ({count} times)" if count > 1 else ""
    return f"{format_duration(after_ns)} after {what}{times}" if after_ns else f"when {what}{times}"


Seen = ConsoleSeen | FramesSeen
Condition = Seen | FaultReached
REACTION_NS = 10_000_000
"""What waits for something to be seen acts so much later: in virtual time exactly, in real time at the earliest."""


@dataclass(frozen=True, slots=True)
class FaultSpec:
    """One occurrence of a fault: `kind` and its parameters, when it starts, how long it lasts.

    It starts at `at_ns`, or (then that is None) once `when` is met.
    """

    id: str
    kind: str
    at_ns: int | None
    for_ns: int | None
    """None: for good, until a fault of kind `heal` ends it, or because it is over in an instant."""
    params: Mapping[str, Any]
    source: SourceRef | None = None
    when: Condition | None = None
    required: bool = True
    """The run fails when the fault is not proved; else that is a warning."""


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """A check by the name of its entry point; `label` is how the file wrote it (fall_detected_by_node_2)."""

    name: str
    label: str
    params: Mapping[str, Any]
    source: SourceRef | None = None


@dataclass(frozen=True)
class Scenario:
    name: str
    """Already safe in paths: [A-Za-z0-9._-], at most 64 characters, no leading dot."""
    duration_ns: int
    seed: int
    time: TimeMode
    network: NetworkSpec
    nodes: tuple[NodeSpec, ...]
    faults: tuple[FaultSpec, ...] = ()
    checks: tuple[CheckSpec, ...] = ()
    aggregator_port: int = 5005
    dialect: str = "native"
    source: str = "<memory>"
    warnings: tuple[str, ...] = ()
    """What the reader of the file should hear: unknown keys of a foreign dialect, values without effect."""
    absent: tuple[str, ...] = ()
    """Nodes that the file names and that are wrong: of scenarios in errors only (errors.ScenarioError.rest)."""

    def node(self, node_id: str) -> NodeSpec:
        """KeyError when there is none."""
        return self._by_id[node_id]

    def find_node(self, name: str | int) -> NodeSpec | None:
        """The node of this id or, for a number, of this number; None when there is none."""
        return self._by_number.get(name) if isinstance(name, int) else self._by_id.get(name)

    @cached_property
    def _by_id(self) -> Mapping[str, NodeSpec]:
        return {node.id: node for node in self.nodes}

    @cached_property
    def _by_number(self) -> Mapping[int, NodeSpec]:
        return {node.number: node for node in reversed(self.nodes)}

    @cached_property
    def coordinator(self) -> NodeSpec | None:
        """The first coordinator, else the first gateway: where sensors send their frames."""
        by_role = [node for node in self.nodes if node.role is Role.COORDINATOR]
        return next(iter(by_role + [node for node in self.nodes if node.gateway]), None)

    @property
    def sensors(self) -> tuple[NodeSpec, ...]:
        return tuple(node for node in self.nodes if node.role is Role.SENSOR)
