"""A plugin of pytest: swarms as fixtures, and scenario files as tests.

It is loaded wherever this package is installed beside pytest, so it imports nothing of the rig before a test needs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from swarmrig.integrations.session import Dut, Swarm

SUFFIX = ".swarmrig.yml"
MARKER = (
    "swarm(path, *, seed, time, set, strict, booted=True, dut): the scenario (file or preset) that the fixtures "
    "`swarm` and `dut` run; `set` is a mapping of single values by path; `booted` is what devices say when they have "
    "booted, where that is not what `all_nodes_boot` knows, or False."
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options."""
    group = parser.getgroup("swarmrig", "swarms of emulated devices")
    group.addoption("--swarmrig", action="store_true", help=f"Collect scenario files (*{SUFFIX}), each as a test.")
    group.addoption("--swarmrig-seed", type=int, metavar="N", help="Seed of every swarm. Default: the test's own.")
    group.addoption(
        "--swarmrig-output",
        type=Path,
        metavar="DIR",
        help="Where run directories are made. Default: a test's tmp_path, and `runs` for scenario files.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """The marker."""
    config.addinivalue_line("markers", MARKER)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """With --swarmrig, or when it is named on the command line, a scenario file is a test."""
    if not file_path.name.endswith(SUFFIX):
        return None
    if not (parent.config.getoption("swarmrig") or parent.session.isinitpath(file_path)):
        return None
    from swarmrig.integrations.pytest_plugin.scenarios import ScenarioFile

    return ScenarioFile.from_parent(parent, path=file_path)


@pytest.fixture
def swarm(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Swarm]:
    """The swarm that the marker `swarm` names, running and booted: see swarmrig.integrations.session.Swarm.

    When the test is over, so is the swarm, and nothing of it is left but its run directory. What failed of the rig and
    its nodes (not what the file's checks found, unless the test asks for that) is an error of the test.
    """
    from swarmrig.integrations.pytest_plugin.swarms import swarm_for

    with swarm_for(request.node, tmp_path) as running:
        yield running


@pytest.fixture
def dut(request: pytest.FixtureRequest, swarm: Swarm) -> Dut:
    """The device under test, with the names that pytest-embedded has: `expect`, `expect_exact`, `write`, `logfile`,
    `hard_reset`. It is the marker's `dut`, or the one node of the swarm."""
    from swarmrig.integrations.pytest_plugin.swarms import dut_for

    return dut_for(request.node, swarm)
