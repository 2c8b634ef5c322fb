"""Python nodes keep the same contract as emulated ones."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from swarmrig.model.scenario import NodeSpec
from swarmrig.nodes.python.backend import PythonBackend
from swarmrig.testing import NODE_CONTRACT, NodeCase
from swarmrig.testing.contract import Clause

MODEL = '''
from swarmrig.nodes.python.host import Host


class Beacon(Host):
    """Says that it lives, ten times a second."""

    def on_start(self):
        self.log("beacon: ready")
        self.beat()

    def beat(self):
        self.log(f"beacon: t={self.now_ns}")
        self.call_at(self.now_ns + 100_000_000, self.beat)
'''


@pytest.mark.parametrize("clause", NODE_CONTRACT, ids=lambda clause: clause.__name__)
def test_a_python_model_keeps_the_contract(clause: Clause, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = tmp_path / "library"
    library.mkdir()
    (library / "beacon_model.py").write_text(MODEL)
    monkeypatch.syspath_prepend(str(library))
    place = tmp_path / "run"
    place.mkdir()
    case = NodeCase(
        backend=PythonBackend,
        spec=NodeSpec(id="p1", number=1, kind="python", options={"model": "beacon_model:Beacon"}),
        boots="beacon: ready",
        alive="beacon: t=",
        quiet_s=0.5,
    )
    anyio.run(clause, case, place)
