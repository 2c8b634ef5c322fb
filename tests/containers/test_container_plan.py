"""What is wrong with a container is told before anything is started; and its settings can be written down again."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from swarmrig.errors import HostError, MissingExtraError, NodeError, ScenarioError
from swarmrig.model.scenario import NodeSpec, SourceRef
from swarmrig.net import isolation
from swarmrig.nodes.container import setup
from swarmrig.nodes.container.backend import ContainerBackend
from swarmrig.nodes.container.options import options_of
from swarmrig.plugins import Registry
from swarmrig.scenario.load import load_scenario
from swarmrig.scenario.resolved import dump_scenario
from swarmrig.testing.workbench import scenario_of

pytestmark = pytest.mark.anyio
Container = Callable[..., NodeSpec]
FULL = """
swarmrig: 1
name: full
duration: 5s
nodes:
  one:
    kind: container
    build: {context: ./app, args: {VERSION: 2}}
    entrypoint: [/bin/app]
    command: [serve, 8]
    environment: {DEBUG: true, LEVEL: 3, NAME: x}
    user: nobody
    working_dir: /srv
    ports: ["8080:80", "5353:53/udp"]
    network: bridge
    volumes: [{source: ./data, target: /data, read_only: false}, {source: /etc/hosts, target: /h, outside: true}]
    health: {command: [/bin/true], interval: 500ms, timeout: 1m, start_period: 1s, deadline: 10s}
    memory: 64MiB
    cpus: 0.5
    engine: /run/other.sock
