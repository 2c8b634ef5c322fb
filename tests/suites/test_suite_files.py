"""Suite files: what they mean, and every mistake with its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from swarmrig.errors import ScenarioError
from swarmrig.scenario.located import parse
from swarmrig.scenario.problems import Problems
from swarmrig.scenario.tree import plain
from swarmrig.suites.load import load_suite, load_suite_text
from swarmrig.suites.media import MEDIA_FAULTS
from swarmrig.suites.native import suite_schema
from swarmrig.suites.variables import filled, names_in

EXAMPLE = Path(__file__).parents[2] / "examples" / "media-faults" / "media-faults.suite.yml"

SMALL = """\
suite: 1
name: small
with: {count: 3}
processes:
  server: {command: "serve {tmp}", ready: 'port (?P<port>\\d+)', background: true}
  client: {command: [ask, "{port}", "{count}"], after: [server], env: {MODE: "{mode}"}}
wires: {rtp: {to: "{port}", after: [server], link: {latency: 5ms}}}
artifacts: {stats: stats.json}
counters:
  wire: {wire: rtp, match: [csi.node, csi.seq], from: "udp.dport == 5005"}
  asked: {process: client, line: ASKED}
  seen: {process: server, patterns: {requests: "GET", last: "took ([0-9]+) ms"}}
  stats: {artifact: stats}
scenarios:
  calm: {}
  stalled: {name: It stalls, with: {count: 9}, faults: [{at: 10ms, pause: {process: server, for: 1s}}]}
  killed: {faults: [{at: 1s, kill: {process: client}}], exits: {client: [-9]}}
  swarm: {run: two.swarmrig.yml, set: {duration: 3s}}
modes:
  fast:
    thresholds:
      all: {asked.total: {min: 1}, took: {max: 9.5, in: seen}}
      stalled: {took: {max: 20, in: seen, title: slowest}}
  slow: {with: {count: 1}}
