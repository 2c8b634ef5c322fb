"""Nodes: the contract of a backend (entry point group `swarmrig.nodes`) and of the nodes it makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from swarmrig.model.network import DevicePlan, PortKind
from swarmrig.model.scenario import NodeSpec, Scenario


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """How a process ended: `code` 0..255, or the `signal` number that killed it."""

    code: int | None
    signal: int | None

    def __str__(self) -> str:
        if self.signal is not None:
            import signal

            try:
                return signal.Signals(self.signal).name
            except ValueError:
                return f"signal {self.signal}"
        return f"exit {self.code}"


@dataclass(frozen=True, slots=True)
class MemoryMap:
    """What is known of a node's memory before it runs, so that addresses and symbols can be checked."""

    ram: tuple[tuple[int, int], ...] = ()
    """(address, bytes) of every piece of RAM; empty when that is not known."""
    image: Path | None = None
    """The file that says where its symbols are (ELF), if the node has one."""
    flash_base: int | None = None
    """Where its flash image is mapped; None where it is not."""


@dataclass(frozen=True, slots=True)
class NodePlan:
    """What a backend intends, for `swarmrig plan` and for launch. No side effects have happened yet."""

    spec: NodeSpec
    command: tuple[str, ...]
    """What will be executed, with `{placeholders}` where only launch knows (file descriptors, paths);
    empty for nodes that are no process."""
    port: PortKind = PortKind.PACKET
    memory_bytes: int = 0
    capabilities: frozenset[str] = frozenset()
    """Names of the protocols below that the node will have: HasConsole, CanReset, ..."""
    warnings: tuple[str, ...] = ()
    address_by_dhcp: bool = False
    """True when the node's firmware learns its address by DHCP instead of from provisioning."""
    memory: MemoryMap = MemoryMap()
    may_end_with: frozenset[int] = frozenset()
    """Exit codes with which the node may end by itself; any other end is a failure, unless the scenario expects it."""
    factory: str | None = None
    """For PortKind.PYTHON: `package.module:callable` (or `file.py:callable`) that the network driver instantiates."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """For PortKind.PYTHON: what the factory is told beside the node's place in the network; JSON-able."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """JSON-able facts for people: machine, emulator version, flash size."""


@dataclass(frozen=True, slots=True)
class NodeSnapshot:
    """A node as it stood at one instant of virtual time; others can go on from there, each with copies of it."""

    state: Path
    """The state of its machine, in the form of its backend."""
    flash: Path | None = None
    stores: tuple[tuple[int, int, bytes], ...] = ()
    """What must be stored in its memory soon after it goes on: how many nanoseconds later, the physical address, the
    bytes. The network does that."""


def _nobody_waits() -> None:
    """Whoever does not need to know."""


@dataclass(frozen=True, slots=True)
class LaunchContext:
    """What launch gives a backend."""

    scenario: Scenario
    device: DevicePlan
    """The node's place in the network: MAC, address, gateway."""
    target_ip: str
    """Where the node's frames go: the coordinator, or the aggregator."""
    aggregator_ip: str
    directory: Path
    """The node's own directory in the run directory, mode 0700: console.log, stderr.log, argv, flash.bin."""
    port_fd: int | None
    """The node's end of its attachment (PortKind PACKET, STREAM or LOCKSTEP), or a pipe for the dump of its
    traffic (USER); the backend passes it to its process and closes it afterwards. None with TAP: the backend makes the
    interface where the node is, and gives its descriptor to `network.attach(node, fd)`."""
    spawner: Any
    """`swarmrig.proc.Spawner`: the only way to start a process."""
    now_ns: Callable[[], int]
    """Run time."""
    on_console: Callable[[str, int, bytes], None]
    """Called as (node id, t_ns, chunk) with raw console bytes as they arrive, any chunking."""
    on_ready: Callable[[], None] = _nobody_waits
    """To be called each time that the node is found ready: by its probe, health check or login. Never, where nobody has
    said how to see that."""
    flash: Path | None = None
    """Start from a copy of this flash image instead of a provisioned one, as a former life of the node left it."""
    snapshot: NodeSnapshot | None = None
    """Go on from there instead of booting. For nodes that CanSnapshot."""
    debugger_port: int | None = None
    """Where the node's debugger stub shall listen, on 127.0.0.1 only; None: it has none. For backends that can."""
    network: Any = None
    """The running network, for a node that is switched off and on again, or acted upon at an exact virtual time:
    `swarmrig.net.fabric.Fabric`, in virtual time `swarmrig.timebase.fabric.VirtualFabric`."""


