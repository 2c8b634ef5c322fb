"""The how-to is true as written: its files are valid, its commands do what it says. So is the example."""

import re
import shlex
from pathlib import Path

import pytest

from swarmrig.campaigns.load import load_campaign
from swarmrig.campaigns.plan import size_of
from swarmrig.campaigns.results import read_results
from swarmrig.cli.main import main

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/howto/run-a-campaign.md").read_text()
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.M | re.S)
FILES = {
    text.split("\n", 1)[0].removeprefix("# "): text for language, text in FENCE.findall(TEXT) if language == "yaml"
}
COMMANDS = [line for language, text in FENCE.findall(TEXT) if language == "sh" for line in text.splitlines()]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A directory with all files that the how-to shows."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "build").mkdir()
    for name in ("v1", "v2"):
        elf = ROOT / "src/swarmrig/nodes/qemu/firmware/refnode-rv32.elf"
        (tmp_path / f"build/{name}.elf").write_bytes(elf.read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def words_of(command):
    words = shlex.split(command)[1:]
    return [match for word in words for match in (sorted(map(str, Path().glob(word))) if "*" in word else [word])]


def test_what_it_shows_is_complete():
    assert set(FILES) == {"room.swarmrig.yml", "nightly.campaign.yml", "releases.campaign.yml", "known.campaign.yml"}
    assert len(COMMANDS) == 6


def test_the_files_are_valid(place, capfd):
    assert size_of(load_campaign(place / "nightly.campaign.yml").values).runs == 8
    assert main(["campaign", "plan", "releases.campaign.yml"]) == 0
    text = capfd.readouterr().out
    # 2 x (3 + 3 - 1 of poor links) with v2, and v1 without poor links, and two of the worst, each twice
    assert "releases: 20 runs" in text
    assert "room.v2.poor.s2.r1" in text
    assert "room.v1.poor" not in text


@pytest.mark.slow
def test_the_commands_do_what_it_says(place, capfd):
    for command in COMMANDS:
        words = words_of(command)
        if words == ["campaign", "run", "nightly.campaign.yml"]:
            words += ["--only", "room.none.*.s1"]  # its parts come to all of it
        if words[1] == "run":
            words += ["--no-report", "--no-history", *([] if "--output-dir" in words else ["--output-dir", "out"])]
        assert main(words) == 0, command + "".join(capfd.readouterr())
    assert read_results(place / "merged").counts["pass"] == 8
    (known,) = (place / "out").glob("known-*")
    assert [entry.word for entry in read_results(known).tasks] == ["PASS", "WARN"]


def test_the_example_passes(tmp_path, capfd):
    file = ROOT / "examples/campaign/nightly.campaign.yml"
    words = ["campaign", "run", str(file), "--only", "pair.*.s1", "--output-dir", str(tmp_path), "--no-report"]
    assert main(words) == 0
    assert f"history: {tmp_path}/history.sqlite" in capfd.readouterr().out
    assert (tmp_path / "history.sqlite").is_file()
