"""The gate: what it waits for, and what it becomes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from swarmrig.errors import HostError, NodeError
from swarmrig.nodes.container import gate
from swarmrig.nodes.container.gate import open_gate, program_of

IMAGE = {"Config": {"Entrypoint": ["/entry"], "Cmd": ["default"]}}


@pytest.mark.parametrize(
    ("entrypoint", "command", "image", "words"),
    [
        (None, None, IMAGE, ["/entry", "default"]),
        (None, ("mine",), IMAGE, ["/entry", "mine"]),
        (("/own",), None, IMAGE, ["/own"]),  # the image's command is for the image's entry point
        (("/own",), ("mine",), IMAGE, ["/own", "mine"]),
        ((), ("mine",), IMAGE, ["mine"]),
        (None, (), IMAGE, ["/entry"]),
        (None, None, {"Config": {"Entrypoint": None, "Cmd": ["alone"]}}, ["alone"]),
    ],
)
def test_what_runs_follows_the_engines_rules(entrypoint: Any, command: Any, image: Any, words: list[str]) -> None:
    assert program_of("c1", entrypoint, command, image) == words


@pytest.mark.parametrize("image", [{}, {"Config": None}, {"Config": {"Cmd": []}}])
def test_when_nobody_says_what_to_run_it_is_an_error(image: Any) -> None:
    with pytest.raises(NodeError, match="neither the image nor the scenario says what to run"):
        program_of("c1", None, None, image)


def test_it_lets_go_once_for_each_start(tmp_path: Path) -> None:
    with open_gate(tmp_path / "go") as one, (tmp_path / "go").open("rb", buffering=0) as waiting:
        one.let_go()
        assert waiting.read(1) == b"g"
        one.let_go()  # for a start that never came to it
        one.shut()
        one.let_go()
        assert waiting.read(2) == b"g"
    assert not (tmp_path / "go").exists()


def test_a_place_that_is_taken_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    with pytest.raises(HostError, match="cannot make"), open_gate(tmp_path / "go"):
        pass


@pytest.mark.skipif(not gate.has_gate(), reason="no gate for this processor")
def test_without_a_rig_it_does_not_become_anything(tmp_path: Path) -> None:
    done = subprocess.run([gate.PROGRAM, "touch", tmp_path / "touched"], capture_output=True)
    assert done.returncode == 126
    assert done.stderr == b"swarmrig: the rig has not let this container go\n"
    assert not (tmp_path / "touched").exists()


@pytest.mark.skipif(not gate.has_gate() or shutil.which("cc") is None, reason="no gate, or no compiler")
def test_its_source_can_be_built_as_it_says(tmp_path: Path) -> None:
    source = gate.PROGRAM.with_name("gate.c")
    comment = [line.removeprefix("//").strip() for line in source.read_text().splitlines() if line.startswith("//")]
    start = next(number for number, line in enumerate(comment) if line.startswith("cc "))
    words = " ".join(comment[start : start + 2]).split()
    words[words.index("-o") + 1 :] = [str(tmp_path / "gate"), str(source)]
    subprocess.run([*words, "-Wall", "-Wextra", "-Werror"], check=True)
    assert (tmp_path / "gate").read_bytes()[:4] == gate.PROGRAM.read_bytes()[:4] == b"\x7fELF"
