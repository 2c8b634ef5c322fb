"""The keys of a file format as a page of text, made of its JSON Schema: every section, its keys, what they take."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from swarmrig.scenario.quantity_schema import quantity_of

Json = Mapping[str, Any]
_REF = "#/$defs/"
_PATTERNS = {r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$": "name", r"^[A-Za-z_][A-Za-z0-9_]{0,63}$": "identifier"}
_TYPES = {"string": "text", "boolean": "true or false", "number": "number", "null": "nothing", "object": "mapping"}


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping of the format: where it stands in a file, and its schema."""

    path: str
    schema: Json

    @property
    def anchor(self) -> str:
        """Of its heading, as Markdown makes it."""
        return re.sub(r"[^\w -]", "", self.path.lower()).replace(" ", "-")


class FormatPage:
    """The sections of a schema as text. `top` is the heading of the outermost mapping; `prefix` stands before the
    headings of those in it."""

    def __init__(self, schema: Json, top: str, prefix: str = "") -> None:
        self._defs: Json = schema.get("$defs", {})
        self._places: dict[str, Section] = {}
        self.sections = [Section(top, schema)]
        for section in self.sections:
            self._find(section, prefix if section.path == top else f"{section.path}.")

    def _find(self, section: Section, path: str) -> None:
        """Append the sections below this one; a definition that has several places is told at the first, that of a
        required key before all others."""
        keys = _keys(section.schema)
        for name in sorted(keys, key=lambda name: name not in _object(section.schema).get("required", ())):
            for identity, schema, place in self._mappings(keys[name], f"{path}{name}"):
                if identity not in self._places:
                    self._places[identity] = Section(place, schema)
                    self.sections.append(self._places[identity])

    def _mappings(self, schema: Json, path: str) -> Iterator[tuple[str, Json, str]]:
        """Mappings with keys that a value leads to, with where they stand: `links[]`, `nodes.NAME`."""
        if "$ref" in schema:
            found = self._defs[schema["$ref"].removeprefix(_REF)]
            if _keys(found):
                yield schema["$ref"], found, path
        elif schema.get("properties"):
            yield _identity(schema), schema, path
        for part in schema.get("anyOf", ()):
            yield from self._mappings(part, path)
        if isinstance(schema.get("items"), Mapping):
            yield from self._mappings(schema["items"], f"{path}[]")
        for part in _values(schema):
            yield from self._mappings(part, f"{path}.NAME")

    def lines(self) -> Iterator[str]:
        """Markdown: a heading and a table a section."""
        for section in sorted(self.sections, key=self._ancestry):
            yield from ("", f"## {section.path}", "")
            if section.schema.get("description"):
                yield from (_one_line(section.schema["description"]), "")
            yield from self._table(section)

    def _ancestry(self, section: Section) -> list[int]:
        """Its number behind those of the sections that it is in: whatever is in a section comes behind it."""
        numbered = enumerate(self.sections)
        return [n for n, other in numbered if re.match(rf"{re.escape(other.path)}($|[.\[])", section.path)]

    def _table(self, section: Section) -> Iterator[str]:
        required = _object(section.schema).get("required", ())
        yield from ("| key | takes | default | meaning |", "|---|---|---|---|")
        for name, schema in _keys(section.schema).items():
            cells = (f"`{name}`", self._takes(schema), _default(schema, name in required), self._meaning(schema))
            yield f"| {' | '.join(cell(text) for text in cells)} |"

    def _meaning(self, schema: Json) -> str:
        """What the key says of itself; else what it leads to says."""
        own = schema.get("description")
        if own is None and "$ref" in schema:
            own = self._defs[schema["$ref"].removeprefix(_REF)].get("description")
        return str(own or "")

    def _takes(self, schema: Json) -> str:
        quantity = quantity_of(schema)
        if quantity is not None:
            return quantity.name
        if "$ref" in schema:
            return self._named(schema["$ref"])
        if schema.get("properties"):
            return self._place(_identity(schema))
        if "enum" in schema or "const" in schema:
            return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
        if "anyOf" in schema and "type" not in schema:
            return " or ".join(dict.fromkeys(self._takes(part) for part in schema["anyOf"] if not _is_nothing(part)))
        return self._plain(schema)

    def _named(self, reference: str) -> str:
        found = self._defs[reference.removeprefix(_REF)]
        if reference not in self._places:
            return self._takes({key: value for key, value in found.items() if key != "description"})
        forms = [self._takes(form) for form in found.get("anyOf", ()) if not form.get("properties")]
        return " or ".join([*forms, self._place(reference)])

    def _place(self, identity: str) -> str:
        return f"[{self._places[identity].path}](#{self._places[identity].anchor})"

    def _plain(self, schema: Json) -> str:
        kind = schema.get("type")
        if isinstance(kind, list):
            return " or ".join(self._plain({**schema, "type": each}) for each in kind if each != "null")
        if kind in ("integer", "number"):
            return f"{kind}{_limits(schema)}"
        if kind == "array":
            items: Json = schema.get("items") or next(iter(schema.get("prefixItems", ())), {})
            return f"list of {self._takes(items)}" if items else "list"
        if kind == "object":
            inner = next(_values(schema), None)
            return "mapping" if inner is None else f"mapping of names to {self._takes(inner)}"
        if kind == "string":
            return _PATTERNS.get(str(schema.get("pattern")), "path" if schema.get("format") == "path" else "text")
        return _TYPES.get(str(kind), "any value")


def _object(schema: Json) -> Json:
    """The form with keys, where a mapping may also be written as a plain word."""
    forms = [part for part in schema.get("anyOf", ()) if part.get("properties")]
    return forms[0] if forms and "properties" not in schema else schema


def _keys(schema: Json) -> Json:
    found: Json = _object(schema).get("properties", {})
    return found


def _values(schema: Json) -> Iterator[Json]:
    """What the values of a mapping with names of the user are."""
    parts = (*schema.get("patternProperties", {}).values(), schema.get("additionalProperties"))
    return (part for part in parts if isinstance(part, Mapping))


def _identity(schema: Json) -> str:
    return json.dumps(schema, sort_keys=True)


def _is_nothing(schema: Json) -> bool:
    return schema.get("type") == "null"


def _limits(schema: Json) -> str:
    low, high = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")
    if low is not None and high is not None and high < 1 << 48:
        return f" {low} to {high}"
    return "" if low is None else f" from {low}"


def _default(schema: Json, required: bool) -> str:
    if required:
        return "**required**"
    default = schema.get("default")
    return "" if default in (None, [], {}, "") else f"`{default if isinstance(default, str) else json.dumps(default)}`"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def cell(text: str) -> str:
    """Text, fit for a cell of a table."""
    return _one_line(text).replace("|", "\\|")
