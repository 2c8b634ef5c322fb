"""The action of `ci/action.yml`, its steps executed as a CI service does it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from junitparser import JUnitXml
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
ACTION = YAML(typ="safe").load((ROOT / "ci/action.yml").read_text())
INSTALL, RUN = ACTION["runs"]["steps"]
SCENARIO = """\
swarmrig: 1
name: rooms
duration: 1s
time: virtual
nodes: {a: {role: coordinator}, b: {role: sensor}}
checks:
  - all_nodes_boot
  - console: {node: a, matches: "MATCHES"}
"""
SUITE = """\
suite: 1
name: s
processes:
  main: {command: [sh, -c, "echo COUNT n=3"]}
counters: {c: {process: main, line: COUNT}}
scenarios: {one: {}}
modes: {m: {thresholds: {one: {n: {min: 3}}}}}
"""


@dataclass
class Job:
    """A job with one step: this action."""

    place: Path
    printed: str = ""
    code: int = 0
    outputs: dict[str, str] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        return (self.place / "summary.md").read_text()

    @property
    def annotations(self) -> list[str]:
        return re.findall(r"^::(?:error|warning) .*", self.printed, re.MULTILINE)

    def step(self, step: dict, **inputs: str) -> None:
        """Run a step of the action with the inputs that a user gives."""
        values = {f"inputs.{name}": str(about.get("default", "")) for name, about in ACTION["inputs"].items()}
        values |= {f"inputs.{name.replace('_', '-')}": value for name, value in inputs.items()}
        values["github.action_path"] = str(ROOT / "ci")
        script = self.place / "step.sh"
        script.write_text(filled(step["run"], values))
        output = self.place / "output"
        output.write_text("")
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.place), "CI": "true", "GITHUB_ACTIONS": "true",
                       "RUNNER_TEMP": str(self.place / "temp"), "GITHUB_WORKSPACE": str(self.place / "checkout"),
                       "GITHUB_STEP_SUMMARY": str(self.place / "summary.md"), "GITHUB_OUTPUT": str(output),
                       "SWARMRIG_STATE_DIR": os.environ["SWARMRIG_STATE_DIR"],
                       **{name: filled(value, values) for name, value in step["env"].items()}}  # fmt: skip
        assert step["shell"] == "bash"
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)], cwd=self.place / "checkout",
            env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False,
        )  # fmt: skip
        self.printed, self.code = done.stdout, done.returncode
        values |= {f"steps.{step.get('id')}.outputs.{name}": value for name, value in read_outputs(output).items()}
        self.outputs = {name: filled(about["value"], values) for name, about in ACTION["outputs"].items()}


def filled(text: str, values: dict[str, str]) -> str:
    return re.sub(r"\$\{\{ *(.*?) *\}\}", lambda found: values.get(found[1], ""), text)


def read_outputs(path: Path) -> dict[str, str]:
    return {found[1]: found[3] for found in re.finditer(r"(\w+)<<(\w+)\n(.*?)\n\2\n", path.read_text(), re.DOTALL)}


@pytest.fixture
def job(bare_environment, tmp_path) -> Job:
    """With the package already installed: that is a step of its own."""
    (tmp_path / "checkout").mkdir()
    (tmp_path / "temp").mkdir()
    (tmp_path / "temp" / "swarmrig-venv").symlink_to(sys.prefix)
    return Job(tmp_path)


def test_a_failed_check_fails_the_step_and_is_shown_at_its_line(job):
    (job.place / "checkout" / "my rooms.swarmrig.yml").write_text(SCENARIO.replace("MATCHES", "never said"))
    job.step(RUN, scenario="my rooms.swarmrig.yml", output_dir="evidence", arguments="--seed\n8\n\n")
    assert job.code == 2, job.printed
    (annotation,) = job.annotations
    assert annotation.startswith("::error file=my rooms.swarmrig.yml,line=8,col=5,title=rooms%3A ")
    assert job.summary.startswith("# rooms: ")
    assert "seed 8" in job.summary
    directory = Path(job.outputs["directory"])
    assert directory.parent == job.place / "checkout" / "evidence"
    assert job.outputs["verdict"] in ("FAIL", "INCONCLUSIVE")
    report = JUnitXml.fromfile(job.outputs["junit"])
    assert (report.tests, report.failures + report.errors) == (2, 1)
    assert (directory / "nodes/a/console.log").exists()


def test_what_passes_passes_and_no_argument_is_a_command(job):
    (job.place / "checkout" / "a.yml").write_text(SCENARIO.replace("MATCHES", "boot"))
    job.step(RUN, scenario="a.yml", arguments="--set\nname=$(touch ../x)\n--strict")
    assert job.code == 3  # no name of a scenario, nor anything else
    assert not (job.place / "x").exists()
    job.step(RUN, scenario="a.yml", arguments="--strict")
    assert job.code == 0, job.printed
    assert job.annotations == []
    assert job.outputs["verdict"] == "PASS"


def test_a_suite_is_run_too(job):
    (job.place / "checkout" / "s.suite.yml").write_text(SUITE)
    job.step(RUN, scenario="s.suite.yml", command="suite run")
    assert job.code == 0, job.printed
    assert job.summary.startswith("# s: PASS")
    assert JUnitXml.fromfile(job.outputs["junit"]).tests == 1


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"scenario": "nowhere.yml"}, "nowhere.yml"),
        ({"scenario": "--help"}, "--help"),
        ({"scenario": "a.yml", "command": "clean; ls"}, "the command is one of"),
    ],
)
def test_what_cannot_be_run_is_said_and_has_no_directory(job, inputs, said):
    job.step(RUN, **inputs)
    assert job.code == 3
    assert said in job.printed
    assert job.outputs == {"directory": "", "junit": "", "verdict": ""}


def test_extras_are_names(job):
    job.step(INSTALL, scenario="a.yml", extras="report] evil[")
    assert job.code == 3
    assert "extras are names" in job.printed
