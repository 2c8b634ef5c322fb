"""Swarms as targets of Jumpstarter: its own server, client and console, and real guests behind them."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from click.testing import CliRunner
from jumpstarter.client.core import DriverError, DriverMethodNotImplemented
from jumpstarter.common import ExporterStatus
from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.common.utils import serve
from jumpstarter.config.exporter import ExporterConfigV1Alpha1DriverInstance
from jumpstarter.exporter import Session

import swarmrig
from swarmrig.integrations.jumpstarter import drivers
from swarmrig.integrations.jumpstarter.client import params_of

WAIT_S = 90
FIRMWARE = Path(swarmrig.__file__).parent / "nodes/qemu/firmware"


pytestmark = pytest.mark.usefixtures("grpc_of_this_process")


@contextmanager
def served(driver):
    """A client of the driver; its close() is called in the server's event loop, as an exporter calls it."""
    with serve(driver) as client:
        yield client


@pytest.fixture
def of_swarm(pair, tmp_path):
    return partial(drivers.Swarm, scenario=str(pair), output_dir=str(tmp_path / "runs"))


@pytest.fixture
def of_node(pair, tmp_path):
    return partial(drivers.SwarmNode, scenario=str(pair), node="s1", output_dir=str(tmp_path / "runs"))


def test_a_whole_scenario_is_a_target(of_swarm):
    with served(of_swarm(seed=4)) as target:
        assert target.swarm.status() == {"name": "pair", "nodes": ["coord", "s1"], "power": False}
        target.power.on()
        target.power.on()
        target.swarm.wait_booted(WAIT_S)
        status = target.swarm.status()
        assert (status["power"], status["tier"]) == (True, "scheduled")
        assert set(target.network.links()) >= {"coord--s1"}
        assert target.nodes.s1.network.links() == ["coord--s1"]

        fault = target.swarm.inject("cut", between=["coord", "s1"])
        target.swarm.run_for("1s")
        target.swarm.heal(fault)
        for _ in range(60):
            if target.swarm.fault(fault)["proved"]:
                break
            target.swarm.run_for("500ms")

        frames = []
        for _ in range(60):
            if frames := target.network.frames("csi.node == 1", link="coord--s1", count=1):
                break
            target.swarm.run_for("500ms")
        (frame,) = frames
        assert (frame["link"], frame["sender"], frame["fields"]["csi.node"]) == ("coord--s1", "s1", 1)
        found = target.swarm.verdict()
        assert found["verdict"] == "PASS", found
        assert (Path(found["directory"]) / "results.json").exists()
        assert target.swarm.status()["power"] is False
        assert target.swarm.verdict() == found
        target.power.off()


def test_boot_text_is_never_lost(of_node):
    """Whoever listens before the power is on, just then, late, or beside others: everybody hears all of it."""
    with served(of_node()) as target, target.console.pexpect() as early:
        target.power.on()
        with target.console.pexpect() as at_once:
            for console in (early, at_once):
                console.expect("POWERON", timeout=WAIT_S)
                console.expect("boot_time=", timeout=WAIT_S)
        with target.console.pexpect() as late, target.console.pexpect() as other:
            for console in (late, other):
                console.expect("POWERON", timeout=WAIT_S)
            late.sendline("stats")
            late.expect(rb"uptime_ms=(\d+)", timeout=WAIT_S)
            other.expect("uptime_ms=", timeout=WAIT_S)
        target.power.off()
        target.power.on()
        early.expect("POWERON", timeout=WAIT_S)  # a serial line outlasts the power
        early.expect("boot_time=", timeout=WAIT_S)


def test_what_was_said_to_others_is_not_said_again(of_node):
    driver = of_node(time="virtual")
    with served(driver) as target:
        early = driver.rig.reader("s1")
        target.power.on()
        target.swarm.run_for("100ms")
        whole = driver.rig.reader("s1").read()
        assert b"POWERON" in whole
        target.power.off()
        later = driver.rig.reader("s1")
        assert later.read() == b""
        target.power.on()
        target.swarm.run_for("100ms")
        assert later.read() == whole
        assert early.read() + early.read() == whole + whole


