"""Options that several commands share. Every option can also be set by an environment variable SWARMRIG_..."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from swarmrig.model.units import parse_duration_ns, parse_ratio

Command = Callable[..., Any]


def duration_of(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | None:
    """Nanoseconds of `30`, `1.5s`, `2m`."""
    if value is None:
        return None
    try:
        duration_ns = parse_duration_ns(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if duration_ns <= 0:
        raise click.BadParameter("a duration must be greater than zero")
    return duration_ns


def _overrides(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Pairs of path and value."""
    pairs = [value.partition("=") for value in values]
    for value, (path, separator, _) in zip(values, pairs, strict=True):
        if not separator or not path.strip():
            raise click.BadParameter(f"expected PATH=VALUE, for example network.link.loss=1%, got {value!r}")
    return tuple((path.strip(), new) for path, _, new in pairs)


def _tolerances(ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Pairs of metric and tolerance."""
    pairs = [value.rpartition(":") for value in values]
    for value, (metric, _, tolerance) in zip(values, pairs, strict=True):
        if not metric.strip() or not tolerance.strip():
            raise click.BadParameter(f"expected METRIC:TOLERANCE, for example nodes.*.rate_hz:5%, got {value!r}")
    if values and ctx.params.get("baseline") is None:
        raise click.BadParameter("needs --baseline RUN, the run to compare with")
    return tuple((metric.strip(), tolerance.strip()) for metric, _, tolerance in pairs)


@dataclass(frozen=True, slots=True)
class Manner:
    """How to run."""

    output_dir: Path
    as_json: bool
    strict: bool
    hang_timeout_ns: int
    quantum_ns: int
    skip_build: bool
    report: bool
    pause_on_failure: bool = False
    until_interrupted: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """Which scenario, and what the command line changes in it."""

    scenario: str
    seed: int | None = None
    duration_ns: int | None = None
    time: str | None = None
    overrides: tuple[tuple[str, str], ...] = ()
    machine: str | None = None
    flash_base: Path | None = None
    bootloader: Path | None = None
    partition_table: Path | None = None
    app: Path | None = None
    qemu_path: Path | None = None
    baseline: Path | None = None
    tolerances: tuple[tuple[str, str], ...] = ()


def option(*names: str, **settings: Any) -> Callable[[Command], Command]:
    """A click option whose environment variable follows from its name: --output-dir is SWARMRIG_OUTPUT_DIR."""
    long_name = next(name for name in names if name.startswith("--"))
    settings.setdefault("envvar", "SWARMRIG_" + long_name[2:].replace("-", "_").upper())
    settings.setdefault("show_envvar", True)
    return click.option(*names, **settings)


def scenario_argument(command: Command) -> Command:
    """The argument NAME|FILE."""
    return click.argument("scenario", metavar="NAME|FILE", shell_complete=complete_scenario)(command)


_FILE = click.Path(path_type=Path, dir_okay=False)

duration_option = option(
    "--duration", "duration_ns", metavar="TIME", callback=duration_of, help="Run time: 30s, 2m. Default: the file's."
)

_SCENARIO_OPTIONS = (
    option(
        "--seed", type=click.IntRange(0, 2**63 - 1), metavar="N", help="Seed of the run. Default: the file's, or 0."
    ),
    duration_option,
    option(
        "--time",
        type=click.Choice(["auto", "virtual", "paced", "real"]),
        help="Which clock rules. Default: the file's.",
    ),
    option("--set", "overrides", multiple=True, metavar="PATH=VALUE", callback=_overrides, help="Change one value."),
    option("--machine", metavar="NAME", help="Machine of every node, for example refnode-rv32 or esp32s3."),
    option("--flash-base", type=_FILE, help="Flash image that every node starts from."),
    option("--bootloader", type=_FILE, help="Bootloader (0x0) of a flash image made of parts."),
    option("--partition-table", type=_FILE, help="Partition table (0x8000) of a flash image made of parts."),
    option("--app", type=_FILE, help="Application (0x20000) of a flash image made of parts."),
    option("--qemu-path", type=click.Path(path_type=Path), help="Emulator binary to use for every node."),
    option(
        "--baseline",
        type=click.Path(path_type=Path),
        metavar="RUN",
        is_eager=True,
        help="Fail when a metric is worse than in this former run (its directory or results.json).",
    ),
    option(
        "--baseline-fail",
        "tolerances",
        multiple=True,
        metavar="METRIC:TOLERANCE",
        callback=_tolerances,
        help="Compare this metric, and by how much it may be worse: nodes.*.hub.latency_ns.p95:10%, links.*.dropped:5. "
        "Default: the file's, or latency p95, rate (10%) and loss (one point).",
    ),
)


def scenario_options(command: Command) -> Command:
    """NAME|FILE and the options that change it, given to the command as one `choice`."""

    @wraps(command)
    def with_choice(**values: Any) -> Any:
        chosen = {name: values.pop(name) for name in Choice.__dataclass_fields__}
        return command(choice=Choice(**chosen), **values)

    decorated: Command = with_choice
    for decorate in reversed(_SCENARIO_OPTIONS):
        decorated = decorate(decorated)
    return scenario_argument(decorated)


json_option = option("--json", "as_json", is_flag=True, help="Print JSON for machines.")

output_dir_option = option(
    "--output-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs"),
    help="Where the run directory is made. Default: runs.",
)


def share_of(_ctx: click.Context, _param: click.Parameter, value: str) -> float:
    """A number of `5%`, `0.05`."""
    try:
        return parse_ratio(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _confidence(ctx: click.Context, param: click.Parameter, value: str) -> float:
    confidence = share_of(ctx, param, value)
    if not 0.5 <= confidence < 1:
        raise click.BadParameter("lies between 50% and 100%, which nothing reaches")
    return confidence


confidence_option = option(
    "--confidence", default="95%", metavar="SHARE", callback=_confidence, help="How sure to be. Default: 95%."
)
tolerance_option = option(
    "--tolerance", default="5%", metavar="SHARE", callback=share_of, help="How much worse is nothing. Default: 5%."
)

anyway_option = option("--anyway", is_flag=True, help="Compare what can be compared, also of inexact or broken runs.")

_RUN_OPTIONS = (
    output_dir_option,
    option("--strict", is_flag=True, help="Count WARN as FAIL."),
    option(
        "--hang-timeout",
        "hang_timeout_ns",
        metavar="TIME",
        callback=duration_of,
        default="30s",
        show_default=True,
        help="In virtual time: how long an emulator may give no sign of life, by this machine's clock.",
    ),
    option(
        "--quantum",
        "quantum_ns",
        metavar="TIME",
        callback=duration_of,
        default="1s",
        show_default=True,
        help="In virtual time: the longest that a busy emulator lives between two reports. No result depends on it.",
    ),
    option("--skip-build", is_flag=True, help="Do not run the firmware build commands of the file."),
    option("--report", is_flag=True, help="Make report.html of the run, as `swarmrig report` does."),
    option("--json", "as_json", is_flag=True, help="Print events as JSON lines; the last one is the result."),
)

pause_option = option(
    "--pause-on-failure",
    is_flag=True,
    help="Freeze the swarm where a check or a node fails, for a look; Enter or `watch --release` lets it go on.",
)


def run_options(command: Command) -> Command:
    """The options of the commands that run something, given to the command as one `manner`."""

    @wraps(command)
    def with_manner(**values: Any) -> Any:
        chosen = {name: values.pop(name) for name in Manner.__dataclass_fields__ if name in values}
        return command(manner=Manner(**chosen), **values)

    decorated: Command = with_manner
    for decorate in reversed(_RUN_OPTIONS):
        decorated = decorate(decorated)
    return decorated


def complete_scenario(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from swarmrig.scenario.presets import preset_names

    presets = [CompletionItem(name) for name in preset_names() if name.startswith(incomplete)]
    return [*presets, CompletionItem(incomplete, type="file")]
