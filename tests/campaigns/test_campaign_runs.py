"""Campaigns of real runs, each a process of its own."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import jsonschema
import pytest
from junitparser import JUnitXml
from tests.campaigns.campaign_tricks import SCENARIO, campaign, trick

from swarmrig.campaigns.results import read_results, schema
from swarmrig.campaigns.task import Ending
from swarmrig.cli.main import main

KEEP = {"SWARMRIG_STATE_DIR", "SWARMRIG_CACHE_DIR"}


@dataclass
class Done:
    """One call of the command line."""

    code: int
    out: str
    err: str
    directory: Path | None

    @property
    def results(self):
        found = read_results(self.directory)
        jsonschema.validate(json.loads((self.directory / "campaign.json").read_text()), schema())
        return found

    @property
    def words(self):
        return {entry.task.id: entry.word for entry in self.results.tasks}


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    """run("FILE", ...) is `campaign run FILE ... --no-report --no-history`, with its output in runs/."""
    for name in [name for name in os.environ if name.startswith("SWARMRIG_") and name not in KEEP]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def call(*words, code=0):
        known = set(Path("runs").glob("*"))
        got = main(["campaign", "run", *map(str, words), "--no-report", "--no-history"])
        output = capfd.readouterr()
        assert got == code, output.out + output.err
        made = sorted(set(Path("runs").glob("*")) - known)
        return Done(got, output.out, output.err, made[0] if made else None)

    return call


def test_scenarios_times_matrix_times_seeds_times_repetitions(run, tmp_path):
    file = campaign(
        tmp_path, "matrix: {loss: {no: network.link.loss=0%, some: network.link.loss=5%}}\nrepetitions: 2\n"
    )
    done = run(file)
    found = done.results
    assert list(done.words.items()) == [
        (f"trick.{label}.s0.r{repetition}", "PASS") for label in ("no", "some") for repetition in (1, 2)
    ]
    first, again, other, _ = (entry.result for entry in found.tasks)
    assert first.tier == "exact"
    assert first.digest == again.digest
    assert first.key == again.key != other.key
    assert first.inputs["swarmrig"]
    for entry in found.tasks:
        run_directory = done.directory / entry.result.directory
        results = json.loads((run_directory / "results.json").read_text())
        assert results["run"]["digest"] == entry.result.digest
        assert [check.label for check in entry.result.checks] == [check["label"] for check in results["checks"]]
        assert entry.result.attempts[0].ending is Ending.JUDGED
    assert JUnitXml.fromfile(str(done.directory / "junit.xml")).tests == 4
    assert "night: PASS, 4 runs: 4 passed, exit code 0" in done.out
    assert "trick.swarmrig.yml  loss=some  2 PASS" in done.out
    assert (done.directory / "tasks.jsonl").read_bytes().count(b"\n") == 4


def test_for_machines_there_are_json_lines_the_last_one_the_result(run, tmp_path):
    done = run(campaign(tmp_path, ""), "--json")
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert [line["kind"] for line in lines if line["kind"] != "task.started"] == ["task.ended", "result"]
    jsonschema.validate(lines[-1]["results"], schema())
    assert Path(lines[-1]["directory"]) == done.directory.absolute()


def test_a_run_that_was_killed_is_tried_again_and_that_is_told(run, tmp_path):
    done = run(campaign(tmp_path, f"matrix: {{how: {{killed: '{trick('kill_the_rig_once', tmp_path / 'mark')}'}}}}\n"))
    ((name, word),) = done.words.items()
    assert word == "PASS"
    result = done.results.tasks[0].result
    assert [attempt.ending for attempt in result.attempts] == [Ending.INFRASTRUCTURE, Ending.JUDGED]
    assert "the process was ended by SIGKILL" in result.attempts[0].reason
    assert result.directory.startswith(f"runs/{name}/2/")
    assert f"RETRY     {name}: attempt 1 on local-1: the process was ended by SIGKILL" in done.err
    assert "1 tried again" in done.out
    assert "2 attempts" in (done.directory / "summary.md").read_text()
    assert "attempt 1 on local-1: infrastructure" in (done.directory / "junit.xml").read_text()


def test_what_the_infrastructure_fails_every_time_has_no_verdict(run, tmp_path):
    done = run(campaign(tmp_path, f"set: ['{trick('kill_the_rig')}']\nretries: 1\n"), code=3)
    assert done.words == {"trick.s0": "INFRA"}
    assert len(done.results.tasks[0].result.attempts) == 2
    assert done.results.counts["infrastructure"] == 1
    assert JUnitXml.fromfile(str(done.directory / "junit.xml")).errors == 1


def test_a_run_that_takes_too_long_is_ended_and_not_judged(run, tmp_path):
    done = run(campaign(tmp_path, "set: [time=real, duration=600s]\ntimeout: 2s\nretries: 0\n"), code=3)
    attempt = done.results.tasks[0].result.attempts[-1]
    assert (attempt.ending, attempt.reason) == (Ending.INFRASTRUCTURE, "it did not end within 2.000 s")


def test_a_scenario_that_is_wrong_in_one_variant_is_refused_before_anything_runs(run, tmp_path):
    text = "matrix: {loss: {no: network.link.loss=0%, much: network.link.loss=500%}, x: {a: seed=1, b: seed=2}}\n"
    done = run(campaign(tmp_path, text), code=3)
    assert done.directory is None
    assert "[trick.swarmrig.yml (loss much, x a), trick.swarmrig.yml (loss much, x b)]" in done.err
    assert "loss no" not in done.err
    assert "1 problem found" in done.err
    assert main(["campaign", "plan", "night.campaign.yml"]) == 3


def test_what_never_fits_is_refused_before_anything_runs(run, tmp_path):
    file = campaign(tmp_path, "resources: {cores: 900}\n")
    done = run(file, code=3)
    assert done.directory is None
    assert "900 cores" in done.err
    done = run(campaign(tmp_path, ""), "--memory", "1MiB", code=3)
    assert "MiB of memory (there are 1)" in done.err


def test_repetitions_with_two_verdicts_are_flaky_and_no_pass(run, tmp_path):
    mark = tmp_path / "mark"
    done = run(campaign(tmp_path, f"set: ['{trick('say_bad_once', mark)}']\nrepetitions: 2\n"), "--jobs", "1", code=2)
    (flaky,) = done.results.flaky
    assert {verdict: len(ids) for verdict, ids in flaky.verdicts.items()} == {"FAIL": 1, "PASS": 1}
    assert "Flaky" in done.out
    assert "1 flaky" in done.out


def test_repetitions_with_other_bytes_are_no_pass(run, tmp_path):
    done = run(campaign(tmp_path, f"set: ['{trick('say_who')}']\nrepetitions: 2\n"), code=2)
    assert set(done.words.values()) == {"PASS"}
    (difference,) = done.results.differences
    assert len(difference.digests) == 2
    assert difference.inputs == {}
    assert "should be the same to the byte" in done.out


def test_quarantined_runs_are_told_and_do_not_count_until_the_day(run, tmp_path):
    text = f"matrix: {{how: {{good: '{trick('say_good')}', bad: '{trick('say_bad')}'}}}}\nquarantine:\n"
    entry = "  - {match: {how: bad}, reason: the vendor knows, until: %s}\n"
    done = run(campaign(tmp_path, text + entry % "2999-01-01"))
    assert done.words == {"trick.good.s0": "PASS", "trick.bad.s0": "FAIL"}
    assert "FAIL trick.bad.s0: the vendor knows" in done.out
    assert JUnitXml.fromfile(str(done.directory / "junit.xml")).skipped == 1
    done = run(campaign(tmp_path, text + entry % "2001-01-01"), "--only", "*bad*", code=2)
    assert "a quarantine has ended (2001-01-01), counting again: 1 run: the vendor knows" in done.err
    assert done.results.quarantine[0].expired


def test_shards_make_the_campaign_together(run, tmp_path, capfd):
    file = campaign(tmp_path, "seeds: 1..3\n")
    shards = [run(file, "--shard", f"{part}/2") for part in (1, 2)]
    assert sorted(name for shard in shards for name in shard.words) == ["trick.s1", "trick.s2", "trick.s3"]
    places = [str(shard.directory) for shard in shards]
    assert main(["campaign", "merge", *places, "-o", "whole"]) == 0
    merged = read_results(Path("whole"))
    assert merged.campaign.shard is None
    assert merged.campaign.parts == tuple(shard.results.campaign.id for shard in shards)
    assert merged.counts["pass"] == 3
    for entry in merged.tasks:
        assert (Path("whole") / entry.result.directory / "results.json").is_file()
    capfd.readouterr()
    assert main(["campaign", "merge", *places, "-o", "whole"]) == 3
    assert main(["campaign", "merge", places[0], places[0], "-o", "twice"]) == 3
    assert main(["campaign", "run", "--resume", "whole"]) == 3
    err = capfd.readouterr().err
    assert "whole is there already" in err
    assert "both have the run" in err
    assert "was put together from shards" in err


def test_only_what_was_asked_for_is_run(run, tmp_path):
    file = campaign(tmp_path, "seeds: 1..9\nkeep: failed\n")
    done = run(file, "--only", "*.s[45]")
    assert list(done.words) == ["trick.s4", "trick.s5"]
    assert [entry.result.directory for entry in done.results.tasks] == [None, None]
    assert list((done.directory / "runs").iterdir()) == []
    assert "this leaves no run" in run(file, "--only", "none", code=3).err


def test_firmware_is_built_once_before_anything_runs(run, tmp_path):
    (tmp_path / "make.sh").write_text('set -e; cp "$1" "$2"; echo built >> built.log\n')
    file = campaign(tmp_path, "seeds: 1..2\n")
    elf = Path("src/swarmrig/nodes/qemu/firmware/refnode-rv32.elf")
    elf = Path(__file__).parents[2] / elf
    node = f"{{firmware: {{image: fw.elf, build: [sh, make.sh, '{elf}', fw.elf]}}}}"
    (tmp_path / "trick.swarmrig.yml").write_text(
        f"swarmrig: 1\nduration: 300ms\ntime: virtual\nnodes: {{a: {node}, b: {node}}}\nchecks: [no_crashes]\n"
    )
    done = run(file)
    assert set(done.words.values()) == {"PASS"}
    assert (tmp_path / "built.log").read_text() == "built\n"


def test_two_builds_of_one_file_would_spoil_each_other(run, tmp_path):
    file = campaign(
        tmp_path, "matrix: {v: {one: x-build=1, two: x-build=2}}\n".replace("x-build", "nodes.a.firmware.build")
    )
    (tmp_path / "trick.swarmrig.yml").write_text(
        "swarmrig: 1\nduration: 1s\nnodes: {a: {firmware: {image: fw.elf, build: 'true'}}}\nchecks: [no_crashes]\n"
    )
    text = file.read_text().replace("build=1", "build='true 1'").replace("build=2", "build='true 2'")
    file.write_text(text)
    assert "two commands build" in run(file, code=3).err


def test_a_ci_service_hears_of_the_campaign_and_not_of_its_runs(run, tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "step.md"))
    monkeypatch.setenv("SWARMRIG_SEED", "77")  # an option of other commands: runs are not told
    done = run(campaign(tmp_path, f"set: ['{trick('say_bad')}']\n"), code=2)
    assert done.words == {"trick.s0": "FAIL"}
    (line,) = [line for line in done.err.splitlines() if line.startswith("::error")]
    assert line.startswith("::error file=night.campaign.yml,line=1,col=1,title=night%3A FAIL trick.s0::")
    summary = (tmp_path / "step.md").read_text()
    assert summary.count("# night: FAIL") == 1
    assert "# trick" not in summary


def test_the_plan_lists_the_runs_and_launches_nothing(run, tmp_path, capfd):
    file = campaign(tmp_path, "matrix: {loss: [network.link.loss=0%, network.link.loss=5%]}\nseeds: 1..30\n")
    assert main(["campaign", "plan", str(file)]) == 0
    text = capfd.readouterr().out
    assert "night: 60 runs" in text
    assert "trick.swarmrig.yml (loss 5%): 30 runs, 2 nodes, time virtual, 1 core, " in text
    assert "… and 20 more" in text
    assert main(["campaign", "plan", str(file), "--shard", "2/2", "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert (document["count"], document["count_of_all_shards"], len(document["tasks"])) == (30, 60, 30)
    assert document["tasks"][0]["resources"]["cores"] == 1
    assert not Path("runs").exists()


def test_a_full_disk_stops_the_campaign_and_it_goes_on_when_there_is_room(run, tmp_path):
    place = tmp_path / "runs"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=260k", "tmpfs", place]
    if os.geteuid() != 0 or subprocess.run(mount, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("needs root to mount a small file system")
    try:
        done = run(campaign(tmp_path, "seeds: 1..6\n"), "--jobs", "1", code=3)
        ended = (done.directory / "tasks.jsonl").read_bytes()
        assert 0 < ended.count(b"\n") < 6
        assert "free some space" in done.err
        assert "go on with: swarmrig campaign run --resume" in done.out
        assert "Traceback" not in done.err
        subprocess.run(["mount", "-o", "remount,size=64m", place], check=True)
        run("--resume", done.directory)
        assert set(done.words.values()) == {"PASS"}
        assert (done.directory / "tasks.jsonl").read_bytes().startswith(ended)
        assert done.results.campaign.stopped is None
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_campaign_that_goes_on_runs_again_what_has_changed_and_says_so(run, tmp_path):
    done = run(campaign(tmp_path, ""))
    before = done.results.tasks[0].result
    again = run("--resume", done.directory)
    assert "1 run of 1 had ended before" in again.out
    assert done.results.tasks[0].result == before
    (tmp_path / "trick.swarmrig.yml").write_text(SCENARIO.replace("200ms", "250ms"))
    again = run("--resume", done.directory)
    assert "scenario or firmware have changed since: 1 run, trick.s0 the first of them, will be made again" in again.err
    assert done.results.tasks[0].result.key != before.key
    (tmp_path / "trick.swarmrig.yml").write_text(SCENARIO + "  - nonsensical\n")
    assert "nonsensical" in run("--resume", done.directory, code=3).err
