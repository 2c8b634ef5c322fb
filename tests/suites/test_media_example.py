"""The example pipeline: its faults really happen, are counted where they are met, and are judged."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from junitparser import JUnitXml

EXAMPLE = Path(__file__).parents[2] / "examples" / "media-faults" / "media-faults.suite.yml"
COUNTED = {"torn_read": "torn_read_events", "sink_stall": "sink_stall_events", "reset_storm": "reset_events"}


@pytest.fixture
def media(suite, tmp_path):
    """media("--mode", "baseline") -> (returncode, run directory, summary)"""

    def call(*options):
        result = suite("run", EXAMPLE, "--output-dir", tmp_path / "runs", "--jobs", "3", *options)
        (directory,) = (tmp_path / "runs").iterdir()
        return result.returncode, directory, json.loads((directory / "summary.json").read_text())

    return call


def test_baseline_passes_on_faults_that_happened(media, suite, tmp_path):
    code, directory, summary = media("--mode", "baseline")
    assert code == 0, [each["reason"] for each in summary["scenarios"]]
    assert summary["all_pass"]
    for scenario in summary["scenarios"]:
        fault = scenario["metrics"]["fault"]
        assert [name for name in COUNTED.values() if fault[name] > 2] == [COUNTED[scenario["id"]]]
        log = (directory / scenario["evidence"]["tester_log"]).read_text()
        assert "corrupt_words=0" in log  # nothing torn went on the wire
    torn, stall, storm = summary["scenarios"]
    assert torn["metrics"]["fault"]["torn_contents"] > 0  # what was read was a mixture of two versions
    assert stall["metrics"]["latency"]["max_us"] > 70_000
    assert "streams=" + str(storm["metrics"]["fault"]["reset_events"] + 1) in log
    assert "rtpmap:96" in (directory / torn["evidence"]["sdp"]).read_text()
    (junit,) = JUnitXml.fromstring((directory / "junit.xml").read_bytes())
    assert (junit.tests, junit.failures, junit.errors) == (3, 0, 0)

    # The manifest of this run, judged as anybody's manifest is.
    output = tmp_path / "again.json"
    facts = ["--run-id", summary["run_id"], "--run-dir", summary["run_dir"], "--started-at", summary["started_at"]]
    facts += ["--finished-at", summary["finished_at"], "--mode", "baseline"]
    again = suite("summarize", "--manifest", directory / "manifest.tsv", "--output", output, *facts)
    assert again.returncode == 0
    assert output.read_text() == (directory / "summary.json").read_text()


def test_degraded_passes_or_fails_for_the_stated_reason(media):
    """Hundreds of faults happen in any case; whether the stream stays fast depends on this machine."""
    code, _, summary = media("--mode", "degraded")
    assert code == (0 if summary["all_pass"] else 2)
    for scenario in summary["scenarios"]:
        assert scenario["process_exit"] == {"sim": 0, "streamer": 0, "tester": 0}
        for violation in scenario["violations"]:
            assert re.fullmatch(r"(p\d+_us|drop_ratio_ppm)=\d+ > \d+|(sink_stall|reset)_events=\d+ < \d+", violation)
    assert summary["scenarios"][0]["metrics"]["fault"]["torn_read_events"] >= 200


def test_without_fault_hooks_nothing_passes(media):
    """A pipeline in which the faults are compiled out runs well, and proves nothing."""
    code, directory, summary = media("--mode", "baseline", "--with", "hooks=0")
    assert code == 2
    assert summary["counts"] == {"total": 3, "pass": 0, "fail": 3}
    for scenario in summary["scenarios"]:
        minimum = 4 if scenario["id"] == "reset_storm" else 1
        assert scenario["violations"] == [f"{COUNTED[scenario['id']]}=0 < {minimum}"]
    assert "built without fault hooks" in (directory / "runs/torn_read/sim.log").read_text()


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    """The programs, with the sanitizers of the compiler."""
    out = tmp_path_factory.mktemp("pipeline")
    flags = "CFLAGS=-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all"
    subprocess.run(["make", "-s", "-C", EXAMPLE.parent / "pipeline", f"OUT={out}", flags], check=True)
    return out


@pytest.mark.parametrize(
    ("program", "options", "code", "said"),
    [
        ("sim", ["--frames", "3"], 64, "--ring is missing"),
        ("sim", ["--ring", "/dev/null/ring"], 66, "Not a directory"),
        ("sim", ["--ring", "r", "--frames", "x"], 64, "a number expected, not 'x'"),
        ("streamer", ["--host", "127.0.0.1", "--port", "9"], 64, "--sdp is missing"),
        ("streamer", ["--host", "nowhere", "--port", "9", "--sdp", "s"], 66, "streamer: socket"),
        ("streamer", ["--host", "127.0.0.1", "--port", "9", "--sdp", "s", "--ring", "gone"], 66, "No such file"),
        ("streamer", ["--host", "127.0.0.1", "--port", "9", "--sdp", "s", "--ring", "s"], 66, "not a ring"),
        ("streamer", ["--host", "127.0.0.1", "--port", "9", "--window", "0"], 64, "--window"),
        ("tester", ["--idle-ms", "50"], 1, "no BYE"),
    ],
)
def test_programs_say_what_is_wrong(pipeline, tmp_path, program, options, code, said):
    done = subprocess.run([pipeline / program, *options], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert said in done.stderr


@contextmanager
def running(*command, **options):
    """A program whose end the test awaits; it does not outlive it."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_source_that_dies_is_no_end_of_the_stream(pipeline, tmp_path):
    ring = tmp_path / "ring"
    with running(pipeline / "sim", "--ring", ring, "--frames", "1000000", "--fps", "200") as sim:
        assert "ready" in sim.stdout.readline()
        options = ["--host", "127.0.0.1", "--port", "9", "--sdp", tmp_path / "s"]
        options += ["--source-ms", "200", "--window", "9999"]
        with running(pipeline / "streamer", "--ring", ring, *options) as streamer:
            assert "sends to" in streamer.stdout.readline()
            sim.kill()
            said = streamer.stdout.read()
            assert streamer.wait() == 1
            assert "the source is gone" in streamer.stderr.read()
    assert "PIPELINE_METRICS" in said  # what it knew, it still told


