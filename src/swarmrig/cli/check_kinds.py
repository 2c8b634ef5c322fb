"""Checks as text, made of what their classes say of themselves."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from swarmrig.cli.parameters import Parameter, parameter_table, parameter_texts, parameters_of
from swarmrig.errors import SwarmrigError
from swarmrig.plugins import Registry
from swarmrig.scenario.plugin_params import bare_field
from swarmrig.scenario.problems import suggest_or_list


@dataclass(frozen=True, slots=True)
class CheckKind:
    """A check."""

    name: str
    summary: str
    details: str
    """The rest of what its class says, in paragraphs."""
    parameters: tuple[Parameter, ...]
    bare: str | None
    """The parameter that a plain value fills."""
    severity: str
    example: str


def describe_checks(registry: Registry) -> list[CheckKind]:
    return [describe_check(name, registry) for name in registry.names("checks")]


def describe_check(name: str, registry: Registry) -> CheckKind:
    """Raises SwarmrigError with the checks there are."""
    name = name.replace("-", "_") if name not in registry.names("checks") else name
    if name not in registry.names("checks"):
        raise SwarmrigError(f"no check is called {name!r}", hint=suggest_or_list(name, registry.names("checks")))
    check = registry.check(name)
    summary, _, details = inspect.cleandoc(check.__doc__ or "").partition("\n")
    return CheckKind(
        name=name,
        summary=summary,
        details=details.strip(),
        parameters=tuple(parameters_of(check.params_model)),
        bare=bare_field(check.params_model),
        severity=check.severity.value,
        example=getattr(check, "example", ""),
    )


def check_lines(kinds: Sequence[CheckKind]) -> Iterator[str]:
    """A line per check."""
    width = max((len(kind.name) for kind in kinds), default=0)
    for kind in kinds:
        yield f"{kind.name:<{width}}  {kind.summary}"


def check_explanation(kind: CheckKind) -> Iterator[str]:
    """Everything about one check."""
    yield f"{kind.name}: {kind.summary}"
    if kind.details:
        yield from ("", kind.details)
    yield ""
    texts = list(parameter_texts(kind.parameters))
    yield "parameters" if texts else "no parameters"
    width = max((len(name) for name, _ in texts), default=0)
    for name, text in texts:
        yield f"  {name:<{width}}  {text}"
    yield ""
    if kind.bare:
        yield f"a plain value is its `{kind.bare}`"
    yield f"a failure counts as {kind.severity}"
    if kind.example:
        yield f"example    - {kind.example}"


def checks_page(kinds: Sequence[CheckKind]) -> str:
    """docs/reference/checks.md."""
    lines = [
        "# Checks",
        "",
        "Made by `swarmrig checks list --markdown`; `swarmrig checks explain NAME` prints one. What was not seen is",
        "never a pass: then a check is `INCONCLUSIVE`, which counts as much as its failure.",
        "[Judge resilience](../howto/judge-resilience.md) tells how to judge what faults do to a swarm.",
    ]
    for kind in kinds:
        lines += ["", f"## {kind.name}", "", kind.summary, *(["", kind.details] if kind.details else []), ""]
        if kind.parameters:
            lines += [*parameter_table(parameter_texts(kind.parameters)), ""]
        plain = f" A plain value is its `{kind.bare}`." if kind.bare else ""
        lines += [f"A failure counts as {kind.severity}.{plain}"]
        if kind.example:
            lines += ["", "```yaml", "checks:", f"  - {kind.example}", "```"]
    return "\n".join(lines) + "\n"