def kept_flash(directory: Path, life: int) -> Path:
    """Where, in its directory, a node that is switched on again in virtual time keeps a copy of the flash image with
    which that life begins. Its first life, number 1, begins with what was provisioned, and needs none."""
    return directory / f"flash-{life}.bin"


class Node(Protocol):
    """A booted node. It is made by `NodeBackend.open` and ends when that context ends.

    Optional: `ended_ns`, the run time at which it ended, for one that knows that better than when it was noticed.
    `fail(t_ns, reason)`, for one of which a part lives in the network's process: called when that has failed;
    `failed` is true from then on, and `wait_exited` raises NodeError soon, also when the run is over meanwhile.
    """

    spec: NodeSpec

    async def wait_exited(self) -> ExitStatus:
        """Return when the node has ended by itself. NodeError or HostError when it is found unable to go on."""
        ...

    def last_words(self) -> str:
        """The last lines its emulator wrote to stderr, "" if none."""
        ...


# In virtual time, what these do happens at exactly the time at which time stands while they are called.


@runtime_checkable
class HasConsole(Protocol):
    async def write_console(self, data: bytes) -> None:
        """Type; returns when the console has taken it."""
        ...


@runtime_checkable
class CanStallConsole(Protocol):
    """A console that can be left unread: once the line is full, the node's UART cannot send."""

    def stall_console(self) -> None: ...

    def unstall_console(self) -> None: ...


@runtime_checkable
class CanStarve(Protocol):
    """A node whose processor can be taken away without the node being told: its clocks go on."""

    def take_cpu(self) -> None: ...

    def give_cpu(self) -> None: ...


@runtime_checkable
class CanPause(Protocol):
    async def pause(self) -> None:
        """Let the node stand still; what is sent to it waits, or is lost when there is too much of it."""
        ...

    async def resume(self) -> None: ...


@runtime_checkable
class CanReset(Protocol):
    async def reset(self) -> None:
        """Press the reset button."""
        ...


@runtime_checkable
class CanKill(Protocol):
    async def kill(self) -> None:
        """End the node's process by SIGKILL: the node has ended then."""
        ...


@runtime_checkable
class CanPowerCycle(Protocol):
    async def power_off(self) -> None:
        """Pull the plug: the process is killed and reaped, what is sent to the node is lost. It has not ended:
        `wait_exited` goes on waiting. NodeError when it is off already, or has ended."""
        ...

    async def power_on(self) -> None:
        """Start again from the same flash, at the same place in the network. NodeError when it is on."""
        ...


@runtime_checkable
class CanCutPower(Protocol):
    """A node whose power can go in the middle of what it does itself."""

    async def cut_power_at_store(self, address: int, size: int, store: int) -> None:
        """Pull the plug (see CanPowerCycle) at the store of this number, counted from now on, that the processor makes
        into `size` bytes at the physical address. Returns at once."""
        ...

    async def call_off_cut(self) -> int | None:
        """When the power went (run time); None when it has not, and then it does not any more."""
        ...


@runtime_checkable
class CanSnapshot(Protocol):
    """A node in virtual time whose whole state can be written down while time stands and nobody is at work."""

    async def snapshot(self, directory: Path) -> NodeSnapshot:
        """Write it to files in `directory`. NodeError says why it would not be the same node."""
        ...


