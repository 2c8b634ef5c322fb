"""The pages of docs/reference that are made of the code: `python -m swarmrig.cli.reference_pages docs/reference`."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from swarmrig.cli.check_kinds import checks_page, describe_checks
from swarmrig.cli.fault_kinds import describe_kinds, reference_page
from swarmrig.cli.format_page import FormatPage, cell
from swarmrig.cli.formats import FORMATS, format_schema
from swarmrig.cli.main import COMMANDS, root
from swarmrig.plugins import Registry
from swarmrig.reports.document import write_document
from swarmrig.scenario.native import ScenarioFile
from swarmrig.scenario.quantity_schema import with_written_defaults

_TITLES = {"image": "recipes for guest images", "results": "results.json"}
_QUANTITIES = """\
A key without a value is as good as left out. Quantities have units:

| takes | written as | a bare number is |
|---|---|---|
| duration | `50ms`, `1.5s`, `2m`; `ns`, `us`, `ms`, `s`, `m` (or `min`), `h` | seconds |
| share | `0.5%`, `0.005`: between 0 and 1, or in percent | the share |
| rate | `250kbit`, `1Mbit`; `bit`, `kbit`, `Mbit`, `Gbit`, each per second | bit/s |
| size | `64KiB`, `16MiB`; `B`, `kB`, `MB`, `GB` (powers of 1000), `KiB`, `MiB`, `GiB` (of 1024) | bytes |"""
_COMMANDS = """\
As `swarmrig COMMAND --help` says it. Every option has an environment variable, too:
[Command line and environment](command-line.md) tells this and what else they have in common,
[Exit codes](exit-codes.md) how they end."""
_PLUGGED = """\
The other keys of a node depend on its `kind`: [see below](#options-of-nodes). A fault has one more key, its
[kind](faults.md); any of its parameters may be drawn: `{choose: [A, B]}`. `together: [...]` and `choose: [...]` hold
several faults in place of one. An item of `checks` is the name of a [check](checks.md), or `name: parameters`."""
_PLUGINS = """\
## Options of nodes

Further keys of a node (and of `defaults`), by its `kind`. Plugins bring more kinds: `swarmrig schema scenario
--markdown` has those that are installed."""


def format_reference(which: str, registry: Registry) -> str:
    """The page about the keys of a format."""
    lines = [f"# Format of {_TITLES.get(which, f'{which} files')}", ""]
    lines += [f"Made by `swarmrig schema {which} --markdown`; `swarmrig schema {which}` prints it as a JSON Schema."]
    if which == "scenario":
        lines += ["", _QUANTITIES, "", _PLUGGED, *_scenario(registry)]
    else:
        about = "Quantities are written as in [scenario files](scenario.md)."
        lines += ["", about, *FormatPage(format_schema(which, registry), "The file").lines()]
    return "\n".join(lines) + "\n"


def _scenario(registry: Registry) -> Iterator[str]:
    """What the format says itself, then what each kind of node adds."""
    yield from FormatPage(with_written_defaults(ScenarioFile.model_json_schema()), "The file").lines()
    yield from ("", *_PLUGINS.splitlines())
    for kind in registry.names("nodes"):
        schema = registry.node(kind).options_model.model_json_schema()
        yield from FormatPage(with_written_defaults(schema), f"kind: {kind}", f"{kind}: ").lines()


def commands_page() -> str:
    """What the help of every command says, with tables of options."""
    lines = ["# Commands", "", _COMMANDS]
    context = click.Context(root, info_name="swarmrig")
    for name in COMMANDS:
        lines += _command(root, name, context, 2)
    return "\n".join(lines) + "\n"


def _command(group: click.Group, name: str, parent: click.Context, level: int) -> Iterator[str]:
    found = group.get_command(parent, name)
    if found is None or found.hidden:
        return
    context = click.Context(found, parent, info_name=name)
    yield from ("", f"{'#' * level} {context.command_path}", "")
    yield from ("```text", " ".join((context.command_path, *found.collect_usage_pieces(context))), "```", "")
    yield "\n\n".join(map(_plain, inspect.cleandoc(found.help or "").split("\n\n")))
    options = [option for option in found.params if isinstance(option, click.Option) and not option.hidden]
    if options:
        yield from ("", "| option | meaning |", "|---|---|")
        yield from (f"| `{cell(_spelled(option, context))}` | {_plain(_meaning(option))} |" for option in options)
    if isinstance(found, click.Group):
        for inner in found.list_commands(context):
            yield from _command(found, inner, context, level + 1)


def _spelled(option: click.Option, context: click.Context) -> str:
    record = option.get_help_record(context)
    return record[0] if record else ""


def _meaning(option: click.Option) -> str:
    default = option.default if option.show_default and option.default is not None else None
    return f"{option.help or ''}{'' if default is None else f' Default: {default}.'}"


def _plain(text: str) -> str:
    """Nothing but code is read as Markdown."""
    return re.sub(r"([*<])(?=[^`]*(?:`[^`]*`[^`]*)*$)", r"\\\1", cell(text))


def reference_pages() -> Mapping[str, str]:
    """The generated pages by file name; of what comes with the rig alone, whatever else is installed."""
    everything = Registry.load()
    points = {
        group: {name: point for name, point in points.items() if point.value.startswith("swarmrig.")}
        for group, points in everything.points.items()
    }
    registry = Registry(points)
    pages: dict[str, Any] = {f"{which}.md": format_reference(which, registry) for which in FORMATS}
    pages |= {
        "faults.md": reference_page(describe_kinds(registry)),
        "checks.md": checks_page(describe_checks(registry)),
    }
    return pages | {"commands.md": commands_page()}


if __name__ == "__main__":
    for name, text in reference_pages().items():
        write_document(Path(sys.argv[1]) / name, text)
