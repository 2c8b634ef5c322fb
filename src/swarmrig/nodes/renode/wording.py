"""Commands for the monitor, worded so that nothing in a name, a path or a number can end one or begin another.

Renode's tokenizer ends a path at white space or `;`, lets a backslash protect a blank and nothing else, and knows no
quotes around paths. What cannot be said so is refused here; nothing is ever left out silently.
"""

from __future__ import annotations

import re
from pathlib import Path

COMMAND_LIMIT = 4000
"""Characters of one command."""
LOAD_COMMANDS = ("LoadELF", "LoadBinary", "LoadSymbolsFrom")
"""How firmware may be loaded, with or without `sysbus ` before it."""
_PERIPHERAL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*\Z")
_MACHINE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}\Z")
_SHIPPED = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*(?:[./][A-Za-z0-9_-]+)*\.(?:repl|resc)\Z")
_BAD_IN_PATHS = frozenset(";\"'`\\$")
_NS_PER_S = 10**9


def checked_command(command: str) -> str:
    """A command as somebody else wrote it. ValueError for what is more than one line, or no text."""
    if not command.strip():
        raise ValueError("a monitor command is empty")
    if len(command) > COMMAND_LIMIT:
        raise ValueError(f"a monitor command of {len(command)} characters: {COMMAND_LIMIT} at most")
    bad = next((char for char in command if not char.isprintable()), None)
    if bad is not None:
        raise ValueError(f"a monitor command is one line of printable characters; this one has {bad!r}")
    if '"""' in command:
        raise ValueError('a monitor command cannot have """: Renode would take all that follows for a text')
    return command


def peripheral(name: str) -> str:
    """A name such as `sysbus.usart2`."""
    if not _PERIPHERAL.match(name):
        raise ValueError(f"{name!r} is no name of a peripheral; expected something like sysbus.uart0")
    return name


def machine(name: str) -> str:
    """What the prompt shows in brackets."""
    if not _MACHINE.match(name) or name == "monitor":
        raise ValueError(f"{name!r} is no name for a machine; letters, digits, `_` and `-`, not `monitor`")
    return name


def load_command(text: str) -> str:
    """One of LOAD_COMMANDS, without `sysbus `."""
    name = text.removeprefix("sysbus ")
    if name not in LOAD_COMMANDS:
        raise ValueError(f"{text!r} does not load firmware; {', '.join(LOAD_COMMANDS)} do")
    return name


def path(place: Path) -> str:
    """A path as an argument: absolute, `@` before it, blanks protected."""
    return "@" + _plain(place).replace(" ", "\\ ")


def path_text(place: Path) -> str:
    """A path as a text in quotes."""
    return f'"{_plain(place)}"'


def platform(place: str | Path) -> str:
    """A file, or (a text) one that Renode ships with, as an argument."""
    return path(place) if isinstance(place, Path) else f"@{shipped(place)}"


def shipped(name: str) -> str:
    """A name such as `platforms/cpus/stm32h743.repl`."""
    if not _SHIPPED.match(name):
        raise ValueError(f"{name!r} is no name of a file that Renode ships with, such as platforms/cpus/stm32h743.repl")
    return name


def seconds(time_ns: int) -> str:
    """A time for RunFor: a quoted plain decimal. Renode takes `1e-3` for a second, and a number without quotes for
    nothing."""
    if time_ns <= 0:
        raise ValueError(f"a time of {time_ns} ns")
    whole, rest = divmod(time_ns, _NS_PER_S)
    fraction = f"{rest:09d}".rstrip("0")
    return f'"{whole}.{fraction}"' if fraction else f'"{whole}"'


def number(value: int) -> str:
    return f"{value:#x}"


def _plain(place: Path) -> str:
    text = str(place)
    if not place.is_absolute():
        raise ValueError(f"{text!r} is not absolute")
    bad = next((char for char in text if char in _BAD_IN_PATHS or not char.isprintable()), None)
    if bad is None and text.endswith(" "):
        bad = " "
    if bad is not None:
        raise ValueError(f"Renode cannot be told of the path {text!r}: it has {bad!r}; give the file another place")
    return text
