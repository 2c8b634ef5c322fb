"""Every fault of links and frames on real guests in virtual time: proved, the same each time, and never by silence."""

import pytest

HEAD = """
swarmrig: 1
name: links
duration: {duration}
seed: 7
time: virtual
network: {{topology: {topology}}}
defaults: {{kind: qemu, machine: refnode-rv32}}
nodes:
  coord: {{role: coordinator}}
  s1: {{role: sensor, config: {{scenario: 2, tdm_slot: 1}}}}
  s2: {{role: sensor, config: {{scenario: 3, tdm_slot: 2}}}}
checks: [no_crashes]
faults:
"""
STAR = """
  - {at: 2s, degrade: {between: [coord, s1], latency: 40ms, loss: 30%, for: 2s}}
  - {at: 2s, duplicate: {between: [coord, s2], share: 30%, for: 2s}}
  - {at: 5s, reorder: {between: [s1, coord], share: 30%, one_way: true, for: 2s}}
  - {at: 5s, corrupt: {between: [s2, coord], share: 30%, for: 2s}}
  - {at: 8s, flap: {between: [s1, coord], period: 600ms, for: 2s}}
  - {at: 8s, blackhole: {between: [s2, coord], filter: csi, for: 2s}}
  - {at: 11s, partition: {sets: [[s1], [coord, s2, aggregator]], for: 2s}}
  - {at: 14s, wifi_kill: {node: s2, for: 1s}}
  - {at: 16s, inject: {between: [s1, coord], udp: {src: s1, dst: coord, port: 5005, text: hello}, count: 3}}
  - {at: 17s, replay: {between: [s1, coord], last: 500ms, filter: csi}}
  - {at: 18s, ring_flood: s1}
  - {at: 19s, corrupt_frame: {node: s2, frames: 3}}
  - {at: 20s, degrade: {between: [coord, s1], rate: 100kbit, jitter: 3ms, for: 2s}}
  - {at: 20s, degrade: {between: [coord, s2], burst: {to_bad: 10%, to_good: 30%}, for: 2s}}
"""
LINE = """
  - {at: 3s, partition: {sets: [[coord], [s1, s2]], for: 2s}}
  - {at: 7s, wifi_kill: {node: s1, for: 2s}}
  - {at: 11s, degrade: {between: [s1, coord], latency: 30ms, for: 2s}}
  - {at: 15s, ring_flood: {node: s2, frames: 100}}
  - {at: 16s, inject: {between: [s1, coord], udp: {src: s1, dst: coord, port: 5005, text: hello}}}
"""
OPEN_ENDED = """
  - {when: {node: s1, console: boot}, id: shaky, flap: {between: [s1, coord], period: 400ms}}
  - {when: {fault: shaky, after: 2s}, heal: shaky}
  - {at: 4s, id: poor, degrade: {between: [s2, coord], latency: 30ms}}
  - {at: 4s, id: dark, partition: [[s1], [coord, s2]]}
  - {at: 6s, heal: poor}
  - {when: {fault: poor, stage: healed, after: 500ms}, heal: dark}
"""


@pytest.fixture
def scenario(tmp_path):
    def write(faults, topology="star, hub: coord", duration="25s"):
        path = tmp_path / "links.swarmrig.yml"
        path.write_text(HEAD.format(topology=topology, duration=duration) + faults)
        return str(path)

    return write


def statuses(run):
    return {fault["kind"]: fault["status"] for fault in run.results["faults"]}


def test_all_kinds_are_proved_and_the_same_each_time(swarmrig_again, scenario):
    first, second = (swarmrig_again("run", scenario(STAR)) for _ in range(2))
    assert first.exit_code == 0, first.explain()
    assert set(statuses(first).values()) == {"proved"}
    assert len(first.results["faults"]) == STAR.count("- {")
    (corrupted,) = (fault for fault in first.results["faults"] if fault["kind"] == "corrupt_frame")
    assert "carries what was changed in memory" in corrupted["message"]
    assert first.results["run"]["digest"] == second.results["run"]["digest"] is not None


def test_routed_networks(swarmrig, scenario):
    run = swarmrig("run", scenario(LINE, "line", "20s"))
    assert run.exit_code == 0, run.explain()
    assert set(statuses(run).values()) == {"proved"}


def test_what_is_healed_by_another_item(swarmrig, scenario):
    run = swarmrig("run", scenario(OPEN_ENDED, duration="10s"))
    assert run.exit_code == 0, run.explain()
    assert set(statuses(run).values()) == {"proved"}
    for fault in run.results["faults"]:
        if fault["kind"] != "heal":
            assert [stage["stage"] for stage in fault["stages"]][-1] == "heal observed", fault


def test_what_nobody_notices_fails_the_run_unless_it_may(swarmrig_again, scenario):
    silent = "  - {at: 2s, blackhole: {between: [coord, s1], filter: udp.dport == 9, for: 1s}%s}\n"
    required = swarmrig_again("run", scenario(silent % "", duration="5s"))
    assert (required.exit_code, statuses(required)) == (2, {"blackhole": "indeterminate"}), required.explain()
    optional = swarmrig_again("run", scenario(silent % ", required: false", duration="5s"))
    assert (optional.exit_code, statuses(optional)) == (1, {"blackhole": "indeterminate"}), optional.explain()


def test_frames_of_one_run_are_replayed_in_another(swarmrig_again, scenario):
    first = swarmrig_again("run", scenario("", duration="4s"))
    capture = first.directory / "net" / "coord--s1.pcapng"
    again = f"  - {{at: 2s, replay: {{between: [s1, coord], file: {capture}, filter: csi}}}}\n"
    second = swarmrig_again("run", scenario(again, duration="7s"))
    assert (second.exit_code, statuses(second)) == (0, {"replay": "proved"}), second.explain()
