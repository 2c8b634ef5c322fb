"""Suites of small real programs, from file to verdict."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import pytest
from junitparser import JUnitXml

from swarmrig.errors import HostError, ScenarioError
from swarmrig.suites.conduct import SuiteOptions, Unobserved, run_suite
from swarmrig.suites.directory import SuiteRun, begin_directory, locked, reopen_directory
from swarmrig.suites.load import load_suite_text

pytestmark = pytest.mark.anyio

HEAD = """\
suite: 1
name: s
timeout: 20s
with: {n: 3, extra: ""}
processes:
"""
TAIL = """
counters: {c: {process: main, line: COUNT}}
scenarios: {one: {}}
modes: {m: {thresholds: {one: {n: {min: 3, max: 3}}}}}
"""
MAIN = '  main: {command: [sh, -c, "echo COUNT n={n}; {extra}"]}'


class Ran:
    def __init__(self, directory, finished):
        self.directory = directory
        self.path = directory.path
        self.finished = finished
        self.summary = json.loads((self.path / "summary.json").read_text())
        self.scenarios = {each["id"]: each for each in self.summary["scenarios"]}
        self.one = self.scenarios.get("one")


@pytest.fixture
def run(tmp_path):
    """await run(text) -> Ran"""

    async def call(text, *, repetitions=None, variables=None, **options):
        plan = load_suite_text(text, "s.suite.yml", tmp_path)
        repetitions = repetitions or plan.repetitions
        begun = SuiteRun("s.suite.yml", str(tmp_path), next(iter(plan.suite.modes)), "t0", repetitions, variables or {})
        directory = begin_directory(tmp_path / "runs", "s", text, begun)
        return Ran(directory, await run_suite(plan, directory, SuiteOptions(**options)))

    return call


async def again(path: Path, **options) -> Ran:
    """Go on with a run."""
    directory = reopen_directory(path)
    plan = load_suite_text(directory.text, "s.suite.yml", Path(directory.run.here))
    return Ran(directory, await run_suite(plan, directory, SuiteOptions(**options)))


async def test_a_program_is_run_and_judged(run):
    ran = await run(HEAD + MAIN + TAIL)
    assert ran.one["status"] == "pass"
    assert ran.one["process_exit"] == {"main": 0}
    assert ran.one["metrics"] == {"c": {"n": 3}}
    assert ran.summary["task"] == "s"
    assert (ran.path / ran.one["evidence"]["main_log"]).read_text() == "COUNT n=3\n"
    assert (ran.path / "suite.yml").read_text() == HEAD + MAIN + TAIL


async def test_thresholds_decide(run):
    ran = await run(HEAD + MAIN + TAIL, variables={"n": "2"})
    assert ran.one["reason"] == "n=2 < 3"
    (suite,) = JUnitXml.fromstring((ran.path / "junit.xml").read_bytes())
    assert (suite.tests, suite.failures) == (1, 1)


@pytest.mark.parametrize(
    ("extra", "code"), [("exit 3", 3), ("kill -9 $$", -9), ("kill $$", -15), ("exit 255", 255), ("true", 0)]
)
async def test_exit_codes_are_honest(run, extra, code):
    ran = await run(HEAD + MAIN + TAIL, variables={"extra": extra})
    assert ran.one["process_exit"] == {"main": code}
    assert ran.one["reason"] == (f"process_rc(main={code})" if code else "all checks passed")


async def test_order_readiness_and_what_a_pattern_catches(run):
    text = (
        HEAD
        + """\
  main: {after: [server], command: [sh, -c, 'echo COUNT n="$1" mode=$MODE', x, "{port}"], env: {MODE: "{mode}"}}
  server: {ready: 'port=(?P<port>[0-9]+)', background: true, command: [sh, -c, "{wait}; echo port=3; exec sleep 60"]}
