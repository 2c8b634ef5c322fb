"""The files that tell of a finding, whatever a guest has said."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmrig.plugins import Registry
from swarmrig.scenario.load import load_scenario
from swarmrig.search.findings import Finding
from swarmrig.search.observation import Break, Observation
from swarmrig.search.schedule import Strike, scheduled
from swarmrig.search.written import module_text, scenario_text, write_finding

S = 1_000_000_000
SCHEDULE = scheduled([Strike("cut", S, 2 * S, {"between": ["c", "s"]}), Strike("reset", 4 * S, None, {"node": "s"})], 3)


def finding(message="s: gone", place="/runs/a", **more):
    broken = Break("no_crashes", "FATAL", "<sensor>: gone", message)
    proofs = {"cut-1": "proved", "reset-2": "indeterminate"}
    run = Observation((broken,), {}, proofs, (), frozenset(), "d1", "exact", 0.1, False, place)
    return Finding(1, broken, SCHEDULE, SCHEDULE, 4, True, [run, run], 2, **more)


def test_the_scenario_loads_and_requires_what_was_proved(pair_space, tmp_path):
    space = pair_space()
    write_finding(finding(), space.scenario, space.registry, tmp_path)
    loaded = load_scenario(tmp_path / "finding-1.swarmrig.yml", registry=Registry.load())
    assert [(spec.kind, spec.at_ns, spec.required) for spec in loaded.faults] == [
        ("cut", S, True),
        ("reset", 4 * S, False),
    ]
    assert (loaded.seed, loaded.name) == (3, "pair-finding-1")


@given(st.text(max_size=400), st.text(alphabet="/ab-", max_size=300))
def test_whatever_was_said_stays_in_comments(pair_space, message, place):
    space = pair_space()
    text = scenario_text(finding(message, place), space.scenario, space.registry)
    head, _, rest = text.partition("\n\n")
    assert all(line.startswith("#") and line.isprintable() for line in head.split("\n"))
    assert rest.startswith("swarmrig: 1")


@pytest.mark.parametrize("name", ["no_crashes", 'say "no" \\ now', "über: alles", "frame_rate_above"])
def test_the_test_is_a_module_whatever_the_check_is_called(pair_space, name):
    one = finding()
    one.broken = Break(name, "FAIL", "", "")
    module = ast.parse(module_text(one, pair_space().scenario))
    (function,) = [node for node in module.body if isinstance(node, ast.FunctionDef)]
    assert function.name.startswith("test_")
    assert "holds_after_cut_then_reset" in function.name


def test_two_digests_or_a_run_that_did_not_break_are_told(pair_space):
    space = pair_space()
    one = finding()
    other = Observation((), {}, {}, (), frozenset(), "d2", "exact", 0.1, False)
    one.runs.append(other)
    assert (one.confirmed, one.digests) == (2, ("d1", "d2"))
    assert "Confirmed in 2 of 3 further runs." in scenario_text(one, space.scenario, space.registry)
