"""What the text on a console means: the one home of every pattern that the built-in checks read.

The patterns are those of ESP-IDF's own messages (bootloader, panic handler, heap and stack guards) and of the
firmware that the swarm dialect was made for. All ignore case.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


def _any_of(*alternatives: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{alternative})" for alternative in alternatives), re.IGNORECASE)


ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
"""CSI sequences (ECMA-48): colours and cursor moves."""

BOOT = _any_of("app_main", "main_task:", "ESP32-S3 CSI Node")
CRASH = _any_of(
    "Guru Meditation",
    "assert failed",
    r"abort\(\)",
    "panic",
    "LoadProhibited",
    "StoreProhibited",
    "InstrFetchProhibited",
    "IllegalInstruction",
    "Unhandled debug exception",
    "Fatal exception",
)
HEAP = _any_of(
    "HEAP_ERROR", "out of memory", "heap_caps_alloc.*failed", "malloc.*fail", "heap corruption", "CORRUPT HEAP"
)
STACK = _any_of("Stack overflow")
REBOOT = _any_of(r"Rebooting\.\.\.", "rst:0x")
FALL = _any_of("fall[_ ]?(?:detect|event)", r"fall=1\b")
FALL_SETTING = re.compile(
    r"fall[_ ]?(?:detect\w*|events?)\b\W*(?:is |are )?"
    r"(?:enabled|disabled|on\b|off\b|thresh|config|init|ready|started|none|0\b)",
    re.IGNORECASE,
)
"""A line that speaks of the detector, not of a fall."""
TDM_SLOT = re.compile(r"TDM slot[=: ]+(\d+)|tdm_slot(?:_index)?=(\d+)", re.IGNORECASE)
NODE_ID = re.compile(r"node[_ ]?id[=: ]+(\d+)", re.IGNORECASE)
RECEPTION = re.compile(r"coord|recei|recv|\brx\b|\bframes?\b", re.IGNORECASE)
"""A line that speaks of receiving: a banner that only says whose console this is does not."""
FRAME_RATE = re.compile(r"frame[_ ]?rate", re.IGNORECASE)
BOOT_TIME = re.compile(r"boot[_ ]?time", re.IGNORECASE)

_LOG_LINE = re.compile(r"([EWIDV]) \(([0-9][0-9:.]*)\) ([^:]{1,64}): ?(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of ESP-IDF's log: `I (312) csi: frame_rate=20.0`."""

    level: str
    """E, W, I, D or V."""
    millis: int | None
    """Since boot; None when the firmware logs a time of day."""
    tag: str
    text: str


def strip_ansi(text: str) -> str:
    """The text without colours and cursor moves."""
    return ANSI.sub("", text)


def parse_log_line(text: str) -> LogLine | None:
    """A console line as ESP-IDF wrote it, None when it has another form.

    Format: https://docs.espressif.com/projects/esp-idf/en/stable/esp32/api-reference/system/log.html
    """
    match = _LOG_LINE.fullmatch(strip_ansi(text).rstrip("\r\n"))
    if match is None:
        return None
    level, time, tag, rest = match.groups()
    return LogLine(level, int(time) if time.isascii() and time.isdigit() else None, tag, rest)


def is_boot_marker(text: str) -> bool:
    """Does the line say that the application has started?"""
    return BOOT.search(text) is not None


def is_crash(text: str) -> bool:
    """Does the line come from a panic handler, an assertion or abort()?"""
    return CRASH.search(text) is not None


def is_memory_error(text: str) -> bool:
    """Does the line tell of a failed allocation, a damaged heap or an overflown stack?"""
    return HEAP.search(text) is not None or STACK.search(text) is not None


def tdm_slot(text: str) -> int | None:
    """The slot that the line reports, None when it reports none."""
    match = TDM_SLOT.search(text)
    return None if match is None else int(match[1] or match[2])


def named_node(text: str) -> int | None:
    """The N of `node_id=N` in the line."""
    match = NODE_ID.search(text)
    return None if match is None else int(match[1])


def reported_fall(text: str, number: int) -> bool:
    """Does the line report a fall at node `number` (or at no node by name)? Settings of the detector do not."""
    if FALL.search(text) is None or FALL_SETTING.search(text) is not None:
        return False
    return named_node(text) in (None, number)


def received_from(text: str) -> int | None:
    """The node from which the line says that something was received: the tag or the text must speak of that,
    so a banner such as `refnode: node_id=0 role=coordinator` does not count."""
    number = named_node(text)
    return number if number is not None and RECEPTION.search(_without_role(text)) is not None else None


def _without_role(text: str) -> str:
    return re.sub(r"role=\w+", "", text)
