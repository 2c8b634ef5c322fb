"""Stands in for Renode: a program that speaks as the recordings do, with a small machine behind its monitor.

`fake_renode.py BEHAVIOUR [Renode's options]`: BEHAVIOUR is a JSON object:
    version     "1.15.3" (default) or "1.16.1"
    log         where every executed command is written to, one a line
    late        {beginning of a command: seconds before its answer}
    hang        beginnings of commands that are never answered
    die_at      beginning of the command at which it dies
    die_after   how many commands it executes before it dies
    colours     true: steering codes, as without --plain
    taken       how many starts fail because the port is taken (counted in the file `log` + ".taken")
    refuses     {beginning of a command: the error that it is answered with}
    early_death what it writes to stderr before it ends, instead of listening
    silent      true: it does not say that it listens

A firmware file whose content has `abort` in it aborts the processor; without firmware it halts. A machine that hears
`flood` says more than any buffer holds.
"""

import fcntl
import json
import os
import pty
import re
import select
import shlex
import signal
import socket
import struct
import sys
import time
import tty
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import contextlib
import itertools

from recordings import recording

NEGOTIATION = bytes.fromhex("fffd00 fffb01 fffb03 fffc22")
SWALLOWED = 9
MS = 1_000_000
TICK_NS, PING_NS = 5 * MS, 20 * MS
TUNSETIFF, IFF_TAP_NO_PI = 0x400454CA, 0x1002
GREETINGS = {
    "1.15.3": "Renode, version 1.15.3.26856 (03756cb5-monobuild)",
    "1.16.1": "Renode, version 1.16.1 (d66b0c2a-monobuild)",
}
SHIPPED = {"platforms/boards/stm32f4_discovery-kit.repl", "platforms/cpus/stm32h743.repl"}
MISMATCH = "Parameters did not match the signature"


