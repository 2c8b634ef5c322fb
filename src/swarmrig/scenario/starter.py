"""A first scenario file, with comments, for whoever has none yet."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path

from swarmrig.errors import SwarmrigError
from swarmrig.model.scenario import Topology

SCHEMA_FILE = "swarmrig.schema.json"
TOPOLOGIES = (Topology.STAR, Topology.MESH, Topology.LINE, Topology.RING)
"""Those whose links follow from the nodes."""
REFERENCE = "refnode-rv32"

_ELF, _ESP = b"\x7fELF", 0xE9
_CLASS_32 = 1
_ELF_MACHINES = {243: REFERENCE, 40: "refnode-arm"}
"""e_machine (System V ABI) to the machine whose board has such a processor."""
_ESP_CHIPS = {5: "esp32c3", 9: "esp32s3"}
"""Chip id in the header of an ESP-IDF image (esp_image_header_t, offset 12)."""


class StarterError(SwarmrigError):
    """No scenario can be made of this."""


@dataclass(frozen=True, slots=True)
class Starter:
    """What the file is to be about."""

    name: str
    nodes: int = 3
    topology: Topology = Topology.STAR
    firmware: str | None = None
    """As the file shall name it: relative to the file. None: the reference firmware."""
    machine: str = REFERENCE


def machine_for(firmware: Path) -> str:
    """The machine that boots this file, as its header says. StarterError when no machine is known to."""
    try:
        with firmware.open("rb") as file:
            head = file.read(24)
    except OSError as error:
        raise StarterError(f"{firmware}: {error.strerror}", hint="name an ELF file or a flash image") from error
    machine = None
    if head.startswith(_ELF) and len(head) >= 20:
        order = ">" if head[5] == 2 else "<"
        machine = _ELF_MACHINES.get(struct.unpack_from(f"{order}H", head, 18)[0]) if head[4] == _CLASS_32 else None
    elif len(head) >= 14 and head[0] == _ESP:
        machine = _ESP_CHIPS.get(struct.unpack_from("<H", head, 12)[0])
    if machine is None:
        raise StarterError(
            f"{firmware} does not tell which machine it is for",
            hint="a 32-bit RISC-V or Arm ELF file, or a merged flash image of an ESP32-S3 or -C3, tells its machine; "
            "else say which with --machine",
        )
    return machine


def starter_text(starter: Starter) -> str:
    """The file. Its nodes are one coordinator and sensors; it runs as it is."""
    parts = (_head(starter), _nodes(starter), _FAULTS if starter.nodes > 1 else "", _checks(starter))
    return "\n".join(part for part in parts if part)


def _head(starter: Starter) -> str:
    hub = "\n  hub: coord                    # everybody's other end" if starter.topology is Topology.STAR else ""
    return f"""\
# yaml-language-server: $schema={SCHEMA_FILE}
# Run it:              swarmrig run FILE
# See every mistake:   swarmrig validate FILE
# See what would run:  swarmrig plan FILE
swarmrig: 1
name: {starter.name}
duration: 30s                   # in virtual time that passes faster than on your watch
seed: 1                         # of everything random; the same seed gives the same run
time: auto                      # virtual when every node can be in it, else real
network:
  topology: {starter.topology}{hub}
  link: {{latency: 5ms}}          # also: jitter, loss, burst, duplicate, reorder, corrupt, rate, queue
"""


def _nodes(starter: Starter) -> str:
    lines = ["# What every node has unless it says otherwise.", "defaults:", f"  machine: {starter.machine}"]
    if starter.firmware is None:
        lines.append("  # firmware: {image: build/app.elf}   # yours; without it, the reference firmware")
    else:
        key = "flash_base" if starter.machine.startswith("esp") else "image"
        lines.append(f"  firmware: {{{key}: {json.dumps(starter.firmware, ensure_ascii=False)}}}")
        lines.append("  # with `build: make` beside it, that is run first")
    lines += ["nodes:", "  coord: {role: coordinator, config: {edge_tier: 2}}"]
    for number in range(1, starter.nodes):
        lines.append(f"  s{number}: {{role: sensor, config: {{scenario: {_room(number)}, tdm_slot: {number}}}}}")
    return "\n".join(lines) + "\n"


def _room(number: int) -> int:
    """Mock signals by turns."""
    return 1 + (number - 1) % 3


_FAULTS = """\
# What goes wrong, and when. Whether it really did is proved by what was seen of it.
faults:
  - {at: 10s, reset: {node: s1}}
  # - {at: 15s, cut: {between: [coord, s1], for: 5s}}      # `swarmrig faults` lists all kinds
  # - {when: {node: s1, console: "ready"}, power_cycle: {node: s1, for: 1s}}
"""


def _checks(starter: Starter) -> str:
    lines = ["# What must hold. A check that finds nothing to judge says INCONCLUSIVE and never passes.", "checks:"]
    lines += ["  - all_nodes_boot", "  - no_crashes"]
    if starter.firmware is None and starter.nodes > 1:
        lines.append("  - all_nodes_produce_frames")
    lines.append('  # - console: {node: coord, matches: "ready", within: 5s}   # what your firmware says')
    lines.append("  # `swarmrig checks` lists all of them")
    return "\n".join(lines) + "\n"