"""
        + TAIL
    )
    ran = await run(text.replace("{wait}", "sleep 0.05"))
    assert ran.one["status"] == "pass", ran.one["reason"]
    assert ran.one["process_exit"] == {"main": 0, "server": 0}  # ended by us, as it should
    assert ran.one["metrics"]["c"] == {"n": 3, "mode": "m"}


async def test_what_is_ready_with_its_last_breath_was_ready(run):
    text = (
        HEAD
        + '  main: {after: [a], command: [echo, "COUNT n={v}"]}\n  a: {command: [echo, "v 3"], ready: "v (?P<v>.)"}'
    )
    assert (await run(text + TAIL)).one["status"] == "pass"


async def test_one_that_is_never_ready_keeps_the_others_from_starting(run):
    text = HEAD + "  main: {after: [a], command: [echo, COUNT]}\n  a: {command: [echo, never], ready: up}" + TAIL
    ran = await run(text)
    assert ran.one["process_exit"] == {"main": -1, "a": 0}
    assert ran.one["evidence"]["main_log"] == ""
    assert "a ended before it was ready" in (ran.path / "manifest.tsv").read_text()


async def test_a_failure_ends_the_scenario_long_before_its_time(run, monkeypatch):
    monkeypatch.setattr("swarmrig.suites.processes.GRACE_S", 0.1)
    ran = await run(HEAD + "  main: {command: [sleep, '100']}\n  bad: {command: ['false']}" + TAIL)
    assert ran.one["process_exit"] == {"main": -15, "bad": 1}
    assert ran.one["duration_ms"] < 15_000


async def test_time_is_up(run):
    ran = await run((HEAD + "  main: {command: [sleep, '100']}" + TAIL).replace("20s", "200ms"))
    assert ran.one["process_exit"] == {"main": -15}
    assert "main: no end within 0.2 s" in (ran.path / "manifest.tsv").read_text()


async def test_programs_that_ignore_sigterm_or_leave_children_are_ended(run):
    stubborn = """  main: {command: [sh, -c, 'trap "" TERM; sleep 100 & sleep 100; sleep 100']}"""
    ran = await run((HEAD + stubborn + TAIL).replace("20s", "200ms"))
    assert ran.one["process_exit"]["main"] in (-9, 143)


async def test_a_program_that_is_not_there_is_an_error(run):
    with pytest.raises(BaseExceptionGroup) as caught:
        await run(HEAD + "  main: {command: [no-such-program]}" + TAIL)
    assert "no-such-program" in str(leaf(caught.value))


def leaf(error):
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def test_patterns_json_and_other_counters(run):
    text = """\
