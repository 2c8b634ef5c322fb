"""Finding the program that a node is to run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from swarmrig.errors import NodeError
from swarmrig.proc.spawner import DEFAULT_PATH


def find_program(node: str, command: Sequence[str], working_dir: Path, environment: Mapping[str, str]) -> str:
    """The file that the first word of a command means: with a slash, as seen from the working directory; else by PATH.
    NodeError when there is none, or no directory to be in."""
    directory = working_dir.absolute()
    if not directory.is_dir():
        raise NodeError(node, f"working_dir: {directory} is no directory")
    word = command[0]
    path = environment.get("PATH", os.environ.get("PATH", DEFAULT_PATH))
    found = shutil.which(str(directory / word) if "/" in word else word, path=path)
    if found is None:
        where = f"{directory / word} is no program" if "/" in word else f"there is no program {word} in PATH ({path})"
        raise NodeError(node, f"command: {where}", hint="is it installed, built, and executable?")
    return str(Path(found).absolute())
