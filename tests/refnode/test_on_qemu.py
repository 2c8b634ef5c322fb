"""The shipped firmware on QEMU: what only the real processor, devices and flash can show."""

import json
import re
import socket
import struct

import pytest
from refnode_dsp import Room
from refnode_frames import PEER_MAC, arp_request, checksum, echo_frame, udp_frame
from refnode_qemu import BOARDS, FREE_RUNNING, csi_numbers, node_nvs, symbols
from refnode_virtual import DATA_PORT, NVS_OFFSET, build_nvs, ip_of, mac_of

CSI, VITALS, BEACON, RESPONSE = 0xC5110001, 0xC5110002, 0xC5110010, 0xC5110012
PEER = "10.0.9.9"


def test_boots_in_milliseconds(flash, boot):
    with boot(flash(node_nvs(1, scenario=2, tdm_slot=1, tdm_nodes=3)), *FREE_RUNNING) as device:
        match = device.wait_for(r"boot_time=(\d+) ms")
        assert int(match[1]) <= 8  # of a 62.5 MHz processor
    lines = [re.sub(r"\(\d+\)", "(N)", line) for line in device.console.split("\r\n")]
    assert lines[:6] == [
        "rst:0x1 (POWERON)",
        "I (N) main_task: Calling app_main()",
        "I (N) refnode: node_id=1 role=sensor scenario=2 channel=6 tdm_slot=1 tdm_nodes=3 edge_tier=2",
        "I (N) net: ip=10.0.1.11/16 mac=52:54:00:00:00:01",
        "I (N) tdm: TDM slot=1 of 3",
        f"I (N) refnode: boot_time={match[1]} ms",
    ]


