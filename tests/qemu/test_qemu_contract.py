"""The reference device on real QEMU passes the contract of every backend."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from swarmrig.model.scenario import NodeSpec, Role
from swarmrig.nodes.qemu.backend import QemuBackend
from swarmrig.testing import NODE_CONTRACT, NodeCase
from swarmrig.testing.contract import Clause

UNUSED_MEMORY = {"refnode-rv32": 0x80F0_0000, "refnode-arm": 0x2030_0000}


def case(machine: str) -> NodeCase:
    return NodeCase(
        backend=QemuBackend,
        # It sends beacons at 20 Hz.
        spec=NodeSpec(id="hub", number=1, machine=machine, role=Role.COORDINATOR, scenario=1, edge_tier=2),
        boots=r"Calling app_main\(\)",
        dialogue=(b"help\r", r"stats"),
        memory=UNUSED_MEMORY[machine],
        quiet_s=0.5,
    )


@pytest.mark.parametrize("machine", UNUSED_MEMORY)
@pytest.mark.parametrize("clause", NODE_CONTRACT, ids=lambda clause: clause.__name__)
def test_refnode_keeps_the_contract(clause: Clause, machine: str, tmp_path: Path) -> None:
    anyio.run(clause, case(machine), tmp_path)
