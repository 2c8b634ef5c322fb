"""Every preset, for real: the expected verdict, from evidence that can be looked up."""

import json
import subprocess
from collections import Counter

import pytest

from swarmrig.net.pcapng import PcapngReader
from swarmrig.wire.decode import csi_key

PRESETS = ("smoke", "standard", "large-mesh", "line-relay", "ring-fault", "heterogeneous", "ci-matrix")


def read_capture(path):
    return PcapngReader().feed(path.read_bytes())


def csi_frames(path):
    """(node, sequence) of every CSI frame in a capture, split into delivered and modelled drops."""
    delivered, dropped = Counter(), Counter()
    for packet in read_capture(path):
        key = csi_key(packet.data)
        if key is not None:
            (dropped if (packet.comment or "").startswith("drop") else delivered)[key[0]] += 1
    return delivered, dropped


@pytest.mark.parametrize("preset", PRESETS)
def test_preset_passes_on_evidence(swarmrig, preset):
    run = swarmrig("run", preset)
    assert run.results["run"]["tier"] == "exact", run.explain()
    assert_passed_on_evidence(run)


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["smoke", "standard", "ring-fault"])
def test_preset_passes_in_real_time(swarmrig, preset):
    run = swarmrig("run", preset, "--time", "real")
    assert run.results["run"]["tier"] == "scheduled", run.explain()
    assert_passed_on_evidence(run)


@pytest.mark.parametrize("preset", ["standard", "ring-fault"])
def test_the_same_seed_gives_the_same_bytes_and_another_does_not(swarmrig_again, preset):
    first, second, other = (
        swarmrig_again("run", preset),
        swarmrig_again("run", preset),
        swarmrig_again("run", preset, "--seed", "1"),
    )
    for pattern in ("events.jsonl", "net/*.pcapng", "nodes/*/console.log"):
        names = sorted(path.relative_to(first.directory) for path in first.directory.glob(pattern))
        assert names
        for name in names:
            assert (first.directory / name).read_bytes() == (second.directory / name).read_bytes(), name
    digests = [run.results["run"]["digest"] for run in (first, second, other)]
    assert digests[0] == digests[1] != digests[2]


def assert_passed_on_evidence(run):
    assert run.exit_code == 0, run.explain()
    assert run.results["verdict"] == "PASS"
    assert set(run.checks.values()) == {"PASS"}, run.explain()
    for check in run.results["checks"]:
        assert check["evidence"], f"{check['label']} passed without evidence"
        for evidence in check["evidence"]:
            assert_evidence_exists(run.directory, evidence)
    assert_aggregator_agrees_with_the_wire(run)
    assert_tshark_reads_every_capture(run)


def assert_evidence_exists(directory, evidence):
    path = directory / evidence["file"]
    assert path.is_file(), evidence
    if evidence.get("line") is not None:
        assert len(path.read_bytes().splitlines()) >= evidence["line"], evidence
    if evidence.get("frame") is not None:
        assert len(read_capture(path)) >= evidence["frame"], evidence


def assert_aggregator_agrees_with_the_wire(run):
    (capture,) = (run.directory / "net").glob("aggregator--*.pcapng")
    on_wire, dropped = csi_frames(capture)
    counted = {
        int(number): node["frames"] for number, node in run.results["aggregator"]["nodes"].items() if node["frames"]
    }
    assert counted, "the aggregator counted nothing"
    assert dict(on_wire) == counted
    sent = {number: on_wire[number] + dropped[number] for number in on_wire | dropped}
    assert sent == {number: counted.get(number, 0) + dropped[number] for number in sent}


def assert_tshark_reads_every_capture(run):
    for capture in (run.directory / "net").glob("*.pcapng"):
        fields = ["-T", "fields", "-e", "frame.interface_name", "-e", "frame.comment"]
        read = subprocess.run(["tshark", "-r", capture, *fields], capture_output=True, text=True)
        assert read.returncode == 0, read.stderr
        names = {line.split("\t")[0] for line in read.stdout.splitlines()}
        assert names and "" not in names, capture


@pytest.mark.parametrize("time", ["virtual", pytest.param("real", marks=pytest.mark.slow)])
def test_ring_fault_is_cut_and_healed_on_the_wire(swarmrig, time):
    run = swarmrig("run", "ring-fault", "--time", time)
    assert run.exit_code == 0, run.explain()
    (fault,) = run.results["faults"]
    assert fault["proved"] is True
    stages = [stage["stage"] for stage in fault["stages"]]
    assert stages == ["injected", "observed", "healed", "heal observed"]
    events = [json.loads(line) for line in (run.directory / "events.jsonl").read_text().splitlines()]
    assert [event["t"] for event in events] == sorted(event["t"] for event in events)
    assert [event["data"]["stage"] for event in events if event["kind"] == "fault"] == stages
