"""Manifests, logs and numbers of any content: read right, or refused with a place."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swarmrig.errors import ScenarioError
from swarmrig.suites import logs
from swarmrig.suites.logs import last_lines, match_lines
from swarmrig.suites.manifest import HEAD, manifest_text, read_manifest
from swarmrig.suites.values import is_number, parse_pairs, parse_value

EVERYTHING = settings(
    max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
MARKERS = ("ALPHA_METRICS", "BETA")


@EVERYTHING
@given(st.binary(max_size=200))
def test_any_bytes_are_a_manifest_or_refused(tmp_path, data):
    path = tmp_path / "m.tsv"
    path.write_bytes(data)
    try:
        rows = read_manifest(path, {"scenario_id"})
    except ScenarioError as error:
        assert all(str(problem).startswith(str(path)) for problem in error.problems)
    else:
        assert all(row.scenario_id.strip() for row in rows)


@EVERYTHING
@given(
    st.lists(st.dictionaries(st.sampled_from(HEAD), st.text(max_size=12).filter(lambda t: "\0" not in t)), max_size=5)
)
def test_what_is_written_is_read(tmp_path, rows):
    """Tabs and line ends become blanks; all else comes back."""
    rows = [{**row, "scenario_id": f"s{number}", "order": str(number)} for number, row in enumerate(rows)]
    path = tmp_path / "m.tsv"
    path.write_text(manifest_text(HEAD, rows), encoding="utf-8", errors="surrogatepass", newline="")
    read = read_manifest(path, HEAD)
    assert len(read) == len(rows)
    for row, written in zip(read, rows, strict=True):
        for column in HEAD:
            assert row.text(column) == " ".join(written.get(column, "").split())


PIECES = st.sampled_from([*MARKERS, "\n", "\r\n", " ", "k=1", "ALPHA_METRIC", "BET", "x", "\xff", "BETABETA"])


@EVERYTHING
@given(st.lists(PIECES, max_size=60), st.integers(1, 40))
def test_the_last_line_is_found_wherever_chunks_begin(tmp_path, pieces, chunk):
    """Against reading it whole."""
    data = "".join(pieces).encode("latin-1")
    path = tmp_path / "log"
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logs, "CHUNK", chunk)
        found = last_lines(path, MARKERS)
        matches = match_lines(path, {marker: re.compile(marker) for marker in MARKERS})
    lines = data.split(b"\n")
    for marker in MARKERS:
        having = [(number, line) for number, line in enumerate(lines) if marker.encode() in line]
        assert found.lines.get(marker) == (having[-1][1].rstrip(b"\r").decode("utf-8", "replace") if having else None)
        assert (marker in found.unfinished) == bool(having and having[-1][0] == len(lines) - 1)
        assert matches[marker].count == len(having)


def test_of_a_very_long_line_what_is_near_the_marker_is_read(tmp_path):
    path = tmp_path / "log"
    filler = b"x" * (3 * logs.LONGEST_LINE)
    path.write_bytes(b"BETA far=1 " + filler + b" BETA near=2 " + filler)
    line = last_lines(path, ["BETA"]).lines["BETA"]
    assert len(line) <= 2 * logs.LONGEST_LINE
    assert "near=2" in line
    assert match_lines(path, {"n": re.compile("near")})["n"].count == 1


@EVERYTHING
@given(st.floats() | st.integers(-(2**70), 2**70))
def test_numbers_come_back_or_stay_text(number):
    value = parse_value(str(number))
    if is_number(number):
        assert value == number
    else:
        assert value == str(number)


@EVERYTHING
@given(st.text(max_size=80))
def test_any_line_has_pairs_or_none(line):
    for key, value in parse_pairs(line).items():
        assert key[0] in string.ascii_letters + "_"
        assert isinstance(value, str) or is_number(value)


def test_pairs():
    line = "12.5 I streamer[7]: LATENCY_METRICS p50_us=12, p95_us=1.50; mode=fast p50_us=13 x= y z=-4 q=1e3 p.q-r=2"
    assert parse_pairs(line) == {
        "p50_us": 13, "p95_us": 1.5, "mode": "fast", "x": "", "z": -4, "q": 1000.0, "p.q-r": 2,
    }  # fmt: skip


def test_rows_without_a_number_are_first_and_keep_their_order(tmp_path: Path):
    path = tmp_path / "m.tsv"
    path.write_text("scenario_id\torder\nc\t2\na\tx\nd\t10\nb\t\n")
    assert [row.scenario_id for row in read_manifest(path, {"scenario_id"})] == ["a", "b", "c", "d"]
