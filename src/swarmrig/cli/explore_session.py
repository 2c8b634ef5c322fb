"""`explore`: from the words of the command line to an exit code."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from swarmrig import __version__
from swarmrig.cli.explore_view import Teller
from swarmrig.cli.failures import told_as_json
from swarmrig.cli.loading import load
from swarmrig.cli.options import Choice, Manner
from swarmrig.cli.signals import interruption
from swarmrig.errors import MissingExtraError
from swarmrig.model.scenario import Scenario
from swarmrig.model.units import NS_PER_S
from swarmrig.plugins import Registry
from swarmrig.scenario.resolved import dump_scenario
from swarmrig.search.directory import SearchDirectory, Settings, begin_directory, reopen_directory
from swarmrig.timebase.stepping import Stepping

DEFAULT_BUDGET_S = 300.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How far to go; may be others when a search goes on."""

    budget_ns: int | None
    schedules: int | None
    stop_after: int | None
    jobs: int | None


def explore_choice(
    choice: Choice, manner: Manner, asked: Mapping[str, Any], limits: Limits, resume: Path | None
) -> int:
    """`asked` has the values of search.directory.Settings."""
    teller = Teller(as_json=manner.as_json)
    with told_as_json(manner.as_json):
        registry = Registry.load()
        scenario = load(choice, registry)
        text = dump_scenario(scenario, registry)
        if resume is None:
            settings = Settings(version=__version__, **asked)
            directory = begin_directory(manner.output_dir, scenario.name, text, settings)
        else:
            directory = reopen_directory(resume, text, __version__)
        return anyio.run(_explore, scenario, registry, directory, limits, manner, teller)


async def _explore(
    scenario: Scenario,
    registry: Registry,
    directory: SearchDirectory,
    limits: Limits,
    manner: Manner,
    teller: Teller,
) -> int:
    try:
        import hypothesis  # noqa: F401 - what is missing is told before anything is launched
    except ImportError:
        raise MissingExtraError("swarmrig explore", "search") from None
    from swarmrig.search import explore as search
    from swarmrig.search.hunt import Extent

    budget_s = None if limits.budget_ns is None else limits.budget_ns / NS_PER_S
    if budget_s is None and limits.schedules is None:
        budget_s = DEFAULT_BUDGET_S
    confirm = directory.settings.confirm
    extent = Extent(limits.schedules, budget_s, limits.stop_after, confirm, limits.jobs or os.cpu_count() or 1)
    with anyio.CancelScope() as hurry:
        async with interruption(hurry) as interrupt:
            way = search.Manner(
                interrupt, Stepping(manner.hang_timeout_ns / NS_PER_S, manner.quantum_ns), manner.skip_build
            )
            with teller.watching(directory.path):
                done = await search.explore(scenario, registry, directory, extent, way, teller)
            teller.conclude(done)
            return done.exit_code
    raise KeyboardInterrupt
