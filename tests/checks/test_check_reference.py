"""What every check says of itself is there, and true."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from swarmrig.cli.check_kinds import check_explanation, checks_page, describe_check, describe_checks
from swarmrig.cli.commands.checks import command
from swarmrig.errors import SwarmrigError
from swarmrig.plugins import Registry
from swarmrig.scenario.build import Origin
from swarmrig.scenario.load import load_text

ROOT = Path(__file__).parents[2]
INSTALLED = Registry.load()
BUILT_IN = [
    name
    for name, point in sorted(INSTALLED.points["swarmrig.checks"].items())
    if point.value.startswith("swarmrig.checks.")
]


@pytest.mark.parametrize("name", BUILT_IN)
def test_it_says_what_must_hold_and_describes_its_parameters(name):
    described = describe_check(name, INSTALLED)
    assert re.fullmatch(r"[A-Z].{20,}[.]", described.summary)
    assert all(parameter.description for parameter in described.parameters), described.parameters
    assert described.severity in ("WARN", "FAIL", "FATAL")


@pytest.mark.parametrize("name", BUILT_IN)
def test_its_example_is_read(name):
    text = f"""\
swarmrig: 1
nodes: {{a: {{role: coordinator}}, b: , c: }}
network: {{topology: mesh}}
faults: [{{at: 10s, cut: {{between: [lan, b], for: 5s}}}}]
checks:
  - {describe_check(name, INSTALLED).example}
"""
    [check] = load_text(text, Origin("example.yml", Path.cwd(), "example"), registry=INSTALLED).checks
    assert check.name == name


def test_the_reference_is_what_the_classes_say():
    page = checks_page([describe_check(name, INSTALLED) for name in BUILT_IN])
    written = (ROOT / "docs/reference/checks.md").read_text()
    assert written == page, "run: swarmrig checks list --markdown > docs/reference/checks.md"


def test_all_installed_checks_are_described():
    assert [kind.name for kind in describe_checks(INSTALLED)] == list(INSTALLED.names("checks"))


def test_an_explanation_has_it_all():
    text = "\n".join(check_explanation(describe_check("recovers-within", INSTALLED)))
    for part in ("recovers_within: After each fault", "share", "default 0.8", "its `within`", "counts as FAIL"):
        assert part in text


def test_an_unknown_check_suggests():
    with pytest.raises(SwarmrigError, match="no check is called 'recover_within'") as caught:
        describe_check("recover_within", INSTALLED)
    assert caught.value.hint == "did you mean 'recovers_within'?"


def test_the_command_prints_lines_markdown_and_json():
    run = CliRunner().invoke
    assert run(command, ["list"]).output.count("\n") == len(INSTALLED.names("checks"))
    assert run(command, ["list", "--markdown"]).output.startswith("# Checks\n")
    assert [kind["name"] for kind in json.loads(run(command, ["list", "--json"]).output)] == list(
        INSTALLED.names("checks")
    )
    assert json.loads(run(command, ["explain", "latency", "--json"]).output)["bare"] == "p99"
    assert "p95" in run(command, ["explain", "latency"]).output
