"""What the firmware's own NVS reader says of damage: each value is what it was, what it should become, or not there."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_nvs_in_c import DAMAGED, EMPTY, GOOD, Reader

from swarmrig.flash.damage import Rot, corrupt, erase, rot
from swarmrig.flash.keys import CSI_CFG, NvsType
from swarmrig.flash.matrix import config
from swarmrig.flash.nvs import NvsEntry
from swarmrig.flash.update import torn_update, update_bytes, update_writes, updated, with_values

repeatable = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
FULL = config("full-adr060")
PARTITION = FULL.build()
UPDATES = [NvsEntry(CSI_CFG, "node_id", NvsType.U8, 77), NvsEntry(CSI_CFG, "target_ip", NvsType.STRING, "172.16.200.1")]


def held(reader: Reader) -> dict:
    """What the firmware finds for the keys of the configuration."""
    return {
        "csi_channel": reader.uint(CSI_CFG, "csi_channel"),
        "filter_mac": reader.blob(CSI_CFG, "filter_mac"),
        "node_id": reader.uint(CSI_CFG, "node_id"),
        "target_ip": reader.string(CSI_CFG, "target_ip"),
        "target_port": reader.uint(CSI_CFG, "target_port"),
    }


def test_the_undamaged_partition(host_library):
    assert held(Reader(host_library, PARTITION)) == FULL.values


@repeatable
@given(st.sampled_from(UPDATES), st.data())
def test_a_torn_update_leaves_old_or_new_or_defaults(host_library, entry, data):
    writes = update_writes(PARTITION, entry)
    cut = data.draw(st.integers(0, update_bytes(writes) - 1))
    chance = random.Random(data.draw(st.integers(0, 1000)))
    reader = Reader(host_library, torn_update(PARTITION, writes, cut, chance))
    assert reader.state in (GOOD, DAMAGED)
    found = held(reader)
    if reader.state == DAMAGED:
        assert set(found.values()) == {None}
    else:
        assert found.pop(entry.key) in (FULL.values[entry.key], entry.value)
        assert found == {key: value for key, value in FULL.values.items() if key != entry.key}


@pytest.mark.parametrize("entry", UPDATES, ids=lambda entry: entry.key)
def test_a_whole_update_is_read(host_library, entry):
    for partition in (updated(PARTITION, update_writes(PARTITION, entry)), with_values(PARTITION, [entry])):
        assert held(Reader(host_library, partition)) == {**FULL.values, entry.key: entry.value}


@repeatable
@given(st.integers(1, 64), st.sampled_from(Rot), st.integers(0, 1000))
def test_rot_is_noticed_or_harmless(host_library, bits, way, seed):
    """States of entries have no checksum: a value may vanish with its entry, but never be another one."""
    reader = Reader(host_library, rot(PARTITION[:4096], bits, way, random.Random(seed)) + PARTITION[4096:])
    for key, value in held(reader).items():
        assert value in (None, FULL.values[key]), key


@repeatable
@given(st.integers(1, 4096), st.integers(0, 1000))
def test_corruption_is_noticed_or_harmless(host_library, count, seed):
    reader = Reader(host_library, corrupt(PARTITION, count, random.Random(seed)))
    for key, value in held(reader).items():
        assert value in (None, FULL.values[key]), key


def test_erased_is_empty(host_library):
    assert Reader(host_library, erase(PARTITION)).state == EMPTY
