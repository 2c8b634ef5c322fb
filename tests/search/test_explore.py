"""A planted bug that needs two faults in one order is found, shrunk to these two, and written down."""

import json
import signal
import subprocess
import sys

import pytest
from search_cases import BUGGY, GOOD, call, command_line, environment, search

SEARCH = (
    "--faults",
    "cut,reset,pause",
    "--search-seed",
    "37",
    "--schedules",
    "12",
    "--stop-after",
    "1",
    "--confirm",
    "2",
)
SHORT = GOOD.replace("10s", "2s")


def interrupted_in_shrinking(place):
    """A search that gets Ctrl-C as soon as it has found something; its exit code."""
    file = place / "pair.swarmrig.yml"
    file.write_text(BUGGY)
    command = command_line("explore", file, "--json", "--output-dir", place / "out", "--jobs", "2", *SEARCH)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment(place), cwd=place) as process:
        try:
            for text in process.stdout:
                if json.loads(text)["kind"] == "finding":
                    process.send_signal(signal.SIGINT)
                    break
            last = json.loads(process.stdout.read().splitlines()[-1])
            return process.wait(60), last
        finally:
            process.kill()


@pytest.fixture(scope="module")
def begun(place):
    """The directory of a search that was interrupted while it shrank, its exit code, its last words."""
    code, last = interrupted_in_shrinking(place)
    (directory,) = (place / "out").glob("*-explore-*")
    return directory, code, last, (directory / "finding-1.swarmrig.yml").read_text()


@pytest.fixture(scope="module")
def found(place, begun):
    """That search, gone on with."""
    return search(place, BUGGY, *SEARCH, "--resume", begun[0])


@pytest.mark.slow
def test_the_best_so_far_is_written_when_it_is_interrupted(begun):
    directory, code, last, text = begun
    assert code == 130
    assert last["results"]["interrupted"]
    (finding,) = last["results"]["findings"]
    assert not finding["minimal"]
    assert "Shrinking was interrupted" in text
    assert not (directory / "work").exists()


@pytest.mark.slow
def test_it_is_shrunk_to_exactly_two_faults_in_their_order(found):
    assert found.exit_code == 2, found.stderr
    (finding,) = found.results["findings"]
    assert finding["check"] == "no_crashes"
    assert finding["state"].startswith("<sensor>: Guru Meditation Error")
    first, second = finding["schedule"]["faults"]
    assert (first["kind"], first["params"]) == ("cut", {"between": ["c", "s"]})
    assert (second["kind"], second["params"]["node"]) == ("reset", "s")
    assert first["at_ns"] < second["at_ns"]
    assert finding["minimal"]
    assert (finding["confirmed"], len(finding["digests"])) == (2, 1)
    assert len(finding["proved"]) == 2


@pytest.mark.slow
def test_going_on_with_what_has_ended_runs_nothing_again(place, begun, found):
    log = begun[0] / "runs.jsonl"
    before = log.read_bytes()
    again = search(place, BUGGY, *SEARCH, "--resume", begun[0])
    assert log.read_bytes() == before
    assert [f["schedule"] for f in again.results["findings"]] == [f["schedule"] for f in found.results["findings"]]


@pytest.mark.slow
def test_the_written_scenario_fails_and_passes_with_good_firmware(place, begun, found):
    text = (begun[0] / "finding-1.swarmrig.yml").read_text()
    assert "Without any one of them, the check holds. Confirmed in 2 of 2" in text
    (place / "good.swarmrig.yml").write_text(repaired(text))
    bad = call(place, "run", begun[0] / "finding-1.swarmrig.yml", "--output-dir", place / "bad")
    assert bad.returncode == 3  # a crash is FATAL
    good = call(place, "run", place / "good.swarmrig.yml", "--output-dir", place / "good")
    assert good.returncode == 0, good.stdout


@pytest.mark.slow
def test_the_written_test_fails_until_the_firmware_is_repaired(place, begun, found):
    home = place / "kept"
    home.mkdir()
    text = (begun[0] / "finding-1.swarmrig.yml").read_text()
    (home / "test_finding_1.py").write_text((begun[0] / "test_finding_1.py").read_text())
    for scenario, code in ((text, 1), (repaired(text), 0)):
        (home / "finding-1.swarmrig.yml").write_text(scenario)
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            f"--basetemp={place}/tests",
            str(home),
        ]
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment(place), cwd=home, timeout=220, check=False
        )
        assert done.returncode == code, done.stdout
        assert ("Guru Meditation" in done.stdout) == (code == 1)


def repaired(text):
    assert "variant: outage-report" in text
    lines = text.splitlines()
    at = next(index for index, one in enumerate(lines) if "variant: outage-report" in one)
    return "\n".join([*lines[: at - 1], *lines[at + 1 :]]) + "\n"  # with `firmware:` before it


def test_nothing_found_tells_what_that_rests_on(place):
    done = search(place, SHORT, "--faults", "reset", "--schedules", "3", name="good")
    assert done.exit_code == 0, done.stderr
    results = done.results
    assert results["schedules"] == 3
    assert results["faults"]["reset"]["proved"] >= 1
    assert results["coverage"]["features"] > 10
    assert results["findings"] == []


def test_any_number_of_workers_tries_the_same(place):
    tried = []
    for jobs in ("1", "2"):
        done = search(place, SHORT, "--faults", "reset,cut", "--schedules", "3", "--jobs", jobs, name=f"jobs{jobs}")
        lines = (done.directory / "runs.jsonl").read_text().splitlines()
        runs = {json.dumps(run["schedule"]): run["observation"]["digest"] for run in map(json.loads, lines)}
        tried.append((runs, done.results["coverage"]["growth"]))
    assert tried[0] == tried[1]


def test_faults_without_effect_are_no_success(place):
    done = search(place, SHORT, "--faults", "console_stall", "--schedules", "2", name="still")
    assert done.exit_code == 3
    assert done.results["nothing_tried"] == "no fault was seen to take effect"


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (SHORT.replace("no_crashes", "frame_rate_above: 1000"), (), "broken without any fault: frame_rate_above"),
        (SHORT.replace("[all_nodes_boot, no_crashes]", "[]"), (), "has no checks to break"),
        (SHORT, ("--check", "no_crash"), "the scenario has no check no_crash"),
        (SHORT, ("--faults", "rest"), "there is no fault 'rest'"),
        (SHORT, ("--from", "5s"), "no room for a fault"),
        (SHORT, ("--seeds", "9..1"), "expected a range from the smaller"),
    ],
)
def test_what_cannot_be_searched_is_refused(place, text, options, message):
    done = search(place, text, "--schedules", "1", *options, name="refused")
    assert done.exit_code == 3
    assert message in done.stderr


def test_another_scenario_cannot_go_on(place, begun):
    done = search(place, GOOD, *SEARCH, "--resume", begun[0])
    assert done.exit_code == 3
    assert "was begun with another scenario" in done.stderr
