"""Which QEMU can be in virtual time, and what is said about one that can't."""

import shutil
import sys

import pytest
from lockstep_swarm import LOCKSTEP, load_build

from swarmrig.proc import RunScope, open_spawner
from swarmrig.timebase.plugin import libraries, plugin_option, probe

pytestmark = pytest.mark.anyio
QEMU = "qemu-system-riscv32"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Both libraries."""
    directory = tmp_path_factory.mktemp("built")
    load_build().build(directory)
    return directory


@pytest.fixture
async def spawner(tmp_path):
    async with open_spawner(RunScope(tmp_path)) as spawner:
        yield spawner


def fake_qemu(tmp_path, body):
    program = tmp_path / "qemu-system-fake"
    program.write_text(f"#!{sys.executable} -IS\nimport sys\n{body}\n")
    program.chmod(0o755)
    return program


async def test_debians_qemu_can(spawner, built):
    support = await probe(spawner, QEMU, directory=built)

    assert support.ok
    assert support.api == 1
    assert support.library == built / "lockstep-api1.so"
    assert (support.target, support.reason) == ("riscv32", "")
    assert support.qemu.startswith("7.2.")


async def test_a_comma_in_the_path_does_no_harm(spawner, built, tmp_path):
    place = tmp_path / "a,b=c"
    place.mkdir()
    shutil.copy(built / "lockstep-api1.so", place)

    assert (await probe(spawner, QEMU, directory=place)).ok


async def test_without_a_compiler_there_is_no_plugin(spawner, tmp_path):
    support = await probe(spawner, QEMU, directory=tmp_path / "nothing")

    assert not support.ok
    assert "was not built" in support.reason
    assert "gcc" in support.hint


async def test_only_for_another_version_of_the_api(spawner, built, tmp_path):
    shutil.copy(built / "lockstep-api4.so", tmp_path)

    support = await probe(spawner, QEMU, directory=tmp_path)

    assert not support.ok
    assert "no plugin (known: 4)" in support.reason


async def test_missing_symbols_are_named(spawner, tmp_path):
    """A plugin that wants something this QEMU does not have."""
    sources = tmp_path / "lockstep"
    shutil.copytree(LOCKSTEP, sources)
    for name in ("qemu.h", "commands.c", "taps.c"):
        text = (sources / name).read_text()
        (sources / name).write_text(text.replace("qemu_chr_find", "qemu_chr_lost").replace("vm_start", "vm_lost"))
    text = (sources / "stop.c").read_text()
    (sources / "stop.c").write_text(text.replace("qemu.vm_start", "qemu.vm_lost"))
    build = load_build()
    build.HERE = sources
    build.build(tmp_path, (1,))

    support = await probe(spawner, QEMU, directory=tmp_path)

    assert not support.ok
    assert "does not export vm_lost, qemu_chr_lost" in support.reason
    assert "unstripped" in support.hint


async def test_an_unknown_processor(spawner, built, tmp_path):
    fake = fake_qemu(tmp_path, """print('{"lockstep": 1, "api": [0, 1], "qemu": "7.2.0", "target": "xtensa", '
                                         '"target_known": false, "missing": ""}')""")  # fmt: skip

    support = await probe(spawner, fake, directory=built)

    assert not support.ok
    assert "emulates xtensa" in support.reason


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("sys.exit('qemu-system-fake: -plugin: invalid option')", "without support for plugins"),
        ("sys.exit('error while loading shared libraries: libpixman')", "libpixman"),
        ("import os; os.kill(os.getpid(), 9)", "SIGKILL"),
        ("print('hello')", "does not load"),
        ("print('{}')", "does not load"),
    ],
)
async def test_emulators_that_cannot(spawner, built, tmp_path, body, reason):
    support = await probe(spawner, fake_qemu(tmp_path, body), directory=built)

    assert not support.ok
    assert reason in support.reason


async def test_no_such_emulator(spawner, built):
    support = await probe(spawner, "/nowhere/qemu-system-riscv32", directory=built)

    assert not support.ok
    assert "/nowhere/qemu-system-riscv32" in support.reason


async def test_newest_library_first(tmp_path):
    for name in ("lockstep-api1.so", "lockstep-api4.so", "lockstep-apix.so", "other.so"):
        (tmp_path / name).touch()

    assert list(libraries(tmp_path)) == [4, 1]
    assert libraries(tmp_path / "nothing") == {}


async def test_the_option(tmp_path):
    library = tmp_path / "x,y.so"

    assert plugin_option(library, 9) == f"file={tmp_path}/x,,y.so,fd=9"
    assert plugin_option(library, 9, netdev="net", console="console", core=1).endswith(
        "fd=9,netdev=net,console=console,cpu=1"
    )
