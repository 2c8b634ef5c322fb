"""The clients of the drivers, and their commands. Nothing of the rig runs here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from jumpstarter.client import DriverClient
from jumpstarter.client.decorators import driver_click_group
from jumpstarter.client.flasher import FlasherClient
from jumpstarter_driver_composite.client import CompositeClient


class SwarmClient(DriverClient):
    """Time, faults and verdict of a swarm."""

    def status(self) -> dict[str, Any]:
        """Name, nodes, whether it is on, run time, run directory."""
        return dict(self.call("status"))

    def wait_booted(self, timeout: str | float = "60s") -> None:
        """Return when all nodes have booted."""
        self.call("wait_booted", timeout)

    def run_for(self, duration: str | float) -> None:
        """Let the swarm live so long (run time)."""
        self.call("run_for", duration)

    def inject(self, kind: str, *, for_: str | float | None = None, **params: Any) -> str:
        """Have a fault act now; returns its id. `inject("cut", between=["a", "b"], for_="2s")`."""
        return str(self.call("inject", kind, params, for_))

    def heal(self, fault: str) -> None:
        """End a fault that was injected without a duration."""
        self.call("heal", fault)

    def fault(self, fault: str) -> dict[str, Any]:
        """Its `stages`, with their times (ns), and whether it is `proved`."""
        found = dict(self.call("fault", fault))
        return found | {"stages": [(stage, int(t_ns)) for stage, t_ns in found["stages"]]}

    def verdict(self) -> dict[str, Any]:
        """End the run and tell what it came to: `verdict`, `checks`, `explanation`, `directory`, `digest`."""
        return dict(self.call("verdict"))

    def cli(self) -> click.Group:
        """The commands below `swarm`."""

        @driver_click_group(self)
        def base() -> None:
            """Time, faults and verdict of the swarm"""

        @base.command()
        def status() -> None:
            """What it is and whether it is on"""
            for key, value in self.status().items():
                click.echo(f"{key}: {value}")

        @base.command()
        @click.argument("duration")
        def run_for(duration: str) -> None:
            """Let the swarm live so long, for example 2s"""
            self.run_for(duration)

        @base.command()
        @click.argument("kind")
        @click.argument("params", nargs=-1, metavar="[NAME=VALUE]...")
        @click.option("--for", "duration", help="How long it lasts, for example 2s. Default: until healed.")
        def inject(kind: str, params: tuple[str, ...], duration: str | None) -> None:
            """Have a fault act now: inject cut between=a,b --for 2s"""
            click.echo(self.inject(kind, for_=duration, **params_of(params)))

        @base.command()
        @click.argument("fault")
        def heal(fault: str) -> None:
            """End a fault that has no duration"""
            self.heal(fault)

        @base.command()
        @click.pass_context
        def verdict(context: click.Context) -> None:
            """End the run, judge it, and exit as `swarmrig run` does"""
            found = self.verdict()
            click.echo(found["explanation"])
            context.exit(int(found["exit_code"]))

        group: click.Group = base
        return group


class NetworkClient(DriverClient):
    """What crosses the links."""

    def links(self) -> list[str]:
        """Their names."""
        return list(self.call("links"))

    def frames(self, filter: str | None = None, *, link: str | None = None, count: int = 100) -> list[dict[str, Any]]:
        """The last frames that match a filter: `t_ns`, `link`, `sender`, `fate`, `data` (hex), `fields` by name."""
        return list(self.call("frames", filter, link, count))

    def cli(self) -> click.Group:
        """The commands below `network`."""

        @driver_click_group(self)
        def base() -> None:
            """What crosses the links"""

        @base.command()
        def links() -> None:
            """Names of the links"""
            for link in self.links():
                click.echo(link)

        @base.command()
        @click.argument("filter", required=False)
        @click.option("--link", help="Only on this one.")
        @click.option("--count", default=20, show_default=True, help="How many of the last.")
        def frames(filter: str | None, link: str | None, count: int) -> None:
            """The last frames, for example those that match 'udp.dstport == 5005'"""
            for frame in self.frames(filter, link=link, count=count):
                seconds = float(frame["t_ns"]) / 1e9
                click.echo(f"{seconds:12.6f} s  {frame['link']}  {frame['sender']}  {frame['fate']}  {frame['data']}")

        group: click.Group = base
        return group


class NodeFlasherClient(FlasherClient):
    """What a node boots from. Errors come as they are, whatever they met on their way."""

    def flash(self, *arguments: Any, **settings: Any) -> Any:
        """See FlasherClient; `target` is `image` (ELF file or kernel) or `flash` (image of the whole flash)."""
        with _alone():
            return super().flash(*arguments, **settings)

    def dump(self, *arguments: Any, **settings: Any) -> Any:
        """Not implemented: flash images stand in the run directory."""
        with _alone():
            return super().dump(*arguments, **settings)


@contextmanager
def _alone() -> Iterator[None]:
    """An error that is the only one in its group comes without the group."""
    alone: BaseException | None = None
    try:
        yield
    except BaseExceptionGroup as group:
        alone = group
        while isinstance(alone, BaseExceptionGroup) and len(alone.exceptions) == 1:
            alone = alone.exceptions[0]
    if alone is not None:
        raise alone


class NodeClient(CompositeClient):
    """One node."""

    def describe(self) -> dict[str, Any]:
        """`node`, `kind`, `platform`, `uart`, `machine_name`."""
        return dict(self.call("describe"))

    @property
    def node(self) -> str:
        """Its id in the scenario."""
        return str(self.describe()["node"])

    @property
    def platform(self) -> str:
        """What it is emulated as: a Renode platform, or a machine."""
        return str(self.describe()["platform"])

    @property
    def uart(self) -> str | None:
        """The peripheral that is its console, where that can be chosen."""
        uart = self.describe()["uart"]
        return None if uart is None else str(uart)

    @property
    def machine_name(self) -> str:
        """Its name in the emulator."""
        return str(self.describe()["machine_name"])

    def monitor(self, command: str) -> str:
        """Give its emulator's monitor one command, where the scenario allows that; returns the answer."""
        return str(self.call("monitor", command))

    def cli(self) -> click.Group:
        """Those of its parts, and `monitor`."""
        base: click.Group = super().cli()

        @base.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
        @click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
        def monitor(command: tuple[str, ...]) -> None:
            """Give the emulator's monitor the rest of the line"""
            click.echo(self.monitor(" ".join(command)))

        return base


def params_of(words: Iterable[str]) -> dict[str, Any]:
    """`between=a,b node=s1` as parameters; ClickException says what is wrong with them."""
    found: dict[str, Any] = {}
    for word in words:
        name, separator, value = word.partition("=")
        if not (name and separator):
            raise click.ClickException(f"expected NAME=VALUE, for example between=a,b, got {word!r}")
        found[name] = value.split(",") if "," in value else value
    return found
