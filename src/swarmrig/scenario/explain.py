"""Check a part of the tree against a pydantic model and say what is wrong in words of the file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from swarmrig.scenario.native import SYNONYMS
from swarmrig.scenario.problems import Mark, Problems, listing, shorten, suggest
from swarmrig.scenario.tree import Items, Table, Tree, describe, plain

Model = TypeVar("Model", bound=BaseModel)
_QUOTED = re.compile(r"'([^']*)'")


_LENGTHS = {
    "too_short": ("at least", "min_length", "item"),
    "too_long": ("at most", "max_length", "item"),
    "string_too_short": ("at least", "min_length", "character"),
    "string_too_long": ("at most", "max_length", "character"),
}
"""Kind of error to bound, where its number stands, and what is counted."""


def checked(
    model: type[Model],
    tree: Tree,
    problems: Problems,
    *,
    also_known: Iterable[str] = (),
    name: str = "",
    directory: Path | None = None,
) -> Model | None:
    """The model's instance; what is wrong is reported and left out, so that later checks can still run.

    None when not even the rest makes an instance. `also_known` are further keys to suggest; `name` is
    what messages about the whole call it. `directory`: what paths are relative to, for validators that look there.
    """
    value, place = plain(tree), {"directory": directory}
    found = _validate(model, value, (tree, name), problems, tuple(also_known), place)
    if not isinstance(found, set):
        return found
    if isinstance(value, dict) and found:
        rest = {key: item for key, item in value.items() if key not in found}
        again = _validate(model, rest, None, problems, (), place)
        return None if isinstance(again, set) else again
    return None


def _validate(
    model: type[Model],
    value: Any,
    what: tuple[Tree, str] | None,
    problems: Problems,
    also_known: tuple[str, ...],
    context: dict[str, Any],
) -> Model | set[str]:
    """The instance, or the top-level keys that are wrong (reported when tree and name are given)."""
    try:
        return model.model_validate(value, context=context)
    except ValidationError as error:
        found = error.errors(include_url=False)
        for detail in found:
            if what is not None:
                _report(model, detail, *what, problems, also_known)
        return {str(detail["loc"][0]) for detail in found if detail["loc"]}


def _report(
    model: type[BaseModel], detail: Any, tree: Tree, name: str, problems: Problems, also_known: tuple[str, ...]
) -> None:
    loc, kind = detail["loc"], detail["type"]
    place, value, label = _find(tree, loc, at_key=kind == "extra_forbidden")
    if kind == "extra_forbidden":
        known = [*_known_keys(model, loc[:-1]), *(also_known if len(loc) == 1 else ())]
        problems.add(place, f"unknown key {shorten(label)}", lambda: hint_for_key(label, known))
    elif kind == "missing" and isinstance(loc[-1], int):
        problems.add(place, f"{label}: expected at least {loc[-1] + 1} items, seen {describe(value)}")
    elif kind == "missing":
        problems.add(place, f"missing key {str(loc[-1])!r}")
    else:
        problems.add(place, *_wording(detail, value if loc or not isinstance(value, Table) else None, label or name))


def _wording(detail: Any, value: Tree | None, label: str) -> tuple[str, str | None]:
    prefix = f"{label}: " if label else ""
    seen = f", seen {describe(value)}" if value is not None else ""
    context = detail.get("ctx", {})
    message = str(detail["msg"])
    if detail["type"] in ("value_error", "assertion_error"):
        message = str(context.get("error", message)) or message
        prefix = "" if label and message.startswith(label) else prefix
        return prefix + message + ("" if "got" in message else seen), None
    if detail["type"] in ("enum", "literal_error"):
        words = _QUOTED.findall(str(context.get("expected", ""))) or [str(context.get("expected", ""))]
        hint = suggest(str(plain(value)), words) if value is not None else None
        return f"{prefix}expected {_one_of(words)}{seen}", hint
    if detail["type"] in _LENGTHS:
        bound, key, thing = _LENGTHS[detail["type"]]
        message = f"expected {bound} {context[key]} {thing}" + ("" if context[key] == 1 else "s")
    elif message.startswith("Input should be "):
        message = "expected " + _plain_words(message.removeprefix("Input should be "))
    return f"{prefix}{message}{seen}", _quote_hint(detail["type"], value)


def _quote_hint(kind: str, value: Tree | None) -> str | None:
    if kind == "string_type" and value is not None and not isinstance(value, Table | Items) and value.value is not None:
        return "put it in quotes to make it a text"
    return None


def _plain_words(text: str) -> str:
    words = {
        "a valid string": "a text",
        "a valid integer": "a whole number",
        "a valid number": "a number",
        "a valid boolean": "true or false",
        "a valid dictionary": "a mapping",
        "a valid tuple": "a list",
        "a valid list": "a list",
        "greater than or equal to": "at least",
        "less than or equal to": "at most",
        "greater than": "more than",
    }
    text = re.sub(r"a valid dictionary or instance of \w+", "a mapping", text)
    text = re.sub(r", (unable to parse|got a number with).*", "", text)
    for theirs, ours in words.items():
        text = text.replace(theirs, ours)
    return text


def _one_of(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"one of {', '.join(words)}"


def hint_for_key(word: str, known: Iterable[str]) -> str | None:
    """What the author of an unknown key probably meant; all known keys when that is unclear."""
    known = list(known)
    if SYNONYMS.get(word) in known:
        return f"did you mean {SYNONYMS[word]!r}?"
    return suggest(word, known) or (f"known keys: {listing(known)}" if known else None)


def _find(tree: Tree, loc: tuple[Any, ...], *, at_key: bool) -> tuple[Mark, Tree | None, str]:
    """Follow an error's location as far as the tree goes: place, value there, key as written."""
    place, label = tree.mark, ""
    current: Tree | None = tree
    for step in loc:
        if isinstance(current, Table) and isinstance(step, str) and step in current.entries:
            entry = current.entries[step]
            place = entry.mark if at_key else entry.value.mark
            current, label = entry.value, entry.label
        elif isinstance(current, Items) and isinstance(step, int) and step < len(current.items):
            current = current.items[step]
            place = current.mark
    return place, current, label


def _known_keys(model: type[BaseModel], loc: tuple[Any, ...]) -> list[str]:
    annotation: Any = model
    for step in loc:
        annotation = _below(annotation, step)
    found = model_in(annotation)
    return list(_fields(found)) if found else []


def _below(annotation: Any, step: Any) -> Any:
    """The type of what stands at this key or position of such a value; None when that is not known."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _fields(annotation).get(str(step))
    inner = get_args(annotation)
    if get_origin(annotation) is dict:
        return inner[1]
    if get_origin(annotation) in (tuple, list) and isinstance(step, int):
        return inner[0]
    return next(filter(None, (_below(each, step) for each in inner)), None)


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    """The types of a model's fields by the keys that files have for them."""
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def model_in(annotation: Any) -> type[BaseModel] | None:
    """The model in a field's type, None if there is none."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(model_in, get_args(annotation))), None)