@runtime_checkable
class HasMemory(Protocol):
    """Physical memory by address. NodeError when it cannot be reached, ValueError for what is no range of it."""

    async def read_memory(self, address: int, size: int) -> bytes: ...

    async def write_memory(self, address: int, data: bytes) -> None:
        """As a device on the bus would."""
        ...

    async def flip_memory(self, address: int, mask: bytes) -> tuple[bytes, bytes]:
        """Flip the bits that are set in `mask`; returns the bytes before and after."""
        ...


@runtime_checkable
class HasMonitor(Protocol):
    """An emulator with a command line of its own."""

    async def monitor(self, command: str) -> str:
        """Give it one command, a line without its end; returns the answer. NodeError when the scenario does not allow
        that, and when the answer is an error."""
        ...


@runtime_checkable
class CanFlash(Protocol):
    """A node that can be given other firmware while it is on."""

    async def flash(self, file: Path) -> None:
        """Load it and reset the node; that is what it boots from now on. NodeError when it cannot be loaded."""
        ...


@runtime_checkable
class HasNmi(Protocol):
    async def nmi(self) -> None:
        """Raise a non-maskable interrupt."""
        ...


@runtime_checkable
class HasFlash(Protocol):
    flash_path: Path
    """The image file. It may be changed while the power is off, and only then."""
    flash_base: int | None
    """Where it is mapped into memory; None where it is not, or not as a whole."""


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What became of a command."""

    status: int
    """Its exit status, 0..255."""
    output: str
    """What it wrote to stdout and stderr."""


@runtime_checkable
class HasShell(Protocol):
    """A node that runs commands, by way of a shell on its console."""

    async def execute(self, command: str, *, timeout_s: float = ...) -> CommandResult:
        """Run a command as a shell does, in a subshell; ready or not, it waits for that. NodeError when the node fails,
        or does not get through in time."""
        ...


class NodeBackend(Protocol):
    """One kind of node. The registry makes one instance per run.

    Optional: class attribute `restarts_exactly = True` for nodes that the network itself starts again after a failure
    (`on_failure: restart`), at an exact virtual time; `any_number = True` for nodes that do not send their number in
    one byte, so that it may exceed 255.
    """

    kind: ClassVar[str]
    options_model: ClassVar[Any]
    """A pydantic model of the settings only this backend knows; NodeSpec.options holds its dump."""

    async def plan(self, spec: NodeSpec, scenario: Scenario) -> NodePlan:
        """Check the node against this host and say what will be run. Raises NodeError or HostError, or a
        group of them (see errors.Findings) when several things are wrong."""
        ...

    async def prevents_virtual_time(self, spec: NodeSpec) -> str | None:
        """Why this node cannot run in virtual time on this host, in words that follow "node x: "; None when it can.

        Asked before `plan`, which then finds REAL or VIRTUAL in `scenario.time`. What is wrong with the node in any
        case is for `plan` to say. A backend without this method has nodes of real time only.
        """
        ...

    async def prepare(self, plan: NodePlan, directory: Path) -> None:
        """What takes long and is no part of the run: building an image, say. Called before run time begins, with the
        node's own directory; errors as those of `plan`. A backend without this method has nothing to prepare."""
        ...

    def open(self, plan: NodePlan, context: LaunchContext) -> AbstractAsyncContextManager[Node]:
        """Provision and start the node; entering returns once its process runs (not: has booted)."""
        ...

    def provenance(self, plan: NodePlan, context: LaunchContext) -> Mapping[str, str]:
        """What the node is made of: versions, paths and digests by name, so that a repetition can tell what differs.
        A backend without this method says nothing."""
        ...

    def read_back(self, plan: NodePlan, context: LaunchContext) -> Sequence[str]:
        """After the run: compare what the node holds with what was provisioned; returns what differs."""
        ...
