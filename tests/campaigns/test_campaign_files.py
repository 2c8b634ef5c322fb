"""Campaign files: what is understood, and every mistake with its place."""

import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmrig.campaigns.load import load_campaign, load_campaign_text
from swarmrig.campaigns.native import campaign_schema
from swarmrig.campaigns.plan import combinations, is_excluded, matches, size_of
from swarmrig.campaigns.seeds import parse_seeds
from swarmrig.errors import ScenarioError
from swarmrig.scenario.located import parse
from swarmrig.scenario.problems import Problems
from swarmrig.scenario.tree import plain

EXAMPLE = Path(__file__).parents[2] / "examples/campaign/nightly.campaign.yml"


def load(text, here=Path("/nowhere")):
    return load_campaign_text("campaign: 1\n" + text, "night.yml", here)


def problems_of(text):
    with pytest.raises(ScenarioError) as caught:
        load(text)
    return [str(problem) for problem in caught.value.problems]


def titles(plan):
    return [combination.title for combination in combinations(plan)]


def test_axes_are_multiplied_in_file_order():
    plan = load("""
scenarios: [a.yml, smoke]
set: [duration=9s]
matrix:
  loss: [network.link.loss=0%, network.link.loss=5%]
  mode: {slow: [x=1, y=2], quick: z=3}
""")
    assert plan.name == "night"
    first, *others = combinations(plan)
    assert first.settings == ("duration=9s", "network.link.loss=0%", "x=1", "y=2")
    assert first.variant == {"loss": "0%", "mode": "slow"}
    assert [each.title for each in others][:4] == [
        "a.yml (loss 0%, mode quick)",
        "a.yml (loss 5%, mode slow)",
        "a.yml (loss 5%, mode quick)",
        "smoke (loss 0%, mode slow)",
    ]
    assert len(others) == 7


def test_firmware_is_an_axis_of_paths_relative_to_the_campaign():
    plan = load("scenarios: [sub/a.yml, smoke]\nmatrix: {firmware: {v1: build/v1.elf, odd: 'b c.elf', own: x.y=1}}\n")
    settings = [combination.settings for combination in combinations(plan)]
    assert settings == [
        ("defaults.firmware.image=../build/v1.elf",),
        ('defaults.firmware.image="../b c.elf"',),
        ("x.y=1",),
        ("defaults.firmware.image=build/v1.elf",),
        ('defaults.firmware.image="b c.elf"',),
        ("x.y=1",),
    ]


def test_what_is_excluded_and_included():
    plan = load("""
scenarios: [a.yml, {run: b.yml, seeds: 4..6}]
matrix: {loss: {none: x=0, poor: x=1}, size: {s: y=1, l: y=2}}
seeds: [1, 7..9]
exclude:
  - {scenario: b, loss: poor}
  - {loss: none, size: [l, "x*"]}
  - {seed: 7..8, size: s}
include:
  - {label: worst, set: [x=9, y=9], scenarios: [b.yml], seeds: 100}
""")
    assert titles(plan) == [
        "a.yml (loss none, size s)",
        "a.yml (loss poor, size s)",
        "a.yml (loss poor, size l)",
        "b.yml (loss none, size s)",
        "b.yml (include worst)",
    ]
    seeds = {
        each.title: [seed for seed in each.seeds if not is_excluded(plan, each, seed)] for each in combinations(plan)
    }
    assert seeds["a.yml (loss none, size s)"] == [1, 9]
    assert seeds["a.yml (loss poor, size l)"] == [1, 7, 8, 9]
    assert seeds["b.yml (loss none, size s)"] == [4, 5, 6]
    assert seeds["b.yml (include worst)"] == [100]


