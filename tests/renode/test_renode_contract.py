"""A machine in Renode (a stand-in that speaks as the recordings do) passes the contract of every backend."""

from __future__ import annotations

import anyio
import pytest

from swarmrig.nodes.renode.backend import RenodeBackend
from swarmrig.testing import NODE_CONTRACT, NodeCase


@pytest.mark.parametrize("clause", NODE_CONTRACT, ids=lambda clause: clause.__name__)
def test_a_machine_keeps_the_contract(clause, renode, tmp_path):
    case = NodeCase(
        backend=RenodeBackend,
        spec=renode(),
        boots=r"^boot: hello from fw",
        alive=r"^tick \d+",
        dialogue=(b"hello\r", r"^heard: hello"),
        memory=0x2000_0000,
        quiet_s=0.5,
        deadline_s=40.0,
    )
    directory = tmp_path / "case"
    directory.mkdir()
    anyio.run(clause, case, directory)