suite: 1
name: s
processes:
  main:
    command:
      [sh, -c, 'echo GET; echo GET took 5 ms; echo took 7 ms;
        printf "{{\\"a\\": {{\\"b\\": [1.5, true]}}}}" > out.json']
artifacts: {out: out.json, gone: gone.json}
counters:
  seen: {process: main, patterns: {requests: GET, took: "took ([0-9]+)", none: "nothing (.)"}}
  out: {artifact: out}
  gone: {artifact: gone}
scenarios: {one: {}}
modes:
  m:
    thresholds:
      one: {requests: {min: 2, max: 2}, took: {max: 7, in: seen}, out.a.b.0: {max: 1.5, min: 1.5}, none: {min: 0},
            gone.x: {max: 1}}
"""
    ran = await run(text)
    assert ran.one["metrics"] == {"seen": {"requests": 2, "took": 7}, "out": {"a.b.0": 1.5}, "gone": {}}
    assert ran.one["violations"] == ["no none", "no gone_path"]
    assert ran.one["evidence"]["gone"] == ""


PAUSED = """\
suite: 1
name: s
processes:
  main: {command: [sh, -c, 'for i in 1 2 3 4; do sleep 0.1; done; echo COUNT n=1'], ready: ''}
counters: {c: {process: main, line: COUNT}}
scenarios: {one: {faults: [{at: AT, pause: {process: main, for: 200ms}}]}}
modes: {m: {thresholds: {one: {n: {min: 1}}}}}
"""


async def test_a_pause_is_proved(run):
    ran = await run(PAUSED.replace("AT", "50ms").replace(", ready: ''", ""))
    assert ran.one["process_exit"] == {"main": 0, "faults": 0}
    assert ran.one["status"] == "pass"
    log = (ran.path / ran.one["evidence"]["faults_log"]).read_text()
    assert [line.rpartition("main: ")[2] for line in log.splitlines()] == [
        "injected", "observed: it stands still", "healed", "heal observed: it runs again",
    ]  # fmt: skip
    assert ran.one["duration_ms"] >= 500


async def test_a_fault_that_comes_too_late_did_not_happen(run):
    """The program did well, but not what it was to be tried with."""
    ran = await run(PAUSED.replace("AT", "15s").replace(", ready: ''", ""))
    assert ran.one["process_exit"] == {"main": 0, "faults": 1}
    assert ran.one["status"] == "fail"


async def test_a_signal_that_does_nothing_is_no_fault(run, monkeypatch):
    from swarmrig.proc import Process

    monkeypatch.setattr(Process, "send_signal", lambda *_args, **_more: None)
    ran = await run(PAUSED.replace("AT", "10ms").replace(", ready: ''", ""))
    assert ran.one["process_exit"] == {"main": 0, "faults": 1}


async def test_a_killed_process_may_be_what_is_wanted(run):
    text = HEAD + "  main: {command: [sleep, '100']}" + TAIL
    text = text.replace("{one: {}}", "{one: {faults: [{at: 0s, kill: {process: main}}], exits: {main: [-9]}}}")
    ran = await run(text.replace("{one: {n: {min: 3, max: 3}}}", "{}"))
    assert ran.one["process_exit"] == {"main": -9, "faults": 0}
    assert ran.one["status"] == "pass"


REPEATED = HEAD + '  main: {command: [sh, -c, "echo COUNT n={repetition} seed={seed}"]}' + TAIL
REPEATED = REPEATED.replace("min: 3, max: 3", "min: 1, max: 4").replace("{one: {}}", "{one: {}, two: {}}")


async def test_repetitions_and_percentiles_over_them(run):
    ran = await run(REPEATED, repetitions=5)
    assert [(each["id"], each["order"]) for each in ran.summary["scenarios"]][:3] == [
        ("one", 1),
        ("two", 2),
        ("one", 3),
    ]
    assert ran.summary["counts"] == {"total": 10, "pass": 9, "fail": 1}  # the fifth of `one` is above 4
    statistics = json.loads((ran.path / "statistics.json").read_text())["scenarios"]["one"]
    assert (statistics["runs"], statistics["passed"]) == (5, 4)
    assert statistics["metrics"]["c.n"] == {"n": 5, "min": 1, "p50": 3, "p95": 5, "p99": 5, "max": 5}


async def test_a_limit_over_all_repetitions(run):
    """Single runs may exceed what the median may not."""
    limits = "{n: {max: MOST, over: p50}}"
    text = REPEATED.replace("{n: {min: 1, max: 4}}", limits)
    ran = await run(text.replace("MOST", "3"), repetitions=5)
    assert ran.summary["counts"] == {"total": 10, "pass": 10, "fail": 0}
    assert ran.summary["all_pass"]
    (over,) = ran.summary["over_runs"]
    assert (over["scenario"], over["over"], over["runs"], over["actual"], over["passed"]) == ("one", "p50", 5, 3, True)
    assert ran.summary["thresholds"]["one"] == {"n_max_over_p50": 3}

    failed = await run(text.replace("MOST", "2"), repetitions=5)
    assert failed.summary["counts"]["fail"] == 0
    assert (failed.summary["all_pass"], failed.summary["recommended_exit_code"]) == (False, 1)
    assert str(failed.finished.over_runs[0]) == "one: p50 over 5 runs: n=3 > 2"
    (suite,) = JUnitXml.fromstring((failed.path / "junit.xml").read_bytes())
    assert (suite.tests, suite.failures) == (11, 1)


async def test_a_repetition_without_the_number_does_not_drop_out(run):
    text = HEAD + '  main: {command: [sh, -c, "test {repetition} = 2 || echo COUNT n=1"]}' + TAIL
    ran = await run(text.replace("{n: {min: 3, max: 3}}", "{n: {max: 3, over: max}}"), repetitions=3)
    assert ran.summary["over_runs"][0]["violation"] == "no n in 1 of 3 runs"
    assert not ran.summary["all_pass"]


async def test_scenarios_run_side_by_side(run, tmp_path):
    """Each waits for the other: one after the other they would never end."""
    meet = "touch {here}/{scenario}; until test -e {here}/$0; do sleep 0.01; done; echo COUNT n=3"
    command = f'[sh, -c, "{meet}", "{{other}}"]'
    text = (
        HEAD
        + f"  main: {{command: {command}}}"
        + TAIL.replace("{one: {}}", "{one: {with: {other: two}}, two: {with: {other: one}}}")
    )
    ran = await run(text, jobs=2)
    assert ran.summary["counts"]["total"] == 2
    assert ran.scenarios["two"]["status"] == ran.scenarios["one"]["status"] == "pass"


class Interrupting(Unobserved):
    """Interrupts after some verdicts."""

    def __init__(self, after):
        self.event = anyio.Event()
        self.started = []
        self._left = after

    def on_start(self, scenario_id, repetition):
        self.started.append((scenario_id, repetition))

    def on_verdict(self, verdict, repetition):
        self._left -= 1
        if not self._left:
            self.event.set()


async def test_an_interrupted_run_goes_on_where_it_was(run):
    first = Interrupting(after=3)
    ran = await run(REPEATED, repetitions=3, observer=first, interrupt=first.event)
    assert ran.finished.interrupted
    assert ran.summary["counts"]["total"] == 3
    assert ran.summary["all_pass"] is False
    assert "scenario 'two' stands in the manifest 1 times, expected 3" in ran.finished.differences
    (suite,) = JUnitXml.fromstring((ran.path / "junit.xml").read_bytes())
    assert suite.errors == 2

    second = Interrupting(after=0)
    rest = await again(ran.path, observer=second)
    assert second.started == [("two", 2), ("one", 3), ("two", 3)]
    assert rest.summary["counts"] == {"total": 6, "pass": 6, "fail": 0}
    assert rest.summary["all_pass"]
    assert rest.summary["run_id"] == ran.summary["run_id"]

    third = Interrupting(after=0)
    assert (await again(ran.path, observer=third)).summary["scenarios"] == rest.summary["scenarios"]
    assert third.started == []


@pytest.mark.parametrize("cut", [1, 15, 40, 90, 10_000])
async def test_a_row_that_a_power_cut_has_left_half_written_runs_again(run, cut):
    ran = await run(REPEATED, repetitions=2)
    manifest = ran.path / "manifest.tsv"
    data = manifest.read_bytes()
    manifest.write_bytes(data[: max(3, len(data) - cut)])
    again_started = Interrupting(after=0)
    rest = await again(ran.path, observer=again_started)
    assert again_started.started
    assert rest.summary["counts"] == {"total": 4, "pass": 4, "fail": 0}
    assert rest.summary["all_pass"]


async def test_an_interrupted_scenario_has_not_run(run, tmp_path):
    text = HEAD + "  main: {command: [sh, -c, 'touch {here}/begun; exec sleep {n}00']}" + TAIL
    interrupt = anyio.Event()

    async def press():
        while not (tmp_path / "begun").exists():
            await anyio.sleep(0.01)
        interrupt.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(press)
        ran = await run(text, interrupt=interrupt)
    assert ran.summary["counts"]["total"] == 0
    assert ran.summary["recommended_exit_code"] == 1
    assert not (ran.path / "manifest.tsv").exists()


async def test_only_one_goes_on_at_a_time(run):
    ran = await run(HEAD + MAIN + TAIL)
    with locked(ran.directory), pytest.raises(HostError, match="running already"):
        await again(ran.path)


@pytest.mark.parametrize("content", [None, "{", "[]", '{"format": 9}', '{"format": 1, "file": "x"}'])
def test_what_is_no_run_of_a_suite(tmp_path, content):
    if content is not None:
        (tmp_path / "suite.json").write_text(content)
    with pytest.raises(HostError, match="suite"):
        reopen_directory(tmp_path)


async def test_a_failed_build_is_told(run):
    text = HEAD + MAIN + TAIL + "build: [sh, -c, 'echo broken >&2; exit 2']\n"
    with pytest.raises((HostError, BaseExceptionGroup)) as caught:
        await run(text)
    assert "the build failed (exit 2): broken" in str(leaf(caught.value))


SWARM = """\
swarmrig: 1
duration: 4s
network: {topology: star, hub: hub}
nodes: {hub: {role: coordinator}, s1: {role: sensor}}
checks: [all_nodes_boot]
"""


async def test_a_swarm_is_a_scenario_too(run, tmp_path):
    (tmp_path / "pair.swarmrig.yml").write_text(SWARM)
    text = """\
suite: 1
name: s
scenarios:
  swarm: {run: ./pair.swarmrig.yml, set: {duration: 3s}}
  doubtful: {run: ./pair.swarmrig.yml, set: {duration: 2s, checks: "[fall_detected_by_node_1]"}}
  warned: {run: ./pair.swarmrig.yml, exits: {rig: [1, 2]}, set: {duration: 2s, checks: "[fall_detected_by_node_1]"}}
modes:
  m:
    thresholds:
      swarm: {results.run.run_s: {min: 3, max: 3}, results.links.hub--s1.delivered: {min: 1}, results.run.x: {max: 1}}
"""
    ran = await run(text, jobs=3)  # side by side, too
    swarm = ran.scenarios["swarm"]
    assert swarm["process_exit"] == {"rig": 0}
    assert swarm["violations"] == ["no results.run.x"], swarm["metrics"]["results"].keys()
    assert (ran.path / swarm["evidence"]["results"]).exists()
    assert ran.scenarios["doubtful"]["process_exit"]["rig"] != 0  # nobody fell: no evidence, no pass
    assert ran.scenarios["doubtful"]["status"] == "fail"
    assert ran.scenarios["warned"]["status"] == "pass"


async def test_a_swarm_that_is_wrong_is_told_before_anything_runs(run, tmp_path):
    (tmp_path / "pair.swarmrig.yml").write_text(SWARM.replace("hub: hub", "hub: hbu"))
    started = Interrupting(after=0)
    text = HEAD + MAIN + TAIL.replace("{one: {}}", "{one: {}, swarm: {run: ./pair.swarmrig.yml}}")
    with pytest.raises(ScenarioError, match="hbu"):
        await run(text, observer=started)
    assert started.started == []
