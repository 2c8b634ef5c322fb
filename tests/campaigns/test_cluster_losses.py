"""Workers that are killed, a scheduler that is: nothing is lost that had been finished, nothing made twice, nothing
left, and it is said what happened. All of it through TLS."""

import os
import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path

import anyio
import dask
import distributed  # noqa: F401 - has defaults of its own, which come first
import pytest
from tests.campaigns.cluster_machinery import (
    DEADLINE_S,
    Cluster,
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
    """A cluster that speaks TLS, with the certificate of this campaigner."""
    root = tmp_path_factory.mktemp("cluster")
    key, certificate = str(root / "key.pem"), str(root / "certificate.pem")
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    make += ["-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run(make, check=True, capture_output=True)
    options = ["--protocol", "tls", "--tls-ca-file", certificate, "--tls-cert", certificate, "--tls-key", key]
    client = {"ca-file": certificate, "client.cert": certificate, "client.key": key}
    settings = {f"distributed.comm.tls.{name}": value for name, value in client.items()}
    with ExitStack() as stack, dask.config.set(settings):
        yield Cluster(root, stack, options)


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


async def test_a_worker_that_goes_away_loses_what_it_was_about_and_hands_on_what_waited(ours, here, monkeypatch):
    """Two runs that only one worker can take, one at a time; then one that dies of whatever it gets."""
    monkeypatch.setattr(cluster_executor, "AGAIN", 1)
    (ours.root / "killer.py").write_text(KILLER)
    needs = Resources(1, 64, kvm=True)
    begun, waiting = (task(seed, "endless.swarmrig.yml", resources=needs) for seed in (1, 2))
    doomed = ours.start_worker("cores=1 memory=1000 kvm=1")
    async with open_cluster(ours.address, [begun, waiting], here=here, tell=print) as executor:
        campaign = Campaign(executor, here / "out")
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: campaign.run(begun, again=False))
            await until(lambda: runs_below(doomed))
            group.start_soon(lambda: campaign.run(waiting, again=False))
            with anyio.fail_after(DEADLINE_S):
                while len((await executor._link._client.processing())[doomed.address]) < 2:
                    await anyio.sleep(0.05)
            doomed.kill()
            await until(lambda: campaign.executions["t1"])
            assert not campaign.executions["t2"]
            killing = ["--no-nanny", "--preload", str(ours.root / "killer.py")]
            await anyio.to_thread.run_sync(lambda: ours.start_worker("cores=1 memory=1000 kvm=1", words=killing))
        (lost,), (given_up,) = campaign.executions["t1"], campaign.executions["t2"]
        assert (lost.exit_code, lost.worker) == (None, doomed.address)
        assert lost.lost == f"worker {doomed.address} went away in the middle of it"
        assert given_up.lost == f"worker {ours.workers[1].address} went away before it had begun"
        await until(lambda: os.listdir(doomed.state) == [])  # its guardians have cleaned up
        executor._link._patience_s = 1
        with pytest.raises(HostError, match=r"for 1 s no worker of \S+ has offered cores=1 memory=64 kvm=1"):
            await executor.execute(waiting, here / "out")


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
