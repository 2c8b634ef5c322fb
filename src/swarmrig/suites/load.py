"""A suite file to its plan: every section is read, every problem is reported, then it holds or not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from swarmrig.errors import ScenarioError, SwarmrigError
from swarmrig.scenario.explain import checked
from swarmrig.scenario.located import parse, read_text
from swarmrig.scenario.problems import Mark, Problems
from swarmrig.scenario.quantities import safe_name
from swarmrig.scenario.tree import Table, describe
from swarmrig.scenario.wiring import impairment
from swarmrig.suites.native import CounterEntry, ModeEntry, ScenarioEntry, SuiteFaultEntry, SuiteFile
from swarmrig.suites.plan import FAULTS, RIG, ProcessFault, ProcessPlan, ScenarioPlan, SuitePlan, WirePlan
from swarmrig.suites.references import ALL, check_references, place
from swarmrig.suites.suite import Group, Line, Numbers, Patterns, Shape, Suite, Wire
from swarmrig.suites.thresholds import Bound, Threshold, Thresholds
from swarmrig.suites.variables import as_text
from swarmrig.suites.wire_latency import RTP_SEQUENCE, Pairing
from swarmrig.suites.wires import FAR, NEAR
from swarmrig.wire.filter import FilterError, compile_filter

_SWARM = Shape((RIG,), ("results",), (Group("results", "results_path", Numbers()),))
_SUFFIXES = (".yml", ".yaml")


def load_suite(path: Path) -> SuitePlan:
    """The plan of a suite file. Raises ScenarioError with every problem, each with its place."""
    return load_suite_text(read_text(path, str(path)), str(path), path.absolute().parent)


def load_suite_text(text: str, file: str, here: Path) -> SuitePlan:
    """As `load_suite`, for a text whose paths are relative to `here`."""
    problems = Problems()
    tree = parse(text, file, problems)
    problems.raise_any()
    if not isinstance(tree, Table) or "suite" not in tree.entries:
        seen = "another mapping" if isinstance(tree, Table) else describe(tree)
        raise ScenarioError([Mark(file, 1, 1).problem(f"expected a mapping with `suite: 1`, seen {seen}")])
    found = checked(SuiteFile, tree, problems)
    problems.raise_any()  # what a wrong section names would be missed elsewhere
    assert found is not None
    check_references(found, tree, problems)
    return _plan(found, tree, text, here, Path(file).name.split(".")[0], problems)


def _plan(file: SuiteFile, tree: Table, text: str, here: Path, default_name: str, problems: Problems) -> SuitePlan:
    name = file.name or safe_name(default_name)
    plan = SuitePlan(
        suite=_suite(file, name, tree, problems),
        text=text,
        here=here,
        processes=tuple(_processes(file, tree, problems)),
        wires=tuple(
            WirePlan(name, str(entry.to), entry.after, impairment(entry.link)) for name, entry in file.wires.items()
        ),
        artifacts=dict(file.artifacts),
        scenarios=tuple(_scenario(each, entry, here) for each, entry in file.scenarios.items()),
        variables=_texts(file.variables),
        mode_variables={mode: _texts(entry.variables) for mode, entry in file.modes.items()},
        build=file.build,
        timeout_ns=file.timeout,
        repetitions=file.repetitions,
        parallel=file.parallel,
        seed=file.seed,
    )
    problems.raise_any()
    return plan


def _processes(file: SuiteFile, tree: Table, problems: Problems) -> list[ProcessPlan]:
    found = []
    for name, entry in file.processes.items():
        mark = place(tree, "processes", name, "ready")
        ready = _pattern(entry.ready, mark, problems) if entry.ready is not None else None
        found.append(ProcessPlan(name, entry.command, entry.after, ready, entry.env, entry.background))
    return found


def _scenario(scenario_id: str, entry: ScenarioEntry, here: Path) -> ScenarioPlan:
    run: str | Path | None = entry.run
    if entry.run is not None and ("/" in entry.run or entry.run.lower().endswith(_SUFFIXES)):
        run = here / entry.run
    return ScenarioPlan(
        id=scenario_id,
        name=entry.name or scenario_id,
        variables=_texts(entry.variables),
        faults=tuple(_fault(each) for each in entry.faults if each.pause or each.kill),
        exits=entry.exits,
        run=run,
        overrides=tuple((path, as_text(value)) for path, value in entry.overrides.items()),
    )


def _fault(entry: SuiteFaultEntry) -> ProcessFault:
    if entry.pause is not None:
        return ProcessFault(entry.pause.process, entry.at, entry.pause.duration)
    assert entry.kill is not None  # `check_references` saw to it
    return ProcessFault(entry.kill.process, entry.at, None)


def _suite(file: SuiteFile, name: str, tree: Table, problems: Problems) -> Suite:
    groups = [_group(group, entry, tree, problems) for group, entry in file.counters.items()]
    captures = (f"{wire}_{end}" for wire in file.wires for end in (NEAR, FAR))
    shape = Shape(tuple(file.processes), (*file.artifacts, *captures), tuple(groups))
    return Suite(
        name=name,
        task=file.task if file.task is not None else name,
        shape=shape,
        scenarios=tuple(file.scenarios),
        modes={mode: _thresholds(file, entry) for mode, entry in file.modes.items()},
        shapes=_shapes(file, shape),
    )


def _shapes(file: SuiteFile, shape: Shape) -> dict[str, Shape]:
    found = {}
    for name, entry in file.scenarios.items():
        if entry.run is not None:
            found[name] = replace(_SWARM, exits=entry.exits)
        elif entry.faults or entry.exits:
            processes = (*shape.processes, *((FAULTS,) if entry.faults else ()))
            found[name] = Shape(processes, shape.artifacts, shape.groups, entry.exits)
    return found


def _group(name: str, entry: CounterEntry, tree: Table, problems: Problems) -> Group:
    if entry.line is not None:
        return Group(name, f"{entry.process}_log", Line(entry.line))
    if entry.artifact is not None:
        return Group(name, f"{entry.artifact}_path", Numbers())
    if entry.wire is not None:
        return _wire_group(name, entry, place(tree, "counters", name), problems)
    patterns = {}
    for key, text in (entry.patterns or {}).items():
        pattern = _pattern(text, place(tree, "counters", name, "patterns", key), problems)
        if pattern is not None:
            patterns[key] = pattern
    return Group(name, f"{entry.process}_log", Patterns(patterns))


def _wire_group(name: str, entry: CounterEntry, mark: Mark, problems: Problems) -> Group:
    pairs = [text.partition("=") for text in entry.match]
    fields = tuple((first.strip(), (second or first).strip()) for first, _, second in pairs) or RTP_SEQUENCE
    first, second = f"{entry.wire}_{entry.at or NEAR}_path", f"{entry.wire}_{FAR}_path" if entry.at is None else None
    pairing = Pairing()
    try:
        begin, end = (compile_filter(text) if text is not None else None for text in (entry.begin, entry.end))
        pairing = Pairing(fields, begin, end)
    except (FilterError, SwarmrigError) as error:
        problems.add(mark, f"counters {name!r}: {str(error).splitlines()[0]}", getattr(error, "hint", None))
    return Group(name, first, Wire(pairing, second))


def _pattern(text: str, mark: Mark, problems: Problems) -> re.Pattern[str] | None:
    try:
        return re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        problems.add(mark, f"not a regular expression: {error}")
        return None


def _thresholds(file: SuiteFile, mode: ModeEntry) -> Thresholds:
    common = mode.thresholds.get(ALL, {})
    by_scenario = {}
    for scenario in file.scenarios:
        limits = {**common, **mode.thresholds.get(scenario, {})}
        by_scenario[scenario] = tuple(
            Threshold(metric, bound, limit, (entry.home,) if entry.home else (), entry.title or "", entry.over)
            for metric, entry in limits.items()
            for bound, limit in ((Bound.MIN, entry.min), (Bound.MAX, entry.max))
            if limit is not None
        )
    return Thresholds(by_scenario)


def _texts(variables: Mapping[str, str | int | float | bool]) -> dict[str, str]:
    return {name: as_text(value) for name, value in variables.items()}
