"""A container of a real engine passes the contract of every backend."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from swarmrig.model.scenario import NodeSpec
from swarmrig.nodes.container.backend import ContainerBackend
from swarmrig.testing import NODE_CONTRACT, NodeCase
from swarmrig.testing.contract import Clause


@pytest.mark.root
@pytest.mark.parametrize("clause", NODE_CONTRACT, ids=lambda clause: clause.__name__)
def test_container_keeps_the_contract(
    clause: Clause, engine: object, container: Callable[..., NodeSpec], tmp_path: Path
) -> None:
    case = NodeCase(
        backend=ContainerBackend,
        spec=container(),
        boots=r"^ready at 10\.",
        alive=r"^beat \d+",
        dialogue=(b"hello\n", r"^said hello"),
        quiet_s=0.5,
    )
    anyio.run(clause, case, tmp_path)
