"""A swarm that a program leads, in virtual time: it lives only when it is told to."""

from __future__ import annotations

import json
import shutil

import pytest

import swarmrig
from swarmrig.errors import HostError, ScenarioError, SwarmrigError
from swarmrig.integrations.session import Dut, NotSeenError, SwarmOverError
from swarmrig.model.facts import ConsoleLine, FaultStage
from swarmrig.model.verdict import Outcome

S = 10**9


def test_time_passes_only_when_it_is_told_to(lead):
    with lead() as swarm:
        assert swarm.now == 0
        assert swarm.tier == "exact"
        swarm.run_for("1.5s")
        frames = len(swarm.frames())
        assert swarm.now_ns == 1.5 * S and frames
        assert len(swarm.frames()) == frames
        swarm.run_until(2)
        assert swarm.now == 2.0
        swarm.run_until("1s")
        assert swarm.now == 2.0
        swarm.run_out()
        assert swarm.now == 20.0


def program(swarm):
    """All that can be done to a swarm."""
    swarm.wait_booted()
    cut = swarm.inject("cut", between=["coord", "s1"], for_="500ms")
    swarm.run_for("1s")
    assert cut.proved
    lasting = swarm.inject("degrade", between=["coord", "s1"], loss="100%")
    swarm.run_for("700ms")
    lasting.heal()
    swarm.run_for("1s")
    assert lasting.proved


def test_the_same_program_gives_the_same_bytes(lead):
    def digest(seed, also=lambda swarm: None):
        with lead(seed=seed) as swarm:
            program(swarm)
            also(swarm)
            return swarm.finish().digest

    first = digest(1)
    assert first is not None
    assert digest(1) == first
    assert digest(2) != first
    assert digest(1, lambda swarm: swarm.node("s1").write("stats")) != first


def test_what_was_injected_by_hand_can_be_repeated_without_a_hand(lead, tmp_path):
    with lead() as swarm:
        program(swarm)
        led = swarm.finish()
    repeated = swarmrig.run(led.directory / "repeat.swarmrig.yml", output_dir=tmp_path / "runs")
    assert [fault.at_ns for fault in repeated.record.faults] == [fault.at_ns for fault in led.record.faults]
    assert repeated.digest == led.digest


def test_a_console_is_read_from_its_beginning(lead):
    with lead() as swarm:
        swarm.run_for("1s")
        node = swarm.node("s1")
        assert node.expect(r"rst:(0x\w+) \((\w+)\)").groups() == ("0x1", "POWERON")
        assert node.expect(rb"I \((\d+)\) (main_task)").group(2) == b"main_task"
        assert swarm.now == 1.0  # all of it was said long ago
        assert node.expect("^I .*boot_time=(.*)$").group(1).startswith("5 ms")
        with pytest.raises(NotSeenError):  # it has been read
            node.expect("POWERON", timeout="100ms")
        assert "POWERON" in node.console
        assert node.logfile.read_bytes().decode() == node.console


def test_an_answer_is_waited_for_and_no_longer(lead):
    with lead() as swarm:
        swarm.run_for("1s")
        node = swarm.node("coord")
        node.write("stats")
        uptime_ms = int(node.expect(r"uptime_ms=(\d+)", timeout="5s").group(1))
        assert 1000 <= uptime_ms <= 1010
        assert 1.0 < swarm.now <= 1.05
        typed = [event for event in swarm.finish().events if event.kind == "typed"]
        assert [(event.t_ns, event.source, event.data["text"]) for event in typed] == [(1 * S, "coord", "stats\n")]


def test_what_is_not_said_is_named_with_what_was(lead):
    with lead() as swarm:
        swarm.wait_booted()
        begin_ns = swarm.now_ns
        with pytest.raises(NotSeenError, match=r"s1 has not said 'never[.]' within 300ms") as caught:
            swarm.node("s1").expect("never.", timeout="300ms")
        assert swarm.now_ns == begin_ns + 300_000_000
        assert "boot_time=" in str(caught.value)
        assert str(swarm.node("s1").logfile) in str(caught.value)
        assert isinstance(caught.value, AssertionError)


