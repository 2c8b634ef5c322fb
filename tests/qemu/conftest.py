"""Real QEMU guests for the tests, and small programs that play emulators which fail."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def fake_emulator(tmp_path: Path) -> Callable[[str], Path]:
    """Makes an executable from the body of a Python program; its descriptors are numbered as the real one's."""

    def make(body: str) -> Path:
        path = tmp_path / "qemu-system-riscv32"
        path.write_text(f"#!{sys.executable} -IS\nimport os, signal, socket, sys, time\n{textwrap.dedent(body)}")
        path.chmod(0o755)
        return path

    return make