def test_a_node_is_flashed_while_the_power_is_off(of_node, tmp_path):
    with served(of_node()) as target:
        elf = next(iter(FIRMWARE.rglob("*rv32*.elf")))
        target.flasher.flash(elf)
        target.power.on()
        with target.console.pexpect() as console:
            console.expect("boot_time=", timeout=WAIT_S)
        with pytest.raises(DriverError, match="power it off to flash"):
            target.flasher.flash(elf)
        target.power.off()
        plan = (next(tmp_path.glob("runs/*")) / "scenario.yml").read_text()
        assert "s1.bin" in plan
        with pytest.raises(DriverMethodNotImplemented):
            target.flasher.dump(tmp_path / "dump.bin")
        (tmp_path / "empty.bin").touch()
        with pytest.raises(DriverError, match="empty"):
            target.flasher.flash(tmp_path / "empty.bin")
        with pytest.raises(DriverError, match="`image` and `flash`"):
            target.flasher.flash(elf, target="../../etc/passwd")


def test_what_is_flashed_is_private_and_goes(of_node, tmp_path):
    driver = of_node()
    elf = next(iter(FIRMWARE.rglob("*rv32*.elf")))
    with served(driver) as target:
        target.flasher.flash(elf)
        directory = Path(driver.rig._files.name)

        def there():
            return {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()}

        assert directory.stat().st_mode & 0o077 == 0
        assert there() == {"s1.bin": 0o600}
        (tmp_path / "empty.bin").touch()
        with pytest.raises(DriverError, match="empty"):
            target.flasher.flash(tmp_path / "empty.bin")
        assert there() == {"s1.bin": 0o600}
        assert (directory / "s1.bin").read_bytes() == elf.read_bytes()
    assert not directory.exists()


def test_what_is_flashed_is_never_whole_in_memory(of_node, tmp_path, monkeypatch):
    sizes = []

    class Watched:
        def __init__(self, file):
            self._file = file

        def write(self, data):
            sizes.append(len(data))
            return self._file.write(data)

    driver = of_node()
    flashing = driver.rig.flashing

    @contextmanager
    def watched(*arguments):
        with flashing(*arguments) as file:
            yield Watched(file)

    monkeypatch.setattr(driver.rig, "flashing", watched)
    image = tmp_path / "large.bin"
    with image.open("wb") as file:
        file.truncate(24 << 20)
    with served(driver) as target:
        target.flasher.flash(image)
    assert sum(sizes) == 24 << 20 and max(sizes) <= 1 << 20


def test_a_node_that_boots_no_firmware(pair, tmp_path):
    pair.write_text(
        "swarmrig: 1\nname: models\nduration: 5s\ntime: real\nnodes:\n  m1: {kind: python, model: sensor}\n"
    )
    with served(drivers.SwarmNode(scenario=str(pair), node="m1", output_dir=str(tmp_path / "runs"))) as target:
        with pytest.raises(DriverError, match="of kind python, which boots no firmware"):
            target.flasher.flash(next(iter(FIRMWARE.rglob("*rv32*.elf"))))
        target.power.on()
        with target.console.pexpect() as console:
            console.sendline("nobody hears this")
            assert console.isalive()
        assert target.swarm.status()["power"] is True


def test_what_a_node_is(of_node, of_swarm):
    with served(of_node()) as target:
        assert (target.node, target.platform, target.uart, target.machine_name) == ("s1", "refnode-rv32", None, "s1")
        with pytest.raises(DriverMethodNotImplemented):
            next(target.power.read())
    with served(of_swarm()) as target:
        assert target.nodes.coord.node == "coord"


def test_the_plug_of_one_node_of_a_swarm(of_swarm):
    """Pulled twice, or put in twice, is as good as once. The console outlasts it; what is typed meanwhile is lost."""
    with served(of_swarm()) as target:
        plug = target.nodes.s1.power
        with pytest.raises(DriverError, match="the swarm is off"):
            plug.on()
        target.power.on()
        plug.on()
        with target.nodes.s1.console.pexpect() as console:
            console.expect("boot_time=", timeout=WAIT_S)
            plug.off()
            plug.off()
            console.sendline("stats")
            plug.on()
            plug.on()
            console.expect("POWERON", timeout=WAIT_S)
            console.expect("boot_time=", timeout=WAIT_S)
            console.sendline("stats")
            console.expect("uptime_ms=", timeout=WAIT_S)
        plug.off()
        target.power.off()
        target.power.on()  # another run begins with all plugs in
        with target.nodes.s1.console.pexpect() as console:
            console.expect("POWERON", timeout=WAIT_S)


