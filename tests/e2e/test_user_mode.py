"""The last resort, for real: guests behind QEMU's own NAT, judged from what their emulators dumped."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from collections import Counter
from contextlib import contextmanager

import pytest

from swarmrig.net.pcapng import PcapngReader
from swarmrig.wire.decode import csi_key, decode

KNOCK = b"is anybody in?"
NODES = """
nodes:
  coord: {role: coordinator, number: 0, config: {edge_tier: 1}}
  s1: {number: 1, config: {scenario: 1}}
"""


@contextmanager
def bound(*ports: int):
    """UDP sockets on these ports of the host."""
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in ports]
    try:
        for sock, port in zip(sockets, ports, strict=True):
            sock.bind(("127.0.0.1", port))
        yield sockets
    finally:
        for sock in sockets:
            sock.close()


@pytest.fixture
def port():
    """An aggregator port that no other test of this machine has: it and its forwards are free."""
    for slot in range(50):  # neighbours, and their forwards, keep apart
        candidate = 10_000 + (os.getpid() + slot) % 50 * 200
        try:
            with bound(candidate, candidate + 100, candidate + 101):
                return candidate
        except OSError:
            continue
    raise AssertionError("no free ports")


@contextmanager
def knocking(*ports: int):
    """Send KNOCK to the ports again and again, as another program of the host would."""
    over = threading.Event()

    def knock() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            while not over.wait(0.1):
                for port in ports:
                    sock.sendto(KNOCK, ("127.0.0.1", port))

    thread = threading.Thread(target=knock)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def scenario(port: int, duration: str, *checks: str, more: str = "") -> str:
    listed = "".join(f"  - {check}\n" for check in checks)
    head = f"swarmrig: 1\nname: lonely\nduration: {duration}\naggregator_port: {port}\n"
    return f"{head}network: {{topology: star, mode: user}}{NODES}{more}checks:\n{listed}"


def capture(run, node: str):
    reader = PcapngReader()
    packets = reader.feed((run.directory / f"net/{node}.pcapng").read_bytes())
    assert reader.interfaces == [node, "host"]
    return packets


def test_smoke_passes_on_evidence_and_the_forwarded_ports_lead_to_the_guests(swarmrig, scenario_file, port):
    checks = (
        "all_nodes_boot", "no_crashes", "all_nodes_produce_frames", "frame_rate_above: 15",
        "frames: {filter: udp, node: s1, count: {min: 40}}",
    )  # fmt: skip
    path = scenario_file(scenario(port, "6500ms", *checks))
    with knocking(port + 100, port + 101):
        run = swarmrig("run", path)
    assert run.exit_code == 0, run.explain()
    assert set(run.checks.values()) == {"PASS"}
    assert "warning: network mode user" in run.stderr
    assert any("cannot reach each other" in warning for warning in run.results["warnings"])
    captures = {node: capture(run, node) for node in ("coord", "s1")}
    assert_evidence_is_there(run, captures)
    assert_aggregator_agrees_with_the_wire(run, captures)
    for packets in captures.values():
        knocks = [packet for packet in packets if KNOCK in packet.data]
        assert knocks and {packet.interface for packet in knocks} == {1}  # from the host
        assert {decode(packet.data).udp.dport for packet in knocks} == {port}
        times = [packet.t_ns for packet in packets]
        assert times == sorted(times) and times[-1] <= run.results["run"]["run_ns"] + 10**9
    assert_tshark_agrees(run, {node: len(packets) for node, packets in captures.items()})


def assert_evidence_is_there(run, captures):
    pointers = [pointer for check in run.results["checks"] for pointer in check["evidence"]]
    frames = [pointer for pointer in pointers if pointer.get("frame") is not None]
    assert frames
    for pointer in frames:
        node = pointer["file"].removeprefix("net/").removesuffix(".pcapng")
        packet = captures[node][pointer["frame"] - 1]
        assert packet.number == pointer["frame"]
    (first,) = next(check for check in run.results["checks"] if check["name"] == "all_nodes_produce_frames")["evidence"]
    assert csi_key(captures["s1"][first["frame"] - 1].data)[0] == 1


def assert_aggregator_agrees_with_the_wire(run, captures):
    sent = Counter(key[0] for packets in captures.values() for packet in packets if (key := csi_key(packet.data)))
    counted = {int(number): node["frames"] for number, node in run.results["aggregator"]["nodes"].items()}
    assert counted == dict(sent) and set(counted) == {0, 1} and min(counted.values()) > 40
    assert run.results["aggregator"]["overruns"] == 0


def assert_tshark_agrees(run, counts):
    for node, count in counts.items():
        command = ["tshark", "-r", run.directory / f"net/{node}.pcapng", "-T", "fields", "-e", "frame.interface_name"]
        read = subprocess.run(command, capture_output=True, text=True)
        assert read.returncode == 0, read.stderr
        assert Counter(read.stdout.split()).total() == count
        assert set(read.stdout.split()) == {node, "host"}


def test_a_coordinator_that_nobody_can_reach_fails_and_says_where_nothing_was_seen(swarmrig, scenario_file, port):
    run = swarmrig("run", scenario_file(scenario(port, "3s", "all_nodes_boot", "coordinator_receives_from_all")))
    assert run.exit_code == 2, run.explain()
    assert run.turned == {"coordinator_receives_from_all"}
    check = next(check for check in run.results["checks"] if check["name"] == "coordinator_receives_from_all")
    assert "no frame of s1 was delivered to coord" in check["message"]
    assert [pointer["file"] for pointer in check["evidence"]] == ["net/coord.pcapng"]


@pytest.mark.parametrize("offset", [0, 101])
def test_a_port_in_use_is_refused_by_its_number(swarmrig, scenario_file, port, offset):
    with bound(port + offset):
        run = swarmrig("run", scenario_file(scenario(port, "3s", "all_nodes_boot")))
    assert run.exit_code == 3, run.explain()
    assert f"UDP port {port + offset} of 127.0.0.1" in run.stderr
    assert "set another aggregator_port" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("command", ["validate", "plan", "run"])
def test_what_it_cannot_do_is_refused_with_its_line(swarmrig, scenario_file, port, command):
    fault = "faults:\n  - {at: 1s, cut: {between: [coord, s1], for: 1s}}\n"
    path = scenario_file(scenario(port, "5s", "all_nodes_boot", more=fault))
    line = path.read_text().splitlines().index(fault.splitlines()[1]) + 1
    run = swarmrig(command, path)
    assert run.exit_code == 3, run.explain()
    assert f"{path.name}:{line}:" in run.stderr and "mode user" in run.stderr
    assert not run.output.exists()


def test_the_plan_announces_it(swarmrig, scenario_file, port):
    run = swarmrig("plan", "--json", scenario_file(scenario(port, "5s", "all_nodes_boot")))
    assert run.exit_code == 0, run.explain()
    plan = json.loads(run.stdout)
    assert sum(text.startswith("network mode user:") for text in plan["warnings"]) == 3
    assert {node["target_ip"] for node in plan["nodes"]} == {"10.0.2.2"}
    assert f"user,id=net,ipv6=off,hostfwd=udp:127.0.0.1:{port + 101}-:{port}" in plan["nodes"][1]["command"]
