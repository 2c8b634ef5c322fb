"""What the how-tos show is run."""

from __future__ import annotations

import re
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from jumpstarter.common.utils import serve
from jumpstarter.config.exporter import ExporterConfigV1Alpha1
from ruamel.yaml import YAML

import swarmrig

pytestmark = pytest.mark.usefixtures("grpc_of_this_process")

HOWTO = Path(__file__).parent.parent.parent / "docs" / "howto"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.M | re.S)
FIRMWARE = next((Path(swarmrig.__file__).parent / "nodes/qemu/firmware").rglob("*rv32*.elf"))


def blocks(name: str, language: str) -> list[str]:
    return [text for kind, text in FENCE.findall((HOWTO / name).read_text()) if kind == language]


@pytest.fixture
def rooms(tmp_path, monkeypatch) -> Path:
    """A directory with the scenario that both how-tos speak of, as the current one."""
    (scenario,) = blocks("test-with-pytest.md", "yaml")
    (tmp_path / "two-rooms.swarmrig.yml").write_text(scenario)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_tests_of_the_howto_pass(inner, rooms):
    names = []
    for text in blocks("test-with-pytest.md", "python"):
        if (name := re.match(r"# (test_\w+\.py)\n", text)) is not None:
            names.append(name[1])
            (inner.path / name[1]).write_text(text)
    assert names == ["test_two_rooms.py", "test_dut.py"]
    (inner.path / "two-rooms.swarmrig.yml").write_text((rooms / "two-rooms.swarmrig.yml").read_text())

    result = inner.run()

    assert result.outcomes == {"passed": 3}, result.text


def test_the_program_of_the_howto_passes(rooms, capsys):
    *_, program = blocks("test-with-pytest.md", "python")
    exec(compile(program, "howto", "exec"), {})
    assert capsys.readouterr().out.splitlines()[-1] == "PASS"


def test_the_exporters_of_the_howto_serve_what_it_says(rooms):
    shown = blocks("lease-with-jumpstarter.md", "yaml")
    ecu, swarm = (ExporterConfigV1Alpha1.model_validate(YAML(typ="safe").load(text)) for text in shown)
    with instances(swarm) as target:
        assert set(target.rooms.nodes.children) == {"coord", "s1", "s2"}
        assert set(target.rooms.nodes.s1.children) == {"power", "flasher", "console", "network"}
    (program,) = blocks("lease-with-jumpstarter.md", "python")
    names: dict[str, object] = {}
    exec(compile(program, "howto", "exec"), names)
    with instances(ecu) as target:
        assert set(target.ecu.children) == {"power", "flasher", "console", "network", "swarm"}
        names["test_update"](target.ecu, FIRMWARE)


@contextmanager
def instances(config):
    """As an exporter has them: by name, below one root."""
    from jumpstarter_driver_composite.driver import Composite

    root = Composite(children={name: one.instantiate() for name, one in config.export.items()})
    with ExitStack() as stack:
        yield stack.enter_context(serve(root))


def test_the_exporters_of_the_examples_have_what_their_comments_say(monkeypatch):
    monkeypatch.chdir(HOWTO.parent.parent)
    for path in sorted(Path("examples/jumpstarter").glob("*.exporter.yml")):
        config = ExporterConfigV1Alpha1.model_validate(YAML(typ="safe").load(path.read_text()))
        with instances(config) as target:
            for words in re.findall(r"^#   j (.*)$", path.read_text(), re.M):
                command = target.cli()
                for word in words.split():
                    if not hasattr(command, "get_command"):
                        break
                    command = command.get_command(None, word)
                    assert command is not None, (path, words)


def test_the_commands_of_the_howto_exist(rooms):
    """Without running them."""
    config = ExporterConfigV1Alpha1.model_validate(
        YAML(typ="safe").load(blocks("lease-with-jumpstarter.md", "yaml")[0])
    )
    (commands,) = blocks("lease-with-jumpstarter.md", "text")
    with instances(config) as target:
        for line in commands.splitlines():
            _, *words = line.split("#")[0].split()
            command = target.cli()
            for word in words[:3]:
                command = command.get_command(None, word)
                assert command is not None, line
