"""A program passes the contract of every backend."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
import pytest

from swarmrig.model.scenario import NodeSpec
from swarmrig.nodes.process.backend import ProcessBackend
from swarmrig.testing import NODE_CONTRACT, NodeCase
from swarmrig.testing.contract import Clause

BEATER = Path(__file__).parent / "beater.py"


@pytest.mark.parametrize("clause", NODE_CONTRACT, ids=lambda clause: clause.__name__)
def test_process_keeps_the_contract(clause: Clause, tmp_path: Path) -> None:
    case = NodeCase(
        backend=ProcessBackend,
        spec=NodeSpec(id="prog", number=1, kind="process", options={"command": (sys.executable, "-S", str(BEATER))}),
        boots=r"^ready at 10\.",
        alive=r"^beat \d+",
        dialogue=(b"hello\n", r"^said hello"),
        quiet_s=0.3,
    )
    anyio.run(clause, case, tmp_path)
