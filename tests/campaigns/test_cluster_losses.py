"""Workers that are killed, a scheduler that is: nothing is lost that had been finished, nothing made twice, nothing
left, and it is said what happened."""

import os
import signal
from pathlib import Path

import anyio
import pytest
from tests.campaigns.cluster_machinery import (
    cluster,
    result_of,
    runs_below,
    task,
    until,
    write_models,
)

from swarmrig.campaigns import cluster as cluster_executor
from swarmrig.campaigns.cluster import open_cluster
from swarmrig.campaigns.task import Resources
from swarmrig.errors import HostError

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]
KILLER = """
import os
from distributed import WorkerPlugin

class Killer(WorkerPlugin):
    def transition(self, key, start, finish, **_):
        if finish == "executing":
            os._exit(1)

async def dask_setup(worker):
    await worker.plugin_add(Killer(), name="killer")
"""


@pytest.fixture
def here(tmp_path):
    write_models(tmp_path, duration="500ms")
    write_models(tmp_path, "endless")
    return tmp_path


@pytest.fixture
def ours(tmp_path_factory):
    with cluster(tmp_path_factory.mktemp("cluster")) as found:
        yield found


class Campaign:
    """Executes tasks, again when they are lost, and counts."""

    def __init__(self, executor, place: Path):
        self.executor = executor
        self.place = place
        self.executions = {}

    async def run(self, task, *, again=True):
        of_task = self.executions.setdefault(task.id, [])
        while not of_task or (again and of_task[-1].lost is not None):
            place = self.place / f"{task.id}-{len(of_task)}"
            place.mkdir(parents=True)
            of_task.append(await self.executor.execute(task, place))


async def test_a_killed_worker_loses_only_what_it_was_about(ours, here):
    """An endless run is on the worker that is killed; it is lost, everything else is done."""
    doomed, other = ours.start_worker("cores=1 memory=1000 kvm=1"), ours.start_worker()
    endless = task(0, "endless.swarmrig.yml", resources=Resources(1, 64, kvm=True))
    others = [task(seed, "models.swarmrig.yml") for seed in (1, 2, 3)]
    async with open_cluster(ours.address, [endless, *others], here=here, tell=print, patience_s=5) as executor:
        campaign = Campaign(executor, here / "out")
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: campaign.run(endless, again=False))
            await until(lambda: runs_below(doomed))  # which has no room for more now
            for each in others:
                group.start_soon(campaign.run, each)
            await until(lambda: any(campaign.executions.get(name) for name in ("t1", "t2", "t3")))
            doomed.kill()
        (lost,) = campaign.executions["t0"]
        assert lost.exit_code is None
        assert lost.lost == f"worker {doomed.address} went away in the middle of it"
        for each in others:
            (only,) = campaign.executions[each.id]
            assert (only.exit_code, only.worker, only.lost) == (0, other.address, None)
            assert Path(result_of(only)["directory"], "results.json").is_file()
        await until(lambda: os.listdir(doomed.state) == [])  # its guardians have cleaned up
        with pytest.raises(HostError, match=r"for 1 s no worker of \S+ has offered cores=1 memory=64 kvm=1"):
            executor._link._patience_s = 1
            await executor.execute(endless, here / "out")


async def test_a_scheduler_that_comes_back_is_found_again_and_one_that_does_not_ends_it(ours, here):
    first = ours.start_worker()
    endless, quick = task(0, "endless.swarmrig.yml"), task(1, "models.swarmrig.yml")
    async with open_cluster(ours.address, [endless, quick], here=here, tell=print, patience_s=60) as executor:
        campaign = Campaign(executor, here / "out")
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: campaign.run(endless, again=False))
            await until(lambda: runs_below(first))
            ours.scheduler.kill()
        (lost,) = campaign.executions["t0"]
        assert lost.lost == f"the scheduler at {ours.address} went away"
        await until(lambda: os.listdir(first.state) == [])  # a worker without scheduler ends, and its runs with it
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: campaign.run(quick))
            await anyio.to_thread.run_sync(ours.start_scheduler)
            await anyio.to_thread.run_sync(ours.start_worker)
        assert campaign.executions["t1"][-1].exit_code == 0
        executor._link._patience_s = 1
        with pytest.raises(HostError, match="went away, and has not come back for 1 s") as told:
            ours.scheduler.kill(signal.SIGTERM)
            while True:
                await campaign.run(quick, again=False)
                campaign.executions.clear()
                campaign.place /= "more"
        assert "--resume" in told.value.hint


async def test_a_worker_that_dies_of_every_task_does_not_do_so_for_ever(ours, here, monkeypatch):
    monkeypatch.setattr(cluster_executor, "AGAIN", 1)
    (ours.root / "killer.py").write_text(KILLER)
    ours.start_worker(words=["--nanny", "--preload", str(ours.root / "killer.py")])
    one = task(1, "models.swarmrig.yml")
    async with open_cluster(ours.address, [one], here=here, tell=print) as executor:
        campaign = Campaign(executor, here / "out")
        await campaign.run(one, again=False)  # asked of two workers in all, not of more
        (execution,) = campaign.executions["t1"]
        assert execution.lost.endswith("went away before it had begun")
