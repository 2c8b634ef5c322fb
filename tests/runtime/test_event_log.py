import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmrig.runtime.events import Event, EventLog, open_event_log


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_events_are_written_by_time_then_source_then_arrival(tmp_path):
    with open_event_log(tmp_path) as log:
        log.add(Event(20, "b", "second"))
        log.add(Event(20, "a", "first"))
        log.add(Event(10, "z", "zero"))
        log.add(Event(20, "b", "third"))
    assert [event["kind"] for event in lines(tmp_path / "events.jsonl")] == ["zero", "first", "second", "third"]


def test_numbers_join_events_and_wall_times(tmp_path):
    with open_event_log(tmp_path) as log:
        log.add(Event(1, "a", "x"))
        log.add(Event(2, "a", "y"))
    assert [event["n"] for event in lines(tmp_path / "events.jsonl")] == [1, 2]
    assert [wall["n"] for wall in lines(tmp_path / "walltimes.jsonl")] == [1, 2]
    assert all(wall["wall"] > 1e18 for wall in lines(tmp_path / "walltimes.jsonl"))


def test_nothing_is_written_before_it_can_no_longer_be_overtaken(tmp_path):
    with open_event_log(tmp_path) as log:
        log.add(Event(100, "a", "x"))
        log.write_until(99)
        assert (tmp_path / "events.jsonl").read_text() == ""
        log.write_until(100)
        assert len(lines(tmp_path / "events.jsonl")) == 1


def test_an_event_that_comes_too_late_is_kept_at_the_horizon(tmp_path):
    with open_event_log(tmp_path) as log:
        log.add(Event(10, "a", "x"))
        log.write_until(50)
        log.add(Event(20, "a", "late"))
    assert [(event["kind"], event["t"]) for event in lines(tmp_path / "events.jsonl")] == [("x", 10), ("late", 51)]


def test_a_log_is_never_overwritten(tmp_path):
    with open_event_log(tmp_path):
        pass
    with pytest.raises(FileExistsError), open_event_log(tmp_path):
        pass


@given(st.lists(st.tuples(st.integers(0, 10**12), st.sampled_from("abc"), st.text(max_size=5))))
def test_any_events_come_out_sorted_and_complete(tmp_path_factory, events):
    directory = tmp_path_factory.mktemp("log")
    with open_event_log(directory) as log:
        for t_ns, source, kind in events:
            log.add(Event(t_ns, source, kind, {"text": kind}))
    written = [(event["t"], event["source"]) for event in lines(directory / "events.jsonl")]
    assert written == sorted((t_ns, source) for t_ns, source, _ in events)


def test_event_log_is_the_public_type(tmp_path):
    with open_event_log(tmp_path) as log:
        assert isinstance(log, EventLog)
