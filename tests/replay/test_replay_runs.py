"""Finished runs against each other and against their repetition: the command line on real runs."""

import json
import shutil
import signal
import time

import pytest

from swarmrig.replay.finished import IncomparableError, open_finished
from swarmrig.replay.moments import frames
from swarmrig.replay.runs import compare_runs, provenance_changes

SCENARIO_SEED = "seed: 11"


def test_a_run_repeats_itself(swarmrig, recorded, tmp_path):
    done = swarmrig("replay", recorded)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("equal: events, captures, consoles and results\n")
    (again,) = (tmp_path / "runs").iterdir()
    digests = {open_finished(one).digest for one in (recorded, again)}
    assert len(digests) == 1
    assert swarmrig("diff", recorded, again).returncode == 0


def test_another_seed_differs_from_the_first_frame_on(swarmrig, copy, recorded):
    scenario = copy / "scenario.yml"
    scenario.write_text(scenario.read_text().replace(SCENARIO_SEED, "seed: 12"))
    done = swarmrig("replay", copy, "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["equal"]) == (2, False)
    first = found["differences"][0]
    assert first["t_ns"] == min(one["t_ns"] for one in found["differences"])
    assert first["left"] != first["right"]
    assert any("flash_sha256" in warning for warning in found["warnings"])
    assert {"path": "run.seed", "left": 11, "right": 12} in found["results"]


def test_a_repetition_with_other_firmware_says_so(swarmrig, copy):
    provenance = copy / "provenance.json"
    document = json.loads(provenance.read_text())
    for node in ("s1", "s2"):
        document["nodes"][node]["firmware_sha256"] = "0" * 64
    document["swarmrig"] = "0.0.1"
    provenance.write_text(json.dumps(document))
    done = swarmrig("replay", copy)
    assert done.returncode == 0
    assert "warning: s1, s2: firmware_sha256 was 000000000000…, then " in done.stdout
    assert "warning: swarmrig: 0.0.1, then " in done.stdout


def test_every_node_says_what_it_was_made_of(recorded):
    document = json.loads((recorded / "provenance.json").read_text())
    expected = {"emulator", "emulator_version", "emulator_sha256", "plugin_sha256", "firmware", "firmware_sha256",
                "flash_sha256"}  # fmt: skip
    assert all(set(node) == expected for node in document["nodes"].values())
    assert len({node["flash_sha256"] for node in document["nodes"].values()}) == len(document["nodes"]) == 3
    assert len({node["firmware_sha256"] for node in document["nodes"].values()}) == 1


def test_changes_of_what_runs_are_made_of_are_told_once():
    left = {"swarmrig": "1", "python": "3.11", "nodes": {"a": {"x": "1"}, "b": {"x": "1"}, "c": {"x": "1"}}}
    right = {"swarmrig": "1", "python": "3.12", "nodes": {"a": {"x": "2"}, "b": {"x": "2"}, "c": {}}}
    assert provenance_changes(left, right) == (
        "python: 3.11, then 3.12",
        "a, b: x was 1, then 2",
        "c: x was 1, then unknown",
    )
    assert provenance_changes(left, left) == provenance_changes({}, {}) == ()
    assert provenance_changes({}, left) == ("one of the runs does not say what it was made of",)


def test_one_byte_of_a_frame_is_found(recorded, copy):
    sent = list(frames(copy, "c--s2"))[20]
    capture = copy / "net" / "c--s2.pcapng"
    data = bytearray(capture.read_bytes())
    data[data.index(sent.data) + len(sent.data) - 1] ^= 1
    capture.write_bytes(data)
    comparison = compare_runs(open_finished(recorded), open_finished(copy))
    (difference,) = comparison.differences
    assert (difference.file, difference.t_ns, difference.left[0]) == ("net/c--s2.pcapng", sent.t_ns, sent)
    assert len(difference.before) == 3
    assert difference.detail
    assert difference.left[1:] == difference.right[1:]


def test_a_console_line_is_found_with_its_time(swarmrig, recorded, copy):
    log = copy / "nodes" / "s1" / "console.log"
    lines = log.read_bytes().split(b"\n")
    lines[6] += b" or not"
    log.write_bytes(b"\n".join(lines))
    done = swarmrig("diff", recorded, copy)
    assert done.returncode == 2
    (event,) = [
        json.loads(line)
        for line in (recorded / "events.jsonl").read_text().splitlines()
        if '"s1","kind":"console","data":{"line":7,' in line
    ]
    seconds = f"{event['t'] / 1e9:.9f} s"
    assert f"first difference at {seconds}: s1, nodes/s1/console.log" in done.stdout
    assert "(nodes/s1/console.log:7)" in done.stdout
    assert "or not" in done.stdout


def test_a_capture_that_is_missing_is_a_difference(swarmrig, recorded, copy):
    (copy / "net" / "c--s1.pcapng").unlink()
    done = swarmrig("diff", recorded, copy, "--json")
    (difference,) = json.loads(done.stdout)["differences"]
    assert (done.returncode, difference["file"], difference["right"]) == (2, "net/c--s1.pcapng", [])


def test_a_result_that_is_not_the_same_is_a_difference(recorded, copy):
    results = json.loads((copy / "results.json").read_text())
    results["checks"][0]["outcome"] = "FAIL"
    (copy / "results.json").write_text(json.dumps(results))
    comparison = compare_runs(open_finished(recorded), open_finished(copy))
    assert [(one.path, one.left, one.right) for one in comparison.changes] == [
        ("checks[all_nodes_boot].outcome", "PASS", "FAIL")
    ]
    assert not comparison.equal


def test_damaged_files_are_named(recorded, copy):
    (copy / "events.jsonl").write_text("nonsense\n")
    with pytest.raises(IncomparableError, match=r"events\.jsonl:1 is damaged"):
        compare_runs(open_finished(recorded), open_finished(copy))
    shutil.copy(recorded / "events.jsonl", copy)
    (copy / "net" / "c--s1.pcapng").write_bytes(b"nonsense" * 4)
    with pytest.raises(IncomparableError, match=r"c--s1\.pcapng cannot be read"):
        compare_runs(open_finished(recorded), open_finished(copy))


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "No such file"), ("{", "damaged"), ("[]", "does not hold"), ('{"run": {"name": "x"}}', "does not hold")],
)
def test_what_is_no_run_is_refused(swarmrig, tmp_path, content, words):
    if content is not None:
        (tmp_path / "results.json").write_text(content)
    for arguments in (("replay", tmp_path), ("diff", tmp_path, tmp_path)):
        done = swarmrig(*arguments)
        assert done.returncode == 3
        assert words in done.stderr and "hint" in done.stderr


