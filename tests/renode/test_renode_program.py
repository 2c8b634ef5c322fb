"""Which Renode is found, what it says of itself, and which machines are ready for it."""

import re
from pathlib import Path

import anyio
import pytest
from fake_renode import wrapper

from swarmrig.errors import HostError
from swarmrig.nodes.renode import machines, program, setup, wording
from swarmrig.nodes.renode.backend import RenodeBackend
from swarmrig.proc import RunScope, open_spawner
from swarmrig.runtime import doctor
from swarmrig.testing.workbench import scenario_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A machine on which nothing is found but what a test puts there."""
    monkeypatch.delenv("RENODE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    for name in ("home", "bin"):
        (tmp_path / name).mkdir()
    return tmp_path


def installed(directory, **behaviour):
    directory.mkdir(parents=True, exist_ok=True)
    return wrapper(directory, **behaviour)


def test_the_variable_comes_first_then_the_path_then_portable_archives(place, monkeypatch):
    portable = installed(place / "home" / "renode_1.16.1_portable")
    assert program.find_program() == program.Program(portable, (str(portable),), "portable")
    packaged = installed(place / "bin")
    assert program.find_program() == program.Program(packaged, (str(packaged),), "package")
    named = installed(place / "named")
    monkeypatch.setenv("RENODE", str(named))
    assert program.find_program().path == named


@pytest.mark.parametrize(("assembly", "runtime"), [("Renode.dll", "dotnet"), ("Renode.exe", "mono")])
def test_assemblies_are_run_by_their_runtime(place, assembly, runtime):
    file = place / "home" / "renode" / "bin" / assembly
    file.parent.mkdir(parents=True)
    file.touch()
    with pytest.raises(HostError, match=f"needs {runtime}"):
        program.find_program()
    (place / "bin" / runtime).touch(mode=0o755)
    assert program.find_program() == program.Program(file, (runtime, str(file)), runtime)


def test_a_name_is_looked_for_in_the_path(place):
    found = installed(place / "bin")
    assert program.find_program(Path("renode")).path == found
    with pytest.raises(HostError, match="no Renode at renode-nightly"):
        program.find_program(Path("renode-nightly"))


def test_none_is_found(place):
    with pytest.raises(HostError, match="not installed") as caught:
        program.find_program()
    assert "RENODE" in str(caught.value)


async def test_a_program_is_asked_once_for_its_version(place, monkeypatch):
    found = program.find_program(installed(place / "bin"))
    versions, asked = program.Versions(), []

    async def counted(spawner, one):
        asked.append(one)
        return 1, 16, 1

    monkeypatch.setattr(program, "version_of", counted)
    assert [await versions.of(found) for _ in range(3)] == ["1.16.1"] * 3
    assert asked == [found]


@pytest.mark.parametrize(
    ("behaviour", "ok", "detail"),
    [
        ({"version": "1.16.1"}, True, r"renode \(package\), version 1\.16\.1"),
        ({"says": "Renode 1.13.0"}, False, "1.15 or newer is needed"),
        ({"says": ""}, False, "does not say its version"),
    ],
)
async def test_doctor_names_what_it_finds(place, behaviour, ok, detail):
    installed(place / "bin", **behaviour)
    probe = await probed(doctor._renode)
    assert probe.ok is ok and not probe.required and re.search(detail, probe.detail)


async def test_doctor_says_how_to_get_one(place):
    found = await probed(lambda spawner: doctor.probe_host(spawner, place))
    probe = next(probe for probe in found if probe.name == "renode")
    assert not probe.ok and "not installed" in probe.detail and "renode.io" in probe.hint


async def probed(probe):
    async with open_spawner(RunScope.passing()) as spawner:
        with anyio.fail_after(60):
            return await probe(spawner)


# --- machines ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("machine", machines.MACHINES.values(), ids=lambda machine: machine.name)
async def test_machines_are_ready_to_use(renode, machine, tmp_path):
    image = tmp_path / "image.elf"
    image.write_bytes(b"\x7fELF\x01\x01\x01" + b"\0" * 9 + b"\x02\0" + machine.isa.to_bytes(2, "little") + b"\0" * 32)
    spec = renode(platform=None, uart=None, machine=machine.name, image=image)
    plan = await RenodeBackend().plan(spec, scenario_of(spec))
    assert plan.details["uart"] == machine.uart
    wording.platform(machine.platform)
    if isinstance(machine.platform, Path):
        text = machine.platform.read_text()
        assert f"\n{machine.uart.removeprefix('sysbus.')}: UART." in text
        assert not re.search(r"\t|[ \t]+$", text, re.M)  # the format is made of blanks


def test_the_reference_targets_are_those_of_their_boards():
    found = {name: (str(machine.platform), machine.uart) for name, machine in machines.MACHINES.items()}
    assert found["stm32f4-discovery"] == ("platforms/boards/stm32f4_discovery-kit.repl", "sysbus.usart2")
    assert found["nucleo-h753zi"] == ("platforms/cpus/stm32h743.repl", "sysbus.usart3")
    assert machines.MACHINES["s32k388"].extra_commands == ("sysbus WriteDoubleWord 0x40090030 0x0301",)


def test_the_reference_firmware_boots_unless_something_else_is_named(renode):
    made = setup.resolve(renode(platform=None, uart=None, machine="refnode-rv32", image=None))
    assert made.load is not None and made.load.command == "LoadELF"
    assert made.load.file.name == "refnode-rv32.elf" and made.load.file.is_file()


def test_the_reference_platform_has_what_the_firmware_expects():
    """The addresses and interrupts of the firmware's own board header, where both are at hand."""
    header = Path(__file__).parent.parent.parent / "refnode" / "hal" / "rv32_virt" / "board.h"
    board = dict(re.findall(r"#define (\w+) (\w+?)u? ", header.read_text().replace("\n", " \n")))
    text = machines.MACHINES["refnode-rv32"].platform.read_text()
    places = {name: int(at, 0) for name, at in re.findall(r"^(\w+): [\w.]+ @ sysbus (\w+)", text, re.M)}
    expected = {"uart0": "UART_BASE", "clint": "CLINT_BASE", "plic": "PLIC_BASE", "flash": "FLASH1_BASE"}
    assert {name: places[name] for name in expected} == {name: int(board[key], 0) for name, key in expected.items()}
    assert f"plic@{board['IRQ_UART']}" in text and f"size: {int(board['FLASH1_SIZE'], 0):#010x}".lower() in text.lower()
