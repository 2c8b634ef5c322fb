"""A package that knows only the public interface brings a kind of node, a fault and a check: by entry points alone."""

from __future__ import annotations

import importlib
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from swarmrig.errors import HostError, ScenarioError
from swarmrig.model.facts import FaultStage
from swarmrig.model.scenario import NodeSpec, TimeMode
from swarmrig.model.verdict import Outcome
from swarmrig.plugins import Registry
from swarmrig.runtime.plan import make_plan
from swarmrig.runtime.run import FinishedRun, RunOptions, run
from swarmrig.scenario.load import load_scenario
from swarmrig.testing import NODE_CONTRACT, NodeCase
from swarmrig.testing.contract import Clause

PACKAGE = Path(__file__).parent / "acme-swarm"
ROOT = Path(__file__).parents[2]


def write_dist_info(site: Path, project: dict[str, object]) -> None:
    """What an installer writes of a package's metadata."""
    info = site / f"{str(project['name']).replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = project["entry-points"]
    assert isinstance(groups, dict)
    (info / "entry_points.txt").write_text(
        "\n".join(
            f"[{group}]\n" + "\n".join(f"{k} = {v}" for k, v in points.items()) for group, points in groups.items()
        )
    )


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package on the path as if it had been installed; without a network, without pip."""
    site = tmp_path / "site-packages"
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    write_dist_info(site, project)
    monkeypatch.syspath_prepend(str(PACKAGE / "src"))
    monkeypatch.syspath_prepend(str(site))
    yield site
    for name in [name for name in sys.modules if name.split(".")[0] == "acme_swarm"]:
        del sys.modules[name]


def device_command() -> tuple[str, ...]:
    return (sys.executable, str(PACKAGE / "src/acme_swarm/device.py"))


def scenario(directory: Path, *, fault: str = "acme_mute: {node: a, for: 1s}", check: str = "acme_beats: 15") -> Path:
    command = "[" + ", ".join(f'"{word}"' for word in device_command()) + "]"
    path = directory / "acme.swarmrig.yml"
    path.write_text(
        f"""\
swarmrig: 1
name: acme
duration: 6s
network: {{topology: mesh}}
defaults: {{kind: acme-program, command: {command}}}
nodes:
  a: {{}}
  b: {{}}
faults:
  - {{at: 1s, {fault}}}
checks:
  - {check}
