"""`suite summarize`: the exact document, every threshold at its limit, and bad input."""

from __future__ import annotations

import json
import os
import tracemalloc

import pytest
from fault_logs import EVENTS, log_text

LIMITS = {
    # mode, scenario: (events at least, p50, (percentile, at most), drop ppm, samples)
    ("baseline", "torn_read"): (1, 150_000, ("p99_us", 250_000), 980_000, 10),
    ("baseline", "sink_stall"): (1, 350_000, ("p95_us", 600_000), 980_000, 10),
    ("baseline", "reset_storm"): (4, 800_000, ("p99_us", 1_000_000), 1_000_000, 1),
    ("degraded", "torn_read"): (200, 1_000, ("p99_us", 2_000), 20_000, 100),
    ("degraded", "sink_stall"): (200, 1_000, ("p95_us", 2_000), 20_000, 100),
    ("degraded", "reset_storm"): (20, 1_000, ("p99_us", 2_000), 20_000, 100),
}


def cases():
    for (mode, scenario), (events, p50, (percentile, at_most), drop, samples) in LIMITS.items():
        minima = {EVENTS[scenario]: events, "ingest_to_emit_samples": samples}
        maxima = {"p50_us": p50, percentile: at_most, "drop_ratio_ppm": drop}
        for metric, limit in minima.items():
            for actual in (limit - 1, limit, limit + 1):
                yield mode, scenario, metric, "min", limit, actual, actual >= limit
        for metric, limit in maxima.items():
            for actual in (limit - 1, limit, limit + 1):
                yield mode, scenario, metric, "max", limit, actual, actual <= limit


@pytest.mark.parametrize(("mode", "scenario", "metric", "bound", "limit", "actual", "passes"), list(cases()))
def test_every_threshold_at_below_and_above_its_limit(
    summarized, manifest, mode, scenario, metric, bound, limit, actual, passes
):
    manifest.log(scenario).write_text(log_text(scenario, **{metric: actual}))
    document, _, _ = summarized(mode=mode)
    (judged,) = [each for each in document["scenarios"] if each["id"] == scenario]
    violation = None if passes else f"{metric}={actual} {'<' if bound == 'min' else '>'} {limit}"
    assert {"metric": metric, "type": bound, "actual": actual, "expected": limit, "passed": passes,
            "violation": violation} in judged["checks"]  # fmt: skip
    assert len(judged["checks"]) == 5
    assert judged["status"] == ("pass" if passes else "fail")
    assert judged["reason"] == (violation or "all checks passed")
    assert document["all_pass"] is passes
    assert document["recommended_exit_code"] == (0 if passes else 1)


def test_the_whole_document(summarized, manifest):
    document, code, _ = summarized(
        "--run-id", "r7", "--run-dir", "/runs/r7", "--started-at", "t0", "--finished-at", "t1", mode="degraded"
    )
    assert code == 0
    assert list(document) == [
        "task", "mode", "run_id", "run_dir", "started_at", "finished_at", "thresholds", "counts", "all_pass",
        "recommended_exit_code", "scenarios",
    ]  # fmt: skip
    assert [document[key] for key in list(document)[:6]] == [15, "degraded", "r7", "/runs/r7", "t0", "t1"]
    assert document["counts"] == {"total": 3, "pass": 3, "fail": 0}
    assert document["thresholds"]["sink_stall"] == {
        "samples_min": 100, "p50_us_max": 1000, "drop_ratio_ppm_max": 20000, "sink_stall_events_min": 200,
        "p95_us_max": 2000,
    }  # fmt: skip
    first = document["scenarios"][0]
    assert list(first) == [
        "order", "id", "name", "status", "reason", "duration_ms", "process_exit", "metrics", "checks", "violations",
        "evidence",
    ]  # fmt: skip
    assert [check["metric"] for check in first["checks"]] == [
        "ingest_to_emit_samples", "p50_us", "drop_ratio_ppm", "torn_read_events", "p99_us",
    ]  # fmt: skip
    del first["checks"]
    assert first == {
        "order": 1,
        "id": "torn_read",
        "name": "Torn_Read",
        "status": "pass",
        "reason": "all checks passed",
        "duration_ms": 12,
        "process_exit": {"sim": 0, "streamer": 0, "tester": 0},
        "metrics": {
            "pipeline": {"drop_ratio_ppm": 0},
            "latency": {"ingest_to_emit_samples": 1000, "p50_us": 100, "p95_us": 200, "p99_us": 300},
            "fault": {"torn_read_events": 300},
            "rtp": {},
        },
        "violations": [],
        "evidence": {"sim_log": "", "streamer_log": "torn_read.log", "tester_log": "", "sdp": "x.sdp"},
    }
    text = (manifest.directory / "summary.json").read_text()
    assert text == json.dumps(json.loads(text), indent=2) + "\n"


