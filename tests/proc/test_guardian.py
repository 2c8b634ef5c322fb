"""The death of the rig, of its guardian, and of both."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest
from tests.proc.rig_program import STRUGGLE

from swarmrig.errors import HostError
from swarmrig.proc import open_spawner, probe
from swarmrig.proc.clean import clean
from swarmrig.proc.failures import GuardianLostError

KILLS = int(os.environ.get("SWARMRIG_KILLS", "10"))
KILL_LOG = os.environ.get("SWARMRIG_KILL_LOG")
"""With SWARMRIG_KILLS=100: a file that gets a line `seed moment_s took_s` for every kill."""
PROGRAM = Path(__file__).with_name("rig_program.py")
ORPHANS = 2
"""Of the programs that a rig starts, the daemon and the daemonised QEMU leave one each."""
LOGS = {"guardian.log", "commands.log", "processes", "console.log", "journal.jsonl", "aborted.json"}
PROMISED_S = 2.0
# Wall time is promised on a machine that has any to give: the full run checks it, everyday tests only the
# guardian's own account of how long it took.
PATIENCE_S = PROMISED_S if "SWARMRIG_KILLS" in os.environ else 30.0


class Rig:
    """A rig in a process of its own, and what can be seen of it from outside."""

    def __init__(self, scope, process, below):
        self.scope = scope
        self.process = process
        self.below = below
        self.may_stay = LOGS

    def read_until(self, word):
        for line in self.process.stdout:
            if line.startswith(word):
                return line.split()
        raise AssertionError(f"the rig ended before it said {word!r}")

    def wait_ended(self, pid, seconds=PATIENCE_S):
        end = time.monotonic() + seconds
        while probe.is_running(pid):
            assert time.monotonic() < end
            time.sleep(0.001)

    def wait_journalled(self, guardian):
        """Until the guardian has seen the orphans that it adopts (one that dies sooner takes that along).

        They arrive when whoever forked them has ended: on a busy machine long after the rig is ready.
        """
        journal = self.scope.state_directory / "journal.jsonl"
        end = time.monotonic() + PATIENCE_S
        while True:
            known = {json.loads(line)["pid"] for line in lines_of(journal, '"process"')}
            if len(known) >= len(STRUGGLE) + ORPHANS and known >= set(probe.children(guardian)):
                return
            assert time.monotonic() < end
            time.sleep(0.005)

    def remains(self):
        state = self.scope.state_root
        files = {path.name for path in self.scope.run_directory.iterdir()} - self.may_stay
        return [*self.below(), *(state.iterdir() if state.exists() else ()), *files]

    def wait_nothing_remains(self, seconds=PATIENCE_S):
        """Seconds that it took."""
        began = time.monotonic()
        while self.remains():
            passed = time.monotonic() - began
            assert passed < seconds, [probe.command(r) if isinstance(r, int) else r for r in self.remains()]
            time.sleep(0.005)
        return time.monotonic() - began


def lines_of(path, text):
    return [line for line in path.read_text().splitlines() if text in line]


@pytest.fixture
def rig(scope, below):
    @contextmanager
    def run(mode="calm"):
        argv = [sys.executable, PROGRAM, scope.run_directory, scope.state_root, scope.run_id, mode]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            try:
                yield Rig(scope, process, below)
            finally:
                process.kill()

    return run


def check_evidence(rig, *, aborted):
    """The logs stay, whole; what happened is written down."""
    directory = rig.scope.run_directory
    assert (directory / "console.log").read_text() == "evidence"
    assert (directory / "commands.log").read_text().count("\n") >= 5
    assert json.loads((directory / "journal.jsonl").read_text().splitlines()[0])["pid"] == rig.process.pid
    assert (directory / "aborted.json").exists() == aborted
    if aborted:
        record = json.loads((directory / "aborted.json").read_text())
        assert record["removed"]["remaining"] == []
        assert record["took_s"] < PROMISED_S
        assert len(record["removed"]["processes"]) >= 5
        return record
    return None


def test_sigkill_of_the_rig(rig):
    with rig() as running:
        running.read_until("ready")
        running.process.kill()
        running.wait_nothing_remains()
        record = check_evidence(running, aborted=True)
    assert "without saying goodbye" in record["reason"]
    assert any("flash.bin" in path for path in record["removed"]["paths"])
    assert any("-daemonize" in process for process in record["removed"]["processes"])


@pytest.mark.parametrize("seed", range(KILLS))
def test_sigkill_at_any_moment(rig, scope, seed):
    """A quarter of them from the first instruction of the interpreter on; the others while a guardian lives,
    up to a busy swarm that starts and stops processes."""
    dice = random.Random(seed)
    moment = dice.uniform(0, 0.5)
    with rig("busy") as running:
        if seed % 4:
            running.read_until("guardian")
        try:
            code = running.process.wait(timeout=moment)
            raise AssertionError(f"the rig ended ({code}): {running.process.stderr.read()}")
        except subprocess.TimeoutExpired:
            running.process.kill()
        running.process.wait()
        took = running.wait_nothing_remains()
    record = scope.run_directory / "aborted.json"
    if record.exists():  # else it was killed before there was a guardian
        assert json.loads(record.read_text())["took_s"] < PROMISED_S
    if KILL_LOG:
        with open(KILL_LOG, "a") as log:
            log.write(f"{seed} {moment:.3f} {took:.3f}\n")


@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGTERM, signal.SIGTERM], [signal.SIGSEGV]])
def test_other_deaths_of_the_rig(rig, signals):
    """No handler in the program: the death is as sudden as a SIGKILL."""
    with rig() as running:
        running.read_until("ready")
        for number in signals:
            running.process.send_signal(number)
        running.process.wait()
        running.wait_nothing_remains()
        check_evidence(running, aborted=True)


def test_sigint_ends_in_order(rig):
    """The two daemons are leftovers; everything else is stopped politely, and no abort is recorded."""
    with rig() as running:
        running.read_until("ready")
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(timeout=PATIENCE_S) != 0
        assert not running.below() and not list(running.scope.state_root.iterdir())
        check_evidence(running, aborted=False)
        assert "left over at the end of the run" in running.process.stderr.read()


def test_sigint_twice(rig):
    with rig() as running:
        running.read_until("ready")
        running.process.send_signal(signal.SIGINT)
        running.process.send_signal(signal.SIGINT)
        running.process.wait(timeout=PATIENCE_S)
        running.may_stay = LOGS | {"flash.bin"}  # the second may have come when all was over
        running.wait_nothing_remains()


def test_signals_from_a_terminal_do_not_reach_the_guardian(rig):
    with rig() as running:
        guardian = int(running.read_until("guardian")[1])
        running.read_until("ready")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(guardian, number)
        assert probe.stat(guardian).session == guardian
        running.process.kill()
        running.wait_nothing_remains()


def test_a_stopped_rig_is_not_dead(rig):
    with rig() as running:
        running.read_until("ready")
        running.process.send_signal(signal.SIGSTOP)
        with pytest.raises(AssertionError):
            running.wait_nothing_remains(0.3)
        running.process.send_signal(signal.SIGCONT)
        running.process.kill()
        running.wait_nothing_remains()


def test_sigkill_of_the_guardian(rig):
    """The rig does its work: nothing remains, and it says what happened."""
    with rig() as running:
        guardian = int(running.read_until("guardian")[1])
        running.read_until("ready")
        running.wait_journalled(guardian)
        os.kill(guardian, signal.SIGKILL)
        assert running.process.wait(timeout=PATIENCE_S) == 1
        running.wait_nothing_remains()
        assert f"the guardian process (pid {guardian}) died" in running.process.stderr.read()
        check_evidence(running, aborted=True)


@pytest.mark.parametrize("dry_run", [True, False])
def test_clean_after_both_were_killed(rig, dry_run):
    with rig() as running:
        guardian = int(running.read_until("guardian")[1])
        running.read_until("ready")
        running.wait_journalled(guardian)
        os.kill(guardian, signal.SIGSTOP)  # else it, or the rig, would notice the death of the other
        running.process.kill()
        running.process.wait()
        os.kill(guardian, signal.SIGKILL)
        running.wait_ended(guardian)
        assert len(running.below()) >= 5
        if dry_run:
            (found,) = clean(running.scope.state_root, dry_run=True).runs
            assert len([line for line in found.removed if line.startswith("process")]) >= 5
            assert len(running.below()) >= 5 and running.scope.state_directory.exists()
        (cleaned,) = clean(running.scope.state_root).runs
        assert (cleaned.live, cleaned.remaining, cleaned.run_id) == (False, (), running.scope.run_id)
        running.wait_nothing_remains()
        assert "both killed" in check_evidence(running, aborted=True)["reason"]


def test_clean_does_not_touch_a_live_run(rig):
    with rig() as running:
        running.read_until("ready")
        (found,) = clean(running.scope.state_root).runs
        assert (found.run_id, found.live, found.removed) == (running.scope.run_id, True, ())
        assert len(running.below()) >= 6 and running.process.poll() is None
        running.process.kill()
        running.wait_nothing_remains()


def test_clean_does_not_touch_a_run_whose_guardian_is_cleaning_up(rig):
    with rig() as running:
        guardian = int(running.read_until("guardian")[1])
        running.read_until("ready")
        os.kill(guardian, signal.SIGSTOP)
        running.process.kill()
        running.process.wait()
        assert [run.live for run in clean(running.scope.state_root).runs] == [True]
        os.kill(guardian, signal.SIGCONT)
        running.wait_nothing_remains()


@pytest.mark.anyio
async def test_the_body_is_told_at_once_when_the_guardian_dies(scope, below):
    with pytest.raises(GuardianLostError) as error:
        async with open_spawner(scope) as spawner:
            async with spawner.process(["sleep", "100"], name="sleeper"):
                os.kill(spawner._client.guardian_pid, signal.SIGKILL)
                began = time.monotonic()
                await anyio.sleep_forever()
    assert time.monotonic() - began < 20
    assert not below() and not scope.state_directory.exists()
    assert "Everything it guarded has been killed" in str(error.value)


@pytest.mark.anyio
async def test_whoever_waits_for_a_process_is_told_too(scope):
    with pytest.raises(GuardianLostError):
        async with open_spawner(scope) as spawner:
            async with spawner.process(["sleep", "100"], name="sleeper") as process:
                os.kill(spawner._client.guardian_pid, signal.SIGKILL)
                with anyio.CancelScope(shield=True), pytest.raises(GuardianLostError):
                    await process.wait()
                with pytest.raises(GuardianLostError):
                    await spawner.run(["true"], deadline_s=5)
                assert process.exit_status is None


@pytest.mark.anyio
async def test_a_guardian_that_hangs_is_replaced_by_the_rig(scope, below, monkeypatch):
    with pytest.raises(HostError, match="did not answer 'spawn' within"):
        async with open_spawner(scope) as spawner:
            monkeypatch.setattr("swarmrig.proc.client.ANSWER_DEADLINE_S", 0.2)
            os.kill(spawner._client.guardian_pid, signal.SIGSTOP)
            await spawner.run(["true"], deadline_s=5)
    assert not below() and not scope.state_directory.exists()


@pytest.mark.anyio
async def test_a_guardian_that_cannot_start_says_why(scope, monkeypatch):
    monkeypatch.setattr("swarmrig.proc.guardian.LAUNCHER", "raise SystemExit('no way')")
    with pytest.raises(HostError, match=r"(?s)guardian process .* died.*no way"):
        async with open_spawner(scope):
            pass


@pytest.mark.anyio
async def test_a_guardian_with_a_bug_still_guards(scope, below, daemon):
    with pytest.raises(GuardianLostError, match=r"(?s)last words.*KeyError: 'targets'"):
        async with open_spawner(scope) as spawner:
            await spawner.run(daemon, deadline_s=30)
            await spawner._client.spawn({}, [])
    assert not below() and not scope.state_directory.exists()


@pytest.mark.anyio
async def test_the_guardian_is_small_and_holds_nothing_of_ours(scope):
    with open(scope.run_directory / "ours", "w"):
        async with open_spawner(scope) as spawner:
            guardian = Path(f"/proc/{spawner._client.guardian_pid}")
            links = {os.readlink(fd) for fd in (guardian / "fd").iterdir()}
            assert not any("ours" in link for link in links)
            assert os.readlink(guardian / "cwd") == "/"
            resident = next(line for line in (guardian / "status").read_text().splitlines() if "VmRSS" in line)
            assert int(resident.split()[1]) < 24_000  # kB


NETWORK = """
import os, select, subprocess, sys
from pathlib import Path
rig = subprocess.Popen([sys.executable, *sys.argv[1:5], "network"], stdout=subprocess.PIPE)
guardian = int(rig.stdout.readline().split()[1])
assert rig.stdout.readline() == b"ready\\n"
def look():
    shown = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True)
    links = sorted(line.split(":")[1].strip() for line in shown.stdout.splitlines())
    return links, sorted(os.listdir("/run/netns"))
