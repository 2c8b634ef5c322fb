"""`doctor`: the probes of this host as a table."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import anyio
import click

from swarmrig.cli.output import colours_wanted, harmless, say, say_json
from swarmrig.runtime.doctor import Probe, examine_host

EXIT_UNFIT = 1


def examine(*, as_json: bool) -> int:
    """Probe and print; 0 when the presets can run here, else 1."""
    probes = anyio.run(examine_host)
    if as_json:
        say_json(probes)
    else:
        for line in probe_lines(probes, colours=colours_wanted(sys.stdout)):
            say(line)
    return 0 if _fit(probes) else EXIT_UNFIT


def probe_lines(probes: Sequence[Probe], *, colours: bool) -> Iterator[str]:
    """A line per probe, and its hint where one is needed; the last line says what it all means."""
    width = max((len(probe.name) for probe in probes), default=0)
    for probe in probes:
        yield f"{_mark(probe, colours)} {harmless(probe.name):<{width}}  {harmless(probe.detail)}"
        if not probe.ok and probe.hint:
            yield f"{'':<7} {'':<{width}}  hint: {harmless(probe.hint)}"
    yield ""
    if _fit(probes):
        yield "The presets can run here; what is marked `-` is optional."
    else:
        missing = ", ".join(probe.name for probe in probes if probe.required and not probe.ok)
        yield f"The presets cannot run here: {missing}."


def _fit(probes: Sequence[Probe]) -> bool:
    return all(probe.ok for probe in probes if probe.required)


def _mark(probe: Probe, colours: bool) -> str:
    text, colour = ("ok", "green") if probe.ok else ("MISSING", "red") if probe.required else ("-", "yellow")
    return click.style(f"{text:<7}", fg=colour) if colours else f"{text:<7}"
