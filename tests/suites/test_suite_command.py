"""`suite run` as a user calls it: lines, JSON, Ctrl-C, sudden death, going on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = """\
suite: 1
name: s
with: {n: 3}
processes:
  main: {command: [sh, -c, "echo COUNT n={n}"]}
counters: {c: {process: main, line: COUNT}}
scenarios: {one: {}, two: {}}
modes:
  strict: {thresholds: {all: {n: {min: 3}}}}
  easy: {thresholds: {all: {n: {min: 1}}}}
"""
STUCK = SUITE.replace("echo COUNT n={n}", "echo COUNT n={n}; test {scenario} = one -o -e {here}/go || exec sleep 60")


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "s.suite.yml"
    path.write_text(SUITE)
    return path


def test_lines_and_exit_code(suite, file, tmp_path):
    result = suite("run", file)
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert lines[:2] == ["PASS          one: all checks passed", "PASS          two: all checks passed"]
    assert lines[-2] == "s: PASS, 2 of 2 runs passed (mode strict)"
    summary = Path(lines[-1].removeprefix("summary: "))
    assert json.loads(summary.read_text())["all_pass"]
    assert summary.parent.parent == tmp_path / "runs"


def test_a_variable_decides_and_the_mode_judges(suite, file):
    assert suite("run", file, "--with", "n=2").returncode == 2
    assert suite("run", file, "--with", "n=2", "--mode", "easy").returncode == 0


def test_repetitions_are_spread_out_before_the_reader(suite, file):
    result = suite("run", file, "--repetitions", "3")
    assert "PASS          two #3: all checks passed" in result.stdout
    assert "one n: min 3, p50 3, p95 3, p99 3, max 3, 3 runs" in result.stdout
    assert "6 of 6 runs passed" in result.stdout


def test_json_lines(suite, file):
    result = suite("run", file, "--json")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    kinds = [line["kind"] for line in lines]
    assert kinds == ["scenario.started", "scenario.ended"] * 2 + ["result"]
    assert lines[-1]["summary"]["all_pass"]
    failed = suite("run", "nowhere.yml", "--json")
    assert failed.returncode == 3
    assert json.loads(failed.stdout)["kind"] == "error"


def test_a_manifest_of_ours_can_be_judged_anew(suite, file, tmp_path):
    suite("run", file, "--with", "n=2")
    (directory,) = (tmp_path / "runs").iterdir()
    anew = ["summarize", "--manifest", directory / "manifest.tsv", "--output", "x.json", "--suite", file]
    assert suite(*anew, "--mode", "strict", "--enforce").returncode == 1
    assert suite(*anew, "--mode", "easy", "--enforce").returncode == 0
    assert suite(*anew, "--mode", "eazy").returncode == 3


def test_validate(suite, file, tmp_path):
    assert suite("validate", file).stdout == f"{file}: ok: s, 2 scenarios, 2 modes\n"
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(SUITE.replace("process: main", "process: mian"))
    result = suite("validate", wrong, file)
    assert result.returncode == 3
    assert f"{wrong}:6:16: unknown process 'mian' (did you mean 'main'?)" in result.stderr
    assert "ok: s" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "either FILE, or --resume"),
        (["FILE", "--resume", "x"], "either FILE, or --resume"),
        (["--resume", "nowhere"], "cannot read"),
        (["--resume", ".", "--mode", "easy"], "goes on as it was begun"),
        (["FILE", "--mode", "esay"], "did you mean 'easy'"),
        (["FILE", "--with", "m=1"], "no variable 'm'"),
        (["FILE", "--with", "n"], "NAME=VALUE"),
        (["FILE", "--repetitions", "0"], "--repetitions"),
        (["FILE", "--output-dir", "/dev/null/x"], "cannot write the run directory"),
    ],
)
def test_wrong_usage_of_run(suite, file, arguments, said):
    result = suite("run", *[file if word == "FILE" else word for word in arguments])
    assert result.returncode == 3
    assert said in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_whatever_ends_a_run_it_can_go_on(suite, tmp_path, number):
    (tmp_path / "s.suite.yml").write_text(STUCK)
    command = [sys.executable, "-m", "swarmrig", "suite", "run", "s.suite.yml", "--json"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        seen = [json.loads(process.stdout.readline()) for _ in range(3)]
        assert [(line["kind"], line.get("scenario")) for line in seen][2] == ("scenario.started", "two")
        os.kill(process.pid, number)
        rest = process.stdout.read()
    assert process.returncode == (-9 if number == signal.SIGKILL else 130)
    if number != signal.SIGKILL:
        assert json.loads(rest.splitlines()[-1])["summary"]["counts"]["total"] == 1
    (directory,) = (tmp_path / "runs").iterdir()
    (tmp_path / "go").touch()
    (tmp_path / "s.suite.yml").unlink()  # the run has its own copy
    result = suite("run", "--resume", directory)
    assert result.returncode == 0
    assert result.stdout.splitlines()[0] == "PASS          two: all checks passed"
    assert "2 of 2 runs passed" in result.stdout


def test_a_swarm_is_interrupted_like_anything_else(suite, tmp_path):
    (tmp_path / "pair.swarmrig.yml").write_text(
        "swarmrig: 1\nduration: 60s\ntime: real\nnodes: {hub: {role: coordinator}, s1: {}}\nchecks: [no_crashes]\n"
    )
    text = "suite: 1\nname: s\nscenarios: {swarm: {run: ./pair.swarmrig.yml}}\nmodes: {m: {}}\n"
    (tmp_path / "s.suite.yml").write_text(text)
    command = [sys.executable, "-m", "swarmrig", "suite", "run", "s.suite.yml", "--json"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert json.loads(process.stdout.readline())["kind"] == "scenario.started"
        os.kill(process.pid, signal.SIGINT)
        rest = process.stdout.read()
    assert process.returncode == 130
    assert json.loads(rest.splitlines()[-1])["summary"]["counts"]["total"] == 0
