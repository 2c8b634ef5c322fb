"""Parameters of faults and checks as text, made of what their models say of themselves."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    required: bool
    default: Any
    description: str


def parameters_of(model: type[BaseModel]) -> Iterator[Parameter]:
    """The fields of a model, described by their `description` or by the text behind them."""
    defaults = {
        name: field.get_default(call_default_factory=True, validated_data={})
        for name, field in model.model_fields.items()
    }
    known = {name: value for name, value in defaults.items() if value is not PydanticUndefined}
    shown = model.model_construct(**known).model_dump(mode="json", warnings=False)
    for name, field in model.model_fields.items():
        described = " ".join((field.description or _attribute_docs(model).get(name, "")).split())
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


def parameter_texts(parameters: Iterable[Parameter]) -> Iterator[tuple[str, str]]:
    """Name and meaning, with whether it is needed and what holds without it."""
    for parameter in parameters:
        described = parameter.description.rstrip(".")
        if parameter.required:
            yield parameter.name, f"{described} (required)".strip()
        elif parameter.default in (None, [], {}, ""):
            yield parameter.name, f"{described} (optional)".strip()
        else:
            yield parameter.name, f"{described} (default {parameter.default})".strip()


def parameter_table(texts: Iterable[tuple[str, str]]) -> list[str]:
    """The lines of a Markdown table of them."""
    rows = [f"| `{name}` | {text.replace('|', chr(92) + '|')} |" for name, text in texts]
    return ["| parameter | meaning |", "|---|---|", *rows]
