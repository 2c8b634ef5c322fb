from typing import ClassVar

from swarmrig.model.facts import ConsoleLine
from swarmrig.model.network import NetworkPlan
from swarmrig.model.scenario import CheckSpec, NetworkSpec, NodeSpec, Scenario, TimeMode
from swarmrig.model.verdict import Evidence, Judgement, Outcome
from swarmrig.runtime.judge import Judge
from swarmrig.runtime.plan import PlannedCheck, RunPlan

LINE = ConsoleLine(5, "a", 1, "hello")


class Base:
    severity: ClassVar[Outcome] = Outcome.WARN

    def __init__(self, context, **params):
        self.facts = []

    def observe(self, fact):
        self.facts.append(fact)

    def judge(self, now_ns, *, final):
        if self.facts:
            return Judgement(Outcome.PASS, "heard", (Evidence("x", line=1),))
        return Judgement(Outcome.FAIL, "silence") if final else None


class PassesOnNothing(Base):
    def judge(self, now_ns, *, final):
        return Judgement(Outcome.PASS, "trust me", severity=Outcome.FAIL)


class BreaksWhenObserving(Base):
    def observe(self, fact):
        raise ZeroDivisionError("oops")


class BreaksWhenJudging(Base):
    def judge(self, now_ns, *, final):
        raise KeyError("x")


class NeverDecides(Base):
    def judge(self, now_ns, *, final):
        return None


def judge(*factories):
    checks = tuple(PlannedCheck(CheckSpec("c", f"c{i}", {}), factory) for i, factory in enumerate(factories))
    scenario = Scenario("s", 10**9, 0, TimeMode.REAL, NetworkSpec(), (NodeSpec("a", 0),))
    return Judge(RunPlan(scenario, NetworkPlan(0, (), ()), (), {}, checks, (), "scheduled", (), ()))


def outcomes(judged):
    return [result.judgement.outcome for result in judged.results(9)]


def test_undecided_until_seen_or_final():
    judged = judge(Base)
    assert list(judged.judge(1, final=False)) == [None]
    judged.observe(LINE)
    assert judged.judge(2, final=False)[0].outcome is Outcome.PASS
    assert outcomes(judged) == [Outcome.PASS]
    assert outcomes(judge(Base)) == [Outcome.FAIL]


def test_a_pass_without_evidence_is_inconclusive_and_keeps_its_severity():
    (result,) = judge(PassesOnNothing).results(9)
    assert result.judgement.outcome is Outcome.INCONCLUSIVE
    assert result.judgement.counted is Outcome.FAIL
    assert "trust me" in result.judgement.message


def test_a_broken_check_is_fatal_and_does_not_disturb_the_others():
    judged = judge(BreaksWhenObserving, BreaksWhenJudging, Base)
    judged.observe(LINE)
    judged.observe(LINE)
    assert outcomes(judged) == [Outcome.FATAL, Outcome.FATAL, Outcome.PASS]
    assert "ZeroDivisionError: oops" in judged.results(9)[0].judgement.message


def test_a_check_must_decide_in_the_end():
    assert outcomes(judge(NeverDecides)) == [Outcome.FATAL]


def test_watchers_see_every_fact():
    judged, seen = judge(Base), []
    judged.watch(seen.append)
    judged.observe(LINE)
    assert seen == [LINE]


def test_checks_of_one_name_are_told_apart():
    specs = [CheckSpec("c", label, {}) for label in ("c", "d", "c", "c")]
    scenario = Scenario("s", 10**9, 0, TimeMode.REAL, NetworkSpec(), (NodeSpec("a", 0),))
    planned = tuple(PlannedCheck(spec, Base) for spec in specs)
    judged = Judge(RunPlan(scenario, NetworkPlan(0, (), ()), (), {}, planned, (), "scheduled", (), ()))
    assert judged.labels == ("c", "d", "c (2)", "c (3)")
    assert tuple(result.label for result in judged.results(9)) == judged.labels
