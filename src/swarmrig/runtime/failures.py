"""What becomes of nodes that failed: each node's own policy, kept for every kind of node."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from swarmrig.api.nodes import kept_flash
from swarmrig.model.scenario import FailurePolicy, NodeSpec
from swarmrig.model.units import format_duration
from swarmrig.runtime.recorder import Recorder

FLASH = "flash.bin"


@dataclass(frozen=True, slots=True)
class Failure:
    """A node ended by itself, did not start, or cannot go on."""

    node: str
    message: str
    unfit: bool = False
    """It did not start, or cannot go on: then a run that fails by it ends at once."""
    told: bool = False
    """It has been recorded already that it ended, and that the run goes on without it, if it does."""


class Failures:
    """Judges failures by the policies of the nodes."""

    def __init__(self, nodes: Iterable[NodeSpec], recorder: Recorder, end_run: Callable[[], None]) -> None:
        self._policies = {node.id: node.on_failure for node in nodes}
        self._restarts = dict.fromkeys(self._policies, 0)
        self._recorder = recorder
        self._end_run = end_run

    def judge(self, failure: Failure) -> int | None:
        """Record a failure; returns after how many ns the node is to be started again, None when it is not."""
        node, policy = failure.node, self._policies[failure.node]
        restarts = self._restarts[node]
        delay_ns = policy.restart_after_ns(restarts)
        if delay_ns is not None:
            self._restarts[node] += 1
            again = f"started again after {format_duration(delay_ns)} ({restarts + 1} of {policy.limit})"
            self._recorder.warning(node, f"{failure.message}\n{again}")
        elif policy.policy is FailurePolicy.IGNORE:
            if not failure.told:
                self._recorder.warning(node, f"{failure.message}\nthe run goes on without it")
        else:
            after = f"\nit has been started again {restarts} times before" if restarts else ""
            self._recorder.failure(node, failure.message + after)
            if failure.unfit:
                self._end_run()
        return delay_ns


def keep_flash(directory: Path, life: int) -> Path | None:
    """A copy of the flash image as a node's former life left it, for its next one; None when it has no such image.
    OSError when it cannot be copied."""
    flash = directory / FLASH
    if not flash.exists():
        return None
    kept = kept_flash(directory, life)
    shutil.copyfile(flash, kept)
    return kept
