"""The life of faults in a run: when they act, what heals them, and what is said of those that went wrong."""

import random
from dataclasses import replace

import anyio
import pytest
from stepped_clock import SteppedClock

from swarmrig.api import FaultSkippedError, Proof, ProofStatus
from swarmrig.errors import HostError
from swarmrig.faults.heal import Heal
from swarmrig.model.facts import ConsoleLine, FaultStage, Frame
from swarmrig.model.network import Fate, NetworkPlan
from swarmrig.model.scenario import (
    REACTION_NS,
    ConsoleSeen,
    FaultReached,
    FaultSpec,
    FramesSeen,
    NetworkSpec,
    NodeSpec,
    Scenario,
    TimeMode,
)
from swarmrig.model.verdict import Outcome
from swarmrig.runtime.clock import RealClock
from swarmrig.runtime.plan import PlannedFault, RunPlan
from swarmrig.runtime.repeat import repeated
from swarmrig.runtime.schedule import Schedule

MS = 1_000_000
S = 1_000 * MS
INJECTED, HEALED, OBSERVED, HEAL_OBSERVED = (
    FaultStage.INJECTED, FaultStage.HEALED, FaultStage.OBSERVED, FaultStage.HEAL_OBSERVED,
)  # fmt: skip


class Working:
    """Does and sees what it should."""

    def __init__(self, spec, context):
        self.spec, self.context = spec, context

    async def inject(self):
        self.context.emit(INJECTED, {})
        self.context.emit(OBSERVED, {"console": "nodes/a/console.log", "line": 3})

    async def heal(self):
        self.context.emit(HEALED, {})
        self.context.emit(HEAL_OBSERVED, {})

    def observe(self, fact):
        pass

    def proved(self):
        return Proof(ProofStatus.PROVED, "seen")


class Holding(Working):
    """Acts every second until it is healed."""

    async def hold(self, until_ns):
        while until_ns is None or self.context.now_ns() + S < until_ns:
            await self.context.wait_until(self.context.now_ns() + S)
            self.context.emit(OBSERVED, {})
        await self.context.wait_until(until_ns)


def at(name, at_ns, for_ns=None, **more):
    return FaultSpec(name, "any", at_ns, for_ns, {}, **more)


def when(name, condition, for_ns=None, **more):
    return FaultSpec(name, "any", None, for_ns, {}, when=condition, **more)


def heal(name, target, at_ns=None, condition=None):
    return FaultSpec(name, "heal", at_ns, None, {"fault": target}, when=condition)


def made(specs, clock, factories=None, claims=None):
    factories = {"any": Working, "heal": Heal, **(factories or {})}
    planned = tuple(
        PlannedFault(
            spec, factories.get(spec.id, factories[spec.kind]), spec.id, (claims or {}).get(spec.id, frozenset())
        )
        for spec in specs
    )
    scenario = Scenario("s", 60 * S, 3, TimeMode.REAL, NetworkSpec(), (NodeSpec("a", 0),), faults=tuple(specs))
    plan = RunPlan(scenario, NetworkPlan(3, (), ()), (), {}, (), planned, "scheduled", (), ())
    changes = []
    return Schedule(plan, clock, None, {}, changes.append), changes


def run(*specs, facts=(), factories=None, claims=None):
    """The schedule after 60 s, and what it told: (time, fault, stage)."""

    async def go():
        clock = SteppedClock(len(specs), facts, 60 * S)
        schedule, changes = made(specs, clock, factories, claims)
        await clock.run(schedule)
        assert len([fault.result() for fault in schedule.faults]) == len(specs)
        return schedule, [(change.t_ns, change.fault, change.stage) for change in changes]

    return anyio.run(go)


def done(told, *stages):
    return [entry for entry in told if entry[2] in (stages or (INJECTED, HEALED))]


def status(schedule):
    return {fault.spec.id: fault.proof().status.value for fault in schedule.faults}


def line(t_ns, text, node="a", number=1):
    return ConsoleLine(t_ns, node, number, text)


