"""`campaign run`: from a campaign file to its verdict."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import anyio

from swarmrig import __version__
from swarmrig.campaigns.capacity import capacity_for, refuse_what_cannot_run
from swarmrig.campaigns.conclude import conclude, write_results
from swarmrig.campaigns.conduct import Conducted, Conducting, conduct, is_finished, unfinished
from swarmrig.campaigns.directory import (
    Begun,
    CampaignDirectory,
    Journal,
    begin_directory,
    open_journal,
    reopen_directory,
)
from swarmrig.campaigns.executor import Executor
from swarmrig.campaigns.history_commit import commit_of
from swarmrig.campaigns.load import load_campaign, load_campaign_text
from swarmrig.campaigns.local import open_local
from swarmrig.campaigns.plan import CampaignPlan
from swarmrig.campaigns.prepare import Prepared, part_of, prepare
from swarmrig.campaigns.results import CampaignResults, QuarantineUse
from swarmrig.campaigns.task import Task
from swarmrig.cli.campaign_options import Aftermath, Selection
from swarmrig.cli.campaign_told import tell_end
from swarmrig.cli.campaign_view import open_view, planning
from swarmrig.cli.failures import told_as_json
from swarmrig.cli.output import counted, harmless, say
from swarmrig.cli.signals import interruption
from swarmrig.errors import HostError, leaves_of
from swarmrig.plugins import Registry
from swarmrig.proc import RunScope, open_spawner
from swarmrig.runtime.directory import now_text


@dataclass(frozen=True, slots=True)
class CampaignManner:
    """How to run a campaign, as the command line says it."""

    output_dir: Path
    jobs: int | None = None
    memory_bytes: int | None = None
    retries: int | None = None
    address: str | None = None
    aftermath: Aftermath = Aftermath()

    @property
    def as_json(self) -> bool:
        return self.aftermath.as_json


def run_file(file: Path, selection: Selection, manner: CampaignManner) -> int:
    """Run a campaign file from its beginning; returns the exit code."""
    with told_as_json(manner.as_json):
        return _run(load_campaign(file), manner, selection, None)


def go_on(path: Path, manner: CampaignManner) -> int:
    """Run what a campaign has left undone; returns the exit code."""
    with told_as_json(manner.as_json):
        directory = reopen_directory(path)
        begun = directory.begun
        if begun.merged:
            raise HostError(f"{path} was put together from shards", hint=f"go on with them: {', '.join(begun.merged)}")
        plan = load_campaign_text(directory.text, begun.file, Path(begun.here))
        return _run(plan, manner, Selection(begun.shard, begun.only), directory)


def _run(plan: CampaignPlan, manner: CampaignManner, selection: Selection, before: CampaignDirectory | None) -> int:
    campaign = _Campaign(plan, manner, selection)
    try:
        anyio.run(campaign.run, before)
    except BaseException as error:
        campaign.give_up(error)
        raise
    assert campaign.directory is not None
    results = campaign.conclude(campaign.directory)
    return tell_end(results, campaign.directory.path, manner.aftermath, campaign.outcome.hints)


class _Campaign:
    """One call of the command. Whatever happens once there is a directory, its reports are written."""

    def __init__(self, plan: CampaignPlan, manner: CampaignManner, selection: Selection) -> None:
        self.outcome = Conducted()
        self.directory: CampaignDirectory | None = None
        self._plan = plan
        self._manner = manner
        self._selection = selection
        self._prepared = Prepared((), (), (), ())
        self._tasks: tuple[Task, ...] = ()
        self._journal = Journal(Path())
        self._notes: list[str] = []

    async def run(self, before: CampaignDirectory | None) -> None:
        """Prepare, then execute. Raises what must be repaired before anything can be run."""
        hurry = anyio.Event()
        with anyio.CancelScope() as hurried:
            async with interruption(hurried) as interrupt, anyio.create_task_group() as watch:
                watch.start_soon(_set_when_cancelled, hurry)
                await self._prepare()
                if interrupt.is_set():
                    raise KeyboardInterrupt
                async with self._opened(before, hurry) as (directory, executor):
                    await self._conduct(directory, executor, interrupt)
                watch.cancel_scope.cancel()
        if hurried.cancelled_caught and self.directory is None:
            raise KeyboardInterrupt

    async def _prepare(self) -> None:
        with planning(as_json=self._manner.as_json) as tell:
            async with open_spawner(RunScope.passing()) as spawner:
                self._prepared = await prepare(self._plan, Registry.load(), spawner=spawner, tell=tell)
        self._tasks = part_of(self._prepared.tasks, self._selection.shard, self._selection.only)
        if not self._tasks:
            raise HostError("this leaves no run", hint="see `swarmrig campaign plan FILE`")
        for warning in self._prepared.warnings:
            say(f"warning: {harmless(warning)}", stream=sys.stderr)

    @asynccontextmanager
    async def _opened(
        self, before: CampaignDirectory | None, hurry: anyio.Event
    ) -> AsyncIterator[tuple[CampaignDirectory, Executor]]:
        """The directory, made when nothing stands in the way any more, and who executes."""
        here, address = self._plan.here, self._manner.address
        if address is not None:
            from swarmrig.campaigns.cluster import open_cluster

            async with open_cluster(address, self._tasks, here=here, tell=self._note) as cluster:
                with self._held(before) as directory:
                    yield directory, cluster
            return
        capacity = await capacity_for(self._tasks, self._manner.jobs, self._manner.memory_bytes)
        refuse_what_cannot_run(self._tasks, capacity)
        with self._held(before) as directory:
            async with open_local(directory.path, here, capacity, hurry) as local:
                yield directory, local

    @contextmanager
    def _held(self, before: CampaignDirectory | None) -> Iterator[CampaignDirectory]:
        """The directory of this campaign, nobody else's for now, with what has ended in it."""
        plan, selection = self._plan, self._selection
        directory = before
        if directory is None:
            shard, only = selection.shard, selection.only
            commit = commit_of(plan.here)
            begun = Begun(plan.name, plan.file, str(plan.here), now_text(), shard=shard, only=only, commit=commit)
            directory = begin_directory(self._manner.output_dir, plan.text, begun)
        with directory.locked():
            self._journal = open_journal(directory)
            self._tell_changes(directory)
            directory.write_plan(self._tasks)
            self.directory = directory
            yield directory

    def _tell_changes(self, directory: CampaignDirectory) -> None:
        """What ended in a former part of the campaign, and does not count any more."""
        begun, known = directory.begun, self._journal.results
        if begun.version != __version__:
            self._note(f"this campaign was begun with version {begun.version}, and goes on with {__version__}")
        changed = [task.id for task in self._tasks if task.id in known and known[task.id].key != task.key]
        if changed:
            what = f"{counted(len(changed), 'run')}, {changed[0]} the first of them"
            self._note(f"scenario or firmware have changed since: {what}, will be made again")
        ended = sum(is_finished(task, known.get(task.id)) for task in self._tasks)
        if ended and not self._manner.as_json:
            say(f"{counted(ended, 'run')} of {len(self._tasks)} had ended before")

    async def _conduct(self, directory: CampaignDirectory, executor: Executor, interrupt: anyio.Event) -> None:
        values, retries = self._plan.values, self._manner.retries
        missing = unfinished(self._tasks, self._journal.results)
        done = len(self._tasks) - len(missing)
        with open_view(len(self._tasks), done, as_json=self._manner.as_json) as view:
            manner = Conducting(view, interrupt, values.retries if retries is None else retries, values.keep == "all")
            await conduct(missing, directory, self._journal, executor, manner, self.outcome)

    def _note(self, text: str) -> None:
        self._notes.append(text)
        say(f"warning: {harmless(text)}", stream=sys.stderr)

    def conclude(self, directory: CampaignDirectory) -> CampaignResults:
        """The results, written as far as the disk permits."""
        results = conclude(
            directory,
            self._tasks,
            self._journal.results,
            values=self._plan.values,
            outcome=self.outcome,
            quarantine=_those_of(self._prepared, self._tasks),
            warnings=(*self._prepared.warnings, *self._notes),
        )
        try:
            write_results(directory, results)
        except HostError as error:
            say(f"error: {harmless(str(error))}", stream=sys.stderr)
        return results

    def give_up(self, error: BaseException) -> None:
        """Reports of what there is, when the campaign ends by an error."""
        if self.directory is not None:
            self.outcome.stopped = self.outcome.stopped or (str(next(leaves_of(error))).splitlines() or ["error"])[0]
            self.conclude(self.directory)


def _those_of(prepared: Prepared, tasks: Iterable[Task]) -> tuple[QuarantineUse, ...]:
    ids = {task.id for task in tasks}
    return tuple(replace(use, tasks=tuple(task for task in use.tasks if task in ids)) for use in prepared.quarantine)


async def _set_when_cancelled(event: anyio.Event) -> None:
    try:
        await anyio.sleep_forever()
    finally:
        event.set()


def merge_directories(directories: Sequence[Path], output: Path, *, as_json: bool) -> int:
    """Put shards together; returns the exit code."""
    from swarmrig.campaigns.merge import merge

    with told_as_json(as_json):
        directory, results = merge(directories, output)
        return tell_end(results, directory.path, Aftermath(report=True, as_json=as_json))
