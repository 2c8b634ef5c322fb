"""Nodes that are containers."""

from __future__ import annotations

import shlex
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import anyio

from swarmrig.api.nodes import LaunchContext, NodePlan
from swarmrig.errors import Findings, HostError, NodeError
from swarmrig.model.network import PortKind
from swarmrig.model.scenario import NodeSpec, Scenario
from swarmrig.nodes.container.configuration import behind_gate, configuration, container_name
from swarmrig.nodes.container.engine import ANSWER_S, asking, open_engine, socket_of
from swarmrig.nodes.container.forward import forwarding
from swarmrig.nodes.container.gate import has_gate, open_gate, program_of
from swarmrig.nodes.container.image import build_image, check_context, find_image
from swarmrig.nodes.container.life import Place
from swarmrig.nodes.container.node import ContainerNode
from swarmrig.nodes.container.options import FABRIC, ContainerOptions, options_of
from swarmrig.nodes.container.setup import KIND, check_ports, check_privilege, check_volumes, ports_of

if TYPE_CHECKING:
    from aiodocker import Docker
    from aiodocker.containers import DockerContainer

CAPABILITIES = frozenset({"HasConsole", "CanStallConsole", "CanPause", "CanReset", "CanKill", "CanPowerCycle"})
REMOVAL_S = 20.0


class ContainerBackend:
    """Containers of a Docker engine behind a unix socket; podman's serves as well."""

    kind: ClassVar[str] = KIND
    any_number: ClassVar[bool] = True
    options_model: ClassVar[type[ContainerOptions]] = ContainerOptions

    def __init__(self) -> None:
        self._built: dict[str, str] = {}
        self._provenance: dict[str, Mapping[str, str]] = {}

    async def prevents_virtual_time(self, spec: NodeSpec) -> str | None:  # noqa: ARG002 - the contract
        return "a container lives by this machine's clock"

    async def plan(self, spec: NodeSpec, scenario: Scenario) -> NodePlan:
        """Ask the engine for the image and the network; look at volumes, ports and the privilege to join the fabric."""
        options, findings = options_of(spec.options), Findings()
        engine, version = Path(), ""
        with findings.kept():
            check_volumes(spec, options)
        with findings.kept():
            check_ports(spec, options, scenario)
        if options.network == FABRIC:
            with findings.kept():
                check_privilege(spec.id)
        with findings.kept():
            engine = socket_of(spec.id, options.engine)
            async with open_engine(engine) as client:
                version = await _version(client, spec.id, engine)
                await _check_engine(client, engine, spec.id, options)
        findings.raise_any()
        return NodePlan(
            spec=spec,
            command=_equivalent(options),
            port=PortKind.TAP,
            memory_bytes=options.memory or 0,
            capabilities=CAPABILITIES,
            warnings=tuple(_warnings(spec, options)),
            details={"engine": f"{engine}, {version}", "network": options.network, "ports": list(options.ports)},
        )

    async def prepare(self, plan: NodePlan, directory: Path) -> None:
        """Build its image, if it is to be built."""
        options = options_of(plan.spec.options)
        if options.build is not None:
            engine = socket_of(plan.spec.id, options.engine)
            async with open_engine(engine) as client:
                self._built[plan.spec.id] = await build_image(client, engine, plan.spec.id, options.build, directory)

    @asynccontextmanager
    async def open(self, plan: NodePlan, context: LaunchContext) -> AsyncIterator[ContainerNode]:
        """Make the container and start it; it is joined to the fabric at once, and gone when the context ends."""
        options = options_of(plan.spec.options)
        if options.build is not None and plan.spec.id not in self._built:
            await self.prepare(plan, context.directory)
        engine = socket_of(plan.spec.id, options.engine)
        image = options.image or self._built[plan.spec.id]
        (context.directory / "argv").write_text(shlex.join(plan.command) + "\n", encoding="utf-8")
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(open_engine(engine))
            order, gate = configuration(options, image, context), None
            if options.network == FABRIC and has_gate():
                gate = stack.enter_context(open_gate(context.spawner.scope.temporary_directory / f"go-{plan.spec.id}"))
                found = await find_image(client, engine, plan.spec.id, image)
                words = program_of(plan.spec.id, options.entrypoint, options.command, found)
                order = behind_gate(order, gate, words)
            container = await stack.enter_async_context(_container(client, engine, order, context))
            await self._note_provenance(client, engine, plan.spec.id, container)
            node = ContainerNode(plan, Place(client, container, engine, context, options, gate))
            if options.network == FABRIC:
                for port in ports_of(options):
                    address = context.device.ip
                    await stack.enter_async_context(forwarding(node.spec.id, port, address, lambda: node.namespace))
            await stack.enter_async_context(node.powered())
            yield node

    def provenance(self, plan: NodePlan, context: LaunchContext) -> Mapping[str, str]:  # noqa: ARG002 - the contract
        """The engine's version and the image's digest."""
        return self._provenance.get(plan.spec.id, {})

    def read_back(self, plan: NodePlan, context: LaunchContext) -> Sequence[str]:  # noqa: ARG002 - the contract
        """Nothing is provisioned."""
        return ()

    async def _note_provenance(self, client: Docker, engine: Path, node: str, container: DockerContainer) -> None:
        with asking(node, engine, "its image is not known"):
            image = str((await container.show())["Image"])
        self._provenance[node] = {"engine": await _version(client, node, engine), "image": image}


