"""The plugin of pytest, as its users have it: a pytest of its own runs tests of their kind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import xml.etree.ElementTree as ET

import pytest

TESTS = """
    import pytest

    pytestmark = pytest.mark.swarm("pair.swarmrig.yml", seed=5, dut="s1")

    def test_recovers(swarm):
        cut = swarm.inject("cut", between=["coord", "s1"], for_="500ms")
        swarm.run_for("2s")
        assert cut.proved
        swarm.require_pass()

    def test_dut(dut):
        dut.write("stats")
        assert dut.expect(r"uptime_ms=(\\d+)").group(1).isdigit()
        dut.expect_exact("samples=")

    def test_of_nothing(swarm):
        swarm.node("s1").expect("no such words", timeout="200ms")

    @pytest.mark.swarm("pair.swarmrig.yml", set={"nodes.s1.config.scenario": 3})
    def test_two_devices(dut): ...

    @pytest.mark.swarm("pair.swarmrig.yml", sed=1)
    def test_wrong_argument(swarm): ...

    @pytest.mark.swarm("absent.swarmrig.yml")
    def test_absent(swarm): ...

    @pytest.mark.swarm("pair.swarmrig.yml", booted=False)
    def test_dies(swarm):
        assert swarm.now == 0
        import os, signal
        swarm.run_for("100ms")
        swarm.node("s1").write("panic")
"""


def properties(path) -> dict[str, dict[str, str]]:
    cases = ET.parse(path).getroot().iter("testcase")
    return {
        str(case.get("name")): {str(one.get("name")): str(one.get("value")) for one in case.iter("property")}
        for case in cases
    }


def test_swarms_are_fixtures(inner, pair):
    inner.tests(TESTS)
    report = inner.path / "junit.xml"

    result = inner.run("-n", "2", f"--junitxml={report}", "-v", "test_inner.py", "pair.swarmrig.yml")

    assert result.outcomes == {"passed": 4, "failed": 1, "error": 3}, result.text
    text = result.text
    assert "s1 has not said 'no such words' within 200ms" in text
    assert "concurrent/futures" not in text, "the inside of the rig is not shown"
    assert "run directory: " in text
    assert 'the swarm has 2 nodes: say which one with dut="coord"' in text
    assert "the marker `swarm` has no argument sed" in text
    assert "absent.swarmrig.yml: cannot be read" in text
    found = properties(report)
    assert found["test_recovers"]["swarmrig.verdict"] == "PASS"
    assert found["test_recovers"]["swarmrig.tier"] == "exact"
    assert found["test_recovers"]["swarmrig.seed"] == "5"
    assert len(found["test_recovers"]["swarmrig.digest"]) == 64
    assert os.path.exists(found["test_recovers"]["swarmrig.directory"] + "/results.json")


def test_scenario_files_are_tests(inner, pair):
    (inner.path / "pair.swarmrig.yml").unlink()
    good, bad = inner.path / "good.swarmrig.yml", inner.path / "bad.swarmrig.yml"
    good.write_text(pair.read_text().replace("20s", "2s"))
    bad.write_text(
        pair.read_text().replace("20s", "2s").replace("no_crashes", "{console: {node: s1, matches: nosuch}}")
    )
    inner.path.joinpath("wrong.swarmrig.yml").write_text("swarmrig: 1\nnodes: {}\n")

    inner.tests("def test_of_something_else(): raise AssertionError")
    result = inner.run(
        "--swarmrig", "--swarmrig-output=out", "--swarmrig-seed=9", "-m", "swarm", "--junitxml=junit.xml"
    )

    found = ET.parse(inner.path / "junit.xml").getroot().iter("property")
    assert sorted(one.get("value") for one in found if one.get("name") == "swarmrig.verdict") == ["FAIL", "PASS"]
    assert result.outcomes == {"passed": 1, "failed": 2}, result.text
    text = result.text
    assert "FAIL  console: s1: 0 lines match" in text
    assert "wrong.swarmrig.yml:2:" in text
    assert "Traceback" not in text
    assert {json.loads(path.read_text())["run"]["seed"] for path in inner.path.glob("out/*/results.json")} == {9}


def test_without_a_marker_it_costs_nothing_and_says_what_to_write(inner):
    inner.tests(
        """
        import sys

        def test_cost():
            assert not [name for name in sys.modules if name.startswith(("swarmrig.runtime", "swarmrig.scenario"))]

        def test_it(swarm): ...
        """
    )
    result = inner.run()
    assert result.outcomes == {"passed": 1, "error": 1}, (
        result.text
    )  # and pair.swarmrig.yml, which is there, is no test
    assert '@pytest.mark.swarm("two-rooms.swarmrig.yml")' in result.text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_an_interrupted_test_leaves_nothing(inner, number):
    """That nothing is left of it is seen to by the tests' own fixture."""
    inner.tests(
        """
        import pytest

        @pytest.mark.swarm("pair.swarmrig.yml", time="real")
        def test_it(swarm, capfd):
            with capfd.disabled():
                print("RUNNING", flush=True)
            swarm.node("s1").expect("never", timeout="10m")
        """
    )
    with subprocess.Popen(inner.command("-q"), cwd=inner.path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "RUNNING" in line:
                break
        process.send_signal(number)
        process.communicate(timeout=120)
    results = list(inner.path.glob("tmp/*/*/results.json"))
    assert bool(results) is (number is signal.SIGINT)
