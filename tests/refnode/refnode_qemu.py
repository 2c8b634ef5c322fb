"""The shipped ELFs on a real emulator: one guest, its console and its network port in the hands of the test."""

import contextlib
import re
import select
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from refnode_virtual import AGGREGATOR_MAC, Udp, build_nvs, flash_image, ip_of, mac_of, parse_udp

from swarmrig.nodes.qemu.firmware import firmware_path

FREE_RUNNING = ("-icount", "shift=4,sleep=off")
"""16 ns an instruction, and idle time passes at once."""
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Board:
    """How an emulator is told to be one of the machines."""

    emulator: str
    image: str
    flash_bytes: int
    flash_sector: int
    flash_base: int
    options: tuple[str, ...]
    nic: tuple[str, ...]


BOARDS = {
    "refnode-rv32": Board(
        "qemu-system-riscv32", "-bios", 32 << 20, 256 << 10, 0x22000000,
        ("-M", "virt", "-m", "16M", "-global", "virtio-mmio.force-legacy=false",
         "-drive", "if=pflash,unit=1,format=raw,file={flash}"),
        ("-device", "virtio-net-device,netdev=n0,mac={mac}"),
    ),
    "refnode-arm": Board(
        "qemu-system-arm", "-kernel", 16 << 20, 4 << 10, 0x21000000,
        ("-M", "mps2-an385,memory-backend=flash",
         "-object", "memory-backend-file,id=flash,size=16M,share=on,mem-path={flash}"),
        ("-net", "nic,netdev=n0,model=lan9118,macaddr={mac}"),
    ),
}  # fmt: skip
MACHINES = tuple(BOARDS)


class Guest:
    """A running emulator. Everything that arrives is kept; waiting is always for something, with a deadline."""

    def __init__(self, process: subprocess.Popen[bytes], console: socket.socket, port: socket.socket, mac: bytes):
        self.process, self.mac = process, mac
        self.console = ""
        self.frames: list[bytes] = []
        self.answer_arp_for: set[bytes] = {bytes([10, 0, 0, 1])}
        self.reads_console = True
        self._console, self._port = console, port

    def type(self, text: str) -> None:
        self._console.sendall(text.encode() + b"\n")

    def send(self, frame: bytes) -> None:
        self._port.send(frame)

    def wait_for(self, pattern: str, *, times: int = 1, patience_s: float = PATIENCE_S) -> re.Match[str]:
        """The console text that matches, for the `times`th time since boot."""

        def found() -> re.Match[str] | None:
            matches = list(re.finditer(pattern, self.console))
            return matches[times - 1] if len(matches) >= times else None

        return self._until(found, f"console text {pattern!r}", patience_s)

    def wait_for_frames(self, wanted, count: int = 1, patience_s: float = PATIENCE_S) -> list[bytes]:
        def found() -> list[bytes] | None:
            matches = [frame for frame in self.frames if wanted(frame)]
            return matches if len(matches) >= count else None

        return self._until(found, f"{count} frames", patience_s)

    def wait_for_udp(self, magic: int, count: int = 1, patience_s: float = PATIENCE_S) -> list[Udp]:
        self.wait_for_frames(lambda frame: _is_udp(frame, magic), count, patience_s)
        return self.udp(magic)

    def udp(self, magic: int) -> list[Udp]:
        return [parse_udp(0, "guest", frame) for frame in self.frames if _is_udp(frame, magic)]

    def pump(self, seconds: float) -> bool:
        """Take what arrives within that time, at least once; False when the emulator is gone."""
        ends = [self._console, self._port] if self.reads_console else [self._port]
        readable, _, _ = select.select(ends, [], [], seconds)
        for end in readable:
            data = end.recv(65536)
            if not data:
                return False
            if end is self._console:
                self.console += data.decode(errors="replace")
            else:
                self._take(data)
        return True

    def _take(self, frame: bytes) -> None:
        self.frames.append(frame)
        if frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\1" and frame[38:42] in self.answer_arp_for:
            self.send(
                frame[6:12] + AGGREGATOR_MAC + frame[12:20] + b"\0\2" + AGGREGATOR_MAC + frame[38:42] + frame[22:32]
            )

    def _until(self, found, what: str, patience_s: float):
        end = time.monotonic() + patience_s
        while (result := found()) is None:
            alive = self.pump(0.05)
            if (not alive or time.monotonic() > end) and found() is None:
                raise AssertionError(f"no {what} within {patience_s} s; console:\n{self.console[-3000:]}")
        return result


def _is_udp(frame: bytes, magic: int) -> bool:
    udp = parse_udp(0, "", frame)
    return udp is not None and udp.magic == magic


def flash_file(path: Path, nvs: bytes, machine: str = "refnode-rv32") -> Path:
    path.write_bytes(flash_image(nvs))
    with path.open("r+b") as file:
        file.truncate(BOARDS[machine].flash_bytes)
    return path


def node_nvs(number: int, **values: object) -> bytes:
    return build_nvs(**{"node_id": number, "ip": ip_of(number), "prefix": 16, "agg_ip": "10.0.0.1",
                        "target_ip": "10.0.0.1", **values})  # fmt: skip


@contextlib.contextmanager
def guest(flash: Path, *options: str, number: int = 1, variant: str | None = None, image: Path | None = None,
          pass_fds: tuple[int, ...] = (), machine: str = "refnode-rv32") -> Iterator[Guest]:  # fmt: skip
    """Boot an ELF; the emulator is killed at the end, whatever happened."""
    console, console_far = socket.socketpair()
    port, port_far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    mac = mac_of(number)
    board = BOARDS[machine]
    command = [
        board.emulator, "-accel", "tcg,tb-size=8", *(word.format(flash=flash) for word in board.options),
        board.image, str(image or firmware_path(machine, variant)),
        "-nodefaults", "-no-user-config", "-display", "none", "-monitor", "none",
        "-chardev", f"socket,id=c0,fd={console_far.fileno()}", "-serial", "chardev:c0",
        "-netdev", f"dgram,id=n0,local.type=fd,local.str={port_far.fileno()}",
        *(word.format(mac=mac.hex(":")) for word in board.nic), *options,
    ]  # fmt: skip
    with console, port:
        with console_far, port_far:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, pass_fds=(console_far.fileno(), port_far.fileno(), *pass_fds)
            )
        try:
            yield Guest(process, console, port, mac)
        finally:
            process.kill()
            process.wait()


def symbols(machine: str) -> dict[str, int]:
    """The addresses in the plain image's symbol table."""
    image = str(firmware_path(machine))
    listing = subprocess.run(["riscv64-unknown-elf-nm", image], capture_output=True, text=True, check=True).stdout
    return {line.split()[2]: int(line.split()[0], 16) for line in listing.splitlines() if len(line.split()) == 3}


def csi_numbers(datagrams: list[Udp]) -> list[int]:
    return [struct.unpack_from("<I", udp.data, 12)[0] for udp in datagrams]
