"""What a swarm does depends on nothing but its inputs: not on the step, the load, or who looked at it meanwhile."""

import json
import random
import subprocess
import sys

import pytest
from lockstep_swarm import BOARDS, MS, Flag, S, protocol

LIFE = 3 * S
BURNER = "while True: pass"


@pytest.fixture(scope="module", params=BOARDS)
def machine(request):
    return request.param


@pytest.fixture(scope="module")
def reference(plugin, tmp_path_factory, machine):
    """Three guests with links of 5 ms, stepped by 5 ms: digest, and when frames left."""
    from lockstep_swarm import Fleet

    with Fleet(plugin, tmp_path_factory.mktemp("reference"), machine) as fleet:
        swarm = fleet.swarm().run(LIFE)
        assert all("boot_time=" in guest.text() for guest in swarm.guests)
        assert "first frame from node_id=3" in swarm.guests[0].text()
        assert all(len(guest.sent) > 40 for guest in swarm.guests)
        return swarm.digest(), sorted(t for guest in swarm.guests for t, _ in guest.sent)


@pytest.fixture
def load():
    """Both cores are busy with something else."""
    burners = [subprocess.Popen([sys.executable, "-c", BURNER]) for _ in range(3)]
    yield
    for burner in burners:
        burner.kill()
        burner.wait()


@pytest.mark.parametrize("quantum", [5 * MS, 1 * MS, 1_234_567, MS // 2])
def test_the_step_changes_nothing(fleet, reference, quantum):
    swarm = fleet.swarm(quantum=quantum).run(LIFE)

    assert swarm.digest() == reference[0]
    assert not any(guest.violated for guest in swarm.guests)


def test_load_changes_nothing(fleet, reference, load):
    for options in ("", ",rest=off", ",cpu=0"):
        assert fleet.swarm(options=options).run(LIFE).digest() == reference[0]


def test_overshoot_is_less_than_an_instruction(fleet):
    swarm = fleet.swarm(quantum=1_234_567).run(1 * S)

    assert 0 < max(guest.overshoot for guest in swarm.guests) < 16


def test_link_latency_changes_much(fleet, reference):
    assert fleet.swarm(latency=6 * MS).run(LIFE).digest() != reference[0]


# --- held, looked at, released --------------------------------------------------------------------------------


class Monitor:
    """QMP, as far as it is needed here."""

    def __init__(self, guest):
        self.file = guest.monitor.makefile("rw")
        self.file.readline()
        self.execute("qmp_capabilities")

    def send(self, command, **arguments):
        self.file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.file.flush()

    def execute(self, command, **arguments):
        self.send(command, **arguments)
        while "event" in (answer := json.loads(self.file.readline())):
            pass
        return answer["return"]

    def close(self):
        self.file.close()


@pytest.fixture
def monitors():
    opened = {}

    def monitor_of(guest):
        if guest not in opened:
            opened[guest] = Monitor(guest)
        return opened[guest]

    yield monitor_of
    for monitor in opened.values():
        monitor.close()


def look_inside(monitor):
    assert monitor.execute("query-status")["status"] == "paused"
    registers = monitor.execute("human-monitor-command", **{"command-line": "info registers"})
    assert "pc " in registers or "R15=" in registers


def test_holding_leaves_no_trace(fleet, reference, monitors):
    """Held at round times, and right after frames were queued for transmission: then virtio-net's timer is running."""
    digest, sent = reference
    choice = random.Random(1)
    times = [t - choice.randrange(0, 1000) for t in choice.sample(sent, 12)] + [LIFE // 3, 1]
    swarm = fleet.swarm()

    for t in sorted(times):
        swarm.run(t)
        for guest in swarm.guests:
            stopped = guest.hold()
            assert stopped.as_asked
            assert t <= stopped.now < t + 16
            look_inside(monitors(guest))
            report = guest.release()
            assert report.flags & Flag.RESUMED
            assert report.now == stopped.now
            assert not report.frames

    assert swarm.run(LIFE).digest() == digest
    assert not any(guest.violated for guest in swarm.guests)


def test_stopping_at_any_moment_leaves_no_trace(fleet, reference, monitors):
    """Somebody at the monitor stops guests while they run, wherever that catches them, and lets them go on."""
    swarm = fleet.swarm(options=",rest=off")
    for guest in swarm.guests:  # a guest that waits for its grant does not answer there
        guest.hold()
        monitors(guest)
        guest.release()
    stops = 0
    asked = set()

    while swarm.now < LIFE:
        for guest in swarm.guests:
            if guest not in asked:
                monitors(guest).send("stop")
                asked.add(guest)
        swarm.now += 5 * MS
        for guest in swarm.guests:
            guest.grant(swarm.now, guest.due(swarm.now))
        for guest in swarm.guests:
            while isinstance(message := guest.next_message(), protocol.Stopped):
                assert not message.as_asked
                monitors(guest).send("cont")
                asked.remove(guest)
                stops += 1
            guest.collect(message)
            swarm.switch(guest, message.frames)

    assert stops > 10
    assert swarm.digest() == reference[0]
    assert not any(guest.violated for guest in swarm.guests)
