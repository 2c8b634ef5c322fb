"""`swarmrig faults list|explain|export`"""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import CompletionItem

from swarmrig.cli.options import json_option, option


def _complete_kind(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from swarmrig.plugins import Registry

    return [CompletionItem(name) for name in Registry.load().names("faults") if name.startswith(incomplete)]


@click.group("faults")
def command() -> None:
    """List and explain kinds of faults, or print the schedule of a run."""


@command.command("list")
@option("--markdown", is_flag=True, help="Print the reference page of all kinds.")
@json_option
def list_kinds(markdown: bool, as_json: bool) -> None:
    """List the kinds of faults that scenarios can have, those of installed plugins included."""
    from swarmrig.cli.fault_kinds import describe_kinds, kind_lines, reference_page
    from swarmrig.cli.output import say, say_json
    from swarmrig.plugins import Registry

    kinds = describe_kinds(Registry.load())
    if as_json:
        say_json(kinds)
    elif markdown:
        say(reference_page(kinds).rstrip("\n"))
    else:
        for line in kind_lines(kinds):
            say(line)


@command.command("explain")
@click.argument("kind", shell_complete=_complete_kind)
@json_option
def explain(kind: str, as_json: bool) -> None:
    """Print all about a kind: what it does, its parameters, and what must be seen for it to be proved."""
    from swarmrig.cli.fault_kinds import describe_kind, explanation_lines
    from swarmrig.cli.output import say, say_json
    from swarmrig.plugins import Registry

    described = describe_kind(kind, Registry.load())
    if as_json:
        say_json(described)
        return
    for line in explanation_lines(described):
        say(line)


@command.command("export")
@click.argument("run", type=click.Path(path_type=Path, file_okay=False, exists=True))
def export(run: Path) -> None:
    """Print a scenario that repeats a finished run: every fault has the time at which it acted.

    Conditions, repetition, jitter and choices are resolved, and what never fired is left out. In virtual time, the
    printed scenario gives the same schedule again.
    """
    from swarmrig.cli.fault_kinds import exported
    from swarmrig.cli.output import say

    say(exported(run).rstrip("\n"))
