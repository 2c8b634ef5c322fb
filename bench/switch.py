"""How fast the network process switches, with impairment and capture, against vde_switch and wirefilter.

The same generator (gen.c, two threads, batched system calls) loads both: leaf -> impaired link -> switch -> hub. Ours
is the real network process, capturing both wires; the peer is what Debian's vde2 offers for the job: two vde_switch
joined by a wirefilter, and each of them writing a capture (its plugin pdump, buffered). Then both without captures.
What is compared is the CPU time of all switching processes for each frame that arrived, because a machine with other
things to do moves that least, and the frames that arrived in a second.
"""

from __future__ import annotations

import json
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarmrig.model.network import PERFECT, DevicePlan, Impairment, LinkPlan, NetworkPlan, SwitchPlan
from swarmrig.net.control import MessageBuffer, encode
from swarmrig.net.plan_file import dump_plan

SIZE = 200
SECONDS = 1.5
ROUNDS = 5
HALF = 30_000
"""Frames a second: half of what one loop must carry."""
PEER = "vde_switch+wirefilter"
IMPAIRMENT = Impairment(
    latency_ns=1_000_000, jitter_ns=200_000, loss=0.001, duplicate=0.001, reorder=0.001, corrupt=0.001
)
WIREFILTER = ("-d", "1.1+0.1", "-l", "0.1", "-D", "0.1")
"""The same delay, loss and duplication; its noise (corruption) and reordering are left out, in its favour."""
PDUMP = "/usr/lib/vde2/plugins/pdump.so"
BUFFER = 2 << 20


@dataclass(frozen=True)
class Load:
    """One run of the generator. `cpu_s`: of all processes that switch."""

    sent: int
    received: int
    seconds: float
    cpu_s: float
    overruns: int = 0

    @property
    def frames_per_s(self) -> float:
        return self.received / self.seconds

    @property
    def cpu_us(self) -> float:
        """Microseconds of CPU for each frame that arrived."""
        return self.cpu_s * 1e6 / max(self.received, 1)

    @property
    def lost(self) -> float:
        return max(0.0, 1 - self.received / max(self.sent, 1))


def run() -> None:
    """Print the figures: the best of some rounds of each side, taken in turns."""
    peer_is_here = bool(shutil.which("vde_switch") and shutil.which("wirefilter"))
    if not peer_is_here:
        print("switch: vde_switch and wirefilter are not installed (Debian: vde2): no ratio")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        generator = _compile(directory)
        for rate, capture in ((0, True), (HALF, True), (0, False), (HALF, False)):
            what = (f"{HALF // 1000}k frames/s offered" if rate else "flat out") + (", captured" if capture else "")
            ours: list[Load] = []
            peers: list[Load] = []
            for _ in range(ROUNDS):
                ours.append(_ours(generator, directory, rate, capture=capture))
                if peer_is_here:
                    peers.append(_vde(generator, directory, rate, capture=capture))
            _print_load(what, "swarmrig", ours)
            if peers:
                _print_load(what, PEER, peers)
                _print_ratios(what, ours, peers)


def _print_load(what: str, who: str, loads: list[Load]) -> None:
    cheapest = min(loads, key=lambda load: load.cpu_us)
    fastest = max(loads, key=lambda load: load.frames_per_s)
    overruns = f", {sum(load.overruns for load in loads)} overruns" if who != PEER else ""
    print(
        f"switch: {what}: {who}: {fastest.frames_per_s / 1000:.1f}k frames/s delivered, {cheapest.cpu_us:.2f} us CPU "
        f"a frame ({1000 / cheapest.cpu_us:.0f}k frames/s for a whole core), {cheapest.lost:.2%} lost{overruns}"
    )


def _print_ratios(what: str, ours: list[Load], peers: list[Load]) -> None:
    speed = max(load.frames_per_s for load in ours) / max(load.frames_per_s for load in peers)
    cost = min(load.cpu_us for load in peers) / min(load.cpu_us for load in ours)
    print(f"switch: {what}: frames/s delivered, ratio vs {PEER} = {speed:.2f}")
    print(f"switch: {what}: frames delivered per CPU second, ratio vs {PEER} = {cost:.2f}")


def _compile(directory: Path) -> Path:
    program = directory / "gen"
    source = Path(__file__).with_name("gen.c")
    subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-pthread", "-o", program, source], check=True)
    return program


