"""Random swarms with random faults: one text for each seed."""

from __future__ import annotations

import random
from pathlib import Path

from swarmrig.errors import ScenarioError
from swarmrig.model.scenario import Scenario
from swarmrig.plugins import Registry
from swarmrig.scenario.build import Origin
from swarmrig.scenario.load import load_text

APART_S, CLOSE_S = 6, 2
"""From one fault to the next: enough for a node to boot and talk again, or while it is still down."""
LASTS_S = 2

KINDS = {
    "cut": "cut: {{between: {link}, for: {time}}}",
    "wifi_kill": "wifi_kill: {{node: {leaf}, for: {time}}}",
    "flap": "flap: {{between: {link}, period: 600ms, for: {time}}}",
    "degrade": "degrade: {{between: {link}, loss: 40%, for: {time}}}",
    "duplicate": "duplicate: {{between: {link}, share: 60%, for: {time}}}",
    "reorder": "reorder: {{between: {link}, share: 60%, for: {time}}}",
    "corrupt": "corrupt: {{between: {link}, share: 60%, for: {time}}}",
    "blackhole": "blackhole: {{between: {link}, filter: udp, for: {time}}}",
    "inject": "inject: {{between: {link}, udp: {{src: {leaf}, dst: hub, port: 5005, text: x}}, count: 3}}",
    "replay": "replay: {{between: {link}, last: 1s, filter: udp}}",
    "corrupt_frame": "corrupt_frame: {{node: {leaf}, frames: 3}}",
    "ring_flood": "ring_flood: {{node: {leaf}, frames: 300, within: 50ms}}",
    "pause": "pause: {{node: {leaf}, for: {time}}}",
    "reset": "reset: {leaf}",
    "hang": "hang: {{node: {leaf}, for: {time}}}",
    "timer_starvation": "timer_starvation: {leaf}",
    "power_cycle": "power_cycle: {{node: {leaf}, for: {time}}}",
    "crash": "crash: {{node: {leaf}, restart: {{after: 1s}}}}",
    "heap_exhaust": "heap_exhaust: {{node: {leaf}, for: {time}}}",
    "memory_flip": "memory_flip: {{node: {leaf}, symbol: csi_frame, bits: 2, for: 500ms}}",
    "memory_fill": "memory_fill: {{node: {leaf}, symbol: csi_frame, size: 4, byte: 0}}",
    "flash_erase": "flash_erase: {{node: {leaf}, partition: nvs, for: 3s}}",
    "nvs_corrupt": "nvs_corrupt: {{node: {leaf}, for: 3s}}",
    "nvs_set": "nvs_set: {{node: {leaf}, key: csi_channel, value: 11, for: 3s}}",
}


def are_apart(seed: int) -> bool:
    """Do the faults of this seed leave each other alone?"""
    return seed % 2 == 0


def random_text(seed: int, *, faults: int = 4) -> str:
    """A scenario of a hub and two or three sensors, in a star or a mesh, with faults one after another."""
    chance, gap_s = random.Random(seed), APART_S if are_apart(seed) else CLOSE_S
    leaves = ["s1", "s2", "s3"][: chance.randint(2, 3)]
    star = chance.random() < 0.5
    items = []
    for number, kind in enumerate(chance.sample(sorted(KINDS), faults)):
        leaf = chance.choice(leaves)
        link = f"[{leaf}, {'hub' if star else 'lan'}]"
        fault = KINDS[kind].format(leaf=leaf, link=link, time=f"{LASTS_S}s")
        at = 4 + number * gap_s
        items.append(chance.choice([
            f"{{at: {at}s, {fault}}}",
            f"{{at: {at}s, jitter: 900ms, {fault}}}",
            f"{{when: {{link: {'hub--' if star else 'lan--'}{leaf}, frames: csi, count: {at * 18}}}, {fault}}}",
        ]))  # fmt: skip
    sensors = "\n".join(f"  {leaf}: {{config: {{scenario: {2 + number}, tdm_slot: {number + 1}}}}}"
                        for number, leaf in enumerate(leaves))  # fmt: skip
    topology = "{topology: star, hub: hub}" if star else "{topology: mesh}"
    return (
        f"swarmrig: 1\nname: random-{seed}\nduration: {6 + faults * gap_s + 4}s\nseed: {seed}\ntime: virtual\n"
        f"network: {topology}\nnodes:\n  hub: {{role: coordinator, config: {{edge_tier: 2}}}}\n{sensors}\n"
        f"faults:\n" + "".join(f"  - {item}\n" for item in items) + "checks: [all_nodes_boot, no_crashes, survives]\n"
    )


def random_scenario(seed: int, registry: Registry) -> Scenario:
    text = random_text(seed)
    try:
        return load_text(text, Origin(f"random-{seed}.yml", Path.cwd(), "random"), registry=registry)
    except ScenarioError as error:
        raise AssertionError(f"{error}\n{text}") from error
