"""The firmware on a clock of the test's own: devices are loaded copies of a host library, wires are a heap of events.

Time is exact to the microsecond and runs as fast as the machine can. What only real hardware (an emulator) can show
is tested in the modules that use `refnode_qemu`.
"""

import ctypes
import heapq
import importlib.util
import io
import itertools
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from esp_idf_nvs_partition_gen import nvs_partition_gen

REFNODE = Path(__file__).resolve().parents[2] / "refnode"
HOST = Path(__file__).resolve().parent / "host"
NEVER = 2**64 - 1
RESET = 1
NVS_OFFSET, NVS_SIZE = 0x9000, 0x6000
FLASH_BYTES = 0x10000
AGGREGATOR_IP, AGGREGATOR_MAC = bytes([10, 0, 0, 1]), bytes.fromhex("525400ff0001")
DATA_PORT, CONTROL_PORT = 5005, 5006
TYPES = {"node_id": "u8", "tdm_slot": "u8", "tdm_nodes": "u8", "edge_tier": "u8", "csi_channel": "u8",
         "target_ip": "string", "target_port": "u16", "fall_thresh": "u16", "pres_thresh": "u16", "vital_win": "u16",
         "vital_int": "u16", "subk_count": "u8", "filter_mac": "hex2bin", "hop_count": "u8", "chan_list": "hex2bin",
         "dwell_ms": "u32", "ssid": "string",
         "role": "u8", "hub": "u8", "scenario": "u8", "ip": "string", "prefix": "u8", "gw": "string",
         "agg_ip": "string", "seed": "u32"}  # fmt: skip
OWN_KEYS = {"role", "hub", "scenario", "ip", "prefix", "gw", "agg_ip", "seed"}