def test_a_sink_that_never_reads_costs_frames_and_no_more(pipeline, tmp_path):
    """Patience ends: frames are dropped, counted, and the stream goes on."""
    ring = tmp_path / "ring"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        with running(pipeline / "sim", "--ring", ring, "--frames", "12", "--fps", "200") as sim:
            assert "ready" in sim.stdout.readline()
            options = ["--host", "127.0.0.1", "--port", str(deaf.getsockname()[1]), "--sdp", tmp_path / "s"]
            with running(pipeline / "streamer", "--ring", ring, *options, "--patience-ms", "20") as streamer:
                said = streamer.stdout.read()
                assert streamer.wait() == 0
    counters = dict(pair.split("=") for pair in said.split() if "=" in pair)
    assert int(counters["sink_stall_drops"]) == int(counters["dropped"]) > 0
    assert int(counters["sink_stall_events"]) == int(counters["sink_stall_drops"])
    assert int(counters["emitted"]) + int(counters["dropped"]) == 12
    assert counters["reports_received"] == "0"


def test_without_a_reader_the_source_gives_up(pipeline, tmp_path):
    command = [pipeline / "sim", "--ring", tmp_path / "ring", "--attach-ms", "50"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no reader" in done.stderr


def test_the_tester_survives_anything_that_comes_by_udp(pipeline):
    with subprocess.Popen([pipeline / "tester", "--idle-ms", "100"], stdout=subprocess.PIPE, text=True) as tester:
        port = int(tester.stdout.readline().rpartition(" ")[2])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            frames = b"\x80\x60" + bytes(1058), b"\x80\xe0" + bytes(1058), b"\xff" * 1060
            for data in (b"", b"\x80", bytes(12), *frames, bytes(4000)):
                sock.sendto(data, ("127.0.0.1", port))
        assert "TESTER_METRICS frames=0" in tester.stdout.read()
    assert tester.returncode == 1
