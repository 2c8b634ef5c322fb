"""One node as a whole on virtual time: boot lines, configuration, datagrams byte by byte, console commands."""

import ctypes
import itertools
import re
import struct

import pytest
from refnode_frames import echo_frame
from refnode_virtual import Swarm, build_nvs, flash_image, ip_of, mac_of

CSI, VITALS = 0xC5110001, 0xC5110002


@pytest.fixture
def node(swarm):
    """Add a node of a slotless network (it runs free after two seconds) and let it run."""

    def start(seconds: float = 0.1, **nvs: object) -> Swarm:
        swarm.add("n", int(nvs.get("node_id", 1)), **{"target_ip": "10.0.0.1", **nvs})
        swarm.run_for(seconds)
        return swarm

    return start


def console(swarm: Swarm) -> list[str]:
    return swarm.devices["n"].console.split("\r\n")


def test_the_lines_of_a_boot(swarm):
    swarm.add("n", 1, role=0, scenario=2, csi_channel=6, tdm_slot=1, tdm_nodes=3, target_ip=ip_of(0))
    swarm.run(1)
    assert console(swarm) == [
        "rst:0x1 (POWERON)",
        "I (0) main_task: Calling app_main()",
        "I (0) refnode: node_id=1 role=sensor scenario=2 channel=6 tdm_slot=1 tdm_nodes=3 edge_tier=2",
        "I (0) net: ip=10.0.1.11/16 mac=52:54:00:00:00:01",
        "I (0) tdm: TDM slot=1 of 3",
        "I (0) refnode: boot_time=0 ms",
        "",
    ]


@pytest.mark.parametrize("number", [0, 7, 199, 200, 255])
@pytest.mark.parametrize("nvs", [b"", b"\0" * 0x6000, b"damaged" + build_nvs(node_id=3)[7:]])
def test_without_a_configuration_everything_follows_from_the_mac(swarm, number, nvs):
    swarm.add("n", number, flash=flash_image(nvs))
    swarm.run(3_000_000)
    if nvs:
        assert "W (0) nvs: NVS damaged (page state, page 0 entry 999), using defaults" in console(swarm)
    else:
        assert "I (0) nvs: NVS is empty, using defaults" in console(swarm)
    assert f"I (0) net: ip={ip_of(number)}/16 mac={mac_of(number).hex(':')}" in console(swarm)
    line = f"node_id={number} role=sensor scenario=0 channel=6 tdm_slot=0 tdm_nodes=1 edge_tier=2"
    assert f"I (0) refnode: {line}" in console(swarm)
    sent = swarm.udp(CSI)
    assert {(udp.target_ip, udp.port, udp.data[4]) for udp in sent} == {(b"\x0a\0\0\1", 5005, number)}


def test_good_and_damaged_mean_all_or_nothing(swarm):
    nvs = bytearray(build_nvs(node_id=3, tdm_nodes=9, ip="10.0.7.7"))
    nvs[64 + 2 * 32 + 24] ^= 1
    swarm.add("n", 5, flash=flash_image(bytes(nvs)))
    swarm.run(1)
    assert "W (0) nvs: NVS damaged (CRC of an entry, page 0 entry 2), using defaults" in console(swarm)
    assert swarm.devices["n"].lines("node_id=5") and swarm.devices["n"].lines("tdm_nodes=1 ")
    assert swarm.devices["n"].lines("ip=10.0.1.15/16")


@pytest.mark.parametrize(
    ("values", "warning", "line"),
    [
        ({"edge_tier": 3}, "edge_tier=3 is out of range, using 2", "edge_tier=2"),
        ({"tdm_nodes": 0}, "tdm_nodes=0 is out of range, using 1", "tdm_nodes=1"),
        ({"tdm_slot": 5, "tdm_nodes": 3}, "tdm_slot=5 is out of range, using 2", "tdm_slot=2"),
        ({"csi_channel": 20}, "csi_channel=20 is out of range, using 6", "channel=6"),
        ({"scenario": 77}, "scenario=77 is out of range, using 0", "scenario=0"),
        ({"role": 9}, "role=9 is out of range, using 0", "role=sensor"),
        ({"vital_win": 8}, "vital_win=8 is out of range, using 256", "node_id=1"),
        ({"subk_count": 33}, "subk_count=33 is out of range, using 8", "node_id=1"),
        ({"target_ip": "10.0.0"}, "target_ip is not an IPv4 address: '10.0.0', ignored", "node_id=1"),
        ({"target_ip": "10.0.0.256"}, "target_ip is not an IPv4 address: '10.0.0.256', ignored", "node_id=1"),
        ({"hop_count": 2, "chan_list": "0114", "dwell_ms": 100}, "chan_list=20 is out of range, using 6", "node_id=1"),
    ],
)
def test_values_out_of_range_are_replaced_and_said(node, values, warning, line):
    swarm = node(**values)
    assert f"W (0) nvs: {warning}" in console(swarm)
    assert any(line in text for text in console(swarm) if "refnode: node_id" in text)


