"""Swarms of Python nodes, from the file to the verdict: the same bytes each time, failures named, nothing left."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest

import swarmrig
from swarmrig.errors import ScenarioError
from swarmrig.model.verdict import Outcome

HOWTO = (Path(__file__).parents[2] / "docs" / "howto" / "write-a-python-node.md").read_text(encoding="utf-8")
BAD = """
import time
from swarmrig.nodes.python import Model


class Bad(Model):
    def on_start(self):
        self.log("alive")
        self.call_at(1_500_000_000, self.fail)

    def fail(self):
        raise RuntimeError("not today")


class Endless(Bad):
    def fail(self):
        while True:
            try:
                pass
            except Exception:
                pass


class Asleep(Bad):
    def fail(self):
        time.sleep(3600)


class Good(Model):
    def on_start(self):
        self.every(1_000_000_000, lambda: self.log("fine"))
"""


def run(folder: Path, text: str, name: str = "t", **options: object) -> swarmrig.RunResult:
    file = folder / f"{name}.swarmrig.yml"
    file.write_text(text)
    return swarmrig.run(file, output_dir=folder / "runs", **options)  # type: ignore[arg-type]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", HOWTO, re.M | re.S)


def swarm_of(*nodes: str) -> str:
    lines = "\n".join(f"  {node}" for node in nodes)
    return (
        "swarmrig: 1\nduration: 4s\nnetwork: {topology: star, hub: hub}\ndefaults: {kind: python}\n"
        f'nodes:\n  hub: {{model: "./bad.py:Good"}}\n{lines}\nchecks: [{{console: {{node: hub, matches: fine}}}}]\n'
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bad.py").write_text(BAD)
    return tmp_path


def test_what_the_howto_shows_works(tmp_path: Path) -> None:
    for code in blocks("python"):
        (tmp_path / code.splitlines()[0].removeprefix("# ")).write_text(code)
    found = [text for text in blocks("yaml") if text.startswith("swarmrig: 1")]
    assert len(found) >= 2
    for number, text in enumerate(found):
        result = run(tmp_path, text, f"shown{number}")
        assert result.success, result.checks


def test_the_same_file_and_seed_give_the_same_bytes(tmp_path: Path) -> None:
    text = """
swarmrig: 1
duration: 5s
network: {topology: star, hub: gw, link: {latency: 3ms, jitter: 2ms, loss: 2%}}
defaults: {kind: python}
nodes:
  gw: {role: gateway, model: gateway, settings: {to: cloud, period: 1s}}
  cloud: {model: cloud, settings: {tell: true}}
  broker: {model: broker, settings: {tell: true}}
  s: {model: sensor, count: 10, settings: {period: 200ms}}
  m: {model: mqtt-sensor, count: 3, settings: {broker: broker, qos: 1}}
checks:
  - metric: {name: nodes.gw.model.received, min: 200}
  - metric: {name: nodes.broker.model.published, min: 12}
  - metric: {name: "nodes.s-*.model.readings", min: 24, max: 25}