"""


async def plan(spec: NodeSpec, *others: NodeSpec) -> Any:
    return await ContainerBackend().plan(spec, scenario_of(spec, *others))


def load(text: str, directory: Path) -> Any:
    path = directory / "file.swarmrig.yml"
    path.write_text(text)
    return load_scenario(path, registry=Registry.load())


def test_a_file_says_all_of_it_and_it_can_be_written_down_again(tmp_path: Path) -> None:
    first = load(FULL, tmp_path)
    options = options_of(first.node("one").options)
    assert options.build is not None and options.build.context == tmp_path / "app"
    assert options.build.args == {"VERSION": "2"}
    assert options.command == ("serve", "8")
    assert options.environment == {"DEBUG": "true", "LEVEL": "3", "NAME": "x"}
    assert [(volume.source, volume.read_only, volume.outside) for volume in options.volumes] == [
        (tmp_path / "data", False, False),
        (Path("/etc/hosts"), True, True),
    ]
    assert options.health is not None
    assert (options.health.interval, options.health.timeout) == (500_000_000, 60_000_000_000)
    assert [str(port) for port in setup.ports_of(options)] == ["8080:80/tcp", "5353:53/udp"]
    (tmp_path / "again").mkdir()
    again = load(dump_scenario(first), tmp_path / "again")
    assert again.node("one").options == first.node("one").options


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("", "image"),
        ("image: a, build: {context: .}", "image"),
        ("image: 'a b'", "name of an image"),
        ("image: a, ports: [80]", "expected a text"),
        ("image: a, ports: ['80:0']", "HOST:CONTAINER"),
        ("image: a, ports: ['80:70000']", "HOST:CONTAINER"),
        ("image: a, ports: ['80:80', '80:81']", "given twice"),
        ("image: a, volumes: [{source: ., target: relative}]", "absolute path"),
        ("image: a, volumes: [{source: ., target: /a/../..}]", "absolute path"),
        ("image: a, volumes: [{source: ., target: /}]", "absolute path"),
        ("image: a, volumes: [{source: ., target: /a}, {source: ., target: /a}]", "given twice"),
        ("image: a, environment: {'A=B': c}", "environment variable"),
        ("image: a, environment: {A: [1]}", "expected a text"),
        ("image: a, memory: 1MiB", "6291456"),
        ("image: a, cpus: 0", "0.01"),
        ("image: a, health: {command: []}", "at least 1 item"),
        ("image: a, network: 'a b'", "expected a name"),
        ("image: a, command: ls -l", "command"),
        ("image: a, privileged: true", "privileged"),
    ],
)
def test_wrong_settings_are_told_with_their_place(settings: str, message: str, tmp_path: Path) -> None:
    text = f"swarmrig: 1\nname: wrong\nduration: 1s\nnodes:\n  one: {{kind: container, {settings}}}\n"
    with pytest.raises(ScenarioError, match=r"file\.swarmrig\.yml:5:") as caught:
        load(text, tmp_path)
    assert message in str(caught.value)


async def test_without_an_engine_it_says_where_it_looked(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr("swarmrig.nodes.container.engine._places", lambda: [Path("/nowhere/docker.sock")])
    with pytest.raises(HostError, match=r"no container engine: .*/nowhere/docker\.sock") as caught:
        await plan(container())
    assert "apt install docker.io" in str(caught.value)


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.write_text("no socket"), "deaf"])
async def test_an_engine_that_does_not_answer_is_named(
    make: Any, container: Container, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "docker.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    monkeypatch.setattr(isolation, "_effective_capabilities", lambda: -1)
    monkeypatch.setattr("swarmrig.nodes.container.engine.ANSWER_S", 0.3)
    with socket.socket(socket.AF_UNIX) as listener:
        if make == "deaf":
            listener.bind(str(path))
            listener.listen()
        else:
            make(path)
        with pytest.raises(HostError, match=rf"the container engine at {path} does not answer"):
            await plan(container())


async def test_engines_elsewhere_are_refused(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:2375")
    with pytest.raises(HostError, match=r"DOCKER_HOST is tcp://127\.0\.0\.1:2375"):
        await plan(container())


async def test_without_aiodocker_it_names_the_extra(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiodocker", None)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    monkeypatch.setattr(isolation, "_effective_capabilities", lambda: -1)
    with pytest.raises(MissingExtraError, match="'docker'"):
        await plan(container())


async def test_without_privilege_it_says_what_to_do(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    monkeypatch.setattr(isolation, "_effective_capabilities", lambda: 1 << 12)
    with pytest.raises(ExceptionGroup) as caught:
        await plan(container())
    privilege, engine = caught.value.exceptions  # that there is no engine is told as well
    assert isinstance(privilege, HostError) and "takes root" in str(privilege) and "network: bridge" in str(privilege)
    assert "/nowhere" in str(engine)


@pytest.mark.root
async def test_an_image_that_is_not_there_is_named(engine: Any, container: Container) -> None:
    with pytest.raises(NodeError, match=r"node c1: the engine at .* has no image nobody/has:it") as caught:
        await plan(container(image="nobody/has:it"))
    assert "docker pull nobody/has:it" in str(caught.value)


@pytest.mark.root
async def test_a_network_that_is_not_there_is_named(engine: Any, container: Container) -> None:
    with pytest.raises(NodeError, match="no network backbone; it has host, none"):
        await plan(container(network="backbone"))


async def test_a_build_needs_its_directory_and_its_dockerfile(
    engine: Any, container: Container, tmp_path: Path
) -> None:
    build = {"context": tmp_path / "app", "dockerfile": "Dockerfile", "args": {}}
    with pytest.raises(NodeError, match=r"build.context: the directory .*/app does not exist"):
        await plan(container(image=None, build=build))
    (tmp_path / "app").mkdir()
    with pytest.raises(NodeError, match=r"build.dockerfile: .*/app/Dockerfile does not exist"):
        await plan(container(image=None, build=build))


async def test_volumes_stay_in_the_scenarios_folder(engine: Any, container: Container, tmp_path: Path) -> None:
    folder = tmp_path / "scenario"
    (folder / "data").mkdir(parents=True)
    (folder / "link").symlink_to(tmp_path)
    source = SourceRef(str(folder / "file.yml"), 1, 1)

    def with_volume(where: Path, **more: Any) -> NodeSpec:
        return replace(container(volumes=({"source": where, "target": "/data", **more},)), source=source)

    await plan(with_volume(folder / "data"))
    for outside in (Path("/etc"), folder / ".." / ".." / "..", folder / "link"):
        with pytest.raises(NodeError, match="outside of the scenario's folder") as caught:
            await plan(with_volume(outside))
        assert "outside: true" in str(caught.value)
        await plan(with_volume(outside, outside=True))
    with pytest.raises(NodeError, match=r"volumes: .*/missing does not exist"):
        await plan(with_volume(folder / "missing"))


async def test_ports_are_free_and_nobody_elses(engine: Any, container: Container, free_port: int) -> None:
    one = container(ports=(f"{free_port}:80",))
    other = container(node_id="c2", number=2, ports=(f"{free_port}:81",))
    await plan(one)
    with pytest.raises(NodeError, match=f"ports: {free_port}/tcp is used by node c2, too"):
        await plan(one, other)
    with socket.socket() as taker:
        taker.bind(("127.0.0.1", free_port))
        taker.listen()
        with pytest.raises(NodeError, match=f"127.0.0.1:{free_port}/tcp cannot be listened on"):
            await plan(one)
    with pytest.raises(NodeError, match="UDP leads only to containers in a network of the engine"):
        await plan(container(ports=(f"{free_port}:80/udp",)))


async def test_what_has_no_effect_is_warned_of(engine: Any, container: Container) -> None:
    told = await plan(replace(container(network="host"), nvs={"a": 1}))
    assert "nvs values have no effect on a container" in told.warnings
    assert any("not on the fabric" in warning for warning in told.warnings)
    assert (await plan(container())).warnings == ()


async def test_it_has_no_virtual_time(container: Container) -> None:
    assert await ContainerBackend().prevents_virtual_time(container()) == "a container lives by this machine's clock"