def test_rows_are_judged_in_order_and_unknown_scenarios_by_defaults(summarized, manifest):
    manifest.rows.append(manifest.row(0, "novel"))
    manifest.log("novel").write_text(log_text("novel", ingest_to_emit_samples=1, p50_us=500_000))
    document, _, _ = summarized("--expect", "torn_read,sink_stall", "--expect", "reset_storm", "--expect", "novel")
    assert [each["id"] for each in document["scenarios"]] == ["novel", *EVENTS]
    assert [(c["metric"], c["expected"]) for c in document["scenarios"][0]["checks"]] == [
        ("ingest_to_emit_samples", 1), ("p50_us", 500_000), ("drop_ratio_ppm", 1_000_000),
    ]  # fmt: skip
    assert document["all_pass"]


@pytest.mark.parametrize("code", ["1", "-11", "", "x", "0.0", "1e3"])
def test_an_exit_code_that_is_not_0_fails_whatever_the_counters_say(summarized, manifest, code):
    manifest.rows[1]["tester_rc"] = code
    manifest.log("sink_stall").write_text(log_text("sink_stall", p50_us=10**9))
    document, _, _ = summarized()
    seen = code if code in ("1", "-11") else "-1"
    assert document["scenarios"][1]["reason"] == f"process_rc(sim=0,streamer=0,tester={seen})"
    assert document["scenarios"][1]["violations"] == ["p50_us=1000000000 > 350000"]
    assert document["counts"] == {"total": 3, "pass": 2, "fail": 1}


def test_violations_are_joined_in_the_order_of_the_checks(summarized, manifest):
    manifest.log("torn_read").write_text(log_text("torn_read", torn_read_events=0, p50_us=150_001, p99_us=250_001))
    document, _, _ = summarized()
    expected = ["p50_us=150001 > 150000", "torn_read_events=0 < 1", "p99_us=250001 > 250000"]
    assert document["scenarios"][0]["violations"] == expected
    assert document["scenarios"][0]["reason"] == "; ".join(expected)


@pytest.mark.parametrize(
    ("written", "actual", "violation"),
    [
        ("150000.9", 150000, None),
        ("1.5e5", 150000, None),
        ("150001.0", 150001, "p50_us=150001 > 150000"),
        ("-3", -3, None),
        ("nan", None, "no p50_us"),
        ("inf", None, "no p50_us"),
        ("1e999", None, "no p50_us"),
        ("9" * 5000, None, "no p50_us"),
        ("18446744073709551616", None, "no p50_us"),
        ("18446744073709551615", 2**64 - 1, "p50_us=18446744073709551615 > 150000"),
        ("12us", None, "no p50_us"),
        ("0x10", None, "no p50_us"),
        ("1_0", None, "no p50_us"),
        ("", None, "no p50_us"),
        ("7,", 7, None),
        (None, None, "no p50_us"),
    ],
)
def test_what_is_a_number_and_what_is_not(summarized, manifest, written, actual, violation):
    manifest.log("torn_read").write_text(log_text("torn_read", p50_us=written))
    document, _, _ = summarized()
    (check,) = [check for check in document["scenarios"][0]["checks"] if check["metric"] == "p50_us"]
    assert (check["actual"], check["passed"], check["violation"]) == (actual, violation is None, violation)


