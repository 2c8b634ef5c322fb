"""Hostile input under the address and undefined-behaviour sanitizers: frames, datagrams, configurations, commands."""

import random
import struct
import subprocess

import pytest
from refnode_frames import arp_request, echo_frame, ethernet, ipv4, udp_frame
from refnode_virtual import (
    CONTROL_PORT,
    DATA_PORT,
    HOST,
    NVS_OFFSET,
    REFNODE,
    build_nvs,
    flash_image,
    load_build,
    mac_of,
)

OWN, PEER, MAC = "10.0.1.11", "10.0.9.9", mac_of(1)


@pytest.fixture(scope="module")
def replay(tmp_path_factory):
    """Run records through a device; it must survive them without a sanitizer's complaint."""
    program = tmp_path_factory.mktemp("sanitized") / "replay"
    left_out = {"base", "main", "crash"}
    sources = [path for path in sorted((REFNODE / "src").glob("*.c")) if path.stem not in left_out]
    subprocess.run(
        ["gcc", *load_build().PORTABLE_FLAGS, "-g", "-O1", "-fsanitize=address,undefined",
         "-fno-sanitize-recover=all", f"-I{REFNODE}/src", f"-I{REFNODE}/hal",
         *map(str, [*sources, HOST / "hal_host.c", HOST / "replay_main.c"]), "-o", str(program)],
        check=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip

    def run(records: list[tuple[bytes, bytes]]) -> str:
        data = b"".join(kind + struct.pack("<H", len(payload)) + payload for kind, payload in records)
        done = subprocess.run([str(program)], input=data, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode(errors="replace")[-3000:]
        output = done.stdout.decode(errors="replace")
        assert output.endswith("done\n")
        return output

    return run


def booted(**nvs: object) -> list[tuple[bytes, bytes]]:
    values = {"node_id": 1, "ip": OWN, "prefix": 16, "target_ip": "10.0.0.1", **nvs}
    image = flash_image(build_nvs(**values), 0xFFFF)
    return [(b"F", image), (b"B", b""), (b"R", arp_request(PEER, OWN)), advance(10_000)]


def advance(us: int) -> tuple[bytes, bytes]:
    return b"A", struct.pack("<I", us)


def mutated(draw: random.Random, frame: bytes) -> bytes:
    data = bytearray(frame)
    for _ in range(draw.randint(0, 6)):
        data[draw.randrange(len(data))] = draw.choice([0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256)])
    return bytes(data[: draw.randint(0, len(data))] if draw.random() < 0.3 else data)


@pytest.mark.parametrize("hub", [0, 1])
def test_mutated_frames(replay, hub):
    draw = random.Random(20 + hub)
    good = [arp_request(PEER, OWN), echo_frame(MAC, PEER, OWN, b"x" * 64), ethernet(MAC, ipv4(PEER, OWN, 17, b""))]
    records = booted(hub=hub, role=hub, tdm_nodes=2, tdm_slot=1)
    for _ in range(6000):
        records.append((b"R", mutated(draw, draw.choice(good))))
        if draw.random() < 0.02:
            records.append(advance(draw.choice([1000, 60_000, 3_000_000])))
    replay(records)


@pytest.mark.parametrize("hub", [0, 1])
def test_datagrams_with_valid_checksums_and_odd_contents(replay, hub):
    draw = random.Random(30 + hub)
    magics = [0xC5110001, 0xC5110002, 0xC5110010, 0xC5110011, 0xC5110012, 0]
    records = booted(hub=hub, role=hub, tdm_nodes=2, tdm_slot=1)
    for _ in range(6000):
        length = draw.choice([0, 3, 15, 16, 19, 20, 24, 31, 32, 33, 124, 1472])
        odd = bytes(draw.choice([0, 1, 255, draw.randrange(256)]) for _ in range(length))
        data = struct.pack("<I", draw.choice(magics)) + odd
        port = draw.choice([DATA_PORT, CONTROL_PORT])
        target = draw.choice([OWN, "239.83.87.1", "10.0.255.255"])
        records.append((b"R", udp_frame(MAC, draw.choice([PEER, "10.0.9.8"]), target, port, data[:length])))
        if draw.random() < 0.02:
            records.append(advance(draw.choice([1000, 60_000, 3_000_000])))
    replay(records)


def test_valid_beacons_with_any_numbers(replay):
    draw = random.Random(40)
    records = booted(tdm_nodes=2, tdm_slot=1)
    for _ in range(3000):
        epoch = draw.choice([0, 50_000, 2**63, 2**64 - 1, draw.randrange(10**9)])
        data = struct.pack("<IBBBBIIQ", 0xC5110010, 1, draw.randrange(2), draw.randrange(256), 0,
                           draw.randrange(2**32), 50_000, epoch)  # fmt: skip
        times = [draw.choice([0, 1, 2**64 - 1, draw.randrange(10**9)]) for _ in range(3)]
        response = struct.pack("<IBBHQQQ", 0xC5110012, 0, 1, 0, *times)
        for payload in (data, response):
            records.append((b"R", udp_frame(MAC, PEER, OWN, CONTROL_PORT, payload)))
        records.append(advance(draw.choice([1, 1000, 50_000, 700_000])))
    replay(records)


def test_damaged_configurations(replay):
    draw = random.Random(50)
    good = build_nvs(
        node_id=3, target_ip="10.0.0.1", filter_mac="aabbccddeeff", ssid="x" * 32, chan_list="01060b", hop_count=3
    )
    for _ in range(40):
        nvs = bytearray(good)
        for _ in range(draw.randint(1, 8)):
            nvs[draw.randrange(640)] ^= 1 << draw.randrange(8)
        image = bytearray(flash_image(bytes(nvs), 0xFFFF))
        if draw.random() < 0.5:
            offset, size = draw.randrange(2**32), draw.randrange(2**32)
            image[0x8000:0x8020] = struct.pack("<HBBII20x", 0x50AA, 1, 2, offset, size)
        replay([(b"F", bytes(image)), (b"B", b""), advance(2_500_000)])
    assert NVS_OFFSET == 0x9000


def test_every_scenario_and_many_settings(replay):
    for scenario in (*range(10), 255):
        records = booted(scenario=scenario, vital_win=32 + scenario * 4 % 225, subk_count=1 + scenario * 3 % 32)
        replay([*records, *[advance(50_000)] * 700])


def test_any_commands(replay):
    draw = random.Random(60)
    words = ["help", "stats", "leak", "hang", "starve", "flood", "stop", "start", "flash-write", "send", "set"]
    words += ["scenario", "10.0.0.1"]
    words += ["99999999999", "0x", "0xffffffff", "-1", "ff" * 300, "channel", "edge_tier", "1", "9", "\t", "%s%n", "\b"]
    records = booted()
    for _ in range(2000):
        line = " ".join(draw.choice(words) for _ in range(draw.randint(0, 7)))
        records += [(b"T", (line + draw.choice(["\n", "\r\n", "\r"])).encode()), advance(100)]
    replay(records)
