"""`swarmrig`: from arguments to an exit code."""

from __future__ import annotations

import errno
import os
import select
import sys
from collections.abc import Sequence

import click

from swarmrig import __version__
from swarmrig.cli.failures import EXIT_BROKEN, report_failure
from swarmrig.cli.lazy import LazyGroup
from swarmrig.cli.output import flush, say

COMMANDS = {
    "init": "Write a first scenario, with comments, and the schema that completes it in editors.",
    "run": "Run a preset or a scenario file and judge it.",
    "sweep": "Run a scenario once per fault, forked from one warm swarm.",
    "explore": "Look for faults, times, orders and seeds that break a check of a scenario.",
    "up": "Run until Ctrl-C, then judge.",
    "replay": "Repeat a finished run, or one node of it, and compare.",
    "diff": "Compare two finished runs; show where they first differ.",
    "watch": "Watch a run in progress from another terminal.",
    "console": "Show what a node of a run says, and type to it while it lives.",
    "runs": "List, show and remove the directories of former runs.",
    "report": "Make report.html of a run, or of a campaign, to look at in a browser.",
    "plan": "Print exactly what `run` would launch; launch nothing.",
    "validate": "Check scenario files; print every error with its place.",
    "presets": "List the built-in scenarios.",
    "show": "Print a scenario as it is understood, all defaults filled in.",
    "graph": "Draw the network of a scenario as text, Mermaid or SVG.",
    "suite": "Run fault suites, judge them against thresholds, compare their numbers.",
    "campaign": "Run scenarios × matrix × seeds, and judge them together.",
    "faults": "List and explain kinds of faults, or print the schedule of a run.",
    "checks": "List and explain checks.",
    "nvs": "Build, inspect and enumerate NVS partitions; boot nodes with each of them.",
    "image": "Lock, build and inspect guest images: virtual machines that make fixtures.",
    "fixtures": "Make fixtures in a virtual machine, and verify them.",
    "doctor": "Probe what works on this machine, with install hints.",
    "clean": "Remove what dead runs have left behind.",
    "schema": "Print the JSON Schema of scenario files, and of every other format.",
    "completion": "Print the completion script of a shell.",
}

COMPLETION_VARIABLE = "_SWARMRIG_COMPLETE"
EPILOG = "Exit codes: 0 PASS, 1 WARN, 2 FAIL, 3 FATAL or error, 130 interrupted."


def _print_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        say(f"swarmrig {__version__}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    package="swarmrig.cli.commands",
    table=COMMANDS,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print the version."
)
def root() -> None:
    """A test rig for swarms of emulated devices: boot, wire, break and judge a fleet from one YAML file."""
    if sys.platform != "linux":
        raise click.ClickException(
            f"swarmrig runs on Linux only, this is {sys.platform}.\n"
            "  hint: build and use the container: see the Containerfile and 'Elsewhere' in README.md"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code and raises nothing."""
    try:
        code = _invoke(list(sys.argv[1:] if arguments is None else arguments))
    except click.exceptions.Exit as done:
        code = done.exit_code
    except BaseException as error:
        code = 0 if _is_lost_reader(error) else report_failure(error)
    return flush(code, broken=EXIT_BROKEN)


def _invoke(arguments: list[str]) -> int:
    """What click's own `main` does, but nothing is caught: it takes any broken pipe, a node's too, for stdout's."""
    instruction = os.environ.get(COMPLETION_VARIABLE)
    if instruction:
        from click.shell_completion import shell_complete

        return shell_complete(root, {}, "swarmrig", COMPLETION_VARIABLE, instruction)
    with root.make_context("swarmrig", arguments) as context:
        code = root.invoke(context)
    return code if isinstance(code, int) else 0


def _is_lost_reader(error: BaseException) -> bool:
    """Whether click failed to print a help text because its reader has gone."""
    if not (isinstance(error, OSError) and error.errno in (errno.EPIPE, errno.EIO)):
        return False
    asked = select.poll()
    asked.register(sys.stdout, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in asked.poll(0))
