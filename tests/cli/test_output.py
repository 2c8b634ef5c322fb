"""Printing: pipes that close, terminals that must not be steered, values as JSON."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from swarmrig.cli.output import harmless, jsonable, say, say_json, say_json_line
from swarmrig.model.network import GilbertElliott, Impairment
from swarmrig.model.verdict import Evidence, Judgement, Outcome


def test_control_characters_are_shown_not_obeyed():
    assert harmless("a\x1b[2Jb\r\x07\x9b") == "a\\x1b[2Jb\\x0d\\x07\\x9b"
    assert harmless("plain, tab\tand\nnewline é 漢") == "plain, tab\tand\nnewline é 漢"


def test_json_holds_nothing_that_steers_a_terminal(capsys):
    evil = "\x1b]0;a\x07\x7f\x9b2J\x85 \u6f22"
    say_json_line({"text": evil})
    say_json([evil])
    line, *lines = capsys.readouterr().out.split("\n")
    assert json.loads(line) == {"text": evil}
    assert json.loads("\n".join(lines)) == [evil]
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", line)


def test_text_that_the_stream_cannot_encode_is_escaped():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    say("µ → ✓", stream=stream)
    assert raw.getvalue() == b"\\xb5 \\u2192 \\u2713\n"


def test_jsonable_takes_model_values():
    judgement = Judgement(Outcome.PASS, "fine", (Evidence("net/a.pcapng", frame=3),), measured={"rate": 20.0})
    assert jsonable(judgement) == {
        "outcome": "PASS",
        "message": "fine",
        "evidence": [{"file": "net/a.pcapng", "line": None, "frame": 3, "note": ""}],
        "severity": "FAIL",
        "measured": {"rate": 20.0},
    }
    assert jsonable({1: Path("a/b"), "set": frozenset({"y", "x"}), "raw": b"\x01"}) == {
        "1": "a/b",
        "set": ["x", "y"],
        "raw": "01",
    }
    assert jsonable(Impairment(burst=GilbertElliott(0.1, 0.5)))["burst"]["to_good"] == 0.5


@pytest.mark.parametrize(("arguments", "code"), [(["--help"], 0), (["schema"], 0), (["nonsense"], 3)])
def test_a_closed_pipe_changes_no_exit_code(arguments, code):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        result = subprocess.run(
            [sys.executable, "-m", "swarmrig", *arguments],
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writer)
    assert result.returncode == code
    assert "Traceback" not in result.stderr
    assert "Exception ignored" not in result.stderr


@pytest.mark.parametrize("arguments", [["presets"], ["--version"], ["--help"]])
def test_a_terminal_that_is_gone_changes_no_exit_code(arguments, terminal):
    leader, follower = terminal
    os.close(leader)
    try:
        command = [sys.executable, "-m", "swarmrig", *arguments]
        result = subprocess.run(command, stdout=follower, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(follower)
    assert (result.returncode, result.stderr) == (0, "")


def test_output_to_a_full_disk_is_an_error():
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "swarmrig", "--version"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert result.returncode == 3
    assert "No space left" in result.stderr
    assert "Traceback" not in result.stderr
