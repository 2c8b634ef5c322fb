"""Processes without root: in a user namespace, by TAP where /dev/net/tun may be opened, else by a virtual cable."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import pytest

import swarmrig

HERE = Path(__file__).parent
SCENARIO = """
swarmrig: 1
name: talk
duration: 60s
network: {{link: {{latency: 2ms}}}}
defaults: {{kind: process, command: [{python}, -S, {talker}]}}
nodes:
  server: {{role: coordinator}}
  client: {{environment: {{SERVER: server}}, ends_with: [0]}}
checks:
  - console: {{node: client, matches: "^1000000 bytes, checked"}}
  - frames: {{filter: ip.proto == 6, count: {{min: 20}}}}
"""
WITHOUT_TUN = 'mount -t tmpfs none /dev/net && exec "$@"'
"""In mounts of its own."""
AS_ROOT_WITHOUT_RIGHTS = ["setpriv", "--bounding-set=-all,+setfcap", "--inh-caps=-all"]
"""The one capability left is what it takes to map root into a user namespace (user_namespaces(7))."""
AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give it up"),
    pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv"),
]


def rig(prefix: list[str], directory: Path, python: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the scenario in that directory without the rights that the prefix takes away."""
    shutil.copy(HERE / "talker.py", directory)
    path = directory / "talk.swarmrig.yml"
    path.write_text(SCENARIO.format(python=python, talker=directory / "talker.py"))
    places = [str(Path(swarmrig.__file__).parents[1]), sysconfig.get_paths()["purelib"]]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "SWARMRIG_STATE_DIR": str(directory / "state"),
        "PYTHONPATH": os.pathsep.join(places),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [*prefix, python, "-m", "swarmrig", *arguments, str(path)]
    return subprocess.run(command, env=environment, cwd=directory, capture_output=True, text=True, timeout=200)


def may(prefix: list[str], *command: str) -> bool:
    return subprocess.run([*prefix, *command], capture_output=True, cwd="/").returncode == 0


@pytest.mark.parametrize("tun", [True, False], ids=["TAP", "cable"])
def test_without_capabilities(tmp_path: Path, tun: bool) -> None:
    hidden = [] if tun else ["unshare", "-m", "sh", "-c", WITHOUT_TUN, "sh"]
    prefix = [*hidden, *AS_ROOT_WITHOUT_RIGHTS]
    if not may(prefix, "unshare", "-Urnm", "true"):
        pytest.skip("this kernel permits no user namespaces")
    planned = rig(prefix, tmp_path, sys.executable, "plan")
    assert "a network namespace in a user namespace" in planned.stdout, planned
    assert ("TAP" if tun else "a virtual cable (this user may not open /dev/net/tun)") in planned.stdout
    done = rig(prefix, tmp_path, sys.executable, "run")
    assert done.returncode == 0, done.stdout + done.stderr


def test_as_nobody() -> None:
    """A user for whom the rig has nothing prepared at all, and who may not look into this test's directory."""
    pythons = [sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"]
    python = next((each for each in pythons if may(AS_NOBODY, "test", "-x", each)), None)
    if python is None or not may(AS_NOBODY, "unshare", "-Urnm", "true"):
        pytest.skip("nobody may neither run this Python nor have a user namespace")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place:
        os.chown(place, 65534, 65534)
        done = rig(AS_NOBODY, Path(place), python, "run")
        assert done.returncode == 0, done.stdout + done.stderr


def test_where_it_is_not_permitted_the_plan_says_what_to_do(tmp_path: Path) -> None:
    """No right to map any user: no user namespace of use."""
    prefix = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    planned = rig(prefix, tmp_path, sys.executable, "plan")
    assert planned.returncode == 3
    assert "cannot be root of a user namespace: Operation not permitted" in planned.stderr, planned
    assert "`network: host`" in planned.stderr
