"""What a console says, as text."""

from __future__ import annotations

import re

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


def plain_text(raw: bytes) -> str:
    """A line as people see it: without line end and ANSI colours, undecodable bytes replaced."""
    return _ANSI.sub("", raw.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "replace"))