def test_several_patterns(lead):
    with lead() as swarm:
        node = swarm.node("s1")
        assert node.expect(["tdm: TDM", "net: ip"]).group() == "net: ip"
        matches = node.expect(["synchronised", "boot_time=", "TDM slot"], expect_all=True)
        assert [match.group() for match in matches] == ["synchronised", "boot_time=", "TDM slot"]
        with pytest.raises(NotSeenError, match=r"said 'refnode', and not .* 'never'"):
            lead_again = swarm.node("coord")
            lead_again.expect("never", not_matching="refnode")
        assert swarm.node("coord").expect_exact("boot_time=").group() == "boot_time="
        with pytest.raises(ValueError, match="no regular expression"):
            node.expect("(")


def test_a_device_under_test_speaks_bytes(lead):
    with lead() as swarm:
        dut = Dut(swarm, "s1")
        assert dut.expect(r"boot_time=(\d+) ms").group(1) == b"5"
        dut.write("stats")
        assert dut.expect_exact("samples=").group() == b"samples="
        dut.hard_reset()
        assert dut.expect(r"rst:(0x\w+)").group(1) == b"0x1"


def test_a_fault_that_did_nothing_is_no_pass(lead):
    with lead() as swarm:
        swarm.wait_booted()
        cut = swarm.inject("cut", between=["coord", "s1"])
        assert [stage for stage, _ in cut.stages] == [FaultStage.INJECTED]
        assert not cut.proved
        assert swarm.verdict() is Outcome.FAIL
        with pytest.raises(AssertionError, match=r"cut-now-1.*(no frame|not seen|never|nothing)"):
            swarm.require_pass()


def test_faults_that_cannot_be(lead):
    with lead() as swarm:
        swarm.run_for("100ms")
        with pytest.raises(ScenarioError, match="did you mean 'cut'"):
            swarm.inject("cutt", between=["coord", "s1"])
        with pytest.raises(ScenarioError, match="no node is called 's9'"):
            swarm.inject("cut", between=["coord", "s9"])
        with pytest.raises(ScenarioError, match="duration"):
            swarm.inject("cut", between=["coord", "s1"], for_="soon")
        swarm.inject("cut", between=["coord", "s1"], for_="1s")
        with pytest.raises(ScenarioError, match="overlaps cut-now"):
            swarm.inject("cut", between=["coord", "s1"], for_="1s")
        assert len(swarm.finish().record.faults) == 1


def test_faults_of_the_file_have_their_time(pair, lead):
    pair.write_text(pair.read_text() + "faults:\n  - {at: 1s, id: mine, cut: {between: [coord, s1], for: 1s}}\n")
    with lead() as swarm:
        swarm.run_for("500ms")
        with pytest.raises(ScenarioError, match="overlaps"):
            swarm.inject("cut", between=["coord", "s1"])
        swarm.run_for("3s")
        swarm.require_pass()
        assert [fault.id for fault in swarm.finish().record.faults] == ["mine"]


def test_power_and_memory(lead):
    with lead() as swarm:
        node = swarm.node("s1")
        swarm.run_for("1s")
        node.power_off()
        swarm.run_for("1s")
        silent = len(swarm.frames(link="coord--s1"))
        with pytest.raises(SwarmrigError, match="off"):
            node.power_off()
        node.power_on()
        node.expect("POWERON")
        node.expect("POWERON")
        swarm.run_for("1s")
        assert len(swarm.frames(link="coord--s1")) > silent
        node.write_memory(0x80700000, b"\x01\x02\x03\x04")
        assert node.read_memory(0x80700000, 4) == b"\x01\x02\x03\x04"


