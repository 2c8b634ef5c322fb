"""Faults by console, of heap, timers and processor, and power cuts at a store: what proves them and what does not."""

import struct

import pytest
from nodes_rig import ALL, AT, BOOT, FIRMWARE, HEALED, MS, RAM, WHOLE_LIFE, Obeying, Rig, S, make_flash, plan_of
from pydantic import ValidationError

from swarmrig.api import FaultSkippedError, ProofStatus
from swarmrig.elf import read_elf
from swarmrig.model.facts import FaultStage
from swarmrig.model.scenario import TimeMode
from swarmrig.wire.ethernet import Ethernet, EtherType
from swarmrig.wire.ipv4 import Ipv4, Protocol
from swarmrig.wire.udp import Udp

LIMIT = read_elf(FIRMWARE).symbol("heap_limit").address - RAM
NO_MEMORY = "E (7270) heap: HEAP_ERROR: out of memory, malloc(32) failed"


def vitals_frame():
    payload = struct.pack("<IBBHIbBHffII", 0xC5110002, 1, 0, 0, 0, -40, 1, 0, 0.0, 0.0, 1000, 0)
    source, target = "10.0.1.11", "10.0.1.10"
    datagram = Udp(5005, 5005, payload).pack(source, target)
    packet = Ipv4(source, target, Protocol.UDP, datagram).pack()
    return Ethernet("52:54:00:00:00:00", "52:54:00:00:00:01", EtherType.IPV4, packet).pack()


# --- console ------------------------------------------------------------------------------------------------------


def test_typing_is_proved_by_the_answer():
    rig = Rig("console_type", {"text": "stats", "says": "uptime_ms="})
    rig.says(AT - S, "I (1) stats: uptime_ms=1")
    rig.inject()
    assert rig.node.calls == ["type stats"]
    rig.says(AT + 1, "I (2) console: unknown command")
    rig.says(AT + 2, "I (2) stats: uptime_ms=2", node="s2")
    assert rig.fault.proved().status is ProofStatus.INDETERMINATE
    rig.says(AT + 3, "I (2) stats: uptime_ms=2")
    assert rig.proof().status is ProofStatus.PROVED
    assert rig.description == "type 'stats' on the console of s1"


@pytest.mark.parametrize("params", [{"text": "x"}, {"text": "", "says": "x"}, {"text": "x", "says": "("}])
def test_typing_without_a_proof_in_sight(params):
    with pytest.raises(ValidationError):
        Rig("console_type", params)


class Stalling(Obeying):
    """A console that can be left unread."""

    def stall_console(self):
        self.calls.append("stall")

    def unstall_console(self):
        self.calls.append("unstall")


def test_a_stalled_console_is_silent():
    rig = Rig("console_stall", node=Stalling(), time=TimeMode.REAL)
    for t_ns in range(5 * S, AT, 500 * MS):
        rig.says(t_ns)
    rig.inject()
    rig.sends(AT + 2 * S)
    rig.heal()
    rig.says(HEALED + 1)
    assert rig.node.calls == ["stall", "unstall"]
    assert rig.proof().status is ProofStatus.PROVED


def test_a_console_that_is_read_all_the_same():
    rig = Rig("console_stall", node=Stalling(), time=TimeMode.REAL)
    for t_ns in range(5 * S, HEALED + S, 500 * MS):
        rig.says(t_ns) if t_ns < AT else None
    rig.inject()
    rig.says(AT + 2 * S)
    rig.heal()
    rig.says(HEALED + 1)
    assert rig.proof().status is ProofStatus.FAILED


def test_in_virtual_time_there_is_nothing_to_stall():
    rig = Rig("console_stall")
    with pytest.raises(FaultSkippedError, match="virtual time, which does not wait"):
        rig.inject()


# --- heap ---------------------------------------------------------------------------------------------------------


def test_the_limit_is_taken_away_and_given_back():
    rig = Rig("heap_exhaust")
    rig.node.ram[LIMIT : LIMIT + 4] = b"\xff" * 4
    rig.inject()
    assert rig.node.ram[LIMIT : LIMIT + 4] == bytes(4)
    rig.says(AT + 1, NO_MEMORY)
    rig.heal()
    assert rig.node.ram[LIMIT : LIMIT + 4] == b"\xff" * 4
    rig.sends(HEALED + 1, b"\0" * 60)
    assert rig.proof().status is ProofStatus.INDETERMINATE
    rig = Rig("heap_exhaust")
    rig.inject()
    rig.says(AT + 1, NO_MEMORY)
    rig.heal()
    rig.sends(HEALED + 1, vitals_frame())
    assert rig.proof().status is ProofStatus.PROVED
    assert rig.told == WHOLE_LIFE


