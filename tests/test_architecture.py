"""The rules that tools check: style, types, and that imports only point downward."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent

SOURCES = ["src", "tests", "bench", "refnode"]
TOOLS = {
    "ruff check": ["ruff", "check", "--quiet", "--output-format=concise", "--no-cache", *SOURCES],
    "ruff format": ["ruff", "format", "--check", "--quiet", "--no-cache", *SOURCES],
    "mypy": ["mypy", "--no-error-summary", "--no-color-output"],
    "import-linter": ["lint-imports", "--no-cache"],
}


@pytest.mark.parametrize("tool", TOOLS)
def test_tool_finds_nothing(tool):
    command = TOOLS[tool]
    result = subprocess.run(
        [BIN / command[0], *command[1:]],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        pytest.fail(f"{tool} (exit {result.returncode}):\n{result.stdout}{result.stderr}", pytrace=False)


def test_shell_scripts_are_sound():
    for script in ("tools/install", ".ci/run", "ci/install", "ci/run"):
        subprocess.run(["bash", "-n", script], cwd=ROOT, check=True)


def test_the_extra_all_brings_every_other_one():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (everything,) = extras["all"]
    named = re.fullmatch(r"swarmrig\[(.*)\]", everything)
    assert named
    assert set(named[1].split(",")) == set(extras) - {"all", "dev", "bench", "docs"}


def test_the_container_gets_files_that_exist():
    for line in (ROOT / "Containerfile").read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for name in line.split()[1:-1]:
                assert (ROOT / name).exists(), name
                assert f"!{name}\n" in (ROOT / ".dockerignore").read_text(), name


FORBIDDEN = ("/work/", "pypi" + ".org", "pythonhosted" + ".org", "debian" + ".org/debian", "deb." + "debian")


def test_no_file_names_a_place_of_its_making_or_a_package_host():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    found = []
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path == Path(__file__) or not path.is_file():
            continue
        text = path.read_bytes()
        found += [f"{name}: {word}" for word in FORBIDDEN if word.encode() in text]
    assert not found