def load_build():
    """refnode/build.py as a module."""
    spec = importlib.util.spec_from_file_location("refnode_build", REFNODE / "build.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def compile_host_library(directory: Path, *flags: str, name: str = "refnode.so") -> Path:
    """The portable sources and the host's HAL as a shared library, with the firmware's own compiler flags."""
    target = directory / name
    left_out = {"base", "main", "crash"}
    sources = [path for path in sorted((REFNODE / "src").glob("*.c")) if path.stem not in left_out]
    command = ["gcc", *load_build().PORTABLE_FLAGS, "-shared", "-fPIC", *flags, f"-I{REFNODE}/src", f"-I{REFNODE}/hal",
               *map(str, [*sources, HOST / "hal_host.c"]), "-o", str(target)]  # fmt: skip
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return target


def build_nvs(**values: object) -> bytes:
    """An NVS partition made by ESP-IDF's own generator: keys go to the namespace they belong to."""
    buffer = io.BytesIO()
    nvs = nvs_partition_gen.nvs_open(buffer, NVS_SIZE - 0x1000, nvs_partition_gen.Page.VERSION2)
    for space, keys in (("csi_cfg", [k for k in values if k not in OWN_KEYS]), ("swarmrig", OWN_KEYS & values.keys())):
        if keys:
            nvs_partition_gen.write_entry(nvs, space, "namespace", "", "")
        for key in sorted(keys):
            nvs_partition_gen.write_entry(nvs, key, "data", TYPES[key], str(values[key]))
    nvs_partition_gen.nvs_close(nvs)
    return buffer.getvalue()


def flash_image(nvs: bytes = b"", size: int = FLASH_BYTES) -> bytes:
    image = bytearray(b"\xff" * size)
    image[NVS_OFFSET : NVS_OFFSET + len(nvs)] = nvs
    return bytes(image)


def mac_of(number: int) -> bytes:
    return bytes([0x52, 0x54, 0, 0, 0, number])


def ip_of(number: int) -> str:
    """The address that the flat plan gives node `number`."""
    return f"10.0.{1 + number // 200}.{10 + number % 200}"


@dataclass
class Udp:
    t_us: int
    source: str
    source_ip: bytes
    target_ip: bytes
    port: int
    data: bytes
    ttl: int

    @property
    def magic(self) -> int:
        return struct.unpack_from("<I", self.data)[0] if len(self.data) >= 4 else 0


def parse_udp(t_us: int, source: str, frame: bytes) -> Udp | None:
    """The UDP datagram of an Ethernet frame; None for anything else."""
    if frame[12:14] != b"\x08\x00" or frame[23] != 17:
        return None
    length = struct.unpack_from(">H", frame, 38)[0]
    port = struct.unpack_from(">H", frame, 36)[0]
    return Udp(t_us, source, frame[26:30], frame[30:34], port, frame[42 : 34 + length], frame[22])


class Device:
    """One firmware instance. Its clock starts at zero when it boots."""

    def __init__(self, library: Path, name: str, mac: bytes, flash: bytes, boot_us: int = 0):
        self.name, self.mac, self.boot_us = name, mac, boot_us
        self.lib = ctypes.CDLL(str(library))
        for function in ("host_boot", "host_step", "host_take_frame", "host_take_console"):
            getattr(self.lib, function).restype = ctypes.c_size_t
        self.lib.host_set_mac(mac)
        self.lib.host_set_flash(flash, ctypes.c_size_t(len(flash)))
        self.next_us, self.booted, self.resets = boot_us, False, 0
        self.asleep_until_us = 0  # the host does not let it run before then, whatever is due or arrives
        self.console = ""
        self._frame, self._text = ctypes.create_string_buffer(1600), ctypes.create_string_buffer(1 << 20)

    @property
    def due_us(self) -> int:
        return max(self.next_us, self.asleep_until_us)

    def step(self, t_us: int) -> list[bytes]:
        """Let it work at that time; the frames it sent, in order."""
        self.lib.host_set_time(ctypes.c_uint64(t_us - self.boot_us))
        result = self.lib.host_step() if self.booted else self.lib.host_boot()
        self.booted = True
        self.resets += result == RESET
        self.next_us = NEVER if result in (RESET, NEVER) else max(t_us, self.boot_us + result)
        frames = []
        while length := self.lib.host_take_frame(self._frame):
            frames.append(self._frame.raw[:length])
        length = self.lib.host_take_console(self._text, ctypes.c_size_t(1 << 20))
        self.console += self._text.raw[:length].decode()
        return frames

    def receive(self, frame: bytes) -> None:
        assert self.lib.host_receive(frame, ctypes.c_size_t(len(frame)))

    def type(self, text: str) -> None:
        self.lib.host_type(text.encode(), ctypes.c_size_t(len(text.encode())))

    def lines(self, part: str) -> list[str]:
        return [line for line in self.console.split("\r\n") if part in line]


@dataclass
class Swarm:
    """Devices on one segment. `wire(t_us, sender, receiver, frame)` says after how many µs a frame arrives, None
    for never; the default is 5 ms for everybody. A Python aggregator answers ARP for 10.0.0.1."""

    library: Path
    directory: Path
    wire: Callable[[int, str, str, bytes], int | None] = lambda *_: 5000
    devices: dict[str, Device] = field(default_factory=dict)
    sent: list[tuple[int, str, bytes]] = field(default_factory=list)
    """Every frame: time, sender, bytes."""
    now_us: int = 0

    def __post_init__(self) -> None:
        self._queue: list[tuple[int, int, str, bytes]] = []
        self._order = itertools.count()

    def add(self, name: str, number: int, *, boot_us: int = 0, flash: bytes | None = None, **nvs: object) -> Device:
        """A device with its number's MAC and address; further values go to its NVS."""
        if flash is None:
            values = {"node_id": number, "ip": ip_of(number), "prefix": 16, "agg_ip": "10.0.0.1", **nvs}
            flash = flash_image(build_nvs(**values))
        copy = self.directory / f"{next(self._order)}.so"  # the loader shares what it has under a name
        shutil.copy(self.library, copy)
        device = Device(copy, name, mac_of(number), flash, boot_us)
        self.devices[name] = device
        return device

    def add_star(self, sensors: int, *, scenarios: Iterable[int] = (1, 2, 3, 4), **nvs: object) -> None:
        """A hub `hub` (number 0, slot 0) and sensors `s1`, `s2`, …"""
        nodes = sensors + 1
        self.add("hub", 0, role=1, hub=1, tdm_nodes=nodes, tdm_slot=0, target_ip="10.0.0.1", scenario=0, **nvs)
        for number, scenario in zip(range(1, nodes), itertools.cycle(scenarios), strict=False):
            self.add(f"s{number}", number, boot_us=3000 * number, tdm_nodes=nodes, tdm_slot=number,
                     target_ip=ip_of(0), scenario=scenario, **nvs)  # fmt: skip

    def run(self, until_us: int) -> None:
        """Advance to that time: everything that happens before it has happened, nothing after."""
        while True:
            device = min(self.devices.values(), key=lambda d: d.due_us)
            due = min(device.due_us, self._queue[0][0] if self._queue else NEVER)
            if due >= until_us:
                break
            self.now_us = due
            if self._queue and self._queue[0][0] == due:
                self._deliver()
            else:
                self._step(device)
        self.now_us = until_us

    def run_for(self, seconds: float) -> None:
        self.run(self.now_us + round(seconds * 1e6))

    def type(self, name: str, text: str) -> str:
        """Type a command and let the device answer; what it printed."""
        device = self.devices[name]
        before = len(device.console)
        device.type(text + "\n")
        self._step(device)
        return device.console[before:]

    def inject(self, name: str, frame: bytes) -> None:
        """Give a frame to one device, now."""
        self.devices[name].receive(frame)
        self._step(self.devices[name])

    def udp(self, magic: int | None = None, source: str | None = None) -> list[Udp]:
        """What was sent, by first four bytes and sender."""
        found = (parse_udp(*entry) for entry in self.sent if source in (None, entry[1]))
        return [udp for udp in found if udp and magic in (None, udp.magic)]

    def _step(self, device: Device) -> None:
        for frame in device.step(self.now_us):
            self._send(device.name, frame)

    def _send(self, sender: str, frame: bytes) -> None:
        self.sent.append((self.now_us, sender, frame))
        self._answer_arp(sender, frame)
        for name, device in self.devices.items():
            if name != sender and (frame[0] & 1 or frame[:6] == device.mac):
                self._schedule(sender, name, frame)

    def _schedule(self, sender: str, receiver: str, frame: bytes) -> None:
        delay = self.wire(self.now_us, sender, receiver, frame)
        if delay is not None:
            heapq.heappush(self._queue, (self.now_us + delay, next(self._order), receiver, frame))

    def _deliver(self) -> None:
        _, _, name, frame = heapq.heappop(self._queue)
        device = self.devices[name]
        if device.booted:
            device.receive(frame)
            device.next_us = self.now_us  # an interrupt

    def _answer_arp(self, sender: str, frame: bytes) -> None:
        if frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\1" and frame[38:42] == AGGREGATOR_IP:
            reply = (
                frame[6:12] + AGGREGATOR_MAC + frame[12:20] + b"\0\2" + AGGREGATOR_MAC + AGGREGATOR_IP + frame[22:32]
            )
            self._schedule("aggregator", sender, reply)
