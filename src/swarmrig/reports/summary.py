"""summary.json: the run in the words of the swarm dialect's own tool, so that scripts written for it keep working.

Runs of that dialect also get its file names: swarm_summary.json and qemu_node<ID>.log.
"""

from __future__ import annotations

from typing import Any

from swarmrig.model.record import RunRecord
from swarmrig.model.units import NS_PER_S
from swarmrig.reports.results import check, fault, warnings

SWARM_DIALECT = "swarm"


def summary(record: RunRecord) -> dict[str, Any]:
    """The document of summary.json and swarm_summary.json."""
    scenario = record.scenario
    return {
        "swarm": scenario.name,
        "topology": scenario.network.topology,
        "node_count": len(scenario.nodes),
        "duration_s": scenario.duration_ns / NS_PER_S,
        "run_s": round(record.run_ns / NS_PER_S, 3),
        "verdict": record.verdict,
        "exit_code": record.exit_code,
        "interrupted": record.interrupted,
        "nodes": [
            {
                "node_id": node.number,
                "role": node.role,
                "scenario": node.scenario,
                "channel": node.channel,
                "tdm_slot": node.tdm_slot,
            }
            for node in scenario.nodes
        ],
        "assertions": [check(result) for result in record.checks],
        "faults": [fault(one) for one in record.faults],
        "warnings": list(warnings(record)),
        "failures": list(record.failures),
    }


def console_names(record: RunRecord) -> dict[str, str]:
    """The swarm dialect's name of each console log, by its path in the run directory; empty for other dialects."""
    if record.scenario.dialect != SWARM_DIALECT:
        return {}
    return {f"nodes/{node.id}/console.log": f"qemu_node{node.number}.log" for node in record.scenario.nodes}
