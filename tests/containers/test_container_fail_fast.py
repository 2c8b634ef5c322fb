"""Everything that stands in the way of containers is told at once, with everything else, and nothing is launched."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

import swarmrig
from swarmrig.errors import ScenarioError

pytestmark = [pytest.mark.root]
HARNESS = """\
duration_sec: soon
nodes:
  s: {sensors: [temperature]}
  gw: {type: gateway}
  a: {type: docker, image: "nobody/has:1", ports: ["%(port)s:80", "8081:81"], volumes: ["nowhere:/data:ro"]}
  b: {type: docker, build: nothing-here, ports: ["8081:81"], networks: [no-such-network]}
  c: {type: docker, build: empty}
network: {type: direct}
ml_inference: {placement: gateway, edge_config: {model_path: missing.onnx}}
"""


def test_all_at_once(engine: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    path = tmp_path / "swarm.yml"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        path.write_text(HARNESS % {"port": taken.getsockname()[1]})
        with pytest.raises(ScenarioError) as caught:
            swarmrig.run(path, output_dir=tmp_path / "runs")
    told = "\n".join(map(str, caught.value.problems))
    for words in (
        "1:15: duration_sec: expected a number",
        "missing.onnx does not exist",
        f"5:3: node a: volumes: {tmp_path}/nowhere does not exist",
        "5:3: node a: ports: 8081/tcp is used by node b, too",
        "has no image nobody/has:1",
        "6:3: node b: ports: 8081/tcp is used by node a, too",
        "6:3: node b: network: the engine has no network no-such-network",
        f"6:3: node b: build.context: the directory {tmp_path}/nothing-here does not exist",
        f"7:3: node c: build.dockerfile: {tmp_path}/empty/Dockerfile does not exist",
    ):
        assert words in told, f"{words!r} is missing in\n{told}"
    assert not (tmp_path / "runs").exists()


def test_no_engine_is_told_with_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine")
    (tmp_path / "empty").mkdir()
    path = tmp_path / "swarm.yml"
    path.write_text(HARNESS % {"port": 1})
    with pytest.raises(ScenarioError) as caught:
        swarmrig.run(path, output_dir=tmp_path / "runs")
    told = "\n".join(map(str, caught.value.problems))
    assert f"{tmp_path}/no-engine" in told and "volumes:" in told and "duration_sec" in told
