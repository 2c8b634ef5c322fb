"""What a container needs of this machine, seen before any of it is made."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

from swarmrig.errors import HostError, NodeError
from swarmrig.model.scenario import NodeSpec, Scenario
from swarmrig.net.isolation import is_privileged
from swarmrig.nodes.container.options import FABRIC, ContainerOptions, Volume, options_of

KIND = "container"
HOST = "127.0.0.1"
"""Where ports are published: nobody else is to reach what is under test."""


@dataclass(frozen=True, slots=True)
class Port:
    """A port of this machine that leads to one of the container."""

    host: int
    container: int
    protocol: str

    @classmethod
    def parse(cls, text: str) -> Port:
        numbers, _, protocol = text.partition("/")
        host, container = numbers.split(":")
        return cls(int(host), int(container), protocol or "tcp")

    def __str__(self) -> str:
        return f"{self.host}:{self.container}/{self.protocol}"


def ports_of(options: ContainerOptions) -> tuple[Port, ...]:
    return tuple(Port.parse(text) for text in options.ports)


def check_volumes(spec: NodeSpec, options: ContainerOptions) -> None:
    """NodeError for a source that does not exist, or that is outside of the scenario's folder without permission."""
    folder = _folder(spec)
    for volume in options.volumes:
        _check_volume(spec.id, volume, folder)


def _folder(spec: NodeSpec) -> Path:
    """Where the file is that the node stands in."""
    return Path(spec.source.file).absolute().parent if spec.source is not None else Path.cwd()


def _check_volume(node: str, volume: Volume, folder: Path) -> None:
    source = folder / volume.source
    if not source.exists():
        raise NodeError(node, f"volumes: {source} does not exist")
    if not volume.outside and not source.resolve().is_relative_to(folder.resolve()):
        raise NodeError(
            node,
            f"volumes: {source.resolve()} is outside of the scenario's folder {folder}",
            hint="`outside: true` beside `source` permits it",
        )


def check_ports(spec: NodeSpec, options: ContainerOptions, scenario: Scenario) -> None:
    """NodeError for a port that another container of the scenario has, or that something else listens on."""
    mine = ports_of(options)
    if options.network == FABRIC and any(port.protocol == "udp" for port in mine):
        message = "ports: UDP leads only to containers in a network of the engine"
        raise NodeError(spec.id, message, hint="use `network: bridge`, or a node on the fabric as the sender")
    for other in scenario.nodes:
        if other.kind == KIND and other.id != spec.id:
            theirs = {(port.host, port.protocol) for port in ports_of(options_of(other.options))}
            shared = sorted({(port.host, port.protocol) for port in mine} & theirs)
            if shared:
                raise NodeError(spec.id, f"ports: {shared[0][0]}/{shared[0][1]} is used by node {other.id}, too")
    for port in mine:
        _check_free(spec.id, port)


def _check_free(node: str, port: Port) -> None:
    kind = socket.SOCK_DGRAM if port.protocol == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port.host))
        except OSError as error:
            raise port_refused(node, port, error) from error


def port_refused(node: str, port: Port, error: OSError) -> NodeError:
    """What to raise when a port cannot be listened on."""
    message = f"ports: {HOST}:{port.host}/{port.protocol} cannot be listened on: {error.strerror}"
    return NodeError(node, message, hint="choose another one, or end who has it: `ss -lntup`")


def check_privilege(node: str) -> None:
    """HostError when this process may not enter the network of a container."""
    if not is_privileged():
        raise HostError(
            f"node {node}: to join a container to the fabric takes root (CAP_SYS_ADMIN and CAP_NET_ADMIN)",
            hint="run as root, or give it a network of the engine: `network: bridge`",
        )
