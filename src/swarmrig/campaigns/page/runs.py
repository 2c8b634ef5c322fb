"""The runs of a campaign as the page tells of them: what each is called, how it ended, and how to repeat it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from swarmrig.campaigns.compare import first_reason
from swarmrig.campaigns.results import CampaignResults, Entry
from swarmrig.model.verdict import Outcome
from swarmrig.reports.page.render import PAGE
from swarmrig.reports.page.repeating import repeated
from swarmrig.reports.web.files import command

RANK = {"PASS": 0, "WARN": 1, "QUARANTINED": 2, "NOT RUN": 3, "REFUSED": 4, "INFRA": 5, "FAIL": 6, "FATAL": 7}
"""What a run was called, the worst last."""
FINE = ("PASS", "WARN")


@dataclass(frozen=True)
class ShownRun:
    """A task of the campaign."""

    number: int
    entry: Entry
    home: Path
    """The campaign's directory."""
    origin: Path
    """Where scenarios are looked for: the campaign file's directory."""

    @property
    def name(self) -> str:
        return self.entry.task.id

    @property
    def word(self) -> str:
        """How it ended, as tables say it."""
        return self.entry.word

    @property
    def counted(self) -> str:
        """The same; of what does not count and did not pass, that it is in quarantine."""
        quarantined = self.entry.task.quarantine is not None and self.word not in FINE
        return "QUARANTINED" if quarantined else self.word

    @property
    def reason(self) -> str:
        """Why it did not pass."""
        return "" if self.word == Outcome.PASS else first_reason(self.entry)

    @property
    def wall_s(self) -> float:
        return self.entry.result.wall_s if self.entry.result else 0.0

    @property
    def worker(self) -> str:
        return self.entry.result.worker if self.entry.result else ""

    @property
    def attempts(self) -> int:
        return len(self.entry.result.attempts) if self.entry.result else 0

    @cached_property
    def place(self) -> Path | None:
        """The run's directory, if it is there."""
        named = self.entry.result.directory if self.entry.result else None
        if named is None:
            return None
        path = self.home / named
        return path if path.is_dir() else None

    @cached_property
    def href(self) -> str | None:
        """Leads to its report, or else to its directory."""
        if self.place is None or self.entry.result is None:
            return None
        named = self.entry.result.directory or ""
        return quote(f"{named}/{PAGE}" if (self.place / PAGE).is_file() else f"{named}/")

    @cached_property
    def commands(self) -> list[tuple[str, str]]:
        """(what it does, command): what repeats it, from its directory when that is there."""
        if self.place is not None:
            digest = self.entry.result.digest if self.entry.result else None
            found = repeated(self.place, digest, alone=False)
            if found:
                return found
        task = self.entry.task
        scenario = self.origin / task.scenario
        words = [scenario if scenario.exists() else task.scenario, "--seed", str(task.seed)]
        return [("Run it anew", command("run", *words, *(word for each in task.settings for word in ("--set", each))))]


def shown_runs(results: CampaignResults, home: Path) -> tuple[ShownRun, ...]:
    """All tasks, as they were planned."""
    origin = Path(results.campaign.file).parent
    return tuple(ShownRun(number, entry, home, origin) for number, entry in enumerate(results.tasks))


def labels(variant: Mapping[str, str]) -> str:
    """The labels of a variant, for people."""
    return ", ".join(f"{axis} {label}" for axis, label in variant.items())