def test_what_cannot_be_is_said_in_the_words_of_the_rig(of_swarm):
    with served(of_swarm()) as target:
        for call in (lambda: target.swarm.inject("cut", between=["coord", "s1"]), lambda: target.network.links()):
            with pytest.raises(DriverError, match="power it on first"):
                call()
        with pytest.raises(DriverError, match="no run"):
            target.swarm.verdict()
        target.power.on()
        with pytest.raises(DriverError, match="did you mean 'cut'"):
            target.swarm.inject("cutt", between=["coord", "s1"])
        with pytest.raises(DriverError, match="no client may choose"):
            target.swarm.inject("replay", file="/etc/passwd", link="coord--s1")
        with pytest.raises(DriverError, match="no node is called"):
            target.swarm.inject("cut", between=["coord", "s1; reboot"])
        with pytest.raises(DriverError, match="no fault 'x'"):
            target.swarm.heal("x")
        with pytest.raises(DriverError, match="no link"):
            target.network.frames(link="../../x")
        for command in ("two\nlines", "", "a\rb", "\x1b[2J", "nul\0"):
            with pytest.raises(DriverError, match="one line of text"):
                target.nodes.s1.monitor(command)
        with pytest.raises(DriverError, match="has not the capability HasMonitor"):
            target.nodes.s1.monitor("info status")


ATTACKS = (
    "s1\nquit",
    "s1\r\nquit",
    's1"; quit; "',
    "s1'; reboot; '",
    "s1;quit",
    "@/etc/passwd",
    "$RENODE",
    "$(touch /tmp/x)",
    "s1\\",
    "../../etc/passwd",
    "/etc/passwd",
    "s1\0",
    "s1\u2028quit",
    "ſ1",
    "s1" * 5000,
    "",
)


def test_no_text_of_a_client_gets_further_than_a_check(of_swarm):
    elf = next(iter(FIRMWARE.rglob("*rv32*.elf")))
    with served(of_swarm(time="virtual")) as target:
        swarm, node, network = target.swarm, target.nodes.s1, target.network
        target.power.on()
        before = swarm.status()
        for attack in ATTACKS:
            calls = {
                "what is flashed": lambda text: node.flasher.flash(elf, target=text or "none"),
                "kind": swarm.inject,
                "parameter": lambda text: swarm.inject("cut", between=["coord", text]),
                "name of a parameter": lambda text: swarm.inject("cut", between=["coord", "s1"], **{text: "1"}),
                "duration": lambda text: swarm.inject("cut", for_=text, between=["coord", "s1"]),
                "file": lambda text: swarm.inject("replay", file=text, link="coord--s1"),
                "fault": swarm.heal,
                "its state": swarm.fault,
                "time": swarm.run_for,
                "time-out": swarm.wait_booted,
                "link": lambda text: network.frames(link=text),
                "filter": lambda text: network.frames(text or "=="),
                "monitor": node.monitor,
            }
            for place, call in calls.items():
                with pytest.raises(DriverError):
                    call(attack)
                    raise AssertionError(f"{attack!r} went through as {place}")
        assert swarm.status() == before


def test_a_virtual_target_lives_only_when_it_is_told_to(of_node):
    with served(of_node(time="virtual", seed=2)) as target:
        target.power.on()
        target.swarm.run_for("1s")
        assert target.swarm.status()["now"] == 1.0
        with target.console.pexpect() as console:
            console.expect("POWERON", timeout=WAIT_S)
        assert target.swarm.status()["now"] == 1.0
        first = target.swarm.verdict()["digest"]
        target.power.on()
        target.swarm.run_for("1s")
        assert first is not None and target.swarm.verdict()["digest"] == first


