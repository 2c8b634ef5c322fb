"""Who is who in a network: node ids to addresses and back. One directory serves all Python nodes of a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from swarmrig.model.network import NetworkPlan, PortKind


@dataclass(frozen=True, slots=True)
class Directory:
    """The devices of a plan. Standard library only: the network process makes it."""

    ip_of: Mapping[str, str] = field(default_factory=dict)
    """Address by device: node ids, and `aggregator`."""
    name_of: Mapping[str, str] = field(default_factory=dict)
    """Device by address."""
    mac_of: Mapping[str, str] = field(default_factory=dict)
    """MAC by address, of those whose MAC is the plan's for certain: Python nodes and routers. Nobody need ask for it.
    """
    mac_of_node: Mapping[str, str] = field(default_factory=dict)
    """MAC by device, as the plan has it."""

    @classmethod
    def of_plan(cls, plan: NetworkPlan) -> Directory:
        macs = {device.ip: device.mac for device in plan.devices if device.port is PortKind.PYTHON}
        macs |= {foot.ip: foot.mac for router in plan.routers for foot in router.interfaces}
        return cls(
            ip_of={device.name: device.ip for device in plan.devices if device.ip},
            name_of={device.ip: device.name for device in plan.devices if device.ip},
            mac_of={ip: mac.lower() for ip, mac in macs.items()},
            mac_of_node={device.name: device.mac.lower() for device in plan.devices},
        )


NOBODY = Directory()
