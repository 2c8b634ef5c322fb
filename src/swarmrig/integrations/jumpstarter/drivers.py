"""What an exporter offers. Errors reach the client with the rig's own words."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.driver import Driver, FlasherInterface, export, exportstream
from jumpstarter_driver_composite.driver import Composite
from jumpstarter_driver_power.driver import PowerInterface, PowerReading

from swarmrig.errors import SwarmrigError
from swarmrig.integrations.jumpstarter.console import ConsoleStream, open_console_stream
from swarmrig.integrations.jumpstarter.rig import Rig, Target
from swarmrig.integrations.session import Injected
from swarmrig.integrations.session import Swarm as LedSwarm
from swarmrig.integrations.session.swarm import explain
from swarmrig.nodes.renode.setup import hardware_of
from swarmrig.programmatic import RunResult
from swarmrig.wire.decode import decode

CLIENTS = "swarmrig.integrations.jumpstarter.client"
MOST_FRAMES = 10_000
OF_THE_EXPORTER = frozenset({"file", "run"})
"""Parameters of faults that name files, by convention (see scenario.plugin_params)."""


@dataclass(kw_only=True)
class SwarmPower(PowerInterface, Driver):
    """The power of the whole swarm: on starts a run, off ends and judges it."""

    rig: Rig

    @export
    def on(self) -> None:
        """Nothing, when it is on already."""
        self.rig.on()

    @export
    def off(self) -> None:
        """Nothing, when it is off already."""
        self.rig.off()

    @export
    async def read(self) -> AsyncGenerator[PowerReading, None]:
        """There is nothing to measure."""
        raise NotImplementedError("an emulated swarm draws no current")
        yield  # it is a generator


@dataclass(kw_only=True)
class NodePower(SwarmPower):
    """The plug of one node, while the swarm is on."""

    node: str
    _turn: threading.Lock = field(init=False, default_factory=threading.Lock, repr=False)
    _pulled_in: LedSwarm | None = field(init=False, default=None, repr=False)
    """The run in which the plug is pulled."""

    @export
    def on(self) -> None:
        """Plug it in. Nothing, when it is."""
        with self._turn:
            swarm = self.rig.swarm
            if self._pulled_in is swarm:
                swarm.node(self.node).power_on()
                self._pulled_in = None

    @export
    def off(self) -> None:
        """Pull the plug, in the middle of whatever it does. Nothing, when it is pulled."""
        with self._turn:
            swarm = self.rig.swarm
            if self._pulled_in is not swarm:
                swarm.node(self.node).power_off()
                self._pulled_in = swarm


@dataclass(kw_only=True)
class NodeFlasher(FlasherInterface, Driver):
    """What a node boots from: from the next time on that the swarm is switched on, or at once where it can."""

    rig: Rig
    node: str

    @classmethod
    def client(cls) -> str:
        return f"{CLIENTS}.NodeFlasherClient"

    @export
    async def flash(self, source: Any, target: str | None = None) -> None:
        """Take an ELF file or kernel (`image`), or an image of the whole flash (`flash`), streamed."""
        async with self.resource(source) as chunks:  # opened in any case: else nobody would close it
            with self.rig.flashing(self.node, target) as file:
                async for chunk in chunks:
                    await anyio.to_thread.run_sync(file.write, chunk)
        await anyio.to_thread.run_sync(self.rig.load, self.node)

    @export
    async def dump(self, target: Any, partition: str | None = None) -> None:  # noqa: ARG002 - as the interface has it
        """Flash images stand in the run directory."""
        async with self.resource(target):
            raise NotImplementedError("read the node's flash image in the run directory")


@dataclass(kw_only=True)
class NodeConsole(Driver):
    """A node's console, as any serial port has it for pexpect."""

    rig: Rig
    node: str

    @classmethod
    def client(cls) -> str:
        return "jumpstarter_driver_pyserial.client.PySerialClient"

    @exportstream
    @asynccontextmanager
    async def connect(self) -> AsyncIterator[ConsoleStream]:
        """From the first byte of the first boot on."""
        async with open_console_stream(self.rig, self.node) as stream:
            yield stream


