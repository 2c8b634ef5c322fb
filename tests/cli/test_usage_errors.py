"""Wrong usage and wrong files: exit 3, a text that helps, never a traceback."""

from __future__ import annotations

import pytest

from swarmrig.cli.bare_plan import check_wiring
from swarmrig.cli.failures import describe_failure, report_failure
from swarmrig.cli.main import main
from swarmrig.errors import HostError, Problem, ScenarioError
from swarmrig.model.scenario import FaultSpec, NetworkSpec, NodeSpec, Scenario, TimeMode, Topology
from swarmrig.plugins import Registry


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rnu"], "Did you mean 'run'?"),
        (["frobnicate"], "No such command 'frobnicate'"),
        (["run"], "Missing argument"),
        (["run", "standard", "--sed", "1"], "--seed"),
        (["run", "standard", "--seed", "-1"], "--seed"),
        (["run", "standard", "--seed", "many"], "--seed"),
        (["run", "standard", "--duration", "0"], "greater than zero"),
        (["run", "standard", "--duration", "5 parsecs"], "50ms, 1.5s or 2m"),
        (["run", "standard", "--time", "fake"], "'auto', 'virtual', 'paced', 'real'"),
        (["run", "standard", "--set", "duration"], "expected PATH=VALUE"),
        (["run", "standard", "--set", "=1"], "expected PATH=VALUE"),
        (["run", "standard", "--baseline-fail", "nodes.*.sent:5%"], "needs --baseline RUN"),
        (["run", "standard", "--baseline", "x", "--baseline-fail", "5%"], "expected METRIC:TOLERANCE"),
        (["run", "standard", "--baseline", "nowhere"], "cannot read the former run"),
        (["graph", "standard", "--format", "png"], "png"),
        (["validate"], "Missing argument"),
        (["completion", "tcsh"], "tcsh"),
        (["schema", "everything"], "everything"),
    ],
)
def test_wrong_usage_is_3_and_says_what_is_right(swarmrig, arguments, said):
    result = swarmrig(*arguments)
    assert result.returncode == 3
    assert said in result.stderr
    assert "error: " in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_without_arguments_the_help_is_shown(swarmrig):
    result = swarmrig()
    assert result.returncode == 3
    assert "Commands:" in result.stderr + result.stdout


def test_environment_sets_options_and_the_option_wins(swarmrig):
    assert "SWARMRIG_DURATION" in swarmrig("run", "standard", env={"SWARMRIG_DURATION": "x"}).stderr
    result = swarmrig("run", "standard", "--seed", "oops", env={"SWARMRIG_SEED": "1"})
    assert "oops" in result.stderr


def test_elsewhere_than_on_linux_the_container_is_named(monkeypatch, capsys):
    monkeypatch.setattr("sys.platform", "darwin")
    assert main(["presets"]) == 3
    assert "Containerfile" in capsys.readouterr().err


def test_every_problem_of_a_scenario_is_a_line(capsys):
    error = ScenarioError(
        [Problem("unknown key 'x'", "a.yml", 3, 5, "did you mean 'y'?"), Problem("no nodes", "a.yml")]
    )
    assert report_failure(error) == 3
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["a.yml:3:5: unknown key 'x' (did you mean 'y'?)", "a.yml: no nodes"]
    assert lines[2] == "error: 2 problems found"


def test_user_errors_in_a_group_are_said_once_each(capsys):
    group = BaseExceptionGroup(
        "tasks", [HostError("no disk", hint="buy one"), ExceptionGroup("", [HostError("no net")])]
    )
    assert report_failure(group) == 3
    assert capsys.readouterr().err == "error: no disk\n  hint: buy one\nerror: no net\n"


def test_a_full_disk_is_no_bug(capsys):
    assert report_failure(OSError(28, "No space left on device", "/full/file")) == 3
    assert capsys.readouterr().err == "error: /full/file: No space left on device\n"


def test_a_bug_keeps_its_traceback_and_says_that_it_is_one(capsys):
    try:
        raise ZeroDivisionError("oh")
    except ZeroDivisionError as error:
        assert report_failure(error) == 3
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "this is a bug in swarmrig" in said


def test_interruption_is_130(capsys):
    assert report_failure(KeyboardInterrupt()) == 130
    assert report_failure(BaseExceptionGroup("", [KeyboardInterrupt(), HostError("x")])) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_description_for_machines_names_type_hint_and_problems():
    described = describe_failure(ScenarioError([Problem("bad", "a.yml", 1, 2)], hint="mend it"))
    assert described == [
        {
            "type": "ScenarioError",
            "message": "a.yml:1:2: bad",
            "hint": "mend it",
            "problems": [Problem("bad", "a.yml", 1, 2)],
            "warnings": [],
        }
    ]


FOREIGN = """\
swarm: {name: x, duration_s: 10, topology: TOPOLOGY, wibble: 3}
nodes:
  - {role: coordinator, node_id: 0, frobnicate: 1}
  - {role: sensor, node_id: 1}
assertions: [CHECK]
"""


@pytest.mark.parametrize("command", ["validate", "run", "plan", "graph"])
@pytest.mark.parametrize(("topology", "check"), [("ringg", "all_nodes_boot"), ("star", "no_such")])
def test_what_is_strange_in_a_file_is_told_with_what_is_wrong(swarmrig, tmp_path, command, topology, check):
    (tmp_path / "b.yml").write_text(FOREIGN.replace("TOPOLOGY", topology).replace("CHECK", check))
    result = swarmrig(command, "b.yml")
    assert result.returncode == 3
    for key in ("wibble", "frobnicate"):
        assert f"unknown key '{key}' is ignored" in result.stderr
    assert "error: 1 problem found" in result.stderr


def test_also_when_only_the_wiring_is_wrong():
    nodes = (NodeSpec("a", 0), NodeSpec("b", 1))
    cut = FaultSpec("cut-1", "cut", 1, None, {"between": ["a", "c"]})
    network = NetworkSpec(topology=Topology.MESH)
    scenario = Scenario("x", 10, 0, TimeMode.REAL, network, nodes, (cut,), warnings=("strange",))
    with pytest.raises(ScenarioError, match="cut") as caught:
        check_wiring(scenario, Registry.load())
    assert caught.value.warnings == ("strange",)
