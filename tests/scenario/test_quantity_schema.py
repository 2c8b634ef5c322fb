"""Defaults in schemas are what a file would say."""

import pytest

from swarmrig.plugins import Registry
from swarmrig.scenario.quantity_schema import quantity_of, with_written_defaults
from swarmrig.scenario.schema import scenario_schema


@pytest.mark.parametrize(
    ("examples", "default", "name", "written"),
    [
        (["50ms", "1.5s"], 60_000_000_000, "duration", "1m"),
        (["500ms"], 0, "duration", "0s"),
        (["0.5%", 0.005], 0.25, "share", "25%"),
        (["0.5%", 0.005], 0.0, "share", 0),
        (["250kbit"], 1_000_000, "rate", "1Mbit"),
        ([0x8000, "128KiB"], 131_072, "size", "128KiB"),
        (["64KiB"], 1000, "size", "1000"),
    ],
)
def test_quantities_are_known_by_their_examples(examples, default, name, written):
    schema = {"examples": examples, "default": default}
    assert quantity_of(schema).name == name
    assert with_written_defaults(schema)["default"] == written
    optional = {"anyOf": [{"examples": examples}, {"type": "null"}], "default": default}
    assert with_written_defaults({"properties": {"x": optional}})["properties"]["x"]["default"] == written


@pytest.mark.parametrize("examples", [[], [5], ["5"], ["word"], ["3 apples"]])
def test_everything_else_is_left_as_it_is(examples):
    schema = {"examples": examples, "default": 5}
    assert quantity_of(schema) is None
    assert with_written_defaults(schema)["default"] == 5


def test_sections_have_the_defaults_of_their_keys_only():
    properties = scenario_schema(Registry.load())["properties"]
    assert "default" not in properties["network"]
    assert properties["duration"]["default"] == "1m"
    assert properties["faults"]["default"] == []
    assert with_written_defaults({"default": True}) == {"default": True}
