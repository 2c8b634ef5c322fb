"""What tests of searches share."""

import sys
from pathlib import Path

import anyio
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from search_cases import GOOD

from swarmrig.plugins import Registry
from swarmrig.runtime.plan import make_plan
from swarmrig.scenario.load import load_scenario
from swarmrig.search.space import space_of
from swarmrig.search.times import grid_of


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("search")


@pytest.fixture(scope="session")
def pair_space(tmp_path_factory):
    """space(kinds, **more): the fault space of the good pair."""
    registry = Registry.load()
    file = tmp_path_factory.mktemp("pair") / "pair.swarmrig.yml"
    file.write_text(GOOD)
    scenario = load_scenario(file, registry=registry)
    plan = anyio.run(make_plan, scenario, registry)

    def space(kinds=("cut", "reset", "pause"), **more):
        return space_of(plan, registry, grid_of(scenario.duration_ns), kinds=kinds, **more)

    return space