"""
    )
    return path


def test_nothing_is_known_of_it_before() -> None:
    registry = Registry.load()
    assert "acme-program" not in registry.names("nodes")
    with pytest.raises(ImportError):
        importlib.import_module("acme_swarm")


def test_names_are_known_without_importing_the_package(installed: Path) -> None:
    registry = Registry.load()
    assert "acme-program" in registry.names("nodes") and "acme_mute" in registry.names("faults")
    assert "acme_beats" in registry.names("checks") and "qemu" in registry.names("nodes")
    assert "acme_swarm" not in sys.modules
    assert registry.node("acme-program").__name__ == "ProgramBackend"
    assert registry.node("acme-program") is registry.node("acme-program")


@pytest.mark.parametrize("clause", NODE_CONTRACT, ids=lambda clause: clause.__name__)
def test_its_node_keeps_the_contract(clause: Clause, installed: Path, tmp_path: Path) -> None:
    backend = Registry.load().node("acme-program")
    case = NodeCase(
        backend=backend,
        spec=NodeSpec(id="a", number=1, kind="acme-program", options={"command": device_command()}),
        boots="^ready at 10",
        dialogue=(b"hello\n", r"^what\?"),
        quiet_s=0.5,
    )
    place = tmp_path / "run"
    place.mkdir()
    anyio.run(clause, case, place)


def finished(path: Path, output: Path) -> FinishedRun:
    async def go() -> FinishedRun:
        registry = Registry.load()
        plan = await make_plan(load_scenario(path, registry=registry), registry)
        return await run(plan, RunOptions(output_dir=output))

    return anyio.run(go)


def test_a_run_with_its_node_fault_and_check(installed: Path, tmp_path: Path) -> None:
    record = finished(scenario(tmp_path), tmp_path / "runs").record
    assert (record.checks[0].name, record.checks[0].judgement.outcome) == ("acme_beats", Outcome.PASS)
    assert record.verdict is Outcome.PASS, record.failures
    stages = [stage for stage, _ in record.faults[0].stages]
    assert stages == [FaultStage.INJECTED, FaultStage.OBSERVED, FaultStage.HEALED, FaultStage.HEAL_OBSERVED]
    assert all(link.frames > 0 for link in record.links if link.name.endswith(("--a", "--b")))


@pytest.mark.parametrize("says_so", [True, False], ids=["a reason", "an older backend"])
def test_its_node_is_not_in_virtual_time(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says_so: bool
) -> None:
    registry = Registry.load()
    if not says_so:
        monkeypatch.delattr(registry.node("acme-program"), "prevents_virtual_time")
    reason = "a program of this machine lives by its clock" if says_so else "acme-program do not say that they can"
    wanted = load_scenario(scenario(tmp_path), registry=registry, time=TimeMode.VIRTUAL)
    with pytest.raises(HostError) as caught:
        anyio.run(make_plan, wanted, registry)
    assert "node a: " in caught.value.message and reason in caught.value.message
    assert anyio.run(make_plan, replace(wanted, time=TimeMode.AUTO), registry).tier == "scheduled"


def test_its_check_can_fail(installed: Path, tmp_path: Path) -> None:
    record = finished(scenario(tmp_path, check="acme_beats: 1000"), tmp_path / "runs").record
    assert record.verdict is Outcome.FAIL and "too few beats from a, b" in record.checks[0].judgement.message


@pytest.mark.parametrize(
    ("fault", "check", "words"),
    [
        ("acme_mute: {node: a}", "acme_beats: 0", "acme_beats"),
        ("acme_mute: {node: a, loud: 1}", "acme_beats: 1", "loud"),
        ("acme_mute: {node: a}", "acme_beat: 1", "acme_beats"),
        ("acme_mut: {node: a}", "acme_beats: 1", "acme_mute"),
    ],
)
def test_mistakes_are_found_by_its_models(installed: Path, tmp_path: Path, fault: str, check: str, words: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load_scenario(scenario(tmp_path, fault=fault, check=check), registry=Registry.load())
    assert words in str(caught.value) and "acme.swarmrig.yml:" in str(caught.value)


def test_two_packages_that_claim_one_name(installed: Path) -> None:
    rival = {"name": "rival", "version": "1", "entry-points": {"swarmrig.nodes": {"qemu": "rival:Backend"}}}
    write_dist_info(installed, rival)
    importlib.invalidate_caches()
    with pytest.raises(HostError, match="two plugins claim"):
        Registry.load()


def test_a_package_that_cannot_be_imported(installed: Path) -> None:
    broken = {"name": "broken", "version": "1", "entry-points": {"swarmrig.nodes": {"broken": "no_such_module:B"}}}
    write_dist_info(installed, broken)
    importlib.invalidate_caches()
    with pytest.raises(HostError, match="no_such_module"):
        Registry.load().node("broken")


def test_the_how_to_shows_this_package() -> None:
    text = (ROOT / "docs/howto/write-a-node-backend.md").read_text()
    for name in ("src/acme_swarm/node.py", "src/acme_swarm/device.py"):
        assert f"```python\n{(PACKAGE / name).read_text()}```" in text, f"{name} differs from what the how-to shows"
    points = '[project.entry-points."swarmrig.nodes"]\nacme-program = "acme_swarm.node:ProgramBackend"\n'
    assert points in text and points in (PACKAGE / "pyproject.toml").read_text()


def test_the_how_tos_tests_are_code(installed: Path) -> None:
    text = (ROOT / "docs/howto/write-a-node-backend.md").read_text()
    names: dict[str, object] = {}
    for block in re.findall(r"^```python\n(.*?)^```", text.split("## Test it")[1], re.MULTILINE | re.DOTALL):
        exec(compile(block, "write-a-node-backend.md", "exec"), names)
    case = names["case"]()  # type: ignore[operator]
    assert isinstance(case, NodeCase) and {"test_contract", "test_it_answers"} <= set(names)
