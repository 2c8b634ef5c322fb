"""results.json: complete, JSON whatever plugins measured, and as its schema says."""

import json
import math
from enum import Enum
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmrig.model.facts import FaultStage, ProofStatus
from swarmrig.model.verdict import Evidence, Outcome
from swarmrig.reports.plain import json_text, plain, xml_text
from swarmrig.reports.results import FORMAT, NOTHING_CHECKED, results, schema


def document(record):
    return json.loads(json_text(results(record)))


def validate(found):
    jsonschema.Draft202012Validator(schema(), format_checker=jsonschema.FormatChecker()).validate(found)


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(schema())
    assert schema()["properties"]["format"]["const"] == FORMAT


def test_a_run_as_its_schema_says(record_of, result_of, fault_of):
    record = record_of(
        result_of("all_nodes_boot", booted=["n0"]),
        result_of("frames", Outcome.FAIL, evidence=[Evidence("net/n0--n1.pcapng", frame=7)]),
        result_of("tdm", Outcome.INCONCLUSIVE, evidence=[]),
        result_of("fault cut-1", name="fault"),
        verdict=Outcome.FAIL,
        exit_code=2,
        faults=(fault_of(),),
        failures=("left over after the run: pid 7",),
        warnings=("scenario 255 means all",),
    )
    found = document(record)
    validate(found)
    assert found["verdict"] == "FAIL"
    assert found["checks"][0]["evidence"] == [
        {"at": "nodes/n0/console.log:3", "file": "nodes/n0/console.log", "line": 3, "note": "boot marker"}
    ]
    assert found["checks"][1]["evidence"] == [{"at": "net/n0--n1.pcapng#7", "file": "net/n0--n1.pcapng", "frame": 7}]
    assert (found["checks"][2]["outcome"], found["checks"][2]["counted"]) == ("INCONCLUSIVE", "FAIL")
    assert found["nodes"][0]["boot_s"] == 0.003
    assert found["nodes"][1]["exit_status"] == "SIGSEGV"
    assert found["run"]["run_s"] == 61
    assert found["links"][0]["drops"] == {"drop: loss": 1}
    assert found["warnings"] == ["scenario 255 means all"]
    [fault] = found["faults"]
    assert (fault["status"], fault["proved"], fault["at_ns"]) == ("proved", True, 10 * 10**9)
    assert fault["stages"][1] == {"stage": "observed", "t_ns": 11 * 10**9}
    assert fault["evidence"][0]["at"] == "net/n0--n1.pcapng#7"


@pytest.mark.parametrize("status", ProofStatus)
def test_a_fault_of_any_status_is_as_the_schema_says(record_of, fault_of, status):
    stages = tuple((stage, 5) for stage in FaultStage)
    fault = fault_of(status=status, at_ns=None, for_ns=None, when="when a says /x/", stages=stages, evidence=())
    found = document(record_of(faults=(fault,)))
    validate(found)
    assert found["faults"][0]["proved"] is (status is ProofStatus.PROVED)


def test_a_run_that_checked_nothing_says_so(record_of, result_of):
    for checks in ((), (result_of("fault cut-1", name="fault"),)):
        found = document(record_of(checks=checks, verdict=Outcome.WARN, exit_code=1))
        validate(found)
        assert NOTHING_CHECKED in found["warnings"]


@pytest.mark.parametrize("key", ["format", "checks", "verdict"])
def test_the_schema_refuses_what_is_incomplete(record_of, key):
    found = document(record_of())
    del found[key]
    with pytest.raises(jsonschema.ValidationError):
        validate(found)


def test_the_schema_refuses_an_uncounted_verdict(record_of):
    found = document(record_of())
    found["verdict"] = "INCONCLUSIVE"
    with pytest.raises(jsonschema.ValidationError):
        validate(found)


class Colour(Enum):
    RED = "red"


def test_anything_can_be_measured(record_of, result_of):
    odd = {
        "nan": math.nan,
        "path": Path("/x"),
        "bytes": b"\x01\xff",
        "set": {2, 1},
        "tuple": (1, (2,)),
        "enum": Colour.RED,
        "text": "\ud800\x00é",
        "keys": {1: "a", Colour.RED: "b", None: "c"},
    }
    found = document(record_of(result_of("custom", **odd)))
    validate(found)
    measured = found["checks"][0]["measured"]
    assert measured["nan"] is None
    assert measured["path"] == "/x"
    assert measured["bytes"] == "01ff"
    assert measured["set"] == [1, 2]
    assert measured["tuple"] == [1, [2]]
    assert measured["keys"] == {"1": "a", "red": "b", "None": "c"}


def test_what_contains_itself_ends():
    endless = []
    endless.append(endless)
    json.dumps(plain(endless))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.just(Colour.RED),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers() | st.none(), inner) | st.tuples(inner),
    max_leaves=20,
)


@given(ANYTHING)
def test_any_value_becomes_json(value):
    text = json_text({"value": value})
    assert text.isascii()
    json.loads(text)
    assert plain(plain(value)) == plain(value)


@given(st.text())
def test_xml_text_keeps_what_xml_allows(text):
    clean = xml_text(text)
    assert len(clean) == len(text)
    assert not any(ord(char) < 32 and char not in "\t\n\r" for char in clean)
