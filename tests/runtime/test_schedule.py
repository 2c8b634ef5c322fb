import anyio
import pytest

from swarmrig.api import Proof, ProofStatus
from swarmrig.errors import HostError
from swarmrig.model.facts import FaultStage
from swarmrig.model.network import NetworkPlan
from swarmrig.model.scenario import FaultSpec, NetworkSpec, NodeSpec, Scenario, TimeMode
from swarmrig.model.verdict import Outcome
from swarmrig.runtime.clock import RealClock
from swarmrig.runtime.plan import PlannedFault, RunPlan
from swarmrig.runtime.schedule import Schedule

MS = 1_000_000


class Recording:
    """A fault that works: it sees its own effect."""

    def __init__(self, spec, context):
        self.spec, self.context, self.calls = spec, context, []

    async def inject(self):
        self.context.emit(FaultStage.INJECTED, {})
        self.context.emit(FaultStage.OBSERVED, {"capture": "net/x.pcapng", "frame": 7, "t_ns": 42})

    async def heal(self):
        self.context.emit(FaultStage.HEALED, {})

    def observe(self, fact):
        self.calls.append(fact)

    def proved(self):
        return Proof(ProofStatus.PROVED, "seen")


class Unseen(Recording):
    """A fault whose effect nobody saw."""

    def proved(self):
        return Proof(ProofStatus.INDETERMINATE, "no frame tried to cross")


class Refused(Recording):
    async def inject(self):
        raise HostError("the network is gone")


def schedule(factory, at_ns=0, for_ns=MS):
    spec = FaultSpec("f-1", "cut", at_ns, for_ns, {})
    nodes = (NodeSpec("a", 0),)
    scenario = Scenario("s", 10**9, 0, TimeMode.REAL, NetworkSpec(), nodes, faults=(spec,))
    planned = (PlannedFault(spec, factory, "cut it"),)
    plan = RunPlan(scenario, NetworkPlan(0, (), ()), (), {}, (), planned, "scheduled", (), ())
    changes = []
    return Schedule(plan, RealClock.starting_now(), None, {}, changes.append), changes


def live(made):
    anyio.run(made.live)


def test_stages_come_in_order_and_proof_has_evidence():
    made, changes = schedule(Recording)
    assert not made.done
    live(made)
    assert made.done and made.proved
    assert [change.stage for change in changes] == [FaultStage.INJECTED, FaultStage.OBSERVED, FaultStage.HEALED]
    (result,) = [fault.result() for fault in made.faults]
    assert result.judgement.outcome is Outcome.PASS
    assert [str(evidence) for evidence in result.judgement.evidence] == ["net/x.pcapng#7 (observed)"]
    assert (FaultStage.OBSERVED, 42) in made.faults[0].record().stages


def test_a_fault_that_nobody_saw_fails():
    made, _ = schedule(Unseen)
    live(made)
    assert made.done and not made.proved
    assert made.faults[0].result().judgement.outcome is Outcome.FAIL


def test_a_fault_that_could_not_be_injected_fails_with_the_reason():
    made, _ = schedule(Refused)
    live(made)
    judgement = made.faults[0].result().judgement
    assert (judgement.outcome, judgement.message) == (Outcome.FAIL, "failed: the network is gone")


def test_a_fault_that_was_never_due_fails():
    made, _ = schedule(Recording, at_ns=3600 * 10**9)
    judgement = made.faults[0].result().judgement
    assert judgement.outcome is Outcome.FAIL
    assert "before it was injected" in judgement.message


def test_a_fault_for_good_is_not_healed():
    made, changes = schedule(Recording, for_ns=None)
    live(made)
    assert FaultStage.HEALED not in [change.stage for change in changes]
    assert made.done


@pytest.mark.parametrize("for_ns", [3600 * 10**9])
def test_a_cancelled_schedule_heals_what_is_injected(for_ns):
    made, changes = schedule(Recording, for_ns=for_ns)

    async def cut_short():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(made.live)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()

    anyio.run(cut_short)
    assert changes[-1].stage is FaultStage.HEALED


def test_stages_are_told_in_the_order_in_which_they_happened():
    """Virtual time is fast: healing may be done before the capture that shows the cut has been read."""
    made, _ = schedule(Recording)
    fault = made.faults[0]
    fault.stages = [(FaultStage.INJECTED, 10), (FaultStage.HEALED, 30), (FaultStage.OBSERVED, 20)]
    assert [stage for stage, _ in fault.record().stages] == ["injected", "observed", "healed"]
