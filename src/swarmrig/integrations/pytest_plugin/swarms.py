"""What the fixtures do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from swarmrig.errors import SwarmrigError
from swarmrig.integrations.session import Dut, Settings, Swarm, open_swarm
from swarmrig.programmatic import RunResult

OWN = frozenset({"booted", "dut"})
"""Arguments of the marker that are for the fixtures, not for the run."""
TO_RUN = {"seed": "seed", "time": "time", "set": "overrides", "strict": "strict"}
EXAMPLE = '@pytest.mark.swarm("two-rooms.swarmrig.yml")'


@contextmanager
def swarm_for(item: pytest.Item, directory: Path) -> Iterator[Swarm]:
    """A test's swarm, running and booted; ended and recorded as properties of the test when it is left."""
    path, arguments = _marked(item)
    settings = settings_for(item.config, directory, {name: arguments.get(name) for name in TO_RUN})
    with _told(), open_swarm(path, **settings) as swarm:
        try:
            where = f"run directory: {swarm.directory} (tier {swarm.tier}, seed {swarm.scenario.seed})"
            item.add_report_section("setup", "swarm", where)
            if booted := arguments.get("booted", True):
                swarm.wait_booted(says=None if booted is True else booted)
            yield swarm
        finally:
            result = swarm.finish()
            record(item, result)
    if result.problems:
        pytest.fail("the swarm of this test failed:\n" + "\n".join(result.problems), pytrace=False)


def dut_for(item: pytest.Item, swarm: Swarm) -> Dut:
    """The node that the marker names, or the only one."""
    names = list(swarm.nodes)
    name = _marked(item)[1].get("dut", names[0] if len(names) == 1 else None)
    if name not in names:
        seen = f"there is no node {name!r}" if name is not None else f"the swarm has {len(names)} nodes"
        pytest.fail(f'{seen}: say which one with dut="{names[0]}" in the marker ({", ".join(names)})', pytrace=False)
    return Dut(swarm, name)


def settings_for(config: pytest.Config, directory: Path, arguments: Mapping[str, Any]) -> Settings:
    """How a run is made; the command line has the last word."""
    given = {TO_RUN[name]: value for name, value in arguments.items() if value is not None}
    output = config.getoption("swarmrig_output") or directory
    seed = config.getoption("swarmrig_seed")
    return cast("Settings", {**given, "output_dir": output, **({} if seed is None else {"seed": seed})})


def record(item: pytest.Item, result: RunResult) -> None:
    """What JUnit reports tell of the run."""
    item.user_properties += [
        ("swarmrig.verdict", result.verdict.value),
        ("swarmrig.tier", result.record.tier),
        ("swarmrig.seed", str(result.record.scenario.seed)),
        ("swarmrig.digest", result.digest or ""),
        ("swarmrig.directory", str(result.directory)),
    ]


def _marked(item: pytest.Item) -> tuple[str | Path, Mapping[str, Any]]:
    """The marker's path, where it is one relative to the test's file, and its other arguments."""
    marker = item.get_closest_marker("swarm")
    if marker is None or len(marker.args) != 1:
        pytest.fail(f"the fixture `swarm` needs a scenario: {EXAMPLE}", pytrace=False)
    wrong = sorted(marker.kwargs.keys() - OWN - TO_RUN.keys())
    if wrong:
        known = ", ".join(sorted(OWN | TO_RUN.keys()))
        pytest.fail(f"the marker `swarm` has no argument {', '.join(wrong)}: it has {known}", pytrace=False)
    (path,) = marker.args
    named = Path(path)
    is_file = isinstance(path, Path) or "/" in str(path) or named.suffix in (".yml", ".yaml")
    return (item.path.parent / named if is_file else path), marker.kwargs


@contextmanager
def _told() -> Iterator[None]:
    """What a user can repair is told without a traceback through the rig."""
    told = None
    try:
        yield
    except SwarmrigError as error:
        told = str(error)
    if told is not None:
        pytest.fail(told, pytrace=False)
