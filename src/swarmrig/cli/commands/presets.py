"""`swarmrig presets`"""

from __future__ import annotations

import click

from swarmrig.cli.options import json_option


@click.command("presets")
@json_option
def command(as_json: bool) -> None:
    """List the built-in scenarios.

    `swarmrig show NAME` prints one, `swarmrig run NAME` runs it.
    """
    from swarmrig.cli.output import say, say_json
    from swarmrig.model.units import format_duration
    from swarmrig.plugins import Registry
    from swarmrig.scenario.presets import list_presets

    presets = list_presets(Registry.load())
    if as_json:
        say_json(presets)
        return
    say(f"{'preset':<14} {'nodes':>5}  {'topology':<8} {'time':>5}  what it is for")
    for preset in presets:
        time = format_duration(preset.duration_ns)
        say(f"{preset.name:<14} {preset.nodes:>5}  {preset.topology.value:<8} {time:>5}  {preset.description}")
