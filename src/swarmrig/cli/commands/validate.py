"""`swarmrig validate`"""

from __future__ import annotations

import sys

import click

from swarmrig.cli.options import json_option


@click.command("validate")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path())
@json_option
def command(files: tuple[str, ...], as_json: bool) -> int:
    """Check scenario files; print every error with its place.

    Each error is a line `file:line:column: message`. Nothing is launched and no emulator is needed.
    """
    from swarmrig.cli.bare_plan import check_wiring
    from swarmrig.cli.failures import EXIT_BROKEN, describe_failure, report_failure
    from swarmrig.cli.loading import load
    from swarmrig.cli.options import Choice
    from swarmrig.cli.output import counted, say, say_json
    from swarmrig.errors import SwarmrigError
    from swarmrig.plugins import Registry

    registry = Registry.load()
    code, reports = 0, []
    for file in files:
        try:
            scenario = load(Choice(file), registry)
            check_wiring(scenario, registry)
        except SwarmrigError as error:
            code = EXIT_BROKEN
            reports.append({"file": file, "valid": False, "errors": describe_failure(error)})
            if not as_json:
                report_failure(error)
            continue
        reports.append({"file": file, "valid": True, "warnings": list(scenario.warnings)})
        if not as_json:
            for warning in scenario.warnings:
                say(f"warning: {warning}", stream=sys.stderr)
            size = f"{counted(len(scenario.nodes), 'node')}, {counted(len(scenario.checks), 'check')}"
            say(f"{file}: ok: {scenario.name}, {size}")
    if as_json:
        say_json(reports)
    return code
