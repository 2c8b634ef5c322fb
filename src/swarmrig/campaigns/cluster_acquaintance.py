"""Getting to know the workers of a cluster: another version of the rig is refused, what else differs is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import anyio

from swarmrig import __version__
from swarmrig.campaigns.cluster_link import WORKER_S, Link, LostError
from swarmrig.campaigns.cluster_machines import HERE, differences_between, refuse_other_versions


class Acquaintance:
    """What workers are made of, of all that were met so far."""

    def __init__(self, link: Link, emulators: Sequence[str], tell: Callable[[str], None]) -> None:
        self._link = link
        self._emulators = list(emulators)
        self._tell = tell
        self._met: set[str] = set()
        self._surveys: dict[str, Mapping[str, str]] = {}
        self._told: set[str] = set()
        self._meeting = anyio.Lock()

    async def meet(self, *workers: str) -> None:
        """Ask those that are new, and tell what differs, each thing once. HostError when one has another version of the
        rig."""
        from swarmrig.campaigns.worker_survey import survey

        async with self._meeting:
            new = [worker for worker in workers if worker not in self._met]
            if not new:
                return
            refuse_other_versions(__version__, {worker: await self._version(worker) for worker in new})
            self._met.update(new)
            if HERE not in self._surveys:
                self._surveys[HERE] = await survey(())
            for worker in new:
                await self._ask(worker)
            for line in differences_between(self._surveys):
                if line not in self._told:
                    self._tell(line)
                self._told.add(line)

    async def _version(self, worker: str) -> str:
        from swarmrig.campaigns.worker_survey import version_here

        try:
            return str(await self._link.on_worker(worker, version_here, deadline_s=WORKER_S))
        except LostError as error:
            why = str(error).removeprefix(f"worker {worker}: ")
            return f"none that answers ({why})"

    async def _ask(self, worker: str) -> None:
        from swarmrig.campaigns.worker_survey import survey

        try:
            self._surveys[worker] = await self._link.on_worker(worker, survey, self._emulators, deadline_s=WORKER_S)
        except LostError as error:
            self._tell(f"what {worker} is made of is not known: {error}")
