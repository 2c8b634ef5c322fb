"""Real guests under the plugin, and the smallest coordinator that can drive them: one quantum for all, one switch.

It is slow and simple on purpose, the yardstick for what the plugin promises: results must not depend on the quantum.
"""

import hashlib
import heapq
import importlib.util
import itertools
import os
import select
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from swarmrig.flash.image import assemble_pflash
from swarmrig.flash.nvs import build_nvs, entries_from_values
from swarmrig.nodes.qemu.firmware import firmware_path
from swarmrig.timebase import protocol
from swarmrig.timebase.protocol import Decoder, Flag, Gone, Hello, Report, Stopped

# Other sources of the plugin; or another QEMU: the directory of its binaries, and the version of its plugin API.
LOCKSTEP = Path(os.environ.get("LOCKSTEP_SOURCES") or Path(__file__).resolve().parents[2] / "lockstep")
QEMU_DIRECTORY = os.environ.get("LOCKSTEP_QEMU_DIRECTORY") or "/usr/bin"
API = int(os.environ.get("LOCKSTEP_API") or 1)
MS, S = 1_000_000, 1_000_000_000
PATIENCE_S = 15
CHANNEL_FD, MONITOR_FD = 9, 10
AGGREGATOR_MAC = bytes.fromhex("525400ff0001")


