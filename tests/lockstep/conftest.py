"""Guests on the plugin as it is in the sources."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lockstep_swarm import API, Fleet, load_build


@pytest.fixture(scope="session")
def plugin(tmp_path_factory):
    """The library for the QEMU that is tested."""
    return load_build().build(tmp_path_factory.mktemp("lockstep"), (API,))[0]


@pytest.fixture
def fleet(plugin, tmp_path):
    with Fleet(plugin, tmp_path) as fleet:
        yield fleet