def test_a_million_runs_are_refused_with_the_count_and_its_factors_before_they_are_multiplied():
    axes = "\n".join(f"  a{number}: [{', '.join(f'x.y={value}' for value in range(100))}]" for number in range(9))
    (problem,) = problems_of(f"scenarios: [a.yml]\nmatrix:\n{axes}\nseeds: 1..1000000\n")
    assert f"this is {100**9 * 1_000_000} runs (1 scenario × 100 of a0 × " in problem
    assert "× 1000000 seeds), more than the limit of 10000" in problem
    assert "limit: N" in problem
    (problem,) = problems_of("scenarios: [a.yml]\nseeds: 0..9223372036854775807\nrepetitions: 3\n")
    assert "this is 27670116110564327424 runs ((1 scenario × 9223372036854775808 seeds) × 3 repetitions)" in problem


def test_the_limit_can_be_raised():
    assert size_of(load("scenarios: [a.yml]\nseeds: 1..20000\nlimit: 20000\n").values).runs == 20_000


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("", "night.yml:1:1", "missing key 'scenarios'"),
        ("scenarios: []", "night.yml:2:12", "at least 1 item"),
        ("scenarios: [a.yml, a.yml]", "night.yml:2:1", "'a.yml' is there twice"),
        ("scenario: [a.yml]", "night.yml:2:1", "did you mean 'scenarios'?"),
        ("scenarios: [{run: a.yml, seed: 1}]", "night.yml:2:26", "did you mean 'seeds'?"),
        ("scenarios: [a.yml]\nseeds: 9..1", "night.yml:3:8", "from the smaller to the larger"),
        ("scenarios: [a.yml]\nseeds: [1, 1..3]", "night.yml:3:8", "seed 1 is there twice"),
        ("scenarios: [a.yml]\nseeds: some", "night.yml:3:8", "a range such as 1..20"),
        ("scenarios: [a.yml]\nseeds: -1", "night.yml:3:8", "expected seeds"),
        ("scenarios: [a.yml]\nmatrix: {loss: [5%]}", "night.yml:3:16", "'5%' is no setting: expected path=value"),
        ("scenarios: [a.yml]\nmatrix: {loss: {poor: 5%}}", "night.yml:3:10", "loss poor: expected path=value"),
        ("scenarios: [a.yml]\nmatrix: {loss: {}}", "night.yml:3:16", "at least 1 item"),
        ("scenarios: [a.yml]\nmatrix: {loss: [x=1, x=1]}", "night.yml:3:16", "settings that differ"),
        ("scenarios: [a.yml]\nmatrix: {seed: {a: x=1}}", "night.yml:3:10", "cannot be called 'seed'"),
        ("scenarios: [a.yml]\nset: [duration]", "night.yml:3:7", "expected a setting, path=value"),
        ("scenarios: [a.yml]\nexclude: [{lost: x}]", "night.yml:3:12", "there is no axis 'lost'"),
        (
            "scenarios: [a.yml]\nmatrix: {loss: {poor: x=1}}\nexclude: [{loss: pore}]",
            "night.yml:4:12",
            "did you mean 'poor'?",
        ),
        ("scenarios: [a.yml]\nexclude: [{scenario: b}]", "night.yml:3:12", "scenario has no 'b'"),
        ("scenarios: [a.yml]\nexclude: [{seed: x}]", "night.yml:3:12", "seed: expected seeds"),
        ("scenarios: [a.yml]\nquarantine: [{match: {seed: 1}}]", "night.yml:3:14", "missing key 'reason'"),
        (
            "scenarios: [a.yml]\nquarantine: [{match: {seed: 1}, reason: x, until: 31.1.2027}]",
            "night.yml:3:51",
            "expected a day such as 2027-01-31",
        ),
        (
            "scenarios: [a.yml]\ninclude: [{label: x, set: a=1, scenarios: [b.yml]}]",
            "night.yml:3:32",
            "there is no scenario 'b.yml'",
        ),
        ("scenarios: [a.yml]\nretries: lots", "night.yml:3:10", "a whole number"),
        ("scenarios: [a.yml]\ntimeout: 0s", "night.yml:3:10", "more than 0"),
        ("scenarios: [a.yml]\nresources: {cores: 0}", "night.yml:3:20", "more than 0"),
        ("scenarios: [a.yml]\nkeep: none", "night.yml:3:7", "expected one of all, failed"),
    ],
)
def test_mistakes_are_told_with_their_place(text, place, message):
    found = problems_of(text)
    assert any(problem.startswith(f"{place}: ") and message in problem for problem in found), found


