"""Damage to flash: as much as asked for, never more, and only what the physics of NOR flash can do."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmrig.flash.damage import (
    Change,
    Place,
    Rot,
    change_image,
    corrupt,
    erase,
    partition_place,
    program,
    read_table,
    rot,
    torn_write,
)
from swarmrig.flash.image import assemble_pflash
from swarmrig.flash.matrix import config
from swarmrig.flash.partition import STANDARD_TABLE, PartitionError

CONTENT = st.binary(min_size=1, max_size=200)
SEED = st.integers(0, 2**32)


def bits_that_differ(old: bytes, new: bytes) -> int:
    return sum((a ^ b).bit_count() for a, b in zip(old, new, strict=True))


@given(CONTENT, st.integers(1, 300), SEED)
def test_corrupt_changes_as_many_bytes_as_asked_for(content, count, seed):
    damaged = corrupt(content, count, random.Random(seed))
    assert sum(a != b for a, b in zip(content, damaged, strict=True)) == min(count, len(content))
    assert damaged == corrupt(content, count, random.Random(seed))


@given(CONTENT, st.integers(1, 20), st.sampled_from(Rot), SEED)
def test_rot_changes_as_many_bits_and_only_in_its_direction(content, bits, way, seed):
    zeros = 8 * len(content) - sum(byte.bit_count() for byte in content)
    able = {Rot.LOSS: zeros, Rot.DISTURB: 8 * len(content) - zeros, Rot.BOTH: 8 * len(content)}[way]
    if able < bits:
        with pytest.raises(ValueError, match=f"{able} can"):
            rot(content, bits, way, random.Random(seed))
        return
    rotten = rot(content, bits, way, random.Random(seed))
    assert bits_that_differ(content, rotten) == bits
    if way is Rot.LOSS:
        assert all(new & old == old for old, new in zip(content, rotten, strict=True))
    if way is Rot.DISTURB:
        assert all(new & old == new for old, new in zip(content, rotten, strict=True))


@given(CONTENT, CONTENT, SEED)
def test_programming_only_clears_bits(content, data, seed):
    data = data[: len(content)]
    at = random.Random(seed).randint(0, len(content) - len(data))
    programmed = program(content, data, at)
    assert programmed[:at] == content[:at] and programmed[at + len(data) :] == content[at + len(data) :]
    assert programmed[at : at + len(data)] == bytes(
        old & new for old, new in zip(content[at : at + len(data)], data, strict=True)
    )
    assert program(erase(content), data, at)[at : at + len(data)] == data


@given(CONTENT, CONTENT, st.integers(0, 199), SEED)
def test_a_torn_write_is_on_its_way_from_before_to_after(content, data, written, seed):
    data = data[: len(content)]
    written %= len(data)
    torn = torn_write(content, data, 0, written, random.Random(seed))
    whole = program(content, data)
    assert torn[:written] == whole[:written]
    assert torn[written + 1 :] == content[written + 1 :]
    assert torn[written] & whole[written] == whole[written], "bits that stay are not lost"
    assert torn[written] & content[written] == torn[written], "bits do not rise"


@pytest.mark.parametrize(("written", "at"), [(4, 0), (-1, 0), (0, 5), (0, -1)])
def test_a_torn_write_must_be_one(written, at):
    with pytest.raises(ValueError, match=r"torn after 0 to 3|do not fit"):
        torn_write(b"\xff" * 8, b"abcd", at, written, random.Random(0))


@pytest.fixture
def image(tmp_path):
    return assemble_pflash(tmp_path / "flash.bin", config("wifi-only").build()).path


def test_an_image_is_changed_where_it_should_be(image):
    before = image.read_bytes()
    place = partition_place(read_table(image), "nvs")
    change = change_image(image, place, lambda content: corrupt(content, 3, random.Random(1)))
    after = image.read_bytes()
    assert [index for index in range(len(before)) if before[index] != after[index]] == change.changed
    assert len(change.changed) == 3
    assert all(place.offset <= offset < place.offset + place.size for offset in change.changed)
    assert (change.before, change.after) == (
        before[place.offset : place.offset + place.size],
        after[place.offset : place.offset + place.size],
    )


def test_a_change_that_changes_nothing_says_so():
    assert Change(0, b"same", b"same").changed == []


def test_places_outside_the_image(image):
    size = image.stat().st_size
    with pytest.raises(ValueError, match=r"is not within flash\.bin"):
        change_image(image, Place("end", size - 4, 8), erase)
    with pytest.raises(ValueError, match="would take the place"):
        change_image(image, Place("short", 0, 8), lambda _: b"")
    assert image.stat().st_size == size


def test_partitions_by_name(image, tmp_path):
    assert str(partition_place(STANDARD_TABLE, "nvs")) == "nvs (0x9000..0xf000)"
    assert partition_place(STANDARD_TABLE, "factory").offset == 0x20000
    with pytest.raises(ValueError, match="no partition 'ota' in the flash: nvs, otadata"):
        partition_place(STANDARD_TABLE, "ota")
    blank = tmp_path / "blank.bin"
    blank.write_bytes(b"\xff" * 0x1000)
    with pytest.raises(PartitionError, match="ends before"):
        read_table(blank)
