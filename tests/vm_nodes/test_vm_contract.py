"""A virtual machine passes the contract of every backend."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from swarmrig.model.scenario import NodeSpec
from swarmrig.nodes.vm.backend import VmBackend
from swarmrig.nodes.vm.options import VmOptions
from swarmrig.testing import NODE_CONTRACT, NodeCase
from swarmrig.testing.contract import Clause


@pytest.mark.parametrize("clause", NODE_CONTRACT, ids=lambda clause: clause.__name__)
def test_a_virtual_machine_keeps_the_contract(clause: Clause, bare: Path, tmp_path: Path) -> None:
    options = VmOptions.model_validate({"kernel": bare, "memory": "16MiB", "accel": "tcg"}).model_dump()
    case = NodeCase(
        backend=VmBackend,
        spec=NodeSpec(id="vm", number=1, kind="vm", options=options),
        boots=r"^ready$",
        alive=r"^beat$",
        dialogue=(b"hello\n", r"^said hello$"),
        memory=0x80_0000,
        deadline_s=60.0,
        quiet_s=0.5,
    )
    directory = tmp_path / "contract"
    directory.mkdir()
    anyio.run(clause, case, directory)
