"""Collect everything that is wrong with a file, so that its author hears it all at once."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from swarmrig.errors import Problem, ScenarioError
from swarmrig.model.scenario import Scenario, SourceRef

MAX_PROBLEMS = 100
_LONGEST_WORD = 80


@dataclass(frozen=True, slots=True)
class Mark:
    """Where something was said: a place in a file (1-based), or an option of the command line (no line)."""

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)

    @property
    def ref(self) -> SourceRef | None:
        """The same as a model value; None for what the command line said."""
        if self.line is None or self.column is None:
            return None
        return SourceRef(self.file, self.line, self.column)

    def problem(self, message: str, hint: str | None = None) -> Problem:
        return Problem(message, self.file, self.line, self.column, hint)


Hint = str | None | Callable[[], str | None]


class Problems:
    """The problems and warnings of one file; equal ones count once (a default can be wrong for every node).

    Hints may be given as functions: looking for similar words takes time, and nobody reads the ten-thousandth.
    """

    def __init__(self) -> None:
        self._found: dict[Problem, None] = {}
        self._warnings: dict[Problem, None] = {}

    def add(self, mark: Mark, message: str, hint: Hint = None) -> None:
        self._found.setdefault(mark.problem(message, _evaluated(hint, len(self._found))))

    def warn(self, mark: Mark, message: str, hint: Hint = None) -> None:
        self._warnings.setdefault(mark.problem(message, _evaluated(hint, len(self._warnings))))

    @property
    def warnings(self) -> tuple[str, ...]:
        """In file order."""
        shown = _ordered(self._warnings)[:MAX_PROBLEMS]
        more = len(self._warnings) - len(shown)
        return (*map(str, shown), *([f"and {more} more warnings"] if more else []))

    def __bool__(self) -> bool:
        return bool(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def raise_any(self, rest: Scenario | None = None) -> None:
        """Raise ScenarioError with all problems in file order and all warnings, if there are problems. `rest`: what is
        right in the file."""
        if not self._found:
            return
        ordered = _ordered(self._found)
        shown = ordered[:MAX_PROBLEMS]
        more = len(ordered) - len(shown)
        if more:
            shown.append(Problem(f"and {more} more problems", ordered[0].file))
        raise ScenarioError(shown, rest=rest, warnings=self.warnings)


def _ordered(problems: Iterable[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda problem: (problem.line or 0, problem.column or 0))


def _evaluated(hint: Hint, found: int) -> str | None:
    if callable(hint):
        return hint() if found < MAX_PROBLEMS else None
    return hint


def shorten(text: str, length: int = 60) -> str:
    """The text in quotes, on one line and cut, fit for a message."""
    return repr(text if len(text) <= length else text[: length - 1] + "…")


def suggest(word: str, candidates: Iterable[str]) -> str | None:
    """A hint `did you mean 'x'?` when a candidate is close to the word."""
    if len(word) > _LONGEST_WORD:
        return None
    by_folded = {candidate.lower().replace("-", "_"): candidate for candidate in candidates}
    close = difflib.get_close_matches(word.lower().replace("-", "_"), by_folded, n=1, cutoff=0.6)
    return f"did you mean {by_folded[close[0]]!r}?" if close else None


def listing(names: Iterable[str], most: int = 12) -> str:
    """The names for a message, cut when there are many."""
    known = list(names)
    text = ", ".join(known[:most])
    return f"{text}, … ({len(known)} in all)" if len(known) > most else text


def suggest_or_list(word: str, candidates: Iterable[str]) -> str | None:
    """The closest candidate, else all of them."""
    known = list(candidates)
    return suggest(word, known) or (f"known: {listing(known)}" if known else None)