def log(level, text):
    now = time.time()
    clock = time.strftime("%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 10000):04d}"
    print(f"{clock} [{level}] {text}", flush=True)


class CommandError(Exception):
    """The monitor refuses."""


def execution_error(command, *details):
    return CommandError("\r\n".join((f"There was an error executing command '{command}'", *details)))


class HangError(Exception):
    """This command is never answered."""


class Uart:
    def __init__(self):
        self.outputs = []
        self.line = b""
        self.waiting = b""

    def send(self, data):
        for output in self.outputs:
            output(data)

    def lines_of(self, data):
        """Whole lines that were received."""
        *lines, self.line = (self.line + data.replace(b"\r", b"\n")).split(b"\n")
        return [line.decode("utf-8", "replace") for line in lines if line]


class Machine:
    """Says `tick` every 5 ms, repeats lines that it hears, and sends `ping` on its second UART."""

    def __init__(self, name):
        self.name = name
        self.uarts = {f"sysbus.{uart}": Uart() for uart in ("uart0", "usart2", "usart3", "uart1", "usart1")}
        self.memory = {}
        self.macro = None
        self.firmware = None
        self.ethernet = None
        self.halted = False
        self.aborted = False
        self.now = 0
        self.restart()

    def restart(self):
        self.booted = False
        self.halted = self.aborted = False
        self.ticks = self.pings = self.sent = 0
        self.since = self.now

    def load(self, path):
        self.firmware = Path(path).read_bytes()

    def reset(self):
        self.firmware = None
        self.memory = {}
        if self.macro is None:
            log("WARNING", f"No action for reset - macro {self.name}.reset is not registered.")
        self.restart()

    @property
    def consoles(self):
        return [uart for name, uart in self.uarts.items() if name not in ("sysbus.uart1", "sysbus.usart1")]

    @property
    def serials(self):
        return [self.uarts["sysbus.uart1"], self.uarts["sysbus.usart1"]]

    def say(self, text):
        for uart in self.consoles:
            uart.send(text.encode() + b"\r\n")

    def run(self, duration):
        """Live so long; False when the processor has aborted."""
        if self.firmware is None and not self.halted:
            self.halted = True
            log("ERROR", "cpu: PC does not lay in memory or PC and SP are equal to zero. CPU was halted.")
        if not self.halted and b"abort" in self.firmware and not self.aborted:
            self.aborted = True
            where = "Trying to execute code outside RAM or ROM at 0x9ABCDEF0."
            log("ERROR", f"cpu: CPU abort [PC=0x9ABCDEF0]: {where}")
        if not self.halted and not self.aborted:
            self.hear()
            self.live_until(self.now + duration)
        self.now += duration
        return not self.aborted

    def hear(self):
        for uart in self.consoles:
            for line in uart.lines_of(uart.waiting):
                self.say(f"heard: {line}")
                if line == "flood":
                    self.say("\r\n".join(["x" * 78] * 4000))
                    self.say("flood is over")
            uart.waiting = b""
        for uart in self.serials:
            for line in uart.lines_of(uart.waiting):
                self.say(f"peer says: {line}")
            uart.waiting = b""

    def live_until(self, end):
        if not self.booted:
            self.booted = True
            self.say("boot: hello from fw")
        while self.since + (self.ticks + 1) * TICK_NS <= end:
            self.ticks += 1
            self.say(f"tick {self.ticks}")
            if self.ticks % (PING_NS // TICK_NS) == 0:
                self.pings += 1
                for uart in self.serials:
                    uart.send(f"ping {self.pings}\n".encode())
                self.send_frame()

    def send_frame(self):
        if self.ethernet is not None:
            frame = (b"\xff" * 6 + b"\x02\0\0\0\0\x99\x88\xb5" + struct.pack(">H", self.sent)).ljust(60, b"\0")
            self.sent += 1
            os.write(self.ethernet, frame + zlib.crc32(frame).to_bytes(4, "little"))

    def receive_frame(self, frame):
        self.say(f"rx len {len(frame) + 4:04x} type {frame[12:14].hex()}")


class Emulation:
    """What all commands are about."""

    def __init__(self, version):
        self.version = version
        self.machines = {}
        self.current = None
        self.externals = {}
        self.inputs = {}
        self.started = False

    @property
    def machine(self):
        return self.machines.get(self.current)

    def run_for(self, duration):
        good = [machine.run(duration) for machine in self.machines.values()]
        if not all(good):
            raise HangError

    def add_input(self, fd, react):
        self.inputs[fd] = react


def recorded_answer(version, command):
    """What a command was answered in the recordings, the first time; None when nobody gave it."""
    answer = re.escape(command.encode() + b"\n\r") + rb"(.*?)\r?\((?:x|monitor|fromE|yy)\) "
    found = (re.search(answer, recording(version, name).received, re.S) for name in ("t1_main", "t4_long"))
    return next((match[1] for match in found if match), None)


# --- commands: each returns what is printed -------------------------------------------------------------------


def printed(text):
    return f"{text}\r\r\n".encode()


def path_of(words):
    return words[1:].replace("\\ ", " ") if words.startswith("@") else words.strip('"')


def mach(emulation, command, words):
    if words[:1] == ["create"]:
        name = (
            words[1].strip('"')
            if len(words) > 1
            else f"machine-{sum(name.startswith('machine-') for name in emulation.machines)}"
        )
        if name in emulation.machines:
            raise execution_error(command, "Given machine is already added or name is already taken.")
        emulation.machines[name] = Machine(name)
        emulation.current = name
        log("INFO", "System bus created.")
        return b""
    if words[:1] == ["set"] and len(words) > 1:
        name = words[1].strip('"')
        if words[1].isdigit():
            if int(words[1]) >= len(emulation.machines):
                raise CommandError("Wrong machine number. Type mach to show a list of available machines.")
            name = list(emulation.machines)[int(words[1])]
        if name not in emulation.machines:
            raise CommandError(f"Machine {name} not found.")
        emulation.current = name
        return b""
    if words[:1] == ["clear"]:
        emulation.current = None
        return b""
    raise CommandError("Bad parameters for command mach ")


def machine_command(emulation, command, words):
    if words[:1] == ["LoadPlatformDescription"]:
        path = path_of(" ".join(words[1:]))
        if path in SHIPPED:
            return b""
        if not Path(path).is_file():
            raise execution_error(command, f"Could not find file '{path}'.")
        for number, line in enumerate(Path(path).read_text().splitlines(), 1):
            if "BROKEN" in line:
                where = f"At {path}:{number}:1:"
                raise execution_error(command, "Error E21: Could not resolve type: 'BROKEN'.", where, line)
        return b""
    if words == ["Reset"]:
        emulation.machine.reset()
        if emulation.machine.macro is not None:
            execute(emulation, emulation.machine.macro)
        return b""
    raise execution_error(command, f"machine does not provide a field, method or property {words[0]}.")


def emulation_command(emulation, command, words):
    kind, arguments = words[0], words[1:]
    if kind == "RunFor":
        return run_for(emulation, command, arguments)
    if kind == "CreateUartPtyTerminal":
        return create_pty(emulation, command, *(word.strip('"') for word in arguments))
    if kind == "CreateServerSocketTerminal":
        return create_socket(emulation, command, int(arguments[0]), arguments[1].strip('"'))
    if kind == "CreateSwitch":
        emulation.externals[arguments[0].strip('"')] = "switch"
        return b""
    if kind == "CreateTap":
        emulation.externals["host." + arguments[1].strip('"')] = create_tap(arguments[0].strip('"'))
        return b""
    if kind == "IsStarted":
        return printed(emulation.started)
    if kind in ("SetSeed", "SetGlobalSerialExecution", "SetGlobalAdvanceImmediately"):
        return b""
    raise execution_error(command, f"emulation does not provide a field, method or property {kind}.")


def run_for(emulation, command, arguments):
    found = re.fullmatch(r'"(\d+)(?:\.(\d+))?"', arguments[0]) if len(arguments) == 1 else None
    if found is None:
        raise execution_error(command, MISMATCH)
    if emulation.started:
        raise execution_error(command, "This action is not available when emulation is already started")
    emulation.run_for(int(found[1]) * 10**9 + int((found[2] or "0").ljust(9, "0")[:9]))
    return b""


def create_pty(emulation, command, name, path):
    if name in emulation.externals:
        raise execution_error(command, "External's name already in use")
    if os.path.lexists(path):
        raise execution_error(command, f"File `{path}' already exists. Use forceCreate to overwrite it.")
    master, slave = pty.openpty()
    tty.setraw(slave)
    os.symlink(os.ttyname(slave), path)
    emulation.externals[name] = ("pty", master)
    return b""


def create_socket(emulation, command, port, name):
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("0.0.0.0", port))
    server.listen(1)
    emulation.externals[name] = ("socket", server)
    return b""


def create_tap(name):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP_NO_PI))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, 0x8914, struct.pack("16sH22x", name.encode(), 1))
    log("INFO", f"Opened interface {name}.")
    return ("tap", fd)


