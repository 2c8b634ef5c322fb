"""The documentation builds without a warning, every page is reached, and the tutorial is true as written."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
BLOCK = re.compile(r"(?:^<!-- exit (?P<exit>\d+) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```", re.M | re.S)


def test_the_site_builds_without_a_warning_and_has_every_page(tmp_path):
    site = tmp_path / "site"
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-d", tmp_path / "trees"]
    result = subprocess.run([*command, DOCS, site], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    pages = {str(path.relative_to(DOCS).with_suffix(".html")) for path in DOCS.rglob("*.md")}
    assert {page for page in pages if not (site / page).is_file()} == set()
    index = (site / "index.html").read_text()
    assert {page for page in pages if page.startswith(("howto/", "reference/")) and page not in index} == set()


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """A shell in an empty directory that finds `swarmrig`."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "swarmrig"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m swarmrig "$@"\n')
    program.chmod(0o755)
    work = tmp_path / "work"
    work.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SWARMRIG_", "GITHUB_"))}
    environment |= {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "SWARMRIG_STATE_DIR": str(tmp_path / "state"),
        "COLUMNS": "200",
    }

    def run(text: str) -> subprocess.CompletedProcess[str]:
        command = ["bash", "-euo", "pipefail", "-c", text]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.run(command, cwd=work, env=environment, text=True, check=False, **pipes)

    return run


def shown_in(line: str, output: str) -> bool:
    """Is the line there, whatever stands where it has dots, and however wide its blanks are?"""
    parts = re.sub(" +", " ", line).split("...")
    pattern = r"[^\n]*".join(r" +".join(map(re.escape, part.split(" "))) for part in parts)
    return re.search(pattern, output) is not None


def test_the_tutorial_is_true_as_written(shell):
    text = (DOCS / "tutorial.md").read_text()
    output, ran = "", 0
    for block in BLOCK.finditer(text):
        if block["language"] == "sh":
            result = shell(block["text"])
            output, ran = result.stdout, ran + 1
            assert result.returncode == int(block["exit"] or 0), f"{block['text']}\n{output}"
            continue
        assert block["language"] == "text"
        missing = [line for line in block["text"].splitlines() if line.strip() and not shown_in(line.strip(), output)]
        assert not missing, output
    assert ran >= 7


def test_what_is_not_shown_would_be_noticed():
    assert shown_in("PASS   a ... c", "x\nPASS a  b  c\n")
    assert not shown_in("PASS a ... d", "PASS a b c\nD")
