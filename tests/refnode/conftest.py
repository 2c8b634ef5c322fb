"""Devices on a virtual clock, devices on QEMU."""

import sys
from functools import partial
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from refnode_qemu import MACHINES, flash_file, guest
from refnode_virtual import Swarm, compile_host_library


@pytest.fixture(scope="session")
def host_library(tmp_path_factory):
    return compile_host_library(tmp_path_factory.mktemp("refnode-host"))


@pytest.fixture
def swarm(host_library, tmp_path):
    return Swarm(host_library, tmp_path)


@pytest.fixture(params=MACHINES)
def machine(request):
    """Every machine that there is firmware for."""
    return request.param


@pytest.fixture
def boot(machine):
    """`guest` of that machine."""
    return partial(guest, machine=machine)


@pytest.fixture
def flash(machine, tmp_path):
    """The path of a flash image with that NVS; the last one replaces those before, but for another name."""
    return lambda nvs, name="flash.bin": flash_file(tmp_path / name, nvs, machine)
