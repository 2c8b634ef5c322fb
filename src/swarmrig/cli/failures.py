"""Errors as the user hears them: what, where, what to do next. Never a traceback, except for a bug of ours."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from swarmrig.cli.output import counted, say, say_json_line
from swarmrig.errors import ScenarioError, SwarmrigError, leaves_of
from swarmrig.model.verdict import EXIT_INTERRUPTED

EXIT_BROKEN = 3

_HOST_ERRNOS = frozenset({
    errno.EACCES, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EPERM,
    errno.EROFS,
})  # fmt: skip


def report_failure(error: BaseException) -> int:
    """Say `error` on stderr and return the exit code that it means."""
    leaves = list(leaves_of(error))
    if any(isinstance(leaf, KeyboardInterrupt | click.Abort) for leaf in leaves):
        say("interrupted: there is no verdict", stream=sys.stderr)
        return EXIT_INTERRUPTED
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else EXIT_BROKEN
    texts = [_text(leaf) for leaf in leaves]
    for text in dict.fromkeys(text for text in texts if text is not None):
        say(text, stream=sys.stderr)
    if None in texts:
        _say_bug(error)
    return EXIT_BROKEN


def describe_failure(error: BaseException) -> list[dict[str, object]]:
    """The same for machines: one mapping per error, with the problems of a scenario file one by one."""
    described: list[dict[str, object]] = []
    for leaf in leaves_of(error):
        entry: dict[str, object] = {"type": type(leaf).__name__, "message": getattr(leaf, "message", str(leaf))}
        if isinstance(leaf, SwarmrigError):
            entry["hint"] = leaf.hint
        if isinstance(leaf, ScenarioError):
            entry["problems"] = list(leaf.problems)
            entry["warnings"] = list(leaf.warnings)
        described.append(entry)
    return described


@contextmanager
def told_as_json(wanted: bool) -> Iterator[None]:
    """Whoever reads JSON hears of an error as JSON; people hear of it from whoever catches it."""
    try:
        yield
    except BaseException as error:
        if wanted:
            say_json_line({"kind": "error", "errors": describe_failure(error)})
        raise


def _text(error: BaseException) -> str | None:
    """What to print for an error that the user can do something about; None for a bug."""
    if isinstance(error, ScenarioError):
        return _scenario_text(error)
    if isinstance(error, SwarmrigError):
        return f"error: {error}"
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"{error.ctx.get_usage()}\nerror: {error.format_message()}\n  hint: {error.ctx.command_path} --help"
    if isinstance(error, click.ClickException):
        return f"error: {error.format_message()}"
    if isinstance(error, OSError) and error.errno in _HOST_ERRNOS:
        place = f"{error.filename}: " if error.filename else ""
        return f"error: {place}{error.strerror}"
    return None


def _scenario_text(error: ScenarioError) -> str:
    """One problem a line, as compilers print them, so that editors can jump to them."""
    lines = [f"warning: {warning}" for warning in error.warnings]
    lines += [str(problem) for problem in error.problems]
    lines.append(f"error: {counted(len(error.problems), 'problem')} found")
    if error.hint:
        lines.append(f"  hint: {error.hint}")
    return "\n".join(lines)


def _say_bug(error: BaseException) -> None:
    import traceback

    say("".join(traceback.format_exception(error)).rstrip(), stream=sys.stderr)
    say("error: this is a bug in swarmrig, not in your files; please report it with the text above", stream=sys.stderr)
