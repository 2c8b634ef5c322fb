"""Parts of files and of programs that how-tos show: they fit where they are said to belong."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from swarmrig.nodes.vm.node import WithShell
from swarmrig.plugins import Registry
from swarmrig.scenario.build import Origin
from swarmrig.scenario.load import load_text

ROOT = Path(__file__).parents[2]
SWARM = """\
swarmrig: 1
duration: 60s
network: {topology: star, hub: coord}
nodes: {coord: {role: coordinator}, s1: , s2: }
"""


def blocks(name: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / "docs/howto" / name).read_text(), re.M | re.S)


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(part, id=f"{name}-{number}")
        for name in ("break-links.md", "judge-resilience.md")
        for number, part in enumerate(blocks(name, "yaml"))
        if "swarmrig: 1" not in part
    ],
)
def test_faults_and_checks_of_a_page_fit_a_scenario(part, tmp_path):
    (tmp_path / "attack.pcapng").touch()
    (tmp_path / "baselines").mkdir()
    scenario = load_text(SWARM + part, Origin("shown.yml", tmp_path, "shown"), registry=Registry.load())
    assert scenario.checks or scenario.faults


def test_what_a_linux_guest_is_asked_for_is_what_it_can_do():
    """run-a-linux-guest.md; tests/vm_nodes run the same on a guest."""
    (program,) = blocks("run-a-linux-guest.md", "python")
    names: dict[str, object] = {}
    exec(compile(program, "run-a-linux-guest.md", "exec"), names)
    assert inspect.iscoroutinefunction(names["upgrade"])
    calls = re.findall(r"\bawait web\.(\w+)\(", program)
    assert calls
    for call in calls:
        assert inspect.iscoroutinefunction(getattr(WithShell, call))


def test_the_job_of_the_page_uses_the_action_as_it_is():
    """run-in-ci.md; tests/cli/test_ci.py and the tests of ci/ run what the action runs."""
    (job,) = blocks("run-in-ci.md", "yaml")
    yaml = YAML(typ="safe")
    action = yaml.load((ROOT / "ci/action.yml").read_text())
    steps = yaml.load(job)["jobs"]["swarm"]["steps"]
    (step,) = [step for step in steps if step["uses"].endswith("/ci")]
    assert set(step["with"]) <= set(action["inputs"])
    assert {name for name, about in action["inputs"].items() if about.get("required")} <= set(step["with"])
    assert set(re.findall(rf"steps\.{step['id']}\.outputs\.(\w+)", job)) <= set(action["outputs"])


def test_the_test_in_the_readme_passes(tmp_path):
    page = (ROOT / "README.md").read_text()
    (scenario,) = re.findall(r"^```yaml\n(.*?)^```", page, re.M | re.S)
    (program,) = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    (tmp_path / "two-rooms.swarmrig.yml").write_text(scenario)
    (tmp_path / "test_readme.py").write_text(f"import pytest\n\n\n{program}")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp", "inner", "test_readme.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
