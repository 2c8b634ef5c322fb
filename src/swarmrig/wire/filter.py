"""A small filter language over the fields of a frame: `udp.dport == 5005 and csi.node in {1, 2}`.

    filter     = conjunction { "or" conjunction }
    conjunction= negation { "and" negation }
    negation   = "not" negation | "(" filter ")" | predicate
    predicate  = field [ ("==" | "!=" | "<" | "<=" | ">" | ">=") value | ["not"] "in" set ]
    set        = "{" value { "," value } "}" | network
    value      = number [ ".." number ] (ranges in sets only) | address | MAC | "text" | true | false

A predicate about a field that the frame lacks is false, `!=` and `not in` included; `not (…)` turns that round.
A field alone is true when the frame has it, except a truth field (`vitals.fall`), which stands for its value. A
layer's name alone (`csi`) is true when the frame has that layer. Nothing is evaluated by Python: the text is
parsed here, and a FilterError points at the first thing that is wrong.
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from swarmrig.wire.decode import FIELDS, LAYERS, Decoded, decode
from swarmrig.wire.ethernet import mac_to_bytes
from swarmrig.wire.ipv4 import ip_to_bytes, ip_to_int

MAX_LENGTH = 4096
MAX_DEPTH = 64

Test = Callable[[Decoded], bool]

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TOKEN = re.compile(
    r"""\s*(?:
      (?P<mac>[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5})(?![\w:])
    | (?P<network>[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+/[0-9]+)(?!\w)
    | (?P<address>[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+)(?![\w/])
    | (?P<number>-?(?:0[xX][0-9A-Fa-f]+|[0-9]+(?:\.(?!\.)[0-9]+)?))(?![\w:/])
    | (?P<text>"[^"]*"|'[^']*')
    | (?P<name>[^\W\d][\w.]*)
    | (?P<sign>==|!=|<=|>=|<|>|\(|\)|\{|\}|,|\.\.)
    | (?P<other>[^\s(){}<>=!,]+)
    )""",
    re.VERBOSE,
)


class FilterError(ValueError):
    """The filter text is wrong; `position` is 0-based."""

    def __init__(self, text: str, position: int, message: str) -> None:
        self.text = text
        self.position = position
        super().__init__(f"{message} at column {position + 1} of filter {text!r}")


@dataclass(frozen=True, slots=True)
class Filter:
    """A compiled filter."""

    text: str
    test: Test

    def matches(self, frame: bytes | Decoded) -> bool:
        return self.test(frame if isinstance(frame, Decoded) else decode(frame))


def compile_filter(text: str) -> Filter:
    """The filter of a text; FilterError (a ValueError with column) when it is not one."""
    if len(text) > MAX_LENGTH:
        raise FilterError(text[:40] + "…", 0, f"the filter is longer than {MAX_LENGTH} characters")
    return Filter(text, _Parser(text).parse())


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int


class _Parser:
    """Recursive descent, one method a rule; the tokens are made first so that errors carry columns."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _tokens(text)
        self.index = 0
        self.depth = 0

    def parse(self) -> Test:
        test = self.disjunction()
        if self.token.kind != "end":
            raise self.error(f"unexpected {self.token.text!r}")
        return test

    @property
    def token(self) -> _Token:
        return self.tokens[self.index]

    def error(self, message: str, token: _Token | None = None) -> FilterError:
        return FilterError(self.text, (token or self.token).position, message)

    def take(self) -> _Token:
        token = self.token
        self.index += token.kind != "end"
        return token

    def accept(self, text: str) -> bool:
        found = self.token.kind in ("sign", "name") and self.token.text == text
        self.index += found
        return found

    def expect(self, text: str) -> None:
        if not self.accept(text):
            raise self.error(f"expected {text!r}, found {self.token.text or 'the end'!r}")

    def disjunction(self) -> Test:
        parts = [self.conjunction()]
        while self.accept("or"):
            parts.append(self.conjunction())
        return parts[0] if len(parts) == 1 else lambda decoded: any(part(decoded) for part in parts)

    def conjunction(self) -> Test:
        parts = [self.negation()]
        while self.accept("and"):
            parts.append(self.negation())
        return parts[0] if len(parts) == 1 else lambda decoded: all(part(decoded) for part in parts)

    def negation(self) -> Test:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(f"nested deeper than {MAX_DEPTH}")
        test = self._negation()
        self.depth -= 1
        return test

    def _negation(self) -> Test:
        if self.accept("not"):
            inner = self.negation()
            return lambda decoded: not inner(decoded)
        if self.accept("("):
            inner = self.disjunction()
            self.expect(")")
            return inner
        return self.predicate()

    def predicate(self) -> Test:
        token = self.take()
        if token.kind != "name" or token.text in ("and", "or", "in", "true", "false"):
            raise self.error(f"expected a field, found {token.text or 'the end'!r}", token)
        if token.text in LAYERS:
            return _has_layer(token.text)
        if token.text not in FIELDS:
            raise self.error(f"unknown field {token.text!r}{_suggestion(token.text)}", token)
        return self.condition(token.text)

    def condition(self, name: str) -> Test:
        sign = self.token
        if sign.kind == "sign" and sign.text in _OPERATORS:
            self.take()
            return self.comparison(name, sign)
        if self.accept("in"):
            return self.membership(name, wanted=True)
        if self.token.text == "not" and self.tokens[self.index + 1].text == "in":
            self.index += 2
            return self.membership(name, wanted=False)
        read = FIELDS[name].read
        if FIELDS[name].type == "truth":
            return lambda decoded: bool(read(decoded))
        return lambda decoded: read(decoded) is not None

    def comparison(self, name: str, sign: _Token) -> Test:
        kind, read, compare = FIELDS[name].type, FIELDS[name].read, _OPERATORS[sign.text]
        if kind != "number" and sign.text not in ("==", "!="):
            raise self.error(f"{name} is no number: only == and != compare it", sign)
        expected = self.value(name)

        def test(decoded: Decoded) -> bool:
            value = read(decoded)
            return value is not None and compare(value, expected)

        return test

    def membership(self, name: str, *, wanted: bool) -> Test:
        contains = self.network(name) if self.token.kind == "network" else self.members(name)
        read = FIELDS[name].read

        def test(decoded: Decoded) -> bool:
            value = read(decoded)
            return value is not None and contains(value) is wanted

        return test

    def network(self, name: str) -> Callable[[Any], bool]:
        token = self.take()
        if FIELDS[name].type != "address":
            raise self.error(f"{name} is no IPv4 address", token)
        address, _, prefix = token.text.partition("/")
        try:
            base = ip_to_int(address)
        except ValueError as error:
            raise self.error(str(error), token) from error
        if int(prefix) > 32:
            raise self.error("a network prefix is 0..32", token)
        shift = 32 - int(prefix)
        return lambda value: ip_to_int(value) >> shift == base >> shift

    def members(self, name: str) -> Callable[[Any], bool]:
        self.expect("{")
        values: set[Any] = set()
        ranges: list[tuple[Any, Any]] = []
        while True:
            start = self.value(name)
            if FIELDS[name].type == "number" and self.accept(".."):
                ranges.append((start, self.value(name)))
            else:
                values.add(start)
            if not self.accept(","):
                break
        self.expect("}")
        return lambda value: value in values or any(low <= value <= high for low, high in ranges)

    def value(self, name: str) -> Any:
        token = self.take()
        kind = FIELDS[name].type
        try:
            value = _READERS[kind](token)
        except ValueError:
            value = None
        if value is None:
            raise self.error(f"{name} compares with {_EXPECTED[kind]}, not {token.text or 'the end'!r}", token)
        return value


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    position = 0
    end = len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if not match or match.lastgroup is None:
            start = position + len(text[position:]) - len(text[position:].lstrip())
            raise FilterError(text, start, f"unexpected character {text[start]!r}")
        tokens.append(_Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
        position = match.end()
    # Two ends: looking one token ahead never runs off the list.
    return [*tokens, _Token("end", "", end), _Token("end", "", end)]


def _read_number(token: _Token) -> int | float | None:
    if token.kind != "number":
        return None
    if "x" in token.text.lower():
        return int(token.text, 16)
    return float(token.text) if "." in token.text else int(token.text)


def _read_text(token: _Token) -> str | None:
    return token.text[1:-1] if token.kind == "text" else None


def _read_address(token: _Token) -> str | None:
    if token.kind != "address":
        return None
    ip_to_bytes(token.text)
    return token.text


def _read_mac(token: _Token) -> str | None:
    return mac_to_bytes(token.text).hex(":") if token.kind == "mac" else None


def _read_truth(token: _Token) -> bool | None:
    return {"true": True, "false": False}.get(token.text)


_READERS: dict[str, Callable[[_Token], Any]] = {
    "number": _read_number,
    "text": _read_text,
    "address": _read_address,
    "mac": _read_mac,
    "truth": _read_truth,
}
_EXPECTED = {
    "number": "a number",
    "text": 'a "text"',
    "address": "an IPv4 address such as 10.0.0.1",
    "mac": "a MAC address such as 52:54:00:12:34:56",
    "truth": "true or false",
}


def _has_layer(layer: str) -> Test:
    return lambda decoded: getattr(decoded, layer) is not None


def _suggestion(name: str) -> str:
    close = difflib.get_close_matches(name, [*FIELDS, *LAYERS], n=1)
    return f", did you mean {close[0]!r}?" if close else ""