def connector(emulation, command, words):
    what, to = words[1], words[2]
    machine = emulation.machine
    if to == "switch" and what.startswith("host."):
        return b""
    if to == "switch" and what == "sysbus.ethernet":
        machine.ethernet = emulation.externals["host.tap"][1]
        emulation.add_input(machine.ethernet, lambda: machine.receive_frame(os.read(machine.ethernet, 65536)))
        return b""
    if what not in machine.uarts or to not in emulation.externals:
        raise CommandError(
            "\r\r\n\rThe following methods are available:\r\n\r - Void Connect (IEmulationElement connectee, "
            f"IConnectable connector)\r\n\r\r\nThere was an error executing command '{command}'\r\n{MISMATCH}"
        )
    uart, (kind, fd) = machine.uarts[what], emulation.externals[to]
    if kind == "pty":
        uart.outputs.append(lambda data: write_all(fd, data))
        emulation.add_input(fd, lambda: hear(uart, lambda: os.read(fd, 4096)))
    else:
        attach_socket(emulation, uart, fd)
    return b""


def write_all(fd, data):
    """Blocks when nobody reads, and everything with it."""
    while data:
        data = data[os.write(fd, data) :]


def hear(uart, read):
    with contextlib.suppress(OSError):
        uart.waiting += read()


def attach_socket(emulation, uart, server):
    held = []

    def accept():
        client, _ = server.accept()
        held.append(client)
        uart.outputs.append(client.sendall)
        emulation.add_input(client.fileno(), lambda: hear(uart, lambda: client.recv(4096)))

    emulation.add_input(server.fileno(), accept)


def uart_command(emulation, command, name, words):
    uart = emulation.machine.uarts[name]
    if words[0] == "CreateFileBackend":
        file = open(path_of(" ".join(words[1:-1])), "xb", buffering=0)  # noqa: SIM115 - as long as the program
        uart.outputs.append(file.write)
        return b""
    if words[0] == "WriteChar":
        uart.waiting += bytes([int(words[1], 0)])
        return b""
    raise execution_error(command, f"{name} does not provide a field, method or property {words[0]}.")


def sysbus(emulation, command, words):
    kind, machine = words[0], emulation.machine
    if kind in ("LoadELF", "LoadBinary", "LoadSymbolsFrom"):
        return load(emulation, command, words)
    found = re.fullmatch(r"(Read|Write)(Byte|DoubleWord)", kind)
    if not found or len(words) < 2:
        raise execution_error(command, f"sysbus does not provide a field, method or property {kind}.")
    address, width = int(words[1], 0), {"Byte": 1, "DoubleWord": 4}[found[2]]
    if found[1] == "Read":
        value = int.from_bytes(bytes(machine.memory.get(address + i, 0) for i in range(width)), "little")
        return printed(f"0x{value:0{2 * width}X}")
    for i, byte in enumerate(int(words[2], 0).to_bytes(width, "little")):
        machine.memory[address + i] = byte
    return b""


