"""What is read of a run's directory: all of it, or as much as there is."""

import json

import pytest
from tests.report_page.by_hand import S, a_check

from swarmrig.reports.page.material import NoRunError, read_material


def test_a_directory_without_a_run_is_refused(tmp_path):
    with pytest.raises(NoRunError, match="not the directory of a run"):
        read_material(tmp_path)


def test_results_may_be_named_themselves(made):
    made.results()
    assert read_material(made.path / "results.json").directory == made.path


def test_a_whole_run(made):
    made.console("s1", b"one\ntwo\n", {1: S, 2: 2 * S})
    made.results([a_check()])
    material = read_material(made.path)
    assert (material.name, material.nodes, material.end_ns) == ("by hand", ("s1",), 10 * S)
    assert material.line_times == {"s1": {1: S, 2: 2 * S}}
    assert material.network is not None
    assert not material.problems


def test_a_run_that_was_killed_tells_what_it_had_seen(made):
    made.console("s1", b"one\n", {1: S})
    with (made.path / "events.jsonl").open("a") as file:
        file.write('{"n":3,"t":2000000000,"sour')
    material = read_material(made.path)
    assert material.results is None
    assert (material.name, material.nodes, material.end_ns) == ("by hand", ("s1",), S)
    assert material.problems == ["events.jsonl:3 is damaged, or was not written to its end"]


def test_a_run_of_which_only_the_beginning_was_written(tmp_path):
    (tmp_path / "scenario.yml").write_text("swarmrig: 1\n")
    material = read_material(tmp_path)
    assert material.results is material.network is None
    assert material.name == tmp_path.name
    assert material.nodes == ()
    assert len(material.problems) == 2


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"run": {}}', '{"run": [], "verdict": "PASS"}', "\xff"], ids=lambda text: repr(text)
)
def test_damaged_results_are_no_results(made, text):
    (made.path / "results.json").write_bytes(text.encode("latin-1"))
    material = read_material(made.path)
    assert material.results is None
    assert "results.json" in material.problems[0]


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"seed": 1, "devices": [{"port": "nowhere"}]}'])
def test_a_damaged_plan_is_no_plan(made, text):
    (made.path / "net/plan.json").write_text(text)
    material = read_material(made.path)
    assert material.network is None
    assert "net/plan.json cannot be read" in material.problems[0]


@pytest.mark.parametrize("line", ["7", "{}", '{"t": "1", "source": "a", "kind": "b", "data": {}}', "\x00" * 40])
def test_damaged_events_are_left_out_and_told(made, line):
    good = json.dumps({"n": 2, "t": 5, "source": "rig", "kind": "run.stopping", "data": {}})
    with (made.path / "events.jsonl").open("a") as file:
        file.write(f"{line}\n{good}\n")
    material = read_material(made.path)
    assert [event.kind for event in material.events] == ["run.started", "run.stopping"]
    assert material.problems == ["events.jsonl:2 is damaged, or was not written to its end"]


def test_of_many_problems_only_some_are_told(made):
    with (made.path / "events.jsonl").open("a") as file:
        file.write("broken\n" * 500)
    assert len(read_material(made.path).problems) == 20