def test_all_mistakes_are_told_together():
    found = problems_of("scenarios: [a.yml]\nseeds: x\nretries: -1\nlimitt: 3\n")
    assert [problem.split(": ")[0] for problem in found] == ["night.yml:3:8", "night.yml:4:10", "night.yml:5:1"]


@pytest.mark.parametrize("text", ["", "- 1", "swarmrig: 1", "campaign: 2\nscenarios: [a]", "campaign: [", "\0"])
def test_what_is_no_campaign_is_told(text):
    with pytest.raises(ScenarioError):
        load_campaign_text(text, "night.yml", Path())


@given(st.text(max_size=60))
def test_any_text_is_a_campaign_or_an_error(text):
    try:
        load_campaign_text("campaign: 1\nscenarios: [a]\n" + text, "night.yml", Path())
    except ScenarioError as error:
        assert error.problems


def test_the_schema_takes_what_is_taken():
    jsonschema.Draft202012Validator.check_schema(campaign_schema())
    for text in (
        EXAMPLE.read_text(),
        "campaign: 1\nscenarios: [a, {run: b}]\nseeds: [1, 2..3]\nexclude: [{seed: 1}]\n",
    ):
        jsonschema.validate(plain(parse(text, "x", Problems())), campaign_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"campaign": 1}, campaign_schema())


def test_the_example_is_understood():
    plan = load_campaign(EXAMPLE)
    assert size_of(plan.values).runs == 8
    assert json.dumps(titles(plan)).count("two-rooms") == 2


RANGES = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5)), min_size=1, max_size=6)


@given(RANGES)
def test_seeds_are_counted_as_they_are_listed(pairs):
    texts = [str(first) if not more else f"{first}..{first + more}" for first, more in pairs]
    expected = [seed for first, more in pairs for seed in range(first, first + more + 1)]
    try:
        seeds = parse_seeds([int(text) if text.isdigit() else text for text in texts])
    except ValueError as error:
        assert "twice" in str(error)
        assert len(set(expected)) < len(expected)
        return
    assert list(seeds) == expected
    assert seeds.count == len(expected) == len(set(expected))
    assert str(seeds) == ", ".join(texts)


@given(st.integers(1, 4), st.lists(st.integers(1, 4), max_size=3), st.integers(1, 5), st.integers(1, 3))
def test_the_size_is_what_comes_out(scenarios, axes, seeds, repetitions):
    matrix = {f"a{index}": [f"x{index}.y={value}" for value in range(count)] for index, count in enumerate(axes)}
    values = {
        "scenarios": [f"s{index}.yml" for index in range(scenarios)],
        "matrix": matrix,
        "repetitions": repetitions,
    }
    text = json.dumps({"campaign": 1, **values, "seeds": f"1..{seeds}"})
    plan = load_campaign_text(text, "n.yml", Path())
    assert size_of(plan.values).runs == len(list(combinations(plan))) * seeds * repetitions


@given(st.sets(st.sampled_from("abc")), st.sampled_from("abc"), st.integers(0, 3))
def test_a_match_needs_all_that_it_names(wanted, label, seed):
    match = {"axis": tuple(sorted(wanted)), "seed": ("1..2",)}
    assert matches(match, "s.yml", {"axis": label}, seed) == (label in wanted and seed in (1, 2))
    assert not matches({"other": ("*",)}, "s.yml", {"axis": label}, seed)