@pytest.mark.parametrize(("port", "control"), [(1, 2), (65535, 65534), (5005, 5006)])
def test_any_port_will_do(swarm, port, control):
    swarm.add("hub", 0, role=1, hub=1, tdm_nodes=2, tdm_slot=0, target_ip="10.0.0.1", target_port=port)
    swarm.add("s1", 1, tdm_nodes=2, tdm_slot=1, target_ip=ip_of(0), target_port=port)
    swarm.run(2_000_000)
    assert {udp.port for udp in swarm.udp(CSI)} == {port}
    assert {udp.port for udp in swarm.udp(0xC5110010)} == {control}
    assert swarm.devices["s1"].lines("synchronised")


@pytest.mark.parametrize(
    ("channel", "frequency"), [(1, 2412), (6, 2437), (13, 2472), (14, 2484), (36, 5180), (177, 5885)]
)
def test_csi_frames_byte_by_byte(node, channel, frequency):
    swarm = node(3, node_id=200, csi_channel=channel)
    frames = swarm.udp(CSI)
    assert len(frames) == 20
    for sequence, udp in enumerate(frames):
        head = struct.unpack_from("<IBBHIIbbH", udp.data)
        assert head == (CSI, 200, 1, 52, frequency, sequence, -48, -92, 0)
        assert len(udp.data) == 20 + 2 * 52


def test_zero_length_frames_are_a_header(node):
    swarm = node(3, scenario=9)
    assert {len(udp.data) for udp in swarm.udp(CSI)} == {20}
    assert {struct.unpack_from("<H", udp.data, 6)[0] for udp in swarm.udp(CSI)} == {0}


def test_vitals_byte_by_byte_every_second(node):
    swarm = node(20, scenario=1)
    packets = swarm.udp(VITALS)
    assert [after.t_us - before.t_us for before, after in itertools.pairwise(packets)] == [1_000_000] * 17
    assert all(len(udp.data) == 32 for udp in packets)
    udp = packets[-1]
    magic, number, flags, breathing, heart, rssi, persons, reserved, motion, presence, ms, last = struct.unpack(
        "<IBBHIbBHffII", udp.data
    )
    assert (magic, number, flags, rssi, persons, reserved, last) == (VITALS, 1, 1, -48, 1, 0, 0)
    assert 1470 <= breathing <= 1530
    assert 700_000 <= heart <= 740_000
    assert 0.1 < motion < 1.5
    assert 0.1 < presence < 0.3
    assert ms == udp.t_us // 1000
    csi_before = max(other.t_us for other in swarm.udp(CSI) if other.t_us <= udp.t_us)
    assert csi_before == udp.t_us  # in the same slot


@pytest.mark.parametrize(("interval", "expected"), [(500, 500_000), (50, 50_000), (1234, 1_250_000), (3000, 3_000_000)])
def test_the_interval_of_vitals_is_a_setting(node, interval, expected):
    packets = node(11.9, vital_int=interval).udp(VITALS)
    assert {after.t_us - before.t_us for before, after in itertools.pairwise(packets)} == {expected}


def test_tier_0_sends_no_vitals_and_reports_no_edge(node):
    swarm = node(11, edge_tier=0)
    assert swarm.udp(VITALS) == []
    assert swarm.devices["n"].lines("edge:") == []
    assert swarm.devices["n"].lines("csi: frame_rate=20.0")


def test_reports_every_five_seconds(node):
    swarm = node(21, scenario=1)
    lines = swarm.devices["n"].lines("csi: frame_rate")
    assert lines[0] == "I (5000) csi: frame_rate=12.0 frames=60"
    assert lines[1:] == [f"I ({n}000) csi: frame_rate=20.0 frames={20 * n - 40}" for n in (10, 15, 20)]
    assert swarm.devices["n"].lines("edge: presence=1 motion=0.")[-1].endswith("breathing=15.0")


def test_a_fall_is_logged_and_flagged(node):
    swarm = node(30, scenario=3)
    falls = swarm.devices["n"].lines("fall detected")
    assert len(falls) == 2
    assert falls[0].startswith("W (8")
    assert falls[0].split("edge: ")[1].startswith("fall detected node_id=1 accel=")
    flags = {udp.data[5] & 3 for udp in swarm.udp(VITALS) if 8_500_000 < udp.t_us < 12_000_000}
    assert flags == {1 | 2}