def test_answers_arp_and_ping(flash, boot):
    with boot(flash(node_nvs(1))) as device:
        device.wait_for("boot_time")
        device.send(arp_request(PEER, ip_of(1)))
        device.wait_for_frames(lambda frame: frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\2")
        for size in (0, 56, 1472):
            device.send(echo_frame(device.mac, PEER, ip_of(1), bytes(size), sequence=size))
        replies = device.wait_for_frames(lambda frame: frame[23] == 1 and frame[:6] == PEER_MAC, 3)
    assert [struct.unpack_from(">H", frame, 40)[0] for frame in replies] == [0, 56, 1472]
    assert all(checksum(frame[34:]) == 0 for frame in replies)


def test_the_same_samples_as_on_the_host(flash, boot, host_library):
    """Floating point included: what the tests on the host show holds for the device."""
    for scenario in (1, 2, 3):
        with boot(flash(node_nvs(4, scenario=scenario, seed=77)), *FREE_RUNNING, number=4) as device:
            frames = device.wait_for_udp(CSI, 100)[:100]
        room = Room(host_library, scenario, seed=77 + 4)
        # A busy machine makes the device miss slots, so that its hundredth frame may hold a far later sample.
        wanted = {bytes(room.generate(number).iq) for number in range(6000)}
        assert csi_numbers(frames) == list(range(100))
        assert {udp.data[20:] for udp in frames} <= wanted


def test_frames_and_vitals_arrive_whole(flash, boot):
    with boot(flash(node_nvs(3, scenario=1, csi_channel=11)), *FREE_RUNNING, number=3) as device:
        vitals = device.wait_for_udp(VITALS, 30)
        frames = device.udp(CSI)
    for udp in frames:
        head = struct.unpack_from("<IBBHIIbbH", udp.data)
        assert head[:5] == (CSI, 3, 1, 52, 2462)
        assert head[6:] == (-48, -92, 0)
        assert len(udp.data) == 124
    magic, number, flags, breathing, *_ = struct.unpack("<IBBHIbBHffII", vitals[-1].data)
    assert (magic, number, flags) == (VITALS, 3, 1)
    assert 1470 <= breathing <= 1530


def test_1300_walking_frames_without_a_fall(flash, boot):
    with boot(flash(node_nvs(1, scenario=2)), *FREE_RUNNING) as device:
        device.wait_for(r"csi: frame_rate", times=14)  # 70 s
        device.type("stats")
        samples = device.wait_for(r"samples=(\d+) .* falls=(\d+)")
    assert int(samples[1]) >= 1300
    assert int(samples[2]) == 0
    assert "presence=1 motion=2." in device.console


def test_falls_are_told_in_time(flash, boot):
    with boot(flash(node_nvs(2, scenario=3)), *FREE_RUNNING, number=2) as device:
        device.wait_for(r"fall detected", times=3)
    times = [int(t) for t in re.findall(r"W \((\d+)\) edge: fall detected node_id=2 accel=\d+", device.console)]
    assert times[0] <= 10_000
    assert times[1] - times[0] <= 20_000


def test_a_damaged_configuration(flash, boot):
    nvs = bytearray(node_nvs(3))
    nvs[100] ^= 1
    with boot(flash(bytes(nvs)), number=9) as device:
        device.wait_for(r"W \(\d+\) nvs: NVS damaged \(CRC of an entry, page 0 entry 1\), using defaults")
        device.wait_for(r"node_id=9 role=sensor scenario=0 channel=6 tdm_slot=0 tdm_nodes=1 edge_tier=2")
        device.wait_for(r"ip=10\.0\.1\.19/16 mac=52:54:00:00:00:09")


def test_the_partition_table_says_where_nvs_is(flash, boot):
    path = flash(b"")
    moved = struct.pack("<HBBII16sI", 0x50AA, 1, 2, 0x100000, 0x6000, b"nvs", 0)
    with path.open("r+b") as file:
        file.seek(0x8000)
        file.write(moved)
        file.seek(0x100000)
        file.write(node_nvs(44))
    with boot(path) as device:
        device.wait_for("node_id=44")


REPORTS = {
    "refnode-rv32": (
        r"MEPC: 0x(?P<pc>\w{8})  RA: 0x\w{8}  SP: 0x(?P<sp>\w{8})",
        "MCAUSE: 0x00000005  MTVAL: 0xf0000000",
    ),
    "refnode-arm": (
        r"PC: 0x(?P<pc>\w{8})  LR: 0x\w{8}  SP: 0x(?P<sp>\w{8})",
        "CFSR: 0x00008200  HFSR: 0x40000000  FAULTADDR: 0xf0000000",
    ),
}
"""Where a crash was, and what of."""


@pytest.mark.parametrize("command", ["panic", "crash"])
def test_a_crash_is_reported_as_esp_idf_does_and_ends_in_a_reset(flash, boot, machine, command):
    place, cause = REPORTS[machine]
    with boot(flash(node_nvs(1))) as device:
        device.wait_for("boot_time")
        device.type(command)
        device.wait_for(
            r"\r\nGuru Meditation Error: Core  0 panic'ed \(LoadProhibited\)\. Exception was unhandled\.\r\n"
        )
        dump = device.wait_for(place)
        device.wait_for(cause)
        device.wait_for(r"Rebooting\.\.\.\r\nrst:0xc \(SW_CPU_RESET\)\r\nI \(\d+\) main_task")
        device.wait_for("boot_time", times=2)
    table = symbols(machine)
    assert table["hal_load_from_nowhere"] <= int(dump["pc"], 16) < table["hal_load_from_nowhere"] + 16
    assert table["__stack_guard"] < int(dump["sp"], 16) <= table["__stack_top"]


def test_a_stack_overflow_hits_the_guard(flash, boot):
    with boot(flash(node_nvs(1))) as device:
        device.wait_for("boot_time")
        device.type("recurse")
        device.wait_for(r"Stack overflow in task main has been detected\.\r\nGuru Meditation Error: .*StoreProhibited")
        device.wait_for(r"rst:0xc \(SW_CPU_RESET\)")


def test_reset_causes(flash, boot):
    ours, far = socket.socketpair()
    monitor = ("-chardev", f"socket,id=q0,fd={far.fileno()}", "-mon", "chardev=q0,mode=control")
    with ours, far, boot(flash(node_nvs(1)), *monitor, pass_fds=(far.fileno(),)) as device:
        device.wait_for(r"rst:0x1 \(POWERON\)")
        device.type("reboot")
        device.wait_for(r"restarting\r\nrst:0xc \(SW_CPU_RESET\)")
        device.wait_for("boot_time", times=2)
        for command in ("qmp_capabilities", "system_reset"):
            ours.sendall(json.dumps({"execute": command}).encode())
        device.wait_for(r"rst:0x1 \(POWERON\)", times=2)
        device.wait_for("boot_time", times=3)


def test_the_serial_line_takes_long_lines_at_once(flash, boot):
    with boot(flash(node_nvs(1))) as device:
        device.wait_for("boot_time")
        device.type("stats\n" * 50 + "flash-write 0x20000 " + "ab" * 200)
        device.wait_for(r"flash: 200 bytes written at 0x20000")
        device.wait_for(r"stats: uptime_ms", times=50)


def test_the_flash_keeps_what_was_written(flash, boot, machine):
    path = flash(node_nvs(1))
    with boot(path) as device:
        device.wait_for("boot_time")
        device.type("flash-write 0x3fffe 11223344")  # erased flash, across two sectors
        device.wait_for(r"written at 0x3fffe")
        device.type("flash-write 0x9001 00")  # bits that fall
        device.wait_for(r"written at 0x9001")
        device.type("flash-write 0x3fffd ff44")  # bits that rise: the sector is erased and restored
        device.wait_for(r"written at 0x3fffd")
        device.type("reboot")
        device.wait_for(r"NVS damaged \(page state|NVS damaged \(CRC of a page header")
    image = path.read_bytes()
    assert image[0x3FFFD:0x40002] == bytes.fromhex("ff44223344")
    wanted = bytearray(node_nvs(1))
    wanted[1] = 0
    assert image[NVS_OFFSET : NVS_OFFSET + len(wanted)] == bytes(wanted)
    assert not any(image[0x10000:0x3FFFD])
    assert not any(image[0x40002:])


def test_flash_writes_outside_are_refused(flash, boot, machine):
    last = BOARDS[machine].flash_bytes - 1
    with boot(flash(node_nvs(1))) as device:
        device.wait_for("boot_time")
        device.type(f"flash-write {last:#x} 0011")
        device.wait_for(rf"E \(\d+\) console: flash: cannot write 2 bytes at {last:#x}")


def test_a_console_that_nobody_reads_does_not_stop_the_device(flash, boot):
    with boot(flash(node_nvs(1))) as device:
        device.wait_for_udp(CSI, 1)
        device.reads_console = False
        device.type("help\n" * 100)  # 60 kB of answers: more than all buffers on the way
        before = len(device.udp(CSI))
        device.wait_for_udp(CSI, before + 60)
        device.reads_console = True
        device.wait_for(r"csi: frame_rate", times=device.console.count("csi: frame_rate") + 1)  # text flows again
        device.type("stats")
        device.wait_for(r"stats: uptime_ms")


def test_console_text_is_complete_for_a_slow_reader(flash, boot):
    """Nothing is lost that fits into the device's own buffer, and nothing is held up meanwhile."""
    with boot(flash(node_nvs(1))) as device:
        device.wait_for_udp(CSI, 1)
        device.reads_console = False
        device.type("stats\n" * 30)  # 10 kB
        device.wait_for_udp(CSI, len(device.udp(CSI)) + 20)
        device.reads_console = True
        device.wait_for(r"delay_us=\d+\r\n", times=30)
        device.type("stats")
        device.wait_for(r"late=0 unsent=0", times=31)


def test_a_hub_keeps_time_receives_and_forwards(flash, boot):
    nvs = node_nvs(0, role=1, hub=1, tdm_nodes=2, tdm_slot=0)
    frame = struct.pack("<IBBHIIbbH", CSI, 1, 1, 2, 2437, 0, -40, -90, 0) + b"\1\2\3\4"
    with boot(flash(nvs), number=0) as device:
        device.wait_for("boot_time")
        beacons = device.wait_for_udp(BEACON, 10)
        device.send(arp_request(ip_of(1), ip_of(0), sender_mac=mac_of(1)))
        device.send(udp_frame(device.mac, ip_of(1), ip_of(0), DATA_PORT, frame))
        device.wait_for(r"coord: first frame from node_id=1")
        request = struct.pack("<IB3sQ", 0xC5110011, 1, b"\0" * 3, 123456)
        device.send(udp_frame(device.mac, ip_of(1), ip_of(0), DATA_PORT + 1, request))
        (response,) = device.wait_for_udp(RESPONSE)
        device.wait_for_frames(lambda f: f.endswith(frame) and f[30:34] == b"\x0a\0\0\1")
        device.wait_for(r"coord: node_id=1 frames=1 gaps=0 rate=0\.2")
    numbers = [struct.unpack("<IBBBBIIQ", udp.data)[5] for udp in beacons]
    assert numbers == sorted(set(numbers))
    _, hub, node, _, t1, t2, t3 = struct.unpack("<IBBHQQQ", response.data)
    assert (hub, node, t1) == (0, 1, 123456)
    assert 0 < t2 <= t3 < t2 + 1000


def test_two_guests_synchronise(flash, boot):
    hub_flash = flash(node_nvs(0, role=1, hub=1, tdm_nodes=2, tdm_slot=0), "hub.bin")
    sensor_flash = flash(node_nvs(1, target_ip=ip_of(0), tdm_nodes=2, tdm_slot=1, scenario=1), "sensor.bin")
    with boot(hub_flash, number=0) as hub, boot(sensor_flash, number=1) as sensor:
        passed = [0, 0]
        while "coord: node_id=1 frames=" not in hub.console:
            for index, (source, target) in enumerate(((hub, sensor), (sensor, hub))):
                assert source.pump(0.001)
                for frame in source.frames[passed[index] :]:
                    target.send(frame)
                passed[index] = len(source.frames)
        sensor.wait_for(r"tdm: synchronised with hub 0, round trip \d+ us")
        hub.wait_for(r"coord: first frame from node_id=1")
    sent = [udp.data for udp in sensor.udp(CSI)]
    relayed = [udp.data for udp in hub.udp(CSI) if udp.data[4] == 1]
    assert len(relayed) >= 40
    assert relayed == sent[: len(relayed)]


def test_runs_repeat_to_the_byte(flash, boot):
    """Under virtual time, without input, two runs print the same and send the same."""

    def run(name: str) -> tuple[str, list[bytes]]:
        with boot(flash(node_nvs(1, scenario=255), name), *FREE_RUNNING) as device:
            device.answer_arp_for = set()
            device.wait_for(r"csi: frame_rate", times=6)
        return device.console[: device.console.index("I (30")], device.frames[:10]

    assert run("a") == run("b")


def test_configurations_of_the_matrix_are_accepted(flash, boot):
    nvs = build_nvs(ssid="net", node_id=255, target_port=65535, subk_count=32, vital_win=256, tdm_slot=0, tdm_nodes=255)
    with boot(flash(nvs), number=4) as device:
        device.wait_for(r"node_id=255 .* tdm_slot=0 tdm_nodes=255 edge_tier=2")
        device.wait_for("boot_time")
    assert "out of range" not in device.console
