"""What became of campaigns, over time: in one file, to which every campaign adds its runs.

Adding is idempotent, and the order does not matter: a run is known by its campaign, its task's id and key and the
number of its attempts, and of two that claim to be the same the later one stays.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from swarmrig.campaigns.history_file import check_whole, connected, damaged, writing
from swarmrig.campaigns.results import CampaignResults, Entry, Facts, read_results
from swarmrig.errors import HostError

_ENTRY = TypeAdapter(Entry)
_FACTS = TypeAdapter(Facts)
_ADD_CAMPAIGN = """
  INSERT INTO campaigns (id, name, started_at, ended_at, home, facts) VALUES (?, ?, ?, ?, ?, ?)
  ON CONFLICT DO UPDATE SET name = excluded.name, started_at = excluded.started_at, ended_at = excluded.ended_at,
    home = excluded.home, facts = excluded.facts
  WHERE (excluded.ended_at, excluded.facts, excluded.home) > (campaigns.ended_at, campaigns.facts, campaigns.home)
"""
_ADD_RUN = """
  INSERT INTO runs (campaign, task, key, attempt, scenario, variant, seed, verdict, quarantined, began_at, wall_s,
    inputs, document)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT DO UPDATE SET verdict = excluded.verdict, quarantined = excluded.quarantined,
    began_at = excluded.began_at, wall_s = excluded.wall_s, inputs = excluded.inputs, document = excluded.document
  WHERE (excluded.began_at, excluded.document) > (runs.began_at, runs.document)
"""
_LAST_OF_TASK = "ORDER BY task, began_at, attempt, key"


@dataclass(frozen=True, slots=True)
class Remembered:
    """A campaign in a history."""

    facts: Facts
    home: str
    """Its directory, where it was when it was remembered."""


@dataclass(frozen=True, slots=True)
class Run:
    """The last that is known of a task of a campaign, as much of it as trends need."""

    campaign: str
    task: str
    key: str
    attempt: int
    scenario: str
    variant: str
    """JSON, sorted: axis to label."""
    seed: int
    verdict: str | None
    quarantined: int
    wall_s: float
    inputs: str
    """The same for runs that were made of the same."""

    @property
    def labels(self) -> Mapping[str, str]:
        """Axis to the label of its value."""
        found: dict[str, str] = json.loads(self.variant)
        return found


class History:
    """An open history."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    def add(self, results: CampaignResults, home: Path) -> int:
        """Remember a campaign that is (partly) done; returns how many runs were not known before."""
        facts = results.campaign
        check_whole(self.path, self._connection)
        with writing(self._connection):
            before = self._count()
            row = (facts.id, facts.name, facts.started_at, facts.ended_at, str(home.absolute()), _facts_text(facts))
            self._connection.execute(_ADD_CAMPAIGN, row)
            self._connection.executemany(_ADD_RUN, (_row(facts.id, entry) for entry in results.tasks))
            return self._count() - before

    def campaigns(self) -> tuple[Remembered, ...]:
        """The earliest first. Campaigns of which others were merged stand for their parts."""
        rows = self._connection.execute("SELECT facts, home FROM campaigns ORDER BY started_at, id")
        with self._read():
            found = [Remembered(_FACTS.validate_json(facts), home) for facts, home in rows]
        parts = {part for each in found for part in each.facts.parts}
        return tuple(each for each in found if each.facts.id not in parts)

    def campaign(self, reference: str) -> Remembered:
        """By id, or the beginning of an id, or `last`. HostError when that is none, or several."""
        known = self.campaigns()
        if reference == "last" and known:
            return known[-1]
        met = [each for each in known if each.facts.id.startswith(reference)]
        met = [each for each in met if each.facts.id == reference] or met
        if len(met) != 1:
            ids = ", ".join(each.facts.id for each in (met or known)[-5:]) or "none"
            which = "several campaigns" if met else "no campaign"
            raise HostError(f"{which} in {self.path} have the id {reference[:80]!r}", hint=f"the latest: {ids}")
        return met[0]

    def entries(self, campaign: str) -> tuple[Entry, ...]:
        """The tasks of a campaign, each with the last that became of it."""
        rows = self._connection.execute(
            f"SELECT task, document FROM runs WHERE campaign = ? {_LAST_OF_TASK}",  # noqa: S608 - a constant
            (campaign,),
        )
        return tuple(self._entry(document) for document in dict(rows).values())

    def entry(self, run: Run) -> Entry:
        """All that is known of a run."""
        row = self._connection.execute(
            "SELECT document FROM runs WHERE campaign = ? AND task = ? AND key = ? AND attempt = ?",
            (run.campaign, run.task, run.key, run.attempt),
        ).fetchone()
        return self._entry(row[0])

    def runs(self, campaign: str) -> tuple[Run, ...]:
        """The same as `entries`, less of each."""
        rows = self._connection.execute(
            "SELECT campaign, task, key, attempt, scenario, variant, seed, verdict, quarantined, wall_s, inputs "  # noqa: S608 - a constant
            f"FROM runs WHERE campaign = ? {_LAST_OF_TASK}",
            (campaign,),
        )
        return tuple({row[1]: Run(*row) for row in rows}.values())

    def _entry(self, document: bytes) -> Entry:
        with self._read():
            return _ENTRY.validate_json(zlib.decompress(document))

    @contextmanager
    def _read(self) -> Iterator[None]:
        try:
            yield
        except (ValueError, zlib.error) as error:
            raise damaged(self.path, str(error).splitlines()[0]) from error

    def _count(self) -> int:
        (count,) = self._connection.execute("SELECT count(*) FROM runs").fetchone()
        return int(count)


@contextmanager
def opened(path: Path, *, create: bool = False) -> Iterator[History]:
    """A history; with `create`, a new one where there is none. Raises HostError, see history_file.connected."""
    with connected(path, create=create) as connection:
        yield History(path, connection)


def remember(path: Path, directory: Path) -> int:
    """Add the campaign in a directory, finished or interrupted, to a history; returns how many of its runs are new.

    Raises HostError when there are no results, or the history cannot be written: then it is as it was.
    """
    results = read_results(directory)
    with opened(path, create=True) as history:
        return history.add(results, directory)


def _facts_text(facts: Facts) -> str:
    return _FACTS.dump_json(facts).decode()


def _row(campaign: str, entry: Entry) -> tuple[str | int | float | bytes | None, ...]:
    task, result = entry.task, entry.result
    return (
        campaign,
        task.id,
        result.key if result else task.key,
        len(result.attempts) if result else 0,
        task.scenario,
        json.dumps(dict(task.variant), sort_keys=True),
        task.seed,
        result.verdict if result else None,
        int(task.quarantine is not None),
        result.began_at if result else "",
        result.wall_s if result else 0.0,
        _inputs_digest(result.inputs if result else {}),
        zlib.compress(_ENTRY.dump_json(entry)),
    )


def _inputs_digest(inputs: Mapping[str, str]) -> str:
    """Where a file lies is no input: its digest is."""
    counted = {name: value for name, value in inputs.items() if not value.startswith("/")}
    return hashlib.sha256(json.dumps(counted, sort_keys=True).encode()).hexdigest()
