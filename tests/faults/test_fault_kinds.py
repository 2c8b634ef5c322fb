"""What every kind of fault says of itself is there, and true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from swarmrig.api import nodes as capabilities
from swarmrig.cli.fault_kinds import describe_kind, describe_kinds, reference_page
from swarmrig.plugins import Registry
from swarmrig.scenario.build import Origin
from swarmrig.scenario.load import load_text

ROOT = Path(__file__).parents[2]
INSTALLED = Registry.load()
BUILT_IN = [
    name
    for name, point in sorted(INSTALLED.points["swarmrig.faults"].items())
    if point.value.startswith("swarmrig.faults.")
]


@pytest.fixture(params=BUILT_IN)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_it_says_what_it_does_and_how_it_is_proved(kind: str) -> None:
    described = describe_kind(kind, INSTALLED)
    assert re.fullmatch(r"[A-Z].{20,}[.]", described.summary), described.summary
    assert len(described.evidence) > 30
    for parameter in described.parameters:
        assert parameter.description, parameter.name


def test_what_it_needs_are_capabilities(kind: str) -> None:
    for need in INSTALLED.fault(kind).needs:
        assert hasattr(capabilities, need), need


def test_its_example_is_read(kind: str) -> None:
    text = f"""\
swarmrig: 1
nodes: {{a: {{role: coordinator}}, b: , c: }}
network: {{topology: mesh}}
faults: [{describe_kind(kind, INSTALLED).example}]
"""
    scenario = load_text(text, Origin("example.yml", Path.cwd(), "example"), registry=INSTALLED)
    assert kind in [fault.kind for fault in scenario.faults]


def test_the_reference_is_what_the_classes_say() -> None:
    page = reference_page([describe_kind(kind, INSTALLED) for kind in BUILT_IN])
    written = (ROOT / "docs/reference/faults.md").read_text()
    assert written == page, "run: swarmrig faults list --markdown > docs/reference/faults.md"


def test_all_installed_kinds_are_described() -> None:
    assert [kind.name for kind in describe_kinds(INSTALLED)] == list(INSTALLED.names("faults"))