async def _version(client: Docker, node: str, engine: Path) -> str:
    with asking(node, engine, "its version is not known"):
        told = await client.version()
    names = [str(part["Name"]) for part in told.get("Components") or [] if "Name" in part]
    return f"{names[0] if names else 'Engine'} {told['Version']}"


async def _check_engine(client: Docker, engine: Path, node: str, options: ContainerOptions) -> None:
    findings = Findings()
    with findings.kept():
        if options.image is not None:
            await find_image(client, engine, node, options.image)
        elif options.build is not None:
            check_context(node, options.build)
    with findings.kept():
        await _check_network(client, engine, node, options)
    findings.raise_any()


async def _check_network(client: Docker, engine: Path, node: str, options: ContainerOptions) -> None:
    if options.network != FABRIC:
        with asking(node, engine, f"the network {options.network} cannot be used"):
            found = {str(network["Name"]) for network in await client.networks.list()}
        if options.network not in found:
            message = f"network: the engine has no network {options.network}; it has {', '.join(sorted(found))}"
            raise NodeError(node, message, hint=f"docker network create {options.network}")


def _equivalent(options: ContainerOptions) -> tuple[str, ...]:
    """Roughly what a person would type."""
    image = options.image or f"<{options.build and options.build.context}>"
    network = "none" if options.network == FABRIC else options.network
    return ("docker", "run", "--network", network, image, *(options.command or ()))


def _warnings(spec: NodeSpec, options: ContainerOptions) -> list[str]:
    warnings = []
    if spec.nvs:
        warnings.append("nvs values have no effect on a container")
    if options.network == FABRIC and not has_gate():
        warnings.append("its interface is there a little after its program has started: wait for it before sending")
    if options.network != FABRIC:
        warnings.append(
            f"it is in the engine's network {options.network}, not on the fabric: links, captures and faults of links "
            "do not touch it"
        )
    return warnings


@asynccontextmanager
async def _container(
    client: Docker, engine: Path, order: Mapping[str, Any], context: LaunchContext
) -> AsyncIterator[DockerContainer]:
    """A container that has not been started; removed, by force and with its anonymous volumes, in the end."""
    node = context.device.name
    context.spawner.journal.containers(engine)
    with anyio.CancelScope(shield=True), asking(node, engine, "the container cannot be made"):
        with anyio.fail_after(ANSWER_S):
            container = await client.containers.create(dict(order), name=container_name(context))
    try:
        yield container
    finally:
        # What cannot be removed here, the guardian finds by its label, and reports as left behind.
        with anyio.CancelScope(shield=True), suppress(NodeError, HostError), asking(node, engine, "not removed"):
            with anyio.fail_after(REMOVAL_S):
                await container.delete(force=True, v=True)
