"""Kinds of faults as text, made of what their classes say of themselves."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from swarmrig.cli.parameters import Parameter, parameter_table, parameter_texts, parameters_of
from swarmrig.errors import HostError, SwarmrigError
from swarmrig.plugins import Registry
from swarmrig.runtime.repeat import REPEAT_FILE
from swarmrig.scenario.problems import suggest_or_list

_FOR = "how long the fault lasts; without it for good, or until a fault `heal` ends it"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault."""

    name: str
    summary: str
    details: str
    """The rest of what its class says, in paragraphs."""
    parameters: tuple[Parameter, ...]
    needs: tuple[str, ...]
    heals: bool
    evidence: str
    example: str


def describe_kinds(registry: Registry) -> list[Kind]:
    return [describe_kind(name, registry) for name in registry.names("faults")]


def describe_kind(name: str, registry: Registry) -> Kind:
    """Raises SwarmrigError with the kinds there are."""
    name = name.replace("-", "_") if name not in registry.names("faults") else name
    if name not in registry.names("faults"):
        raise SwarmrigError(f"no fault is called {name!r}", hint=suggest_or_list(name, registry.names("faults")))
    fault = registry.fault(name)
    summary, _, details = inspect.cleandoc(fault.__doc__ or "").partition("\n")
    return Kind(
        name=name,
        summary=summary,
        details=details.strip(),
        parameters=tuple(parameters_of(fault.params_model)),
        needs=tuple(sorted(fault.needs)),
        heals=getattr(fault, "heals", True),
        evidence=getattr(fault, "evidence", ""),
        example=getattr(fault, "example", ""),
    )


def kind_lines(kinds: Sequence[Kind]) -> Iterator[str]:
    """A line per kind."""
    width = max((len(kind.name) for kind in kinds), default=0)
    for kind in kinds:
        yield f"{kind.name:<{width}}  {kind.summary}"


def explanation_lines(kind: Kind) -> Iterator[str]:
    """Everything about one kind."""
    yield f"{kind.name}: {kind.summary}"
    if kind.details:
        yield ""
        yield kind.details
    yield ""
    yield "parameters"
    width = max((len(name) for name, _ in _parameter_texts(kind)), default=0)
    for name, text in _parameter_texts(kind):
        yield f"  {name:<{width}}  {text}"
    yield ""
    yield f"needs      {', '.join(kind.needs) or 'no capability of its nodes'}"
    yield f"evidence   {kind.evidence or 'see its documentation'}"
    if kind.example:
        yield f"example    {kind.example}"


def _parameter_texts(kind: Kind) -> Iterator[tuple[str, str]]:
    """Name and meaning, `for` included."""
    yield from parameter_texts(kind.parameters)
    if kind.heals and "for" not in {parameter.name for parameter in kind.parameters}:
        yield "for", f"{_FOR} (optional)"


def reference_page(kinds: Sequence[Kind]) -> str:
    """docs/reference/faults.md."""
    lines = [
        "# Kinds of faults",
        "",
        "Made by `swarmrig faults list --markdown`; `swarmrig faults explain KIND` prints one. How they are scheduled",
        "and proved: [Inject faults](../howto/inject-faults.md).",
    ]
    for kind in kinds:
        lines += ["", f"## {kind.name}", "", kind.summary, *(["", kind.details] if kind.details else []), ""]
        lines += parameter_table(_parameter_texts(kind))
        lines += ["", f"Needs: {', '.join(f'`{need}`' for need in kind.needs) or 'no capability of its nodes'}."]
        lines += ["", f"Evidence: {kind.evidence}"]
        lines += ["", "```yaml", "faults:", *(f"  - {item}" for item in _items(kind.example)), "```"]
    return "\n".join(lines) + "\n"


def _items(example: str) -> list[str]:
    """One line per item of the example."""
    return example.replace("}, {", "}\n{").split("\n") if example else []


def exported(run: Path) -> str:
    """The text of the scenario that repeats a run. HostError when the run left none."""
    try:
        if (run / REPEAT_FILE).exists():
            return (run / REPEAT_FILE).read_text(encoding="utf-8")
        if (run / "results.json").exists():  # a run without faults is repeated by what it was
            return (run / "scenario.yml").read_text(encoding="utf-8")
    except OSError as error:
        raise HostError(f"cannot read {run}: {error.strerror}") from error
    raise HostError(
        f"{run} is not the directory of a finished run", hint=f"it has neither {REPEAT_FILE} nor results.json"
    )
