"""Faults of memory: the right bits, read again, put back; and places that do not exist are refused beforehand."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nodes_rig import AT, FIRMWARE, HEALED, RAM, RAM_BYTES, WHOLE_LIFE, Obeying, Rig, S, plan_of
from pydantic import ValidationError

from swarmrig.api import ProofStatus
from swarmrig.elf import read_elf
from swarmrig.errors import NodeError
from swarmrig.faults.memory import drawn_mask
from swarmrig.faults.memory_place import writable_regions
from swarmrig.model.facts import FaultStage

CONFIG = read_elf(FIRMWARE).symbol("config")
HERE = CONFIG.address - RAM


def differing(old, new):
    return sum((a ^ b).bit_count() for a, b in zip(old, new, strict=True))


def live(kind, params, **more):
    rig = Rig(kind, params, **more)
    before = bytes(rig.node.ram)
    rig.inject()
    return rig, before, bytes(rig.node.ram)


def test_bits_of_a_symbol_flip_and_flip_back():
    rig, before, during = live("memory_flip", {"symbol": "config", "offset": 4, "size": 8, "bits": 3})
    assert differing(before, during) == 3
    assert before[: HERE + 4] == during[: HERE + 4] and before[HERE + 12 :] == during[HERE + 12 :]
    rig.heal()
    assert bytes(rig.node.ram) == before
    proof = rig.proof()
    assert proof.status is ProofStatus.PROVED, proof.message
    assert "(config+" in proof.message and "was put back" in proof.message
    assert rig.told == WHOLE_LIFE


def test_exactly_the_bits_of_a_mask():
    _, before, during = live("memory_flip", {"address": hex(RAM + 64), "mask": "ff0001"})
    assert bytes(a ^ b for a, b in zip(before[64:68], during[64:68], strict=True)) == bytes.fromhex("ff000100")


def test_the_same_seed_the_same_bits():
    first, second = (live("memory_flip", {"symbol": "config", "bits": 5})[2] for _ in range(2))
    assert first == second


def test_a_fill():
    rig, before, during = live("memory_fill", {"symbol": "config", "size": 5, "byte": 0xA5})
    assert during[HERE : HERE + 6] == b"\xa5" * 5 + before[HERE + 5 : HERE + 6]
    rig.heal()
    assert bytes(rig.node.ram) == before
    assert rig.proof().status is ProofStatus.PROVED


def test_a_fill_with_what_is_there_changes_nothing():
    rig, *_ = live("memory_fill", {"symbol": "config", "byte": 0})
    proof = rig.proof()
    assert proof.status is ProofStatus.INDETERMINATE
    assert "already, so nothing changed" in proof.message


@pytest.mark.parametrize("kind", ["memory_flip", "memory_fill"])
def test_a_numb_node_proves_nothing(kind):
    rig, before, during = live(kind, {"symbol": "config"}, node=Obeying(numb=True))
    assert before == during
    proof = rig.proof()
    assert proof.status is ProofStatus.INDETERMINATE
    assert "read 0000" in proof.message
    assert rig.told == [FaultStage.INJECTED]


def test_what_the_firmware_wrote_meanwhile_is_left_alone():
    rig, *_ = live("memory_flip", {"symbol": "config", "size": 4, "mask": "01000001"})
    rig.node.ram[HERE] = 0x77
    rig.heal()
    assert bytes(rig.node.ram[HERE : HERE + 4]) == bytes.fromhex("77000000")
    assert rig.proof().status is ProofStatus.PROVED


def test_a_consequence_that_must_be_told():
    rig, *_ = live("memory_flip", {"symbol": "config", "says": "Guru Meditation"}, for_ns=None)
    assert rig.told == [FaultStage.INJECTED]
    rig.says(AT - S, "Guru Meditation")
    assert rig.fault.proved().status is ProofStatus.INDETERMINATE
    rig.says(AT + S, "Guru Meditation Error: Core 0 panic'ed")
    proof = rig.proof()
    assert proof.status is ProofStatus.PROVED
    assert "nodes/s1/console.log:2 says so" in proof.message


def test_never_healed():
    rig, *_ = live("memory_flip", {"symbol": "config"})
    assert rig.proof().status is ProofStatus.INDETERMINATE


def test_a_page_in_use_is_found():
    node = Obeying()
    heap = next(region for region in writable_regions(plan_of(None).memory) if region.name == ".heap")
    node.ram[heap.address - RAM : heap.end - RAM] = b"\x55" * heap.size
    rig, before, during = live("memory_flip", {}, node=node, for_ns=None)
    (changed,) = [index for index, (a, b) in enumerate(zip(before, during, strict=True)) if a != b]
    assert heap.address <= RAM + changed < heap.end
    assert rig.proof().status is ProofStatus.PROVED
    assert rig.description == "flip 1 bit in a page that is in use of s1 for good"


def test_no_page_is_in_use():
    rig = Rig("memory_flip", {})
    with pytest.raises(NodeError, match="pages that were looked at is in use"):
        rig.inject()


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"address": 0x1000}, r"4 bytes at 0x1000 \(address\) is not in RAM, which is 0x80000000\.\.0x81000000"),
        ({"address": RAM + RAM_BYTES - 2}, "is not in RAM"),
        ({"address": RAM - 2}, "is not in RAM"),
        ({"symbol": "confg"}, r"refnode-rv32\.elf has no symbol 'confg', did you mean 'config'\?"),
        ({"symbol": "config", "offset": CONFIG.size}, f"config has {CONFIG.size} bytes"),
        ({"symbol": "config", "offset": 4, "size": CONFIG.size}, "is not within"),
    ],
)
@pytest.mark.parametrize("kind", ["memory_flip", "memory_fill"])
def test_places_that_do_not_exist(kind, params, reason):
    rig = Rig(kind, params)
    with pytest.raises(ValueError, match=reason):
        rig.examine()
    with pytest.raises(NodeError, match=reason):
        rig.inject()


def test_places_on_boards_that_are_not_known():
    anywhere = Rig("memory_flip", {"address": 0x1000}, plan=plan_of(None, ram=()))
    anywhere.examine()
    no_elf = plan_of(None, image=None)
    for params in ({"symbol": "config"}, {}):
        with pytest.raises(ValueError, match="boots from no ELF file"):
            Rig("memory_flip", params, plan=no_elf).examine()
    Rig("memory_flip", {"address": RAM}, plan=no_elf).examine()


def test_an_image_that_is_still_to_be_built(tmp_path):
    rig = Rig("memory_flip", {"symbol": "config"}, plan=plan_of(None, image=tmp_path / "later.elf"))
    rig.examine()
    with pytest.raises(NodeError, match="is not there"):
        rig.inject()


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("memory_flip", {"address": 0, "symbol": "config"}),
        ("memory_flip", {"offset": 4}),
        ("memory_flip", {"mask": "00"}),
        ("memory_flip", {"mask": "xyz"}),
        ("memory_flip", {"mask": "ff", "bits": 2}),
        ("memory_flip", {"mask": "ffff", "size": 1}),
        ("memory_flip", {"size": 1, "bits": 9}),
        ("memory_flip", {"bits": 0}),
        ("memory_flip", {"address": -4}),
        ("memory_flip", {"address": "here"}),
        ("memory_flip", {"size": "2MiB"}),
        ("memory_flip", {"says": "["}),
        ("memory_fill", {"byte": 256}),
    ],
)
def test_wrong_parameters(kind, params):
    with pytest.raises(ValidationError):
        Rig(kind, params)


@settings(deadline=None, derandomize=True)
@given(st.integers(1, 300), st.integers(0, 2**32), st.data())
def test_masks_have_as_many_bits_as_asked_for(size, seed, data):
    bits = data.draw(st.integers(1, 8 * size))
    mask = drawn_mask(size, bits, random.Random(seed))
    assert len(mask) == size
    assert sum(byte.bit_count() for byte in mask) == bits


def test_healing_without_injection_fails_loudly():
    rig = Rig("memory_flip", {"symbol": "config"})
    with pytest.raises(AssertionError):
        rig.heal(HEALED)
    assert rig.proof().status is ProofStatus.FAILED
