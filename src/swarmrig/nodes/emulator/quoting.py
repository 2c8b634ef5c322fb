"""User text in the emulator's command line: QEMU ends an option's value at a comma unless it is doubled, and what
launch fills in is marked with braces."""

from __future__ import annotations


def plain(text: str) -> str:
    """User text as a word of its own."""
    return text.replace("{", "{{").replace("}", "}}")


def value(text: str) -> str:
    """User text as a value inside a QEMU option string."""
    return plain(text.replace(",", ",,"))
