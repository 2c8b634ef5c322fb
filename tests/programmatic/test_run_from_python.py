"""`swarmrig.run`: whole runs from Python, quiet, and with everything in what they return."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import swarmrig
from swarmrig.errors import ScenarioError
from swarmrig.model.verdict import Outcome

PAIR = """
swarmrig: 1
name: pair
duration: 3s
network: {link: {latency: 1ms, loss: 5%}}
nodes:
  n1: {kind: python, model: "swarmrig.nodes.python.aggregator:make_aggregator"}
  n2: {kind: python, model: "swarmrig.nodes.python.aggregator:make_aggregator"}
checks:
  - console: {node: n1, matches: listening}
"""


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    path = tmp_path / "pair.swarmrig.yml"
    path.write_text(PAIR)
    return path


def test_the_result_says_all(pair: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    heard = []
    result = swarmrig.run(pair, output_dir=tmp_path / "runs", on_event=heard.append)
    assert result.success and result.verdict is Outcome.PASS
    assert result.duration_sec == 3.0
    assert [check.label for check in result.checks] == ["console"]
    assert result.directory.parent == tmp_path / "runs"
    assert (result.directory / "junit.xml").exists()
    written = [json.loads(line) for line in (result.directory / "events.jsonl").read_text().splitlines()]
    assert [(event.t_ns, event.source, event.kind) for event in result.events] == [
        (event["t"], event["source"], event["kind"]) for event in written
    ]
    assert {event.kind for event in heard} == {event.kind for event in result.events}
    assert result.digest == json.loads((result.directory / "results.json").read_text())["run"]["digest"]
    assert capfd.readouterr() == ("", "")


def test_the_seed_can_be_given_and_the_rest_too(pair: Path, tmp_path: Path) -> None:
    result = swarmrig.run(
        pair, seed=9, duration_s=1.5, time="virtual", overrides={"network.link.loss": 0.5}, output_dir=tmp_path
    )
    scenario = result.record.scenario
    assert (scenario.seed, scenario.duration_ns, scenario.network.impairment.loss) == (9, 1_500_000_000, 0.5)
    assert result.duration_sec == 1.5


def test_what_fails_is_a_result_and_no_success(pair: Path, tmp_path: Path) -> None:
    pair.write_text(PAIR.replace("listening", "never said"))
    result = swarmrig.run(pair, output_dir=tmp_path)
    assert not result.success
    assert result.verdict is Outcome.FAIL and result.problems == ()


def test_without_checks_nothing_is_proved_but_nothing_failed(pair: Path, tmp_path: Path) -> None:
    pair.write_text(PAIR.partition("checks:")[0])
    assert (result := swarmrig.run(pair, output_dir=tmp_path)).success
    assert result.verdict is Outcome.WARN
    assert not swarmrig.run(pair, output_dir=tmp_path, strict=True).success


@pytest.mark.anyio
async def test_in_an_event_loop(pair: Path, tmp_path: Path) -> None:
    assert (await swarmrig.run_async(pair, output_dir=tmp_path)).success


def test_a_listener_that_raises_ends_the_run(pair: Path, tmp_path: Path) -> None:
    def refuse(event: object) -> None:
        raise LookupError("enough")

    with pytest.raises((LookupError, BaseExceptionGroup)) as caught:
        swarmrig.run(pair, output_dir=tmp_path, on_event=refuse)
    assert caught.group_contains(LookupError) if isinstance(caught.value, BaseExceptionGroup) else True


def test_what_is_wrong_is_raised_before_there_is_a_run(pair: Path, tmp_path: Path) -> None:
    pair.write_text(PAIR.replace("3s", "soon"))
    with pytest.raises(ScenarioError, match="duration"):
        swarmrig.run(pair, output_dir=tmp_path / "runs")
    with pytest.raises(ScenarioError, match=r"no such file|not exist|cannot be read"):
        swarmrig.run(tmp_path / "missing.yml", output_dir=tmp_path / "runs")
    with pytest.raises(ValueError, match="'sometimes'"):
        swarmrig.run(pair, time="sometimes")
    assert not (tmp_path / "runs").exists()


def test_importing_the_package_costs_nothing() -> None:
    code = "import sys; before = set(sys.modules); import swarmrig; print(*sorted(set(sys.modules) - before))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["swarmrig"]


def test_the_package_offers_what_it_lists() -> None:
    for name in swarmrig.__all__:
        assert getattr(swarmrig, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'ruin'"):
        _ = swarmrig.ruin  # type: ignore[attr-defined]
