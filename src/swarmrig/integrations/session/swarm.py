"""A swarm that a program leads by hand: it runs for real in the background, and lives on as it is told to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypedDict, TypeVar, Unpack

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal

from swarmrig.errors import SwarmrigError
from swarmrig.integrations.session.errors import SwarmOverError
from swarmrig.integrations.session.lead import Lead
from swarmrig.integrations.session.nodes import DEFAULT_TIMEOUT, Duration, Node
from swarmrig.integrations.session.transcript import Pattern, compiled
from swarmrig.model.facts import Fact, FaultStage, Frame
from swarmrig.model.network import LinkPlan
from swarmrig.model.scenario import Scenario, TimeMode
from swarmrig.model.units import NS_PER_S, parse_duration_ns
from swarmrig.model.verdict import Judgement, Outcome
from swarmrig.plugins import Registry
from swarmrig.programmatic import RunResult, as_yaml
from swarmrig.reports.write import write_reports
from swarmrig.runtime.injection import ScheduledFault
from swarmrig.runtime.plan import RunPlan, plan_loaded
from swarmrig.runtime.run import RunOptions
from swarmrig.runtime.run import run as conduct
from swarmrig.scenario.load import load_scenario
from swarmrig.wire.decode import decode
from swarmrig.wire.filter import compile_filter

T = TypeVar("T")
WITH_FIRMWARE = frozenset({"qemu", "renode"})
"""Kinds of nodes that say on their consoles when they have booted."""


class Injected:
    """A fault that was injected by hand. When it has a duration it heals by itself."""

    def __init__(self, swarm: Swarm, fault: ScheduledFault) -> None:
        self._swarm = swarm
        self._fault = fault

    def __repr__(self) -> str:
        return f"<fault {self.id}: {self._fault.description}>"

    @property
    def id(self) -> str:
        return self._fault.spec.id

    @property
    def stages(self) -> tuple[tuple[FaultStage, int], ...]:
        """What became of it so far, with times in ns."""
        return tuple(sorted(self._fault.stages, key=lambda stage: stage[1]))

    @property
    def proved(self) -> bool:
        """Were its effect and its end seen, by others than who injected it?"""
        return self._fault.is_proved

    def heal(self) -> None:
        """End a fault that was injected for good."""
        self._swarm._ask(self._swarm._lead.heal, self._fault)


class Swarm:
    """Made by `open_swarm`. All times are run time; a duration is `"2s"`, or a number of seconds.

    In virtual time the swarm stands still between two calls: it lives only within `run_for`, `expect` and the like, and
    what a program does with it gives the same bytes every time. In real time it lives on by itself.
    """

    def __init__(self, portal: BlockingPortal, lead: Lead, plan: RunPlan, run: Future[RunResult]) -> None:
        self._portal = portal
        self._lead = lead
        self._plan = plan
        self._run = run
        self._result: RunResult | None = None
        self._nodes = {node.id: Node(self, node.id) for node in plan.scenario.nodes}

    @property
    def scenario(self) -> Scenario:
        return self._plan.scenario

    @property
    def tier(self) -> str:
        """exact: the same program gives the same bytes; recorded, scheduled: it does not, because the time of some
        nodes, or of all, is real."""
        return self._plan.tier

    @property
    def directory(self) -> Path:
        """The run directory: consoles, captures, events."""
        return self._lead.directory

    @property
    def nodes(self) -> Mapping[str, Node]:
        return self._nodes

    def node(self, name: str) -> Node:
        """KeyError, with the names that there are, when there is no such node."""
        if name not in self._nodes:
            raise KeyError(f"there is no node {name!r}: the nodes are {', '.join(self._nodes)}")
        return self._nodes[name]

    @property
    def now_ns(self) -> int:
        return self._lead.now_ns

    @property
    def now(self) -> float:
        """Run time in seconds."""
        return self.now_ns / NS_PER_S

    def run_for(self, duration: Duration) -> None:
        """Let the swarm live so long."""
        self._ask(self._lead.run_for, parse_duration_ns(duration))

    def run_until(self, time: Duration) -> None:
        """Let the swarm live until that run time; at once, if that is past."""
        self._ask(self._lead.until, parse_duration_ns(time))

    def run_out(self) -> None:
        """Let the swarm live until the end of the scenario's duration: all faults of the file have had their time."""
        self._ask(self._lead.until, self._plan.scenario.duration_ns)

    def wait_booted(self, timeout: Duration = DEFAULT_TIMEOUT, *, says: Pattern | None = None) -> None:
        """Return when every device that runs firmware has said that it has booted: what the check `all_nodes_boot`
        looks for, or a pattern. NotSeenError when one does not in time."""
        booting = [node.id for node in self._plan.scenario.nodes if node.kind in WITH_FIRMWARE]
        wanted = None if says is None else compiled(says)
        self._ask(self._lead.booted, booting, parse_duration_ns(timeout), wanted)

    def inject(self, kind: str, *, for_: Duration | None = None, **params: Any) -> Injected:
        """Have a fault act now: `inject("cut", between=["a", "b"], for_="2s")`. It must be proved as those of the file.

        Without `for_` it lasts until it is healed by hand, or the run ends. ScenarioError when there is no such fault,
        or it cannot be; SwarmrigError when it failed.
        """
        if for_ is not None:
            params["for"] = for_
        return Injected(self, self._ask(self._lead.inject, kind, params))

    def frames(self, filter: str | None = None, *, link: str | None = None) -> list[Frame]:
        """The frames that have entered links up to now, in order of time, that match a filter (`udp.dstport == 5005`).

        ValueError says what is wrong with the filter.
        """
        wanted = None if filter is None else compile_filter(filter)
        return [
            frame
            for frame in self._ask(self._lead.frames)
            if (link is None or frame.link == link) and (wanted is None or wanted.matches(decode(frame.data)))
        ]

    @property
    def links(self) -> tuple[LinkPlan, ...]:
        """The links of its network."""
        return self._plan.network.links

    def listen(self, on_more: Callable[[str], None]) -> None:
        """Call this with the id of a node, in a thread of the rig's, when there is more in its console.log."""
        self._lead.on_more = on_more

    @property
    def facts(self) -> tuple[Fact, ...]:
        """Everything that is known up to now: lines, frames, changes of nodes and faults."""
        return tuple(self._lead.facts)

    def judgements(self) -> dict[str, Judgement | None]:
        """What the checks of the file say by now; None as long as they are undecided."""
        return dict(self._ask(self._lead.judgements))

    def finish(self) -> RunResult:
        """End the run, judge it and write its reports; returns when nothing of it is left but its directory."""
        if self._result is None:
            self._portal.call(self._lead.finish)
            self._result = self._run.result()
        return self._result

    def verdict(self) -> Outcome:
        """End the run; PASS, WARN, FAIL or FATAL."""
        return self.finish().verdict

    def require_pass(self) -> None:
        """End the run; AssertionError, with what did not pass and where to look, unless the verdict is PASS."""
        __tracebackhide__ = True
        result = self.finish()
        if result.verdict is not Outcome.PASS:
            raise AssertionError(explain(result))

    def _ask(self, wish: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        """Have a wish of the lead fulfilled; given up when the caller is interrupted."""
        __tracebackhide__ = True
        future = self._portal.start_task_soon(self._lead.fulfil, partial(wish, *arguments))
        try:
            return future.result()
        except SwarmrigError as error:
            raise error.with_traceback(None) from None  # how it came about in here is nothing to the caller
        except BaseException:
            future.cancel()
            raise


def explain(result: RunResult) -> str:
    """What did not pass, in a few lines."""
    record = result.record
    turned = [check for check in record.checks if check.judgement.outcome is not Outcome.PASS]
    lines = [f"{record.scenario.name}: {record.verdict} ({result.directory})"]
    for check in turned:
        evidence = ", ".join(map(str, check.judgement.evidence))
        lines.append(
            f"  {check.judgement.outcome}  {check.label}: {check.judgement.message} ({evidence or 'no evidence'})"
        )
    return "\n".join([*lines, *(f"  {failure}" for failure in record.failures)])


class Settings(TypedDict, total=False):
    """What may be said about a run besides its file."""

    seed: int
    """In place of the file's."""
    time: str
    """Which clock rules, in place of the file's: auto, virtual or real."""
    overrides: Mapping[str, object]
    """Single values by path, as `--set` has them: `{"network.link.loss": "1%"}`."""
    output_dir: str | Path
    """Where the run directory is made; `runs` by default."""
    strict: bool
    """WARN counts as FAIL."""


@contextmanager
def open_swarm(path: str | Path, **settings: Unpack[Settings]) -> Iterator[Swarm]:
    """Start a scenario (a file, or the name of a preset) in the background and lead it by hand.

    The nodes have been started, and in virtual time nothing has happened yet. On leaving, the run is over, judged and
    reported, and nothing of it is left but its directory. The file's faults and checks hold, its duration does not:
    the run lasts as long as it is led. Raises ScenarioError, HostError or NodeError when it cannot be.
    """
    registry = Registry.load()
    with start_blocking_portal("asyncio") as portal:
        plan = portal.call(plan_loaded, partial(load_settled, path, settings, registry), registry)
        lead, interrupt = portal.call(Lead, plan, registry), portal.call(anyio.Event)
        options = RunOptions(
            output_dir=Path(settings.get("output_dir", "runs")),
            strict=settings.get("strict", False),
            leader=lead,
            interrupt=interrupt,
        )
        run = portal.start_task_soon(_run, plan, options, lead)
        try:
            portal.call(lead.ready.wait)
            if lead.over.is_set():
                raise SwarmOverError(f"the swarm did not start: {explain(run.result())}")
            swarm = Swarm(portal, lead, plan, run)
            yield swarm
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                portal.call(interrupt.set)
            portal.call(lead.finish)
            wait([run])  # what became of it is less important than this error
            raise
        swarm.finish()


async def _run(plan: RunPlan, options: RunOptions, lead: Lead) -> RunResult:
    try:
        finished = await conduct(plan, options)
        write_reports(finished.record, finished.directory)
        return RunResult(finished.record, finished.directory)
    finally:
        lead.ready.set()
        lead.over.set()


def load_settled(path: str | Path, settings: Settings, registry: Registry) -> Scenario:
    """The scenario of a file or preset with these settings. ScenarioError when it cannot be."""
    time = settings.get("time")
    return load_scenario(
        path,
        registry=registry,
        overrides=[(key, as_yaml(value)) for key, value in settings.get("overrides", {}).items()],
        seed=settings.get("seed"),
        time=None if time is None else TimeMode(time),
    )
