"""Text to a tree with places; hostile text to one problem, soon."""

from __future__ import annotations

import math
from typing import Any

import pytest

from swarmrig.errors import ScenarioError
from swarmrig.scenario.located import Limits, parse, parse_option, read_text
from swarmrig.scenario.problems import Mark, Problems
from swarmrig.scenario.tree import Items, Scalar, Table, Tree, describe, located, overlay, plain


def tree_of(text: str, **limits: int) -> Tree:
    problems = Problems()
    tree = parse(text, "t.yml", problems, Limits(**limits))
    problems.raise_any()
    assert tree is not None
    return tree


def value_of(text: str) -> Any:
    return plain(tree_of(text))


def problems_of(text: str, **limits: int) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        tree_of(text, **limits)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None), ("~", None), ("a:", {"a": None}),
        ("true", True), ("FALSE", False),
        ("yes", "yes"), ("on", "on"), ("no", "no"),
        ("12", 12), ("-3", -3), ("0o17", 15), ("0x1F", 31), ("010", 10), ("1_000", "1_000"), ("12:30:45", "12:30:45"),
        ("1.5", 1.5), (".5", 0.5), ("1e3", 1000.0), ("-2.", -2.0), (".inf", math.inf), ("-.INF", -math.inf),
        ("'12'", "12"), ('"\\x41"', "A"), ("!!str 12", "12"), ("!!float 2", 2.0), ("! 12", "12"),
        ("2024-01-01", "2024-01-01"), ("<<", "<<"),
        ("- a\n- [b, {c: 1}]", ["a", ["b", {"c": 1}]]),
        ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
        ("1: a\ntrue: b", {"1": "a", "true": "b"}),
        ("{a: 1, ? b : 2}", {"a": 1, "b": 2}),
        ("&k a: 1\nb: *k", {"a": 1, "b": "a"}),
        ("&k a: 1\n*k : 2\nb: 3", None),
    ],
)  # fmt: skip
def test_scalars_follow_the_core_schema(text: str, value: Any) -> None:
    if value is None and "*k :" in text:
        assert "second time" in problems_of(text)[0]
    else:
        assert value_of(text) == value


def test_not_a_number_is_one() -> None:
    assert math.isnan(value_of(".nan"))


def test_a_number_too_long_stays_text() -> None:
    assert value_of("9" * 5000) == "9" * 5000


def test_every_value_knows_its_place() -> None:
    tree = tree_of("a: 1\nb:\n  - x\n  -   {c: y}\n")
    assert isinstance(tree, Table)
    assert tree.place("b") == Mark("t.yml", 2, 1)
    items = tree.get("b")
    assert isinstance(items, Items)
    assert items.items[0].mark == Mark("t.yml", 3, 5)
    inner = items.items[1]
    assert isinstance(inner, Table)
    value = inner.get("c")
    assert value is not None
    assert (inner.place("c").column, value.mark.column) == (8, 11)
    assert tree.place("missing") == tree.mark


def test_columns_count_characters_not_bytes() -> None:
    tree = tree_of("ä: ö\n")
    assert isinstance(tree, Table)
    value = tree.get("ä")
    assert value is not None
    assert value.mark.column == 4


def test_duplicate_keys_name_both_places_and_are_all_found() -> None:
    found = problems_of("a: 1\nb: {x: 1, x: 2}\na: 2\n")
    assert found == [
        "t.yml:2:11: the key 'x' stands here for the second time (first: t.yml:2:5)",
        "t.yml:3:1: the key 'a' stands here for the second time (first: t.yml:1:1)",
    ]


