"""The switch by property: nobody gets a frame twice, back, or not at all; and loops are cut."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from swarmrig.model.network import PERFECT, DevicePlan, LinkPlan, NetworkPlan, SwitchPlan
from swarmrig.net.engine import Engine
from swarmrig.net.link import Agenda, Direction
from swarmrig.net.switch import SwitchPort, connect_switch, looping_links

BROADCAST = b"\xff" * 6
GROUP = b"\x01\x00\x5e\x00\x00\x07"


def host(number: int) -> bytes:
    return bytes((2, 0, 0, 0, number >> 8, number & 255))


def frame(target: bytes, source: bytes, note: int = 0) -> bytes:
    return target + source + b"\x88\xb5" + note.to_bytes(4, "big")


class Ports:
    """A switch whose links are perfect access wires: what is sent has arrived."""

    def __init__(self, count: int, capacity: int = 16) -> None:
        agenda = Agenda()
        self.arrived: list[tuple[int, bytes]] = []
        egresses = []
        for port in range(count):
            egress = Direction(f"link{port}", "forward", 0, PERFECT, agenda, access=True)
            egress.connect(lambda _, data, port=port: self.arrived.append((port, data)))
            egresses.append(egress)
        self.ports: tuple[SwitchPort, ...] = connect_switch(egresses, capacity)

    def send(self, port: int, data: bytes) -> list[int]:
        """Which ports the frame comes out of."""
        self.arrived.clear()
        self.ports[port].receive(0, data)
        assert all(arrived == data for _, arrived in self.arrived)
        return [out for out, _ in self.arrived]


def test_unknown_destinations_are_flooded_and_known_ones_are_not() -> None:
    switch = Ports(4)
    assert switch.send(0, frame(host(2), host(1))) == [1, 2, 3]
    assert switch.send(2, frame(host(1), host(2))) == [0]
    assert switch.send(0, frame(host(2), host(1))) == [2]


def test_groups_are_always_flooded() -> None:
    switch = Ports(3)
    for target in (BROADCAST, GROUP):
        assert switch.send(1, frame(target, host(1))) == [0, 2]


def test_a_group_address_is_never_learned_as_a_source() -> None:
    switch = Ports(3)
    switch.send(0, frame(BROADCAST, GROUP))
    assert switch.send(1, frame(GROUP, host(1))) == [0, 2]


def test_a_host_that_moves_is_found_again() -> None:
    switch = Ports(3)
    switch.send(0, frame(BROADCAST, host(1)))
    switch.send(1, frame(BROADCAST, host(1)))
    assert switch.send(2, frame(host(1), host(2))) == [1]


def test_a_frame_for_its_own_port_is_filtered() -> None:
    switch = Ports(3)
    switch.send(0, frame(BROADCAST, host(1)))
    assert switch.send(0, frame(host(1), host(2))) == []


def test_link_local_groups_stay_on_their_link() -> None:
    switch = Ports(3)
    assert switch.send(0, frame(bytes.fromhex("0180c200000e"), host(1))) == []  # LLDP
    assert switch.send(0, frame(bytes.fromhex("0180c2000010"), host(1))) == [1, 2]


def test_the_table_is_bounded_and_forgets_the_oldest() -> None:
    switch = Ports(3, capacity=4)
    for number in range(1, 6):
        switch.send(0, frame(BROADCAST, host(number)))
    assert switch.send(1, frame(host(5), host(99))) == [0]
    assert switch.send(1, frame(host(1), host(99))) == [0, 2]  # flooded


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 40), st.integers(0, 41)), max_size=200), st.integers(1, 50))
@settings(max_examples=150, deadline=None)
def test_never_back_never_twice_never_lost(traffic: list[tuple[int, int, int]], capacity: int) -> None:
    """Every frame comes out of exactly the port of its destination, or of all others when that is not known."""
    switch = Ports(5, capacity)
    seen: dict[int, int] = {}
    for port, source, target in traffic:
        destination = BROADCAST if target == 41 else host(target)
        seen[source] = port
        out = switch.send(port, frame(destination, host(source)))
        assert port not in out
        assert max(Counter(out).values(), default=0) <= 1
        others = [other for other in range(5) if other != port]
        if target == 41 or target not in seen:
            assert out == others
        else:
            right = [] if seen[target] == port else [seen[target]]
            assert out in (right, others)  # flooded only if the table had to forget it
            if len(seen) <= capacity:
                assert out == right


def ring_of_switches(count: int, extra: tuple[tuple[int, int], ...] = ()) -> NetworkPlan:
    """A device at each switch; the switches in a ring, and what `extra` adds."""
    pairs = [(at, (at + 1) % count) for at in range(count)] + list(extra)
    links = [LinkPlan(f"sw{a}--sw{b}-{n}", f"sw{a}", f"sw{b}", PERFECT, PERFECT) for n, (a, b) in enumerate(pairs)]
    links += [LinkPlan(f"d{at}", f"d{at}", f"sw{at}", PERFECT, PERFECT, access=True) for at in range(count)]
    devices = tuple(DevicePlan(f"d{at}", f"02:00:00:00:00:{at:02x}", f"d{at}") for at in range(count))
    return NetworkPlan(1, devices, tuple(links), tuple(SwitchPlan(f"sw{at}") for at in range(count)))


@given(st.integers(2, 7), st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=6))
@settings(max_examples=60, deadline=None)
def test_rings_and_meshes_of_switches_deliver_exactly_once(count: int, extra: list[tuple[int, int]]) -> None:
    plan = ring_of_switches(count, tuple((a % count, b % count) for a, b in extra))
    engine = Engine(plan)
    arrived: Counter[str] = Counter()
    for device in plan.devices:
        engine.attach(device.name, lambda _, __, name=device.name: arrived.update([name]))
    engine.send(0, "d0", frame(BROADCAST, host(0)))
    engine.advance(10**9)
    assert engine.next_ns() is None  # nothing circulates
    assert arrived == {device.name: 1 for device in plan.devices if device.name != "d0"}


def test_the_first_links_of_the_plan_are_kept() -> None:
    assert looping_links(ring_of_switches(3)) == {"sw2--sw0-2"}
    assert looping_links(ring_of_switches(2)) == {"sw1--sw0-1"}  # two parallel wires
