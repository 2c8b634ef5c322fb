"""Every command that a page shows is run, and what a page shows behind it is what it says.

A page's scenarios are files where its commands look for them: by the comment in their first line, else by their name.
Former runs that a page speaks of are runs of these. What needs more than this machine, a run in progress or a debugger
is run elsewhere: a table says where.
"""

import re
import shlex
import shutil
from functools import cache
from pathlib import Path

import pytest
from tests.docs.test_documents import DOCUMENTS, FENCE

from swarmrig.cli.main import main

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
FAULTS = "- {at: 21s, id: once, reset: {node: 1}}\n"
RUN = re.compile(r"runs/([a-z-]+)-\d{8}-\d{6}-[0-9a-f]{8}")
SHORT = ["--duration", "4s", "--set", "faults=[]"]
"""For runs that take as long as they last, or of which the page shows nothing but how they are started."""
SLOW = {"fork-a-warm-swarm.md", "mix-real-and-virtual-time.md"}
BY_TESTS = {"tutorial.md", "changelog.md"}
OTHER_RUNS = {"replay-a-run.md", "mix-real-and-virtual-time.md", "write-a-scenario.md"}
"""What these show is said of runs that differ, of one that is too slow, of a file with errors (their own tests)."""

ELSEWHERE = {
    r"make (demo|test)\b": (".ci/run", "make test"),
    r"docker (build|run)": ("tests/cli/test_install_script.py", "Containerfile"),
    r"docker ps": ("tests/containers", "swarmrig.run"),
    r"while ! ip address": ("tests/containers", "ip address show eth0"),
    r"(ssh|dask (scheduler|worker)|swarmrig campaign run .* --on) ": (
        "tests/campaigns/test_cluster_howto.py",
        "run-on-a-cluster",
    ),
    r"pip install": ("tests/test_architecture.py", "extras"),
    r"pytest": ("tests/integrations/test_integration_howtos.py", "test_the_tests_of_the_howto_pass"),
    r"editcap": ("tests/fixtures", "editcap"),
    r"swarmrig (image|fixtures) ": ("tests/fixtures", "generate"),
    r"swarmrig suite ": ("tests/suites", "media-faults"),
    r"swarmrig campaign ": ("tests/campaigns", "examples/campaign"),
    r"swarmrig explore ": ("tests/search", "explore"),
    r"swarmrig nvs run": ("tests/cli/test_nvs_run.py", "corrupt-nvs"),
    r"swarmrig run .*--pause-on-failure": ("tests/cli/test_attaching.py", "--pause-on-failure"),
    r"swarmrig (watch|console .*--type)": ("tests/cli/test_attaching.py", "watch"),
    r"swarmrig (watch .*--release)": ("tests/cli/test_attaching.py", "--release"),
    r"swarmrig replay .*--gdb": ("tests/replay", "--gdb"),
    r"eval |swarmrig completion": ("tests/cli/test_help.py", "completion"),
}


def shell(page: Path):
    """(command, what the page shows behind it) of a page's blocks."""
    blocks = FENCE.findall(page.read_text())
    for (language, text), (following, shown) in zip(blocks, [*blocks[1:], ("", "")], strict=False):
        if language in ("sh", "bash", "console"):
            lines = [line.removeprefix("$ ") for line in text.splitlines() if line.strip()]
            for line in lines:
                yield line, shown if following == "text" and line == lines[-1] else ""


def elsewhere(line: str):
    return next((place for pattern, place in ELSEWHERE.items() if re.match(pattern, line)), None)


