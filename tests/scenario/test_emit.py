"""Values written as YAML read back as the same values, here and elsewhere."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from swarmrig.scenario.emit import block, scalar
from swarmrig.scenario.located import parse
from swarmrig.scenario.problems import Problems
from swarmrig.scenario.tree import plain

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    [
        "yes",
        "null",
        "~",
        "12",
        "1e3",
        "0x1f",
        "5ms",
        "a: b",
        "- a",
        "# c",
        " a ",
        "<<",
        "a\nb",
        "é\x85\u2028",
        "'",
        '"',
        "\\",
    ]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(texts.filter(lambda key: key != "<<"), inner, max_size=4)
    ),
    max_leaves=12,
)


def read(text: str) -> Any:
    problems = Problems()
    tree = parse(text, "t.yml", problems)
    problems.raise_any()
    assert tree is not None
    return plain(tree)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(value=values)
def test_values_survive(value: Any) -> None:
    text = "\n".join(block(value)) + "\n"
    assert read(text) == value
    assert YAML(typ="safe", pure=True).load(text) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("word", "word"), ("a/b.c", "a/b.c"), ("5ms", "5ms"), ("1.5s", "1.5s"), ("0x10", '"0x10"'), ("1e3", '"1e3"'),
        ("Yes", '"Yes"'), ("NULL", '"NULL"'), ("", '""'), ("a b", '"a b"'), ("\t", '"\\x09"'), ("é", '"é"'),
        ("\U000e0001", '"\\U000e0001"'), (None, "null"), (True, "true"), (3, "3"), (1e-7, "1e-07"),
        (math.inf, ".inf"), (-math.inf, "-.inf"), (math.nan, ".nan"),
    ],
)  # fmt: skip
def test_scalars(value: Any, text: str) -> None:
    assert scalar(value) == text


def test_layout() -> None:
    value = {"a": {"b": [1, 2], "c": {}, "d": []}, "e": [{"f": 1, "g": [3]}, "h", [4, [5]]]}
    assert block(value) == [
        "a:", "  b: [1, 2]", "  c: {}", "  d: []",
        "e:", "  - f: 1", "    g: [3]", "  - h", "  - - 4", "    - [5]",
    ]  # fmt: skip
