"""The JSON Schema (draft 2020-12) of the native format: its models, and what the installed plugins bring.

A schema cannot say all that the loader checks (references, numbers used twice), but all it refuses is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, PlainValidator, TypeAdapter, WithJsonSchema, WrapValidator
from pydantic.errors import PydanticInvalidForJsonSchema

from swarmrig.plugins import Registry
from swarmrig.scenario.choices import KEY
from swarmrig.scenario.expectations import NUMBERED_PATTERN
from swarmrig.scenario.native import MAX_NODES, NodeEntry, ScenarioFile
from swarmrig.scenario.plugin_params import bare_field
from swarmrig.scenario.quantities import NODE_ID_PATTERN, DurationNs
from swarmrig.scenario.quantity_schema import with_written_defaults

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Json = dict[str, Any]
_ANNOTATIONS = frozenset({"description", "title", "default", "examples"})


def scenario_schema(registry: Registry) -> Json:
    """The schema for files of the native format with the nodes, faults and checks of this registry."""
    schema = ScenarioFile.model_json_schema()
    defs: Json = schema.setdefault("$defs", {})
    _extend_nodes(schema, defs, registry)
    _extend_faults(defs, registry)
    schema["properties"]["checks"]["items"] = _check_items(defs, registry)
    return with_written_defaults({"$schema": DIALECT, **schema, "title": "swarmrig scenario"})


def _plugin(model: type[BaseModel], prefix: str, defs: Json) -> Json:
    """The schema of a plugin's model, its own definitions moved to ours; anything goes if it has none."""
    try:
        found: Json = model.model_json_schema(ref_template=f"#/$defs/{prefix}.{{model}}")
    except PydanticInvalidForJsonSchema:
        return {"type": "object", "properties": {}}
    for name, definition in found.pop("$defs", {}).items():
        defs[f"{prefix}.{name}"] = definition
    found.pop("title", None)
    properties = found.setdefault("properties", {})
    for name in _converting_fields(model) & set(properties):
        properties[name] = {key: item for key, item in properties[name].items() if key in _ANNOTATIONS}
    return found


def _converting_fields(model: type[BaseModel]) -> set[str]:
    """Fields that take more than their type says (`16MiB` for a number of bytes), and do not say what."""
    decorated = model.__pydantic_decorators__.field_validators.values()
    found = {name for item in decorated if item.info.mode != "after" for name in item.info.fields}
    fields = model.model_fields.items()
    return found | {name for name, field in fields if _converts(field.annotation, field.metadata)}


def _converts(annotation: Any, metadata: Sequence[Any] = ()) -> bool:
    if any(isinstance(item, WithJsonSchema) for item in metadata):
        return False
    if any(isinstance(item, BeforeValidator | WrapValidator | PlainValidator) for item in metadata):
        return True
    if get_origin(annotation) is Annotated:
        inner, *rest = get_args(annotation)
        return _converts(inner, rest)
    return any(_converts(arg) for arg in get_args(annotation))


def _extend_nodes(schema: Json, defs: Json, registry: Registry) -> None:
    node = defs["NodeEntry"]
    kinds = registry.names("nodes")
    node["properties"]["kind"] = {**node["properties"]["kind"], "enum": list(kinds)}
    for kind in kinds:
        model = registry.node(kind).options_model
        for name, option in _plugin(model, f"node.{kind}", defs)["properties"].items():
            _add_option(node["properties"], name, option)
        if model.model_config.get("extra") == "allow":
            node["additionalProperties"] = True
    defaults = {**node, "properties": {key: item for key, item in node["properties"].items() if key != "number"}}
    defs["Defaults"] = {**defaults, "description": "Settings of every node that does not say otherwise."}
    schema["properties"]["defaults"] = {"anyOf": [{"$ref": "#/$defs/Defaults"}, {"type": "null"}]}
    nodes = schema["properties"]["nodes"]
    nodes["additionalProperties"] = {"anyOf": [{"$ref": "#/$defs/NodeEntry"}, {"type": "null"}]}
    nodes |= {"minProperties": 1, "maxProperties": MAX_NODES, "propertyNames": {"pattern": NODE_ID_PATTERN}}


