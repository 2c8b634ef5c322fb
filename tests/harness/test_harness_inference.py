"""Readings judged by a real model: on which node, what is told of it, and models that are none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import swarmrig
from swarmrig.errors import MissingExtraError, ScenarioError
from swarmrig.nodes.python.models.inference import Classifier

WHOLE = """\
duration_sec: 12
seed: 3
nodes:
  s1: {sensors: [temperature, humidity]}
  s2: {sensors: [temperature]}
  gw: {type: gateway}
  c: {type: cloud}
network: {type: direct}
ml_inference: {placement: edge, edge_config: {model_path: small.onnx}}
"""


@pytest.fixture
def place(tmp_path: Path, greenhouse: Path) -> Path:
    """A folder with the model and the file."""
    (tmp_path / "small.onnx").write_bytes((greenhouse / "greenhouse.onnx").read_bytes())
    (tmp_path / "swarm.yml").write_text(WHOLE)
    return tmp_path


def problems_of(place: Path, text: str = WHOLE) -> list[str]:
    (place / "swarm.yml").write_text(text)
    with pytest.raises(ScenarioError) as caught:
        swarmrig.run(place / "swarm.yml", output_dir=place / "runs")
    assert not (place / "runs").exists(), "nothing was launched"
    return [str(problem).removeprefix(f"{place}/") for problem in caught.value.problems]


# The model.


def test_the_model_of_the_example_is_made_by_its_script(greenhouse: Path, onnx: ModuleType) -> None:
    assert (greenhouse / "greenhouse.onnx").read_bytes() == onnx.model(*onnx.train())


def test_it_has_learnt_what_it_was_taught(greenhouse: Path, onnx: ModuleType) -> None:
    classifier = Classifier(greenhouse / "greenhouse.onnx")
    assert (classifier.window, classifier.labels, classifier.sensors) == (8, ("normal", "warm"), ("temperature",))
    right = sum((classifier.judge(window)[0] == "warm") == warm for window, warm in onnx.examples())
    assert right > 570  # of 600
    label, score = classifier.judge([30.0] * 8)
    assert label == "warm" and 0.999 < score <= 1.0


def test_the_runtime_tells_nobody_of_its_use(greenhouse: Path, tmp_path: Path) -> None:
    """It would, and would leave files in the home and in the temporary directory."""
    code = (
        "import sys, pathlib; from swarmrig.nodes.python.models.inference import Classifier;"
        "print(Classifier(pathlib.Path(sys.argv[1])).judge([30.0] * 8)[0])"
    )
    places = {name: str(tmp_path / name) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME")}
    for place in places.values():
        Path(place).mkdir()
    command = [sys.executable, "-c", code, str(greenhouse / "greenhouse.onnx")]
    found = subprocess.run(command, env={**os.environ, **places}, capture_output=True, text=True, check=True)
    assert (found.stdout, found.stderr) == ("warm\n", "")
    assert [path for place in places.values() for path in Path(place).rglob("*")] == []


# Where it is.


@pytest.mark.parametrize(
    ("placement", "judges"), [("edge", {"s1", "s2"}), ("sensor", {"s1", "s2"}), ("gateway", {"gw"}), ("cloud", {"c"})]
)
def test_each_reading_is_judged_once(place: Path, placement: str, judges: set[str]) -> None:
    text = WHOLE.replace("edge, edge_config", f"{placement}, {'cloud' if placement == 'cloud' else 'edge'}_config")
    (place / "swarm.yml").write_text(text)
    result = swarmrig.run(place / "swarm.yml", output_dir=place / "runs")
    assert result.success, result.problems
    said = {}
    for node in ("s1", "s2", "gw", "c"):
        console = (result.directory / "nodes" / node / "console.log").read_text().splitlines()
        said[node] = [line for line in console if " temperature #" in line]
    assert {node for node, lines in said.items() if lines} == judges
    lines = [line for node in sorted(judges) for line in said[node]]
    # Twelve readings of each thermometer, less the seven before the first whole window; none of the hygrometer.
    expected = {f"inference: {node} temperature #{seq}" for node in ("s1", "s2") for seq in range(7, 12)}
    missed = {f"inference: {node} temperature #11" for node in ("s1", "s2")}
    told = {line.rpartition(": ")[0] for line in lines}
    assert len(lines) == len(told) and expected - missed <= told <= expected
    results = [message for message in result.messages if message.type == "inference" and message.src in judges]
    assert len(results) == len(lines)
    for message in results:
        assert set(message.payload) == {"src", "seq", "sensor", "label", "score"}
        payload = message.payload
        assert f"{payload['src']} temperature #{payload['seq']}: {payload['label']} {payload['score']:.6f}" in " ".join(
            lines
        )


def test_inferences_are_counted(place: Path) -> None:
    result = swarmrig.run(place / "swarm.yml", output_dir=place / "runs")
    count = sum(message.type == "inference" and message.src == "s1" for message in result.messages)
    assert count > 0
    assert result.metrics["nodes.s1.model.inferences"] == count
    assert (
        result.metrics["nodes.s1.model.inferences_normal"] + result.metrics.get("nodes.s1.model.inferences_warm", 0)
        == count
    )
    assert "nodes.gw.model.inferences" not in result.metrics


def test_without_a_model_nothing_is_judged(place: Path) -> None:
    (place / "swarm.yml").write_text(WHOLE.partition("ml_inference")[0])
    result = swarmrig.run(place / "swarm.yml", output_dir=place / "runs")
    assert {message.type for message in result.messages} == {"reading"}
    assert not any("judged" in message.payload for message in result.messages)


def test_a_gateway_that_sums_up_passes_results_on_at_once(place: Path) -> None:
    (place / "swarm.yml").write_text(WHOLE.replace("{type: gateway}", "{type: gateway, interval_ms: 5000}"))
    result = swarmrig.run(place / "swarm.yml", output_dir=place / "runs")
    passed = [message for message in result.messages if message.src == "gw" and message.type == "inference"]
    sent = [message for message in result.messages if message.src == "s1" and message.type == "inference"]
    assert [each.payload["payload"] for each in passed if each.payload["src"] == "s1"] == [
        each.payload for each in sent
    ]
    assert {message.type for message in result.messages if message.src == "gw"} == {"aggregate", "inference"}


# What is refused before launch.


def test_a_model_that_is_missing_is_one_problem(place: Path) -> None:
    (place / "small.onnx").unlink()
    (problem,) = problems_of(place)
    assert problem == f"swarm.yml:9:59: model_path: {place}/small.onnx does not exist"


def test_a_model_that_is_broken_is_one_problem_of_all_its_nodes(place: Path) -> None:
    (place / "small.onnx").write_bytes(b"not a model")
    (problem,) = problems_of(place)
    assert problem.startswith(f"swarm.yml:4:3: nodes s1, s2, gw: settings: {place}/small.onnx is no ONNX model: ")


@pytest.mark.parametrize(
    ("inference", "expected"),
    [
        (
            "{placement: egde, edge_config: {model_path: small.onnx}}",
            "placement: expected one of edge, sensor, gateway",
        ),
        ("{placement: edge}", "missing key 'model_path'"),
        ("{placement: edge, edge_config: {model_path: [a]}}", "model_path: expected the path of a model, seen a list"),
        ("{placement: edge, edge_config: 3}", "edge_config: expected a mapping, seen 3"),
        ("edge", "ml_inference: expected a mapping, seen 'edge'"),
    ],
)
def test_what_the_file_may_not_say(place: Path, inference: str, expected: str) -> None:
    text = WHOLE.partition("ml_inference")[0] + f"ml_inference: {inference}\n"
    assert any(expected in problem for problem in problems_of(place, text))


def test_somebody_must_be_there_to_judge(place: Path) -> None:
    text = WHOLE.replace("  c: {type: cloud}\n", "").replace(
        "placement: edge, edge_config", "placement: cloud, cloud_config"
    )
    (problem,) = problems_of(place, text)
    assert "there is no node of type cloud to judge readings" in problem


def test_nothing_is_asked_of_a_model_that_nobody_has(place: Path) -> None:
    (place / "small.onnx").unlink()
    (place / "swarm.yml").write_text(WHOLE.replace("placement: edge", "placement: none"))
    assert swarmrig.run(place / "swarm.yml", output_dir=place / "runs").success


def test_without_the_runtime_the_extra_is_named(greenhouse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match="extra 'ml'"):
        Classifier(greenhouse / "greenhouse.onnx")


def _scaled(onnx: ModuleType, shape: tuple[int, ...], metadata: dict[str, str], columns: int = 2) -> bytes:
    """Readings times ones: a model of any input and any number of classes."""
    weights = onnx.tensor("weights", (shape[-1], columns), [1.0] * shape[-1] * columns)
    graph = (
        onnx.field(1, onnx.node("MatMul", ("readings", "weights"), "scores"))
        + onnx.field(2, "any")
        + onnx.field(5, weights)
        + onnx.field(11, onnx.described("readings", shape))
        + onnx.field(12, onnx.described("scores", (*shape[:-1], columns)))
    )
    notes = b"".join(onnx.field(14, onnx.field(1, key) + onnx.field(2, value)) for key, value in metadata.items())
    return bytes(onnx.field(1, 8) + onnx.field(7, graph) + onnx.field(8, onnx.field(2, 13)) + notes)


def test_labels_and_sensors_are_optional(onnx: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "any.onnx"
    file.write_bytes(_scaled(onnx, (1, 3), {}, columns=4))
    classifier = Classifier(file)
    assert (classifier.window, classifier.labels, classifier.sensors) == (3, ("0", "1", "2", "3"), ())
    assert classifier.judge([1.0, 2.0, 3.0]) == ("0", 6.0)


@pytest.mark.parametrize(
    ("shape", "metadata", "expected"),
    [
        ((2, 3), {}, "expected one input"),
        ((1, 1, 3), {}, "expected one input"),
        ((1, 5000), {}, "expected one input"),
        ((1, 3), {"labels": "only"}, "1 labels for 2 classes"),
    ],
)
def test_models_that_do_not_fit(
    onnx: ModuleType, tmp_path: Path, shape: tuple[int, ...], metadata: dict[str, str], expected: str
) -> None:
    file = tmp_path / "any.onnx"
    file.write_bytes(_scaled(onnx, shape, metadata))
    with pytest.raises(ValueError, match=expected):
        Classifier(file)


@pytest.mark.parametrize("size", [0, 1, 40, 150, 250])
def test_a_model_that_is_cut_off(greenhouse: Path, tmp_path: Path, size: int) -> None:
    whole = (greenhouse / "greenhouse.onnx").read_bytes()
    file = tmp_path / "cut.onnx"
    file.write_bytes(whole[:size])
    with pytest.raises(ValueError, match=str(file)):
        Classifier(file)
