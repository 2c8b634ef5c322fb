"""What a container has, says and does, on a real engine."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from swarmrig.api.nodes import ExitStatus
from swarmrig.errors import NodeError
from swarmrig.model.scenario import NodeSpec
from swarmrig.nodes.container.backend import ContainerBackend
from swarmrig.nodes.container.life import exit_status
from swarmrig.testing import open_workbench

pytestmark = [pytest.mark.anyio, pytest.mark.root]
Container = Callable[..., NodeSpec]
STAY = "trap 'exit 0' TERM; echo up; while :; do sleep 0.1; done"


async def test_it_is_told_its_place_and_knows_everybody_by_name(
    engine: Any, container: Container, tmp_path: Path
) -> None:
    spec = container(f"env; cat /etc/hosts; ip address show eth0; {STAY}", environment={"COLOUR": "blue"})
    other = container(node_id="other", number=2)
    async with open_workbench(tmp_path, ContainerBackend(), spec, other) as bench, bench.node("c1"):
        trace = bench.trace("c1")
        await trace.wait_for_console("^up$")
        mine, theirs = bench.network.device("c1"), bench.network.device("other")
        assert trace.count(rf"^SWARMRIG_ADDRESS={mine.ip}$") == 1
        assert trace.count(r"^SWARMRIG_NODE=c1$") == 1
        assert trace.count(r"^SWARMRIG_PORT=5005$") == 1
        assert trace.count(r"^COLOUR=blue$") == 1
        assert trace.count(rf"^{theirs.ip}\s+other$") == 1


async def test_its_interface_is_its_place_on_the_fabric(engine: Any, container: Container, tmp_path: Path) -> None:
    script = f"ip address show eth0; ping -c 1 -W 1 aggregator; {STAY}"  # from its first instruction on
    async with open_workbench(tmp_path, ContainerBackend(), container(script)) as bench, bench.node():
        trace, device = bench.trace(), bench.network.device("c1")
        await trace.wait_for_console("^up$")
        assert trace.count(f"link/ether {device.mac}") == 1
        assert trace.count(f"inet {device.ip}/{device.prefix}") == 1
        asked = next(frame for frame in trace.frames if frame[12:14] == b"\x08\x06")
        assert asked[6:12].hex(":") == device.mac
        assert asked[38:42] == socket.inet_aton(bench.network.device("aggregator").ip)


async def test_while_it_is_asked_to_end_it_is_still_in_the_network(
    engine: Any, container: Container, tmp_path: Path
) -> None:
    script = "trap 'ping -c 1 -W 1 aggregator; exit 0' TERM; echo up; while :; do sleep 0.1; done"
    async with open_workbench(tmp_path, ContainerBackend(), container(script)) as bench:
        async with bench.node():
            await bench.trace().wait_for_console("^up$")
            before = bench.trace().frame_count
        assert bench.trace().frame_count > before


async def test_ports_of_this_machine_lead_into_it(
    engine: Any, container: Container, tmp_path: Path, free_port: int
) -> None:
    script = "trap 'exit 0' TERM; echo up; while :; do nc -l -p 80 -e cat; done"
    spec = container(script, ports=(f"{free_port}:80",))
    async with open_workbench(tmp_path, ContainerBackend(), spec) as bench, bench.node() as node:
        for _ in range(2):  # it boots, and boots again
            await bench.trace().wait_for_console("^up$")
            assert await _echoed(free_port, b"hello" * 20_000) == b"hello" * 20_000
            bench.trace().console.clear()
            await node.reset()  # type: ignore[attr-defined]


async def _echoed(port: int, data: bytes) -> bytes:
    """What comes back; nobody may listen yet, which ends a connection at once."""
    with anyio.fail_after(10):
        while True:
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                received = b""
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(_send_all, stream, data)
                    try:
                        while True:
                            received += await stream.receive()
                    except (anyio.EndOfStream, anyio.BrokenResourceError):
                        pass
                if received:
                    return received


async def _send_all(stream: Any, data: bytes) -> None:
    try:
        await stream.send(data)
        await stream.send_eof()
    except (anyio.BrokenResourceError, OSError):
        pass


async def test_a_port_that_is_taken_since_the_plan_is_told(
    engine: Any, container: Container, tmp_path: Path, free_port: int
) -> None:
    spec = container(ports=(f"{free_port}:80",))
    async with open_workbench(tmp_path, ContainerBackend(), spec) as bench:
        with socket.socket() as taker:
            taker.bind(("127.0.0.1", free_port))
            taker.listen()
            with pytest.raises(NodeError, match=f"127.0.0.1:{free_port}/tcp cannot be listened on"):
                async with bench.node():
                    pass
        run_id = bench.spawner.scope.run_id
        assert engine.containers(f"swarmrig.run={run_id}") == []


async def test_one_that_exits_at_once_says_why(engine: Any, container: Container, tmp_path: Path) -> None:
    spec = container("echo starting; echo no licence >&2; exit 3")
    async with open_workbench(tmp_path, ContainerBackend(), spec) as bench, bench.node() as node:
        with anyio.fail_after(5):
            assert await node.wait_exited() == ExitStatus(3, None)
        # All of it, before the news of its end; an engine does not keep the order between the two streams.
        assert sorted(node.last_words().splitlines()) == ["no licence", "starting"]
        assert sorted(bench.trace().text.splitlines()) == ["no licence", "starting"]


async def test_a_program_that_is_not_there_is_named(engine: Any, container: Container, tmp_path: Path) -> None:
    for number, (program, status, words) in enumerate([
        ("/bin/gateway", 127, "/bin/gateway: no such program in the container"),
        ("gateway", 127, "gateway: no such program in the container"),
        ("/tmp", 126, "/tmp: this program cannot be executed"),
    ]):  # fmt: skip
        directory = tmp_path / str(number)
        directory.mkdir()
        spec = container(command=(program, "--fast"))
        async with open_workbench(directory, ContainerBackend(), spec) as bench, bench.node() as node:
            with anyio.fail_after(10):
                assert await node.wait_exited() == ExitStatus(status, None)
            assert node.last_words() == words


async def test_without_a_gate_the_engine_starts_it_at_once(
    engine: Any, container: Container, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swarmrig.nodes.container.backend.has_gate", lambda: False)
    script = f"while ! ip address show eth0; do sleep 0.05; done; {STAY}"
    async with open_workbench(tmp_path, ContainerBackend(), container(script)) as bench, bench.node():
        assert "after its program has started" in str(bench.plans["c1"].warnings)
        await bench.trace().wait_for_console("^up$")
    (tmp_path / "bad").mkdir()
    spec = container(command=("/bin/gateway", "--fast"))
    async with open_workbench(tmp_path / "bad", ContainerBackend(), spec) as bench:
        with pytest.raises(NodeError, match=r"node c1: it cannot be started: the engine says: .*/bin/gateway"):
            async with bench.node():
                pass
        assert engine.containers(f"swarmrig.run={bench.spawner.scope.run_id}") == []


async def test_memory_beyond_the_limit_ends_it_and_says_so(engine: Any, container: Container, tmp_path: Path) -> None:
    spec = container("exec busybox dd if=/dev/zero of=/dev/null bs=100M count=1", memory=12 << 20)
    async with open_workbench(tmp_path, ContainerBackend(), spec) as bench, bench.node() as node:
        with anyio.fail_after(20):
            assert await node.wait_exited() == ExitStatus(None, signal.SIGKILL)
        assert node.last_words().startswith("killed for want of memory")
        limits = engine.inspect(bench.spawner.scope.run_id)["HostConfig"]
        assert limits["Memory"] == limits["MemorySwap"] == 12 << 20


async def test_processor_time_is_limited(engine: Any, container: Container, tmp_path: Path) -> None:
    spec = container(cpus=0.25)
    async with open_workbench(tmp_path, ContainerBackend(), spec) as bench, bench.node():
        assert engine.inspect(bench.spawner.scope.run_id)["HostConfig"]["NanoCpus"] == 250_000_000


async def test_volumes_are_there_and_read_only_unless_said_otherwise(
    engine: Any, container: Container, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "words").write_text("as given\n")
    (tmp_path / "results").mkdir()
    spec = container(
        f"cat /given/words; touch /given/more || echo refused; echo done > /results/it; {STAY}",
        volumes=(
            {"source": tmp_path / "given", "target": "/given"},
            {"source": tmp_path / "results", "target": "/results", "read_only": False},
        ),
    )
    async with open_workbench(tmp_path, ContainerBackend(), spec) as bench, bench.node():
        await bench.trace().wait_for_console("^up$")
        assert bench.trace().count("^as given$") == 1
        assert bench.trace().count("^refused$") == 1
    assert (tmp_path / "results" / "it").read_text() == "done\n"


async def test_its_files_outlive_a_loss_of_power(engine: Any, container: Container, tmp_path: Path) -> None:
    spec = container(f"test -e /tmp/marked && echo again; touch /tmp/marked; {STAY}")
    async with open_workbench(tmp_path, ContainerBackend(), spec) as bench, bench.node() as node:
        await bench.trace().wait_for_console("^up$")
        assert bench.trace().count("^again$") == 0
        await node.power_off()  # type: ignore[attr-defined]
        await node.power_on()  # type: ignore[attr-defined]
        await bench.trace().wait_for_console("^up$", count=2)
        assert bench.trace().count("^again$") == 1


async def test_a_healthy_one_goes_on(engine: Any, container: Container, tmp_path: Path) -> None:
    health = {"command": ("/bin/test", "-e", "/tmp/well"), "interval": 50_000_000, "retries": 200}
    spec = container(f"sleep 0.2; touch /tmp/well; {STAY}", health=health)
    async with open_workbench(tmp_path, ContainerBackend(), spec) as bench, bench.node() as node:
        with anyio.fail_after(20):
            await node.life._well  # type: ignore[attr-defined]
        assert engine.inspect(bench.spawner.scope.run_id)["State"]["Health"]["Status"] == "healthy"
        with anyio.move_on_after(0.3):
            pytest.fail(f"ended: {await node.wait_exited()}")


async def test_one_that_is_unhealthy_is_named_with_what_its_check_says(
    engine: Any, container: Container, tmp_path: Path
) -> None:
    check = ("/bin/sh", "-c", "echo the disk is full; exit 7")
    spec = container(health={"command": check, "interval": 50_000_000, "retries": 2})
    async with open_workbench(tmp_path, ContainerBackend(), spec) as bench, bench.node() as node:
        with anyio.fail_after(20):
            for _ in range(2):  # it can be asked again
                with pytest.raises(NodeError, match=r"node c1: it is unhealthy; .*exit 7\): the disk is full"):
                    await node.wait_exited()


async def test_one_that_never_becomes_healthy_meets_its_deadline(
    engine: Any, container: Container, tmp_path: Path
) -> None:
    health = {"command": ("/bin/false",), "interval": 50_000_000, "retries": 1000, "deadline": 500_000_000}
    async with open_workbench(tmp_path, ContainerBackend(), container(health=health)) as bench, bench.node() as node:
        with anyio.fail_after(20):
            with pytest.raises(NodeError, match=r"not healthy after 500ms; its check says \(exit 1\)"):
                await node.wait_exited()


async def test_a_flood_of_output_is_all_there(engine: Any, container: Container, tmp_path: Path) -> None:
    spec = container("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo line $i; done")
    async with open_workbench(tmp_path, ContainerBackend(), spec) as bench, bench.node() as node:
        with anyio.fail_after(30):
            assert await node.wait_exited() == ExitStatus(0, None)
        assert bench.trace().text == "".join(f"line {number}\n" for number in range(1, 20001))


async def test_a_console_that_is_left_unread_holds_the_program_up(
    engine: Any, container: Container, tmp_path: Path
) -> None:
    spec = container("read go; i=0; while [ $i -lt 60000 ]; do i=$((i+1)); echo a line of some length, number $i; done")
    async with open_workbench(tmp_path, ContainerBackend(), spec) as bench, bench.node() as node:
        node.stall_console()  # type: ignore[attr-defined]
        await node.write_console(b"go\n")  # type: ignore[attr-defined]
        with anyio.move_on_after(0.5):
            pytest.fail(f"nothing held it up: {await node.wait_exited()}")
        assert bench.trace().text == ""
        node.unstall_console()  # type: ignore[attr-defined]
        with anyio.fail_after(30):
            assert await node.wait_exited() == ExitStatus(0, None)
        assert bench.trace().text.endswith("number 60000\n")


async def test_it_cannot_be_killed_twice_nor_paused_when_it_has_ended(
    engine: Any, container: Container, tmp_path: Path
) -> None:
    async with open_workbench(tmp_path, ContainerBackend(), container(STAY)) as bench, bench.node() as node:
        await node.kill()  # type: ignore[attr-defined]
        assert await node.wait_exited() == ExitStatus(None, signal.SIGKILL)
        with pytest.raises(NodeError, match="has ended before"):
            await node.kill()  # type: ignore[attr-defined]
        with pytest.raises(NodeError, match="cannot be paused: the engine says"):
            await node.pause()  # type: ignore[attr-defined]


async def test_a_paused_one_can_be_ended(engine: Any, container: Container, tmp_path: Path) -> None:
    async with open_workbench(tmp_path, ContainerBackend(), container(STAY)) as bench:
        with anyio.fail_after(20):
            async with bench.node() as node:
                await node.pause()  # type: ignore[attr-defined]
        assert engine.containers(f"swarmrig.run={bench.spawner.scope.run_id}") == []


@pytest.mark.parametrize(
    ("code", "status"),
    [(0, ExitStatus(0, None)), (3, ExitStatus(3, None)), (128, ExitStatus(128, None)),
     (137, ExitStatus(None, 9)), (143, ExitStatus(None, 15)), (255, ExitStatus(255, None))],
)  # fmt: skip
def test_exit_codes_of_engines(code: int, status: ExitStatus) -> None:
    assert exit_status(code) == status
