"""One node of a run lives again, alone: to the byte, and only when nothing was changed."""

import json
import shlex
import shutil
import signal
import socket
import struct
import subprocess
from pathlib import Path

import pytest

from swarmrig.plugins import Registry
from swarmrig.replay.alone import SoloOptions, replay_node
from swarmrig.replay.finished import IncomparableError, open_finished
from swarmrig.replay.lives import recorded_lives
from swarmrig.replay.moments import console_times, frames
from swarmrig.timebase import protocol
from swarmrig.timebase.protocol import Command
from swarmrig.timebase.recording import END, MAGIC, POWER_ON, read_recording

NODES = ("c", "s1", "s2")


async def replayed(directory, node, tmp_path):
    return await replay_node(open_finished(directory), node, Registry.load(), SoloOptions(tmp_path / "solo"))


def new_console(tmp_path, node):
    (path,) = (tmp_path / "solo").glob(f"*/nodes/{node}/console.log")
    return path.read_bytes()


def rewrite(directory, node, edit):
    """Change the recorded inputs of a node: `edit` takes and returns a list of commands."""
    path = directory / "net" / f"{node}.inputs"
    (life,) = read_recording(path)
    commands = edit([one.command for one in life.inputs])
    ends = [struct.pack("<qIHHII", t_ns, 0, kind, 0, 0, 0) for t_ns, kind in ((0, POWER_ON), (life.end_ns, END))]
    path.write_bytes(MAGIC + ends[0] + b"".join(commands) + ends[1])
    return life


@pytest.mark.anyio
@pytest.mark.parametrize("node", NODES)
async def test_a_node_alone_says_and_sends_the_same_bytes(recorded, tmp_path, node):
    comparison = await replayed(recorded, node, tmp_path)
    assert comparison.equal and not comparison.warnings
    said = new_console(tmp_path, node)
    assert said == (recorded / "nodes" / node / "console.log").read_bytes()
    assert said.count(b"\n") > 5
    link = {"c": "c", "s1": "c--s1", "s2": "c--s2"}[node]
    (again,) = (tmp_path / "solo").iterdir()
    sent = [(one.t_ns, one.data) for one in frames(recorded, link) if one.source == node and not one.content[2]]
    assert sent == [(one.t_ns, one.data) for one in frames(again, link)]
    assert len(sent) > 20


@pytest.mark.anyio
async def test_with_other_inputs_it_is_another_life(copy, tmp_path):
    kept = 2
    life = rewrite(copy, "s1", lambda commands: commands[:kept])
    comparison = await replayed(copy, "s1", tmp_path)
    assert not comparison.equal
    assert comparison.differences[0].t_ns >= life.inputs[kept].t_ns


@pytest.mark.anyio
async def test_every_kind_of_input_is_replayed(copy, tmp_path):
    """Typed bytes, a reset and a pause change the life, at their times, and in the same way each time."""

    def more(commands):
        extra = [
            protocol.console_input(3_000_000_000, b"stats\r"),
            protocol.simple(Command.PAUSE, 3_200_000_000),
            protocol.simple(Command.RESUME, 3_300_000_000),
            protocol.simple(Command.RESET, 3_500_000_000),
        ]
        return sorted([*commands, *extra], key=lambda command: struct.unpack_from("<q", command)[0])

    rewrite(copy, "s2", more)
    first = await replayed(copy, "s2", tmp_path)
    said = new_console(tmp_path, "s2")
    assert first.differences[0].t_ns >= 3_000_000_000
    assert b"stats: " in said
    assert said.count(b"rst:0x1") + said.count(b"rst:0x3") >= 2
    (again,) = (tmp_path / "solo").iterdir()
    shutil.copy(again / "nodes" / "s2" / "console.log", copy / "nodes" / "s2" / "console.log")
    shutil.rmtree(tmp_path / "solo")
    await replayed(copy, "s2", tmp_path)
    assert new_console(tmp_path, "s2") == said


