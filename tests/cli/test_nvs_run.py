"""`swarmrig nvs run`: every combination a run, one table, the worst exit code."""

import json

import pytest

from swarmrig.flash.matrix import config
from swarmrig.nodes.qemu import provisioning

SHORT = ("--duration", "6s", "--config", "full-adr060", "--config", "corrupt-nvs")


@pytest.mark.timeout(120)
def test_a_table_of_runs(swarmrig, tmp_path):
    result = swarmrig("nvs", "run", "smoke", "ci-matrix", *SHORT)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.splitlines() == [
        f"{'':<20}smoke        ci-matrix",
        f"{'full-adr060':<20}PASS         PASS",
        f"{'corrupt-nvs':<20}PASS         PASS",
    ]
    assert "[4/4] ci-matrix corrupt-nvs: PASS" in result.stderr
    (directory,) = (tmp_path / "runs").glob("smoke-corrupt-nvs-*")
    assert "NVS damaged" in (directory / "nodes/n1/console.log").read_text()
    assert json.loads((directory / "results.json").read_text())["warnings"] == []


def test_firmware_that_does_not_notice_fails(swarmrig, monkeypatch):
    monkeypatch.setattr(provisioning, "provisioned_nvs", lambda *_: config("full-adr060").build())
    result = swarmrig("nvs", "run", "smoke", *SHORT, "--json")
    assert result.returncode == 2
    cells = json.loads(result.stdout)
    assert [(cell["config"], cell["verdict"]) for cell in cells] == [("full-adr060", "PASS"), ("corrupt-nvs", "FAIL")]
    assert any("n1 says that NVS is damaged" in text for text in cells[1]["trouble"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "NAME|FILE"),
        (("smoke", "--config", "corupt"), "no NVS configuration 'corupt'; there are: default, wifi-only"),
        (("smoke", "--node", "n9"), "has no node 'n9'"),
        (("smoke", "nowhere.yml"), "nowhere.yml"),
    ],
)
def test_wrong_usage(swarmrig, arguments, said):
    result = swarmrig("nvs", "run", *arguments)
    assert result.returncode == 3
    assert said in result.stderr
