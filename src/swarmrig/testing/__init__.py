"""For authors of plugins: a workbench to try a backend on, and the contract that every backend passes."""

from swarmrig.testing.contract import NODE_CONTRACT, NodeCase, node_contract
from swarmrig.testing.workbench import Trace, Workbench, open_workbench, scenario_of

__all__ = ["NODE_CONTRACT", "NodeCase", "Trace", "Workbench", "node_contract", "open_workbench", "scenario_of"]
