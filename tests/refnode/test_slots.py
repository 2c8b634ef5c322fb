"""TDM slots and time synchronisation, on exact virtual time."""

import itertools
import struct

import pytest
from refnode_frames import udp_frame
from refnode_virtual import CONTROL_PORT, ip_of, parse_udp

CSI, VITALS, BEACON, REQUEST, RESPONSE = 0xC5110001, 0xC5110002, 0xC5110010, 0xC5110011, 0xC5110012
SUPERFRAME = 50_000


def csi_times(swarm, name, after_us=0):
    """When the node sent a frame of its own; a hub sends those of others too."""
    number = 0 if name == "hub" else int(name[1:])
    return [udp.t_us for udp in swarm.udp(CSI, name) if udp.t_us >= after_us and udp.data[4] == number]


def expected_phase(slot, nodes):
    """Where in the superframe a node sends: a quarter into its slot."""
    length = SUPERFRAME // nodes
    return slot * SUPERFRAME // nodes + length // 4


def assert_in_slot(swarm, name, slot, nodes, after_us, tolerance_us=0):
    times = csi_times(swarm, name, after_us)
    assert times
    for t_us in times:
        assert abs(t_us % SUPERFRAME - expected_phase(slot, nodes)) <= tolerance_us


def test_every_node_sends_a_quarter_into_its_slot(swarm):
    swarm.add_star(3)
    swarm.run(6_000_000)
    for slot, name in enumerate(("hub", "s1", "s2", "s3")):
        assert_in_slot(swarm, name, slot, 4, 0)  # from the very first frame on
        assert len(csi_times(swarm, name, 1_000_000)) == 100  # 20 Hz, no superframe left out
    assert not swarm.devices["s1"].lines("running free")


def test_twenty_nodes_share_a_superframe(swarm):
    swarm.add_star(19)
    swarm.run(1_500_000)
    times = sorted(t_us for name in swarm.devices for t_us in csi_times(swarm, name, 1_000_000))
    assert min(after - before for before, after in itertools.pairwise(times)) >= SUPERFRAME // 20


