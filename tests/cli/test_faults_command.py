"""`swarmrig faults`: what kinds there are, all about one, and the schedule of a run."""

from __future__ import annotations

import json
from pathlib import Path

from swarmrig.plugins import Registry
from swarmrig.runtime.repeat import REPEAT_FILE


def test_list_has_every_kind(swarmrig):
    result = swarmrig("faults", "list")
    assert result.returncode == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == list(Registry.load().names("faults"))


def test_list_as_json_and_as_a_page(swarmrig):
    kinds = json.loads(swarmrig("faults", "list", "--json").stdout)
    [cut] = [kind for kind in kinds if kind["name"] == "cut"]
    assert cut["heals"] is True
    assert cut["parameters"][0]["required"] is True
    page = swarmrig("faults", "list", "--markdown").stdout
    assert page.startswith("# Kinds of faults\n")
    assert page.count("\n## ") == len(kinds)


def test_explain(swarmrig):
    result = swarmrig("faults", "explain", "cut")
    assert result.returncode == 0
    text = result.stdout
    assert text.startswith("cut: The link between two nodes drops every frame")
    for expected in ("  between  ", "  for      ", "evidence   A frame that entered", "example    {at: "):
        assert expected in text
    assert json.loads(swarmrig("faults", "explain", "cut", "--json").stdout)["name"] == "cut"


def test_what_is_over_in_an_instant_has_no_for(swarmrig):
    assert "  for " not in swarmrig("faults", "explain", "heal").stdout


def test_explain_of_an_unknown_kind_suggests_one(swarmrig):
    result = swarmrig("faults", "explain", "cutt")
    assert result.returncode == 3
    assert "no fault is called 'cutt'" in result.stderr
    assert "did you mean 'cut'?" in result.stderr


def test_export_prints_the_schedule_of_a_run(swarmrig, tmp_path: Path):
    run = tmp_path / "run"
    run.mkdir()
    result = swarmrig("faults", "export", str(run))
    assert result.returncode == 3
    assert "is not the directory of a finished run" in result.stderr
    (run / "results.json").write_text("{}")
    (run / "scenario.yml").write_text("swarmrig: 1\n")
    assert swarmrig("faults", "export", str(run)).stdout == "swarmrig: 1\n"
    (run / REPEAT_FILE).write_text("swarmrig: 1\nname: again\n")
    assert swarmrig("faults", "export", str(run)).stdout == "swarmrig: 1\nname: again\n"


def test_export_wants_a_directory(swarmrig, tmp_path: Path):
    assert swarmrig("faults", "export", str(tmp_path / "none")).returncode != 0
