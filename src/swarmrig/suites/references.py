"""What goes across the sections of a suite file: names that must be known, variables that must have a value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from swarmrig.errors import SwarmrigError
from swarmrig.scenario.problems import Mark, Problems, suggest_or_list
from swarmrig.scenario.tree import Table, Tree
from swarmrig.suites.native import CounterEntry, SuiteFile
from swarmrig.suites.plan import FAULTS, RIG, SuitePlan
from swarmrig.suites.variables import BEFORE_ALL, BUILT_IN, names_in

ALL = "all"
"""Thresholds under this name hold for every scenario; so no scenario is called so."""


def check_references(file: SuiteFile, tree: Table, problems: Problems) -> None:
    """Report everything in the file that names what is not there."""
    _check_processes(file, tree, problems)
    _check_counters(file, tree, problems)
    _check_scenarios(file, tree, problems)
    _check_thresholds(file, tree, problems)
    _check_variables(file, tree, problems)


def check_overrides(plan: SuitePlan, variables: Mapping[str, str]) -> None:
    """Variables of the command line must be those of the file. Raises SwarmrigError."""
    scenarios = (scenario.variables for scenario in plan.scenarios)
    known = set(plan.variables).union(*scenarios, *plan.mode_variables.values())
    for name in variables:
        if name not in known:
            raise SwarmrigError(
                f"{plan.suite.name} has no variable {name!r}", hint=suggest_or_list(name, sorted(known))
            )


def place(tree: Table, *path: str) -> Mark:
    """Where a key stands, as far down as the file goes."""
    current: Tree = tree
    mark = tree.mark
    for key in path:
        if not isinstance(current, Table) or key not in current.entries:
            break
        mark = current.place(key)
        current = current.entries[key].value
    return mark


def _known(word: str, known: Iterable[str], what: str, mark: Mark, problems: Problems) -> bool:
    names = list(known)
    if word not in names:
        problems.add(mark, f"unknown {what} {word!r}", lambda: suggest_or_list(word, names))
    return word in names


def _check_processes(file: SuiteFile, tree: Table, problems: Problems) -> None:
    if not file.processes and any(entry.run is None for entry in file.scenarios.values()):
        problems.add(tree.mark, "no processes, but scenarios that need some", "give them `processes`, or each a `run`")
    for name in file.processes:
        mark = place(tree, "processes", name)
        if name in (RIG, FAULTS):
            problems.add(mark, f"{name!r} is a name of the rig's own")
        if name in file.wires:
            problems.add(mark, f"{name!r} is the name of a wire, too")
        _check_after(name, "processes", file, tree, problems)
    for name in file.wires:
        _check_after(name, "wires", file, tree, problems)
    if file.processes and all(entry.background for entry in file.processes.values()):
        problems.add(place(tree, "processes"), "every process is in the background: no scenario would ever end")


def _check_after(name: str, section: str, file: SuiteFile, tree: Table, problems: Problems) -> None:
    known = [*file.processes, *file.wires]
    for other in _after(file, name):
        _known(other, known, "process or wire", place(tree, section, name, "after"), problems)
    if name in before(file, name):
        hint = "see its `after`, and that of the others"
        problems.add(place(tree, section, name), f"{name!r} would start after itself", hint)


def _after(file: SuiteFile, name: str) -> tuple[str, ...]:
    entry = file.processes.get(name) or file.wires.get(name)
    return entry.after if entry is not None else ()


def before(file: SuiteFile, name: str) -> set[str]:
    """The processes and wires that are ready before this one starts."""
    found: set[str] = set()
    open_ends = list(_after(file, name))
    while open_ends:
        other = open_ends.pop()
        if other not in found:
            found.add(other)
            open_ends += _after(file, other)
    return found


def _check_counters(file: SuiteFile, tree: Table, problems: Problems) -> None:
    for name, entry in file.counters.items():
        mark = place(tree, "counters", name)
        if [entry.line, entry.patterns, entry.artifact, entry.wire].count(None) != 3:
            problems.add(mark, f"counters {name!r}: expected one of line, patterns, artifact, wire")
        elif (entry.line is not None or entry.patterns is not None) != (entry.process is not None):
            problems.add(mark, f"counters {name!r}: " + _whose(entry))
        if entry.wire is None and (entry.match or entry.begin or entry.end or entry.at):
            problems.add(mark, f"counters {name!r}: match, from, to and at belong to a wire")
        if entry.process is not None:
            _known(entry.process, file.processes, "process", place(tree, "counters", name, "process"), problems)
        if entry.artifact is not None:
            _known(entry.artifact, file.artifacts, "artifact", place(tree, "counters", name, "artifact"), problems)
        if entry.wire is not None:
            _known(entry.wire, file.wires, "wire", place(tree, "counters", name, "wire"), problems)


def _whose(entry: CounterEntry) -> str:
    if entry.process is None:
        return "whose log is it? `process` is missing"
    return "an artifact or a wire belongs to no process"


def _check_scenarios(file: SuiteFile, tree: Table, problems: Problems) -> None:
    for name, entry in file.scenarios.items():
        mark = place(tree, "scenarios", name)
        if name == ALL:
            problems.add(mark, f"no scenario can be called {ALL!r}: thresholds of that name hold for all of them")
        if entry.run is not None and entry.faults:
            problems.add(mark, f"scenario {name!r} runs a swarm: its faults stand in the file that it runs")
        if entry.run is None and entry.overrides:
            problems.add(mark, f"scenario {name!r}: `set` changes the file of `run`, and there is none")
        for process in entry.exits:
            known = file.processes if entry.run is None else (RIG,)
            _known(process, known, "process", place(tree, "scenarios", name, "exits", process), problems)
        for fault in entry.faults:
            acts = [act for act in (fault.pause, fault.kill) if act is not None]
            if len(acts) != 1:
                problems.add(place(tree, "scenarios", name, "faults"), "a fault: expected one of pause, kill")
            for act in acts:
                _known(act.process, file.processes, "process", place(tree, "scenarios", name, "faults"), problems)


def _check_thresholds(file: SuiteFile, tree: Table, problems: Problems) -> None:
    for mode, entry in file.modes.items():
        for scenario, limits in entry.thresholds.items():
            path = ("modes", mode, "thresholds", scenario)
            _known(scenario, [*file.scenarios, ALL], "scenario", place(tree, *path), problems)
            for metric, limit in limits.items():
                mark = place(tree, *path, metric)
                if limit.min is None and limit.max is None:
                    problems.add(mark, f"{metric}: expected min, max or both")
                if limit.home is not None:
                    _known(limit.home, file.counters, "counters", mark, problems)
        for scenario in file.scenarios:
            if not {ALL, scenario} & {name for name, limits in entry.thresholds.items() if limits}:
                # Exit codes alone are evidence, and a choice that should be seen.
                problems.warn(place(tree, "modes", mode), f"mode {mode}: nothing but exit codes judges {scenario!r}")


def _check_variables(file: SuiteFile, tree: Table, problems: Problems) -> None:
    modes = [set(mode.variables) for mode in file.modes.values()]
    scenarios = [set(entry.variables) for entry in file.scenarios.values() if entry.run is None]
    of_suite = set(file.variables) | set.intersection(*modes)
    everywhere = of_suite | (set.intersection(*scenarios) if scenarios else set())
    somewhere = set.union(*modes, *scenarios)
    for path, texts, caught in _texts(file):
        known = {*BEFORE_ALL, *of_suite} if path == ("build",) else {*BUILT_IN, *everywhere, *caught}
        for name in sorted(set().union(*map(names_in, texts)) - known):
            hint = "not every scenario and mode has it" if name in somewhere else suggest_or_list(name, sorted(known))
            problems.add(place(tree, *path), f"unknown variable {{{name}}}", hint)


def _texts(file: SuiteFile) -> Iterator[tuple[tuple[str, ...], list[str], set[str]]]:
    """Where variables may stand: the place, the texts there, what patterns of processes before have caught."""
    for name, entry in file.processes.items():
        with suppress(re.error):  # told where the pattern stands; what it would have caught is not known
            yield ("processes", name), [*entry.command, *entry.env.values()], _caught(file, name)
    for name, wire in file.wires.items():
        with suppress(re.error):
            yield ("wires", name), [str(wire.to)], _caught(file, name)
    for name, text in file.artifacts.items():
        yield ("artifacts", name), [text], set()
    if file.build is not None:
        yield ("build",), list(file.build), set()


def _caught(file: SuiteFile, name: str) -> set[str]:
    """What those before it leave: groups of the patterns of processes, ports of wires."""
    others = before(file, name)
    patterns = [re.compile(file.processes[other].ready or "") for other in others if other in file.processes]
    return {group for pattern in patterns for group in pattern.groupindex} | (others & set(file.wires))
