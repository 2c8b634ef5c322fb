"""Devices on a virtual clock, devices on QEMU."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from refnode_virtual import Swarm, compile_host_library


@pytest.fixture(scope="session")
def host_library(tmp_path_factory):
    return compile_host_library(tmp_path_factory.mktemp("refnode-host"))


@pytest.fixture
def swarm(host_library, tmp_path):
    return Swarm(host_library, tmp_path)
