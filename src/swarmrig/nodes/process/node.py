"""A program of this machine as a node of a run."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from swarmrig.api.nodes import NodePlan
from swarmrig.nodes.power import LivingNode
from swarmrig.nodes.process.life import Life, Place, living


class ProcessNode(LivingNode[Life]):
    """CanPause, beside what every living node can. Whatever is done to it, is done to all that it has started."""

    def __init__(self, plan: NodePlan, place: Place) -> None:
        super().__init__(plan)
        self._place = place

    async def pause(self) -> None:
        """Stop all of its processes."""
        await self.life.keeper.pause()

    async def resume(self) -> None:
        await self.life.keeper.resume()

    def _living(self) -> AbstractAsyncContextManager[Life]:
        return living(self._place)
