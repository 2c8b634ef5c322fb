"""Runs with line nodes, from file to verdict: exact in virtual time, and named when they fail."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from swarmrig.errors import HostError, ScenarioError
from swarmrig.model.verdict import Outcome
from swarmrig.plugins import Registry
from swarmrig.runtime.plan import make_plan
from swarmrig.runtime.run import FinishedRun, RunOptions, run
from swarmrig.runtime.warm import NotForkableError, refuse_unforkable
from swarmrig.scenario.load import load_scenario

pytestmark = pytest.mark.anyio
HERE = Path(__file__).parent
TWO = """
swarmrig: 1
name: two
duration: 1s
time: {time}
network: {{link: {{latency: 3ms}}}}
defaults: {{kind: line, command: [{python}, {here}/pinger.py], transport: {transport}}}
nodes:
  a: {{settings: {{to: b, period_us: 100000{more}}}}}
  b: {{settings: {{x: 1{more}}}}}
checks:
  - console: {{node: a, matches: "^pong 5 of b"}}
"""


async def finished(text: str, directory: Path) -> FinishedRun:
    path = directory / "file.swarmrig.yml"
    path.write_text(text)
    registry = Registry.load()
    plan = await make_plan(load_scenario(path, registry=registry), registry)
    return await run(plan, RunOptions(output_dir=directory / "runs"))


def two(**values: Any) -> str:
    given = {"python": sys.executable, "here": HERE, "more": "", "transport": "socket", "time": "virtual", **values}
    return TWO.format(**given)


def said_by(done: FinishedRun, node: str) -> list[str]:
    return (done.directory / "nodes" / node / "console.log").read_text().splitlines()


@pytest.mark.parametrize("transport", ["socket", "stdio"])
async def test_it_is_exact(tmp_path: Path, transport: str) -> None:
    done = await finished(two(transport=transport), tmp_path)
    assert done.record.verdict is Outcome.PASS, done.record.failures
    # Two links of 3 ms, there and back.
    assert said_by(done, "b") == ["ready: b of a,b at 0"] + [
        f"ping {n} of a sent {n}00000 at {n}06000" for n in range(1, 10)
    ]
    assert said_by(done, "a")[1] == "pong 1 of b sent 106000 at 112000"
    errors = (done.directory / "nodes" / "a" / "stderr.log").read_text()
    assert errors == "this is no part of the protocol\n"
    assert done.record.metrics["nodes.a.model.sent"] == 9


async def test_two_runs_are_one(tmp_path: Path) -> None:
    digests = set()
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        digests.add((await finished(two(), tmp_path / str(number))).record.digest)
    assert len(digests) == 1 and None not in digests


async def test_steps(tmp_path: Path) -> None:
    """One that lives in steps hears at the beginning of each what arrived in the one before; what it does is exact."""
    done = await finished(two(more=", stepped: true"), tmp_path)
    assert done.record.verdict is Outcome.PASS, done.record.failures
    assert said_by(done, "b")[1] == "ping 1 of a sent 100000 at 110000"
    assert said_by(done, "a")[1] == "pong 1 of b sent 110000 at 120000"


async def test_in_real_time(tmp_path: Path) -> None:
    done = await finished(two(time="real").replace("duration: 1s", "duration: 30s"), tmp_path)
    assert done.record.verdict is Outcome.PASS, done.record.failures


@pytest.fixture(scope="module")
def counter(tmp_path_factory: pytest.TempPathFactory) -> str:
    program = tmp_path_factory.mktemp("c") / "counter"
    subprocess.run(["cc", "-std=c11", "-Wall", "-Werror", "-o", program, HERE / "client.c"], check=True)
    return str(program)


async def test_a_node_in_c(tmp_path: Path, counter: str) -> None:
    text = f"""
swarmrig: 1
duration: 1s
time: virtual
network: {{link: {{latency: 3ms}}}}
nodes:
  a: {{kind: line, command: [{sys.executable}, {HERE}/pinger.py], settings: {{to: c, period_us: 100000}}}}
  c: {{kind: line, command: [{counter}], transport: stdio}}
checks:
  - console: {{node: a, matches: "^count 8 of c"}}
"""
    done = await finished(text, tmp_path)
    assert done.record.verdict is Outcome.PASS, (done.record.failures, said_by(done, "a"))
    assert said_by(done, "a")[2] == "count 1 of c sent 180000 at 186000"
    assert (done.directory / "nodes" / "c" / "stderr.log").read_text() == "c has counted 9\n"


ONE = """
swarmrig: 1
duration: 1s
time: {time}
nodes:
  x: {{kind: line, command: [{command}], transport: stdio, deadline: {deadline}, step: 100ms{more}}}