@pytest.mark.anyio
@pytest.mark.parametrize("node", ["c", "s1"])
async def test_resets_and_further_lives_are_replayed(faulty, tmp_path, node):
    lives = recorded_lives(open_finished(faulty), node)
    spans = [(life.power_on_ns / 1e9, life.run_ns(life.end_ns) / 1e9) for life in lives]
    assert spans == ([(0, 2), (3, 4.5), (4.5, 5), (5, 8)] if node == "s1" else [(0, 8)])
    kinds = {one.kind for life in lives for one in life.inputs}
    assert ({Command.RESET, Command.CONSOLE} <= kinds) is (node == "c")
    comparison = await replayed(faulty, node, tmp_path)
    assert comparison.equal, comparison
    assert new_console(tmp_path, node) == (faulty / "nodes" / node / "console.log").read_bytes()
    assert new_console(tmp_path, node).count(b"Calling app_main") == (4 if node == "s1" else 2)


@pytest.mark.anyio
async def test_a_further_life_begins_with_the_flash_of_the_one_before(faulty, tmp_path):
    directory = shutil.copytree(faulty, tmp_path / "copy")
    flash = directory / "nodes" / "s1" / "flash-3.bin"
    with flash.open("r+b") as file:  # the whole NVS partition
        file.seek(0x9000)
        file.write(b"\xff" * 0x6000)
    comparison = await replayed(directory, "s1", tmp_path)
    assert comparison.differences[0].t_ns >= 4_500_000_000
    flash.unlink()
    with pytest.raises(IncomparableError, match=r"flash-3\.bin is missing"):
        recorded_lives(open_finished(directory), "s1")


@pytest.mark.anyio
async def test_a_changed_console_and_a_changed_frame_are_found(copy, tmp_path):
    log = copy / "nodes" / "s1" / "console.log"
    log.write_bytes(log.read_bytes().replace(b"edge_tier", b"edge_tire", 1))
    comparison = await replayed(copy, "s1", tmp_path)
    (difference,) = comparison.differences
    assert difference.file == "nodes/s1/console.log"
    assert "edge_tire" in difference.left[0].text and "edge_tier" in difference.right[0].text


@pytest.mark.anyio
async def test_another_seed_warns_and_differs(copy, tmp_path):
    scenario = copy / "scenario.yml"
    scenario.write_text(scenario.read_text().replace("seed: 11", "seed: 12"))
    comparison = await replayed(copy, "s1", tmp_path)
    assert [warning.split()[1] for warning in comparison.warnings] == ["flash_sha256"]
    assert not comparison.equal


@pytest.mark.anyio
async def test_of_a_run_that_was_interrupted_all_that_was_recorded_is_compared(copy, tmp_path, change_results):
    log = copy / "nodes" / "s1" / "console.log"
    *lines, last, end = log.read_bytes().split(b"\n")
    change_results(copy, digest=None, interrupted=True, run_ns=console_times(copy)["s1"][len(lines) + 1])
    log.write_bytes(b"\n".join([*lines, b"cut off", end]))
    comparison = await replayed(copy, "s1", tmp_path)
    assert comparison.equal
    log.write_bytes(b"\n".join([b"never said", *lines[1:], last, end]))
    assert not (await replayed(copy, "s1", tmp_path)).equal


@pytest.mark.parametrize(
    ("node", "edit", "words"),
    [
        ("nobody", None, "no recorded inputs of a node 'nobody'"),
        ("aggregator", None, "no recorded inputs"),
        ("s1", lambda path: path.unlink(), "No such file"),
        ("s1", lambda path: path.write_bytes(b"old"), "is no recording"),
        ("s1", lambda path: path.write_bytes(path.read_bytes()[:-10]), "breaks off"),
        ("s1", lambda path: path.write_bytes(MAGIC), "breaks off"),
        ("s1", lambda path: (path.parent / "plan.json").write_text("{"), "cannot be read"),
    ],
)
def test_what_cannot_be_replayed_is_refused_with_the_reason(copy, node, edit, words):
    if edit is not None:
        edit(copy / "net" / "s1.inputs")
    with pytest.raises(IncomparableError, match=words):
        recorded_lives(open_finished(copy), node)


def test_in_real_time_nothing_is_recorded_to_the_nanosecond(swarmrig, copy, change_results):
    change_results(copy, tier="scheduled", digest=None)
    done = swarmrig("replay", copy, "--node", "s1")
    assert done.returncode == 3
    assert "is not known exactly" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--gdb", "4000"), "which one with --node"),
        (("--node", "s1", "--at", "2s"), "--gdb PORT"),
        (("--node", "s1", "--gdb", "4000", "--at", "5s"), "lived from 0s to 4s"),
        (("--node", "s1", "--gdb", "0"), "0 is not in the range"),
        (("--node", "s1", "--gdb", "4000", "--at", "soon"), "such as 50ms"),
    ],
)
def test_wrong_usage(swarmrig, recorded, arguments, words):
    done = swarmrig("replay", recorded, *arguments)
    assert done.returncode == 3
    assert words in done.stderr