@dataclass(kw_only=True)
class Network(Driver):
    """What crosses the links: of the whole swarm, or of one node."""

    rig: Rig
    node: str | None = None

    @classmethod
    def client(cls) -> str:
        return f"{CLIENTS}.NetworkClient"

    @export
    def links(self) -> list[str]:
        """Names of the links, which are also those of the captures in the run directory."""
        return sorted(
            {link.name for link in self.rig.swarm.links if self.node is None or self.node in (link.a, link.b)}
        )

    @export
    def frames(self, filter_text: str | None = None, link: str | None = None, count: int = 100) -> list[dict[str, Any]]:
        """The last frames that match a filter."""
        links = self.links()
        if link is not None and link not in links:
            raise ValueError(f"there is no link {link!r}: the links are {', '.join(links)}")
        found = [frame for frame in self.rig.swarm.frames(filter_text, link=link) if frame.link in links]
        return [
            {
                "t_ns": frame.t_ns,
                "link": frame.link,
                "sender": frame.sender,
                "number": frame.number,
                "fate": frame.fate.value,
                "data": frame.data.hex(),
                "fields": decode(frame.data).fields(),
            }
            for frame in found[-max(0, min(int(count), MOST_FRAMES)) :]
        ]


@dataclass(kw_only=True)
class SwarmControl(Driver):
    """Time, faults and verdict of a swarm."""

    rig: Rig
    _injected: dict[str, Injected] = field(init=False, default_factory=dict, repr=False)

    @classmethod
    def client(cls) -> str:
        return f"{CLIENTS}.SwarmClient"

    @export
    def status(self) -> dict[str, Any]:
        """What it is, whether it is on, and since when (run time)."""
        rig = self.rig
        status: dict[str, Any] = {"name": rig.scenario.name, "nodes": [node.id for node in rig.scenario.nodes]}
        if not rig.is_on:
            return {**status, "power": False}
        swarm = rig.swarm
        return {**status, "power": True, "tier": swarm.tier, "now": swarm.now, "directory": str(swarm.directory)}

    @export
    def wait_booted(self, timeout: str | float = "60s") -> None:
        """Return when all nodes have said that they have booted."""
        self.rig.swarm.wait_booted(timeout)

    @export
    def run_for(self, duration: str | float) -> None:
        """Let the swarm live so long; in virtual time it lives only then."""
        self.rig.swarm.run_for(duration)

    @export
    def inject(self, kind: str, params: Mapping[str, Any], duration: str | float | None = None) -> str:
        """Have a fault act now; returns its id."""
        if not all(isinstance(key, str) for key in params) or "for_" in params:
            raise ValueError("the parameters of a fault are those of a scenario file; give its duration apart")
        if named := sorted(OF_THE_EXPORTER & params.keys()):
            raise ValueError(f"{', '.join(named)}: names a file of the exporter, which no client may choose")
        fault = self.rig.swarm.inject(kind, for_=duration, **_plain(params))
        self._injected[fault.id] = fault
        return fault.id

    @export
    def heal(self, fault: str) -> None:
        """End a fault that was injected without a duration."""
        self._fault(fault).heal()

    @export
    def fault(self, fault: str) -> dict[str, Any]:
        """What became of a fault so far: its stages with their times, and whether it is proved."""
        found = self._fault(fault)
        return {"stages": [[stage.value, t_ns] for stage, t_ns in found.stages], "proved": found.proved}

    @export
    def verdict(self) -> dict[str, Any]:
        """End the run, if the swarm is on, and tell what the last one came to."""
        self.rig.off()
        if self.rig.result is None:
            raise ValueError("there was no run: power the swarm on first")
        return _as_verdict(self.rig.result)

    def _fault(self, name: str) -> Injected:
        if name not in self._injected:
            raise ValueError(f"no fault {name!r} was injected")
        return self._injected[name]


