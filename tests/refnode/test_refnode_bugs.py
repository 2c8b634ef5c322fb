"""Each shipped variant does exactly what its planted bug says, and the rest of it stays healthy."""

import re
import struct

import pytest
from refnode_frames import arp_request, udp_frame
from refnode_qemu import FREE_RUNNING, csi_numbers, node_nvs
from refnode_virtual import DATA_PORT, ip_of, mac_of

from swarmrig.nodes.qemu.firmware import VARIANTS

CSI, VITALS, BEACON = 0xC5110001, 0xC5110002, 0xC5110010
CRASHES = ("Guru Meditation", "Rebooting", "rst:0xc")
HEAP_ERRORS = ("HEAP_ERROR", "CORRUPT HEAP")


@pytest.fixture
def start(flash, boot):
    """A guest on virtual time that runs as fast as it can."""

    def start(variant: str | None, number: int = 1, **nvs: object):
        return boot(flash(node_nvs(number, **nvs)), *FREE_RUNNING, number=number, variant=variant)

    return start


def boot_ms(console: str) -> int:
    return int(re.search(r"I \((\d+)\) main_task", console)[1])


def is_whole(data: bytes) -> bool:
    return len(data) == 20 + 2 * data[5] * struct.unpack_from("<H", data, 6)[0]


@pytest.mark.parametrize("variant", [None, *VARIANTS])
def test_every_other_sign_is_healthy(start, variant):
    with start(variant, scenario=1, tdm_nodes=3, tdm_slot=1) as device:
        device.wait_for(r"csi: frame_rate=\d+\.\d frames=\d+\r", times=2)
        if variant != "mute":  # time that nothing holds leaps at times on a busy machine: any ten seconds will do
            device.wait_for(r"csi: frame_rate=20\.0 frames=\d+\r")
        device.wait_for_udp(VITALS, 2)
        frames = device.udp(CSI)
    console = device.console
    if variant != "panic-at-10s":
        assert not any(sign in console for sign in CRASHES)
    if variant != "leak-until-oom":
        assert not any(sign in console for sign in HEAP_ERRORS)
    if variant != "slow-boot":
        assert boot_ms(console) < 1000
    if variant != "mute":
        assert csi_numbers(frames) == list(range(len(frames)))
        assert len(frames) >= 20
    if variant != "corrupt-frame":
        assert all(is_whole(udp.data) for udp in frames)
    assert "TDM slot=1 of 3" in console


def test_mute_sends_vitals_but_no_csi(start):
    with start("mute", scenario=1) as device:
        device.wait_for(r"csi: frame_rate=0\.0 frames=0", times=3)
    assert device.udp(CSI) == []
    assert len(device.udp(VITALS)) >= 10


@pytest.mark.parametrize(("variant", "slot"), [(None, 1), ("wrong-slot", 2)])
def test_wrong_slot_sends_in_the_next_one(start, variant, slot):
    with start(variant, tdm_nodes=3, tdm_slot=1) as device:
        vitals = device.wait_for_udp(VITALS, 10)
    assert "tdm_slot=1 tdm_nodes=3" in device.console
    assert "TDM slot=1 of 3" in device.console
    phases = {struct.unpack_from("<I", udp.data, 24)[0] % 50 for udp in vitals}
    assert phases == {(slot * 50000 // 3 + 50000 // 3 // 4) // 1000}


def test_wrong_slot_wraps_around(start):
    with start("wrong-slot", tdm_nodes=3, tdm_slot=2) as device:
        vitals = device.wait_for_udp(VITALS, 3)
    assert {struct.unpack_from("<I", udp.data, 24)[0] % 50 for udp in vitals} == {4}


def test_panic_at_10s_and_again_after_the_reset(start):
    with start("panic-at-10s") as device:
        device.wait_for(r"Guru Meditation Error: Core  0 panic'ed \(LoadProhibited\)", times=2)
    before, rest = device.console.split("Guru Meditation", 1)
    assert "frame_rate" in before
    last = re.findall(r"^[IW] \((\d+)\)", before, re.MULTILINE)[-1]
    assert 10_000 <= int(last) <= 10_100
    assert "rst:0xc (SW_CPU_RESET)" in rest


def test_leak_until_oom_within_seconds(start):
    with start("leak-until-oom") as device:
        match = device.wait_for(r"E \((\d+)\) heap: HEAP_ERROR: out of memory, malloc\(1024\) failed")
        device.wait_for(r"csi: frame_rate=20\.0", times=4)
    assert int(match[1]) < 12_000
    errors = [line for line in device.console.split("\r\n") if "HEAP_ERROR" in line]
    assert errors[1:]  # vitals need memory too, once a second
    assert all("malloc(32)" in line for line in errors[1:])


def test_corrupt_frame_contradicts_itself_every_second_time(start):
    with start("corrupt-frame", scenario=1) as device:
        frames = device.wait_for_udp(CSI, 60)
    assert [is_whole(udp.data) for udp in frames[:60]] == [True, False] * 30
    assert {len(udp.data) for udp in frames} == {124}


def test_slow_boot_says_nothing_for_twelve_seconds(start):
    with start("slow-boot") as device:
        device.wait_for("boot_time")
    assert 12_000 <= boot_ms(device.console) <= 12_100
    assert device.console.split("\r\n")[0].startswith("rst:0x1")
    assert "main_task" in device.console.split("\r\n")[1]


@pytest.mark.parametrize("variant", [None, "deaf-coordinator"])
def test_deaf_coordinator_ignores_what_it_gets(flash, boot, variant):
    nvs = node_nvs(0, role=1, hub=1, tdm_nodes=2, tdm_slot=0)
    data = struct.pack("<IBBHIIbbH", CSI, 1, 1, 2, 2437, 0, -40, -90, 0) + b"\1\2\3\4"
    with boot(flash(nvs), number=0, variant=variant) as device:
        device.wait_for_udp(CSI, 1)  # the aggregator's address is known
        device.send(arp_request(ip_of(1), ip_of(0), sender_mac=mac_of(1)))
        device.send(udp_frame(device.mac, ip_of(1), ip_of(0), DATA_PORT, data))
        request = struct.pack("<IB3sQ", 0xC5110011, 1, b"\0" * 3, 1)
        device.send(udp_frame(device.mac, ip_of(1), ip_of(0), DATA_PORT + 1, request))
        device.wait_for_udp(0xC5110012, 1)  # it heard the frame behind that one
        device.wait_for(r"csi: frame_rate")
    heard = variant is None
    assert ("node_id=1" in device.console.split("frame_rate")[0]) == heard
    assert any(udp.data == data for udp in device.udp(CSI)) == heard
    assert len(device.udp(BEACON)) > 50