# --- under a debugger ---------------------------------------------------------------------------------------

GDB = "gdb-multiarch"


@pytest.fixture
def port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@pytest.fixture
def debug(tmp_path, port, replaying):
    """debug(run, node, at, commands...) -> the replay's exit code and comparison, and what gdb printed."""
    if shutil.which(GDB) is None:
        pytest.skip(f"{GDB} is not installed")

    def call(run, node, at, *commands):
        with replaying(run, "--node", node, "--gdb", port, "--at", at, "--json") as process:
            words = shlex.split(next(line for line in iter(process.stderr.readline, "") if GDB in line))
            told = subprocess.run(
                [*words[:2], "-nx", "-batch", *words[2:], *(word for one in commands for word in ("-ex", one))],
                capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            output, _ = process.communicate(timeout=60)
        return process.returncode, json.loads(output), told.stdout + told.stderr

    return call


def test_a_debugger_looks_and_steps_and_nobody_notices(debug, recorded):
    code, comparison, told = debug(
        recorded, "s1", "2s",
        'printf "here %#x\\n", $pc', "break hal_nic_send", "continue", "stepi", "stepi", "delete", "detach",
    )  # fmt: skip
    assert "here 0x8000" in told
    assert "Breakpoint 1, 0x" in told and "in hal_nic_send ()" in told
    assert (code, comparison["equal"], comparison["warnings"]) == (0, True, []), told


def test_any_life_can_be_looked_at_but_nobody_in_between(debug, swarmrig, faulty):
    code, comparison, told = debug(faulty, "s1", "6s", 'printf "here %#x\\n", $pc', "detach")
    assert "here 0x8000" in told
    assert (code, comparison["equal"]) == (0, True)
    done = swarmrig("replay", faulty, "--node", "s1", "--gdb", "4000", "--at", "2500ms")
    assert done.returncode == 3
    assert "it lived from 0s to 2s, then from 3s to 4500ms, then from 4500ms to 5s, then from 5s to 8s" in done.stderr


def test_from_the_first_instruction_to_the_end(debug, recorded):
    code, comparison, told = debug(recorded, "s2", "0s", 'printf "here %#x\\n", $pc', "continue")
    assert "here 0x1000" in told
    assert "exited normally" in told
    assert (code, comparison["equal"]) == (0, True)


def test_what_a_debugger_changes_is_seen_from_then_on(debug, recorded):
    code, comparison, told = debug(recorded, "s2", "2s", "set {unsigned short}edge_feed = 0", "continue")
    assert code == 2, told
    assert comparison["differences"][0]["t_ns"] >= 2 * 10**9
    console = next(one for one in comparison["differences"] if one["file"] == "nodes/s2/console.log")
    assert any("panic" in moment["text"] or "Guru" in moment["text"] for moment in console["right"])


def test_a_guest_that_the_debugger_ends_is_compared_up_to_there(debug, recorded):
    code, comparison, _ = debug(recorded, "s1", "1500ms", "kill")
    assert (code, comparison["equal"]) == (0, True)
    assert comparison["warnings"] == ["its emulator ended at 1500ms: compared up to there"]


def test_only_this_machine_can_attach(replaying, recorded, port):
    with replaying(recorded, "--node", "s1", "--gdb", port) as process:
        assert any("Attach" in line for line in iter(process.stderr.readline, ""))
        listening = {line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]}
        assert f"0100007F:{port:04X}" in listening
        assert f"00000000:{port:04X}" not in listening
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    assert (process.returncode, output) == (130, "")


def test_a_port_in_use_is_told_with_the_emulators_words(swarmrig, recorded):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = swarmrig("replay", recorded, "--node", "s1", "--gdb", taken.getsockname()[1])
    assert done.returncode == 3
    assert "node s1: its emulator ended before it began" in done.stderr
    assert "Address already in use" in done.stderr