@pytest.mark.parametrize("latencies", [(1000, 1000), (5000, 9000), (30000, 30000), (2000, 40000)])
def test_the_error_is_half_the_difference_of_the_directions(swarm, latencies):
    there, back = latencies
    swarm.wire = lambda t, sender, receiver, frame: there if receiver == "hub" else back
    swarm.add_star(2)
    swarm.run(5_000_000)
    offset_error = abs(there - back) // 2
    for slot, name in ((1, "s1"), (2, "s2")):
        phase = csi_times(swarm, name, 2_000_000)[0] % SUPERFRAME
        error = (phase - expected_phase(slot, 3) + SUPERFRAME // 2) % SUPERFRAME - SUPERFRAME // 2
        assert abs(error) == offset_error


def test_jitter_is_filtered_by_the_shortest_round_trip(swarm):
    state = [12345]

    def jitter(t_us, sender, receiver, frame):
        state[0] = state[0] * 1103515245 + 12345 & 0x7FFFFFFF
        return 2000 + state[0] % 8000

    swarm.wire = jitter
    swarm.add_star(2)
    swarm.run(14_000_000)
    assert_in_slot(swarm, "s1", 1, 3, 10_000_000, tolerance_us=2000)  # up to 4000 without the filter


def test_the_exchange_is_ntp_with_five_quick_rounds(swarm):
    swarm.add_star(1)
    swarm.run(5_000_000)
    requests, responses = swarm.udp(REQUEST, "s1"), swarm.udp(RESPONSE, "hub")
    gaps = [b.t_us - a.t_us for a, b in itertools.pairwise(requests)]
    assert gaps[:4] == [100_000] * 4
    assert set(gaps[4:]) == {1_000_000}
    assert len(requests) == len(responses)
    for request, response in zip(requests, responses, strict=True):
        magic, node, zero, t1 = struct.unpack("<IB3sQ", request.data)
        assert (magic, node, zero) == (REQUEST, 1, b"\0\0\0")
        assert t1 == request.t_us - 3000  # s1 booted at 3 ms
        magic, hub, node, zero, echo, t2, t3 = struct.unpack("<IBBHQQQ", response.data)
        assert (magic, hub, node, zero, echo) == (RESPONSE, 0, 1, 0, t1)
        assert t2 == t3 == request.t_us + 5000 == response.t_us
        assert (request.port, response.port) == (CONTROL_PORT, CONTROL_PORT)


def test_beacons_start_superframes(swarm):
    swarm.add_star(2)
    swarm.run(3_000_000)
    beacons = swarm.udp(BEACON)
    assert {udp.source for udp in beacons} == {"hub"}
    assert [udp.t_us for udp in beacons] == list(range(SUPERFRAME, 3_000_000, SUPERFRAME))
    for number, udp in enumerate(beacons, 1):
        assert udp.data == struct.pack("<IBBBBIIQ", BEACON, 1, 0, 3, 0, number, SUPERFRAME, number * SUPERFRAME)
        assert (udp.target_ip, udp.port, udp.ttl) == (bytes([239, 83, 87, 1]), CONTROL_PORT, 16)
    frames = [frame for _, _, frame in swarm.sent if frame[0] & 1 and frame[12:14] == b"\x08\x00"]
    assert {frame[:6] for frame in frames} == {bytes.fromhex("01005e535701")}


def test_nobody_sends_before_it_knows_the_time(swarm):
    swarm.add_star(2)
    swarm.run(1_000_000)
    for name in ("s1", "s2"):
        answers = [udp.t_us + 5000 for udp in swarm.udp(RESPONSE) if udp.target_ip[3] == 10 + int(name[1])]
        assert csi_times(swarm, name)[0] > answers[2]


def test_without_a_hub_a_node_runs_free_after_two_seconds(swarm):
    swarm.add("s1", 1, tdm_nodes=4, tdm_slot=2, target_ip="10.0.0.1")
    swarm.run(4_000_000)
    assert csi_times(swarm, "s1")[0] == 2_000_000 + expected_phase(2, 4)
    assert len(csi_times(swarm, "s1", 3_000_000)) == 20
    assert swarm.devices["s1"].lines("W (2000) tdm: no beacon for 2 s, running free")


def test_a_silent_hub_leaves_the_nodes_in_their_slots(swarm):
    swarm.add_star(2)
    swarm.run(3_000_000)
    swarm.wire = lambda t, sender, receiver, frame: None if sender == "hub" else 5000
    swarm.run(8_000_000)
    assert swarm.devices["s1"].lines("running free")
    assert_in_slot(swarm, "s1", 1, 3, 3_000_000)  # the offset is kept
    assert len(csi_times(swarm, "s1", 4_000_000)) == 80


def test_a_hub_that_comes_back_is_followed_again(swarm):
    swarm.add_star(1)
    swarm.run(3_000_000)
    swarm.wire = lambda t, sender, receiver, frame: None
    swarm.run(6_000_000)
    swarm.wire = lambda t, sender, receiver, frame: 5000
    swarm.run(8_000_000)
    assert len(swarm.devices["s1"].lines("synchronised with hub 0")) == 2
    assert_in_slot(swarm, "s1", 1, 2, 3_000_000)


def test_beacons_alone_will_do(swarm):
    def no_answers(t_us, sender, receiver, frame):
        udp = parse_udp(t_us, sender, frame)
        return None if udp and udp.magic == RESPONSE else 5000

    swarm.wire = no_answers
    swarm.add_star(1)
    swarm.run(5_000_000)
    assert swarm.devices["s1"].lines("using its beacons alone")
    phase = (expected_phase(1, 2) + 5000) % SUPERFRAME  # late by the latency
    assert {t % SUPERFRAME for t in csi_times(swarm, "s1")} == {phase}
    assert len(csi_times(swarm, "s1", 3_000_000)) == 40


@pytest.mark.parametrize("restart_us", [4_000_000, 4_017_000])
def test_a_restarted_hub_is_noticed_at_once(swarm, restart_us):
    swarm.add_star(1)
    swarm.run(restart_us)
    old = swarm.devices.pop("hub")
    old.next_us = 2**64 - 1
    swarm.add("hub", 0, role=1, hub=1, tdm_nodes=2, tdm_slot=0, target_ip="10.0.0.1", boot_us=restart_us)
    swarm.run(8_000_000)
    assert swarm.devices["s1"].lines("the clocks have parted, synchronising anew")
    times = csi_times(swarm, "s1", restart_us + 600_000)
    assert {(t - restart_us) % SUPERFRAME for t in times} == {expected_phase(1, 2)}


def test_a_node_whose_clock_stood_still_catches_up(swarm):
    swarm.add_star(1)
    swarm.run(4_000_000)
    swarm.devices["s1"].boot_us += 777_000  # paused for that long
    swarm.devices["s1"].next_us += 777_000
    swarm.run(8_000_000)
    assert swarm.devices["s1"].lines("the clocks have parted")
    assert_in_slot(swarm, "s1", 1, 2, 5_500_000)


def test_a_hub_whose_clock_stood_still_is_measured_anew(swarm):
    swarm.add_star(1)
    swarm.run(4_000_000)
    swarm.devices["hub"].boot_us += 777_000
    swarm.devices["hub"].next_us += 777_000
    swarm.run(9_000_000)
    assert swarm.devices["s1"].lines("a clock was set") or swarm.devices["s1"].lines("the clocks have parted")
    times = csi_times(swarm, "s1", 6_500_000)
    assert {(t - 777_000) % SUPERFRAME for t in times} == {expected_phase(1, 2)}


def test_a_late_node_leaves_its_slot_out(swarm):
    swarm.add_star(2)
    swarm.run(3_000_000)
    for _ in range(10):  # the host wakes it 20 ms late, ten times
        due = csi_times(swarm, "s1")[-1] + SUPERFRAME
        swarm.run(due - 1000)
        swarm.devices["s1"].asleep_until_us = due + 20_000
        swarm.run(due + 2 * SUPERFRAME - 1000)
    swarm.run(6_000_000)
    assert_in_slot(swarm, "s1", 1, 3, 2_000_000)
    assert "late=10" in swarm.type("s1", "stats")
    sequence = [struct.unpack_from("<I", udp.data, 12)[0] for udp in swarm.udp(CSI, "s1")]
    assert sequence == list(range(len(sequence)))  # nothing sent, nothing numbered


def test_a_foreign_hub_and_nonsense_are_ignored(swarm):
    swarm.add_star(1)
    swarm.run(3_000_000)
    beacon = struct.pack("<IBBBBIIQ", BEACON, 1, 9, 2, 0, 77, SUPERFRAME, 123_456)
    for data in (beacon, beacon[:-1], b"", b"\x10", struct.pack("<IB3sQ", REQUEST, 1, b"\0" * 3, 5),
                 struct.pack("<IBBHQQQ", RESPONSE, 0, 1, 0, 1, 2, 3)):  # fmt: skip
        swarm.inject("s1", udp_frame(swarm.devices["s1"].mac, ip_of(9), ip_of(1), CONTROL_PORT, data))
    swarm.run(5_000_000)
    assert_in_slot(swarm, "s1", 1, 2, 0)


@pytest.mark.parametrize(("t2", "t3"), [(2**63, 2**63 + 1), (2**64 - 2, 2**64 - 1), (9, 8), (0, 2**40)])
def test_impossible_answers_are_ignored(swarm, t2, t3):
    def no_answers(t_us, sender, receiver, frame):
        udp = parse_udp(t_us, sender, frame)
        return None if udp and udp.magic == RESPONSE else 5000

    swarm.wire = no_answers
    swarm.add_star(1)
    for _ in range(8):
        swarm.run_for(0.1)
        if requests := swarm.udp(REQUEST, "s1"):
            t1 = struct.unpack_from("<Q", requests[-1].data, 8)[0]
            answer = struct.pack("<IBBHQQQ", RESPONSE, 0, 1, 0, t1, t2, t3)
            swarm.inject("s1", udp_frame(swarm.devices["s1"].mac, ip_of(0), ip_of(1), CONTROL_PORT, answer))
    assert "exchanges=0" in swarm.type("s1", "stats")


def test_a_disagreement_about_the_slots_is_said(swarm):
    swarm.add("hub", 0, role=1, hub=1, tdm_nodes=5, tdm_slot=0, target_ip="10.0.0.1")
    swarm.add("s1", 1, tdm_nodes=3, tdm_slot=1, target_ip=ip_of(0))
    swarm.run(1_000_000)
    assert swarm.devices["s1"].lines("the hub has 5 slots, this node 3")
