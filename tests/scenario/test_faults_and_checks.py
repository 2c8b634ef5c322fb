"""The sections `faults` and `checks`: each item is read with the model of its own plugin."""

from __future__ import annotations

from typing import Any

import pytest

from swarmrig.errors import ScenarioError


def problem(load: Any, text: str) -> str:
    with pytest.raises(ScenarioError) as caught:
        load(f"swarmrig: 1\nnodes: {{a: , b: {{number: 7}}}}\n{text}\n")
    [found] = map(str, caught.value.problems)
    return found


@pytest.mark.parametrize(
    ("item", "place", "expected"),
    [
        ("{at: 1s}", "3:10", "says when, but not what goes wrong (faults: cut, pause)"),
        ("{cut: {between: [a, b]}}", "3:10", "missing key 'at'"),
        ("{at: soon, cut: {between: [a, b]}}", "3:15", "at: expected a duration"),
        ("{at: 1s, cutt: {}}", "3:19", "unknown fault or key 'cutt' (did you mean 'cut'?)"),
        ("{at: 1s, cut: {between: [a, b]}, fro: 2s}", "3:43", "unknown fault or key 'fro'"),
        ("{at: 1s, cut: {between: [a, b]}, pause: a}", "3:43", "one fault at a time, seen cut and pause"),
        ("{at: 1s, cut: {between: [a, c]}}", "3:38", "between: no node is called 'c' (known: a, b)"),
        ("{at: 1s, cut: {between: [a]}}", "3:34", "between: expected at least 2 items"),
        ("{at: 1s, cut: {}}", "3:24", "missing key 'between'"),
        ("{at: 1s, cut: }", "3:19", "missing key 'between'"),
        ("{at: 1s, cut: a}", "3:24", "cut: expected a mapping of parameters, seen 'a' (parameters: between)"),
        ("{at: 1s, cut: {between: [a, b], for: 0}}", "3:47", "for: expected more than 0"),
        ("{at: 1s, cut: {between: [a, b], for: [1]}}", "3:47", "for: expected a duration such as 50ms, 1.5s or 2m"),
        ("{at: 1s, cut: {between: [a, b], for: long}}", "3:47", "for: expected a duration"),
        ("{at: 1s, cut: {between: [a, b], frо: 1s}}", "3:42", "unknown key"),
        ("{at: 1s, pause: c}", "3:26", "pause: no node is called 'c'"),
        ("{at: 60s, pause: a}", "3:15", "at: 1m is not within the run of 1m"),
        ("{at: 50s, pause: {node: a, for: 10s}}", "3:42", "for: the fault would heal at 1m, not within the run of 1m"),
        ("{when: {console: x}, pause: a}", "3:17", "missing key 'node' (whose console?)"),
        ("cut", "3:10", "expected `at: TIME` and a fault, seen 'cut'"),
        ("~", "3:10", "expected `at: TIME` and a fault, seen nothing"),
    ],
)  # fmt: skip
def test_wrong_faults_are_explained(load: Any, item: str, place: str, expected: str) -> None:
    found = problem(load, f"faults: [{item}]")
    assert found.startswith(f"t.yml:{place}: ")
    assert expected in found


def test_faults_are_numbered_in_file_order(load: Any) -> None:
    items = "[{at: 9s, pause: {node: b}}, {at: 0, cut: {between: [b, a], for: 59.9s}}]"
    faults = load(f"swarmrig: 1\nnodes: {{a: , b: }}\nfaults: {items}\n").faults
    assert [(fault.id, fault.at_ns, fault.for_ns) for fault in faults] == [
        ("pause-1", 9 * 10**9, None),
        ("cut-2", 0, 59_900_000_000),
    ]


