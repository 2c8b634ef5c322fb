"""YAML 1.2 text to a located tree, with limits that keep hostile files cheap.

The parser is ruamel.yaml's pure one, used as a stream of events: nothing is constructed before it was counted,
and no object is ever made from a tag. Scalars get their types by the core schema
(https://yaml.org/spec/1.2.2/#103-core-schema); the merge key `<<` of YAML 1.1 is understood, because files share
settings with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from swarmrig.errors import ScenarioError
from swarmrig.scenario.problems import Mark, Problems, shorten
from swarmrig.scenario.tree import Entry, Items, Scalar, Table, Tree

_NULL = re.compile(r"(?:null|Null|NULL|~|)\Z")
_BOOL = re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z")
_INT = re.compile(r"[-+]?[0-9]+\Z")
_OCT = re.compile(r"0o[0-7]+\Z")
_HEX = re.compile(r"0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_SPECIAL = {".inf": float("inf"), "+.inf": float("inf"), "-.inf": float("-inf"), ".nan": float("nan")}
_LONGEST_NUMBER = 64
_TAG = "tag:yaml.org,2002:"
_SCALAR_TAGS = frozenset({"str", "int", "float", "bool", "null"})
_MERGE = "<<"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may ask of this program. `values` counts aliases as often as they are used."""

    size_bytes: int = 1 << 20
    depth: int = 32
    values: int = 150_000


LIMITS = Limits()


class _StopError(Exception):
    """Reading cannot go on; the reason is in the problems."""


