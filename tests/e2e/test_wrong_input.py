"""What users get wrong: exit 3, one clear message, no traceback, nothing left."""

import itertools
import os

import pytest

BOMB = "a: &a [x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 9)}]\n" for before, name in itertools.pairwise("abcdefghijklm")
)
NODES = "nodes:\n  a: {role: coordinator}\n  b: {}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "empty"),
        ("- 1\n", "mapping"),
        ("swarmrig: 1\nname: x\nnodes: 3\n", ":3:"),
        ("swarmrig: 1\nname: ../../etc\n" + NODES, ":2:"),
        ("swarmrig: 1\nname: x\nnoodes: {}\n" + NODES, "did you mean"),
        ("swarmrig: 1\nname: x\n" + NODES + "checks:\n  - all_node_boot\n", "all_nodes_boot"),
        ("swarmrig: 1\nname: x\n" + NODES + "  a: {}\n", "second time"),
        ("swarmrig: 1\nname: x\nnodes:\n  a: {config: {channel: 900}}\n  b: {}\n", "channel"),
        ("swarmrig: 1\nname: x\nnodes:\n  a: {firmware: {image: nowhere.elf}}\n  b: {}\n", "nowhere.elf"),
        (BOMB, "alias"),
    ],
)  # fmt: skip
def test_bad_file(swarmrig, scenario_file, text, expected):
    path = scenario_file(text)
    run = swarmrig("run", path)
    assert run.exit_code == 3, run.explain()
    assert expected in run.stderr, run.explain()
    assert "Traceback" not in run.stderr
    assert not run.output.exists()


def test_ten_thousand_nodes_are_refused_at_once(swarmrig, scenario_file):
    nodes = "".join(f"  n{i}: {{}}\n" for i in range(10_000))
    run = swarmrig("run", scenario_file("swarmrig: 1\nname: many\nnodes:\n" + nodes))
    assert run.exit_code == 3, run.explain()
    assert "256" in run.stderr


def test_unknown_preset_gets_a_suggestion(swarmrig):
    run = swarmrig("run", "standart")
    assert run.exit_code == 3
    assert "standard" in run.stderr


def test_read_only_output_directory(swarmrig, tmp_path):
    (tmp_path / "runs").write_text("a file is in the way")
    run = swarmrig("run", "smoke", "--duration", "5s")
    assert run.exit_code == 3, run.explain()
    assert "--output-dir" in run.stderr
    assert "Traceback" not in run.stderr


FAKE = """#!/bin/sh
case "$*" in
  *-version*) echo "QEMU emulator version 7.2.0"; exit 0;;
  *help*) echo "virt  fake"; exit 0;;
esac
{body}
"""

SMALL = """
swarmrig: 1
name: small
duration: 6s
nodes:
  a: {role: coordinator}
  b: {machine_binary: ./qemu-fake}
checks: [all_nodes_boot]
"""


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('echo "could not load the moon" >&2; exit 1', "could not load the moon"),
        ("kill -SEGV $$", "SIGSEGV"),
        ("sleep 1; exit 0", "exit 0"),
        ("exec sleep 1000", "all_nodes_boot"),
        ("yes 'guest is angry' >&2", "ended by itself"),
    ],
)  # fmt: skip
def test_a_failing_emulator_is_named_with_its_last_words(swarmrig, scenario_file, tmp_path, body, expected):
    fake = tmp_path / "qemu-fake"
    fake.write_text(FAKE.format(body=body))
    os.chmod(fake, 0o755)
    run = swarmrig("run", scenario_file(SMALL))
    assert run.exit_code in (2, 3), run.explain()
    assert expected in run.stdout + run.stderr, run.explain()
    assert "Traceback" not in run.stderr