def test_absent_lines_are_violations_and_never_zero(summarized, manifest):
    manifest.log("torn_read").write_text("nothing was measured\n")
    manifest.log("sink_stall").unlink()
    manifest.rows[2]["streamer_log"] = ""
    document, code, stderr = summarized()
    assert code == 0
    assert "Traceback" not in stderr
    for judged, events in zip(document["scenarios"], EVENTS.values(), strict=True):
        assert {check["actual"] for check in judged["checks"]} == {None}
        percentile = judged["checks"][-1]["metric"]
        assert (judged["checks"][3]["metric"], percentile[0]) == (events, "p")
        assert judged["violations"] == [
            "no LATENCY_METRICS line", "no LATENCY_METRICS line", "no PIPELINE_METRICS line",
            "no FAULT_COUNTERS line", "no LATENCY_METRICS line",
        ]  # fmt: skip


def test_a_percentile_of_another_line_does_not_stand_in(summarized, manifest):
    text = log_text("torn_read", p99_us=None).replace("RTP_METRICS", "RTP_METRICS p99_us=1")
    manifest.log("torn_read").write_text(text)
    document, _, _ = summarized()
    assert document["scenarios"][0]["violations"] == ["no p99_us"]


def test_the_last_line_counts_also_with_crlf_and_bytes_that_are_no_text(summarized, manifest):
    first = log_text("torn_read", p50_us=10**9).encode()
    last = log_text("torn_read").replace("\n", "\r\n").encode()
    manifest.log("torn_read").write_bytes(first + b"\xff\xfe\x00 noise\n" + last + b"\xf0trailing\n")
    document, _, _ = summarized()
    assert document["scenarios"][0]["status"] == "pass"
    assert document["scenarios"][0]["metrics"]["latency"]["p99_us"] == 300


def test_a_line_cut_at_the_end_of_the_file(summarized, manifest):
    """What is cut off is missing; a last value that may be cut is told, since nobody can know."""
    manifest.log("torn_read").write_text(
        log_text("torn_read") + "LATENCY_METRICS ingest_to_emit_samples=1000 p50_us=1 p9"
    )
    document, _, stderr = summarized()
    assert document["scenarios"][0]["violations"] == ["no p99_us"]
    assert "the last LATENCY_METRICS line has no end" in stderr


@pytest.mark.parametrize("chunk", [7, 64, 1 << 20])
def test_markers_are_found_across_the_borders_of_chunks(summarized, manifest, monkeypatch, chunk):
    monkeypatch.setattr("swarmrig.suites.logs.CHUNK", chunk)
    for scenario in EVENTS:
        manifest.log(scenario).write_text(log_text(scenario) + "line after line\n" * 50)
    assert summarized()[0]["all_pass"]


def test_a_line_without_end_takes_no_memory(summarized, manifest):
    with manifest.log("torn_read").open("wb") as file:
        file.write(b"LATENCY_METRICS p50_us=1 ")
        file.truncate(1 << 28)  # sparse
        file.seek(0, os.SEEK_END)
        file.write(log_text("torn_read").encode())
    tracemalloc.start()
    try:
        assert summarized()[0]["all_pass"]
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