def test_what_waits_for_a_line_acts_a_little_after_it():
    lines = [
        line(S, "fall"),
        line(2 * S, "nothing"),
        line(3 * S, "fall", "b"),
        line(4 * S, "a fall"),
        line(5 * S, "fall"),
    ]
    specs = [
        when("first", ConsoleSeen("a", "fall")),
        when("second", ConsoleSeen("a", "fall$", count=2, after_ns=S), for_ns=S),
    ]
    schedule, told = run(*specs, facts=lines)
    assert done(told) == [
        (S + REACTION_NS, "first", INJECTED), (5 * S, "second", INJECTED), (6 * S, "second", HEALED),
    ]  # fmt: skip
    assert status(schedule) == {"first": "proved", "second": "proved"}


def test_what_waits_for_frames_counts_each_once():
    def frame(t_ns, fate=Fate.DELIVERED, link="l", data=b"\xff" * 60):
        return Frame(t_ns, link, "a", 1, data, fate, fate is Fate.DELIVERED)

    frames = [frame(S), frame(S, Fate.OVERRUN), frame(2 * S, link="m"), frame(3 * S, Fate.LOSS), frame(4 * S)]
    condition = FramesSeen("l", "eth.dst == ff:ff:ff:ff:ff:ff", count=2)
    _, told = run(when("x", condition), facts=frames)
    assert done(told) == [(3 * S + REACTION_NS, "x", INJECTED)]


def test_what_follows_another_fault():
    specs = [
        when("third", FaultReached("second", HEALED, 10 * MS)),
        when("second", FaultReached("first", INJECTED, S), for_ns=2 * S),
        at("first", 5 * S),
        when("end", FaultReached("first", HEALED)),
        heal("heal-1", "first", condition=FaultReached("third", INJECTED)),
    ]
    schedule, told = run(*specs)
    assert done(told) == [
        (5 * S, "first", INJECTED), (6 * S, "second", INJECTED), (8 * S, "second", HEALED),
        (8 * S + 10 * MS, "third", INJECTED), (8 * S + 10 * MS, "first", HEALED),
        (8 * S + 10 * MS, "heal-1", INJECTED), (8 * S + 10 * MS, "end", INJECTED),
    ]  # fmt: skip
    assert set(status(schedule).values()) == {"proved"}


def test_what_never_happened_never_fired():
    specs = [
        when("needed", ConsoleSeen("a", "fall")),
        when("optional", ConsoleSeen("a", "fall"), required=False),
        when("after", FaultReached("needed", INJECTED)),
    ]
    schedule, told = run(*specs, facts=[line(S, "nothing")])
    assert told == []
    assert set(status(schedule).values()) == {"never fired"}
    needed, optional, _ = (fault.result().judgement for fault in schedule.faults)
    assert (needed.outcome, optional.outcome) == (Outcome.FAIL, Outcome.WARN)
    assert needed.message == "never fired: nothing met its condition: when a says /fall/"
    assert not schedule.busy(60 * S)
    assert schedule.faults[0].record().at_ns is None


class Refused(Working):
    async def inject(self):
        raise HostError("the network is gone")


class Skipped(Working):
    async def inject(self):
        raise FaultSkippedError("there is no battery to drain")


class Broken(Working):
    async def inject(self):
        raise KeyError("oops")


class Blind(Working):
    def observe(self, fact):
        raise ValueError("what is this?")


class Undecided(Working):
    def proved(self):
        raise RuntimeError("no idea")


class Unhealable(Working):
    async def heal(self):
        raise HostError("it stays as it is")


