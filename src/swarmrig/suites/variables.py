"""`{name}` in the words of a suite file. `{{` and `}}` are braces."""

from __future__ import annotations

import re
from collections.abc import Mapping

BEFORE_ALL = ("here", "build", "mode")
"""The suite file's directory, one for what is built, the mode: known before any scenario runs."""
BUILT_IN = (*BEFORE_ALL, "dir", "tmp", "scenario", "repetition", "seed")
"""Also: the scenario's own directory, a private one that vanishes; its id and numbers."""

_BRACES = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_]*)\}")


def names_in(text: str) -> set[str]:
    """The variables that a text asks for."""
    return {match[1] for match in _BRACES.finditer(text) if match[1]}


def filled(text: str, variables: Mapping[str, str]) -> str:
    """The text with its variables; KeyError for one that is unknown."""
    return _BRACES.sub(lambda match: variables[match[1]] if match[1] else match[0][0], text)


def as_text(value: str | int | float | bool) -> str:
    """A value of the file as a program gets it: `true`, `12`, `0.5`."""
    return str(value).lower() if isinstance(value, bool) else str(value)
