"""Virtual time with guests that hang, die, never rest or never stop talking: named, or carried on with, to the byte."""

import ctypes
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from swarmrig.timebase import plugin

GREET = (0x100002B7, 0x07500313, 0x00628023, 0x07000313, 0x00628023, 0x00A00313, 0x00628023)
"""riscv32 `virt`: writes "up" and a newline to the UART."""
SPIN = (*GREET, 0x0000006F)
"""... and jumps to itself."""
FLOOD = (*GREET, 0x00A00E13, 0x07800313, 0x03F00393, 0x00628023, 0xFFF38393, 0xFE039CE3, 0x01C28023, 0xFEDFF06F)
"""... and writes lines of 63 x for ever."""
ENDLESS = (*GREET, 0x07800313, 0x00628023, 0xFFDFF06F)
"""... and writes one line for ever."""
SWITCH_OFF = (*GREET, 0x001002B7, 0x00005337, 0x55530313, 0x0062A023, 0x0000006F)
"""... and writes 0x5555 to the test device, which switches the machine off."""


@pytest.fixture
def bare(scenario_file, tmp_path):
    """A scenario with a machine that executes these words, beside a reference device."""

    def make(code: tuple[int, ...], *, duration: str = "300ms", options: str = "", checks: str = "") -> Path:
        image = tmp_path / "bare.bin"
        image.write_bytes(struct.pack(f"<{len(code)}I", *code))
        return scenario_file(f"""
swarmrig: 1
name: bare
duration: {duration}
time: virtual
network: {{topology: mesh}}
nodes:
  bare:
    machine: generic
    firmware: {{image: {image}}}
    arch: riscv32
    qemu_machine: virt
    load: bios
    nic: virtio-net-device{options}
  s1: {{role: sensor}}
checks:
  - console: {{node: bare, matches: up}}
{textwrap.indent(checks, "  ")}
""")

    return make


def failures(run) -> str:
    return "\n".join(run.results["failures"])


# --- those that are carried on with -----------------------------------------------------------------------------


def test_a_guest_that_never_rests(swarmrig_again, bare):
    runs = [swarmrig_again("run", bare(SPIN)) for _ in range(2)]
    assert [run.exit_code for run in runs] == [0, 0], runs[0].explain()
    assert len({run.results["run"]["digest"] for run in runs}) == 1 and runs[0].results["run"]["tier"] == "exact"


def test_a_console_flood(swarmrig_again, bare):
    runs = [swarmrig_again("run", bare(FLOOD, duration="100ms")) for _ in range(2)]
    assert [run.exit_code for run in runs] == [0, 0], runs[0].explain()
    assert len({run.results["run"]["digest"] for run in runs}) == 1
    text = runs[0].console("bare")
    assert len(text) > 500_000 and set(text.splitlines()[1:-1]) == {"x" * 63}


def test_a_line_without_end(swarmrig_again, bare):
    """Its beginning is kept."""
    runs = [swarmrig_again("run", bare(ENDLESS, duration="150ms")) for _ in range(2)]
    assert [run.exit_code for run in runs] == [0, 0], runs[0].explain()
    assert len({run.results["run"]["digest"] for run in runs}) == 1
    assert runs[0].console("bare") == "up\n" + "x" * (1 << 20) + "\n"


def test_a_guest_that_switches_itself_off_does_so_at_the_same_time_every_time(swarmrig_again, bare):
    runs = [swarmrig_again("run", bare(SWITCH_OFF, checks="- exit: {node: bare, code: 0}")) for _ in range(2)]
    assert [run.exit_code for run in runs] == [0, 0], runs[0].explain()
    assert len({run.results["run"]["digest"] for run in runs}) == 1
    assert None not in {run.results["run"]["digest"] for run in runs}


# --- those that are named ---------------------------------------------------------------------------------------


def processes(needle: bytes, tmp_path: Path) -> list[int]:
    """Processes of this test's runs whose command line has a word."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        if needle in words and str(tmp_path).encode() in environment:
            found.append(int(entry.name))
    return found


@pytest.fixture
def living(tmp_path, scenario_file):
    """An hour of virtual time with a hub and a sensor that talk to each other; ends with the test."""
    scenario = scenario_file("""
swarmrig: 1
name: long
duration: 1h
time: virtual
network: {topology: star, hub: hub}
nodes:
  hub: {role: coordinator}
  s1: {role: sensor, config: {scenario: 2}}
