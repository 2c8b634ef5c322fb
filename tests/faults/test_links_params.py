"""Faults of links and frames as a file names them: what they are read as, and what is wrong, with its place."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from links_rig import make_spec

from swarmrig.api import NodePlan
from swarmrig.errors import ScenarioError
from swarmrig.faults.frames_made import Hop, make_datagram, parse_hex
from swarmrig.model.scenario import TimeMode, Topology
from swarmrig.net.pcapng import CaptureWriter
from swarmrig.net.topology import plan_network
from swarmrig.plugins import Registry
from swarmrig.runtime.plan import plan_wiring
from swarmrig.scenario.build import Origin
from swarmrig.scenario.load import load_text
from swarmrig.scenario.resolved import dump_scenario
from swarmrig.wire.decode import decode

KINDS = ("blackhole", "corrupt", "corrupt_frame", "degrade", "duplicate", "flap", "inject", "partition", "reorder",
         "replay", "ring_flood", "wifi_kill")  # fmt: skip
REGISTRY = Registry.load()
FRAME = bytes.fromhex("ffffffffffff5254000000018 8b5".replace(" ", "")) + b"payload"


def load(item, directory=Path(), topology="mesh"):
    text = f"swarmrig: 1\nduration: 60s\nnetwork: {{topology: {topology}}}\nnodes: {{a: , b: , c: , d: }}\n"
    origin = Origin(str(directory / "t.yml"), directory, "t")
    return load_text(f"{text}faults:\n  - {item}\n", origin, registry=REGISTRY, time=TimeMode.VIRTUAL)


def planned(item, **more):
    """What the plan says that the fault will do."""
    scenario = load(item, **more)
    network = plan_network(scenario, [NodePlan(node, ()) for node in scenario.nodes])
    ((fault,), _) = plan_wiring(scenario, network, REGISTRY)
    return fault.description


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_is_read_and_planned(kind):
    fault = REGISTRY.fault(kind)
    assert planned(fault.example)
    assert fault.changes_links
    assert fault.evidence.endswith(".")
    assert (fault.__doc__ or "").splitlines()[0].endswith(".")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_read_can_be_written_and_read_again(kind):
    scenario = load(REGISTRY.fault(kind).example)
    again = load_text(dump_scenario(scenario, REGISTRY), Origin("u.yml", Path(), "u"), registry=REGISTRY)
    assert [(fault.kind, fault.at_ns, fault.for_ns, fault.params) for fault in again.faults] == [
        (fault.kind, fault.at_ns, fault.for_ns, fault.params) for fault in scenario.faults
    ]


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ("{at: 1s, degrade: {between: [lan, a], latency: 80ms, rate: 1Mbit, loss: 2.5%, for: 5s}}",
         "degrade lan--a: latency 80ms, loss 2.5%, rate 1Mbit, for 5s"),
        ("{at: 1s, degrade: {between: [a, lan], one_way: true, jitter: 3ms}}",
         "degrade lan--a (from a): jitter 3ms, for good"),
        ("{at: 1s, flap: {between: [a, lan], period: 2s, down: 25%, for: 5s}}",
         "flap the link lan--a, 500ms down every 2s, for 5s"),
        ("{at: 1s, wifi_kill: 1}", "kill the radio of b (lan--b) for good"),
        ("{at: 1s, partition: [[a], [1, c]]}", "part a | b, c (at lan--a, lan--b, lan--c) for good"),
        ("{at: 1s, inject: {between: [lan, a], hex: 'ffffffffffff 525400000001 88b5 00'}}",
         "inject a frame of 15 bytes into lan--a at lan"),
        ("{at: 1s, replay: {between: [a, lan], last: 2s}}", "replay the last 2s into lan--a at a"),
        ("{at: 1s, ring_flood: a}", "flood a with 1000 frames in 100ms"),
        ("{at: 1s, corrupt_frame: {node: a, frames: 3}}", "corrupt the next 3 frames of a"),
        ("{at: 1s, blackhole: {between: [a, lan], filter: arp}}", "drop what matches 'arp' on lan--a for good"),
    ],
)  # fmt: skip
def test_the_plan_says_what_will_happen(item, said):
    assert planned(item) == said


@pytest.mark.parametrize(
    ("item", "place", "message"),
    [
        ("{at: 1s, degrade: {between: [a, lan]}}", "6:23", "expected what gets worse: latency, jitter, loss"),
        ("{at: 1s, degrade: {between: [a, lan], loss: 120%}}", "6:49", "loss: a share lies between 0 and 1"),
        ("{at: 1s, degrade: {between: [a, lan], losss: 1%}}", "6:43", "unknown key 'losss' (did you mean 'loss'?)"),
        ("{at: 1s, degrade: {between: [a, a], loss: 1%}}", "6:33", "a link joins two different nodes"),
        ("{at: 1s, degrade: {between: [a, x], loss: 1%}}", "6:37", "no node is called 'x'"),
        ("{at: 1s, degrade: {between: [a, lan], burst: {to_bad: 1%}}}", "6:", "to_good"),
        ("{at: 1s, degrade: {between: [a, b], loss: 1%}}", "6:14", "no link joins a and b"),
        ("{at: 1s, degrade: {between: [a, lan], loss: 0}}", "6:14", "lan--a is like that already"),
        ("{at: 1s, degrade: {between: [a, lan], latency: 5ms}}", "6:14", "lan--a is like that already"),
        ("{at: 1s, degrade: {between: [a, lan], latency: 0}}", "6:14", "every frame on lan--a must take a time"),
        ("{at: 1s, degrade: {between: [a, lan], queue: 10}}", "6:14", "frames queue for a rate, and lan--a has none"),
        ("{at: 1s, degrade: {between: [lan, a], one_way: true, latency: 9ms}}", "6:14", "it could not be proved"),
        ("{at: 1s, corrupt: {between: [a, lan], share: 0}}", "6:", "a share of 0 does nothing"),
        ("{at: 1s, corrupt: {between: [a, lan]}}", "6:23", "missing key 'share'"),
        ("{at: 1s, flap: {between: [a, lan], down: 100%}}", "6:20", "down for a part of each period"),
        ("{at: 1s, flap: {between: [a, lan], period: 10us}}", "6:20", "a period takes 1ms at least"),
        ("{at: 1s, flap: {between: [a, lan], period: 5s, for: 5s}}", "6:14", "does not fall a second time"),
        ("{at: 1s, blackhole: {between: [a, lan], filter: 'ip.srcc == 1'}}", "6:53", "did you mean 'ip.src'"),
        ("{at: 1s, partition: {sets: [[a]]}}", "6:", "two or more sets"),
        ("{at: 1s, partition: {sets: [[a], []]}}", "6:", "two or more sets"),
        ("{at: 1s, partition: {sets: [[a], [x]]}}", "6:14", "'x' is no node"),
        ("{at: 1s, partition: {sets: [[a], [b, 0]]}}", "6:14", "'a' is named twice"),
        ("{at: 1s, wifi_kill: x}", "6:25", "no node is called 'x'"),
        ("{at: 1s, inject: {between: [a, lan]}}", "6:22", "expected the frame as one of hex, udp or file"),
        ("{at: 1s, inject: {between: [a, lan], hex: 'fff'}}", "6:47", "expected pairs of hex digits"),
        ("{at: 1s, inject: {between: [a, lan], hex: 'ffff'}}", "6:47", "14 to 65535 bytes, not 2"),
        ("{at: 1s, inject: {between: [a, lan], udp: {src: a, dst: x, port: 1}}}", "6:14", "'x' is neither a node nor"),
        ("{at: 1s, inject: {between: [a, lan], udp: {src: a, dst: 9.9.9.9, port: 1}}}", "6:14", "nobody on this"),
        ("{at: 1s, inject: {between: [a, lan], udp: {src: a, dst: b, port: 0}}}", "6:70", "port: expected at least 1"),
        ("{at: 1s, inject: {between: [a, lan], udp: {src: a, dst: b, port: 1, text: x, hex: aa}}}", "6:", "not both"),
        ("{at: 1s, inject: {between: [a, lan], file: none.pcapng}}", "6:14", "none.pcapng: No such file"),
        ("{at: 1s, replay: {between: [a, lan]}}", "6:22", "expected `last: TIME`, or the `file`"),
        ("{at: 1s, replay: {between: [a, lan], last: 0}}", "6:22", "expected `last: TIME`, or the `file`"),
        ("{at: 1s, replay: {between: [a, lan], last: 1s, filter: '('}}", "6:60", "expected a field"),
        ("{at: 1s, replay: {between: [a, lan], file: t.txt}}", "6:14", "t.txt is no capture in the pcapng format"),
        ("{at: 1s, ring_flood: {node: a, frames: 1}}", "6:44", "frames: expected at least 2"),
        ("{at: 1s, corrupt_frame: {node: a, frames: 0}}", "6:47", "frames: expected at least 1"),
        ("{at: 1s, ring_flood: {node: a, for: 1s}}", "6:", "for"),
        ("{at: 1s, inject: {between: [a, lan], hex: 'ffffffffffff 525400000001 88b5', for: 1s}}", "6:", "for"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(item, place, message, tmp_path):
    (tmp_path / "t.txt").write_text("certainly not a capture, but long enough to be read as one")
    with pytest.raises(ScenarioError) as caught:
        planned(item, directory=tmp_path)
    found = [str(problem) for problem in caught.value.problems]
    assert any(message in each and f"t.yml:{place}" in each for each in found), found


def test_what_cannot_be_proved_may_be_done_all_the_same():
    item = "{at: 1s, degrade: {between: [lan, a], one_way: true, latency: 9ms}, required: false}"
    assert planned(item).startswith("degrade lan--a (from lan)")


def test_a_partition_of_a_line_names_the_links_that_fall():
    item = "{at: 1s, partition: {sets: [[a, b], [c, d]], for: 1s}}"
    assert planned(item, topology="line") == "part a, b | c, d (at b--c) for 1s"
    with pytest.raises(ScenarioError, match=r"still meet by way of [bc]"):
        planned("{at: 1s, partition: {sets: [[a], [d]], for: 1s}}", topology="line")


def test_wifi_kill_of_a_router_takes_all_its_links():
    assert planned("{at: 1s, wifi_kill: b}", topology="line") == "kill the radio of b (a--b, b--c) for good"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("cut: {between: [a, lan], for: 5s}", "wifi_kill: {node: a, for: 5s}"),
        ("flap: {between: [a, lan], for: 5s}", "partition: {sets: [[a], [b]], for: 5s}"),
        ("degrade: {between: [a, lan], loss: 1%, for: 5s}", "degrade: {between: [lan, a], loss: 2%, for: 5s}"),
        ("degrade: {between: [a, lan], rate: 1Mbit, for: 5s}", "degrade: {between: [a, lan], jitter: 9ms, for: 5s}"),
        ("corrupt: {between: [a, lan], share: 9%, for: 5s}", "corrupt_frame: a"),
    ],
)
def test_faults_that_would_hide_each_other_must_not_overlap(first, second):
    with pytest.raises(ScenarioError) as caught:
        planned(f"{{at: 1s, {first}}}\n  - {{at: 3s, {second}}}")
    assert "lan--a" in str(caught.value)


def test_faults_that_can_be_told_apart_may_overlap():
    first = "{at: 1s, degrade: {between: [a, lan], one_way: true, latency: 9ms, loss: 1%, for: 5s}}"
    for second in (
        "degrade: {between: [lan, a], one_way: true, loss: 2%, for: 5s}",
        "corrupt: {between: [a, lan], share: 2%, for: 5s}",
        "wifi_kill: {node: a, for: 2s}",
        "corrupt_frame: a",
    ):
        assert len(load(f"{first}\n  - {{at: 3s, {second}}}").faults) == 2
        scenario = load(f"{first}\n  - {{at: 3s, {second}}}")
        plan_wiring(scenario, plan_network(scenario, [NodePlan(node, ()) for node in scenario.nodes]), REGISTRY)


def test_what_is_over_in_an_instant_holds_nothing_any_longer():
    scenario = load("{at: 1s, corrupt_frame: a}\n  - {at: 3s, corrupt_frame: a}")
    network = plan_network(scenario, [NodePlan(node, ()) for node in scenario.nodes])
    faults, _ = plan_wiring(scenario, network, REGISTRY)
    assert [fault.description for fault in faults] == ["corrupt the next frame of a"] * 2


def capture(path, frames, ends=("lan", "a")):
    with CaptureWriter(path, ends) as writer:
        for record in frames:
            writer.record(record)


def test_files_are_found_from_the_scenario(tmp_path):
    capture(tmp_path / "x.pcapng", [(5, 0, FRAME, None), (6, 1, FRAME + b"!", None), (7, 0, FRAME, "overrun")])
    item = "{at: 1s, inject: {between: [lan, a], file: x.pcapng, packet: 2}}"
    assert planned(item, directory=tmp_path) == f"inject a frame of {len(FRAME) + 1} bytes into lan--a at lan"
    (fault,) = load(item, directory=tmp_path).faults
    assert fault.params["file"] == str(tmp_path / "x.pcapng")
    with pytest.raises(ScenarioError, match="there is no packet 4"):
        planned(item.replace("packet: 2", "packet: 4"), directory=tmp_path)


def test_of_a_links_own_capture_the_frames_of_that_end_are_replayed(tmp_path):
    capture(
        tmp_path / "x.pcapng", [(5, 0, FRAME, None), (6, 1, FRAME, None), (7, 1, FRAME, None), (8, 1, FRAME, "overrun")]
    )
    for between, count in (("lan, a", 1), ("a, lan", 2), ("b, lan", 4)):
        said = planned(f"{{at: 1s, replay: {{between: [{between}], file: x.pcapng}}}}", directory=tmp_path)
        assert said.startswith(f"replay {count} frames of"), said
    with pytest.raises(ScenarioError, match="no frame to replay that matches 'arp'"):
        planned("{at: 1s, replay: {between: [lan, a], file: x.pcapng, filter: arp}}", directory=tmp_path)


@pytest.mark.parametrize("topology", [Topology.STAR, Topology.MESH, Topology.LINE, Topology.RING])
def test_datagrams_are_addressed_for_the_link_that_they_enter(topology):
    scenario = load("{at: 1s, ring_flood: a}", topology=topology.value)
    network = plan_network(scenario, [NodePlan(node, ()) for node in scenario.nodes])
    fault = REGISTRY.fault("inject")
    spec = make_spec("inject", {"between": ("b", "lan" if topology is Topology.MESH else "a"),
                                "udp": {"src": "b", "dst": "a", "port": 9, "text": "hello"}}, None)  # fmt: skip
    hop = fault.over(spec, scenario, network)
    frame = decode(fault._frame(spec, hop, scenario, network))
    assert frame.malformed is None and frame.udp is not None and frame.udp.payload == b"hello"
    assert (frame.get("ip.src"), frame.get("ip.dst")) == (network.device("b").ip, network.device("a").ip)
    if network.switches:
        assert (frame.get("eth.src"), frame.get("eth.dst")) == (network.device("b").mac, network.device("a").mac)
    else:
        feet = {
            foot.mac: router.name for router in network.routers for foot in router.interfaces if foot.link == hop.link
        }
        assert (feet[frame.get("eth.src")], feet[frame.get("eth.dst")]) == ("b.router", "a.router")


@pytest.mark.parametrize(("dst", "mac"), [("255.255.255.255", "ff:ff:ff:ff:ff:ff"), ("239.1.2.3", "01:00:5e:01:02:03")])
def test_groups_have_addresses_of_their_own(dst, mac):
    scenario = load("{at: 1s, ring_flood: a}")
    network = plan_network(scenario, [NodePlan(node, ()) for node in scenario.nodes])
    params = REGISTRY.fault("inject").params_model(between=("a", "lan"), udp={"src": "a", "dst": dst, "port": 1}).udp
    frame = decode(make_datagram(params, Hop("lan--a", "a", "lan"), scenario, network))
    assert frame.get("eth.dst") == mac


def test_tshark_agrees_with_the_datagram(tmp_path):
    scenario = load("{at: 1s, ring_flood: a}")
    network = plan_network(scenario, [NodePlan(node, ()) for node in scenario.nodes])
    params = REGISTRY.fault("inject").params_model(
        between=("a", "lan"), udp={"src": "a", "dst": 1, "port": 7777, "hex": "01:02 03"}
    )
    data = make_datagram(params.udp, Hop("lan--a", "a", "lan"), scenario, network)
    capture(tmp_path / "x.pcapng", [(1, 0, data, "injected")])
    fields = ["-e", "udp.dstport", "-e", "udp.payload", "-e", "udp.checksum.status", "-e", "ip.checksum.status"]
    checks = ["-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"]
    command = ["tshark", "-r", str(tmp_path / "x.pcapng"), *checks, "-T", "fields", *fields]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["7777", "010203", "1", "1"]


@pytest.mark.parametrize("text", ["0a0B", "0a 0B", "0a:0b", "0a-0b", " 0a\n0b "])
def test_hex_digits_may_be_set_apart(text):
    assert parse_hex(text) == b"\x0a\x0b"
