"""The hub: receives, validates, counts, reports and forwards."""

import struct

import pytest
from refnode_frames import udp_frame
from refnode_virtual import DATA_PORT, ip_of

CSI, VITALS = 0xC5110001, 0xC5110002


def csi(node: int, sequence: int, subcarriers: int = 4, antennas: int = 1) -> bytes:
    head = struct.pack("<IBBHIIbbH", CSI, node, antennas, subcarriers, 2437, sequence, -40, -90, 0)
    return head + bytes(2 * subcarriers * antennas)


@pytest.fixture
def hub(swarm):
    """A lone hub that has resolved the aggregator, and a way to give it datagrams."""
    swarm.add("hub", 0, role=1, hub=1, tdm_nodes=2, tdm_slot=0, target_ip="10.0.0.1", edge_tier=0)
    swarm.run(100_000)

    def give(data: bytes, source: str = ip_of(7)) -> None:
        swarm.inject("hub", udp_frame(swarm.devices["hub"].mac, source, ip_of(0), DATA_PORT, data))

    swarm.give = give
    return swarm


def forwarded(swarm) -> list[bytes]:
    """What left towards the aggregator except for the hub's own frames."""
    return [udp.data for udp in swarm.udp(source="hub") if udp.target_ip == b"\x0a\0\0\1" and udp.data[4:5] != b"\0"]


def test_every_valid_datagram_goes_on_verbatim(swarm):
    swarm.add_star(2)
    swarm.run(5_000_000)
    for number, name in ((1, "s1"), (2, "s2")):
        sent = [udp for udp in swarm.udp(source=name) if udp.port == DATA_PORT]
        assert {udp.magic for udp in sent} == {CSI, VITALS}
        assert {udp.target_ip for udp in sent} == {bytes([10, 0, 1, 10])}
        arrived = [udp.data for udp in sent if udp.t_us < 4_990_000]
        relayed = [udp for udp in swarm.udp(source="hub") if udp.port == DATA_PORT and udp.data[4] == number]
        assert [udp.data for udp in relayed][: len(arrived)] == arrived
        assert {(udp.target_ip, udp.port) for udp in relayed} == {(b"\x0a\0\0\1", 5005)}


def test_counts_and_rates_per_node(swarm):
    swarm.add_star(2)
    swarm.run(10_100_000)
    hub = swarm.devices["hub"]
    assert len(hub.lines("first frame from node_id=1")) == 1
    assert hub.lines("coord: node_id=1 frames=195 gaps=0 rate=20.0")
    assert hub.lines("coord: node_id=2 frames=195 gaps=0 rate=20.0")
    assert not hub.lines("node_id=0 frames")  # its own are not received


def test_lost_frames_are_gaps(swarm):
    lost = []

    def lossy(t_us, sender, receiver, frame):
        if sender == "s1" and frame[36:38] == b"\x13\x8d" and len(frame) > 100 and t_us > 2_000_000 and len(lost) < 7:
            lost.append(frame)
            return None
        return 5000

    swarm.wire = lossy
    swarm.add_star(2)
    swarm.run(10_100_000)
    assert swarm.devices["hub"].lines("node_id=1 frames=188 gaps=7 rate=20.0")
    assert swarm.devices["hub"].lines("node_id=2 frames=195 gaps=0 rate=20.0")


def test_a_first_frame_is_one_of_csi(hub):
    hub.give(struct.pack("<IBBHIbBHffII", VITALS, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
    assert not hub.devices["hub"].lines("node_id=7")
    assert len(forwarded(hub)) == 1
    hub.give(csi(7, 100))
    assert hub.devices["hub"].lines("first frame from node_id=7")


@pytest.mark.parametrize(
    ("sequences", "frames", "gaps"),
    [
        ([5, 6, 7], 3, 0),  # the first number is where counting starts
        ([0, 3, 4], 3, 2),
        ([0, 1, 1, 2], 4, 0),  # repeated
        ([0, 2, 1, 3], 4, 1),  # overtaken
        ([1000, 1001, 0, 1], 4, 0),  # the node restarted
        ([2**32 - 1, 0, 1], 3, 0),  # the number wraps around
    ],
)
def test_sequences(hub, sequences, frames, gaps):
    for sequence in sequences:
        hub.give(csi(7, sequence))
    hub.run(5_100_000)
    assert hub.devices["hub"].lines(f"node_id=7 frames={frames} gaps={gaps} rate=")
    assert len(forwarded(hub)) == frames


def test_a_restarted_node_is_named(hub):
    for sequence in (500, 0):
        hub.give(csi(7, sequence))
    assert hub.devices["hub"].lines("sequence of node_id=7 started anew at 0")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "too short"),
        (b"\x01\x00\x11", "too short"),
        (csi(7, 1)[:19], "too short"),
        (b"\0" * 40, "unknown magic"),
        (csi(7, 1) + b"\0", "length contradicts the header"),
        (csi(7, 1)[:-1], "length contradicts the header"),
        (csi(7, 1, subcarriers=4, antennas=2)[:-8], "length contradicts the header"),
        (csi(7, 1, subcarriers=513), "too many subcarriers"),
        (struct.pack("<I", VITALS) + bytes(27), "vitals of the wrong length"),
    ],
)
def test_malformed_datagrams_are_named_and_not_forwarded(hub, data, reason):
    hub.give(data)
    assert hub.devices["hub"].lines(f"W (100) coord: malformed datagram from 10.0.1.17: {reason}")
    assert not hub.devices["hub"].lines("node_id=7")
    assert forwarded(hub) == []


@pytest.mark.parametrize("data", [csi(7, 1, subcarriers=0), csi(7, 1, subcarriers=512), csi(7, 1, 100, antennas=3)])
def test_unusual_but_valid_frames_pass(hub, data):
    hub.give(data)
    assert forwarded(hub) == [data]


def test_a_storm_of_nonsense_does_not_drown_the_log(hub):
    for _ in range(500):
        hub.give(b"nonsense")
    assert len(hub.devices["hub"].lines("malformed datagram")) == 20
    hub.run(5_200_000)
    assert hub.devices["hub"].lines("coord: malformed=500")


def test_all_256_node_ids(hub):
    for node in range(256):
        hub.give(csi(node, 0))
    assert all(hub.devices["hub"].lines(f"first frame from node_id={node}") for node in range(256))
    hub.run(5_200_000)
    assert len(hub.devices["hub"].lines("rate=")) == 256 + 1  # and its own frame rate


def test_the_hub_sends_its_own_frames_to_the_aggregator(swarm):
    swarm.add_star(1)
    swarm.run(3_000_000)
    own = [udp for udp in swarm.udp(CSI, "hub") if udp.data[4] == 0]
    assert {udp.target_ip for udp in own} == {b"\x0a\0\0\1"}
    assert len(own) >= 55
