import pytest

from swarmrig.model.verdict import CheckResult, Judgement, Outcome, worst
from swarmrig.runtime.verdict import conclude

PASS, WARN, FAIL, FATAL, NONE = Outcome


def results(*judgements):
    return [CheckResult("c", "c", judgement) for judgement in judgements]


@pytest.mark.parametrize(
    ("judgements", "failures", "strict", "verdict"),
    [
        ([Judgement(PASS, "")], [], False, PASS),
        ([Judgement(PASS, ""), Judgement(WARN, "")], [], False, WARN),
        ([Judgement(PASS, ""), Judgement(WARN, "")], [], True, FAIL),
        ([Judgement(FAIL, ""), Judgement(WARN, "")], [], False, FAIL),
        ([Judgement(FATAL, ""), Judgement(FAIL, "")], [], True, FATAL),
        ([Judgement(PASS, "")], ["a node died"], False, FATAL),
        ([Judgement(NONE, "", severity=WARN)], [], False, WARN),
        ([Judgement(NONE, "")], [], False, FAIL),
        ([Judgement(NONE, "", severity=FATAL)], [], False, FATAL),
        ([], [], False, WARN),
        ([], [], True, FAIL),
    ],
)
def test_verdict(judgements, failures, strict, verdict):
    assert conclude(results(*judgements), failures, strict=strict) is verdict


def test_nothing_has_no_worst_outcome():
    with pytest.raises(ValueError, match="at least one"):
        worst([])


def test_proved_faults_alone_are_no_pass():
    assert conclude([CheckResult("fault", "fault cut", Judgement(PASS, ""))], []) is WARN