@pytest.mark.parametrize(
    ("item", "place", "expected"),
    [
        ("all_node_boot", "3:10", "unknown check 'all_node_boot' (did you mean 'all_nodes_boot'?)"),
        ("All-Nodes-Boot", "3:10", "did you mean 'all_nodes_boot'?"),
        ("fall_detected_by_nod_7", "3:10", "did you mean 'fall_detected_by_node"),
        ("fall_detected_by_node_1", "3:10", "no node has the number 1 (numbers of nodes: 0, 7)"),
        ("fall_detected_by_node_9999999", "3:10", "unknown check"),
        ("fall_detected_by_node", "3:10", "missing key 'node'"),
        ("fall_detected_by_node_7: {node: 0}", "3:36", "the name says already which node"),
        ("fall_detected_by_node_7: {node: 7}", "3:36", "the name says already which node"),
        ("zzz", "3:10", "unknown check 'zzz' (known: all_nodes_boot, all_nodes_produce_frames,"),
        ("''", "3:10", "unknown check ''"),
        ("'a\nb'", "3:10", "unknown check 'a b'"),
        ("{all_nodes_boot: , no_crashes: }", "3:10", "seen a mapping of several keys (each is an item of its own"),
        ("{}", "3:10", "expected the name of a check, or `name: parameters`, seen a mapping"),
        ("5", "3:10", "seen 5"),
        ("[all_nodes_boot]", "3:10", "seen a list"),
        ("console", "3:10", "missing key 'matches'"),
        ("console: {matches: x, nod: a}", "3:32", "unknown key 'nod' (did you mean 'node'?)"),
        ("console: {matches: x, node: c}", "3:38", "node: no node is called 'c'"),
        ("console: {matches: x, node: 3}", "3:38", "node: no node has the number 3"),
        ("console: {matches: x, nodes: [a, c]}", "3:43", "nodes: no node is called 'c'"),
        ("console: {matches: x, within: later}", "3:40", "within: expected a duration"),
        ("console: {matches: x, count: {min: lots}}", "3:45", "min: expected a number"),
        ("all_nodes_boot: {x: 1}", "3:27", "unknown key 'x'"),
        ("frame_rate_above: [1]", "3:28", "frame_rate_above: expected a number, seen a list"),
        ("frame_rate_above: {hz: -3}", "3:33", "hz: expected more than 0, seen -3"),
    ],
)  # fmt: skip
def test_wrong_checks_are_explained(load: Any, item: str, place: str, expected: str) -> None:
    found = problem(load, f"checks: [{item}]")
    assert found.startswith(f"t.yml:{place}: ")
    assert expected in found


def test_parameters_come_as_a_value_or_a_mapping(load: Any) -> None:
    text = "swarmrig: 1\nnodes: {a: , b: {number: 7}}\nchecks:\n"
    items = [
        "frame_rate_above", "frame_rate_above: 3", "frame_rate_above: {hz: 4}", "frame_rate_above:",
        "fall_detected_by_node: 7", "fall_detected_by_node_7: {times: 2}", "fall_detected_by_node_7",
        "console: {matches: x, nodes: [a, 7]}",
    ]  # fmt: skip
    checks = load(text + "".join(f"  - {item}\n" for item in items)).checks
    assert [dict(check.params) for check in checks[:7]] == [
        {"hz": 10.0}, {"hz": 3.0}, {"hz": 4.0}, {"hz": 10.0},
        {"node": 7, "times": 1}, {"node": 7, "times": 2}, {"node": 7, "times": 1},
    ]  # fmt: skip
    assert [check.label for check in checks[4:7]] == [
        "fall_detected_by_node", "fall_detected_by_node_7", "fall_detected_by_node_7",
    ]  # fmt: skip
    assert checks[7].params["nodes"] == ("a", 7)


def test_a_broken_node_does_not_make_references_wrong(load: Any) -> None:
    with pytest.raises(ScenarioError) as caught:
        load("swarmrig: 1\nnodes: {a: , b: 5}\nchecks: [fall_detected_by_node_1, console: {matches: x, node: b}]\n")
    assert [problem.line for problem in caught.value.problems] == [2]