@dataclass(kw_only=True)
class _OfScenario(Composite):
    """What both kinds of target have in common: the file and how it is run."""

    scenario: str
    seed: int | None = None
    time: str = "real"
    set: Mapping[str, Any] = field(default_factory=dict)
    output_dir: str = "runs"
    rig: Rig = field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            self.rig = Rig(Target(self.scenario, self.seed, self.time, self.set, self.output_dir))
        except (SwarmrigError, ValueError) as error:
            raise ConfigurationError(str(error)) from error

    def close(self) -> None:
        """End the swarm: nothing of it is left when this returns."""
        try:
            super().close()
        finally:
            self.rig.close()


class _Node:
    """What is asked of a node itself."""

    rig: Rig
    node: str

    @classmethod
    def client(cls) -> str:
        return f"{CLIENTS}.NodeClient"

    @export
    def describe(self) -> dict[str, Any]:
        """What it is."""
        return _described(self.rig, self.node)

    @export
    def monitor(self, command: str) -> str:
        """Give its emulator's monitor one command, where the scenario allows that."""
        return self.rig.swarm.node(self.node).monitor(command)


@dataclass(kw_only=True)
class Swarm(_OfScenario):
    """A whole scenario: `power`, `swarm`, `network`, and below `nodes` each node's `power` (its plug), `flasher`,
    `console` and `network`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        rig = self.rig
        self.children["power"] = SwarmPower(rig=rig)
        self.children["swarm"] = SwarmControl(rig=rig)
        self.children["network"] = Network(rig=rig)
        self.children["nodes"] = Composite(
            children={
                node.id: NodeTarget(rig=rig, node=node.id, children={"power": NodePower(rig=rig, node=node.id)})
                for node in rig.scenario.nodes
            }
        )


@dataclass(kw_only=True)
class NodeTarget(_Node, Composite):
    """One node of a swarm, with what belongs to it alone."""

    rig: Rig
    node: str

    def __post_init__(self) -> None:
        super().__post_init__()
        _add_parts(self, self.rig, self.node)


@dataclass(kw_only=True)
class SwarmNode(_Node, _OfScenario):
    """One node as the target, with a swarm around it that lives and ends with its power: `power`, `flasher`, `console`,
    `network`, and `swarm` for what happens around it."""

    node: str

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            self.rig.node(self.node)
        except ValueError as error:
            raise ConfigurationError(str(error)) from error
        self.children["power"] = SwarmPower(rig=self.rig)
        self.children["swarm"] = SwarmControl(rig=self.rig)
        _add_parts(self, self.rig, self.node)


def _add_parts(target: Driver, rig: Rig, node: str) -> None:
    target.children["flasher"] = NodeFlasher(rig=rig, node=node)
    target.children["console"] = NodeConsole(rig=rig, node=node)
    target.children["network"] = Network(rig=rig, node=node)


def _described(rig: Rig, name: str) -> dict[str, Any]:
    node = rig.node(name)
    platform, uart = node.machine, None
    if node.kind == "renode":
        hardware = hardware_of(node)
        platform, uart = str(hardware.platform or node.options["script"]), hardware.uart
    return {
        "node": node.id,
        "kind": node.kind,
        "platform": platform,
        "uart": uart,
        "machine_name": str(node.options.get("machine_name") or node.id),
    }


def _as_verdict(result: RunResult) -> dict[str, Any]:
    return {
        "verdict": result.verdict.value,
        "exit_code": result.record.exit_code,
        "tier": result.record.tier,
        "digest": result.digest,
        "directory": str(result.directory),
        "explanation": explain(result),
        "checks": {check.label: check.judgement.outcome.value for check in result.checks},
    }


def _plain(params: Mapping[str, Any]) -> dict[str, Any]:
    """Whole numbers travel as floating-point ones."""

    def whole(value: Any) -> Any:
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, list):
            return [whole(item) for item in value]
        if isinstance(value, dict):
            return {key: whole(item) for key, item in value.items()}
        return value

    return {key: whole(value) for key, value in params.items()}
