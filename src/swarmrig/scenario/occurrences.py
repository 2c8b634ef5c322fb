"""When an item of `faults` happens: once, again and again, or when something else has happened."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from swarmrig.checks.patterns import BOOT
from swarmrig.model.facts import FaultStage
from swarmrig.model.scenario import Condition, ConsoleSeen, FaultReached, FramesSeen
from swarmrig.model.units import format_duration
from swarmrig.scenario.fleet import Fleet
from swarmrig.scenario.native import FaultEntry, WhenEntry
from swarmrig.scenario.plugin_params import check_references
from swarmrig.scenario.problems import Mark, Problems
from swarmrig.scenario.tree import Table, Tree
from swarmrig.wire.filter import FilterError, compile_filter

MAX_OCCURRENCES = 1000
_KINDS_OF_CONDITION = ("console", "event", "frames", "fault")
_FIELDS = {"console": {"node", "count"}, "event": {"node", "count"}, "frames": {"link", "count"}, "fault": {"stage"}}


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time, or one condition, before jitter."""

    at_ns: int | None
    when: Condition | None
    number: int | None
    """1, 2, … of what happens again and again."""

    def delayed(self, ns: int) -> Occurrence:
        if self.when is not None:
            return replace(self, when=replace(self.when, after_ns=self.when.after_ns + ns))
        return replace(self, at_ns=(self.at_ns or 0) + ns)


