"""The picture in the README is what a run shows today."""

import html
import re
import runpy
import subprocess
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[2]
NAMES = ("run-light.svg", "run-dark.svg")


def lines(svg: str) -> Counter:
    """What it shows, line by line, without numbers (wall time, and how wide they are) and the run's own name."""
    found: dict[str, str] = {}
    for number, text in re.findall(r'<text [^>]*clip-path="url\(#swarmrig-line-(\d+)\)"[^>]*>(.*?)</text>', svg):
        found[number] = found.get(number, "") + html.unescape(text)
    shown = (re.sub(r"runs/\S+", "runs/RUN", line.replace("\xa0", " ")) for line in found.values())
    return Counter(" ".join(re.sub(r"\d+(?:\.\d+)?", "N", line).split())[:80] for line in shown)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    place = tmp_path_factory.mktemp("picture")
    done = subprocess.run(
        [sys.executable, ROOT / "docs/picture.py", place], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return {path.name: path.read_text() for path in place.iterdir()}


def test_the_command_makes_the_pictures_that_are_there(made):
    assert set(made) == set(NAMES)
    for name, text in made.items():
        missing = lines((ROOT / "docs" / name).read_text()) - lines(text)
        assert not missing, "run: make picture"


@pytest.mark.parametrize("name", NAMES)
def test_it_is_of_a_whole_run_and_needs_nothing_beside_it(name):
    text = (ROOT / "docs" / name).read_text()
    ElementTree.fromstring(text)
    shown = " ".join(lines(text))
    for part in ("$ swarmrig run two-rooms.swarmrig.yml", "tier exact", "coord--sN up", "heal observed", "PASS after"):
        assert part in shown
    assert "url(http" not in text
    assert not re.search(r"/(?:home|root|tmp|work|usr)/", text)
    assert f'docs/{name}"' in (ROOT / "README.md").read_text()


def test_another_example_would_be_noticed():
    example = runpy.run_path(str(ROOT / "docs/picture.py"))["EXAMPLE"]
    assert example.relative_to(ROOT).as_posix() in (ROOT / "README.md").read_text()
