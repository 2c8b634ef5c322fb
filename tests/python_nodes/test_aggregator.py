"""The aggregator's own words: what it counts, and what it does not believe."""

from __future__ import annotations

import json
from typing import Any

import pytest

from swarmrig.nodes.python.aggregator import Aggregator, make_aggregator
from swarmrig.wire.csi import Csi
from swarmrig.wire.ethernet import Ethernet
from swarmrig.wire.ipv4 import Ipv4
from swarmrig.wire.tdm import Beacon
from swarmrig.wire.udp import Udp
from swarmrig.wire.vitals import Vitals

MS = 1_000_000
MAC, IP = "52:54:00:00:00:01", "10.0.0.1"


def aggregator(**config: Any) -> Aggregator:
    made = make_aggregator("aggregator", {"mac": MAC, "ip": IP, "prefix": 16, "nodes": {"coord": 0, "s1": 1}, **config})
    made.advance(0)
    return made


def csi(node: int, seq: int) -> bytes:
    return Csi(node, 1, 52, 2437, seq, -40, -92, bytes(104)).pack()


def vitals(node: int, flags: int = 1) -> bytes:
    return Vitals(node, flags, 1500, 0, -40, 1, 0.1, 0.2, 5).pack()


def receive(made: Aggregator, *arrivals: tuple[int, bytes], src: str = "10.0.1.10", dport: int = 5005) -> list[str]:
    for t_ns, payload in arrivals:
        packet = Ipv4(src, IP, 17, Udp(5005, dport, payload).pack(src, IP)).pack()
        made.deliver(t_ns, Ethernet(MAC, "52:54:00:00:00:02", 0x0800, packet).pack())
    return [line for _, line in made.advance(arrivals[-1][0]).console] if arrivals else []


def test_it_says_where_it_listens() -> None:
    made = Aggregator("aggregator", {"mac": MAC, "ip": IP, "nodes": [0, 1, 2], "port": 6000})
    assert made.advance(0).console == [(0, "aggregator: listening on 10.0.0.1:6000 for 3 nodes")]


def test_frames_are_counted_per_node_with_rate_and_times() -> None:
    made = aggregator()
    receive(made, *((100 * MS + n * 50 * MS, csi(1, n)) for n in range(21)))
    node = made.report()["nodes"]["1"]
    assert node == {
        "id": "s1", "frames": 21, "unique_frames": 21, "bytes": 21 * 124, "gaps": 0, "duplicates": 0, "reorders": 0,
        "restarts": 0, "rate_hz": 20.0, "first_ns": 100 * MS, "last_ns": 1100 * MS, "vitals": 0, "falls": 0,
        "sources": ["10.0.1.10"],
    }  # fmt: skip


def test_a_node_that_sent_nothing_is_reported_with_nothing() -> None:
    node = aggregator().report()["nodes"]["0"]
    assert (node["id"], node["frames"], node["rate_hz"], node["first_ns"], node["sources"]) == (
        "coord",
        0,
        None,
        None,
        [],
    )


def test_gaps_duplicates_reorders_and_restarts_are_told_apart() -> None:
    made = aggregator()
    numbers = [0, 1, 2, 2, 4, 3, 6, 7, 8, *range(9, 200), 0, 1, 2]
    receive(made, *((n * MS, csi(1, seq)) for n, seq in enumerate(numbers)))
    node = made.report()["nodes"]["1"]
    assert (node["gaps"], node["duplicates"], node["reorders"], node["restarts"]) == (1, 1, 1, 1)
    assert node["frames"] == len(numbers)


def test_duplicates_do_not_raise_the_rate() -> None:
    made = aggregator()
    receive(made, *((n // 2 * 100 * MS, csi(1, n // 2)) for n in range(22)))
    assert made.report()["nodes"]["1"]["rate_hz"] == 10.0


@pytest.mark.parametrize("times", [[0], [5, 5]])
def test_too_little_for_a_rate_is_no_rate(times: list[int]) -> None:
    made = aggregator()
    receive(made, *((t_ns, csi(1, n)) for n, t_ns in enumerate(times)))
    assert made.report()["nodes"]["1"]["rate_hz"] is None


def test_vitals_and_falls_are_counted_apart_from_frames() -> None:
    made = aggregator()
    receive(made, (1, vitals(1)), (2, vitals(1, flags=3)), (3, vitals(0, flags=2)))
    nodes = made.report()["nodes"]
    assert [(nodes[n]["frames"], nodes[n]["vitals"], nodes[n]["falls"]) for n in "01"] == [(0, 1, 1), (0, 2, 1)]


def test_what_a_hub_forwards_counts_for_its_node_and_names_the_hub() -> None:
    made = aggregator()
    receive(made, (1, csi(1, 0)), src="10.0.1.10")
    receive(made, (2, csi(1, 1)), src="10.0.1.11")
    assert made.report()["nodes"]["1"]["sources"] == ["10.0.1.10", "10.0.1.11"]


def test_unknown_nodes_are_kept_apart() -> None:
    made = aggregator()
    lines = receive(made, (1, csi(9, 0)), (2, vitals(9)), (3, csi(1, 0)))
    report = made.report()
    assert report["unknown_nodes"]["9"]["frames"] == 1
    assert "9" not in report["nodes"]
    assert report["frames"] == 2
    assert lines == [
        "aggregator: first datagram from unknown node_id=9 (10.0.1.10)",
        "aggregator: first datagram from node_id=1 (10.0.1.10)",
    ]


def test_malformed_datagrams_are_counted_by_reason() -> None:
    made = aggregator()
    beacon = Beacon(0, 2, 1, 50_000, 0).pack()
    payloads = [b"", b"abc", b"hello", csi(1, 0)[:-1], csi(1, 1)[:-1], csi(1, 1)[:10], vitals(1)[:-1], beacon]
    receive(made, *enumerate(payloads))
    report = made.report()
    assert report["malformed"] == {
        "csi: shorter than its header": 1,
        "csi: subcarrier count contradicts the length": 2,
        "message: shorter than a magic number": 2,
        "message: unknown magic number": 2,
        "vitals: not 32 bytes": 1,
    }
    assert (report["datagrams"], report["frames"]) == (8, 0)
    assert report["nodes"]["1"]["bytes"] == 0


def test_other_ports_and_broken_packets_are_the_hosts_business() -> None:
    made = aggregator()
    receive(made, (1, csi(1, 0)), dport=5006)
    made.deliver(2, b"junk")
    made.advance(2)
    report = made.report()
    assert report["datagrams"] == 0
    assert (report["host"]["closed_port"], report["host"]["malformed"]) == (1, {"eth: shorter than its header": 1})


def test_the_report_is_json_and_does_not_change_what_is_counted() -> None:
    made = aggregator()
    receive(made, (1, csi(1, 0)), (2, csi(9, 0)), (3, b"x"))
    assert json.loads(json.dumps(made.report())) == made.report()


def test_a_plain_list_of_numbers_will_do() -> None:
    made = aggregator(nodes=[3, 1])
    assert list(made.report()["nodes"]) == ["1", "3"]
    assert made.report()["nodes"]["3"]["id"] == "3"
