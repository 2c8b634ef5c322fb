"""Whole runs: two finished ones compared, and one repeated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from swarmrig.api import NodePlan
from swarmrig.model.network import NetworkPlan
from swarmrig.model.scenario import Scenario
from swarmrig.model.units import NS_PER_S
from swarmrig.plugins import Registry
from swarmrig.replay.comparison import Comparison, Difference, first_difference, in_time_order
from swarmrig.replay.finished import FinishedDirectory, IncomparableError, open_finished
from swarmrig.replay.moments import console, console_times, events, frames
from swarmrig.replay.results import result_changes
from swarmrig.reports.write import write_reports
from swarmrig.runtime.digest import digest_parts
from swarmrig.runtime.observer import Observer, Unobserved
from swarmrig.runtime.plan import RunPlan, make_plan, target_ip
from swarmrig.runtime.run import RunOptions, run
from swarmrig.runtime.tempo import seen_by
from swarmrig.scenario.load import load_scenario


@dataclass(frozen=True, slots=True)
class RepeatOptions:
    """How to repeat a run."""

    output_dir: Path = Path("runs")
    observer: Observer = field(default_factory=Unobserved)
    interrupt: anyio.Event = field(default_factory=anyio.Event)
    anyway: bool = False
    """Repeat and compare what can be compared, also of a run that was not exact or not whole."""


@dataclass(frozen=True, slots=True)
class NodeAgain:
    """One node of a finished run, planned anew on this host, in the network that the run had."""

    scenario: Scenario
    """As the node is told of it."""
    network: NetworkPlan
    plan: NodePlan
    backend: Any

    @property
    def target_ip(self) -> str:
        """Where its frames go."""
        return target_ip(self.scenario, self.network, self.plan.spec.id)


async def plan_node_again(finished: FinishedDirectory, node: str, registry: Registry) -> NodeAgain:
    """Plan a node that lived in virtual time. What other nodes need, engines of containers say, need not be here."""
    scenario = seen_by(node, _scenario_again(finished, registry), ())
    spec = scenario.node(node)
    backend = registry.node(spec.kind)()
    return NodeAgain(scenario, finished.network, await backend.plan(spec, scenario), backend)


async def plan_again(finished: FinishedDirectory, registry: Registry) -> RunPlan:
    """The plan of a finished run, made anew on this host from the scenario that the run has written down."""
    return await make_plan(_scenario_again(finished, registry), registry)


def _scenario_again(finished: FinishedDirectory, registry: Registry) -> Scenario:
    if not finished.scenario_file.is_file():
        raise IncomparableError(f"{finished.scenario_file} is not there any more: nothing says what was run")
    return load_scenario(finished.scenario_file, registry=registry)


async def repeat_run(finished: FinishedDirectory, registry: Registry, options: RepeatOptions) -> Comparison | None:
    """Run it again and compare; None when that was interrupted. The firmware is not built again. IncomparableError
    before anything is launched, unless `anyway`, when the bytes need not come again."""
    if finished.doubt is not None and not options.anyway:
        raise IncomparableError(
            f"{finished.path.name} {finished.doubt}",
            hint="--anyway repeats it all the same, and compares what can be compared",
        )
    plan = await plan_again(finished, registry)
    again = await run(
        plan,
        RunOptions(
            output_dir=options.output_dir, observer=options.observer, interrupt=options.interrupt, skip_build=True
        ),
    )
    write_reports(again.record, again.directory)
    if again.record.interrupted:
        return None
    return compare_runs(finished, open_finished(again.directory), anyway=True)


def compare_runs(left: FinishedDirectory, right: FinishedDirectory, *, anyway: bool = False) -> Comparison:
    """Events, captures, consoles and results of two finished runs.

    IncomparableError when one of them is not a whole, exact run; with `anyway`, what can be compared is: of exact runs
    all that happened before the earlier end, of others what was concluded.
    """
    doubts = [f"{one.path.name} {one.doubt}" for one in (left, right) if one.doubt is not None]
    if doubts and not anyway:
        raise IncomparableError("; ".join(doubts), hint="--anyway compares what can be compared")
    exact = left.is_exact and right.is_exact
    until_ns = min(left.run_ns, right.run_ns) if doubts else None
    differences = _differences(left, right, until_ns) if exact else ()
    whole = until_ns is None
    changes = result_changes(left.results, right.results, outcomes_only=not exact) if whole or not exact else ()
    return Comparison(
        str(left.path),
        str(right.path),
        _what(exact, until_ns),
        differences,
        changes,
        (*doubts, *provenance_changes(left.provenance, right.provenance)),
    )


def provenance_changes(left: Mapping[str, Any], right: Mapping[str, Any]) -> tuple[str, ...]:
    """What two runs were made of differently, one sentence each; a change of several nodes is told once."""
    if not left or not right:
        return () if left == right else ("one of the runs does not say what it was made of",)
    told = [f"{name}: {left.get(name)}, then {right.get(name)}"
            for name in ("swarmrig", "python") if left.get(name) != right.get(name)]  # fmt: skip
    by_change: dict[str, list[str]] = {}
    ours, theirs = left.get("nodes", {}), right.get("nodes", {})
    for node in [*ours, *(node for node in theirs if node not in ours)]:
        one, other = ours.get(node, {}), theirs.get(node, {})
        for name in dict.fromkeys([*one, *other]):
            if one.get(name) != other.get(name):
                change = f"{name} was {_short(one.get(name))}, then {_short(other.get(name))}"
                by_change.setdefault(change, []).append(node)
    return (*told, *(f"{', '.join(nodes)}: {change}" for change, nodes in by_change.items()))


def _short(value: Any) -> str:
    """Digests are long."""
    text = str(value or "unknown")
    return f"{text[:12]}…" if len(text) == 64 else text


def _what(exact: bool, until_ns: int | None) -> str:
    if not exact:
        return "what was concluded: real time repeats no bytes"
    if until_ns is not None:
        return f"events, captures and consoles before {until_ns / NS_PER_S:.9f} s"
    return "events, captures, consoles and results"


def _differences(left: FinishedDirectory, right: FinishedDirectory, until_ns: int | None) -> tuple[Difference, ...]:
    ours, theirs = digest_parts(left.path), digest_parts(right.path)
    files = [name for name in sorted({*ours, *theirs}) if ours.get(name) != theirs.get(name)]
    times = [console_times(one.path) for one in (left, right)] if files else [{}, {}]
    return in_time_order(_difference(name, left.path, right.path, times, until_ns) for name in files)


def _difference(
    name: str, left: Path, right: Path, times: list[dict[str, dict[int, int]]], until_ns: int | None
) -> Difference | None:
    kind, _, rest = name.partition("/")
    if kind == "net":
        link = rest.removesuffix(".pcapng")
        return first_difference(name, frames(left, link), frames(right, link), until_ns=until_ns)
    if kind == "nodes":
        node = rest.partition("/")[0]
        ours, theirs = (console(path, node, of.get(node, {})) for path, of in zip((left, right), times, strict=True))
        return first_difference(name, ours, theirs, until_ns=until_ns)
    return first_difference(name, events(left), events(right), until_ns=until_ns)
