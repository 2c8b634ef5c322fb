"""How the page puts things: filters of its template."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from swarmrig.model.units import NS_PER_S
from swarmrig.reports.page.references import link_of, node_of


def target(item: Mapping[str, Any]) -> dict[str, Any]:
    """Where a piece of evidence leads: to a file, and to a place on the page."""
    file = str(item.get("file", ""))
    return {
        "href": quote(file),
        "at": item.get("at") or file,
        "note": item.get("note", ""),
        "node": node_of(file) if item.get("line") is not None else None,
        "link": link_of(file) if item.get("frame") is not None else None,
        "number": item.get("line") or item.get("frame"),
    }


def counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def seconds(t_ns: int | None) -> str:
    return "" if t_ns is None else f"{t_ns / NS_PER_S:.3f} s"


def short(t_ns: float) -> str:
    return f"{t_ns / 1e6:.2f} ms" if t_ns < NS_PER_S / 10 else f"{t_ns / NS_PER_S:.3f} s"


def milliseconds(t_ns: int | None) -> str:
    return "" if t_ns is None else f"{t_ns / 1e6:.2f} ms"


def share(value: float | None) -> str:
    return "" if value is None else f"{value * 100:.1f} %"


FILTERS: Mapping[str, Callable[..., Any]] = {
    "counted": counted,
    "ms": milliseconds,
    "seconds": seconds,
    "share": share,
    "short": short,
    "target": target,
}
