"""`swarmrig checks list|explain`"""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from swarmrig.cli.options import json_option, option


def _complete_name(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from swarmrig.plugins import Registry

    return [CompletionItem(name) for name in Registry.load().names("checks") if name.startswith(incomplete)]


@click.group("checks")
def command() -> None:
    """List and explain checks."""


@command.command("list")
@option("--markdown", is_flag=True, help="Print the reference page of all checks.")
@json_option
def list_checks(markdown: bool, as_json: bool) -> None:
    """List the checks that scenarios can have, those of installed plugins included."""
    from swarmrig.cli.check_kinds import check_lines, checks_page, describe_checks
    from swarmrig.cli.output import say, say_json
    from swarmrig.plugins import Registry

    kinds = describe_checks(Registry.load())
    if as_json:
        say_json(kinds)
    elif markdown:
        say(checks_page(kinds).rstrip("\n"))
    else:
        for line in check_lines(kinds):
            say(line)


@command.command("explain")
@click.argument("name", shell_complete=_complete_name)
@json_option
def explain(name: str, as_json: bool) -> None:
    """Print all about a check: what must hold, its parameters, and what its failure counts as."""
    from swarmrig.cli.check_kinds import check_explanation, describe_check
    from swarmrig.cli.output import say, say_json
    from swarmrig.plugins import Registry

    described = describe_check(name, Registry.load())
    if as_json:
        say_json(described)
        return
    for line in check_explanation(described):
        say(line)
