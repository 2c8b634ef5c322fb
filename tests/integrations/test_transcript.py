"""Searching what a console says while it says it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmrig.integrations.session import transcript as module
from swarmrig.integrations.session.transcript import Search, Transcript, compiled, exactly


@pytest.fixture
def log(tmp_path):
    return tmp_path / "console.log"


def test_nothing_said_is_nothing_found(log):
    transcript = Transcript(log)
    assert Search(transcript, [compiled("")]).look() is None or log.exists() is False
    assert transcript.tail() == ""


def test_what_comes_in_pieces_is_found_as_a_whole(log):
    transcript = Transcript(log)
    search = Search(transcript, [compiled("temperature: (.*) °C")])
    whole = "temperature: 23 °C\n".encode()
    for size in range(len(whole) - 2):
        log.write_bytes(whole[:size])
        assert search.look() is None
    log.write_bytes(whole)
    found = search.look()
    assert found is not None
    assert found.match.group(1) == "23"
    assert found.end == len(whole) - 1


def test_the_first_in_the_text_wins_then_the_first_of_the_list(log):
    log.write_bytes(b"one two three")
    transcript = Transcript(log)
    look = Search(transcript, [compiled("three"), compiled("two"), compiled(b"tw")]).look()
    assert look is not None and look.match.group() == "two"


def test_bytes_that_are_no_text(log):
    log.write_bytes(b"\xff\xfe noise\x00 \xc3 boot")
    transcript = Transcript(log)
    found = Search(transcript, [exactly("boot")]).look()
    assert found is not None and found.end == log.stat().st_size
    raw = Search(transcript, [exactly(b"\xff\xfe")]).look()
    assert raw is not None and raw.end == 2


def test_a_long_text_is_not_searched_again_and_again(log, monkeypatch):
    monkeypatch.setattr(module, "OVERLAP", 64)
    transcript = Transcript(log)
    search = Search(transcript, [compiled("needle (one\ntwo)")])
    log.write_bytes(b"hay\n" * 1000 + b"needle one\n")
    assert search.look() is None
    assert search._begin > 3900
    log.write_bytes(b"hay\n" * 1000 + b"needle one\ntwo\n")
    found = search.look()
    assert found is not None and found.end == 4014


@settings(deadline=None, max_examples=40)
@given(
    chunks=st.lists(st.binary(max_size=12) | st.sampled_from([b"mark", b"ma", b"rk", "é".encode(), b"\n"]), max_size=12)
)
def test_any_chunking_finds_the_same(chunks, tmp_path_factory):
    whole = b"".join(chunks)
    expected = re.search(b"mark", whole)
    log = tmp_path_factory.mktemp("log") / "console.log"
    transcript = Transcript(log)
    for pattern in (b"mark", "mark"):
        search, found, text = Search(transcript, [compiled(pattern)]), None, b""
        for chunk in chunks:
            text += chunk
            log.write_bytes(text)
            found = found or search.look()
        assert (None if found is None else found.end) == (None if expected is None else expected.end())


def test_what_is_no_pattern():
    with pytest.raises(ValueError, match="no regular expression: '\\['"):
        compiled("[")
    assert exactly("a.b").search("a.b") and not exactly("a.b").search("aXb")