def test_the_filter_drops_the_strangers_frames(node):
    swarm = node(12, scenario=6, filter_mac="aabbccddeeff")
    frames = swarm.udp(CSI)
    assert len(frames) == 100  # 10 Hz
    assert [struct.unpack_from("<I", udp.data, 12)[0] for udp in frames] == list(range(100))
    assert "filtered=100" in swarm.type("n", "stats")


def test_without_a_filter_or_with_the_strangers_everything_passes(swarm):
    swarm.add("n", 1, scenario=6, target_ip="10.0.0.1")
    swarm.add("m", 2, scenario=6, target_ip="10.0.0.1", filter_mac="112233445566")
    swarm.run(4_000_000)
    assert (len(swarm.udp(CSI, "n")), len(swarm.udp(CSI, "m"))) == (40, 40)


def test_a_burst_is_a_thousand_frames_in_a_tenth_of_a_second(node):
    swarm = node(9, scenario=7)
    times = [udp.t_us for udp in swarm.udp(CSI)]
    start = 2_012_500 + 100 * 50_000  # sample 100
    burst = [t for t in times if start < t <= start + 100_000]
    assert len(burst) == 1000 + 2  # two of the usual ones fall among them
    assert len(times) == 1000 + 140
    sequence = [struct.unpack_from("<I", udp.data, 12)[0] for udp in swarm.udp(CSI)]
    assert sequence == list(range(1140))
    assert swarm.devices["n"].lines("burst sent")


def test_channels_hop_when_told_to(node):
    swarm = node(4, hop_count=3, chan_list="01060b", dwell_ms=200)
    frequencies = [struct.unpack_from("<I", udp.data, 8)[0] for udp in swarm.udp(CSI)]
    assert frequencies[:13] == [2412] * 4 + [2437] * 4 + [2462] * 4 + [2412]


def test_same_seed_same_bytes(host_library, tmp_path):
    def run(seed: int, name: str) -> tuple[list[tuple[int, str, bytes]], str]:
        directory = tmp_path / name
        directory.mkdir()
        swarm = Swarm(host_library, directory)
        swarm.add_star(2, seed=seed)
        swarm.run(4_000_000)
        return swarm.sent, "".join(device.console for device in swarm.devices.values())

    assert run(5, "a") == run(5, "b")
    assert run(5, "c")[0] != run(6, "d")[0]


def test_help_names_every_command_but_the_word_that_looks_like_a_crash(node):
    text = node().type("n", "help")
    commands = "stats reboot crash leak hang starve flood stop start flash-write send set"
    for command in commands.split():
        assert f"console:   {command}" in text
    assert "panic" not in text


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("nonsense", "W (100) console: unknown command, try help"),
        ("Guru Meditation", "W (100) console: unknown command, try help"),  # never repeated
        ("leak -1", "W (100) console: usage: leak [KIB]"),
        ("leak 1 2", "W (100) console: usage: leak [KIB]"),
        ("starve", "W (100) console: usage: starve MS"),
        ("starve long", "W (100) console: usage: starve MS"),
        ("flood many", "W (100) console: usage: flood FRAMES"),
        ("flood 4294967296", "W (100) console: usage: flood FRAMES"),
        ("flash-write 0 0", "W (100) console: usage: flash-write TIMES|OFFSET HEX"),
        ("flash-write 0 xx", "W (100) console: usage: flash-write TIMES|OFFSET HEX"),
        ("flash-write 0x10000 00", "E (100) console: flash: cannot write 1 bytes at 0x10000"),
        ("send 10.0.0.1 99999 00", "W (100) console: usage: send IP PORT HEX"),
        ("set scenario 10", "W (100) console: usage: set "),
        ("set colour 1", "W (100) console: usage: set "),
        ("set edge_tier 3", "W (100) console: usage: set "),
        ("x" * 600, "W (100) console: line too long"),
    ],
)
def test_wrong_commands_are_answered(node, command, answer):
    assert node().type("n", command).startswith(answer)


def test_lines_end_with_cr_or_lf_and_can_be_mended(node):
    swarm = node()
    assert swarm.type("n", "\r\n \r\n") == ""
    assert "heap_free" in swarm.type("n", "stax\bts")


def test_stop_and_start(node):
    swarm = node(4)
    swarm.type("n", "stop")
    swarm.sent.clear()
    swarm.run_for(3)
    assert swarm.sent == []
    swarm.type("n", "start")
    swarm.run_for(1)
    assert len(swarm.udp(CSI)) == 20


def test_flood_sends_that_many_more(node):
    swarm = node(4)
    swarm.sent.clear()
    swarm.type("n", "flood 300")
    swarm.run_for(1)
    assert len(swarm.udp(CSI)) == 320


