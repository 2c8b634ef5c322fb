"""`init`: what it writes is right, runs, and replaces nothing."""

from __future__ import annotations

import json
import struct

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from swarmrig.plugins import Registry
from swarmrig.scenario.load import load_scenario
from swarmrig.scenario.starter import REFERENCE, Starter, StarterError, machine_for, starter_text


def elf(machine: int, bits: int = 1) -> bytes:
    return b"\x7fELF" + bytes([bits, 1, 1]) + bytes(9) + struct.pack("<HH", 2, machine) + bytes(32)


def esp(chip: int) -> bytes:
    return b"\xe9\x02\x02\x20" + bytes(8) + struct.pack("<H", chip) + bytes(100)


@pytest.mark.parametrize(
    ("content", "machine"),
    [(elf(243), REFERENCE), (elf(40), "refnode-arm"), (esp(9), "esp32s3"), (esp(5), "esp32c3")],
)
def test_firmware_tells_its_machine(tmp_path, content, machine):
    (tmp_path / "app").write_bytes(content)
    assert machine_for(tmp_path / "app") == machine


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"\xe9", elf(62), elf(243, bits=2), esp(99), b"MZ" * 40])
def test_other_files_tell_nothing(tmp_path, content):
    (tmp_path / "app").write_bytes(content)
    with pytest.raises(StarterError, match="does not tell which machine") as caught:
        machine_for(tmp_path / "app")
    assert "--machine" in caught.value.hint


@pytest.mark.parametrize("topology", ["star", "mesh", "line", "ring"])
@pytest.mark.parametrize("nodes", ["1", "12"])
def test_every_start_is_a_valid_scenario(swarmrig, tmp_path, topology, nodes):
    if topology == "ring" and nodes == "1":
        pytest.skip("one node is no ring")
    result = swarmrig("init", "my.swarmrig.yml", "--nodes", nodes, "--topology", topology)
    if result.returncode:  # the loader says why, and nothing is left
        assert "nothing was written" in result.stderr
        assert not list(tmp_path.glob("*"))
        return
    scenario = load_scenario(tmp_path / "my.swarmrig.yml", registry=Registry.load())
    assert (scenario.name, len(scenario.nodes)) == ("my", int(nodes))
    schema = json.loads((tmp_path / "swarmrig.schema.json").read_text())
    Draft202012Validator(schema).validate(YAML(typ="safe").load((tmp_path / "my.swarmrig.yml").read_text()))
    assert {path.name for path in tmp_path.iterdir()} == {"my.swarmrig.yml", "swarmrig.schema.json"}


def test_the_commented_lines_are_valid_too(tmp_path):
    text = starter_text(Starter("all"))
    (tmp_path / "app.elf").write_bytes(elf(243))
    for line in text.splitlines():
        if line.strip().startswith("# - {") or line.strip().startswith("# - console"):
            text = text.replace(line, line.replace("# ", "", 1))
    path = tmp_path / "all.swarmrig.yml"
    path.write_text(text)
    scenario = load_scenario(path, registry=Registry.load())
    assert [fault.kind for fault in scenario.faults] == ["reset", "cut", "power_cycle"]
    assert [check.name for check in scenario.checks][-1] == "console"


def test_own_firmware_is_named_relative_to_the_file(swarmrig, tmp_path):
    (tmp_path / "build dir").mkdir()
    (tmp_path / "build dir" / 'a "q" {x}.elf').write_bytes(elf(40))
    (tmp_path / "swarms").mkdir()
    result = swarmrig("init", "swarms", "--firmware", 'build dir/a "q" {x}.elf')
    assert result.returncode == 0, result.stderr
    scenario = load_scenario(tmp_path / "swarms" / "swarm.swarmrig.yml", registry=Registry.load())
    assert {node.firmware.image.name for node in scenario.nodes} == {'a "q" {x}.elf'}
    assert "swarmrig run swarms/swarm.swarmrig.yml" in result.stdout


def test_nothing_is_replaced_unless_asked(swarmrig, tmp_path):
    (tmp_path / "swarm.swarmrig.yml").write_text("mine")
    result = swarmrig("init")
    assert result.returncode == 3
    assert "is there already" in result.stderr
    assert (tmp_path / "swarm.swarmrig.yml").read_text() == "mine"
    assert swarmrig("init", "--force").returncode == 0
    assert (tmp_path / "swarm.swarmrig.yml").read_text() != "mine"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--firmware", "nowhere.elf"], "nowhere.elf"),
        (["--machine", "toaster"], "toaster"),
        (["--nodes", "0"], "--nodes"),
    ],
)
def test_what_cannot_be_is_said_and_leaves_nothing(swarmrig, tmp_path, arguments, said):
    result = swarmrig("init", *arguments)
    assert result.returncode == 3
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.glob("*.yml"))
