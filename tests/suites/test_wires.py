"""Wires between processes: what goes in, what comes out, and what the captures say of it."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import anyio
import pytest

from swarmrig.errors import HostError
from swarmrig.suites.conduct import SuiteOptions, run_suite
from swarmrig.suites.directory import SuiteRun, begin_directory
from swarmrig.suites.load import load_suite_text

pytestmark = pytest.mark.anyio
COUNT = 40

ECHO = """\
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.bind(("127.0.0.1", 0))
    print("port", sock.getsockname()[1], flush=True)
    while True:
        data, sender = sock.recvfrom(4096)
        sock.sendto(data[::-1], sender)
"""
ASK = f"""\
import socket, struct, sys
answers = set()
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.connect(("127.0.0.1", int(sys.argv[1])))
    sock.settimeout(0.3)
    sock.send(bytes(1473))
    for number in range({COUNT}):
        sock.send(struct.pack(">BBHII", 0x80, 96, number, 0, 7))
    try:
        while len(answers) < {COUNT}:
            answers.add(sock.recv(4096))
    except TimeoutError:
        pass
print(f"ASKED answers={{len(answers)}}", all(answer[8:] == bytes((*answer[8:10], 96, 0x80)) for answer in answers))
"""
SUITE = """\
suite: 1
name: s
timeout: 20s
processes:
  server: {command: [PYTHON, "{here}/echo.py"], ready: 'port (?P<port>\\d+)', background: true}
  client: {command: [PYTHON, "{here}/ask.py", "{link}"], after: [link]}
wires: {link: {to: "{port}", after: [server], link: {latency: 3ms, loss: LOSS}}}
counters: {asked: {process: client, line: ASKED}, wire: {wire: link}}
scenarios: {one: {}}
modes: {m: {thresholds: {one: {asked.answers: {min: 1}}}}}
"""


async def run(tmp_path: Path, loss: str, text: str = SUITE):
    (tmp_path / "echo.py").write_text(ECHO)
    (tmp_path / "ask.py").write_text(ASK)
    text = text.replace("LOSS", loss).replace("PYTHON", sys.executable)
    plan = load_suite_text(text, "s.suite.yml", tmp_path)
    directory = begin_directory(tmp_path / "runs", "s", text, SuiteRun("s.suite.yml", str(tmp_path), "m", "t0", 1))
    await run_suite(plan, directory, SuiteOptions())
    (one,) = json.loads((directory.path / "summary.json").read_text())["scenarios"]
    return directory.path, one


async def test_datagrams_go_there_and_back_as_the_captures_say(tmp_path):
    path, one = await run(tmp_path, "0%")
    assert one["process_exit"] == {"server": 0, "client": 0}
    assert one["metrics"]["asked"] == {"answers": COUNT}
    assert "True" in (path / one["evidence"]["client_log"]).read_text()
    wire = one["metrics"]["wire"]
    assert (wire["samples"], wire["lost"]) == (COUNT, 0)
    assert wire["min_us"] >= 3000
    assert "1 datagrams of more than 1472 bytes did not pass" in (path / "manifest.tsv").read_text()
    assert (path / one["evidence"]["link_near"]).stat().st_size > 0


async def test_what_is_lost_on_the_way_is_lost_to_all(tmp_path):
    _, one = await run(tmp_path, "30%")
    wire = one["metrics"]["wire"]
    assert wire["samples"] + wire["lost"] == COUNT
    assert 0 < wire["lost"] < COUNT
    assert one["metrics"]["asked"]["answers"] < wire["samples"]


async def test_a_wire_to_nowhere_is_an_error(tmp_path):
    text = SUITE.replace("port (?P<port>\\d+)", "(?P<port>port)")
    with pytest.raises(BaseExceptionGroup) as caught:
        await run(tmp_path, "0%", text)
    assert "wire link: 'port' is no port" in str(leaf(caught.value))


async def test_the_death_of_the_network_is_an_error_at_once(tmp_path):
    """Not a scenario that fails because the network was perfect at losing everything."""
    text = SUITE.replace('"{here}/ask.py", "{link}"', '-c, "import time; time.sleep(60)"')

    async def kill_network():
        while not (plans := list(tmp_path.glob("runs/*/commands.log"))) or "fabric[" not in plans[0].read_text():
            await anyio.sleep(0.01)
        pid = int(plans[0].read_text().split("fabric[")[1].split("]")[0])
        os.kill(pid, signal.SIGKILL)

    with pytest.raises(BaseExceptionGroup) as caught:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(kill_network)
            await run(tmp_path, "0%", text)
    error = leaf(caught.value)
    assert isinstance(error, HostError)
    assert "network process" in str(error)


def leaf(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