HERE = [
    pytest.param(page, id=page.name, marks=[pytest.mark.slow] if page.name in SLOW else [])
    for page in DOCUMENTS
    if page.name not in BY_TESTS and any(not elsewhere(line) for line, _ in shell(page))
]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Where the commands of a page are run: with the scenario of the README."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SWARMRIG_STATE_DIR", str(tmp_path / "state"))
    for name in ("CI", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    (scenario,) = [text for language, text in FENCE.findall((ROOT / "README.md").read_text()) if language == "yaml"]
    for name in ("two-rooms", "tests/two-rooms", "my"):
        path = tmp_path / f"{name}.swarmrig.yml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(scenario)
    (tmp_path / "faults.yml").write_text(FAULTS)
    shutil.copy(ROOT / "examples/greenhouse/greenhouse.onnx", tmp_path)
    return tmp_path


def write_scenarios(page: Path, place: Path) -> None:
    for language, text in FENCE.findall(page.read_text()):
        name = re.match(r"# (\S+\.yml)\n", text) or re.search(r"^name: (\S+)$", text, re.M)
        if language == "yaml" and name:
            file = name[1] if name[1].endswith(".yml") else f"{name[1]}.swarmrig.yml"
            (place / file).write_text(text)
        elif language == "yaml" and "ml_inference" in text:
            (place / "greenhouse.yml").write_text(text)


def with_runs(line: str, place: Path, capfd) -> str:
    """The line with former runs that there are."""
    for name in sorted(set(RUN.findall(line))):
        if not any(place.glob(f"runs/{name}-2*")):
            assert main(["run", f"{name}.swarmrig.yml", *(SHORT if name == "mixed" else [])]) < 3, capfd.readouterr()
    found = {name: sorted(place.glob(f"runs/{name}-2*")) for name in RUN.findall(line)}
    line = RUN.sub(lambda match: str(found[match[1]][0].relative_to(place)), line)
    if "base/results.json" in line:
        shutil.copytree(next(place.glob("runs/shaken-2*")), place / "base", dirs_exist_ok=True)
    return line


def masked(text: str) -> str:
    """Without the names of runs, how long anything took, and the numbers of lines and frames."""
    known = re.sub(r"\S*(-\d{8}-\d{6}-[0-9a-f]{8})", lambda match: match[0].rpartition("/")[2][: -len(match[1])], text)
    known = re.sub(r"results: \S+", "results:", re.sub(r"([#:])\d+\b", r"\1N", known))
    return " ".join(re.sub(r"\d+\.\d+ s\b", "N s", known).split())


@pytest.mark.parametrize("page", HERE)
def test_commands_do_what_the_page_says(page, place, capfd):
    write_scenarios(page, place)
    if any(re.search(r"\blast\b|runs show", line) for line, _ in shell(page)):
        assert main(["run", "two-rooms.swarmrig.yml", *SHORT]) < 3, capfd.readouterr()
    for line, shown in shell(page):
        if elsewhere(line):
            continue
        words = shlex.split(with_runs(line, place, capfd), comments=True)
        assert words[0] == "swarmrig", line
        words, into = (words[: words.index(">")], words[-1]) if ">" in words else (words, None)
        if words[1] == "run" and ("standard" in words or "--time" in words or "mixed.swarmrig.yml" in words):
            words += SHORT
        capfd.readouterr()
        code = main(words[1:])
        said = capfd.readouterr()
        assert code in ((0, 1, 2) if words[1] in ("run", "sweep") else (0,)), (line, said)
        if into:
            (place / into).write_text(said.out)
        shown = "" if page.name in OTHER_RUNS else shown
        missing = [text for text in shown.splitlines() if text.strip(" .") and masked(text) not in masked(said.out)]
        assert not missing, said.out


@cache
def sources() -> dict[Path, str]:
    return {path: path.read_text() for path in TESTS.rglob("*.py") if path != Path(__file__)}


@pytest.mark.parametrize("place", sorted(set(ELSEWHERE.values())), ids=": ".join)
def test_what_is_run_elsewhere_is_there(place):
    path, part = ROOT / place[0], place[1]
    texts = [path.read_text()] if path.is_file() else [text for file, text in sources().items() if path in file.parents]
    assert any(part in text for text in texts)


def test_every_line_of_the_table_is_of_use():
    lines = [line for page in DOCUMENTS for line, _ in shell(page)]
    assert [pattern for pattern in ELSEWHERE if not any(re.match(pattern, line) for line in lines)] == []


HOWTOS = [page for page in DOCUMENTS if page.parent.name == "howto"]


@pytest.mark.parametrize("page", HOWTOS, ids=lambda page: page.name)
def test_programs_and_parts_of_scenarios_on_a_page_are_run_by_a_test_of_it(page):
    """One that names the page. Commands are run here, whole scenarios are loaded by test_documents."""
    others = [
        (language, text)
        for language, text in FENCE.findall(page.read_text())
        if language not in ("sh", "text") and not (language == "yaml" and "swarmrig: 1" in text)
    ]
    assert not others or any(page.stem in text for text in sources().values()), others[0]