def load(emulation, command, words):
    line = " ".join(words[1:])
    path, _address = (line, None) if words[0] != "LoadBinary" else line.rsplit(" ", 1)
    if not Path(path_of(path)).is_file():
        raise execution_error(command, f"File does not exist: {path_of(path)}")
    if emulation.started:
        raise execution_error(command, "The machine has to be paused to load a file")
    emulation.machine.load(path_of(path))
    log("INFO", "sysbus: Loading segment of 398 bytes length at 0x8000000.")
    return b""


def execute(emulation, command):
    """What one command, without `;`, prints."""
    words = re.findall(r'"[^"]*"|(?:\\ |[^\s"])+', command)
    if not words:
        return b""
    head, rest = words[0], words[1:]
    if command in ("start", "pause"):
        emulation.started = command == "start"
        return b"Starting emulation...\r\n" if emulation.started else b"Pausing emulation...\r\n"
    if head == "echo":
        return printed(" ".join(rest).strip('"'))
    if head == "version":
        return f"{GREETINGS[emulation.version]}\r\n".encode()
    if head == "macro":
        emulation.machine.macro = " ".join(rest[1:]).strip('"')
        return b""
    if head == "include":
        return include(emulation, command, path_of(" ".join(rest)))
    known = {
        "mach": mach,
        "machine": machine_command,
        "emulation": emulation_command,
        "connector": connector,
        "sysbus": sysbus,
    }
    if head in known and rest:
        return known[head](emulation, command, rest)
    if emulation.machine is not None and head in emulation.machine.uarts and rest:
        return uart_command(emulation, command, head, rest)
    answer = recorded_answer(emulation.version, command)
    if answer is not None and not re.search(rb"(?<!\r)\r\n\Z", answer):
        return answer
    raise CommandError(f"No such command or device: {head}")


def include(emulation, command, path):
    if not Path(path).is_file():
        raise execution_error(command, f"File does not exist: {path}")
    output = b""
    for line in Path(path).read_text().splitlines():
        if line.strip():
            output += execute(emulation, line.strip())
    return output


def split(line):
    """At each `;` outside of strings; a path cannot have one."""
    return [part.strip() for part in re.findall(r'(?:"[^"]*"|[^;"])+', line)] if line.strip() else []


# --- the monitor --------------------------------------------------------------------------------------------------


