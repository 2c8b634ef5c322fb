"""The how-to page shows suites that load, commands that parse, and lines as they are printed."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest

from swarmrig.cli.main import root
from swarmrig.suites.load import load_suite_text

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "docs/howto/run-a-fault-suite.md", ROOT / "examples/media-faults/README.md"]
PAGE = PAGES[0].read_text()
SUITES = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)
COMMANDS = [
    shlex.split(line, comments=True)
    for page in PAGES
    for block in re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.M | re.S)
    for line in block.splitlines()
]


@pytest.mark.parametrize("text", SUITES)
def test_suites_load(text, tmp_path):
    plan = load_suite_text(text, "shown.suite.yml", tmp_path)
    assert plan.suite.modes


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_commands_parse(words):
    assert words[:2] == ["swarmrig", "suite"]
    group = root.get_command(click.Context(root), "suite")
    assert isinstance(group, click.Group)
    command = group.get_command(click.Context(group), words[2])
    assert command is not None
    assert command.make_context(words[2], words[3:]).command is command


def test_comparison_lines_are_as_printed():
    from swarmrig.cli.suite_actions import comparison_text
    from swarmrig.suites.compare import Change, Judging, compare

    def summary(values):
        checks = [[{"metric": "p99_us", "type": "max", "actual": value}] for value in values]
        return {"mode": "m", "scenarios": [{"id": "stalled", "status": "pass", "checks": each} for each in checks]}

    before = [100, 104, 98, 101, 103, 99, 102]
    found = compare(summary(before), summary([199, 203, 197, 200, 202, 198, 201]), Judging())
    assert found[1].change is Change.REGRESSION
    shape = re.sub(r"[-+]?\d+(\.\d+)?", "N", comparison_text(found[1], f"{found[1].change.value:<13}"))
    shown = re.search(r"^REGRESSION.*$", PAGE, re.M)
    assert shown
    assert re.sub(r"[-+]?\d+(\.\d+)?", "N", shown[0]) == shape


def test_media_example_over_the_wire(suite, tmp_path):
    """The tester's latency and that of the wire tell the same story, each in its own capture."""
    file = ROOT / "examples/media-faults/over-the-wire.suite.yml"
    result = suite("run", file, "--output-dir", tmp_path / "runs", "--jobs", "2")
    (directory,) = (tmp_path / "runs").iterdir()
    summary = json.loads((directory / "summary.json").read_text())
    assert result.returncode == 0, [each["reason"] for each in summary["scenarios"]]
    for scenario in summary["scenarios"]:
        metrics = scenario["metrics"]
        assert metrics["program"]["p50_us"] >= metrics["wire"]["min_us"]
        near, far = (directory / scenario["evidence"][f"rtp_{end}"] for end in ("near", "far"))
        again = json.loads(suite("latency", near, far, "--json").stdout)
        assert again == metrics["wire"]
        packets, reports = seen_by_tshark(near, (directory / scenario["evidence"]["tester_log"]).read_text())
        assert packets == metrics["sent"]["packets_sent"]
        assert reports >= metrics["sent"]["reports_received"] > 0  # the last ones come when the streamer has ended


def seen_by_tshark(capture: Path, log: str) -> tuple[int, int]:
    """Packets and reports of the stream, as somebody else counts them, none of them malformed."""
    port = re.search(r"port (\d+)", log)
    assert port
    command = ["tshark", "-r", capture, "-d", f"udp.port=={port[1]},rtp", "-T", "fields"]
    command += ["-e", "rtp.p_type", "-e", "rtcp.pt", "-e", "_ws.malformed"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    kinds = [tuple(line.split("\t")) for line in lines]
    assert {malformed for _, _, malformed in kinds} == {""}
    return kinds.count(("96", "", "")), kinds.count(("", "201", ""))
