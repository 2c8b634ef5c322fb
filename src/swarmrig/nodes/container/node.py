"""A container as a node of a run."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

import anyio

from swarmrig.api.nodes import NodePlan
from swarmrig.nodes.container.engine import ANSWER_S, asking
from swarmrig.nodes.container.life import Life, Place, living
from swarmrig.nodes.power import LivingNode


class ContainerNode(LivingNode[Life]):
    """CanPause, beside what every living node can.

    Its files outlive a loss of power, and go with the run.
    """

    def __init__(self, plan: NodePlan, place: Place) -> None:
        super().__init__(plan)
        self._place = place

    @property
    def namespace(self) -> int | None:
        """The descriptor of its network namespace; None while it is not joined to the fabric."""
        return self._life.namespace if self._life is not None else None

    async def pause(self) -> None:
        """Freeze all of its processes."""
        with asking(self.spec.id, self._place.engine, "it cannot be paused"), anyio.fail_after(ANSWER_S):
            await self._place.container.pause()

    async def resume(self) -> None:
        with asking(self.spec.id, self._place.engine, "it cannot be resumed"), anyio.fail_after(ANSWER_S):
            await self._place.container.unpause()

    def _living(self) -> AbstractAsyncContextManager[Life]:
        return living(self._place)