def test_a_leak_is_healed_by_a_reset():
    rig = Rig("heap_exhaust", {"how": "leak"})
    rig.inject()
    rig.says(AT + 1, NO_MEMORY)
    rig.heal()
    rig.says(HEALED + 1, BOOT)
    assert rig.node.calls == ["type leak", "reset"]
    assert rig.proof().status is ProofStatus.PROVED


def test_a_heap_that_is_not_exhausted():
    rig = Rig("heap_exhaust", node=Obeying(numb=True))
    rig.inject()
    rig.says(AT + 1)
    rig.heal()
    rig.sends(HEALED + 1, vitals_frame())
    assert rig.proof().status is ProofStatus.INDETERMINATE


def test_without_the_symbol_it_leaks(tmp_path):
    other = tmp_path / "other.elf"
    other.write_bytes(FIRMWARE.read_bytes().replace(b"heap_limit\0", b"heap_lymit\0"))
    rig = Rig("heap_exhaust", plan=plan_of(None, image=other))
    rig.examine()
    rig.inject()
    assert rig.node.calls == ["type leak"]
    with pytest.raises(ValueError, match="has no symbol 'heap_limit'"):
        Rig("heap_exhaust", {"how": "limit"}, plan=plan_of(None, image=other)).examine()


@pytest.mark.parametrize(
    ("params", "capabilities", "reason"),
    [
        ({"how": "limit"}, ALL - {"HasMemory"}, "how: limit needs HasMemory"),
        ({"how": "leak"}, ALL - {"HasConsole"}, "it needs HasConsole"),
        ({}, ALL - {"HasMemory", "CanReset"}, "it needs CanReset"),
    ],
)
def test_a_heap_out_of_reach(params, capabilities, reason):
    with pytest.raises(ValueError, match=reason):
        Rig("heap_exhaust", params, plan=plan_of(None, capabilities)).examine()


# --- timers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("W (2500) timer: starved: served 480 ms late", ProofStatus.PROVED),
        ("W (2500) timer: starved: served 120 ms late", ProofStatus.INDETERMINATE),
        ("W (2500) console: no timer is served for 500 ms", ProofStatus.INDETERMINATE),
    ],
)
def test_timers_must_have_been_late_enough(line, status):
    rig = Rig("timer_starvation")
    rig.inject()
    assert rig.node.calls == ["type starve 500"]
    rig.says(AT + 500 * MS, line)
    assert rig.proof().status is status


def test_firmware_that_gives_no_number():
    rig = Rig("timer_starvation", {"lasts": "2s", "says": "watchdog got triggered"})
    rig.inject()
    rig.says(AT + S, "E (9) task_wdt: Task watchdog got triggered")
    assert rig.node.calls == ["type starve 2000"]
    assert rig.proof().status is ProofStatus.PROVED
    assert rig.description == "starve the timers of s1 for 2s"


@pytest.mark.parametrize("params", [{"lasts": "1us"}, {"says": "["}, {"for": "1s"}])
def test_wrong_starvation(params):
    with pytest.raises(ValidationError):
        Rig("timer_starvation", params)


# --- processor ----------------------------------------------------------------------------------------------------


def starving(rig, *, heard_at=()):
    rig.sends_from_to(AT - 5 * S, AT + 1)
    rig.inject()
    rig.hold()
    for t_ns in range(AT + 190 * MS, HEALED, 200 * MS):
        rig.sends(t_ns)  # at the end of each period it has its share
    for t_ns in heard_at:
        rig.sends(t_ns)
    rig.heal()
    rig.sends(HEALED + 50 * MS)
    return rig.proof()


def test_a_starved_node_is_heard_in_its_share_only():
    rig = Rig("starve_cpu")
    proof = starving(rig)
    assert proof.status is ProofStatus.PROVED, proof.message
    assert rig.node.calls == ["pause", "resume"] * 25
    assert rig.told == WHOLE_LIFE


def test_a_starved_node_that_is_heard_all_the_same():
    proof = starving(Rig("starve_cpu"), heard_at=[AT + 4 * S + 100 * MS])
    assert proof.status is ProofStatus.FAILED


def test_a_quiet_node_cannot_be_seen_to_starve():
    rig = Rig("starve_cpu")
    rig.sends(AT - 4 * S)
    rig.sends(AT - 2 * S)
    rig.inject()
    rig.hold()
    rig.heal()
    rig.sends(HEALED + 1)
    assert rig.proof().status is ProofStatus.INDETERMINATE


