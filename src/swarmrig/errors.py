"""The errors a user can cause or must hear about; everything else is a bug and stays a traceback."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


class SwarmrigError(Exception):
    """Base of all user-facing errors.

    `message` says what was expected and what was seen, `hint` what to try next. The command line prints
    both and exits with 3, without a traceback.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a file: where, what, and what to do about it."""

    message: str
    file: str | None = None
    line: int | None = None
    column: int | None = None
    hint: str | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        text = f"{place}: {self.message}" if place else self.message
        return f"{text} ({self.hint})" if self.hint else text


class ScenarioError(SwarmrigError):
    """The scenario (or an option that changes it) is wrong; carries every problem found, in file order.

    `rest` is the scenario without the nodes that are wrong (model.scenario.Scenario), where so much could be read: for
    whoever wants to say what else is wrong with it. `warnings`: what is strange in the same file, but not wrong.
    """

    def __init__(
        self, problems: Sequence[Problem], *, hint: str | None = None, rest: Any = None, warnings: Sequence[str] = ()
    ) -> None:
        self.problems = tuple(problems)
        self.rest = rest
        self.warnings = tuple(warnings)
        super().__init__("\n".join(str(problem) for problem in self.problems), hint=hint)


class HostError(SwarmrigError):
    """This machine lacks something, or refuses it: a program, a permission, disk space."""


class MissingExtraError(HostError):
    """An optional dependency is not installed; names the feature and the extra that brings it."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs the extra '{extra}'", hint=f"pip install 'swarmrig[{extra}]'")


class NodeError(SwarmrigError):
    """A node failed to start, died, or does not answer; `log` names the file with its own words."""

    def __init__(self, node: str, message: str, *, hint: str | None = None, log: str | None = None) -> None:
        self.node = node
        self.log = log
        super().__init__(f"node {node}: {message}" + (f" (log: {log})" if log else ""), hint=hint)


def leaves_of(error: BaseException) -> Iterator[BaseException]:
    """The errors inside exception groups, as task groups raise them; the error itself when it is no group."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves_of(inner)
    else:
        yield error


class Findings:
    """Several errors that are told together: each check is made, whatever the ones before it have found."""

    def __init__(self) -> None:
        self._found: list[Exception] = []

    @contextmanager
    def kept(self) -> Iterator[None]:
        """What is raised inside is kept for later."""
        try:
            yield
        except* SwarmrigError as group:
            self._found += [error for error in leaves_of(group) if isinstance(error, SwarmrigError)]

    def raise_any(self) -> None:
        """Raise what was found: one error as it is, several as a group."""
        if len(self._found) == 1:
            raise self._found[0]
        if self._found:
            raise ExceptionGroup("several things are wrong", self._found)
