"""`swarmrig presets`"""

from __future__ import annotations

import click

from swarmrig.cli.options import json_option


@click.command("presets")
@json_option
def command(as_json: bool) -> None:
    """List the built-in scenarios."""
    from swarmrig.cli.loading import load, preset_names
    from swarmrig.cli.options import Choice
    from swarmrig.cli.output import say, say_json
    from swarmrig.model.units import format_duration
    from swarmrig.plugins import Registry

    registry = Registry.load()
    scenarios = {name: load(Choice(name), registry) for name in preset_names()}
    if as_json:
        say_json(
            [
                {
                    "name": name,
                    "nodes": len(scenario.nodes),
                    "topology": scenario.network.topology,
                    "duration_s": scenario.duration_ns / 1e9,
                    "faults": [fault.kind for fault in scenario.faults],
                    "checks": [check.label for check in scenario.checks],
                }
                for name, scenario in scenarios.items()
            ]
        )
        return
    say(f"{'preset':<14} {'nodes':>5}  {'topology':<8} {'time':>5}  checks")
    for name, scenario in scenarios.items():
        labels = " ".join(check.label for check in scenario.checks)
        faults = "".join(f" + {fault.kind}" for fault in scenario.faults)
        topology = scenario.network.topology.value
        time = format_duration(scenario.duration_ns)
        say(f"{name:<14} {len(scenario.nodes):>5}  {topology:<8} {time:>5}  {labels}{faults}")
