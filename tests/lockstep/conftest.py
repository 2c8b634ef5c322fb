"""Guests on the plugin as it is in the sources."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lockstep_swarm import API, RISCV, Fleet, load_build


@pytest.fixture(scope="session")
def plugin(tmp_path_factory):
    """The library for the QEMU that is tested."""
    return load_build().build(tmp_path_factory.mktemp("lockstep"), (API,))[0]


@pytest.fixture(scope="module")
def machine():
    """Which machine runs the reference firmware; modules may ask for more than one."""
    return RISCV


@pytest.fixture
def fleet(plugin, tmp_path, machine):
    with Fleet(plugin, tmp_path, machine) as fleet:
        yield fleet
