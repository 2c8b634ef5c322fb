"""Commands that launch nothing: what they print for good and for wrong input."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree

import jsonschema
import pytest

from swarmrig.cli.examination import probe_lines
from swarmrig.runtime.doctor import Probe

PRESETS = ["smoke", "standard", "large-mesh", "line-relay", "ring-fault", "heterogeneous", "ci-matrix", "chaos"]

BROKEN = """\
swarmrig: 1
name: broken
duration: soon
nodes:
  a: {rol: sensor}
checks: [all_nodes_bot]
"""


@pytest.fixture
def broken_file(tmp_path):
    path = tmp_path / "broken.yml"
    path.write_text(BROKEN)
    return path


def test_presets_are_listed(swarmrig):
    result = swarmrig("presets")
    assert (result.returncode, result.stderr) == (0, "")
    assert [line.split()[0] for line in result.stdout.splitlines()[1:]] == PRESETS
    listed = json.loads(swarmrig("presets", "--json").stdout)
    assert [preset["name"] for preset in listed] == PRESETS
    assert listed[1]["nodes"] == 3
    assert listed[1]["topology"] == "star"


def test_valid_files_are_ok(swarmrig, scenario_file):
    result = swarmrig("validate", str(scenario_file), "standard")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[0] == f"{scenario_file}: ok: pair, 2 nodes, 1 check"


def test_all_errors_of_all_files_are_told_with_their_places(swarmrig, broken_file, scenario_file):
    result = swarmrig("validate", "broken.yml", str(scenario_file), "missing.yml")
    assert result.returncode == 3
    for place in ("broken.yml:3:11: ", "broken.yml:5:7: ", "broken.yml:6:10: ", "missing.yml: "):
        assert place in result.stderr
    assert "all_nodes_boot" in result.stderr
    assert "ok: pair" in result.stdout
    assert "Traceback" not in result.stderr


def test_a_fault_on_a_link_that_does_not_exist_is_told(swarmrig, tmp_path, scenario_file):
    text = scenario_file.read_text() + "faults:\n  - {at: 1s, cut: {between: [s1, s2], for: 1s}}\n"
    text = text.replace("checks:", "  s2: {role: sensor, config: {tdm_slot: 2}}\nchecks:")
    (tmp_path / "cut.yml").write_text(text)
    result = swarmrig("validate", "cut.yml")
    assert result.returncode == 3
    assert "cut.yml:11:14: " in result.stderr
    assert "no link joins s1 and s2" in result.stderr


def test_errors_for_machines(swarmrig, broken_file, scenario_file):
    result = swarmrig("validate", "--json", "broken.yml", str(scenario_file))
    assert result.returncode == 3
    first, second = json.loads(result.stdout)
    assert not first["valid"]
    (error,) = first["errors"]
    assert {(problem["line"], problem["column"]) for problem in error["problems"]} == {(3, 11), (5, 7), (6, 10)}
    assert second == {"file": str(scenario_file), "valid": True, "warnings": []}


@pytest.mark.parametrize("command", ["run", "up", "plan", "show", "graph"])
def test_wrong_files_stop_every_command(swarmrig, broken_file, command, tmp_path):
    result = swarmrig(command, "broken.yml")
    assert result.returncode == 3
    assert "broken.yml:3:11: " in result.stderr
    assert result.stdout == ""
    assert not (tmp_path / "runs").exists()


def test_a_preset_that_does_not_exist_is_suggested(swarmrig):
    result = swarmrig("run", "standart")
    assert result.returncode == 3
    assert "standard" in result.stderr


def test_an_error_is_the_last_json_line(swarmrig, broken_file):
    result = swarmrig("run", "broken.yml", "--json")
    assert result.returncode == 3
    last = json.loads(result.stdout.splitlines()[-1])
    assert last["kind"] == "error"
    assert last["errors"][0]["type"] == "ScenarioError"


def test_overrides_and_options_are_seen(swarmrig, scenario_file):
    arguments = ["--set", "network.link.latency=50ms", "--set", "nodes.s1.config.channel=11", "--seed", "9"]
    shown = swarmrig("show", str(scenario_file), *arguments, "--duration", "2m", "--time", "real").stdout
    assert "time: real" in shown
    assert "duration: 2m" in shown
    assert "seed: 9" in shown
    assert "latency: 50ms" in shown
    assert "channel: 11" in shown


def test_the_environment_chooses_the_clock(swarmrig, scenario_file):
    assert "time: auto" in swarmrig("show", str(scenario_file)).stdout
    chosen = {"SWARMRIG_TIME": "virtual"}
    assert "time: virtual" in swarmrig("show", str(scenario_file), env=chosen).stdout
    assert "time: real" in swarmrig("show", str(scenario_file), "--time", "real", env=chosen).stdout


def test_wrong_overrides_name_the_option(swarmrig, scenario_file):
    result = swarmrig("show", str(scenario_file), "--set", "nodes.s1.config.chanel=11")
    assert result.returncode == 3
    assert "--set" in result.stderr
    assert "channel" in result.stderr


@pytest.mark.parametrize("preset", PRESETS)
def test_what_show_prints_is_the_same_scenario(swarmrig, tmp_path, preset):
    first = swarmrig("show", preset).stdout
    (tmp_path / "again.yml").write_text(first)
    again = swarmrig("show", "again.yml")
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout == first


def test_plan_says_all_that_would_be_launched(swarmrig, tmp_path):
    result = swarmrig("plan", "ring-fault", "--json")
    assert result.returncode == 0, result.stderr
    plan = json.loads(result.stdout)
    assert plan["name"] == "ring-fault"
    assert plan["tier"] == "exact"
    assert len(plan["nodes"]) == 4
    for node in plan["nodes"]:
        assert "qemu-system-riscv32" in node["command"][0]
        assert any(node["mac"] in word for word in node["command"])
        assert node["ip"]
    assert [fault["kind"] for fault in plan["faults"]] == ["cut"]
    assert plan["faults"][0]["does"]
    assert {"all_nodes_boot", "network_partitioned_recovery"} <= {check["name"] for check in plan["checks"]}
    assert {link["name"] for link in plan["network"]["links"]} >= {"n0--n1", "n1--n2", "n2--n3"}
    assert not list(tmp_path.iterdir())


def test_plan_in_text_has_every_section(swarmrig):
    result = swarmrig("plan", "ring-fault")
    assert result.returncode == 0, result.stderr
    for said in (
        "nodes\n",
        "network: ring\n",
        "faults\n",
        "checks\n",
        "warnings\n",
        "aggregator: 10.0.0.1/24",
        "router",
    ):
        assert said in result.stdout


def test_missing_firmware_is_told_before_anything_starts(swarmrig, scenario_file, tmp_path):
    result = swarmrig("run", str(scenario_file), "--set", "nodes.s1.firmware.image=nowhere.elf")
    assert result.returncode == 3
    assert "nowhere.elf" in result.stderr
    assert "Traceback" not in result.stderr


def test_missing_emulator_is_told(swarmrig):
    result = swarmrig("run", "smoke", "--qemu-path", "/nowhere/qemu")
    assert result.returncode == 3
    assert "/nowhere/qemu" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("place", ["/dev/null/runs", "/proc/runs"])
def test_an_unwritable_output_directory_is_told(swarmrig, place):
    result = swarmrig("run", "smoke", "--output-dir", place)
    assert result.returncode == 3
    assert place in result.stderr
    assert "--output-dir" in result.stderr
    assert "Traceback" not in result.stderr


def test_graph_in_all_forms(swarmrig):
    assert "n0 " in swarmrig("graph", "line-relay").stdout
    assert "flowchart LR" in swarmrig("graph", "line-relay", "--format", "mermaid").stdout
    picture = swarmrig("graph", "line-relay", "--format", "svg").stdout
    assert ElementTree.fromstring(picture).tag.endswith("svg")


@pytest.mark.parametrize("which", ["scenario", "results"])
def test_schemas_are_schemas(swarmrig, which):
    schema = json.loads(swarmrig("schema", which).stdout)
    jsonschema.validators.validator_for(schema).check_schema(schema)


def test_schema_of_scenarios_is_the_default(swarmrig):
    assert swarmrig("schema").stdout == swarmrig("schema", "scenario").stdout


def test_doctor_prints_a_table_and_its_json(swarmrig):
    result = swarmrig("doctor", "--json")
    probes = json.loads(result.stdout)
    fit = all(probe["ok"] for probe in probes if probe["required"])
    assert result.returncode == (0 if fit else 1)
    assert {"qemu-system-riscv32", "kvm", "tap", "docker"} <= {probe["name"] for probe in probes}


def test_doctor_says_what_is_needed_and_what_is_optional():
    required = Probe("qemu", False, "not found", "apt install qemu", required=True)
    optional = Probe("docker", False, "not there", "apt install docker.io")
    lines = list(probe_lines([required, optional, Probe("tap", True, "made")], colours=False))
    assert lines[0] == "MISSING qemu    not found"
    assert lines[1].strip() == "hint: apt install qemu"
    assert lines[2].startswith("-       docker")
    assert lines[4].startswith("ok      tap")
    assert lines[-1] == "The presets cannot run here: qemu."
    assert "can run here" in list(probe_lines([optional], colours=False))[-1]