checks: [all_nodes_boot]
""")
    env = {**os.environ, "SWARMRIG_STATE_DIR": str(tmp_path / "state"), "NO_COLOR": "1"}
    command = [sys.executable, "-m", "swarmrig", "run", str(scenario), "--output-dir", str(tmp_path / "runs")]
    process = subprocess.Popen(
        [*command, "--hang-timeout", "2s"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not any(log.stat().st_size > 600 for log in (tmp_path / "runs").glob("*/nodes/s1/console.log")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    with process:
        yield process
        process.kill()


def told(process: subprocess.Popen, tmp_path: Path) -> tuple[int, str]:
    """Exit code, and the failures that the run recorded."""
    output, _ = process.communicate(timeout=60)
    (directory,) = (tmp_path / "runs").iterdir()
    results = json.loads((directory / "results.json").read_text())
    assert results["verdict"] == "FATAL" and results["run"]["digest"] is None, output
    return process.returncode, "\n".join(results["failures"])


def test_a_guest_that_hangs_is_named_with_its_place(living, tmp_path):
    (pid,) = processes(b"guest=s1", tmp_path)
    os.kill(pid, signal.SIGSTOP)
    exit_code, failed = told(living, tmp_path)
    assert exit_code == 3
    assert "virtual time cannot go on: no sign of life for 2 s: s1 was last seen at " in failed
    assert ", program counter 0x80" in failed
    assert not processes(b"guest=s1", tmp_path)


def test_a_guest_that_dies_is_named_with_its_place(living, tmp_path):
    (pid,) = processes(b"guest=s1", tmp_path)
    os.kill(pid, signal.SIGSEGV)
    (events,) = (tmp_path / "runs").glob("*/events.jsonl")
    deadline = time.monotonic() + 30
    while '"node.exited"' not in events.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    living.send_signal(signal.SIGINT)
    exit_code, failed = told(living, tmp_path)
    assert exit_code == 130
    assert "node s1 ended by itself: SIGSEGV" in failed
    assert "last seen at " in failed and " s of virtual time, program counter 0x80" in failed


def test_a_channel_that_is_cut_is_named(living, tmp_path):
    (pid,) = processes(b"guest=s1", tmp_path)
    handle = os.pidfd_open(pid)
    fd = ctypes.CDLL(None, use_errno=True).syscall(438, handle, 6, 0)  # pidfd_getfd of the plugin's socket
    os.close(handle)
    assert fd >= 0, os.strerror(ctypes.get_errno())
    with socket.socket(fileno=fd) as channel:
        channel.shutdown(socket.SHUT_RDWR)
    (events,) = (tmp_path / "runs").glob("*/events.jsonl")
    deadline = time.monotonic() + 30
    while '"node.exited"' not in events.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    living.send_signal(signal.SIGINT)
    _, failed = told(living, tmp_path)
    assert "node s1 ended by itself: exit 0" in failed and "its lockstep channel was cut" in failed


def test_a_stopped_rig_is_no_hanging_guest(living, tmp_path):
    """Ctrl-Z: time in which the network process did not run is nobody's silence."""
    (network,) = processes(b"swarmrig.timebase.process", tmp_path)
    guests = processes(b"guest=s1", tmp_path) + processes(b"guest=hub", tmp_path)
    for pid in (*guests, network):
        os.kill(pid, signal.SIGSTOP)
    time.sleep(3)
    for pid in (network, *guests):
        os.kill(pid, signal.SIGCONT)
    time.sleep(0.5)
    living.send_signal(signal.SIGINT)
    output, _ = living.communicate(timeout=60)
    assert living.returncode == 130 and "sign of life" not in output


# --- those that do not get as far ---------------------------------------------------------------------------------


@pytest.fixture
def emulator(tmp_path):
    """An emulator that answers the probe of the plugin with these fields."""

    def make(**changes) -> Path:
        answer = {"lockstep": 1, "api": [0, 1], "qemu": "7.2.0", "target": "riscv32", "target_known": True,
                  "missing": "", **changes}  # fmt: skip
        path = tmp_path / "qemu-system-riscv32"
        path.write_text(f"#!{sys.executable} -IS\nprint({json.dumps(answer)!r})\n")
        path.chmod(0o755)
        return path

    return make


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"missing": "icount_to_ns, timer_mod_ns"}, "does not export icount_to_ns, timer_mod_ns"),
        ({"lockstep": 2}, "version"),
        ({"target": "xtensa", "target_known": False}, "emulates xtensa"),
    ],
)
def test_an_emulator_that_cannot_is_refused_with_the_reason(swarmrig, emulator, changes, said):
    run = swarmrig("run", "smoke", "--time", "virtual", "--qemu-path", emulator(**changes))
    assert run.exit_code == 3
    assert "virtual time is not possible here" in run.stderr and said in run.stderr
    assert "use `time: real`" in run.stderr


def test_another_processor_is_refused_with_the_reason(swarmrig, bare):
    run = swarmrig("run", bare(SPIN, options="\n    args: ['-smp', '2']"))
    assert run.exit_code == 3
    assert "`args` has -smp, which virtual time settles itself (with one processor)" in run.stderr


def test_the_plan_names_the_tier_that_is_left(swarmrig, emulator):
    run = swarmrig("plan", "smoke", "--qemu-path", emulator(missing="timer_mod_ns"))
    assert run.exit_code == 0
    assert "scheduled" in run.stdout and "does not export timer_mod_ns" in run.stdout
    assert plugin.libraries()
