"""A comparison for people and for machines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from swarmrig.cli.output import harmless, say, say_json
from swarmrig.model.units import NS_PER_S
from swarmrig.replay.comparison import Change, Comparison, Difference
from swarmrig.replay.moments import Moment

EXIT_EQUAL, EXIT_DIFFERENT = 0, 2
_CHANGES_SHOWN = 20
_WIDEST_TEXT = 160


def tell_comparison(comparison: Comparison, *, as_json: bool) -> int:
    """Print it; returns the exit code."""
    if as_json:
        say_json(comparison_json(comparison))
    else:
        for line in comparison_lines(comparison):
            say(line)
    return EXIT_EQUAL if comparison.equal else EXIT_DIFFERENT


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """As JSON values: the first of `differences` is the first that happened."""
    return {
        "equal": comparison.equal,
        "left": comparison.left,
        "right": comparison.right,
        "compared": comparison.compared,
        "differences": [_difference_json(one) for one in comparison.differences],
        "results": [{"path": one.path, "left": one.left, "right": one.right} for one in comparison.changes],
        "warnings": list(comparison.warnings),
    }


def comparison_lines(comparison: Comparison) -> Iterator[str]:
    """As text."""
    for warning in comparison.warnings:
        yield f"warning: {harmless(warning)}"
    yield f"< {comparison.left}"
    yield f"> {comparison.right}"
    if comparison.differences:
        yield from _first_lines(comparison.differences[0])
        yield from _further_lines(comparison.differences[1:])
    if comparison.changes:
        yield from _change_lines(comparison.changes)
    yield ""
    yield f"{'equal' if comparison.equal else 'different'}: {comparison.compared}"


def _first_lines(first: Difference) -> Iterator[str]:
    yield ""
    yield f"first difference at {_seconds(first.t_ns)}: {harmless(first.source)}, {first.file}"
    for moment in first.before:
        yield f"    {_moment(moment)}"
    for sign, side in (("<", first.left), (">", first.right)):
        for moment in side:
            yield f"  {sign} {_moment(moment)}"
        if not side:
            yield f"  {sign} nothing more"
    if first.detail is not None:
        yield f"  {harmless(first.detail)}"


def _further_lines(differences: tuple[Difference, ...]) -> Iterator[str]:
    if differences:
        yield ""
        yield "later differences"
    for one in differences:
        yield f"  {_seconds(one.t_ns)}  {one.file}"


def _change_lines(changes: tuple[Change, ...]) -> Iterator[str]:
    yield ""
    yield "results"
    for one in changes[:_CHANGES_SHOWN]:
        yield f"  {harmless(one.path)}: {_value(one.left)} | {_value(one.right)}"
    if len(changes) > _CHANGES_SHOWN:
        yield f"  and {len(changes) - _CHANGES_SHOWN} more (--json has them all)"


def _difference_json(one: Difference) -> dict[str, Any]:
    return {
        "file": one.file,
        "t_ns": one.t_ns,
        "source": one.source,
        "before": [_moment_json(moment) for moment in one.before],
        "left": [_moment_json(moment) for moment in one.left],
        "right": [_moment_json(moment) for moment in one.right],
        "detail": one.detail,
    }


def _moment_json(moment: Moment) -> dict[str, Any]:
    return {"t_ns": moment.t_ns, "source": moment.source, "text": moment.text, "at": moment.place}


def _moment(moment: Moment) -> str:
    text = harmless(moment.text)
    text = text if len(text) <= _WIDEST_TEXT else text[: _WIDEST_TEXT - 1] + "…"
    return f"{_seconds(moment.t_ns)}  {harmless(moment.source)}: {text}  ({moment.place})"


def _seconds(t_ns: int) -> str:
    """Exact: virtual time has nanoseconds."""
    return f"{t_ns // NS_PER_S}.{t_ns % NS_PER_S:09d} s"


def _value(value: Any) -> str:
    text = harmless(str(value)).replace("\n", " ")
    return text if len(text) <= _WIDEST_TEXT // 2 else text[: _WIDEST_TEXT // 2 - 1] + "…"