@pytest.mark.parametrize(
    ("factory", "expected", "stage", "message"),
    [
        (Refused, "failed", FaultStage.FAILED, "the network is gone"),
        (Skipped, "skipped", FaultStage.SKIPPED, "there is no battery to drain"),
        (Broken, "failed", FaultStage.FAILED, "the fault itself failed: KeyError: 'oops'"),
        (Blind, "failed", FaultStage.FAILED, "the fault itself failed: ValueError: what is this?"),
        (Undecided, "failed", FaultStage.FAILED, "the fault itself failed: RuntimeError: no idea"),
        (Unhealable, "failed", FaultStage.FAILED, "it stays as it is"),
    ],
)
def test_what_goes_wrong_is_told_and_does_not_pass(factory, expected, stage, message):
    schedule, told = run(at("x", S, S), at("y", 2 * S), facts=[line(S, "x")], factories={"x": factory})
    (bad, good) = schedule.faults
    judgement = bad.result().judgement
    assert (bad.proof().status, judgement.outcome) == (expected, Outcome.FAIL)
    assert judgement.message == f"{expected}: {message}"
    assert stage in [stage for stage, _ in bad.record().stages]
    assert [entry for entry in told if entry[1] == "x" and entry[2] is stage]
    assert good.is_proved


def test_what_follows_a_fault_that_failed_never_fires():
    specs = [at("x", S), when("y", FaultReached("x", INJECTED, S)), heal("z", "x", 5 * S)]
    schedule, _ = run(*specs, factories={"x": Refused})
    assert status(schedule) == {"x": "failed", "y": "never fired", "z": "failed"}
    assert schedule.faults[1].proof().message == "x was not injected"
    assert "x is not in force" in schedule.faults[2].proof().message


def test_what_holds_acts_until_its_time():
    schedule, told = run(at("x", S, 3 * S), factories={"x": Holding})
    assert done(told) == [(S, "x", INJECTED), (4 * S, "x", HEALED)]
    assert [t_ns for t_ns, _, _ in done(told, OBSERVED)] == [S, 2 * S, 3 * S]
    assert schedule.done


def test_what_holds_for_good_acts_until_it_is_healed():
    schedule, told = run(at("x", S), heal("end", "x", int(3.5 * S)), factories={"x": Holding})
    assert done(told) == [(S, "x", INJECTED), (3_500 * MS, "x", HEALED), (3_500 * MS, "end", INJECTED)]
    assert [t_ns for t_ns, _, _ in done(told, OBSERVED)] == [S, 2 * S, 3 * S]
    assert status(schedule) == {"x": "proved", "end": "proved"}


def test_a_healing_that_nobody_saw_is_not_proved():
    class Unseen(Working):
        async def heal(self):
            self.context.emit(HEALED, {})

    schedule, _ = run(at("x", S), heal("end", "x", 2 * S), factories={"x": Unseen})
    assert schedule.faults[1].proof() == Proof(ProofStatus.INDETERMINATE, "nothing showed that x has healed")


def test_a_fault_that_fails_while_it_holds_is_healed():
    class Failing(Holding):
        async def hold(self, until_ns):
            raise HostError("lost it")

    schedule, told = run(at("x", S, S), factories={"x": Failing})
    assert [stage for _, _, stage in told if stage in (FaultStage.FAILED, HEALED)] == [FaultStage.FAILED, HEALED]
    assert status(schedule) == {"x": "failed"}


