"""How campaigns went over time: how much passed, what fails since when, what takes longest, what is undecided.

Everything is counted from the runs of the history, and the numbers are told with what was counted. A run that is
quarantined counts nowhere but in its own number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from statistics import median

from swarmrig.campaigns.compare import FAILED, first_reason
from swarmrig.campaigns.compare_inputs import InputChange, Made, changed_inputs
from swarmrig.campaigns.history import History, Remembered, Run
from swarmrig.campaigns.results import Facts

Group = tuple[str, str, str, int]
"""Campaign's name, scenario, variant, seed: the same run, campaign after campaign."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which part of a history to look at; patterns as of file names."""

    campaign: str = "*"
    scenario: str = "*"
    last: int = 50
    """So many campaigns."""


@dataclass(frozen=True, slots=True)
class Round:
    """One campaign."""

    id: str
    name: str
    started_at: str
    shard: str | None
    commit: str | None
    version: str
    runs: int
    judged: int
    """Without those in quarantine, as all that follows."""
    passed: int
    failed: int
    not_judged: int
    retried: int
    quarantined: int
    wall_s: float
    """Of all runs together."""

    @property
    def pass_rate(self) -> float | None:
        """None: nothing was judged."""
        return self.passed / self.judged if self.judged else None


@dataclass(frozen=True, slots=True)
class Subject:
    """What a number is about."""

    campaign: str
    """The name."""
    scenario: str
    variant: Mapping[str, str]
    seed: int


@dataclass(frozen=True, slots=True)
class Broken:
    """A run that failed when it was last judged."""

    subject: Subject
    verdict: str
    reason: str
    first_failed: Facts
    """The first campaign of those in a row in which it failed."""
    failed_in: int
    """How many those are."""
    last_passed: Facts | None
    """The campaign before those; None: it never passed."""
    changes: tuple[InputChange, ...]
    """From the one to the other: where to look. Empty though it passed before: nothing that is recorded changed."""


@dataclass(frozen=True, slots=True)
class Slow:
    """How long a run takes, in seconds of wall time."""

    subject: Subject
    runs: int
    median_s: float
    longest_s: float
    last_s: float


@dataclass(frozen=True, slots=True)
class Undecided:
    """A run that passed and failed though it was made of the same: same key, same inputs."""

    subject: Subject
    passed: int
    failed: int
    campaigns: int
    """In so many."""

    @property
    def share(self) -> float:
        """Of the rarer: 0.5 is a coin."""
        return min(self.passed, self.failed) / (self.passed + self.failed)


@dataclass(frozen=True, slots=True)
class Trends:
    """All of it; the first is the latest, the slowest, the flakiest. Campaigns: the earliest first."""

    campaigns: tuple[Round, ...] = ()
    broken: tuple[Broken, ...] = ()
    slowest: tuple[Slow, ...] = ()
    flakiest: tuple[Undecided, ...] = ()


_Past = dict[str, list[Run]]
"""By campaign, the earliest first: how a run was judged, with its repetitions."""


def trends(history: History, wanted: Filter | None = None) -> Trends:
    """The trends of (a part of) a history."""
    wanted = wanted or Filter()
    chosen = [each for each in history.campaigns() if fnmatchcase(each.facts.name, wanted.campaign)][-wanted.last :]
    rounds, pasts = [], defaultdict[Group, _Past](dict)
    for each in chosen:
        runs = [run for run in history.runs(each.facts.id) if fnmatchcase(run.scenario, wanted.scenario)]
        if not runs and wanted.scenario != "*":
            continue
        rounds.append(_round(each.facts, runs))
        for run in runs:
            if run.verdict is not None and not run.quarantined:
                past = pasts[each.facts.name, run.scenario, run.variant, run.seed]
                past.setdefault(each.facts.id, []).append(run)
    campaigns = {each.facts.id: each for each in chosen}
    return Trends(
        tuple(rounds),
        tuple(_broken(history, campaigns, pasts)),
        tuple(sorted(map(_slow, pasts, pasts.values()), key=lambda slow: -slow.median_s)),
        tuple(sorted(_undecided(pasts), key=lambda each: (-each.share, -each.failed))),
    )


