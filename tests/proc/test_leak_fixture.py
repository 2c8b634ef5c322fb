"""The fixture that fails leaking tests, tested by leaking."""

import re
import time
from pathlib import Path

CONFTEST = Path(__file__).parents[1] / "conftest.py"
pytest_plugins = ["pytester"]

SUITE = """
import asyncio, os, socket, subprocess, tempfile
from pathlib import Path
import pytest
kept = []

def test_leak_process():
    kept.append(subprocess.Popen(["sleep", "60"]))

def test_tidy():
    with socket.socket(), tempfile.NamedTemporaryFile():
        subprocess.run(["true"], check=True)

def test_leak_daemon():
    subprocess.run(["setsid", "--fork", "sleep", "60"], check=True)

def test_leak_socket():
    kept.append(socket.socket())

def test_leak_pipe():
    kept.append(os.pipe())

@pytest.mark.anyio
async def test_leak_task():
    kept.append(asyncio.ensure_future(asyncio.sleep(60)))

@pytest.mark.anyio
async def test_tidy_async():
    await asyncio.ensure_future(asyncio.sleep(0))

def test_leak_file():
    os.close(tempfile.mkstemp()[0])

def test_tidy_after_file():
    pass

def test_leak_state():
    directory = Path(os.environ["SWARMRIG_STATE_DIR"], "0123456789ab")
    directory.mkdir()
    (directory / "lock").touch()
"""


def test_each_leak_fails_its_test_and_no_other(pytester, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    text = CONFTEST.read_text()
    assert "GRACE_S = 0.5\n" in text
    (pytester.path / "conftest.py").write_text(text.replace("GRACE_S = 0.5\n", "GRACE_S = 0.1\n"))
    pytester.makeini("[pytest]\nfilterwarnings = error\n")
    pytester.makepyfile(test_it=SUITE)
    result = pytester.runpytest_subprocess(
        "-rA", "-p", "no:cacheprovider", "-p", "anyio.pytest_plugin", "--import-mode=importlib"
    )
    report = result.stdout.str()
    blamed = set(re.findall(r"^(?:FAILED|ERROR) test_it.py::test_(\w+)", report, re.MULTILINE))
    assert blamed == set(re.findall(r"test_(leak_\w+)", SUITE)), report
    assert report.count("left behind:") >= len(blamed), report


def test_it_costs_less_than_two_milliseconds(request, places):
    conftest = request.config.pluginmanager.get_plugin(str(CONFTEST))

    def cost():
        began = time.thread_time()
        conftest.leftovers((set(), conftest.descriptors(), set()), *places)
        return time.thread_time() - began

    assert min(cost() for _ in range(20)) < 0.002
