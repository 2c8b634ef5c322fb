"""The examples with containers do what they say: brokers and services are real."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import swarmrig
from swarmrig.model.facts import ProofStatus

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = [pytest.mark.root, pytest.mark.slow]


@pytest.fixture
def example(tmp_path: Path) -> Any:
    """A copy of an example's folder, so that what it builds stays out of the sources."""

    def copied(name: str) -> Path:
        return Path(shutil.copytree(EXAMPLES / name, tmp_path / name, ignore=shutil.ignore_patterns("root")))

    return copied


def required(*programs: str) -> None:
    path = f"/usr/sbin:/sbin:{os.environ['PATH']}"
    missing = [program for program in programs if shutil.which(program, path=path) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def test_devices_a_broker_and_a_cloud(engine: Any, example: Any, tmp_path: Path) -> None:
    required("mosquitto", "cc", "qemu-system-riscv32")
    place = example("mqtt-gateway")
    result = swarmrig.run(place / "mqtt-gateway.swarmrig.yml", output_dir=tmp_path / "runs")
    told = [f"{check.label}: {check.judgement.outcome.value} {check.judgement.message}" for check in result.checks]
    assert result.success, (told, result.problems)
    gateway = (result.directory / "nodes" / "gateway" / "console.log").read_text()
    assert "New client connected from 10." in gateway and " as cloud " in gateway
    assert {node.kind for node in result.record.scenario.nodes} == {"container", "qemu", "process"}
    (cut,) = result.record.faults
    assert cut.status is ProofStatus.PROVED
    assert engine.containers(f"swarmrig.run={result.record.run_id}") == []


def test_five_hundred_sensors_and_one_service(engine: Any, example: Any, tmp_path: Path) -> None:
    required("mosquitto", "cc")
    place = example("mqtt-gateway")
    result = swarmrig.run(place / "many-sensors.swarmrig.yml", output_dir=tmp_path / "runs")
    told = [f"{check.label}: {check.judgement.outcome.value} {check.judgement.message}" for check in result.checks]
    assert result.success, (told, result.problems)
    broker = (result.directory / "nodes" / "broker" / "console.log").read_text()
    clients = set(re.findall(r"New client connected from 10\.\S+ as (sensor-\d+) ", broker))
    assert len(clients) == 500
    assert engine.containers(f"swarmrig.run={result.record.run_id}") == []
