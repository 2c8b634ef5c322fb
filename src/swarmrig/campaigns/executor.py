"""Where the runs of a campaign are executed."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from swarmrig.campaigns.task import Execution, Task


class Executor(Protocol):
    """Runs `swarmrig run --json` for tasks, each as a process of its own, as their resources allow.

    Executors are made by async context managers; leaving one ends what still runs, and leaves nothing behind.
    """

    @property
    def window(self) -> int:
        """How many tasks are worth handing over at a time: more than can run, so that none waits for the next."""
        ...

    async def execute(self, task: Task, place: Path) -> Execution:
        """Run a task; its run directory appears below `place`, a directory that exists and is empty.

        Waits until the resources are there. A cancelled call ends the run and its processes. Failures of the run, of
        the machine and of a worker are in the answer; raises HostError only when no task can be run here any more.
        """
        ...
