"""`swarmrig explore`"""

from __future__ import annotations

from pathlib import Path

import click

from swarmrig.cli.options import Choice, Manner, duration_of, option, run_options, scenario_options


def _names(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """`a,b` and repeated options alike."""
    return tuple(name.strip() for value in values for name in value.split(",") if name.strip())


def _seeds(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[int, ...]:
    from swarmrig.campaigns.seeds import parse_seeds

    if value is None:
        return ()
    try:
        found = parse_seeds([int(item) if item.strip().isdecimal() else item for item in value.split(",")])
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if found.count > MOST_SEEDS:
        raise click.BadParameter(f"expected at most {MOST_SEEDS} seeds, got {found.count}")
    return tuple(found)


MOST_SEEDS = 10_000


@click.command("explore")
@scenario_options
@option("--budget", "budget_ns", metavar="TIME", callback=duration_of, help="Search for so long. Default: 5m.")
@option("--schedules", type=click.IntRange(1, 10**9), metavar="N", help="Search for so many schedules instead.")
@option("--stop-after", type=click.IntRange(1), metavar="N", help="End as soon as so many findings are shrunk.")
@option(
    "--faults", "kinds", multiple=True, metavar="KIND,...", callback=_names,
    help="Kinds of faults to try. Default: all that the scenario supports.",
)  # fmt: skip
@option("--max-faults", type=click.IntRange(1, 16), default=4, show_default=True, help="Faults in one schedule.")
@option("--from", "from_ns", metavar="TIME", callback=duration_of, help="No fault acts before this run time.")
@option("--until", "until_ns", metavar="TIME", callback=duration_of, help="All faults are over by this run time.")
@option(
    "--seeds", metavar="LIST", callback=_seeds,
    help="Seeds of the runs that are tried: 1..20 or 1,5,7. Default: the scenario's.",
)  # fmt: skip
@option(
    "--check", "checks", multiple=True, metavar="NAME", callback=_names,
    help="Checks that are to be broken, by label. Default: all of the scenario.",
)  # fmt: skip
@option(
    "--confirm", type=click.IntRange(1, 100), default=3, show_default=True, help="Runs that confirm what was found."
)
@option("--search-seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Of the search itself.")
@option("--jobs", type=click.IntRange(1, 256), metavar="N", help="Runs at a time. Default: one a processor.")
@option("--unguided", is_flag=True, help="Only by chance: what runs have shown decides nothing.")
@option(
    "--resume", metavar="DIR", type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Go on with a search that was broken off; what was asked for then still holds.",
)  # fmt: skip
@run_options
def command(
    choice: Choice,
    manner: Manner,
    budget_ns: int | None,
    schedules: int | None,
    stop_after: int | None,
    kinds: tuple[str, ...],
    max_faults: int,
    from_ns: int | None,
    until_ns: int | None,
    seeds: tuple[int, ...],
    checks: tuple[str, ...],
    confirm: int,
    search_seed: int,
    jobs: int | None,
    unguided: bool,
    resume: Path | None,
) -> int:
    """Look for faults, times, orders and seeds that break a check of a scenario.

    First the scenario runs as it is: every check must pass then. After that one schedule of faults after the other is
    run, in virtual time and in several processes. Faults are drawn from all that the scenario supports; those
    schedules that bring the swarm into new states, by its consoles and its frames, are varied further.

    What breaks a check is shrunk until no fault can be left out, confirmed, and written as a scenario
    (finding-1.swarmrig.yml), as a test for pytest (test_finding_1.py) and to findings.json. Shrinking comes
    on top of the budget. The same options try the same schedules, with any number of --jobs.

    Exit codes: 0 nothing was found, and faults took effect; 2 something was found; 3 error, the scenario is broken
    already, or nothing could be tried; 130 interrupted (what was found is written; go on with --resume).
    """
    from swarmrig.cli.explore_session import Limits, explore_choice

    asked = {
        "seed": search_seed,
        "kinds": kinds,
        "most": max_faults,
        "seeds": seeds,
        "checks": checks,
        "from_ns": from_ns,
        "until_ns": until_ns,
        "guided": not unguided,
        "confirm": confirm,
    }
    return explore_choice(choice, manner, asked, Limits(budget_ns, schedules, stop_after, jobs), resume)
