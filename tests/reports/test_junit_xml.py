"""junit.xml: what a CI server shows agrees with the verdict."""

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from junitparser import JUnitXml

from swarmrig.model.record import RunRecord
from swarmrig.model.scenario import NetworkSpec, NodeSpec, Scenario, TimeMode
from swarmrig.model.verdict import CheckResult, Evidence, Judgement, Outcome
from swarmrig.reports.junit import junit
from swarmrig.runtime.verdict import conclude


def suite_of(record):
    document = JUnitXml.fromstring(junit(record).encode())
    (suite,) = list(document)
    return suite


def cases(record):
    return {case.name: case for case in suite_of(record)}


def test_a_pass(record_of):
    suite = suite_of(record_of())
    assert (suite.name, suite.tests, suite.failures, suite.errors, suite.skipped) == ("two-rooms", 1, 0, 0, 0)
    assert suite.time == 61
    assert suite.timestamp == "2030-01-02T03:04:05"
    (case,) = list(suite)
    assert case.classname == "swarmrig.two-rooms.checks"
    assert "see nodes/n0/console.log:3 (boot marker)" in case.system_out


@pytest.mark.parametrize("outcome", [Outcome.FAIL, Outcome.FATAL, Outcome.INCONCLUSIVE])
def test_a_failure(record_of, result_of, outcome):
    found = cases(record_of(result_of("tdm", outcome, message="s1 & s2 <collide>"), verdict=Outcome.FAIL))
    (failure,) = found["tdm"].result
    assert found["tdm"].is_failure
    assert failure.message == "s1 & s2 <collide>"
    assert failure.type == outcome.value


def test_a_warning_passes_with_its_message(record_of, result_of):
    record = record_of(result_of("rate", Outcome.WARN, Outcome.WARN, "9 Hz"), verdict=Outcome.WARN, exit_code=1)
    case = cases(record)["rate"]
    assert case.is_passed
    assert case.system_out.startswith("WARN: 9 Hz")


def test_an_inconclusive_warning_is_skipped(record_of, result_of):
    record = record_of(
        result_of("rate", Outcome.INCONCLUSIVE, Outcome.WARN, "no frame"), verdict=Outcome.WARN, exit_code=1
    )
    (skipped,) = cases(record)["rate"].result
    assert cases(record)["rate"].is_skipped
    assert skipped.message == "no frame"


@pytest.mark.parametrize("outcome", [Outcome.WARN, Outcome.INCONCLUSIVE])
def test_where_warnings_fail_the_run_they_are_failures(record_of, result_of, outcome):
    record = record_of(result_of("rate", outcome, Outcome.WARN), verdict=Outcome.FAIL, exit_code=2)
    assert cases(record)["rate"].is_failure


def test_nothing_checked_is_skipped_or_fails(record_of):
    skipped = cases(record_of(checks=(), verdict=Outcome.WARN, exit_code=1))["nothing checked"]
    assert skipped.is_skipped
    failed = cases(record_of(checks=(), verdict=Outcome.FAIL, exit_code=2))["nothing checked"]
    assert failed.is_failure


def test_faults_and_failures_of_the_rig(record_of, result_of):
    record = record_of(
        result_of("all_nodes_boot"),
        result_of("fault cut-1: cut", Outcome.FAIL, name="fault"),
        verdict=Outcome.FATAL,
        failures=("left over: pid 7\nand more", ""),
    )
    found = cases(record)
    assert found["fault cut-1: cut"].classname == "swarmrig.two-rooms.faults"
    assert found["failure 1"].is_error
    assert found["failure 1"].result[0].message == "left over: pid 7"
    assert suite_of(record).errors == 2


def test_the_proof_of_a_fault_says_when_what_happened(record_of, result_of, fault_of):
    proof = result_of("fault cut-1: cut", Outcome.FAIL, name="fault", id="cut-1")
    record = record_of(result_of("all_nodes_boot"), proof, verdict=Outcome.FAIL, faults=(fault_of(),))
    found = cases(record)["fault cut-1: cut"]
    assert found.is_failure
    assert "injected at 10.000 s\nobserved at 11.000 s" in found.system_out


def test_control_characters_do_not_break_the_document(record_of, result_of):
    record = record_of(result_of("label\x00", Outcome.FAIL, message="\x1b[31mred\x0b ]]> \ud800"), verdict=Outcome.FAIL)
    ET.fromstring(junit(record))


OUTCOMES = st.builds(
    lambda outcome, severity, text: CheckResult("c", text, Judgement(outcome, text, (Evidence(text),), severity)),
    st.sampled_from(Outcome),
    st.sampled_from([Outcome.WARN, Outcome.FAIL, Outcome.FATAL]),
    st.text(max_size=20),
)


SCENARIO = Scenario("x", 1, 0, TimeMode.REAL, NetworkSpec(), (NodeSpec("n0", 0),))


@settings(deadline=None)
@given(st.lists(OUTCOMES, max_size=4), st.lists(st.text(max_size=10), max_size=2), st.booleans())
def test_failures_exactly_when_the_verdict_fails(results, failures, strict):
    verdict = conclude(results, failures, strict=strict)
    record = RunRecord(
        "id", SCENARIO, "0", "scheduled", None, "2030-01-02T03:04:05Z", 1, False, verdict, 0,
        tuple(results), (), (), (), {}, failures=tuple(failures),
    )  # fmt: skip
    suite = suite_of(record)
    assert bool(suite.failures + suite.errors) == (verdict in (Outcome.FAIL, Outcome.FATAL))
