"""Tasks on a real scheduler with two real workers: results, files there and back, resources, versions."""

import json
import os
from dataclasses import replace
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
    write_scenario,
)

from swarmrig.campaigns import cluster_link, worker
from swarmrig.campaigns.bundle_content import Content
from swarmrig.campaigns.cluster import open_cluster
from swarmrig.campaigns.task import Resources
from swarmrig.errors import HostError
from swarmrig.runtime.digest import run_digest

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]
MODULES = """\
swarmrig: 1
name: modules
duration: 60s
time: virtual
nodes:
  gw: {kind: python, model: cloud}
  s1: {kind: python, model: "./table.py:Node", settings: {to: gw}}
checks: [no_crashes]
"""


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    with cluster(tmp_path_factory.mktemp("cluster"), workers=2) as found:
        yield found


@pytest.fixture
def here(tmp_path):
    write_scenario(tmp_path)
    return tmp_path


def opened(two, tasks, here, tell=None, **values):
    return open_cluster(two.address, tasks, here=here, tell=tell or (lambda line: None), **values)


def room(place, name="out"):
    path = place / name
    path.mkdir()
    return path


async def test_runs_on_workers_are_those_of_this_machine_and_all_agree(two, here):
    told, tasks = [], [task(seed) for seed in (1, 2)]
    executions = {}

    async def execute(executor, each):
        executions[each.id] = await executor.execute(each, room(here, each.id))

    async with opened(two, tasks, here, told.append) as executor:
        assert executor.window == 8
        async with anyio.create_task_group() as group:
            for each in tasks:
                group.start_soon(execute, executor, each)
    assert {execution.worker for execution in executions.values()} == {each.address for each in two.workers}
    for name, execution in executions.items():
        assert (execution.exit_code, execution.lost) == (0, None), execution
        document = result_of(execution)
        assert document["results"]["run"]["tier"] == "exact"
        (directory,) = (path for path in (here / name).iterdir() if path.is_dir())
        assert document["directory"] == str(directory)
        assert run_digest(directory) == document["results"]["run"]["digest"]
        assert json.loads((directory / "results.json").read_text()) == document["results"]
        flash = directory / "nodes/s1/flash.bin"
        assert flash.stat().st_blocks * 512 < flash.stat().st_size / 10  # holes stay holes
    assert len({result_of(each)["results"]["run"]["digest"] for each in executions.values()}) == 2
    assert told == []  # every worker gave the same digest, with the same inputs
    for each in two.workers:
        assert os.listdir(each.state) == []


async def test_files_are_sent_once_and_come_back_once(two, here):
    """A module with another one beside it. What is damaged is sent again."""
    (here / "table.py").write_text("import neighbour\n\nclass Node(neighbour.Base):\n    pass\n")
    (here / "neighbour.py").write_text("from swarmrig.nodes.python.models.sensor import Sensor as Base\n")
    (here / "other.swarmrig.yml").write_text(MODULES)
    one, runs = task(1, "other.swarmrig.yml"), []
    async with opened(two, [one], here) as executor:
        transfer = executor._transfer
        sent, fetched = transfer.sent_bytes, transfer.fetched_bytes
        assert sent  # to both, with the pilot
        for name in ("first", "second", "third"):
            if name == "third":
                damage(two)
            runs.append(result_of(await executor.execute(one, room(here, name))))
            if name == "first":
                came = transfer.fetched_bytes - fetched
            if name == "second":
                assert 0 < transfer.fetched_bytes - fetched - came < came
                assert transfer.sent_bytes == sent
        assert sent < transfer.sent_bytes <= sent * 2  # to one of them, as long as that has room
    directories = [Path(run["directory"]) for run in runs]
    assert {run_digest(directory) for directory in directories} == {run["results"]["run"]["digest"] for run in runs}
    assert len({run_digest(directory) for directory in directories}) == 1
    assert str(here) not in (directories[0] / "scenario.yml").read_text()