def test_captures_are_read_as_frames(lead):
    with lead() as swarm:
        swarm.run_for("2s")
        frames = swarm.frames()
        assert [frame.t_ns for frame in frames] == sorted(frame.t_ns for frame in frames)
        mine = swarm.frames("csi.node == 1", link="coord--s1")
        assert mine and {frame.sender for frame in mine} == {"s1"}
        assert len(mine) < len(frames)
        with pytest.raises(ValueError, match="nonsense"):
            swarm.frames("nonsense == 1")
        lines = [fact for fact in swarm.facts if isinstance(fact, ConsoleLine) and fact.node == "s1"]
        assert [line.line for line in lines] == list(range(1, len(lines) + 1))


def test_checks_say_what_they_think_meanwhile(lead):
    with lead() as swarm:
        before = swarm.judgements()["all_nodes_boot"]
        assert before is None
        swarm.wait_booted()
        after = swarm.judgements()["all_nodes_boot"]
        assert after is not None and after.outcome is Outcome.PASS


def test_a_node_that_ends_is_not_waited_for(lead):
    with lead() as swarm:
        swarm.wait_booted()
        swarm.inject("crash", node="s1")
        with pytest.raises(NotSeenError, match=r"s1 ended .*SIGKILL.* before it had said 'more'"):
            swarm.node("s1").expect("more")


def test_nodes_that_are_not_there(lead):
    with lead() as swarm:
        with pytest.raises(KeyError, match="coord, s1"):
            swarm.node("s9")


def test_when_it_is_over_it_is_over(lead):
    with lead() as swarm:
        swarm.run_for("1s")
        result = swarm.finish()
        assert swarm.finish() is result
        assert swarm.verdict() is Outcome.PASS
        with pytest.raises(SwarmOverError, match="over"):
            swarm.run_for("1s")
        assert "POWERON" in swarm.node("s1").logfile.read_text()
    results = json.loads((result.directory / "results.json").read_text())
    assert results["run"]["digest"] == result.digest


def test_an_error_of_the_program_ends_the_run_in_order(lead, tmp_path):
    with pytest.raises(ZeroDivisionError), lead() as swarm:
        swarm.run_for("1s")
        1 / 0  # noqa: B018
    results = json.loads((swarm.directory / "results.json").read_text())
    assert results["run"]["interrupted"] is False


def test_an_interrupted_program_leaves_an_interrupted_run(lead):
    with pytest.raises(KeyboardInterrupt), lead() as swarm:
        swarm.run_for("1s")
        raise KeyboardInterrupt
    results = json.loads((swarm.directory / "results.json").read_text())
    assert results["run"]["interrupted"] is True


def test_what_cannot_be_run_is_said_at_once(pair, lead, tmp_path):
    with pytest.raises(ScenarioError, match="colour"), lead(overrides={"nodes.s1.colour": "red"}):
        pass
    with pytest.raises((HostError, ScenarioError), match="no-such-qemu"):
        with lead(overrides={"nodes.s1.machine_binary": "./no-such-qemu"}):
            pass


@pytest.mark.parametrize("time", ["real", "virtual"])
def test_a_node_that_does_not_start_is_named_with_its_last_words(lead, tmp_path, time):
    broken = tmp_path / "qemu-system-riscv32"
    real = shutil.which("qemu-system-riscv32")
    broken.write_text(
        f'#!/bin/sh\ncase "$*" in *name=s1*|*nodes/s1*) echo no such luck >&2; exit 7;; esac\nexec {real} "$@"\n'
    )
    broken.chmod(0o755)
    with pytest.raises(SwarmOverError, match="did not start") as caught:
        with lead(time=time, overrides={"nodes.s1.machine_binary": str(broken)}):
            pytest.fail("it must not come to this")
    assert "no such luck" in str(caught.value)


def test_firmware_that_boots_in_words_of_its_own(lead):
    with lead() as swarm:
        swarm.wait_booted(says="frame_rate=")
        assert swarm.now > 5
        with pytest.raises(NotSeenError, match="coord has not booted within 100ms") as caught:
            swarm.wait_booted("100ms", says="no such words")
        assert "other words" in str(caught.value)
        assert swarm.node("coord").expect("POWERON")  # nothing was consumed
