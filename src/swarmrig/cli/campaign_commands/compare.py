"""`swarmrig campaign compare`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from swarmrig.cli.campaign_options import history_option
from swarmrig.cli.options import confidence_option, json_option, option, tolerance_option

if TYPE_CHECKING:
    from swarmrig.suites.compare import Worse

_WAYS = {"max": ("max",), "min": ("min",), "both": ("max", "min")}


def _worse(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> dict[str, Worse]:
    pairs = [value.rpartition("=") for value in values]
    if wrong := [
        value for value, (metric, _, way) in zip(values, pairs, strict=True) if not metric or way not in _WAYS
    ]:
        raise click.BadParameter(
            f"expected METRIC=max, min or both, for example nodes.*.hub.loss=max, got {wrong[0]!r}"
        )
    return {metric.strip(): frozenset(_WAYS[way]) for metric, _, way in pairs}


@click.command("compare")
@click.argument("first", metavar="BEFORE")
@click.argument("second", metavar="AFTER")
@option(
    "--judge",
    "worse",
    multiple=True,
    metavar="METRIC=max|min|both",
    callback=_worse,
    help="Let this metric decide: `max` when more is worse, `min` when less is.",
)
@confidence_option
@tolerance_option
@history_option
@json_option
def command(
    first: str,
    second: str,
    worse: dict[str, Worse],
    confidence: float,
    tolerance: float,
    history: Path,
    as_json: bool,
) -> int:
    """Compare two campaigns: what fails now and did not, what is flaky, what moved, and which inputs changed.

    BEFORE and AFTER are directories of campaigns, their campaign.json, or ids in the history (or `last`). Runs belong
    together by scenario, variant and seed. Runs that are missing, or were not judged, are UNCLEAR; so is a run that
    failed more often than before, but did before. Runs in quarantine are told and do not count.

    A digest that changed is explained by the inputs that did. Metrics are compared over the seeds and repetitions of
    a scenario's variant, and only told, unless --judge lets them decide; below four runs on each side, nobody can say.

    Exit codes: 0 no regression, 1 something is unclear, 2 regression.
    """
    from swarmrig.cli.campaign_history import tell_comparison
    from swarmrig.suites.compare import Judging

    return tell_comparison(first, second, history, Judging(confidence, tolerance), worse, as_json=as_json)