def test_errors_are_json_for_machines(swarmrig, tmp_path):
    done = swarmrig("diff", tmp_path, tmp_path, "--json")
    assert done.returncode == 3
    found = json.loads(done.stdout)
    assert (found["kind"], found["errors"][0]["type"]) == ("error", "IncomparableError")


def test_a_run_without_its_scenario_cannot_be_repeated(swarmrig, copy):
    (copy / "scenario.yml").unlink()
    done = swarmrig("replay", copy)
    assert done.returncode == 3
    assert "nothing says what was run" in done.stderr


def test_runs_in_real_time_are_compared_by_outcome_and_only_when_asked(swarmrig, recorded, copy, change_results):
    change_results(copy, tier="scheduled", digest=None)
    refused = swarmrig("diff", recorded, copy)
    assert refused.returncode == 3
    assert "took place in real time" in refused.stderr and "--anyway" in refused.stderr
    assert swarmrig("replay", copy).returncode == 3
    (copy / "events.jsonl").write_text("")
    done = swarmrig("diff", recorded, copy, "--anyway")
    assert done.returncode == 0, done.stdout
    assert done.stdout.endswith("equal: what was concluded: real time repeats no bytes\n")
    results = json.loads((copy / "results.json").read_text())
    results["checks"][0]["outcome"] = "FAIL"
    (copy / "results.json").write_text(json.dumps(results))
    assert swarmrig("diff", recorded, copy, "--anyway").returncode == 2


def test_of_a_run_that_broke_off_what_happened_before_is_compared(swarmrig, recorded, copy, change_results):
    change_results(copy, digest=None, interrupted=True, run_ns=2 * 10**9)
    lines = (copy / "events.jsonl").read_text().splitlines(keepends=True)
    kept = [line for line in lines if json.loads(line)["t"] < 2 * 10**9]
    (copy / "events.jsonl").write_text("".join(kept) + lines[-1])
    refused = swarmrig("replay", copy)
    assert refused.returncode == 3
    assert "was interrupted at 2 s" in refused.stderr
    done = swarmrig("replay", copy, "--anyway")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("equal: events, captures and consoles before 2.000000000 s\n")
    (copy / "events.jsonl").write_text("".join(kept[1:]))
    assert swarmrig("diff", recorded, copy, "--anyway").returncode == 2


def test_a_run_that_failed_says_why_it_may_not_come_again(recorded, copy, change_results):
    change_results(copy, digest=None)
    results = json.loads((copy / "results.json").read_text())
    results["failures"] = ["node s1 ended by itself: SIGSEGV\nmore"]
    (copy / "results.json").write_text(json.dumps(results))
    with pytest.raises(IncomparableError, match=r"did not go well: node s1 ended by itself: SIGSEGV\n"):
        compare_runs(open_finished(recorded), open_finished(copy))


def test_an_interrupted_replay_has_no_verdict(replaying, copy, tmp_path):
    scenario = copy / "scenario.yml"
    scenario.write_text(scenario.read_text().replace("duration: 4s", "duration: 1h"))
    with replaying(copy) as process:
        deadline = time.monotonic() + 60
        while not any(log.stat().st_size > 300 for log in (tmp_path / "runs").glob("*/nodes/s1/console.log")):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=30)
    assert (process.returncode, output) == (130, "")
    assert "interrupted" in errors
