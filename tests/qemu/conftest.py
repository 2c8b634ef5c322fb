"""Small programs that play emulators which fail; the healthy path is tested on the real one."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for virtual_swarm

from swarmrig.model.scenario import FirmwareSpec, NodeSpec
from swarmrig.nodes.qemu.firmware import firmware_path

PRELUDE = """
import os, signal, socket, sys, time
console, monitor, memory = (socket.socket(fileno=fd) for fd in (3, 4, 5))
def greet():
    monitor.sendall(b'{"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 7}, "package": ""},'
                    b' "capabilities": []}}\\r\\n')
def live():
    while True:
        signal.pause()
"""


@pytest.fixture
def fake_emulator(tmp_path: Path) -> Callable[..., NodeSpec]:
    """A node whose emulator is a Python program with `console`, `monitor` and `memory` sockets, `greet` and `live`."""

    def make(body: str, node_id: str = "n1", number: int = 1, **options: object) -> NodeSpec:
        path = tmp_path / node_id / "qemu-system-riscv32"
        path.parent.mkdir()
        path.write_text(f"#!{sys.executable} -IS\n{PRELUDE}{textwrap.dedent(body)}")
        path.chmod(0o755)
        return NodeSpec(
            id=node_id,
            number=number,
            machine="generic",
            firmware=FirmwareSpec(image=firmware_path("refnode-rv32")),
            options={"arch": "riscv32", "qemu_machine": "virt", "machine_binary": path, **options},
        )

    return make
