"""What two runs were made of: the difference."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from swarmrig.campaigns.results import Facts
from swarmrig.campaigns.sameness import differing_inputs

_BEFORE, _AFTER = "before", "after"
_DIGEST = re.compile(r"[0-9a-f]{40,64}")


@dataclass(frozen=True, slots=True)
class Made:
    """What a run was made of."""

    facts: Facts
    key: str
    inputs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class InputChange:
    """One input that is another one now; None: it was not there. Both None: what it is has no value of its own."""

    name: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        if self.before is None and self.after is None:
            return self.name
        return f"{self.name} {_short(self.before)} -> {_short(self.after)}"


def changed_inputs(before: Made, after: Made) -> tuple[InputChange, ...]:
    """The inputs that differ, the version of swarmrig among them.

    When none does, the key may tell: it covers the scenario as resolved, with its settings. When it does not, the
    commit may have brought what nobody recorded, as the code of a plugin.
    """
    named = differing_inputs({_BEFORE: _recorded(before), _AFTER: _recorded(after)})
    found = [InputChange(name, _recorded(before).get(name), _recorded(after).get(name)) for name in sorted(named)]
    if not found and before.key != after.key:
        found.append(InputChange("the scenario, or its settings", None, None))
    if not found and before.facts.commit != after.facts.commit:
        found.append(InputChange("commit", before.facts.commit, after.facts.commit))
    return tuple(found)


def _recorded(made: Made) -> Mapping[str, str]:
    return {"swarmrig": made.facts.version, **made.inputs}


def _short(value: str | None) -> str:
    if value is None:
        return "none"
    return value[:12] if _DIGEST.fullmatch(value) else value
