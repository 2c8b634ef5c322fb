"""What the page puts together: the matrix, failures by what failed, the work of the workers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from swarmrig.campaigns.page.runs import FINE, RANK, ShownRun, labels
from swarmrig.model.verdict import Outcome

_SPARSE = 3
"""Rows get blanks for seeds that they do not have, unless that makes so many times more cells."""
_EXAMPLES = 3
_OVERLAP_S = 0.05
"""Times are noted when runs begin and end; what seems to overlap by so little followed each other."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A scenario's variant with one seed; repetitions are one cell."""

    seed: int
    runs: tuple[ShownRun, ...]

    @property
    def worst(self) -> ShownRun | None:
        """None: there is no such run."""
        return max(self.runs, key=lambda run: RANK.get(run.counted, 0), default=None)

    @property
    def mixed(self) -> bool:
        return len({run.word for run in self.runs}) > 1


@dataclass(frozen=True, slots=True)
class Row:
    """A scenario's variant."""

    scenario: str
    variant: str
    cells: tuple[Cell, ...]

    @property
    def runs(self) -> list[ShownRun]:
        return [run for cell in self.cells for run in cell.runs]

    @property
    def passed(self) -> int:
        return sum(run.word in FINE for run in self.runs)


def matrix(runs: Iterable[ShownRun]) -> tuple[Row, ...]:
    """Scenario × variant, each with its seeds in order."""
    rows: dict[tuple[str, str], dict[int, list[ShownRun]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        rows[run.entry.task.scenario, labels(run.entry.task.variant)][run.entry.task.seed].append(run)
    seeds = sorted({seed for row in rows.values() for seed in row})
    sparse = len(seeds) * len(rows) > _SPARSE * sum(map(len, rows.values()))
    return tuple(
        Row(*name, tuple(Cell(seed, tuple(row.get(seed, ()))) for seed in (sorted(row) if sparse else seeds)))
        for name, row in rows.items()
    )


@dataclass(slots=True)
class Failing:
    """Runs that one check failed, or that ended without a verdict for one reason."""

    word: str
    what: str
    runs: list[ShownRun] = field(default_factory=list)
    messages: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def examples(self) -> Sequence[tuple[str, int]]:
        """The most frequent messages, and how many said so."""
        return sorted(self.messages.items(), key=lambda each: -each[1])[:_EXAMPLES]

    def add(self, run: ShownRun, message: str) -> None:
        if not self.runs or self.runs[-1] is not run:
            self.runs.append(run)
        self.messages[message] += 1
        self.word = max(self.word, run.word, key=lambda word: RANK.get(word, 0))


def failing(runs: Iterable[ShownRun]) -> tuple[Failing, ...]:
    """By check, and by the way in which runs were not judged; the worst, and of those the most frequent, first."""
    found: dict[str, Failing] = {}
    for run in runs:
        if run.counted in FINE or run.counted == "QUARANTINED":
            continue
        for what, message in _blamed(run):
            found.setdefault(what, Failing(run.word, what)).add(run, message)
    return tuple(sorted(found.values(), key=lambda each: (-RANK.get(each.word, 0), -len(each.runs))))


def _blamed(run: ShownRun) -> list[tuple[str, str]]:
    """What failed a run, each with its message; the end of its last attempt when nothing was judged."""
    result = run.entry.result
    if result is None:
        return [("not run", "it has not been run, or not to its end")]
    checks = [(check.label, check.message) for check in result.checks if check.counted in (Outcome.FAIL, Outcome.FATAL)]
    failures = [("failure of the rig or a node", failure) for failure in result.failures]
    return checks + failures or [(f"no verdict: {result.ending.value}", run.reason)]


@dataclass(frozen=True, slots=True)
class Worker:
    """What a worker did: its last attempts at tasks, in lanes of those that did not run at the same time."""

    name: str
    runs: tuple[ShownRun, ...]
    lanes: tuple[int, ...]
    """Of each run."""
    starts_s: tuple[float, ...]
    """Since the first run of the campaign began."""

    @property
    def busy_s(self) -> float:
        return sum(run.wall_s for run in self.runs)

    @property
    def failed(self) -> int:
        return sum(run.word not in FINE for run in self.runs)

    @property
    def width(self) -> int:
        return max(self.lanes, default=-1) + 1


def workers(runs: Iterable[ShownRun]) -> tuple[Worker, ...]:
    """By name. Runs whose begin nobody noted are left out."""
    begun: dict[str, list[tuple[float, ShownRun]]] = defaultdict(list)
    for run in runs:
        at = _seconds(run.entry.result.began_at) if run.entry.result else None
        if at is not None:
            begun[run.worker].append((at, run))
    first = min((at for each in begun.values() for at, _ in each), default=0.0)
    return tuple(_worker(name, begun[name], first) for name in sorted(begun))


def _worker(name: str, begun: list[tuple[float, ShownRun]], first: float) -> Worker:
    begun.sort(key=lambda each: (each[0], each[1].number))
    free: list[float] = []
    lanes = []
    for at, run in begun:
        lane = next((number for number, until in enumerate(free) if until <= at + _OVERLAP_S), len(free))
        free[lane : lane + 1] = [at + run.wall_s]
        lanes.append(lane)
    return Worker(name, tuple(run for _, run in begun), tuple(lanes), tuple(at - first for at, _ in begun))


def _seconds(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def totals(runs: Sequence[ShownRun]) -> Mapping[str, int]:
    """How many of each word, the worst first."""
    found: dict[str, int] = defaultdict(int)
    for run in runs:
        found[run.counted] += 1
    return dict(sorted(found.items(), key=lambda each: -RANK.get(each[0], 0)))