"""
    first, second, other = run(tmp_path, text), run(tmp_path, text), run(tmp_path, text, seed=1)
    assert first.success, first.checks
    assert first.digest is not None
    assert first.digest == second.digest != other.digest
    report = json.loads((first.directory / "nodes" / "s-3" / "report.json").read_text())
    assert report["metrics"]["readings"] == 25
    metrics = json.loads((first.directory / "results.json").read_text())["metrics"]
    assert metrics["nodes.s-3.model.readings"] == 25


def test_a_metric_that_no_model_counts_is_no_pass(folder: Path) -> None:
    text = swarm_of() + "  - metric: {name: nodes.hub.model.nothing, min: 1}\n"
    text = text.replace("checks: [{console: {node: hub, matches: fine}}]", "checks:")
    assert run(folder, text).verdict is not Outcome.PASS


def test_a_node_that_raises_is_named_with_its_traceback_and_time(folder: Path) -> None:
    result = run(folder, swarm_of('s: {model: "./bad.py:Bad"}'))
    results = json.loads((result.directory / "results.json").read_text())
    (failure,) = results["failures"]
    assert failure.startswith("the Python node s failed at 1.500000 s: RuntimeError: not today")
    log = (result.directory / "nodes" / "s" / "stderr.log").read_text()
    assert 'raise RuntimeError("not today")' in log
    assert (result.directory / "nodes" / "hub" / "console.log").read_text() == "fine\n" * 3, "the others live on"


def test_policies_say_what_becomes_of_a_run_whose_node_fails(folder: Path) -> None:
    ignored = run(folder, swarm_of('s: {model: "./bad.py:Bad", on_failure: ignore}'), "ignored")
    assert ignored.success
    again = run(folder, swarm_of('s: {model: "./bad.py:Bad", on_failure: restart}'), "again")
    assert (again.directory / "nodes" / "s" / "console.log").read_text() == "alive\n" * 2
    events = [json.loads(line) for line in (again.directory / "events.jsonl").read_text().splitlines()]
    times = [event["t"] for event in events if event["source"] == "s" and event["kind"] == "node.started"]
    assert times == [0, 2_500_000_000], "exactly a second after it failed"


@pytest.mark.parametrize(
    ("model", "time"), [("Endless", "virtual"), ("Asleep", "virtual"), ("Endless", "paced"), ("Asleep", "real")]
)
def test_a_node_that_does_not_return_is_named_with_where_it_is(folder: Path, model: str, time: str) -> None:
    from swarmrig.timebase.stepping import Stepping

    text = swarm_of(f's: {{model: "./bad.py:{model}"}}').replace("duration:", f"time: {time}\nduration:")
    text = text.replace("}}]", "}}, no_crashes]")  # decided at the end only
    file = folder / "t.swarmrig.yml"
    file.write_text(text)
    result = run_with_patience(file, folder, Stepping(patience_s=1.0))
    (failure,) = json.loads((result / "results.json").read_text())["failures"]
    assert "the Python node s failed at 1.5" in failure
    assert re.search(r"has not returned for \d+ s: it is at \S*bad.py:\d+, in fail", failure)
    assert (result / "nodes" / "hub" / "console.log").read_text().startswith("fine\n" * 3), "the others live on"


def run_with_patience(file: Path, folder: Path, stepping: object) -> Path:
    import anyio

    from swarmrig.plugins import Registry
    from swarmrig.reports.write import write_reports
    from swarmrig.runtime.plan import make_plan
    from swarmrig.runtime.run import RunOptions
    from swarmrig.runtime.run import run as run_plan
    from swarmrig.scenario.load import load_scenario

    async def live() -> Path:
        registry = Registry.load()
        plan = await make_plan(load_scenario(file, registry=registry), registry)
        finished = await run_plan(plan, RunOptions(output_dir=folder / "runs", stepping=stepping))  # type: ignore[arg-type]
        write_reports(finished.record, finished.directory)
        return finished.directory

    return anyio.run(live)


REAL = """
swarmrig: 1
duration: 60s
time: real
network: {topology: star, hub: broker, link: {latency: 2ms, loss: 1%}}
defaults: {kind: python}
nodes:
  broker: {model: broker, settings: {tell: true}}
  mosquitto: {kind: process, command: [MOSQUITTO, -c, mosquitto.conf], ready: {port: 1883}}
  listener: {kind: process, command: [mosquitto_sub, -h, broker, -t, "sensors/+", -v, -q, "1", -C, "3"], ends_with: [0]}
  talker: {kind: process, command: [mosquitto_pub, -h, broker, -t, hello, -m, "from linux", -q, "1"], ends_with: [0]}
  other: {kind: process, command: [mosquitto_sub, -h, mosquitto, -t, "sensors/+", -v, -q, "1", -C, "3"], ends_with: [0]}
  s1: {model: mqtt-sensor, settings: {broker: broker, period: 300ms, qos: 1}}
  s2: {model: mqtt-sensor, settings: {broker: mosquitto, period: 300ms, qos: 1}}
checks:
  - console: {node: broker, matches: "hello: from linux"}
  - console: {node: listener, matches: "^sensors/s1 .*values"}
  - console: {node: other, matches: "^sensors/s2 .*values"}
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces of the processes need root")
def test_real_clients_talk_to_the_broker_and_sensors_to_a_real_broker(tmp_path: Path) -> None:
    mosquitto = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
    if mosquitto is None or shutil.which("mosquitto_pub") is None:
        pytest.skip("Debian's mosquitto and mosquitto-clients are not installed")
    (tmp_path / "mosquitto.conf").write_text("listener 1883\nallow_anonymous true\n")
    result = run(tmp_path, REAL.replace("MOSQUITTO", mosquitto))
    assert result.success, (result.checks, list((tmp_path / "runs").rglob("console.log")))


SLOW_AND_QUICK = """
from swarmrig.nodes.python import Model

class Slow(Model):
    def on_start(self):
        self.log("alive")
        self.call_at(2_000_000_000, lambda: self.log("at last"))
"""


def test_a_run_goes_on_until_every_check_is_decided_also_those_of_one_name(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW_AND_QUICK)
    text = """
swarmrig: 1
duration: 60s
time: real
nodes: {a: {kind: python, model: "slow.py:Slow"}}
checks:
  - console: {node: a, matches: "at last"}
  - console: {node: a, matches: "alive"}
"""
    result = run(tmp_path, text)
    assert result.success, result.checks
    assert [check.label for check in result.checks] == ["console", "console (2)"]


LARGE = """
swarmrig: 1
duration: 1s
time: virtual
nodes:
  q: {kind: qemu, role: sensor CONFIG}
  p: {kind: python, model: sensor, count: 300, settings: {to: q}}
checks: [{console: {node: q, matches: "."}}]
"""


def test_a_guest_that_cannot_be_told_of_so_large_a_fleet_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"t.swarmrig.yml:6:3: .*tdm_nodes is a whole number in 1..255") as told:
        run(tmp_path, LARGE.replace("CONFIG", ""))
    assert "config: {tdm_nodes: ...}" in str(told.value)
    assert not (tmp_path / "runs").exists()
    assert run(tmp_path, LARGE.replace("CONFIG", ", config: {tdm_nodes: 1}")).success


def test_a_node_that_is_wrong_is_still_somebody_to_send_to(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="unknown key 'nvs'") as told:
        run(tmp_path, LARGE.replace("CONFIG", ", nvs: {}"))
    assert "no node is called" not in str(told.value)