def test_leak_until_there_is_nothing_left(node):
    swarm = node()
    assert "heap_free=251824" in swarm.type("n", "leak 10").replace("\r\n", " ")  # 1032 bytes each
    text = swarm.type("n", "leak 1000")
    assert "E (100) heap: HEAP_ERROR: out of memory, malloc(1024) failed" in text
    assert text.count("HEAP_ERROR") == 1


def test_a_node_without_memory_says_so_and_its_vitals_fail(node):
    swarm = node(4)
    text = swarm.type("n", "leak")
    assert re.search(r"heap_free=\d\r\n", text)
    vitals = len(swarm.udp(VITALS))
    swarm.run_for(3)
    assert len(swarm.devices["n"].lines("HEAP_ERROR: out of memory, malloc(32) failed")) == 3
    assert len(swarm.udp(VITALS)) == vitals
    assert "unsent=3" in swarm.type("n", "stats")
    assert len(swarm.udp(CSI)) > 90  # everything else goes on


def test_a_limit_of_the_heap_holds_until_it_is_lifted(node):
    """Written from outside, as a memory fault does."""
    swarm = node(4)
    limit = ctypes.c_uint32.in_dll(swarm.devices["n"].lib, "heap_limit")
    assert limit.value == 2**32 - 1
    limit.value = 39  # one byte less than what vitals take
    swarm.run_for(3)
    assert len(swarm.devices["n"].lines("HEAP_ERROR: out of memory, malloc(32) failed")) == 3
    vitals = len(swarm.udp(VITALS))
    limit.value = 40
    swarm.run_for(3)
    assert len(swarm.devices["n"].lines("HEAP_ERROR")) == 3
    assert len(swarm.udp(VITALS)) == vitals + 3


def test_starved_timers_are_noticed_and_recover(node):
    swarm = node(4)
    swarm.sent.clear()
    assert swarm.type("n", "starve 500") == "W (4000) console: no timer is served for 500 ms\r\n"
    swarm.inject("n", echo_frame(mac_of(1), "10.0.9.9", ip_of(1)))
    swarm.run_for(0.499)
    assert swarm.udp() == []
    assert "uptime_ms" in swarm.type("n", "stats")  # input is served
    swarm.run_for(1)
    (line,) = swarm.devices["n"].lines("timer: starved")
    assert re.fullmatch(r"W \(4500\) timer: starved: served 4[5-9]\d ms late", line)
    assert len(swarm.udp(CSI)) >= 18
    assert re.search(r"starved=1 late_max_ms=4[5-9]\d ", swarm.type("n", "stats"))


def test_timers_that_are_a_little_late_are_not_starved(node):
    swarm = node(4)
    swarm.type("n", "starve 190")
    swarm.run_for(1)
    assert swarm.devices["n"].lines("timer: starved") == []


def test_a_hanging_node_says_so(node):
    swarm = node(4)
    assert swarm.type("n", "hang") == "W (4000) console: hanging until a reset\r\n"
    assert swarm.devices["n"].resets == 1  # on the host, where nothing can hang


def test_send_and_set_target(node):
    swarm = node(3)
    swarm.type("n", "set target 10.0.0.9")
    swarm.sent.clear()
    swarm.run_for(1)
    assert swarm.udp() == []  # nobody answers ARP there
    assert {frame[38:42] for _, _, frame in swarm.sent} == {bytes([10, 0, 0, 9])}
    assert "dropped" not in swarm.type("n", "send 10.0.0.1 7 c0ffee")
    assert swarm.udp()[-1].data == bytes.fromhex("c0ffee")


def test_set_changes_the_running_node(node):
    swarm = node(3, scenario=0)
    swarm.type("n", "set scenario 9")
    swarm.sent.clear()
    swarm.run_for(1)
    assert {len(udp.data) for udp in swarm.udp(CSI)} == {20}
    swarm.type("n", "set scenario 3")
    swarm.type("n", "set fall_thresh 30000")
    swarm.run_for(40)
    assert swarm.devices["n"].lines("fall detected") == []


def test_flash_write_reaches_the_flash(node):
    swarm = node()
    answer = swarm.type("n", "flash-write 0x9000 00112233")
    assert answer == "I (100) console: flash: 4 bytes written at 0x9000\r\n"
    flash = ctypes.POINTER(ctypes.c_uint8).in_dll(swarm.devices["n"].lib, "hal_flash")
    assert bytes(flash[0x9000:0x9004]) == bytes.fromhex("00112233")


def test_stats_count_what_was_sent(node):
    swarm = node(5)
    text = swarm.type("n", "stats")
    assert "samples=60 csi=60 vitals=3 filtered=0 late=0 unsent=0 falls=0" in text
    assert "tdm=free beacons=0 exchanges=0" in text
