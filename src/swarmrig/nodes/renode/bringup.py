"""The monitor commands that make a machine out of a setup, in order; all worded before the first is given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from swarmrig.errors import NodeError
from swarmrig.nodes.renode import wording
from swarmrig.nodes.renode.errors import CommandError
from swarmrig.nodes.renode.monitor import Monitor
from swarmrig.nodes.renode.setup import Load, Setup
from swarmrig.nodes.renode.transcript import NO_MACHINE

TAP = "renode0"
"""The interface that Renode makes in its own network for its Ethernet controller."""
CONSOLE_PORT = 3456
LOAD_S = 120.0
"""For platforms and firmware: Renode compiles some of it."""


@dataclass(frozen=True, slots=True)
class Paths:
    """What Renode makes while it runs, in a private directory."""

    directory: Path

    @property
    def console(self) -> Path:
        """The link to the console's pseudo-terminal; in virtual time the file that the UART writes to."""
        return self.directory / "console"

    @property
    def serial(self) -> Path:
        """As `console`, of the UART that is joined to the network."""
        return self.directory / "serial"

    @property
    def pid(self) -> Path:
        return self.directory / "renode.pid"

    def clear(self) -> None:
        """Renode leaves links behind, and refuses to begin where one is."""
        for path in self.directory.iterdir():
            if path.name.startswith(("console", "serial", "renode.pid")):
                path.unlink()


@dataclass(frozen=True, slots=True)
class Step:
    command: str
    foreign: bool = False
    """The scenario's own words."""
    hint: str | None = None
    deadline_s: float = 30.0
    answer: str | None = None
    """The only one that is good."""
    machine: str | None = None
    """The one that has to be selected then."""


def steps(setup: Setup, paths: Paths, *, virtual: bool, seed: int) -> list[Step]:
    """From an empty emulation to a machine that only has to be started. NodeError for what cannot be said."""
    try:
        return [
            *_machine(setup, virtual=virtual),
            *_lines(setup, paths, virtual=virtual),
            *_timing(virtual, seed),
            *_firmware(setup),
        ]
    except ValueError as error:
        raise NodeError(setup.spec.id, str(error)) from None


async def bring_up(monitor: Monitor, setup: Setup, todo: list[Step]) -> None:
    """Perform the steps. NodeError with Renode's words and what to do at the first that it refuses."""
    node = setup.spec.id
    for step in todo:
        try:
            answer = await monitor.execute(step.command, foreign=step.foreign, deadline_s=step.deadline_s)
        except CommandError as error:
            raise NodeError(node, f"Renode refuses {step.command!r}:\n{error.answer}", hint=step.hint) from None
        if step.answer not in (None, answer):
            raise NodeError(node, f"{step.command}: {answer}, and not {step.answer}", hint=step.hint)
        if step.machine not in (None, monitor.machine):
            made = "no machine" if monitor.machine == NO_MACHINE else f"the machine {monitor.machine!r}"
            raise NodeError(node, f"{step.command}: made {made}, and not {step.machine!r}", hint=step.hint)


def reset_macro(load: Load, file: Path | None = None) -> str:
    """What `machine Reset` does beside resetting: without it, memory is empty and the processor halts."""
    return f'macro reset "{load.words(file)}"'


def _machine(setup: Setup, *, virtual: bool) -> Iterator[Step]:
    if setup.options.script is not None:
        hint = "machine_name: must be the name that the script gives its machine"
        name = setup.options.machine_name
        yield Step(f"include {wording.path(setup.options.script)}", True, hint, LOAD_S, machine=name)
        if virtual:
            hint = "virtual time has not begun: leave `start` out of the script"
            yield Step("emulation IsStarted", hint=hint, answer="False")
        else:
            yield Step("pause")  # scripts start the machine, and it is not complete yet
    elif setup.platform is not None:
        yield Step(f'mach create "{setup.options.machine_name}"')
        hint = "see the platform description: the file and line are in Renode's words"
        yield Step(f"machine LoadPlatformDescription {wording.platform(setup.platform)}", False, hint, LOAD_S)


def _lines(setup: Setup, paths: Paths, *, virtual: bool) -> Iterator[Step]:
    options = setup.options
    uarts = {"console": (setup.uart, paths.console)}
    if options.serial is not None:
        uarts["serial"] = (options.serial, paths.serial)
    for name, (uart, path) in uarts.items():
        hint = f"has the platform a UART {uart}? `peripherals` at its monitor lists them"
        if virtual:
            yield Step(f"{uart} CreateFileBackend {wording.path(path)} true", hint=hint)
            continue
        if name == "console" and options.console == "socket":
            yield Step(f'emulation CreateServerSocketTerminal {CONSOLE_PORT} "{name}" false')
        else:
            yield Step(f'emulation CreateUartPtyTerminal "{name}" {wording.path_text(path)}')
        yield Step(f"connector Connect {uart} {name}", hint=hint)
    if options.ethernet is not None:
        yield Step('emulation CreateSwitch "switch"')
        yield Step(f'emulation CreateTap "{TAP}" "tap"', hint="may /dev/net/tun be opened? see `swarmrig doctor`")
        yield Step("connector Connect host.tap switch")
        hint = f"has the platform an Ethernet controller {options.ethernet}?"
        yield Step(f"connector Connect {options.ethernet} switch", hint=hint)
    for command in setup.extra_commands:
        yield Step(command, True, "it stands in extra_commands")


def _timing(virtual: bool, seed: int) -> Iterator[Step]:
    yield Step(f"emulation SetSeed {seed & 0x7FFFFFFF}")
    if virtual:
        yield Step("emulation SetGlobalSerialExecution true")  # processors of one machine take turns
        yield Step("emulation SetGlobalAdvanceImmediately true")  # as fast as it gets, not at this machine's pace


def _firmware(setup: Setup) -> Iterator[Step]:
    if setup.load is not None:
        yield Step(setup.load.words(), False, "is it for this machine?", LOAD_S)
        yield Step(reset_macro(setup.load))
