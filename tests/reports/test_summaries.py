"""summary.json and the page of text."""

from dataclasses import replace

from swarmrig.model.facts import ProofStatus
from swarmrig.model.verdict import Evidence, Outcome
from swarmrig.reports.results import NOTHING_CHECKED
from swarmrig.reports.summary import console_names, summary
from swarmrig.reports.text import summary_text

SOURCE_KEYS = {"swarm", "topology", "node_count", "duration_s", "verdict", "exit_code", "nodes", "assertions"}


def test_the_keys_that_scripts_read(record_of, result_of):
    found = summary(record_of(result_of("tdm_no_collision", Outcome.FAIL), verdict=Outcome.FAIL, exit_code=2))
    assert set(found) >= SOURCE_KEYS
    assert found["swarm"] == "two-rooms"
    assert found["topology"] == "star"
    assert found["node_count"] == 2
    assert found["duration_s"] == 60
    assert (found["verdict"], found["exit_code"]) == ("FAIL", 2)
    assert found["nodes"][1] == {"node_id": 1, "role": "sensor", "scenario": 2, "channel": 11, "tdm_slot": 1}
    assert found["assertions"][0]["label"] == "tdm_no_collision"
    assert found["assertions"][0]["evidence"][0]["at"] == "nodes/n0/console.log:3"


def test_only_the_swarm_dialect_gets_its_file_names(record_of):
    assert console_names(record_of()) == {}
    assert console_names(record_of(dialect="swarm")) == {
        "nodes/n0/console.log": "qemu_node0.log",
        "nodes/n1/console.log": "qemu_node1.log",
    }


def test_the_page(record_of, result_of):
    record = record_of(
        result_of("all_nodes_boot"),
        result_of("no_crashes", Outcome.FATAL, message="n1: Guru\x1b[31m\nMeditation", evidence=[Evidence("a`b", 1)]),
        verdict=Outcome.FATAL,
        exit_code=3,
        failures=("n1 ended",),
        warnings=("old QEMU",),
        interrupted=True,
    )
    text = summary_text(record)
    assert text.startswith("# two-rooms: FATAL\n")
    assert "seed 7, tier scheduled, exit code 3, interrupted" in text
    assert "- PASS         all_nodes_boot: fine" in text
    assert "\x1b" not in text
    assert "n1: Guru\ufffd[31m Meditation" in text
    assert "  - `ab:1`" in text
    assert "## Failures of the rig\n\n- n1 ended" in text
    assert "## Warnings\n\n- old QEMU" in text


def test_the_page_shows_a_handful_of_evidence(record_of, result_of):
    many = [Evidence("net/x.pcapng", frame=number) for number in range(1, 9)]
    text = summary_text(record_of(result_of("frames", evidence=many)))
    assert text.count("net/x.pcapng") == 3


def test_the_page_has_the_faults_with_their_stages(record_of, result_of, fault_of):
    faults = (
        fault_of(),
        fault_of(id="late", stages=(), status=ProofStatus.NEVER_FIRED, message="nothing", required=False),
    )
    text = summary_text(record_of(result_of("fault cut-1", name="fault"), faults=faults))
    assert "## Checks" not in text
    assert "- proved        cut-1: cut the link n0--n1 for 5s: seen\n" in text
    assert "  - injected at 10.000 s, observed at 11.000 s\n" in text
    assert "- never fired   late: cut the link n0--n1 for 5s (not required): nothing\n" in text
    found = summary(record_of(faults=faults))
    assert [fault["status"] for fault in found["faults"]] == ["proved", "never fired"]


def test_the_page_says_when_nothing_was_checked(record_of):
    assert NOTHING_CHECKED in summary_text(record_of(checks=()))


def test_pure(record_of):
    record = record_of()
    before = replace(record)
    assert summary(record) == summary(record)
    assert summary_text(record) == summary_text(record)
    assert record == before
