"""The order for a container, as `POST /containers/create` of the Docker Engine API wants it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from swarmrig.api.nodes import LaunchContext
from swarmrig.nodes.container.gate import IN_CONTAINER, Gate
from swarmrig.nodes.container.options import FABRIC, ContainerOptions, Health
from swarmrig.nodes.container.setup import HOST, ports_of
from swarmrig.nodes.settings import addresses_of, place_variables
from swarmrig.proc.containers import LABEL, NODE_LABEL
from swarmrig.proc.scope import TAG

STOP_S = 1
"""From SIGTERM to SIGKILL."""


def container_name(context: LaunchContext) -> str:
    return f"swarmrig-{context.spawner.scope.run_id}-{context.device.name}"


def configuration(options: ContainerOptions, image: str, context: LaunchContext) -> dict[str, Any]:
    """Everything of it. The engine keeps no log of its own: the output is in the node's console log."""
    node = context.device.name
    found: dict[str, Any] = {
        "Image": image,
        "Hostname": node,
        "Env": [f"{name}={value}" for name, value in {**options.environment, **environment(context)}.items()],
        "Labels": {LABEL: context.spawner.scope.run_id, NODE_LABEL: node},
        "OpenStdin": True,
        "StopTimeout": STOP_S,
        "ExposedPorts": {f"{port.container}/{port.protocol}": {} for port in ports_of(options)},
        "HostConfig": _host_configuration(options, context),
    }
    given = {
        "Cmd": options.command,
        "Entrypoint": options.entrypoint,
        "User": options.user,
        "WorkingDir": options.working_dir,
        "Healthcheck": options.health and _health_check(options.health),
    }
    return found | {name: value for name, value in given.items() if value is not None}


def behind_gate(order: Mapping[str, Any], gate: Gate, words: Sequence[str]) -> dict[str, Any]:
    """The same order, for a container that runs the words once the gate has let it go."""
    host = dict(order["HostConfig"])
    host["Mounts"] = [*host["Mounts"], *gate.mounts()]
    return {**order, "Entrypoint": [IN_CONTAINER], "Cmd": list(words), "HostConfig": host}


def environment(context: LaunchContext) -> Mapping[str, str]:
    """What every container is told of its place in the run; also, as every process, whose it is."""
    return {TAG: context.spawner.scope.run_id, **place_variables(context)}


def _host_configuration(options: ContainerOptions, context: LaunchContext) -> dict[str, Any]:
    on_fabric = options.network == FABRIC
    found: dict[str, Any] = {
        "NetworkMode": "none" if on_fabric else options.network,
        "LogConfig": {"Type": "none"},
        "Mounts": [
            {"Type": "bind", "Source": str(volume.source), "Target": volume.target, "ReadOnly": volume.read_only}
            for volume in options.volumes
        ],
    }
    if on_fabric:
        found["ExtraHosts"] = [f"{name}:{ip}" for name, ip in addresses_of(context.network.plan).items()]
    else:
        found["PortBindings"] = {
            f"{port.container}/{port.protocol}": [{"HostIp": HOST, "HostPort": str(port.host)}]
            for port in ports_of(options)
        }
    if options.memory is not None:
        found |= {"Memory": options.memory, "MemorySwap": options.memory}  # the same: no swap on top of it
    if options.cpus is not None:
        found["NanoCpus"] = round(options.cpus * 1e9)
    return found


def _health_check(health: Health) -> dict[str, Any]:
    return {
        "Test": ["CMD", *health.command],
        "Interval": health.interval,
        "Timeout": health.timeout,
        "Retries": health.retries,
        "StartPeriod": health.start_period,
    }