def load_build():
    """lockstep/build.py as a module."""
    spec = importlib.util.spec_from_file_location("lockstep_build", LOCKSTEP / "build.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def mac_of(number):
    return bytes([0x52, 0x54, 0, 0, 0, number])


def text_of(mac):
    return ":".join(f"{byte:02x}" for byte in mac)


@dataclass(frozen=True)
class Board:
    """What differs between the machines that run the reference firmware: arguments of QEMU, and where things are."""

    emulator: str
    image: str
    flash_bytes: int
    arguments: tuple
    network: tuple
    code: int
    free_memory: int
    flash: int
    uart: int
    nowhere: int
    has_nmi: bool


BOARDS = {
    "refnode-rv32": Board(
        emulator="qemu-system-riscv32", image="-bios", flash_bytes=32 << 20,
        arguments=("-machine", "virt", "-m", "16M", "-global", "virtio-mmio.force-legacy=off",
                   "-global", "virtio-mmio.ioeventfd=off", "-drive", "if=pflash,unit=1,format=raw,file={flash}"),
        network=("-device", "virtio-net-device,netdev=net,mac={mac},tx=timer,x-txtimer=1000"),
        code=0x80000000, free_memory=0x80F00000, flash=0x22000000, uart=0x10000000, nowhere=0x60000000, has_nmi=False,
    ),
    "refnode-arm": Board(
        emulator="qemu-system-arm", image="-kernel", flash_bytes=16 << 20,
        arguments=("-machine", "mps2-an385,memory-backend=flash", "-m", "16M",
                   "-object", "memory-backend-file,id=flash,size=16M,share=on,mem-path={flash}"),
        network=("-net", "nic,netdev=net,model=lan9118,macaddr={mac}"),
        code=0x00000000, free_memory=0x20300000, flash=0x21000000, uart=0x40004000, nowhere=0x60000000, has_nmi=True,
    ),
}  # fmt: skip
RISCV, ARM = BOARDS


def refnode_flash(path, number, role="sensor", slots=3, machine=RISCV):
    """A flash image for node `number`; node 1 is the hub."""
    target = "10.0.1.11" if number != 1 else "10.0.0.1"
    values = {
        "csi_cfg": {
            "node_id": number, "tdm_slot": number - 1, "tdm_nodes": slots, "edge_tier": 1, "csi_channel": 6,
            "target_ip": target, "target_port": 5005,
        },
        "swarmrig": {
            "role": 1 if role == "hub" else 0, "hub": int(role == "hub"), "scenario": 2, "ip": f"10.0.1.{10 + number}",
            "prefix": 16, "agg_ip": "10.0.0.1", "seed": 7,
        },
    }  # fmt: skip
    assemble_pflash(path, nvs=build_nvs(entries_from_values(values)), total=BOARDS[machine].flash_bytes)
    return path


def refnode_command(
    firmware, flash, mac, plugin, *, seed=1, options="", icount="shift=4,sleep=off", machine=RISCV
):  # fmt: skip
    """The exact arguments that virtual time needs."""
    board = BOARDS[machine]
    return [
        board.emulator, "-nodefaults", "-no-user-config", "-display", "none", "-accel", "tcg,tb-size=8",
        *(word.format(flash=flash) for word in board.arguments), board.image, str(firmware),
        "-chardev", "null,id=console", "-serial", "chardev:console",
        "-chardev", f"socket,id=monitor,fd={MONITOR_FD}", "-mon", "chardev=monitor,mode=control",
        "-netdev", "hubport,id=net,hubid=0",
        *(word.format(mac=text_of(mac)) for word in board.network),
        "-icount", icount, "-rtc", "base=2020-01-01T00:00:00,clock=vm", "-seed", str(seed),
        "-plugin", f"file={plugin},fd={CHANNEL_FD},netdev=net,console=console{options}",
    ]  # fmt: skip


class Guest:
    """One QEMU process and its two sockets. `with` ends it."""

    def __init__(self, command, directory, name="guest"):
        self.name = name
        self.mac = None
        self.decoder = Decoder()
        self.arrived = []
        self.now = 0
        self.console = []  # (t, line)
        self.part = b""
        self.sent = []  # (t, frame)
        self.replies = []
        self.overshoot = 0
        self.violated = False
        self.inbox = []  # heap of (t, source, sequence, command)
        self.errors = directory / f"{name}.stderr"
        self.channel, theirs = socket.socketpair()
        self.monitor, monitor = socket.socketpair()
        with theirs, monitor, self.errors.open("wb") as errors:
            shell = f'exec "$@" {CHANNEL_FD}<&{theirs.fileno()} {MONITOR_FD}<&{monitor.fileno()}'
            environment = {"TZ": "UTC", "PATH": f"{QEMU_DIRECTORY}:/usr/bin:/bin"}
            self.process = subprocess.Popen(
                ["bash", "-c", shell, "bash", *command], env=environment, stderr=errors,
                stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno(), monitor.fileno()],
            )  # fmt: skip

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()
        self.monitor.close()
        if self.process.poll() is None:
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    @property
    def last_words(self):
        return self.errors.read_text()

    def send(self, data):
        self.channel.sendall(data)

    def next_message(self):
        while not self.arrived:
            if not select.select([self.channel], [], [], PATIENCE_S)[0]:
                raise TimeoutError(f"{self.name} does not answer: {self.last_words}")
            data = self.channel.recv(16384)
            if not data:
                raise ConnectionError(f"{self.name} is gone: {self.last_words}")
            self.arrived += self.decoder.feed(data)
        return self.arrived.pop(0)

    def greet(self):
        hello = self.next_message()
        assert isinstance(hello, Hello)
        self.now = hello.now
        self.send(protocol.WELCOME)
        return hello

    def grant(self, horizon, commands=()):
        self.send(protocol.grant(horizon, commands))

    def report(self):
        """The answer to a grant; output is collected, floods included."""
        while True:
            report = self.next_message()
            if isinstance(report, Gone):
                self.collect(report.last)
                raise ConnectionError(f"{self.name} is gone by itself")
            assert isinstance(report, Report), report
            self.collect(report)
            if report.expects_answer:
                self.now = report.now
                return report

    def collect(self, report):
        self.sent += report.frames
        self.replies += report.replies
        self.overshoot = max(self.overshoot, report.overshoot)
        self.violated |= bool(report.flags & Flag.VIOLATED)
        for line in report.console:
            self.part += line.data
            if line.complete:
                self.console.append((line.t, self.part))
                self.part = b""

    def due(self, t):
        """The commands of the inbox that belong into a grant up to `t`."""
        commands = []
        while self.inbox and self.inbox[0][0] <= t:
            commands.append(heapq.heappop(self.inbox)[3])
        return commands

    def live(self, until, commands=()):
        """Alone, to a horizon."""
        self.grant(until, commands)
        return self.report()

    def hold(self):
        self.send(protocol.HOLD)
        stopped = self.next_message()
        assert isinstance(stopped, Stopped)
        return stopped

    def release(self):
        self.send(protocol.RELEASE)
        return self.report()

    def digest(self):
        return digest_of([self])

    def text(self):
        return b"".join(line for _, line in self.console).decode()