checks:
  - frames: {{filter: ip.proto == 17, count: {{max: 0}}}}
"""
HELLO = "input(); print('READY', flush=True); "
DIES = f"{sys.executable}, -S, {HERE}/dies.py, 3, 9"


def one(command: str, *, deadline: str = "20s", time: str = "virtual", more: str = "") -> str:
    return ONE.format(command=command, deadline=deadline, time=time, more=more)


def python(script: str) -> str:
    assert '"' not in script and "\\" not in script
    return f'{sys.executable}, -S, -c, "{script}"'


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("print('HELLO', flush=True); [input() for _ in range(9)]",
         "expected READY in answer to INIT, it said 'HELLO"),
        ("import sys; sys.exit(4)", "ended (exit 4) before it was ready"),
        (HELLO + "input(); input(); print('DOEN', flush=True); input()",
         "expected DONE, it said 'DOEN' (line 1 of what it said, in answer to ADVANCE 0)"),
        (HELLO + "import time; input(); input(); time.sleep(600)", "no answer to ADVANCE 0 within 0.2 s"),
    ],
    ids=["no READY", "exit", "DOEN", "stuck"],
)  # fmt: skip
async def test_who_does_not_keep_to_the_protocol_is_named(tmp_path: Path, script: str, words: str) -> None:
    done = await finished(one(python(script), deadline="200ms" if "sleep" in script else "20s"), tmp_path)
    (failure,) = done.record.failures
    assert failure.startswith("node x: ") and words in failure
    assert done.record.verdict is not Outcome.PASS


async def test_a_swarm_may_go_on_without_one(tmp_path: Path) -> None:
    """When it ended is exact, so the digest of such a run is that of another."""
    digests = []
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        done = await finished(one(DIES, more=", on_failure: ignore"), tmp_path / str(number))
        assert done.record.failures == (), done.record.failures
        (warning,) = done.record.warnings
        assert warning == (
            "x: node x: it closed its end instead of answering ADVANCE 300000\nthe run goes on without it"
        )
        events = [json.loads(line) for line in (done.directory / "events.jsonl").read_text().splitlines()]
        (ended,) = [event for event in events if event["kind"] == "node.exited"]
        assert ended["t"] == 200_000_000
        digests.append(done.record.digest)
    assert len(set(digests)) == 1


async def test_one_is_started_again(tmp_path: Path) -> None:
    policy = ", on_failure: {policy: restart, after: 10ms, limit: 2}"
    done = await finished(one(DIES, time="real", more=policy).replace("duration: 1s", "duration: 20s"), tmp_path)
    (failure,) = done.record.failures
    assert "its program has ended (exit 9)" in failure and "it has been started again 2 times before" in failure
    assert sum("started again after" in warning for warning in done.record.warnings) == 2
    events = (done.directory / "events.jsonl").read_text()
    assert events.count("node.started") == events.count("node.exited") == 3


async def test_that_it_may_be_started_again_at_any_time_is_no_virtual_time(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="when it is started again after a failure"):
        await finished(one(DIES, more=", on_failure: restart"), tmp_path)


async def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"file\.swarmrig\.yml:\d+:\d+: node x: command: .*nowhere is no program"):
        await finished(one("./nowhere"), tmp_path)


async def test_there_are_no_forks_of_a_program(tmp_path: Path) -> None:
    path = tmp_path / "file.swarmrig.yml"
    path.write_text(two())
    registry = Registry.load()
    plan = await make_plan(load_scenario(path, registry=registry), registry)
    with pytest.raises(NotForkableError, match=r"node a \(kind line\) cannot be kept in a snapshot"):
        refuse_unforkable(plan)


async def test_the_how_to_works(tmp_path: Path) -> None:
    page = (HERE.parents[1] / "docs" / "howto" / "write-a-node-in-any-language.md").read_text()
    scenario, client, in_c = (page.split(f"```{language}\n")[1].split("```")[0] for language in ("yaml", "python", "c"))
    (tmp_path / "thermometer.py").write_text(client)
    done = await finished(scenario.replace("python3", sys.executable), tmp_path)
    assert done.record.verdict is Outcome.PASS, done.record.failures
    assert done.record.metrics["nodes.gw.model.received"] >= 19
    (tmp_path / "listens.c").write_text(in_c)
    program = tmp_path / "listens"
    subprocess.run(["cc", "-Wall", "-Werror", "-o", program, tmp_path / "listens.c"], check=True)
    words = "INIT x {}\nADVANCE 0\n[]\nADVANCE 7\n[]\nSHUTDOWN\n"
    said = subprocess.run([program], input=words, capture_output=True, text=True, check=True).stdout
    assert said == "READY\n" + "DONE never\n[]\n" * 2
