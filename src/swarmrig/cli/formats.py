"""The file formats: where the JSON Schema of each is made."""

from __future__ import annotations

import pkgutil
from typing import Any

from swarmrig.plugins import Registry

FORMATS = {
    "scenario": "swarmrig.scenario.schema:scenario_schema",
    "results": "swarmrig.reports.results:schema",
    "suite": "swarmrig.suites.native:suite_schema",
    "campaign": "swarmrig.campaigns.native:campaign_schema",
    "image": "swarmrig.fixtures.recipe:recipe_schema",
}
"""Each is imported when it is asked for; that of scenarios takes the plugins."""


def format_schema(which: str, registry: Registry) -> dict[str, Any]:
    """The JSON Schema of one of FORMATS, its defaults as a file would have them."""
    from swarmrig.scenario.quantity_schema import with_written_defaults

    make = pkgutil.resolve_name(FORMATS[which])
    return with_written_defaults(make(registry) if which == "scenario" else make())
