"""One fault at a time: which belong together, when they act, and what keeps them from a fork."""

import pytest

from swarmrig.plugins import Registry
from swarmrig.scenario.load import load_scenario
from swarmrig.suites.branches import branches_of, with_branch


@pytest.fixture
def branches(write):
    def branches(faults):
        return {
            branch.name: ([spec.id for spec in branch.faults], branch.acts_ns)
            for branch in branches_of(load_scenario(write(faults), registry=Registry.load()))
        }

    return branches


def test_each_alone(branches):
    assert branches("""
- {id: one, at: 1s, reset: {node: a}}
- {id: two, at: 500ms, cut: {between: [c, r], for: 1s}}
""") == {"one": (["one"], 1_000_000_000), "two": (["two"], 500_000_000)}


def test_with_what_heals_it_and_what_waits_for_it(branches):
    assert branches("""
- {id: one, at: 1s, cut: {between: [c, a]}}
- {id: other, at: 1.1s, reset: {node: r}}
- {id: after, when: {fault: one, stage: injected}, reset: {node: a}}
- {id: healed, at: 2s, heal: one}
""") == {
        "one": (["one", "after", "healed"], 1_000_000_000),
        "other": (["other"], 1_100_000_000),
    }


def test_what_waits_to_see_something_has_no_time(branches):
    assert branches('- {id: seen, when: {node: c, console: "boot"}, reset: {node: a}}') == {"seen": (["seen"], None)}


def test_obstacles(write):
    scenario = load_scenario(
        write("""
- {id: early, at: 500ms, reset: {node: a}}
- {id: late, at: 2s, reset: {node: a}}
- {id: seen, when: {node: c, console: "boot"}, reset: {node: a}}
"""),
        registry=Registry.load(),
    )
    early, late, seen = branches_of(scenario)
    assert late.obstacle(2_000_000_000) is None
    assert "before the fork at 1s" in early.obstacle(1_000_000_000)
    assert "counted from the beginning" in seen.obstacle(0)


def test_a_run_has_its_own_faults_and_the_checks_that_speak_of_them(write):
    head = """\
swarmrig: 1
name: two
duration: 3s
network: {topology: star, hub: c, link: {latency: 5ms}}
nodes: {c: {role: coordinator}, a: {}}
checks: [all_nodes_boot, {survives: one}, {survives: two}]
faults:
"""
    scenario = load_scenario(
        write("- {id: one, at: 1s, reset: {node: a}}\n- {id: two, at: 2s, reset: {node: a}}", head),
        registry=Registry.load(),
    )
    first = with_branch(scenario, branches_of(scenario)[0])
    assert first.name == "two-one"
    assert [spec.id for spec in first.faults] == ["one"]
    assert [check.label for check in first.checks] == [scenario.checks[0].label, scenario.checks[1].label]


def test_long_names_stay_names(write):
    scenario = load_scenario(write(f"- {{id: {'x' * 60}, at: 1s, reset: {{node: a}}}}"), registry=Registry.load())
    assert len(with_branch(scenario, branches_of(scenario)[0]).name) == 64
