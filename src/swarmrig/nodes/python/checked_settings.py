"""Settings of models, checked: with pydantic, in the rig's own process. What is wrong keeps its place in the file."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic_core import InitErrorDetails, PydanticCustomError

from swarmrig.nodes.python.settings import NodeId

NODE_ID = get_args(NodeId)[1]
_REFUSING = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


def settings_model(kind: Any) -> type[BaseModel]:
    """A pydantic model of a model's `Settings`, that refuses what it does not know. TypeError for what is neither a
    dataclass nor a pydantic model."""
    return _settings_model(kind)


@lru_cache(maxsize=256)
def _settings_model(kind: Any) -> type[BaseModel]:
    """Made once for each class: thousands of nodes may have the same."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind if kind.model_config.get("extra") else create_model(kind.__name__, __base__=(_Refusing, kind))
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        raise TypeError(f"Settings is a dataclass or a pydantic model, not {kind!r}")
    hints = get_type_hints(kind, include_extras=True)
    fields: dict[str, Any] = {each.name: (hints[each.name], _field(each)) for each in dataclasses.fields(kind)}
    return create_model(kind.__name__, __config__=_REFUSING, **fields)


def check_settings(kind: type[Any], values: Mapping[str, Any], directory: Path | None) -> dict[str, Any]:
    """The values as they were given, but for paths, which are relative to `directory`. ValidationError otherwise."""
    model = settings_model(kind)
    try:
        found = model.model_validate(values)
    except ValidationError as error:
        raise _in_words(error, model) from None
    paths = {name: value for name, value in found if isinstance(value, Path) and name in values}
    return dict(values) | {name: str((directory or Path()) / path) for name, path in paths.items()}


def final_settings(kind: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as a model in another process takes them (see make_settings), JSON: quantities are plain numbers."""
    found = settings_model(kind).model_validate(values)
    return found.model_dump(mode="json", exclude_unset=True)


def nodes_named(kind: type[Any], values: Mapping[str, Any]) -> dict[str, str]:
    """The nodes that settings name, by setting."""
    model = settings_model(kind)
    found = dict(model.model_validate(values))
    ids = [name for name, field in model.model_fields.items() if NODE_ID in field.metadata]
    return {name: found[name] for name in ids if found[name]}


class _Refusing(BaseModel):
    model_config = _REFUSING


def _field(each: dataclasses.Field[Any]) -> Any:
    if each.default is not dataclasses.MISSING:
        return each.default
    if each.default_factory is not dataclasses.MISSING:
        return Field(default_factory=each.default_factory)
    return ...


def _in_words(error: ValidationError, model: type[BaseModel]) -> ValidationError:
    """Name the settings that there are where one is unknown."""
    known = list(model.model_fields)
    details: list[InitErrorDetails] = []
    for one in error.errors(include_url=False):
        kind: str | PydanticCustomError = one["type"]
        if kind == "extra_forbidden" and len(one["loc"]) == 1:
            kind = PydanticCustomError("unknown_setting", "{reason}", {"reason": _unknown(str(one["loc"][0]), known)})
        elif kind in ("value_error", "assertion_error"):
            kind = PydanticCustomError(
                "setting", "{reason}", {"reason": str(one.get("ctx", {}).get("error", one["msg"]))}
            )
        details.append(InitErrorDetails(type=kind, loc=one["loc"], input=one["input"], ctx=one.get("ctx", {})))
    return ValidationError.from_exception_data(error.title, details)


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return "unknown setting: " + (f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known) or 'none'}")