def _generate(generator: Path, leaf: int, hub: int, rate: int) -> dict[str, Any]:
    command = [str(generator), str(leaf), str(hub), str(SIZE), str(rate), str(SECONDS)]
    result = subprocess.run(command, pass_fds=(leaf, hub), stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def _ours(generator: Path, directory: Path, rate: int, *, capture: bool) -> Load:
    plan = NetworkPlan(
        seed=1,
        devices=(DevicePlan("hub", "02:00:00:00:00:02", "hub"), DevicePlan("leaf", "02:00:00:00:00:01", "hub--leaf")),
        links=(
            LinkPlan("hub", "hub", "hub.switch", PERFECT, PERFECT, capture, access=True),
            LinkPlan("hub--leaf", "hub.switch", "leaf", IMPAIRMENT, IMPAIRMENT, capture),
        ),
        switches=(SwitchPlan("hub.switch"),),
    )
    with _network_process(plan, directory) as (process, ask), ExitStack() as stack:
        ports = {}
        for device in ("leaf", "hub"):
            near, far = _socket_pair(socket.SOCK_SEQPACKET)
            stack.enter_context(near)
            with far:
                ask({"do": "attach", "devices": [device]}, [far.fileno()])
            ports[device] = near.fileno()
        ask({"do": "start", "start_ns": time.monotonic_ns()}, [])
        before = _cpu_s(process.pid)
        result = _generate(generator, ports["leaf"], ports["hub"], rate)
        cpu_s = _cpu_s(process.pid) - before
        links = ask({"do": "statistics"}, [])["links"]
        overruns = sum(link["drops"].get("overrun", 0) for link in links.values())
        return Load(result["sent"], result["received"], result["seconds"], cpu_s, overruns)


@contextmanager
def _network_process(plan: NetworkPlan, directory: Path) -> Iterator[tuple[subprocess.Popen[bytes], Any]]:
    plan_file = directory / "plan.json"
    plan_file.write_text(dump_plan(plan))
    control, far = socket.socketpair()
    with control:
        with far:
            module = "swarmrig.net.fabric_process"
            command = [sys.executable, "-P", "-m", module, str(far.fileno()), str(plan_file), str(directory)]
            process = subprocess.Popen(command, pass_fds=(far.fileno(),))
        buffer = MessageBuffer()

        def ask(message: dict[str, Any], fds: list[int]) -> Any:
            socket.send_fds(control, [encode({"id": 1, **message})], fds)
            answers: list[dict[str, Any]] = []
            while not answers:
                answers = buffer.feed(control.recv(1 << 16))
            return answers[0]["ok"]

        yield process, ask
    process.wait()


def _vde(generator: Path, directory: Path, rate: int, *, capture: bool) -> Load:
    with ExitStack() as stack:
        switches = [directory / name for name in ("left", "right")]
        processes = []
        for switch in switches:
            management = switch.with_suffix(".mgmt")
            # The switch ends when its standard input does.
            command = ["vde_switch", "-s", str(switch), "-M", str(management)]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
            stack.callback(_end, process)
            processes.append(process)
            _wait_for(switch / "ctl")
            if capture:
                _vde_capture(management, switch.with_suffix(".pcap"))
        wire = subprocess.Popen(
            ["wirefilter", "-v", f"{switches[0]}:{switches[1]}", *WIREFILTER],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        stack.callback(_end, wire)
        processes.append(wire)
        ends = [stack.enter_context(_vde_port(switch, directory)) for switch in switches]
        before = sum(_cpu_s(process.pid) for process in processes)
        result = _generate(generator, ends[0].fileno(), ends[1].fileno(), rate)
        cpu_s = sum(_cpu_s(process.pid) for process in processes) - before
        return Load(result["sent"], result["received"], result["seconds"], cpu_s)


def _vde_capture(management: Path, file: Path) -> None:
    """Have a switch write down every frame."""
    _wait_for(management)
    with socket.socket(socket.AF_UNIX) as control, control.makefile("rw") as talk:
        _connect(control, management)
        for command in (f"plugin/add {PDUMP}", f"pdump/filename {file}", "pdump/buffered 1", "pdump/active 1"):
            talk.write(f"{command}\n")
            talk.flush()
            while not (answer := talk.readline().removeprefix("vde$ ")).startswith("1"):
                if not answer:
                    break
            if not answer.startswith("1000"):
                raise RuntimeError(f"vde_switch: {command}: {answer}")


def _connect(control: socket.socket, path: Path) -> None:
    """To a socket that may exist a moment before anybody listens."""
    deadline = time.monotonic() + 5
    while True:
        try:
            return control.connect(str(path))
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


@contextmanager
def _vde_port(switch: Path, directory: Path) -> Iterator[socket.socket]:
    """A data socket on a VDE switch: version 3 of its control protocol (libvdeplug)."""
    path = str(directory / f"{switch.name}.port")
    Path(path).unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as control, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as data:
        control.connect(str(switch / "ctl"))
        data.bind(path)
        address = struct.pack("H108s", socket.AF_UNIX, path.encode())
        control.send(struct.pack("<III", 0xFEEDFACE, 3, 0) + address + b"bench".ljust(128, b"\0"))
        answer = control.recv(110)
        data.connect(answer[2:].split(b"\0")[0].decode())
        data.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        data.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        yield data


def _socket_pair(kind: int) -> tuple[socket.socket, socket.socket]:
    pair = socket.socketpair(socket.AF_UNIX, kind)
    for end in pair:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
    return pair


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait()


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 5
    while not path.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path} does not appear")
        time.sleep(0.01)


def _cpu_s(pid: int) -> float:
    """CPU time of a process up to now: /proc/PID/schedstat counts nanoseconds, of its one thread."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