def read_text(path: Path, name: str, limits: Limits = LIMITS) -> str:
    """The text of a file, at most `limits.size_bytes` of UTF-8. Raises ScenarioError."""
    here = Mark(name)
    try:
        with path.open("rb") as stream:
            data = stream.read(limits.size_bytes + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ScenarioError([here.problem(f"cannot be read: {reason}")]) from error
    if len(data) > limits.size_bytes:
        message = f"is larger than {limits.size_bytes >> 10} KiB, the limit for a scenario file"
        raise ScenarioError([here.problem(message)])
    return _decode(data, name)


def _decode(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = len(before) - (before.rfind(b"\n") + 1) + 1
        message = f"not UTF-8 text: byte 0x{data[error.start]:02x}"
        problem = Mark(name, line, column).problem(message, "save the file as UTF-8")
        raise ScenarioError([problem]) from error


def parse(text: str, name: str, problems: Problems, limits: Limits = LIMITS) -> Tree | None:
    """The one document of the text; None when it is unreadable (then `problems` says why) or empty.

    Duplicate keys and foreign tags are reported and read on; syntax errors and broken limits end the reading.
    """
    builder = _Builder(name, problems, limits)
    try:
        for event in _events(text, name, problems):
            builder.take(event)
    except _StopError:
        return None
    return builder.root


def parse_option(text: str, option: str, problems: Problems, limits: Limits = LIMITS) -> Tree | None:
    """A value given on the command line; all of it is placed at the option, which has no lines."""
    builder = _Builder(option, problems, limits, option=True)
    try:
        for event in _events(text, option, problems):
            builder.take(event)
    except _StopError:
        return None
    return builder.root or Scalar(None, Mark(option))


def _events(text: str, name: str, problems: Problems) -> Iterator[Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.reader import ReaderError

    try:
        yield from YAML(typ="safe", pure=True).parse(text)
    except ReaderError as error:
        problems.add(
            _at_offset(text, error.position, name), f"character {_code(error.character)} is not allowed in YAML"
        )
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Mark(name, mark.line + 1, mark.column + 1) if mark else Mark(name)
        problems.add(place, *_syntax(error.problem or "not valid YAML", error.context))
    except (YAMLError, ValueError, OverflowError) as error:
        # A few scalars make the scanner itself stumble (an escape beyond Unicode, a huge version number).
        problems.add(Mark(name), f"not valid YAML: {shorten(str(error), 100)}")
    else:
        return
    raise _StopError


def _syntax(problem: str, context: str | None) -> tuple[str, str | None]:
    if "'\\t'" in problem:
        return "a tab cannot indent or begin a value in YAML", "use spaces"
    if problem.startswith("mapping values are not allowed"):
        return "not valid YAML: a second ':' in one value", "quote the value, or check the indentation"
    return f"not valid YAML: {problem}" + (f" ({context})" if context else ""), None


def _at_offset(text: str, offset: int, name: str) -> Mark:
    before = text[:offset]
    return Mark(name, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)


def _code(character: Any) -> str:
    return f"U+{ord(character) if isinstance(character, str) else int(character):04X}"


@dataclass(slots=True)
class _Frame:
    """A collection whose end has not come yet. `size` counts values with aliases expanded, `height` levels."""

    mark: Mark
    anchor: str | None
    is_table: bool
    items: list[Tree] = field(default_factory=list)
    entries: dict[str, Entry] = field(default_factory=dict)
    merged: list[Table] = field(default_factory=list)
    key: tuple[str, Mark, bool] | None = None
    size: int = 1
    height: int = 1


class _Builder:
    """Turns events into a tree without recursion, so that depth is a limit and not a crash."""

    def __init__(self, name: str, problems: Problems, limits: Limits, *, option: bool = False) -> None:
        self.root: Tree | None = None
        self._name = name
        self._problems = problems
        self._limits = limits
        self._option = option
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[Tree, int, int]] = {}
        self._documents = 0
        self._values = 0

    def take(self, event: Any) -> None:
        kind = type(event).__name__
        handler = getattr(self, f"_on_{kind.removesuffix('Event').lower()}", None)
        if handler is not None:
            handler(event, self._mark(event))

    def _mark(self, event: Any) -> Mark:
        if self._option:
            return Mark(self._name)
        return Mark(self._name, event.start_mark.line + 1, event.start_mark.column + 1)

    def _stop(self, mark: Mark, message: str, hint: str | None = None) -> NoReturn:
        self._problems.add(mark, message, hint)
        raise _StopError

    def _on_documentstart(self, _event: Any, mark: Mark) -> None:
        self._documents += 1
        if self._documents > 1:
            self._stop(mark, "a second document begins here", "a scenario is one YAML document: one file each")

    def _on_scalar(self, event: Any, mark: Mark) -> None:
        event.value = self._characters(event.value, mark)
        value = self._typed(event, mark)
        if self._stack and self._stack[-1].is_table and self._stack[-1].key is None:
            self._count(mark, 1, 1)
            plain_style = event.style is None and event.ctag is None
            self._stack[-1].key = (event.value, mark, plain_style and event.value == _MERGE)
            if event.anchor:
                self._anchors[event.anchor] = (Scalar(value, mark, event.value), 1, 1)
            return
        self._add(Scalar(value, mark, event.value), mark, event.anchor, 1, 1)

    def _characters(self, text: str, mark: Mark) -> str:
        """Escapes in pairs of surrogates, as JSON writes them, become the characters that they stand for."""
        if not any("\ud800" <= character <= "\udfff" for character in text):
            return text
        try:
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self._stop(mark, "an escape that is no character (a lone surrogate)")

    def _typed(self, event: Any, mark: Mark) -> str | int | float | bool | None:
        tag = self._tag(event, mark, _SCALAR_TAGS)
        if tag is None:
            return core_schema(event.value) if event.style is None else str(event.value)
        if tag == "str":
            return str(event.value)
        value = core_schema(event.value)
        given = "null" if value is None else type(value).__name__
        if tag == "float" and given == "int":
            return float(str(value))
        if given != tag:
            self._problems.add(mark, f"the tag !!{tag} does not fit {shorten(event.value)}")
        return value

    def _tag(self, event: Any, mark: Mark, allowed: frozenset[str]) -> str | None:
        tag = str(event.ctag) if event.ctag is not None else ""
        if not tag or tag == "!":
            return "str" if tag and "str" in allowed else None
        short = tag.removeprefix(_TAG)
        if short in allowed:
            return short
        self._problems.add(
            mark,
            f"the tag {shorten(tag.replace(_TAG, '!!'))} is not allowed here",
            "scenario files hold plain values only",
        )
        return None

    def _on_alias(self, event: Any, mark: Mark) -> None:
        found = self._anchors.get(event.anchor)
        if found is None:
            inside = any(frame.anchor == event.anchor for frame in self._stack)
            what = "refers to the value it is part of" if inside else "has no anchor before it"
            self._stop(mark, f"the alias *{event.anchor[:60]} {what}")
        if self._stack and self._stack[-1].is_table and self._stack[-1].key is None:
            if not isinstance(found[0], Scalar):
                self._stop(mark, "a key must be a plain text")
            self._stack[-1].key = (found[0].text, mark, False)
            return
        tree, size, height = found
        self._add(tree, mark, None, size, height)

    def _on_mappingstart(self, event: Any, mark: Mark) -> None:
        self._open(event, mark, is_table=True)

    def _on_sequencestart(self, event: Any, mark: Mark) -> None:
        self._open(event, mark, is_table=False)

    def _open(self, event: Any, mark: Mark, *, is_table: bool) -> None:
        self._tag(event, mark, frozenset({"map" if is_table else "seq"}))
        if self._stack and self._stack[-1].is_table and self._stack[-1].key is None:
            self._stop(mark, "a key must be a plain text, not a list or a mapping")
        self._count(mark, 0, 1)
        self._stack.append(_Frame(mark, event.anchor, is_table))

    def _on_mappingend(self, _event: Any, _mark: Mark) -> None:
        frame = self._stack.pop()
        entries: dict[str, Entry] = {}
        for table in reversed(frame.merged):
            entries.update(table.entries)
        entries.update(frame.entries)
        self._add(Table(entries, frame.mark), frame.mark, frame.anchor, frame.size, frame.height, opened=True)

    def _on_sequenceend(self, _event: Any, _mark: Mark) -> None:
        frame = self._stack.pop()
        tree = Items(tuple(frame.items), frame.mark)
        self._add(tree, frame.mark, frame.anchor, frame.size, frame.height, opened=True)

    def _count(self, mark: Mark, size: int, height: int) -> None:
        """Refuse what would break a limit, before it is built. `size` values, `height` levels are to come."""
        self._values += size
        if self._values > self._limits.values:
            message = f"more than {self._limits.values} values (aliases counted each time they are used)"
            self._stop(mark, message, "a scenario file is small; anchors may not multiply it")
        if len(self._stack) + height > self._limits.depth:
            self._stop(mark, f"nested deeper than {self._limits.depth} levels")

    def _add(self, tree: Tree, mark: Mark, anchor: str | None, size: int, height: int, *, opened: bool = False) -> None:
        self._count(mark, 1 if opened else size, height)
        if anchor:
            self._anchors[anchor] = (tree, size, height)
        if not self._stack:
            self.root = tree
            return
        frame = self._stack[-1]
        frame.size += size
        frame.height = max(frame.height, height + 1)
        if not frame.is_table:
            frame.items.append(tree)
        elif frame.key is not None:
            self._set(frame, *frame.key, tree)
            frame.key = None

    def _set(self, frame: _Frame, key: str, mark: Mark, is_merge: bool, tree: Tree) -> None:
        if is_merge:
            self._merge(frame, mark, tree)
        elif key in frame.entries:
            first = frame.entries[key].mark
            self._problems.add(mark, f"the key {shorten(key)} stands here for the second time (first: {first})")
        else:
            frame.entries[key] = Entry(mark, tree, key)

    def _merge(self, frame: _Frame, mark: Mark, tree: Tree) -> None:
        sources = tree.items if isinstance(tree, Items) else (tree,)
        for source in sources:
            if isinstance(source, Table):
                frame.merged.append(source)
            else:
                self._problems.add(mark, "the merge key << takes a mapping or a list of mappings")


def core_schema(text: str) -> str | int | float | bool | None:
    """The value of a plain scalar; a number of more than 64 characters stays text."""
    if _NULL.match(text):
        return None
    if _BOOL.match(text):
        return text[0] in "tT"
    if len(text) > _LONGEST_NUMBER:
        return text
    if _INT.match(text):
        return int(text)
    if _OCT.match(text) or _HEX.match(text):
        return int(text, 0)
    if _FLOAT.match(text):
        return float(text)
    return _SPECIAL.get(text.lower(), text)
