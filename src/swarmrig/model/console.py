"""What a console says, as text."""

from __future__ import annotations

import re

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


def plain_text(raw: bytes) -> str:
    """A line as people see it: without line end and ANSI colours, undecodable bytes replaced."""
    return without_colours(raw.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "replace"))


def without_colours(text: str) -> str:
    """The text without ANSI colours."""
    return _ANSI.sub("", text)
