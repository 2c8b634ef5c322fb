"""What the telnet monitor of Renode sends, taken apart; no I/O.

The forms are those that versions 1.15.3 and 1.16.1 were recorded with: 12 bytes of telnet negotiation; every character
echoed, Enter as LF CR; then the answer; then the prompt, `(monitor) ` or `(name) `, without a line end. Ordinary
output ends its lines with CR CR LF or LF CR, an error with a bare CR LF: nothing that a command prints looks like one.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

NO_MACHINE = "monitor"
"""The name in the prompt while no machine is selected."""
NEGOTIATION = bytes.fromhex("fffb00 fffd01 fffd03")
"""WILL BINARY, DO ECHO, DO SUPPRESS-GO-AHEAD: the answer to the monitor's own negotiation. Version 1.15 throws away the
first nine bytes that it is sent, so these have to be the first."""
CLEAR_LINE = b"\x03"
"""Ctrl-C: what somebody else has begun to type is forgotten."""
_ERRORS = re.compile(
    r"There was an error executing command '|No such command or device: |Bad parameters for command |"
    r"Could not tokenize here:|Parameters did not match the signature|Wrong machine number|Machine .* not found\.|"
    r"Errors during compilation or loading:|No such variable: "
)
_IAC, _SB, _SE, _WILL, _DONT = 0xFF, 0xFA, 0xF0, 0xFB, 0xFE
_COLOURS = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]")
_UNFINISHED_COLOUR = re.compile(rb"\x1b(\[[0-?]*[ -/]*)?\Z")


class TelnetFilter:
    """Takes telnet commands (RFC 854, 855) and steering codes (ECMA-48 CSI) out of a stream, however it is cut."""

    def __init__(self) -> None:
        self._rest = b""
        self._codes = b""

    def feed(self, data: bytes) -> bytes:
        """The text in it; what may be the beginning of a command or code waits for its end."""
        text = self._codes + self._without_commands(self._rest + data)
        unfinished = _UNFINISHED_COLOUR.search(text)
        cut = unfinished.start() if unfinished else len(text)
        self._codes = text[cut:]
        return _COLOURS.sub(b"", text[:cut])

    def _without_commands(self, data: bytes) -> bytes:
        text, at = bytearray(), 0
        while (found := data.find(_IAC, at)) >= 0:
            text += data[at:found]
            end = _end_of_command(data, found)
            if end is None:
                self._rest = data[found:]
                return bytes(text)
            if data[found + 1] == _IAC:
                text.append(_IAC)
            at = end
        self._rest = b""
        return bytes(text + data[at:])


def _end_of_command(data: bytes, start: int) -> int | None:
    """Where the telnet command that begins at `start` ends; None when more has to come."""
    if start + 1 >= len(data):
        return None
    kind = data[start + 1]
    if kind == _SB:
        end = data.find(bytes((_IAC, _SE)), start + 2)
        return None if end < 0 else end + 2
    end = start + 3 if _WILL <= kind <= _DONT else start + 2
    return None if end > len(data) else end


class Transcript:
    """All that has come and has not been taken; each answer is found by the echo of its command, so nothing that came
    before can be taken for it."""

    def __init__(self) -> None:
        self._filter = TelnetFilter()
        self._text = bytearray()

    def feed(self, data: bytes) -> None:
        self._text += self._filter.feed(data)

    @property
    def pending(self) -> str:
        """What has not been taken, for people."""
        return self._text.decode("utf-8", "replace")

    def take_answer(self, command: str, names: Collection[str]) -> str | None:
        """What came between the echo of the command and the next prompt with one of these names; None before that."""
        echo = command.encode() + b"\n\r"
        start = self._text.find(echo)
        if start < 0:
            return None
        return self._take_until(start + len(echo), start + len(echo), names)

    def take_answer_before(self, command: str, token: str, names: Collection[str]) -> str | None:
        """As `take_answer`, of a command that may print anything, prompts too: it was followed by `echo "TOKEN"`, with
        a token that nobody can guess, and its answer ends with the prompt before that."""
        printed = self._text.find(f"\r{token}\r\r\n".encode())
        if printed < 0:
            return None
        start = self._text.find(command.encode() + b"\n\r")
        echo = self._text.rfind(f'echo "{token}"'.encode(), 0, printed)
        if start < 0 or echo < start:
            return None
        if self._take_until(printed, printed + len(token) + 4, names, take=False) is None:
            return None
        answer = bytes(self._text[start + len(command.encode()) + 2 : echo])
        self._take_until(printed, printed + len(token) + 4, names)
        prompt = list(_prompt(names).finditer(answer))
        return (answer[: prompt[-1].start()] if prompt else answer).decode("utf-8", "replace")

    def take_greeting(self, token: str, names: Collection[str]) -> str | None:
        """Everything up to the prompt after `echo "TOKEN"`, the first command of a connection."""
        printed = self._text.find(f"\r{token}\r\r\n".encode())
        return None if printed < 0 else self._take_until(0, printed + len(token) + 4, names)

    def name_after(self, token: str) -> str | None:
        """The name in the prompt right after a token that nobody else can have printed; None before that."""
        found = re.search(rf"\r{token}\r\r\n\(([^()\r\n]+)\) ".encode(), self._text)
        return None if found is None else found[1].decode("utf-8", "replace")

    def _take_until(self, start: int, prompt_from: int, names: Collection[str], *, take: bool = True) -> str | None:
        prompt = _prompt(names).search(self._text, prompt_from)
        if prompt is None:
            return None
        answer = bytes(self._text[start : prompt.start()])
        if take:
            del self._text[: prompt.end()]
        return answer.decode("utf-8", "replace")


def _prompt(names: Collection[str]) -> re.Pattern[bytes]:
    """A prompt stands at the beginning of a line."""
    return _compiled(frozenset(names))


@lru_cache(maxsize=64)
def _compiled(names: frozenset[str]) -> re.Pattern[bytes]:
    one_of = "|".join(map(re.escape, sorted(names)))
    return re.compile(rf"(?<=[\r\n])\((?:{one_of})\) ".encode())


def error_in(answer: str) -> str | None:
    """The error that an answer tells of, all of it; None when it tells of none.

    What a command prints is none, whatever it says: only errors end their lines with a bare CR LF.
    """
    lines = answer.split("\n")
    for number, line in enumerate(lines[:-1]):
        if line.endswith("\r") and not line.endswith("\r\r") and _ERRORS.match(line.lstrip("\r")):
            return cleaned("\n".join(lines[number:]))
    return None


def cleaned(answer: str) -> str:
    """An answer as lines for people and for values, line ends and empty lines left out."""
    lines = (line.strip("\r ") for line in answer.split("\n"))
    return "\n".join(line for line in lines if line)
