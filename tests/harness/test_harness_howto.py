"""The how-to pages on the harness dialect and on runs from Python: their snippets run, their words are said."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import swarmrig
from swarmrig.plugins import Registry
from swarmrig.programmatic import RunSettings
from swarmrig.scenario.load import load_scenario

HOWTO = Path(__file__).parents[2] / "docs" / "howto"
DIALECT = (HOWTO / "use-the-harness-dialect.md").read_text()
PYTHON = (HOWTO / "run-from-python.md").read_text()


def fences(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.M | re.S)


@pytest.fixture
def place(tmp_path: Path, greenhouse: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the snippets find their files, which is the example with the nodes of the page."""
    shutil.copy(greenhouse / "greenhouse.onnx", tmp_path)
    (tmp_path / "greenhouse.yml").write_text(fences(DIALECT, "yaml")[0])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("number", range(len(fences(PYTHON, "python"))))
def test_snippets_in_python_run(number: int, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(fences(PYTHON, "python")[number], "run-from-python.md", "exec"), {})
    told = capsys.readouterr().out
    if number == 0:
        assert re.fullmatch(r"WARN after 60.0 s, \d+ messages, digest [0-9a-f]{64}\n", told)
    if number == 1:
        assert [line.split(": ")[1] for line in told.splitlines()] == ["interval_ms", "seed"]


def test_what_the_pages_list_is_there() -> None:
    settings = re.findall(r"`(\w+)`", PYTHON.split("| setting |")[1].split("| of the result")[0])
    assert set(RunSettings.__annotations__) <= set(settings)
    rows = re.findall(r"^\| (`.*?) \|", PYTHON.split("| of the result | |")[1], re.M)
    for name in re.findall(r"`(\w+)`", " ".join(rows)):
        assert hasattr(swarmrig.RunResult, name) or name in swarmrig.RunResult.__dataclass_fields__, name


@pytest.mark.parametrize("text", fences(DIALECT, "yaml"))
def test_scenarios_of_the_page_load(text: str, place: Path) -> None:
    (place / "shown.yml").write_text(text)
    assert load_scenario(place / "shown.yml", registry=Registry.load()).warnings == ()


def test_the_native_one_passes(place: Path) -> None:
    (text,) = [text for text in fences(DIALECT, "yaml") if "swarmrig: 1" in text]
    (place / "native.yml").write_text(text)
    result = swarmrig.run(place / "native.yml")
    assert result.verdict == "PASS", [check.judgement for check in result.checks]


def test_what_a_judging_node_says(place: Path) -> None:
    (shown,) = fences(DIALECT, "text")
    console = (swarmrig.run("greenhouse.yml").directory / "nodes" / "bench" / "console.log").read_text()
    assert re.search(f"^{shown.split('#')[0]}#\\d+: (warm|normal) \\d\\.\\d{{6}}$", console, re.M)


def test_the_example_is_run_as_it_is(greenhouse: Path, tmp_path: Path) -> None:
    one, two = (swarmrig.run(greenhouse / "greenhouse.yml", output_dir=tmp_path) for _ in range(2))
    assert one.success and one.record.scenario.warnings == ()
    assert one.digest == two.digest
    assert (one.directory / "events.jsonl").read_bytes() == (two.directory / "events.jsonl").read_bytes()
    assert one.metrics["nodes.bench_1.model.inferences"] == 53
