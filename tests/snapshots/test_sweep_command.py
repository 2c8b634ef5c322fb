"""`swarmrig sweep`, as it is typed."""

import json
import os
import subprocess
import sys

import pytest

HEAD = """\
swarmrig: 1
name: small
duration: 2s
network: {topology: star, hub: c, link: {latency: 5ms}}
nodes: {c: {role: coordinator}, a: {config: {tdm_slot: 1}}}
checks: [all_nodes_boot]
"""
FAULTS = """\
- {id: cut, at: 1s, cut: {between: [c, a], for: 300ms}}
- {id: reset, at: 1s, reset: {node: a}}
"""


@pytest.fixture
def command(tmp_path):
    (tmp_path / "s.swarmrig.yml").write_text(HEAD)
    (tmp_path / "faults.yml").write_text(FAULTS)

    def command(*words: str, code: int = 0) -> subprocess.CompletedProcess:
        done = subprocess.run(
            [sys.executable, "-m", "swarmrig", "sweep", *words], cwd=tmp_path, capture_output=True, text=True,
            timeout=120, stdin=subprocess.DEVNULL, env={**os.environ, "SWARMRIG_STATE_DIR": str(tmp_path / "state")},
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return command


def test_a_list_of_faults_and_replay_of_a_fork(command, tmp_path):
    done = command("s.swarmrig.yml", "--faults", "faults.yml", "--fork", "always")
    assert "cut    PASS          forked  small-cut-" in done.stdout
    assert "reset  PASS          forked  small-reset-" in done.stdout
    assert "forked at " in done.stdout and "a fork " in done.stdout
    (directory,) = (tmp_path / "runs").iterdir()
    table = json.loads((directory / "sweep.json").read_text())
    (run,) = [directory / one["directory"] for one in table["runs"] if one["name"] == "reset"]
    for words in (["replay", str(run)], ["replay", str(run), "--node", "a"]):
        again = subprocess.run(
            [sys.executable, "-m", "swarmrig", *words], cwd=tmp_path, capture_output=True, text=True, timeout=120,
            stdin=subprocess.DEVNULL, env={**os.environ, "SWARMRIG_STATE_DIR": str(tmp_path / "state")},
        )  # fmt: skip
        assert again.returncode == 0, again.stdout + again.stderr


def test_json(command):
    done = command("s.swarmrig.yml", "--faults", "faults.yml", "--fork", "never", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["kind"] for line in lines] == ["run", "run", "result"]
    assert lines[-1]["results"]["why_booted"] == "as it was asked for"
    assert lines[-1]["results"]["exit_code"] == 0


def test_booted_says_why(command):
    done = command("s.swarmrig.yml", "--faults", "faults.yml", "--fork", "never")
    assert "booted (every run): as it was asked for" in done.stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- {at: 1s, cutt: {between: [c, a]}}\n", "faults.yml:1"),
        ("nothing: here\n", "expected a list of faults"),
        ("", "expected a list of faults, seen nothing"),
        ("- {at: 1s, reset: {node: nobody}}\n", "nobody"),
    ],
)
def test_a_wrong_list(command, tmp_path, text, message):
    (tmp_path / "faults.yml").write_text(text)
    done = command("s.swarmrig.yml", "--faults", "faults.yml", code=3)
    assert message in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_list_that_is_not_there(command):
    assert "absent.yml" in command("s.swarmrig.yml", "--faults", "absent.yml", code=3).stderr


def test_a_scenario_without_faults(command):
    done = command("s.swarmrig.yml", code=3)
    assert "has no faults to sweep" in done.stderr
    assert "--faults" in done.stderr


def test_refused_in_real_time(command):
    done = command("s.swarmrig.yml", "--faults", "faults.yml", "--fork", "always", "--time", "real", code=3)
    assert "there are no snapshots of real time" in done.stderr