def _add_option(properties: Json, name: str, option: Json) -> None:
    """Two backends may use one name for different things; the schema then takes both."""
    if name in NodeEntry.model_fields:
        return
    other = properties.get(name)
    if other is None or other == option:
        properties[name] = option
    else:
        properties[name] = {"anyOf": [*(other.get("anyOf") or [other]), option]}


def _extend_faults(defs: Json, registry: Registry) -> None:
    """An item has one kind of fault, or a group of them; parameters may be drawn."""
    item = defs["FaultEntry"]
    kinds = {kind: _fault_kind(kind, registry.fault(kind), defs) for kind in registry.names("faults")}
    shared = {key: item["properties"][key] for key in ("id", "required")}
    one = [{"required": [kind]} for kind in kinds]
    member = {"type": "object", "properties": {**shared, **kinds}, "additionalProperties": False, "oneOf": one}
    defs["FaultOfGroup"] = {**member, "description": "One of several faults that have a time in common."}
    group: Json = {"type": "array", "items": {"$ref": "#/$defs/FaultOfGroup"}, "minItems": 1}
    item["properties"] |= {
        **kinds,
        "together": {**group, "description": "Several faults at the same time."},
        KEY: {**_choice(group), "description": "One of these faults, or `count` of them, drawn from the seed."},
    }
    item["oneOf"] = [*one, {"required": ["together"]}, {"required": [KEY]}]
    item["anyOf"] = [{"required": [key]} for key in ("at", "every", "when")]


def _fault_kind(kind: str, fault: Any, defs: Json) -> Json:
    params = _plugin(fault.params_model, f"fault.{kind}", defs)
    properties = {name: _or_drawn(schema) for name, schema in params["properties"].items()}
    if getattr(fault, "heals", True):
        properties["for"] = _or_drawn(_duration("How long; without it, for good."))
    params["properties"] = properties
    params["description"] = _summary(fault)
    return _with_bare(params, fault.params_model)


def _or_drawn(schema: Json) -> Json:
    """The value, or a choice."""
    drawn = {"type": "object", "properties": {KEY: _choice({"type": "array", "minItems": 1})}, "required": [KEY]}
    about = {key: schema[key] for key in _ANNOTATIONS & schema.keys()}
    return {**about, "anyOf": [schema, {**drawn, "additionalProperties": False}]}


def _choice(options: Json) -> Json:
    count = {"type": "integer", "minimum": 1}
    some = {"type": "object", "properties": {"of": options, "count": count}, "required": ["of"]}
    return {"anyOf": [options, {**some, "additionalProperties": False}]}


def _duration(description: str) -> Json:
    return {**TypeAdapter(DurationNs).json_schema(), "description": description}


def _check_items(defs: Json, registry: Registry) -> Json:
    """A check: its name alone when nothing is required, or `name: parameters`."""
    plain, mapped, patterns = [], {}, {}
    for name in registry.names("checks"):
        found = registry.check(name)
        params = _plugin(found.params_model, f"check.{name}", defs)
        params["description"] = _summary(found)
        if not params.get("required"):
            plain.append(name)
        mapped[name] = _with_bare(params, found.params_model, nothing=not params.get("required"))
        pattern = NUMBERED_PATTERN.get(name)
        if pattern:
            patterns[pattern] = {**params, "required": []}
    return {
        "anyOf": [
            {"enum": plain},
            *({"type": "string", "pattern": pattern} for pattern in patterns),
            {
                "type": "object",
                "properties": mapped,
                "patternProperties": {
                    pattern: {"anyOf": [params, {"type": "null"}]} for pattern, params in patterns.items()
                },
                "additionalProperties": False,
                "minProperties": 1,
                "maxProperties": 1,
            },
        ]
    }


def _with_bare(params: Json, model: type[BaseModel], *, nothing: bool = False) -> Json:
    forms = [params]
    bare = bare_field(model)
    if bare is not None:
        forms.append(params["properties"].get(bare, {}))
    if nothing:
        forms.append({"type": "null"})
    return forms[0] if len(forms) == 1 else {"anyOf": forms, "description": params["description"]}


def _summary(plugin: Any) -> str:
    return str(plugin.__doc__ or "").strip().split("\n")[0]