def _round(facts: Facts, runs: Sequence[Run]) -> Round:
    counting = [run for run in runs if not run.quarantined]
    judged = [run for run in counting if run.verdict is not None]
    failed = sum(run.verdict in FAILED for run in judged)
    return Round(
        facts.id,
        facts.name,
        facts.started_at,
        facts.shard,
        facts.commit,
        facts.version,
        runs=len(runs),
        judged=len(judged),
        passed=len(judged) - failed,
        failed=failed,
        not_judged=len(counting) - len(judged),
        retried=sum(run.attempt > 1 for run in counting),
        quarantined=len(runs) - len(counting),
        wall_s=sum(run.wall_s for run in runs),
    )


def _broken(history: History, campaigns: Mapping[str, Remembered], pasts: Mapping[Group, _Past]) -> Iterator[Broken]:
    """The latest to break first."""
    order = {name: number for number, name in enumerate(campaigns)}
    found = []
    for group, past in pasts.items():
        streak, before = _streak(past)
        if streak:
            found.append((-order[streak[0][0]], group, streak, before))
    for _, group, streak, before in sorted(found, key=lambda each: each[0]):
        yield _one_broken(history, campaigns, group, streak, before)


_Judged = tuple[str, Sequence[Run]]
"""A campaign's id, and the repetitions of a run in it."""


def _streak(past: _Past) -> tuple[list[_Judged], _Judged | None]:
    """The last campaigns in a row in which a run failed (at least once), and the one before them."""
    streak: list[_Judged] = []
    for campaign, runs in reversed(past.items()):
        if not any(run.verdict in FAILED for run in runs):
            return streak, (campaign, runs)
        streak.insert(0, (campaign, runs))
    return streak, None


def _one_broken(
    history: History,
    campaigns: Mapping[str, Remembered],
    group: Group,
    streak: Sequence[_Judged],
    before: _Judged | None,
) -> Broken:
    first, now = _first_failing(streak[0]), _first_failing(streak[-1])
    facts = campaigns[streak[0][0]].facts
    passed = None if before is None else campaigns[before[0]].facts
    changes: tuple[InputChange, ...] = ()
    if before is not None and passed is not None:
        changes = changed_inputs(_made(history, passed, before[1][0]), _made(history, facts, first))
    reason = first_reason(history.entry(now))
    return Broken(_subject(group, now), str(now.verdict), reason, facts, len(streak), passed, changes)


def _first_failing(judged: _Judged) -> Run:
    return next(run for run in judged[1] if run.verdict in FAILED)


def _made(history: History, facts: Facts, run: Run) -> Made:
    result = history.entry(run).result
    return Made(facts, run.key, result.inputs if result else {})


def _slow(group: Group, past: _Past) -> Slow:
    runs = [run for each in past.values() for run in each]
    walls = [run.wall_s for run in runs]
    return Slow(_subject(group, runs[-1]), len(walls), median(walls), max(walls), walls[-1])


def _undecided(pasts: Mapping[Group, _Past]) -> Iterator[Undecided]:
    for group, past in pasts.items():
        runs = [run for each in past.values() for run in each]
        mixed = [same for same in _same(runs) if 0 < _failed(same) < len(same)]
        if mixed:
            # Of several that are undecided, the one that is seen most.
            most = max(mixed, key=len)
            failed = _failed(most)
            campaigns = len({run.campaign for run in most})
            yield Undecided(_subject(group, most[0]), len(most) - failed, failed, campaigns)


def _same(runs: Iterable[Run]) -> Iterable[list[Run]]:
    """Runs that were made of the same."""
    found: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in runs:
        found[run.key, run.inputs].append(run)
    return found.values()


def _failed(runs: Sequence[Run]) -> int:
    return sum(run.verdict in FAILED for run in runs)


def _subject(group: Group, run: Run) -> Subject:
    return Subject(group[0], run.scenario, run.labels, run.seed)