class Monitor:
    def __init__(self, behaviour, emulation):
        self.behaviour = behaviour
        self.emulation = emulation
        self.line = b""
        self.greeted = False
        self.swallow = 0
        self.executed = 0
        self.command_log = open(behaviour["log"], "a") if "log" in behaviour else None  # noqa: SIM115 - as above

    def connect(self, client):
        self.client = client
        self.send(NEGOTIATION)
        self.swallow = SWALLOWED
        if self.emulation.version != "1.15.3":
            self.greet()

    def greet(self):
        if not self.greeted:
            self.greeted = True
            self.send(("\x1b[0m" if self.behaviour.get("colours") else "").encode())
            self.send(f"{GREETINGS[self.emulation.version]}\n\r\n\r".encode())
            self.prompt()

    def prompt(self):
        text = f"({self.emulation.current or 'monitor'}) "
        if self.behaviour.get("colours"):
            text = f"\x1b[{33 if self.emulation.current else 31};1m{text}\x1b[0m"
        self.send(text.encode())

    def send(self, data):
        with contextlib.suppress(OSError):
            self.client.sendall(data)

    def take(self, data):
        """False: it has quit."""
        if self.emulation.version == "1.15.3":
            swallowed, self.swallow = data[: self.swallow], max(0, self.swallow - len(data))
            data = data[len(swallowed) :]
        else:
            self.swallow, data = 0, re.sub(rb"\xff[\xfb-\xfe].", b"", data, flags=re.S)
        if not self.swallow:
            self.greet()
        return all(self.key(bytes([byte])) for byte in data)

    def key(self, key):
        if key == b"\x03":
            self.line = b""
            self.send(b"^C\n\r")
            self.prompt()
        elif key in b"\r\n":
            line, self.line = self.line.decode("utf-8", "replace"), b""
            self.send(b"\n\r")
            return self.enter(line)
        elif (key < b"\x80" and key < b" ") or key >= b"\xf0":
            return True
        else:
            self.line += key
            self.send(key)
        return True

    def enter(self, line):
        if line in ("quit", "q"):
            self.note(line)
            if "quit" in self.behaviour.get("hang", ()):
                raise HangError
            self.send(b"Renode is quitting\r\n\r")
            return False
        try:
            parts = split(line)
            if line.count('"') % 2:
                raise CommandError(f"Could not tokenize here:\r\n{line}\r\n{'^':>{line.index(chr(34)) + 1}}")
            for part in parts:
                self.send(self.perform(part))
        except CommandError as error:
            text = f"{error}\r\n"
            if self.behaviour.get("colours"):
                text = "".join(f"\x1b[;031m{one}\r\n\x1b[0m" for one in str(error).split("\r\n"))
            self.send(text.encode())
            self.prompt()
            return True
        self.finish(parts)
        return True

    def perform(self, command):
        if self.behaviour.get("die_after", -1) == self.executed or command.startswith(
            self.behaviour.get("die_at", "\0")
        ):
            print("Fatal error:\nOut of memory", file=sys.stderr, flush=True)
            os._exit(1)
        self.executed += 1
        self.note(command)
        if command.startswith(tuple(self.behaviour.get("hang", ()))):
            raise HangError
        for beginning, seconds in self.behaviour.get("late", {}).items():
            if command.startswith(beginning):
                time.sleep(seconds)
        for beginning, error in self.behaviour.get("refuses", {}).items():
            if command.startswith(beginning):
                raise execution_error(command, error)
        self.last = execute(self.emulation, command)
        return self.last

    def finish(self, parts):
        if parts and (self.last.endswith(b"...\r\n") or parts[-1] == "version"):
            self.send(b"\r")
        self.prompt()

    def note(self, command):
        if self.command_log:
            self.command_log.write(command + "\n")
            self.command_log.flush()


def serve(monitor, server, emulation):
    """One client at a time, and the machine while it is started."""
    client = None
    due = time.monotonic()
    while True:
        waiting = [*emulation.inputs, client or server]
        ready, _, _ = select.select(waiting, [], [], 0.005 if emulation.started else 0.5)
        for fd in ready:
            if fd in emulation.inputs:
                emulation.inputs[fd]()
        if client is None and server in ready:
            client, _ = server.accept()
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            monitor.connect(client)
        elif client is not None and client in ready:
            data = receive(client)
            if not data:
                client.close()
                client = None
            elif not monitor.take(data):
                client.close()
                return
        if emulation.started and time.monotonic() >= due:
            due = max(due + 0.005, time.monotonic() - 0.05)
            for machine in emulation.machines.values():
                machine.run(TICK_NS)


def receive(client):
    try:
        return client.recv(65536)
    except OSError:
        return b""


def taken(behaviour):
    count = Path(behaviour["log"] + ".taken")
    so_far = int(count.read_text()) if count.exists() else 0
    count.write_text(str(so_far + 1))
    return so_far < behaviour["taken"]


def main(behaviour, arguments):
    version = behaviour.get("version", "1.15.3")
    if "--version" in arguments:
        print(behaviour.get("says", f"Renode {version}.26856\n(c) Antmicro"))
        return
    options = dict(itertools.pairwise(arguments))
    log("INFO", "Loaded monitor commands from: /opt/renode/scripts/monitor.py")
    if "early_death" in behaviour:
        print(behaviour["early_death"], file=sys.stderr, flush=True)
        sys.exit(1)
    port = int(options["--port"])
    if behaviour.get("taken") and taken(behaviour):
        where = f"Unable to create '0.0.0.0:{port}' socket:[AddressAlreadyInUse] Address already in use"
        print(f"Fatal error:\n{where}", file=sys.stderr, flush=True)
        sys.exit(1)
    Path(options["--pid-file"]).write_text(str(os.getpid()))
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("0.0.0.0", port))
        server.listen(5)
        if not behaviour.get("silent"):
            log("INFO", f"Monitor available in telnet mode on port {port}")
        emulation = Emulation(version)
        try:
            serve(Monitor(behaviour, emulation), server, emulation)
        except HangError:
            while True:
                signal.pause()


def wrapper(directory, **behaviour):
    """An executable that is this program with a behaviour."""
    path = Path(directory) / "renode"
    words = shlex.join([sys.executable, "-B", str(Path(__file__).absolute()), json.dumps(behaviour)])
    path.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    path.chmod(0o755)
    return path


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), sys.argv[2:])