class Times:
    """Reads the times of items of one file; every problem is reported."""

    def __init__(self, fleet: Fleet, duration_ns: int, problems: Problems) -> None:
        self._fleet = fleet
        self._duration_ns = duration_ns
        self._problems = problems

    def occurrences(self, entry: FaultEntry, item: Table, longest_ns: int) -> list[Occurrence]:
        """All of an item, of which a fault lasts `longest_ns` at most; none when its times are wrong."""
        before = len(self._problems)
        found: list[Occurrence] = []
        if entry.when is not None:
            condition = self._condition(entry.when, item)
            found = [] if condition is None else [Occurrence(None, condition, None)]
            self._refuse_times(item, "a fault that waits for something happens once")
        elif entry.every is not None:
            found = list(self._repeated(entry, item, longest_ns + entry.jitter))
        elif entry.at is not None:
            found = [Occurrence(entry.at, None, None)]
        elif not {"at", "every", "when"} & set(item.entries):
            self._problems.add(item.mark, "missing key 'at'", "or `every`, or `when`")
        if entry.every is None and "until" in item.entries and "every" not in item.entries:
            self._problems.add(item.place("until"), "until: nothing is repeated", "say `every`, too")
        self._check_ends(found, entry, item)
        return found if len(self._problems) == before else []

    def _refuse_times(self, item: Table, why: str) -> None:
        for key in ("at", "every"):
            if key in item.entries:
                self._problems.add(item.place(key), f"{key}: {why}", "leave out `when`, or this")

    def _repeated(self, entry: FaultEntry, item: Table, room_ns: int) -> Iterator[Occurrence]:
        """`at` is the first time (default: after one period), `until` bounds the last (default: what fits)."""
        assert entry.every is not None
        first = entry.every if entry.at is None else entry.at
        last = self._duration_ns - room_ns - 1 if entry.until is None else entry.until
        if last < first:
            key = "every" if entry.until is None else "until"
            message = f"{key}: it would not happen even once, first at {format_duration(first)}"
            self._problems.add(_place(item, key), message)
            return
        count = (last - first) // entry.every + 1
        if count > MAX_OCCURRENCES:
            message = f"every: would happen {count} times, more than {MAX_OCCURRENCES}"
            self._problems.add(_place(item, "every"), message, "set `until`, or a longer period")
            return
        for number in range(count):
            yield Occurrence(first + number * entry.every, None, number + 1)

    def _check_ends(self, found: list[Occurrence], entry: FaultEntry, item: Table) -> None:
        """What is due after the end can't happen; with `jitter`, whatever is drawn."""
        times = [one.at_ns for one in found if one.at_ns is not None]
        if not times:
            return
        last = max(times)
        key = "at" if entry.every is None else "until" if entry.until is not None else "every"
        run = format_duration(self._duration_ns)
        if last >= self._duration_ns:
            self._late(_place(item, key), f"{key}: {format_duration(last)} is not within the run of {run}")
        elif last + entry.jitter >= self._duration_ns:
            end = format_duration(last + entry.jitter)
            self._late(_place(item, "jitter"), f"jitter: it could be as late as {end}, not within the run of {run}")

    def check_healing(self, found: list[Occurrence], jitter_ns: int, for_ns: int, place: Mark) -> None:
        """A fault whose healing cannot be seen proves nothing."""
        times = [one.at_ns + jitter_ns for one in found if one.at_ns is not None]
        if times and max(times) + for_ns >= self._duration_ns and max(times) < self._duration_ns:
            end, run = format_duration(max(times) + for_ns), format_duration(self._duration_ns)
            self._late(place, f"for: the fault would heal at {end}, not within the run of {run}")
        elif not times and for_ns >= self._duration_ns:
            run = format_duration(self._duration_ns)
            self._late(place, f"for: longer than the whole run of {run}")

    def _late(self, place: Mark, message: str) -> None:
        self._problems.add(place, message, "give the run a longer duration, or the fault an earlier time")

    def _condition(self, entry: WhenEntry, item: Table) -> Condition | None:
        table = item.get("when")
        assert isinstance(table, Table)
        kinds = [key for key in _KINDS_OF_CONDITION if getattr(entry, key) is not None]
        before = len(self._problems)
        if len(kinds) != 1:
            seen = " and ".join(kinds) or "none of them"
            if not set(_KINDS_OF_CONDITION) & set(table.entries) or kinds:
                message = f"when: expected one of console, event, frames and fault, seen {seen}"
                self._problems.add(table.mark, message)
            return None
        check_references(table, self._fleet, self._problems)
        for key, own in _FIELDS.items():
            for field in sorted(own - _FIELDS[kinds[0]]):
                if key != kinds[0] and field in table.entries:
                    self._problems.add(table.place(field), f"{field}: belongs to `{key}`, not to `{kinds[0]}`")
        condition = getattr(self, f"_{kinds[0]}")(entry, table)
        if entry.after >= self._duration_ns:
            self._late(_place(table, "after"), f"after: {format_duration(entry.after)} is not within the run")
        return condition if len(self._problems) == before and isinstance(condition, Condition) else None

    def _console(self, entry: WhenEntry, table: Table) -> Condition | None:
        assert entry.console is not None
        try:
            re.compile(entry.console)
        except re.error as error:
            self._problems.add(_place(table, "console"), f"console: not a regular expression: {error}")
        return self._line(entry, table, entry.console)

    def _event(self, entry: WhenEntry, table: Table) -> Condition | None:
        return self._line(entry, table, f"(?i:{BOOT.pattern})")

    def _line(self, entry: WhenEntry, table: Table, pattern: str) -> Condition | None:
        if entry.node is None:
            self._problems.add(table.mark, "missing key 'node'", "whose console?")
            return None
        node = next((node.id for node in self._fleet.nodes if entry.node in (node.id, node.number)), str(entry.node))
        return ConsoleSeen(node, pattern, entry.count, entry.after)

    def _frames(self, entry: WhenEntry, table: Table) -> Condition | None:
        assert entry.frames is not None
        try:
            compile_filter(entry.frames)
        except FilterError as error:
            self._problems.add(_place(table, "frames"), f"frames: {error}")
        if entry.link is None:
            self._problems.add(table.mark, "missing key 'link'", "`swarmrig plan` names the links")
            return None
        return FramesSeen(entry.link, entry.frames, entry.count, entry.after)

    def _fault(self, entry: WhenEntry, table: Table) -> Condition | None:  # noqa: ARG002 - as its siblings
        assert entry.fault is not None
        return FaultReached(entry.fault, FaultStage(entry.stage), entry.after)


def jittered(found: list[Occurrence], jitter_ns: int, seed: str) -> list[Occurrence]:
    """Each occurrence delayed by its own draw."""
    if not jitter_ns:
        return found
    return [one.delayed(random.Random(f"{seed} jitter {one.number}").randint(0, jitter_ns)) for one in found]


def _place(table: Table, key: str) -> Mark:
    value: Tree | None = table.get(key)
    return value.mark if value is not None else table.mark
