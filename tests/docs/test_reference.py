"""The pages of the reference are what the code says, and say all of it."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from swarmrig.cli.commands.schema import command
from swarmrig.cli.format_page import FormatPage
from swarmrig.cli.formats import FORMATS, format_schema
from swarmrig.cli.main import COMMANDS
from swarmrig.cli.reference_pages import format_reference, reference_pages
from swarmrig.plugins import Registry

REFERENCE = Path(__file__).parents[2] / "docs/reference"
BY_HAND = {"command-line.md", "exit-codes.md"}
WRITTEN = sorted(path.name for path in REFERENCE.glob("*.md") if path.name not in BY_HAND)


@pytest.fixture(scope="module")
def pages():
    return reference_pages()


@pytest.mark.parametrize("name", WRITTEN)
def test_the_page_is_what_the_code_says(name, pages):
    assert (REFERENCE / name).read_text() == pages[name], "run: make docs"


def test_no_page_is_forgotten_and_no_other_is_there(pages):
    assert set(WRITTEN) == set(pages), "run: make docs"
    assert {f"{which}.md" for which in FORMATS} <= set(pages)


@pytest.mark.parametrize("which", sorted(FORMATS))
def test_every_key_has_a_type_and_a_meaning(which, pages):
    rows = [line for line in pages[f"{which}.md"].splitlines() if line.startswith("| `")]
    assert len(rows) > 10
    for row in rows:
        _, _, takes, default, meaning, _ = re.split(r"(?<!\\)\|", row)
        assert takes.strip(), row
        assert len(meaning.strip()) > 5, row
        assert default.count("`") in (0, 2), row


def test_every_key_of_a_scenario_is_there(pages):
    """Those of nodes, faults and checks that plugins bring have their own tables."""
    page = pages["scenario.md"]
    schema = format_schema("scenario", Registry.load())
    sections = ("Burst", "FirmwareEntry", "FlashPartEntry", "LinkEntry", "NetworkEntry", "NodeConfig", "WhenEntry")
    keys = set(schema["properties"]).union(*(schema["$defs"][name]["properties"] for name in sections))
    assert {key for key in keys if f"| `{key}` |" not in page} == set()
    for kind in Registry.load().names("nodes"):
        assert f"## kind: {kind}\n" in page


def test_links_of_a_page_lead_to_its_headings(pages):
    for name, page in pages.items():
        headings = re.findall(r"^#+ (.+)$", page, re.M)
        anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert set(re.findall(r"\]\(#([^)]+)\)", page)) <= anchors, name
        assert len(headings) == len(set(headings)), name


def test_every_command_is_there(pages):
    headings = set(re.findall(r"^#+ swarmrig (.+)$", pages["commands.md"], re.M))
    assert set(COMMANDS) <= headings
    assert {"suite run", "faults explain", "runs prune"} <= headings
    assert "| `--seed N` | Seed of the run." in pages["commands.md"]


def test_the_command_prints_the_page_with_what_is_installed():
    printed = CliRunner().invoke(command, ["scenario", "--markdown"], catch_exceptions=False).output
    assert printed == format_reference("scenario", Registry.load())
    assert "| `between` | list of text | **required** | The two nodes that it joins. |" in printed
    assert "| `latency` | duration | `5ms` | Delay of every frame. |" in printed


def test_what_schemas_can_say_is_told():
    schema = {
        "description": "Two\nlines.",
        "required": ["b"],
        "properties": {
            "a": {"anyOf": [{"type": "array", "items": {"$ref": "#/$defs/One"}}, {"type": "null"}], "default": None},
            "b": {"additionalProperties": {"$ref": "#/$defs/One"}, "type": "object", "description": "x | y"},
            "c": {"type": ["integer", "null"], "minimum": 1, "maximum": 3, "default": 2},
            "d": {"type": "object", "properties": {"e": {"const": 7}}},
            "f": {"$ref": "#/$defs/Word"},
            "g": {},
        },
        "$defs": {
            "One": {
                "description": "One.",
                "anyOf": [{"type": "string"}, {"type": "object", "properties": {"two": {"type": "boolean"}}}],
            },
            "Word": {"enum": ["x", "y"], "description": "A word."},
        },
    }
    assert list(FormatPage(schema, "Top").lines()) == [
        "", "## Top", "", "Two lines.", "",
        "| key | takes | default | meaning |", "|---|---|---|---|",
        "| `a` | list of text or [b.NAME](#bname) |  |  |",
        "| `b` | mapping of names to text or [b.NAME](#bname) | **required** | x \\| y |",
        "| `c` | integer 1 to 3 | `2` |  |",
        "| `d` | [d](#d) |  |  |",
        "| `f` | `x`, `y` |  | A word. |",
        "| `g` | any value |  |  |",
        "", "## b.NAME", "", "One.", "",
        "| key | takes | default | meaning |", "|---|---|---|---|",
        "| `two` | true or false |  |  |",
        "", "## d", "",
        "| key | takes | default | meaning |", "|---|---|---|---|",
        "| `e` | `7` |  |  |",
    ]  # fmt: skip