class Slow(Working):
    """Takes half a second."""

    async def inject(self):
        await self.context.wait_until(self.context.now_ns() + S // 2)
        await super().inject()


def test_at_one_time_faults_act_in_the_order_of_the_file():
    names = [f"f{number}" for number in random.Random(1).sample(range(20), 20)]
    _, told = run(*(at(name, S) for name in names))
    assert [name for _, name, _ in done(told)] == names


def test_time_may_pass_while_a_fault_is_injected():
    _, told = run(at("slow", S), at("quick", S), at("later", S + S // 4), factories={"slow": Slow})
    assert [name for _, name, _ in done(told)] == ["quick", "later", "slow"]


def test_in_real_time_too_faults_act_in_order():
    class Yielding(Working):
        async def inject(self):
            for _ in range(random.Random(self.spec.id).randrange(20)):
                await anyio.lowlevel.checkpoint()
            await super().inject()

    names = [f"f{number}" for number in random.Random(1).sample(range(20), 20)]
    specs = [*(at(name, MS) for name in names), when("follower", FaultReached("f3", INJECTED))]

    async def go():
        schedule, changes = made(specs, RealClock.starting_now(), dict.fromkeys(names, Yielding))
        await schedule.live()
        return [change.fault for change in changes if change.stage is INJECTED]

    order = anyio.run(go)
    assert order == [*names, "follower"]


def test_in_real_time_what_is_seen_late_is_reacted_to_late():
    async def go():
        clock = RealClock.starting_now()
        schedule, changes = made([when("x", ConsoleSeen("a", "fall"), for_ns=MS)], clock)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(schedule.live)
            await anyio.wait_all_tasks_blocked()
            assert not schedule.done and not schedule.busy(60 * S)
            schedule.observe(line(0, "fall"))
        return schedule, changes

    schedule, changes = anyio.run(go)
    assert [change.stage for change in changes] == [INJECTED, OBSERVED, HEALED, HEAL_OBSERVED]
    assert schedule.faults[0].due_ns == REACTION_NS <= changes[0].t_ns


def test_what_is_in_force_keeps_what_it_has_for_itself():
    claims = {name: frozenset({"the link"}) for name in ("x", "y", "z")}
    schedule, _ = run(at("x", S, 2 * S), at("y", 2 * S, S), at("z", 3 * S, S), claims=claims)
    assert status(schedule) == {"x": "proved", "y": "failed", "z": "proved"}
    assert schedule.faults[1].proof().message == "x is still in force (the link)"


def test_what_is_over_or_never_began_keeps_nothing():
    class Instant(Working):
        heals = False

    claims = {name: frozenset({"the power of a"}) for name in ("x", "y", "z")}
    schedule, _ = run(at("x", S), at("y", 2 * S), at("z", 3 * S), claims=claims, factories={"x": Instant, "y": Refused})
    assert status(schedule) == {"x": "proved", "y": "failed", "z": "proved"}


def test_the_end_heals_what_is_in_force_for_a_while():
    schedule, told = run(when("x", ConsoleSeen("a", "late"), for_ns=30 * S), facts=[line(50 * S, "late")])
    assert done(told) == [(50 * S + REACTION_NS, "x", INJECTED), (60 * S, "x", HEALED)]
    assert not schedule.done


def test_chance_comes_from_the_seed_and_the_id():
    drawn = {}

    class Drawing(Working):
        async def inject(self):
            drawn.setdefault(self.spec.id, []).append(self.context.random.random())
            await super().inject()

    for _ in range(2):
        run(at("x", S), at("y", S), factories={"x": Drawing, "y": Drawing})
    assert drawn["x"][0] == drawn["x"][1] != drawn["y"][0] == drawn["y"][1]


def test_evidence_may_be_a_line():
    schedule, _ = run(at("x", S))
    assert [str(one) for one in schedule.faults[0].result().judgement.evidence] == ["nodes/a/console.log:3 (observed)"]


def test_a_run_is_repeated_with_the_times_at_which_faults_acted():
    specs = [
        at("x", S, S),
        when("seen", ConsoleSeen("a", "fall"), for_ns=56 * S),
        when("never", ConsoleSeen("a", "dragon")),
        at("broken", 4 * S),
        heal("over", "broken", 6 * S),
        heal("pointless", "never", condition=FaultReached("x", HEALED, S)),
    ]
    schedule, told = run(*specs, facts=[line(5 * S, "fall")], factories={"broken": Refused})
    scenario = Scenario("s", 60 * S, 3, TimeMode.REAL, NetworkSpec(), (NodeSpec("a", 0),), faults=tuple(specs))
    again = repeated(scenario, [fault.record() for fault in schedule.faults]).faults
    seen = replace(specs[1], at_ns=5 * S + REACTION_NS, when=None, for_ns=None)
    assert again == (specs[0], seen, specs[3], specs[4])
    _, told_again = run(*again, factories={"broken": Refused})
    assert done(told_again, INJECTED) == done(told, INJECTED)
