"""Searches by the real command line, and a small swarm to search."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PAIR = """\
swarmrig: 1
name: pair
duration: 10s
time: virtual
network: {topology: star, hub: c}
nodes:
  c: {role: coordinator, config: {edge_tier: 0}}
  s: {role: sensor, config: {tdm_slot: 1, edge_tier: 0}FIRMWARE}
checks: [all_nodes_boot, no_crashes]
"""
BUGGY = PAIR.replace("FIRMWARE", ", firmware: {variant: outage-report}")
GOOD = PAIR.replace("FIRMWARE", "")


@dataclass
class Search:
    """A search that has ended."""

    exit_code: int
    documents: list[dict]
    stderr: str
    output: Path

    @property
    def results(self) -> dict:
        last = self.documents[-1]
        assert last["kind"] == "result", (last, self.stderr)
        return last["results"]

    @property
    def directory(self) -> Path:
        (directory,) = self.output.glob("*-explore-*")
        return directory


def command_line(*arguments):
    return [sys.executable, "-m", "swarmrig", *map(str, arguments)]


def environment(place, **more):
    return {**os.environ, "SWARMRIG_STATE_DIR": str(place / "state"), "NO_COLOR": "1", **more}


def call(place, *arguments):
    return subprocess.run(
        command_line(*arguments),
        capture_output=True, text=True, timeout=220, env=environment(place), stdin=subprocess.DEVNULL, cwd=place,
    )  # fmt: skip


def search(place, text, *options, name="out"):
    """`swarmrig explore --json` of a scenario."""
    file = place / "pair.swarmrig.yml"
    file.write_text(text)
    done = call(place, "explore", file, "--json", "--output-dir", place / name, "--jobs", "2", *options)
    documents = [json.loads(line) for line in done.stdout.splitlines()]
    return Search(done.returncode, documents, done.stderr, place / name)