def test_enforce_exits_with_the_recommendation(summarized, manifest):
    assert summarized("--enforce")[1] == 0
    manifest.rows[0]["sim_rc"] = "1"
    assert summarized("--enforce")[1] == 1
    assert summarized()[1] == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: m.rows.pop(), "'reset_storm' did not run"),
        (lambda m: m.rows.append(m.row(4, "torn_read")), "'torn_read' stands in the manifest 2 times"),
        (lambda m: (m.rows.append(m.row(4, "novel")), m.log("novel").write_text(log_text("novel"))), "'novel' is not"),
        (lambda m: m.rows.clear(), "'torn_read' did not run"),
    ],
)
def test_all_pass_means_exactly_the_expected_scenarios(summarized, manifest, change, said):
    change(manifest)
    document, code, stderr = summarized("--enforce")
    assert document["counts"]["fail"] == 0
    assert document["all_pass"] is False
    assert code == 1
    assert said in stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"order,scenario_id,sim_rc\n1,torn_read,0\n", "separated by tabs"),
        (b"scenario_id\tsim_rc\ttester_rc\tstreamer_log\nx\t0\t0\tx.log\n", "missing column 'streamer_rc'"),
        (b"scenario_id\tsim_rc\ttester_rc\tstreamer_rc\tstreamer_logs\n", "did you mean 'streamer_logs'"),
        (b"scenario_id\tscenario_id\tsim_rc\ttester_rc\tstreamer_rc\tstreamer_log\n", "two columns are called"),
        (
            b"scenario_id\tsim_rc\ttester_rc\tstreamer_rc\tstreamer_log\na\t0\t0\t0\tx\ty\n",
            ":2: 6 cells under 5 columns",
        ),
        (
            b"scenario_id\tsim_rc\ttester_rc\tstreamer_rc\tstreamer_log\n\t0\t0\t0\tx\n",
            ":2: a row without a scenario_id",
        ),
        (b'scenario_id\tsim_rc\ttester_rc\tstreamer_rc\tstreamer_log\n"a\t0\t0\t0\tx\n', "not tab-separated values"),
        (b"scenario_id\0", "NUL"),
        (b"\x7fELF\0\0\0", "NUL"),
    ],
)
def test_a_malformed_manifest_is_refused_with_its_place(suite, tmp_path, content, said):
    (tmp_path / "m.tsv").write_bytes(content)
    result = suite("summarize", "--manifest", "m.tsv", "--output", "s.json")
    assert result.returncode == 3
    assert said in result.stderr
    assert "m.tsv" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "s.json").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--mode", "degarded"], "did you mean 'degraded'"),
        (["--mode", "fast"], "baseline, degraded"),
        (["--manifest", "nowhere.tsv"], "nowhere.tsv: cannot be read"),
        (["--output", "/dev/null/x.json"], "cannot write"),
    ],
)
def test_wrong_usage(summarized, options, said):
    _, code, stderr = summarized(*options)
    assert code == 3
    assert said in stderr
    assert "Traceback" not in stderr


def test_a_manifest_of_windows_with_missing_cells_and_columns(suite, manifest, tmp_path):
    header = "\ufeffscenario_id\tstreamer_log\tsim_rc\tstreamer_rc\ttester_rc\tduration_ms\r\n"
    rows = "".join(f"{name}\t{name}.log\t0\t0\t0\tsoon\r\n" for name in EVENTS)
    (tmp_path / "m.tsv").write_text(header + rows + "\r\n" + "short\r\n")
    assert suite("summarize", "--manifest", "m.tsv", "--output", "s.json").returncode == 0
    document = json.loads((tmp_path / "s.json").read_text())
    assert document["counts"] == {"total": 4, "pass": 3, "fail": 1}
    assert document["scenarios"][0]["duration_ms"] == 0
    assert document["scenarios"][3]["reason"] == "process_rc(sim=-1,streamer=-1,tester=-1)"


def test_names_that_are_no_text_lead_to_their_files(suite, manifest, tmp_path):
    name = os.fsdecode(b"log-\xff")
    (tmp_path / name).write_text(log_text("torn_read"))
    manifest.write()
    text = manifest.path.read_bytes().replace(b"torn_read.log", b"log-\xff")
    manifest.path.write_bytes(text)
    assert suite("summarize", "--manifest", manifest.path, "--output", "s.json").returncode == 0
    assert json.loads((tmp_path / "s.json").read_text())["all_pass"]


@pytest.mark.parametrize("what", ["fifo", "directory", "device"])
def test_what_is_no_log_is_absent_and_told(summarized, manifest, tmp_path, what):
    manifest.log("torn_read").unlink()
    if what == "fifo":
        os.mkfifo(manifest.log("torn_read"))
    elif what == "directory":
        manifest.log("torn_read").mkdir()
    else:
        manifest.rows[0]["streamer_log"] = "/dev/zero"
    document, _, stderr = summarized()
    assert document["scenarios"][0]["violations"][0] == "no LATENCY_METRICS line"
    assert "no regular file" in stderr


def test_an_output_that_is_a_device_is_written_to_and_stays(suite, manifest):
    assert suite("summarize", "--manifest", manifest.write(), "--output", "/dev/null").returncode == 0
    assert os.path.exists("/dev/null")
    assert not os.path.isfile("/dev/null")
