"""A real Renode, where one is installed. Elsewhere these tests say in the summary that they did not run."""

import shutil
from pathlib import Path

import anyio
import pytest

import swarmrig
from swarmrig.errors import HostError
from swarmrig.model.scenario import NodeSpec
from swarmrig.nodes.renode.backend import RenodeBackend
from swarmrig.nodes.renode.program import find_program
from swarmrig.testing import NODE_CONTRACT, NodeCase

EXAMPLE = Path(__file__).parents[2] / "examples" / "renode-pair"
pytestmark = [pytest.mark.renode, pytest.mark.slow]


@pytest.fixture(autouse=True)
def real_renode():
    try:
        return find_program()
    except HostError as error:
        pytest.skip(f"NOT RUN: {error.message}; these tests need a real one (docs/howto/use-renode.md)")


@pytest.fixture
def example(tmp_path):
    if shutil.which("riscv64-unknown-elf-gcc") is None:
        pytest.skip("NOT RUN: not installed: riscv64-unknown-elf-gcc")
    return Path(shutil.copytree(EXAMPLE, tmp_path / "pair", ignore=shutil.ignore_patterns("build")))


def test_three_runs_of_the_pair_have_one_digest(example, tmp_path):
    results = [swarmrig.run(example / "pair.swarmrig.yml", output_dir=tmp_path / "runs") for _ in range(3)]
    for result in results:
        assert result.success, (
            [f"{check.label}: {check.judgement.message}" for check in result.checks],
            result.problems,
        )
    assert len({result.digest for result in results}) == 1


@pytest.mark.parametrize("clause", NODE_CONTRACT, ids=lambda clause: clause.__name__)
def test_the_reference_firmware_keeps_the_contract(clause, tmp_path):
    case = NodeCase(
        backend=RenodeBackend,
        spec=NodeSpec(id="hub", number=1, kind="renode", machine="refnode-rv32"),
        boots=r"Calling app_main\(\)",
        alive=r"\(\d+\)",
        dialogue=(b"help\r", r"stats"),
        memory=0x80F0_0000,
        deadline_s=60.0,
        quiet_s=3.0,
    )
    anyio.run(clause, case, tmp_path)
