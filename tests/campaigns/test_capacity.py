"""Room for runs: in the order of asking, nothing lost, nothing twice; what never fits is refused."""

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmrig.campaigns.capacity import Capacity, Room, capacity_for, refuse_what_cannot_run
from swarmrig.campaigns.task import Resources, Task
from swarmrig.errors import HostError


def task(name, **needs):
    return Task(name, name, "a.yml", {}, (), 1, resources=Resources(**needs))


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.5, 1.0, 2.0, 4.0]), st.integers(0, 100)), min_size=1, max_size=12))
def test_no_more_is_taken_than_there_is_and_everybody_comes_in_turn(needs):
    taken, most, order = [0.0, 0], [0.0, 0], []

    async def occupy(room, number, cores, memory):
        async with room.taken(Resources(cores, memory)):
            order.append(number)
            for index, amount in enumerate((cores, memory)):
                taken[index] += amount
                most[index] = max(most[index], taken[index])
            await anyio.lowlevel.checkpoint()
            for index, amount in enumerate((cores, memory)):
                taken[index] -= amount

    async def all_of_them():
        room = Room(Capacity(4.0, 100))
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                for number, (cores, memory) in enumerate(needs):
                    tasks.start_soon(occupy, room, number, cores, memory)

    anyio.run(all_of_them)
    assert order == sorted(order)
    assert most[0] <= 4.0 + 1e-5
    assert most[1] <= 100


@pytest.mark.anyio
async def test_a_large_run_is_not_passed_by_small_ones_until_it_starves():
    room = Room(Capacity(2.0, 1000))
    order = []
    release = anyio.Event()

    async def occupy(name, cores):
        async with room.taken(Resources(cores)):
            order.append(name)
            await release.wait()

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for name, cores in (("small", 1.0), ("large", 2.0), ("later", 1.0)):
                tasks.start_soon(occupy, name, cores)
                await anyio.wait_all_tasks_blocked()
            assert order == ["small"]
            release.set()
    assert order == ["small", "large", "later"]


@pytest.mark.anyio
async def test_who_stops_waiting_lets_the_next_one_pass():
    room = Room(Capacity(1.0, 1000))
    with anyio.fail_after(60):
        async with room.taken(Resources()), anyio.create_task_group() as tasks:
            scope = anyio.CancelScope()

            async def impatient():
                with scope:
                    async with room.taken(Resources(9.0)):
                        raise AssertionError("there are no nine cores")

            tasks.start_soon(impatient)
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
        async with room.taken(Resources()):
            pass


def test_what_never_fits_is_refused_with_what_lacks_and_who_needs_it():
    capacity = Capacity(2.0, 512, kvm=False, why_no_kvm="/dev/kvm does not exist", docker=False, why_no_docker="none")
    with pytest.raises(HostError) as caught:
        refuse_what_cannot_run(
            (task("a", cores=3.0), task("b", cores=3.0, memory_mib=600), task("k", kvm=True), task("d", docker=True)),
            capacity,
        )
    message = str(caught.value)
    assert "3 cores (there are 2): needed by 2 runs, a the first" in message
    assert "600 MiB of memory (there are 512): needed by 1 run, b the first" in message
    assert "kvm (/dev/kvm does not exist)" in message
    assert "docker (none)" in message
    assert "--only" in message
    refuse_what_cannot_run((task("a", cores=2.0, memory_mib=512),), capacity)


@pytest.mark.anyio
async def test_this_machine_has_cores_and_memory_unless_somebody_says_otherwise():
    found = await capacity_for((task("a"),), None, None)
    assert found.cores >= 1
    assert found.memory_mib > 64
    said = await capacity_for((task("a"),), 7, 3 << 30)
    assert (said.cores, said.memory_mib) == (7.0, 3072)


@pytest.mark.anyio
async def test_docker_is_asked_only_when_a_run_needs_it(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    assert (await capacity_for((task("a"),), None, None)).docker
    found = await capacity_for((task("a", docker=True),), None, None)
    assert found.lacks(Resources(docker=True)) == [f"docker ({tmp_path}/none.sock does not exist)"]