"""


def load(text: str):
    return load_suite_text(text, "small.suite.yml", Path("/somewhere"))


def problems_of(text: str) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        load(text)
    return [str(problem) for problem in caught.value.problems]


def test_the_example_declares_the_suite_that_summarize_knows():
    plan = load_suite(EXAMPLE)
    assert (plan.suite.task, plan.suite.shape.processes) == (MEDIA_FAULTS.task, MEDIA_FAULTS.shape.processes)
    assert plan.suite.shape == MEDIA_FAULTS.shape
    assert tuple(plan.suite.scenarios) == tuple(MEDIA_FAULTS.scenarios)
    for mode, thresholds in MEDIA_FAULTS.modes.items():
        assert plan.suite.modes[mode].as_json() == thresholds.as_json()


def test_what_a_file_means():
    plan = load(SMALL)
    server, client = plan.processes
    assert client.command == ("ask", "{port}", "{count}")
    (wire,) = plan.wires
    assert (wire.to, wire.after, wire.impairment.latency_ns) == ("{port}", ("server",), 5_000_000)
    assert plan.suite.shape.artifacts == ("stats", "rtp_near", "rtp_far")
    assert (server.background, client.after) == (True, ("server",))
    assert plan.scenario("stalled").faults[0].for_ns == 10**9
    assert plan.scenario("killed").faults[0].kind == "kill"
    assert plan.scenario("swarm").run == Path("/somewhere/two.swarmrig.yml")
    assert plan.scenario("swarm").overrides == (("duration", "3s"),)
    assert plan.suite.task == "small"
    shape = plan.suite.shape_of("killed")
    assert shape.processes == ("server", "client", "faults")
    assert shape.is_right("client", -9)
    assert not shape.is_right("client", 0)
    assert plan.suite.shape_of("swarm").processes == ("rig",)
    limits = {threshold.name: threshold.limit for threshold in plan.suite.thresholds("fast").of("stalled")}
    assert limits == {"asked.total_min": 1, "slowest": 20}
    assert plan.mode_variables["slow"] == {"count": "1"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("suite: 1", "suite: 2", "1:8: suite: expected 1"),
        ("suite: 1", "siute: 1", "1:1: expected a mapping with `suite: 1`"),
        ("name: small", "nmae: small", "2:1: unknown key 'nmae' (did you mean 'name'?)"),
        ("{count: 3}", "{count: [3]}", "3:"),
        ("with: {count: 3}", "with: {}", "6:3: unknown variable {count}"),
        ('"{port}"', '"{prt}"', "6:3: unknown variable {prt} (did you mean 'port'?)"),
        ("after: [server], ", "", "6:3: unknown variable {port}"),
        ("after: [server]", "after: [sever]", "unknown process or wire 'sever' (did you mean 'server'?)"),
        ("after: [server]", "after: [client]", "'client' would start after itself"),
        ("background: true", "backgruond: true", "unknown key 'backgruond' (did you mean 'background'?)"),
        ("port (?P<port>\\d+)", "port (?P<port>", "not a regular expression"),
        ("line: ASKED", "lines: ASKED", "unknown key 'lines' (did you mean 'line'?)"),
        ("{process: client, line: ASKED}", "{process: client}", "11:3: counters 'asked': expected one of"),
        ("{process: client, line: ASKED}", "{line: ASKED}", "whose log is it"),
        ("{artifact: stats}", "{artifact: stat}", "unknown artifact 'stat'"),
        ("{artifact: stats}", "{artifact: stats, process: client}", "belongs to no process"),
        ("{wire: rtp, match", "{wire: rpt, match", "unknown wire 'rpt' (did you mean 'rtp'?)"),
        ("csi.node", "csi.nod", "unknown field 'csi.nod' (did you mean 'csi.node'?)"),
        ('"udp.dport == 5005"', '"udp.dprt == 5005"', "unknown field 'udp.dprt', did you mean"),
        ("{wire: rtp, match", "{wire: rtp, process: client, match", "a wire belongs to no process"),
        ("{artifact: stats}", "{artifact: stats, at: near}", "match, from, to and at belong to a wire"),
        ("{latency: 5ms}", "{latncy: 5ms}", "unknown key 'latncy' (did you mean 'latency'?)"),
        ('{to: "{port}", after: [server]', '{to: "{port}", after: [rtp]', "'rtp' would start after itself"),
        ('{to: "{port}", after: [server]', '{to: "{port}"', "unknown variable {port}"),
        ("{to: \"{port}\"", "{to: 0", "to: "),
        ("wires: {rtp:", "wires: {client:", "'client' is the name of a wire, too"),
        ("calm: {}", "all: {}", "no scenario can be called 'all'"),
        ("pause: {process: server, for: 1s}", "pause: {process: server}", "missing key 'for'"),
        ("pause: {process: server, for: 1s}", "pause: {process: sever, for: 1s}", "unknown process 'sever'"),
        ("{at: 1s, kill: {process: client}}", "{at: 1s}", "expected one of pause, kill"),
        ("set: {duration: 3s}", "faults: [{at: 1s, kill: {process: client}}]", "runs a swarm"),
        ("{run: two.swarmrig.yml, set: {duration: 3s}}", "{set: {duration: 3s}}", "there is none"),
        ("set: {duration: 3s}", "exits: {client: [1]}", "unknown process 'client' (known: rig)"),
        ("stalled: {took:", "staled: {took:", "unknown scenario 'staled' (did you mean 'stalled'?)"),
        ("{max: 20, in: seen, title: slowest}", "{}", "expected min, max or both"),
        ("{max: 20, in: seen, title: slowest}", "{max: much}", "max: expected a number"),
        ("{max: 20, in: seen, title: slowest}", "{max: .nan}", "23:29: max: expected a number"),
        ("{max: 20, in: seen, title: slowest}", "{max: 20, in: sen}", "unknown counters 'sen'"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_their_place(old, new, said):
    assert old in SMALL
    found = problems_of(SMALL.replace(old, new, 1))
    assert any(said in problem for problem in found), found
    assert all(problem.startswith("small.suite.yml:") for problem in found)


def test_all_mistakes_are_told_together():
    wrong = SMALL.replace("{duration: 3s}", "[]").replace("line: ASKED", "line: 5").replace("min: 1", "mni: 1")
    assert len(problems_of(wrong)) == 3
    unknown = (
        SMALL.replace("[server]", "[sever]", 1).replace("artifact: stats", "artifact: x").replace("{tmp}", "{tpm}")
    )
    assert len(problems_of(unknown)) == 4  # without its server, the client has no port


@pytest.mark.parametrize("text", ["", "[]", "suite", "suite: 1\nprocesses: {", "a: &a [*a]", "suite: 1"])
def test_what_is_no_suite_at_all(text):
    assert problems_of(text)


def test_background_alone_never_ends():
    text = SMALL.replace("after: [server],", "after: [server], background: true,", 1)
    assert any("no scenario would ever end" in problem for problem in problems_of(text))


@pytest.mark.parametrize("text", [SMALL, EXAMPLE.read_text()])
def test_schema_accepts_what_is_read(text):
    tree = parse(text, "x", Problems())
    assert tree is not None
    Draft202012Validator.check_schema(suite_schema())
    assert list(Draft202012Validator(suite_schema()).iter_errors(plain(tree))) == []


def test_schema_refuses_unknown_keys():
    assert list(Draft202012Validator(suite_schema()).iter_errors({"suite": 1, "scenarios": {"a": {"nmae": "x"}}}))


def test_braces_and_variables():
    assert filled('{{"n": {n}}} {x y} {}', {"n": "5"}) == '{"n": 5} {x y} {}'
    assert names_in("{{no}} {yes} {{{also}}}") == {"yes", "also"}
    with pytest.raises(KeyError):
        filled("{n}", {})


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.text(max_size=60))
def test_any_text_either_loads_or_is_refused(text):
    for each in (text, SMALL.replace("small", text), SMALL.replace("{count: 3}", text)):
        try:
            load(each)
        except ScenarioError as error:
            assert error.problems
