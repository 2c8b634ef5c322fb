"""The network modes: what each can do, and how its network is planned and run. The one place that chooses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from swarmrig.api.nodes import ExitStatus, NodePlan
from swarmrig.model.network import NetworkPlan, PortKind
from swarmrig.model.scenario import NetworkMode, Scenario
from swarmrig.net.fabric import open_fabric
from swarmrig.net.topology import plan_network
from swarmrig.net.user_network import open_user_network
from swarmrig.net.usermode import plan_user_network, what_is_lost
from swarmrig.proc import Spawner


class Network(Protocol):
    """A running network, as a run uses it. Its captures are what FrameTail reads.

    Every method raises HostError when the network cannot go on. See `Fabric` for what each of them promises.
    """

    def take_port(self, device: str) -> int: ...

    async def renew_port(self, device: str) -> int: ...

    async def set_link(self, link: str, changes: Mapping[str, Any], *, direction: str | None = None) -> int: ...

    async def statistics(self) -> dict[str, Any]: ...

    async def flush(self) -> None: ...

    async def settle(self) -> bool: ...

    async def end_guests(self) -> None: ...

    async def wait_exited(self) -> ExitStatus: ...


class OpenNetwork(Protocol):
    def __call__(
        self, plan: NetworkPlan, *, directory: Path, spawner: Spawner, start_ns: int
    ) -> AbstractAsyncContextManager[Network]: ...


@dataclass(frozen=True, slots=True)
class Wires:
    """One network mode."""

    plan: Callable[[Scenario, Sequence[NodePlan]], NetworkPlan]
    open: OpenNetwork
    ports: frozenset[PortKind]
    """How nodes can be attached to it."""
    joins_nodes: bool = True
    """Can nodes reach each other? Else all of them send to the aggregator."""
    changes_links: bool = True
    warnings: Callable[[Scenario], tuple[str, ...]] = lambda _: ()
    """What the user must hear before the run."""


FABRIC = Wires(
    plan=plan_network,
    open=open_fabric,
    ports=frozenset({PortKind.PACKET, PortKind.STREAM, PortKind.TAP, PortKind.PYTHON}),
)
USER = Wires(
    plan=plan_user_network,
    open=open_user_network,
    ports=frozenset({PortKind.USER}),
    joins_nodes=False,
    changes_links=False,
    warnings=what_is_lost,
)
_MODES = {
    NetworkMode.FABRIC: FABRIC,
    NetworkMode.BRIDGE: FABRIC,  # the plan has one device more: the host
    NetworkMode.USER: USER,
}


def wires_of(scenario: Scenario) -> Wires:
    """What the scenario's network mode stands for."""
    return _MODES[scenario.network.mode]
