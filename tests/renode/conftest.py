"""Helpers of these tests are modules beside them."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "qemu"))
sys.path.insert(0, str(Path(__file__).parent))

from fake_renode import wrapper
from node_bench import ELF
from recordings import VERSIONS

from swarmrig.model.scenario import FirmwareSpec, NodeSpec
from swarmrig.nodes.renode.options import RenodeOptions


@pytest.fixture(params=VERSIONS)
def version(request):
    return request.param


@pytest.fixture
def firmware(tmp_path):
    path = tmp_path / "fw.elf"
    path.write_bytes(ELF)
    return path


@pytest.fixture
def renode(tmp_path, firmware):
    """`renode(behaviour=..., option=...)`: the specification of a node whose Renode is the stand-in."""

    def make(node_id="m1", number=1, behaviour=None, image=firmware, machine="generic", **options):
        directory = tmp_path / f"renode-{node_id}"
        directory.mkdir(exist_ok=True)
        program = wrapper(directory, **{"log": str(directory / "commands"), **(behaviour or {})})
        values = {"renode": program, "platform": "platforms/boards/stm32f4_discovery-kit.repl"}
        values |= {"uart": "sysbus.usart2"} | options
        values = {name: value for name, value in values.items() if value is not None}
        settings = RenodeOptions(**values).model_dump()
        boots = FirmwareSpec(image=image)
        return NodeSpec(id=node_id, number=number, kind="renode", machine=machine, firmware=boots, options=settings)

    return make


@pytest.fixture
def commands(tmp_path):
    """What a node's Renode was told, without the words by which the client keeps track."""

    def read(node_id="m1"):
        lines = (tmp_path / f"renode-{node_id}" / "commands").read_text().splitlines()
        return [line for line in lines if not line.startswith("echo ")]

    return read