def test_merge_keys_share_settings_and_own_ones_win() -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b {x: 2, z: 2}\nc: {<<: [*a, *b], y: 3}\nd: {<<: *b}\n"
    assert value_of(text)["c"] == {"x": 1, "y": 3, "z": 2}
    assert value_of(text)["d"] == {"x": 2, "z": 2}
    assert "takes a mapping" in problems_of("a: {<<: 1}")[0]
    assert value_of("a: {'<<': 1}") == {"a": {"<<": 1}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\n---\nb: 2\n", "t.yml:2:1: a second document begins here"),
        ("a: *b", "t.yml:1:4: the alias *b has no anchor before it"),
        ("a: &a [*a]", "t.yml:1:8: the alias *a refers to the value it is part of"),
        ("? [a]\n: b", "t.yml:1:3: a key must be a plain text"),
        ("&a [1]: 2\n", "a key must be a plain text"),
        ("a: &a [1]\n*a : 2\n", "t.yml:2:1: a key must be a plain text"),
        ("a: !!python/object:os.system x", "t.yml:1:4: the tag '!!python/object:os.system' is not allowed"),
        ("a: !thing {}", "t.yml:1:4: the tag '!thing' is not allowed"),
        ("a: !!binary aGk=", "is not allowed here"),
        ("a: !!set {b}", "is not allowed here"),
        ("a: !!int b", "t.yml:1:4: the tag !!int does not fit 'b'"),
        ("a: !!seq {}", "is not allowed here"),
        ("a:\n\t- b", "t.yml:2:1: a tab cannot indent"),
        ("a: b: c", "t.yml:1:5: not valid YAML: a second ':' in one value (quote the value"),
        ("a: [1, 2", "t.yml:1:9: not valid YAML: expected ',' or ']'"),
        ("a: 'x", "not valid YAML: found unexpected end of stream"),
        ("a: 1\n  b: 2", "t.yml:2:4: not valid YAML"),
        ("a: \x07", "t.yml:1:4: character U+0007 is not allowed in YAML"),
        ("a: 1\nb: \x00", "t.yml:2:4: character U+0000"),
        ('a: "\\ud800"', "a lone surrogate"),
        ("%YAML 3.0\n---\na: 1", "t.yml:1:1: not valid YAML"),
        ("a: @b", "t.yml:1:4: not valid YAML"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_where_and_why(text: str, expected: str) -> None:
    assert expected in problems_of(text)[0]


def test_limits_hold_before_anything_is_built() -> None:
    bomb = "a: &a [x, x]\n" + "".join(f"b{n}: &b{n} [*{'a' if n == 0 else f'b{n - 1}'}, 1, *a]\n" for n in range(40))
    assert "more than 100 values" in problems_of(bomb, values=100)[0]
    doubling = "a: &a0 [x]\n" + "".join(f"k{n}: &a{n + 1} [*a{n}, *a{n}]\n" for n in range(60))
    assert "more than" in problems_of(doubling)[0] or "deeper" in problems_of(doubling)[0]
    assert problems_of("[" * 100_000, depth=10) == ["t.yml:1:11: nested deeper than 10 levels"]
    assert problems_of("- a\n" * 10, values=6)[0].startswith("t.yml:7:3: more than 6 values")


def test_an_alias_may_not_go_deeper_than_the_limit() -> None:
    text = "a: &a [[[1]]]\nb: [[*a]]\n"
    assert value_of(text)["b"] == [[[[[1]]]]]
    assert "t.yml:2:6: nested deeper than 6 levels" in problems_of(text, depth=6)[0]
    assert plain(tree_of(text, depth=7))["b"] == [[[[[1]]]]]


def test_nothing_is_no_tree() -> None:
    for text in ("", "# only a comment\n", "---\n...\n"):
        problems = Problems()
        tree = parse(text, "t.yml", problems)
        assert not problems
        assert tree is None or plain(tree) is None


def test_options_have_no_line() -> None:
    problems = Problems()
    tree = parse_option("[1, {a: b}]", "--set x", problems)
    assert plain(tree) == [1, {"a": "b"}]  # type: ignore[arg-type]
    assert tree is not None
    assert tree.mark == Mark("--set x")
    assert str(tree.mark) == "--set x"
    empty = parse_option("", "--set x", problems)
    assert isinstance(empty, Scalar)
    assert empty.value is None
    assert not problems
    assert parse_option("[", "--set x", problems) is None
    assert problems


def test_files_are_read_within_limits(tmp_path: Any) -> None:
    file = tmp_path / "a.yml"
    file.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_text(file, "a.yml") == "a: 1\n"
    file.write_bytes(b"a: 1\nb: \xe4\n")
    with pytest.raises(ScenarioError, match=r"a\.yml:2:4: not UTF-8 text: byte 0xe4"):
        read_text(file, "a.yml")
    file.write_bytes("a: 1".encode("utf-16"))
    with pytest.raises(ScenarioError, match="not UTF-8"):
        read_text(file, "a.yml")
    with file.open("wb") as stream:
        stream.truncate(100 << 20)  # sparse: 100 MiB that nobody should read
    with pytest.raises(ScenarioError, match="larger than 1024 KiB"):
        read_text(file, "a.yml")
    for bad in (tmp_path, tmp_path / "none.yml", tmp_path / ("x" * 300), tmp_path / "nul\0"):
        with pytest.raises(ScenarioError, match="cannot be read"):
            read_text(bad, "a.yml")


def test_trees_overlay_and_describe() -> None:
    under, over = tree_of("{a: {x: 1, y: 1}, b: [1], c: 1}"), tree_of("{a: {y: 2}, b: [2], c: null, d: null}")
    assert isinstance(under, Table)
    assert isinstance(over, Table)
    assert plain(overlay(under, over)) == {"a": {"x": 1, "y": 2}, "b": [2], "c": 1, "d": None}
    found = [describe(tree) for tree in (None, *tree_of("[~, [], {}, true, 'x', 0x10, 1.50]").items)]  # type: ignore[union-attr]
    assert found == ["nothing", "nothing", "a list", "a mapping", "true", "'x'", "0x10", "1.50"]
    assert plain(located({"a": [1, {"b": None}]}, Mark("x"))) == {"a": [1, {"b": None}]}


def test_problems_are_ordered_capped_and_counted_once() -> None:
    problems = Problems()
    problems.raise_any()
    for line in (5, 3, 3):
        problems.add(Mark("f", line, 1), "same")
    assert len(problems) == 2
    calls = []
    for line in range(10, 200):
        problems.add(Mark("f", line, 1), "many", lambda: calls.append(1))  # type: ignore[func-returns-value]
    with pytest.raises(ScenarioError) as caught:
        problems.raise_any()
    texts = [str(problem) for problem in caught.value.problems]
    assert texts[:2] == ["f:3:1: same", "f:5:1: same"]
    assert texts[-1] == "f: and 92 more problems"
    assert len(calls) == 98
    for line in range(150):
        problems.warn(Mark("f", line, 1), "odd")
    assert problems.warnings[-1] == "and 50 more warnings"