def damage(two):
    for each in two.workers:
        for path in (each.cache / "cluster/content").iterdir():
            assert path.stat().st_mode & 0o777 == 0o400
            path.chmod(0o600)
            path.write_bytes(b"x" * path.stat().st_size)


async def test_what_the_scenario_says_wrongly_is_refused_once(two, here):
    write_scenario(here, time="real")
    one, lacking = task(scenario="no.swarmrig.yml"), task(settings=("nodes.s1.colour=red",))
    async with opened(two, [one], here) as executor:
        for each in (one, lacking):
            execution = await executor.execute(each, room(here, f"out-{each.settings}"))
            assert execution.exit_code == 3 and execution.lost is None
            assert [error["type"] for document in execution.documents for error in document["errors"]] == [
                "ScenarioError"
            ]


async def test_a_run_that_does_not_end_is_lost_and_its_processes_are_gone(two, here):
    write_models(here, "tiny")
    one = task(timeout_s=1.0)
    async with opened(two, [one], here) as executor:
        execution = await executor.execute(one, room(here))
    assert "did not end within" in execution.lost
    for each in two.workers:
        assert os.listdir(each.state) == []


async def test_cancelling_ends_the_processes_on_the_worker(two, here):
    write_models(here, "tiny")
    one = task()
    async with opened(two, [one], here) as executor:
        async with anyio.create_task_group() as group:
            group.start_soon(executor.execute, one, room(here))
            await until(lambda: runs_below(*two.workers))
            group.cancel_scope.cancel()
        await executor.settle()
        assert not runs_below(*two.workers)
    for each in two.workers:
        assert os.listdir(each.state) == []


async def test_what_workers_do_not_offer_is_said_before_anything_is_run(two, here):
    wants = [task(resources=Resources(4, 64)), task(2, resources=Resources(1, 64, kvm=True))]
    with pytest.raises(HostError, match=r"no worker of tcp://\S+ offers cores=4 memory=64, which t1 needs: they offer "
                                        r"cores=1 memory=1000") as told:  # fmt: skip
        async with opened(two, wants, here):
            pass
    assert '--resources "cores=4 memory=64"' in told.value.hint
    with pytest.raises(HostError, match="offers cores=1 memory=64 kvm=1, which t2 needs"):
        async with opened(two, wants[1:], here):
            pass


async def test_nobody_at_the_address_is_told_soon(here, monkeypatch):
    monkeypatch.setattr(cluster_link, "CONNECT_S", 0.5)
    for address in ("tcp://127.0.0.1:1", "nonsense", "carrier://pigeon"):
        with pytest.raises(HostError, match=f"no Dask scheduler answers at {address}"):
            async with open_cluster(address, [task()], here=here, tell=print):
                pass


async def test_orders_that_would_lead_astray_are_declined(two, here):
    write_scenario(here, time="real")
    one = task()
    async with opened(two, [one], here) as executor:
        bundle = await executor.bundle(one)
        outside = {"../../outside": Content("0" * 64, 1)}
        executor._bundles[one.scenario, one.settings] = replace(bundle, files=outside)
        execution = await executor.execute(one, room(here))
        assert "cannot run it: '../../outside' is no place in a directory" in execution.lost
        escaping = bundle.scenario.replace('"tiny"', '"swarmrig-bundle:../../x"', 1)
        executor._bundles[one.scenario, one.settings] = replace(bundle, scenario=escaping)
        execution = await executor.execute(one, room(here, "other"))
        assert "is no place in a directory" in execution.lost


def test_a_chunk_that_is_none_is_refused():
    assert worker.unpacked(worker.packed(b"abc")) == b"abc"
    assert worker.unpacked(worker.packed(bytes(worker.CHUNK_BYTES))) == bytes(worker.CHUNK_BYTES)
    for wrong in (b"", b"abc", worker.packed(b"abc")[:-5], worker.packed(bytes(worker.CHUNK_BYTES + 1))):
        with pytest.raises(ValueError, match="not a chunk"):
            worker.unpacked(wrong)