class Swarm:
    """Guests on one switch with one latency, stepped by a fixed quantum that is at most the latency."""

    def __init__(self, guests, latency=5 * MS, quantum=5 * MS):
        assert quantum <= latency
        self.guests, self.latency, self.quantum = guests, latency, quantum
        self.sequence = itertools.count()
        self.now = 0
        for guest in guests:
            guest.greet()

    def at(self, guest, t, command):
        """A timed input; `command` takes the time."""
        heapq.heappush(guest.inbox, (t, -1, next(self.sequence), command(t)))

    def run(self, until):
        while self.now < until:
            self.now = min(self.now + self.quantum, until)
            for guest in self.guests:
                guest.grant(self.now, guest.due(self.now))
            for guest in self.guests:
                self.switch(guest, guest.report().frames)
        return self

    def switch(self, sender, frames):
        index = self.guests.index(sender)
        for t, frame in frames:
            target = frame[:6]
            sequence = next(self.sequence)
            for guest in self.guests:
                if guest is not sender and (target[0] & 1 or target == guest.mac):
                    command = protocol.frame(t + self.latency, frame)
                    heapq.heappush(guest.inbox, (t + self.latency, index, sequence, command))

    def digest(self):
        return digest_of(self.guests)


def digest_of(guests):
    """Of all that the guests said and sent, with its times."""
    hasher = hashlib.sha256()
    for guest in guests:
        for t, data in [*guest.console, *guest.sent]:
            hasher.update(t.to_bytes(8, "little") + len(data).to_bytes(4, "little") + data)
        hasher.update(guest.part)
    return hasher.hexdigest()


class Fleet:
    """Makes refnode guests, and ends them all."""

    def __init__(self, plugin, directory, machine=RISCV):
        self.plugin, self.directory, self.machine = plugin, directory, machine
        self.board = BOARDS[machine]
        self.stack = ExitStack()
        self.serial = itertools.count()

    def __enter__(self):
        return self

    def __exit__(self, *details):
        return self.stack.__exit__(*details)

    def guest(self, number=2, *, role="sensor", variant=None, flash=None, machine=None, **options):
        name, machine = f"guest{next(self.serial)}", machine or self.machine
        flash = flash or refnode_flash(self.directory / f"{name}.flash", number, role, machine=machine)
        firmware = firmware_path(machine, variant)
        command = refnode_command(firmware, flash, mac_of(number), self.plugin, machine=machine, **options)
        guest = self.stack.enter_context(Guest(command, self.directory, name))
        guest.mac = mac_of(number)
        return guest

    def bare_guest(self, assembly):
        """riscv `virt` that executes this and nothing else."""
        name = f"guest{next(self.serial)}"
        source, image = self.directory / f"{name}.S", self.directory / f"{name}.elf"
        source.write_text(assembly)
        subprocess.run(
            ["riscv64-unknown-elf-gcc", "-march=rv32i", "-mabi=ilp32", "-nostdlib", "-static", "-Wl,-melf32lriscv",
             "-Wl,-Ttext=0x80000000", "-Wl,--build-id=none", source, "-o", image], check=True,
        )  # fmt: skip
        flash = refnode_flash(self.directory / f"{name}.flash", 2)
        command = refnode_command(image, flash, mac_of(2), self.plugin)
        return self.stack.enter_context(Guest(command, self.directory, name))

    def swarm(self, count=3, *, latency=5 * MS, quantum=5 * MS, machines=(None,), **options):
        """The machines take turns."""
        guests = [
            self.guest(i + 1, role="hub" if i == 0 else "sensor", machine=machines[i % len(machines)], **options)
            for i in range(count)
        ]
        return Swarm(guests, latency, quantum)


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait()