before = look()
subprocess.run(["ip", "link", "add", "other0", "type", "bridge"], check=True)
subprocess.run(["ip", "link", "set", "other0", "alias", "swarmrig:000000000000"], check=True)
pidfd = os.pidfd_open(guardian)
if sys.argv[5] == "both":
    os.kill(guardian, 19)
rig.kill()
rig.wait()
if sys.argv[5] == "both":
    os.kill(guardian, 9)
select.select([pidfd], [], [], 30)
if sys.argv[5] == "both":
    from swarmrig.proc.clean import clean
    print(clean(Path(sys.argv[3])))
print(before, look())
assert len(before[0]) == 3 and len(before[1]) == 1, before
assert look() == (["lo", "other0"], []), look()
"""


@pytest.mark.parametrize("killed", ["rig", "both"])
def test_links_and_namespaces_of_a_killed_rig_are_removed(scope, killed):
    """In a network and mount namespace of its own, as a user without privileges may have it."""
    inside = 'mount -t tmpfs none /run && exec "$@"'
    argv = [
        "unshare",
        "--user",
        "--map-root-user",
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ]
    argv += ["sh", "-c", inside, "sh", sys.executable, "-c", NETWORK, PROGRAM]
    argv += [scope.run_directory, scope.state_root, scope.run_id, killed]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    if done.returncode and "unshare failed: Operation not permitted" in done.stderr:
        pytest.skip("user namespaces are not permitted here (a chroot or a container)")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not list(scope.state_root.iterdir())
