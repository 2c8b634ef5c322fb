"""Runs of the harness dialect: the same seed gives the same bytes, messages come when the network says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import swarmrig
from swarmrig.cli.main import main

WHOLE = """\
duration_sec: 3
seed: 42
time_quantum_us: 20000
nodes:
  s1: {sensors: [temperature, humidity], interval_ms: 270}
  s2: {interval_ms: 310}
  gw: {type: gateway}
  c: {type: cloud}
network: %s
"""
DIRECT = WHOLE % "{type: direct}"


@pytest.fixture
def write(tmp_path: Path):  # type: ignore[no-untyped-def]
    def written(text: str) -> Path:
        path = tmp_path / "swarm.yml"
        path.write_text(text)
        return path

    return written


def events_of(directory: Path) -> bytes:
    return (directory / "events.jsonl").read_bytes()


def test_the_same_seed_gives_the_same_bytes_and_another_one_does_not(write, tmp_path: Path) -> None:
    path = write(DIRECT)
    one, two, other = (swarmrig.run(path, output_dir=tmp_path / "runs", seed=seed) for seed in (42, 42, 43))
    assert one.success and one.record.tier == "exact"
    assert one.digest is not None and one.digest == two.digest != other.digest
    assert one.messages == two.messages != other.messages
    assert events_of(one.directory) == events_of(two.directory)
    for capture in one.directory.glob("net/*.pcapng"):
        assert capture.read_bytes() == (two.directory / "net" / capture.name).read_bytes()


def test_so_it_does_on_the_command_line(write, tmp_path: Path) -> None:
    path = write(DIRECT)
    for place in ("a", "b"):
        assert main(["run", str(path), "--output-dir", str(tmp_path / place)]) == 1  # WARN: nothing is checked
    (a,), (b,) = (list((tmp_path / place).iterdir()) for place in ("a", "b"))
    assert events_of(a) == events_of(b)
    captures = sorted(path.name for path in a.glob("net/*.pcapng"))
    assert len(captures) == 5
    assert all((a / "net" / name).read_bytes() == (b / "net" / name).read_bytes() for name in captures)


def test_direct_is_the_next_quantum(write, tmp_path: Path) -> None:
    result = swarmrig.run(write(DIRECT), output_dir=tmp_path / "runs")
    sent = [message for message in result.messages if message.src.startswith("s")]
    passed = [message for message in result.messages if message.src == "gw"]
    assert len(sent) == 12 + 10 and len(passed) >= len(sent) - 1
    for message in passed:
        assert message.time_us % 20_000 == 0
        before = message.time_us - message.payload["sent_us"]
        assert 0 < before <= 20_000, message
    # At one instant, those handed over are in the order of (time, source, sequence).
    order = [(message.time_us, message.payload["sent_us"], message.payload["src"]) for message in passed]
    assert order == sorted(order)


def test_latency_is_exact(write, tmp_path: Path) -> None:
    result = swarmrig.run(write(WHOLE % "{type: latency, default_latency_ms: 7}"), output_dir=tmp_path / "runs")
    passed = [message for message in result.messages if message.src == "gw"]
    assert passed
    delays = {message.time_us - message.payload["sent_us"] for message in passed}
    assert min(delays) == 7_000
    # The first message of each sensor waits for the answer to the question who the gateway is: there and back again.
    assert delays <= {7_000, 21_000}


def test_latencies_of_single_links(write, tmp_path: Path) -> None:
    links = "[{from: s1, to: gw, latency_ms: 30}]"
    result = swarmrig.run(
        write(WHOLE % f"{{type: latency, default_latency_ms: 2, links: {links}}}"), output_dir=tmp_path / "runs"
    )
    found: dict[str, set[int]] = {"s1": set(), "s2": set()}
    for message in result.messages:
        if message.src == "gw":
            found[message.payload["src"]].add(message.time_us - message.payload["sent_us"])
    assert min(found["s1"]) // 1000 == 30 and min(found["s2"]) // 1000 == 2


def test_a_dry_run_says_what_would_be_and_launches_nothing(write, tmp_path: Path, capsys) -> None:
    path = write(DIRECT)
    assert main(["run", str(path), "--dry-run", "--seed", "7", "--output-dir", str(tmp_path / "runs")]) == 0
    assert not (tmp_path / "runs").exists()
    told = capsys.readouterr().out
    for words in ("3s", "seed", "7", "20ms", "4", "python", "mesh", "harness"):
        assert words in told, told


def test_a_dry_run_says_what_is_wrong(write, tmp_path: Path, capsys) -> None:
    path = write(DIRECT.replace("type: cloud", "type: clown"))
    assert main(["run", str(path), "--dry-run"]) == 3
    assert "clown" in capsys.readouterr().err


def test_a_dry_run_for_machines(write, tmp_path: Path, capsys) -> None:
    assert main(["run", str(write(DIRECT)), "--dry-run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["dialect"], told["seed"], len(told["nodes"])) == ("harness", 42, 4)
    assert main(["run", str(write(DIRECT.replace("type: cloud", "type: clown"))), "--dry-run", "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert told["kind"] == "error" and "clown" in told["errors"][0]["message"]
