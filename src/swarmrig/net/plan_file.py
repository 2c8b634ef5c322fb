"""A network plan as JSON, for the process that runs it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from swarmrig.model.network import (
    DevicePlan,
    GilbertElliott,
    Impairment,
    Lease,
    LinkPlan,
    NetworkPlan,
    PortKind,
    Route,
    RouterInterface,
    RouterPlan,
    SwitchPlan,
)


def dump_plan(plan: NetworkPlan) -> str:
    """JSON text; `config` of devices must be JSON-able (TypeError otherwise)."""
    return json.dumps(_plain(plan), indent=1, sort_keys=True)


def load_plan(text: str) -> NetworkPlan:
    """The inverse of `dump_plan`."""
    data = json.loads(text)
    return NetworkPlan(
        seed=data["seed"],
        devices=tuple(DevicePlan(**{**device, "port": PortKind(device["port"])}) for device in data["devices"]),
        links=tuple(_link(link) for link in data["links"]),
        switches=tuple(SwitchPlan(**switch) for switch in data["switches"]),
        routers=tuple(_router(router) for router in data["routers"]),
    )


def _plain(value: Any) -> Any:
    """Dataclasses to dicts; unlike dataclasses.asdict it accepts any mapping and copies nothing else."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


def _link(data: dict[str, Any]) -> LinkPlan:
    impairments = {side: _impairment(data[side]) for side in ("forward", "backward")}
    return LinkPlan(**{**data, **impairments})


def _impairment(data: dict[str, Any]) -> Impairment:
    burst = data["burst"]
    return Impairment(**{**data, "burst": None if burst is None else GilbertElliott(**burst)})


def _router(data: dict[str, Any]) -> RouterPlan:
    return RouterPlan(
        name=data["name"],
        interfaces=tuple(
            RouterInterface(**{**interface, "leases": tuple(Lease(**lease) for lease in interface["leases"])})
            for interface in data["interfaces"]
        ),
        routes=tuple(Route(**route) for route in data["routes"]),
    )
