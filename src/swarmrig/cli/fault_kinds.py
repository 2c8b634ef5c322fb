"""Kinds of faults as text, made of what their classes say of themselves."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from swarmrig.errors import HostError, SwarmrigError
from swarmrig.plugins import Registry
from swarmrig.runtime.repeat import REPEAT_FILE
from swarmrig.scenario.problems import suggest_or_list

_FOR = "how long the fault lasts; without it for good, or until a fault `heal` ends it"


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    required: bool
    default: Any
    description: str


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
        parameters=tuple(_parameters(fault.params_model)),
        needs=tuple(sorted(fault.needs)),
        heals=getattr(fault, "heals", True),
        evidence=getattr(fault, "evidence", ""),
        example=getattr(fault, "example", ""),
    )


def _parameters(model: type[BaseModel]) -> Iterator[Parameter]:
    defaults = {
        name: field.get_default(call_default_factory=True, validated_data={})
        for name, field in model.model_fields.items()
    }
    known = {name: value for name, value in defaults.items() if value is not PydanticUndefined}
    shown = model.model_construct(**known).model_dump(mode="json", warnings=False)
    for name, field in model.model_fields.items():
        described = field.description or _attribute_docs(model).get(name, "")
        yield Parameter(name, field.is_required(), shown.get(name), described)


@cache
def _attribute_docs(model: type[BaseModel]) -> dict[str, str]:
    """What the texts behind the fields of a class say; "" of a class whose source is not there."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__[: model.__mro__.index(BaseModel)]):
        try:
            [definition] = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        except (OSError, SyntaxError, ValueError):
            continue
        body = definition.body if isinstance(definition, ast.ClassDef) else []
        for field, text in pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
                value = text.value.value if isinstance(text.value, ast.Constant) else ""
                found[field.target.id] = " ".join(str(value).split())
    return found


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
    for parameter in kind.parameters:
        described = parameter.description.rstrip(".")
        if parameter.required:
            yield parameter.name, f"{described} (required)".strip()
        elif parameter.default in (None, [], {}, ""):
            yield parameter.name, f"{described} (optional)".strip()
        else:
            yield parameter.name, f"{described} (default {parameter.default})".strip()
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
        lines += ["| parameter | meaning |", "|---|---|"]
        lines += [f"| `{name}` | {text.replace('|', chr(92) + '|')} |" for name, text in _parameter_texts(kind)]
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
