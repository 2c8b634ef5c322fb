"""The reference device on real QEMU passes the contract of every backend."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from swarmrig.model.scenario import NodeSpec, Role
from swarmrig.nodes.qemu.backend import QemuBackend
from swarmrig.testing import NODE_CONTRACT, NodeCase
from swarmrig.testing.contract import Clause

CASE = NodeCase(
    backend=QemuBackend,
    spec=NodeSpec(id="hub", number=1, role=Role.COORDINATOR, scenario=1, edge_tier=2),  # sends beacons at 20 Hz
    boots=r"Calling app_main\(\)",
    dialogue=(b"help\r", r"stats"),
    memory=0x80F0_0000,
    quiet_s=0.5,
)


@pytest.mark.parametrize("clause", NODE_CONTRACT, ids=lambda clause: clause.__name__)
def test_refnode_keeps_the_contract(clause: Clause, tmp_path: Path) -> None:
    anyio.run(clause, CASE, tmp_path)