class Stoppable(Obeying):
    """Its process can be stopped."""

    def take_cpu(self):
        self.calls.append("stop")

    def give_cpu(self):
        self.calls.append("continue")


def test_in_real_time_the_process_is_stopped():
    rig = Rig("starve_cpu", {"share": "50%", "period": "1s"}, node=Stoppable(), time=TimeMode.REAL)
    rig.sends_from_to(AT - 5 * S, AT + 1)
    rig.inject()
    rig.hold()
    rig.heal()
    assert rig.node.calls == ["stop", "continue"] * 5
    rig.sends(HEALED + 1)
    assert rig.proof().status is ProofStatus.PROVED


def test_interrupted_in_between_it_gets_its_processor_back():
    rig = Rig("starve_cpu")
    rig.inject()
    rig.heal(AT + 10 * MS)
    assert rig.node.calls == ["pause", "resume"]


@pytest.mark.parametrize("params", [{"share": "0%"}, {"share": 1}, {"period": "1ms"}])
def test_wrong_shares(params):
    with pytest.raises(ValidationError):
        Rig("starve_cpu", params)


def test_starvation_is_longer_than_a_period():
    with pytest.raises(ValueError, match="less than one period"):
        Rig("starve_cpu", for_ns=100 * MS).examine()
    assert Rig("starve_cpu").description == "leave s1 10% of its processor, 200ms at a time, for 5s"


# --- power at a store ---------------------------------------------------------------------------------------------


class Cutting(Obeying):
    """Its power goes at `cut_ns`, or not at all."""

    def __init__(self, flash_path, cut_ns):
        super().__init__(flash_path)
        self.cut_ns = cut_ns

    async def cut_power_at_store(self, address, size, store):
        self.calls.append(f"cut {address:#x} {size:#x} {store}")

    async def call_off_cut(self):
        return self.cut_ns


def cut_rig(tmp_path, cut_ns=AT + 500 * MS):
    return Rig("power_cut", {"store": 17}, node=Cutting(make_flash(tmp_path), cut_ns))


def test_a_power_cut(tmp_path):
    rig = cut_rig(tmp_path)
    rig.sends_from_to(AT - 5 * S, AT + 500 * MS)
    rig.inject()
    rig.heal()
    rig.says(HEALED + 1, BOOT)
    assert rig.node.calls == ["cut 0x22000000 0x2000000 17", "power_on"]
    proof = rig.proof()
    assert proof.status is ProofStatus.PROVED, proof.message
    assert rig.description == "cut the power of s1 at its store 17 into flash, back after 5s"


@pytest.mark.parametrize("known", [AT + S, AT + 4 * S, HEALED])
def test_stages_of_a_power_cut_do_not_depend_on_when_facts_become_known(tmp_path, known):
    """The others go on all the time; `known` of it, at the healing, is what happened up to then."""
    rig = cut_rig(tmp_path)
    rig.sends_from_to(AT - 5 * S, AT)
    rig.inject()
    rig.sends_from_to(AT, AT + 500 * MS)
    others = range(AT, HEALED + S, 70 * MS)
    for t_ns in (t_ns for t_ns in others if t_ns < known):
        rig.sends(t_ns, node="s2")
    rig.heal()
    for t_ns in (t_ns for t_ns in others if t_ns >= known):
        rig.sends(t_ns, node="s2")
    rig.says(HEALED + S + 1, BOOT)
    assert rig.proof().status is ProofStatus.PROVED
    first_after = next(t_ns for t_ns in others if t_ns >= HEALED)
    assert dict(rig.stages)[FaultStage.OBSERVED] == first_after


def test_a_power_cut_that_never_came(tmp_path):
    rig = cut_rig(tmp_path, None)
    rig.sends_from_to(AT - 5 * S, HEALED)
    rig.inject()
    rig.heal()
    rig.says(HEALED + 1, BOOT)
    proof = rig.proof()
    assert proof.status is ProofStatus.INDETERMINATE
    assert "did not make 17 stores into its flash" in proof.message
    assert "power_on" not in rig.node.calls


def test_a_node_that_was_heard_after_its_power_went(tmp_path):
    rig = cut_rig(tmp_path)
    rig.sends_from_to(AT - 5 * S, AT + S)
    rig.inject()
    rig.heal()
    rig.says(HEALED + 1, BOOT)
    assert rig.proof().status is ProofStatus.FAILED


def test_a_power_cut_for_good_would_go_unseen():
    rig = Rig("power_cut", {"store": 1}, for_ns=None)
    with pytest.raises(ValueError, match="say with `for`"):
        _ = rig.description
