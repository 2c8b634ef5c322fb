"""What the documents show is true: scenarios are valid, commands exist, links lead somewhere."""

from __future__ import annotations

import re
import shlex
import tomllib
from itertools import pairwise
from pathlib import Path

import click
import pytest

from swarmrig.cli.main import COMMANDS, root
from swarmrig.errors import ScenarioError
from swarmrig.model.verdict import EXIT_CODES, EXIT_INTERRUPTED, Outcome
from swarmrig.plugins import Registry
from swarmrig.scenario.load import load_scenario

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def blocks(*languages: str):
    for path in DOCUMENTS:
        for number, (language, text) in enumerate(FENCE.findall(path.read_text())):
            if language in languages:
                yield pytest.param(text, id=f"{path.relative_to(ROOT)}-{number}")


@pytest.mark.parametrize("text", [block for block in blocks("yaml", "yml") if "swarmrig: 1" in block.values[0]])
def test_scenarios_are_valid(text, tmp_path):
    path = tmp_path / "shown.swarmrig.yml"
    path.write_text(text)
    try:
        load_scenario(path, registry=Registry.load())
    except ScenarioError as error:
        # Files that a document only names are not here; all else must be right.
        wrong = [problem for problem in error.problems if "exist" not in problem.message]
        assert not wrong


def shown_commands():
    for block in blocks("sh", "bash", "console"):
        for line in block.values[0].splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            for index, word in enumerate(words):
                if Path(word).name == "swarmrig" and index + 1 < len(words) and words[index + 1] in COMMANDS:
                    yield pytest.param(words[index + 1 :], id=" ".join(words[index + 1 :])[:60])


@pytest.mark.parametrize("words", list(shown_commands()))
def test_commands_can_be_parsed(words):
    words = [word for word in words if word not in (">", ">>", "|", "&&")]
    command = root.get_command(click.Context(root), words[0])
    assert command is not None
    if words[0] == "completion":
        words = words[:2]
    try:
        context = command.make_context(words[0], list(words[1:]))
    except click.BadParameter as error:  # runs and files that a document only names are not here
        assert "does not exist" in error.message
    else:
        assert context.command is command


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    for target in LINK.findall(path.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (path.parent / target).exists(), target


def test_exit_codes_are_those_of_the_code():
    text = (ROOT / "docs/reference/exit-codes.md").read_text()
    documented = dict(re.findall(r"^\| (\d+) \| ([A-Z]+) \|", text, re.M))
    expected = {str(code): outcome.value for outcome, code in EXIT_CODES.items() if outcome is not Outcome.INCONCLUSIVE}
    assert documented == expected
    assert f"| {EXIT_INTERRUPTED} |" in text


def test_the_two_commands_of_the_readme_are_targets_and_ci_runs_one():
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    for target in ("demo", "test"):
        assert f"make {target}" in readme
        assert re.search(rf"^{target}:", makefile, re.M)
    assert "make test" in (ROOT / ".ci/run").read_text()


def test_version_of_the_package_is_in_the_changelog_or_unreleased():
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_design_names_every_layer():
    """In the table and, from top to bottom, in the drawing."""
    page = (ROOT / "docs/design.md").read_text()
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    layers = [[name.strip().removeprefix("swarmrig.") for name in layer.split("|")] for layer in settings["layers"]]
    table = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\|(.*?)\|", page, re.M))))
    (drawing,) = [text for language, text in FENCE.findall(page) if "integrations" in text]
    places = [[drawing.index(name) for name in layer] for layer in layers]
    assert {name for layer in layers for name in layer} - table == set()
    lines = [{drawing.count("\n", 0, place) for place in layer} for layer in places]
    assert all(max(above) <= min(below) for above, below in pairwise(lines)), drawing