def test_a_client_that_goes_leaves_nothing(of_swarm):
    """Closed while it is on, and while somebody waits for it; the tests' own fixture looks for what is left."""
    driver = of_swarm()
    with served(driver) as target:
        target.power.on()
        errors = []

        def wait():
            try:
                target.swarm.run_for("1h")
            except DriverError as error:
                errors.append(error)

        waiting = threading.Thread(target=wait)
        waiting.start()
        with target.nodes.s1.console.pexpect() as console:
            console.expect("POWERON", timeout=WAIT_S)
        driver.close()
        waiting.join(WAIT_S)
        assert len(errors) == 1 and "over" in str(errors[0])
        driver.close()
    assert driver.rig.result is not None


def test_commands(of_swarm):
    with served(of_swarm(time="virtual")) as target:

        def call(*words):
            return CliRunner().invoke(target.cli(), words)

        assert "power: False" in call("swarm", "status").output
        assert call("power", "on").exit_code == 0
        assert call("swarm", "run-for", "2s").exit_code == 0
        assert "coord--s1" in call("network", "links").output
        (line,) = call("network", "frames", "csi.node == 1", "--link", "coord--s1", "--count", "1").output.splitlines()
        assert " s  coord--s1  s1  delivered  " in line
        injected = call("swarm", "inject", "cut", "between=coord,s1")
        assert injected.output.strip() == "cut-now-1"
        assert call("swarm", "inject", "cut", "between").exit_code != 0
        verdict = call("swarm", "verdict")  # in no time, nothing tried to cross the link
        assert verdict.exit_code == 2
        assert "cut-now-1" in verdict.output


def test_words_as_parameters():
    assert params_of(["between=a,b", "node=s1", "loss=10%"]) == {"between": ["a", "b"], "node": "s1", "loss": "10%"}


def test_configurations_that_cannot_be(pair, tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        drivers.Swarm(scenario=str(tmp_path / "absent.swarmrig.yml"))
    for settings, told in (({"set": {"nodes.s1.colour": "red"}}, "colour"), ({"time": "soon"}, "soon")):
        with pytest.raises(ConfigurationError, match=told):
            drivers.Swarm(scenario=str(pair), **settings)
    with pytest.raises(ConfigurationError, match="there is no node 's9': the nodes are coord, s1"):
        drivers.SwarmNode(scenario=str(pair), node="s9")


def test_an_exporter_finds_the_drivers(pair, tmp_path):
    points = {point.name: point.load() for point in entry_points(group="jumpstarter.drivers")}
    assert points["Swarm"] is drivers.Swarm and points["SwarmNode"] is drivers.SwarmNode
    config = {
        "type": "swarmrig.integrations.jumpstarter.drivers.SwarmNode",
        "config": {"scenario": str(pair), "node": "s1"},
    }
    driver = ExporterConfigV1Alpha1DriverInstance.model_validate(config).instantiate()
    assert isinstance(driver, drivers.SwarmNode)
    driver.close()


def test_the_helpers_for_pytest_have_the_target(of_node, inner, monkeypatch):
    """As within `jmp shell`: a pytest that knows nothing but where the exporter listens."""
    inner.tests(
        """
        import pytest
        from jumpstarter_testing import JumpstarterTest

        class TestNode(JumpstarterTest):
            @pytest.fixture
            def console(self, client):
                with client.console.pexpect() as console:
                    yield console

            def test_boots(self, client, console):
                client.power.on()
                console.expect("boot_time=", timeout=90)

            def test_answers(self, client, console):
                console.sendline("stats")
                console.expect(r"uptime_ms=(\\d+)", timeout=90)
                client.swarm.wait_booted(90)
                assert client.swarm.verdict()["verdict"] == "PASS"
        """
    )
    driver = of_node()
    with Session(root_device=driver) as session, session.serve_unix() as path:
        session.update_status(ExporterStatus.LEASE_READY)
        monkeypatch.setenv("JUMPSTARTER_HOST", str(path))
        monkeypatch.setenv("JMP_DRIVERS_ALLOW", "UNSAFE")
        ran = inner.run()
    assert ran.outcomes == {"passed": 2}, ran.text
    assert driver.rig.result is not None and not driver.rig.is_on


def test_starts_again_and_again_beside_grpc(of_node):
    """Its handlers of fork(2) kill children that are forked in the middle of its threads."""
    with served(of_node()) as target:
        for _ in range(4):
            target.power.on()
            target.swarm.wait_booted(WAIT_S)
            assert target.swarm.verdict()["verdict"] == "PASS"
