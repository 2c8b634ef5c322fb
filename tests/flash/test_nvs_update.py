"""Changes of NVS: made anew they hold what they should; torn at any byte they hold the old value or the new one."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmrig.flash.keys import CSI_CFG, NvsType
from swarmrig.flash.matrix import config
from swarmrig.flash.nvs import NVS_SIZE, NvsEntry, NvsError, build_nvs, entries_from_values
from swarmrig.flash.reader import read_nvs
from swarmrig.flash.update import torn_update, update_bytes, update_writes, updated, with_values

FULL = config("full-adr060")
SLOT = NvsEntry(CSI_CFG, "node_id", NvsType.U8, 77)


def values(partition: bytes) -> dict:
    return read_nvs(partition).values[CSI_CFG]


def test_a_partition_is_made_anew_with_a_value_replaced_and_one_added():
    entries = entries_from_values({CSI_CFG: {"node_id": 9, "edge_tier": 2}})
    made = with_values(FULL.build(), entries)
    assert read_nvs(made).problems == ()
    assert values(made) == {**FULL.values, "node_id": 9, "edge_tier": 2}


def test_nothing_is_built_on_damage():
    with pytest.raises(NvsError, match="NVS is damaged already"):
        with_values(config("corrupt-nvs").build(), [SLOT])


@given(st.integers(0, 255))
def test_firmware_s_way_leads_to_the_same_values(number):
    entry = NvsEntry(CSI_CFG, "node_id", NvsType.U8, number)
    partition = FULL.build()
    after = updated(partition, update_writes(partition, entry))
    assert read_nvs(after).problems == ()
    assert values(after) == {**FULL.values, "node_id": number}
    assert sum(page.erased for page in read_nvs(after).pages) == 1


@given(st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=120))
def test_long_values_too(text):
    entry = NvsEntry(CSI_CFG, "target_ip", NvsType.STRING, text)
    partition = FULL.build()
    after = updated(partition, update_writes(partition, entry))
    assert read_nvs(after).problems == ()
    assert values(after)["target_ip"] == text


def test_a_key_that_was_not_there():
    partition = FULL.build()
    after = updated(partition, update_writes(partition, NvsEntry(CSI_CFG, "edge_tier", NvsType.U8, 1)))
    assert values(after) == {**FULL.values, "edge_tier": 1}


def test_updates_follow_each_other_until_the_page_is_full():
    partition = FULL.build()
    with pytest.raises(NvsError, match="no page of NVS has room"):
        for number in range(200):
            partition = updated(partition, update_writes(partition, NvsEntry(CSI_CFG, "node_id", NvsType.U8, number)))
    assert read_nvs(partition).problems == ()
    assert number > 100 and values(partition)["node_id"] == number - 1


@given(st.sampled_from([SLOT, NvsEntry(CSI_CFG, "target_ip", NvsType.STRING, "192.168.111.111")]), st.data())
def test_torn_at_any_byte_the_other_values_stay_as_far_as_checksums_vouch(entry, data):
    partition = FULL.build()
    writes = update_writes(partition, entry)
    cut = data.draw(st.integers(0, update_bytes(writes) - 1))
    torn = torn_update(partition, writes, cut, random.Random(data.draw(st.integers(0, 1000))))
    found = values(torn)
    assert found[entry.key] in (FULL.values[entry.key], entry.value)
    assert {key: value for key, value in found.items() if key != entry.key} == {
        key: value for key, value in FULL.values.items() if key != entry.key
    }


def test_a_cut_behind_the_last_byte_is_none():
    partition = FULL.build()
    writes = update_writes(partition, SLOT)
    with pytest.raises(ValueError, match="complete by then"):
        torn_update(partition, writes, update_bytes(writes), random.Random(0))


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (NvsEntry(CSI_CFG, "filter_mac", NvsType.BLOB, b"123456"), "is a blob"),
        (NvsEntry("nowhere", "node_id", NvsType.U8, 1), "no namespace nowhere"),
    ],
)
def test_updates_that_are_not_known(entry, reason):
    with pytest.raises(NvsError, match=reason):
        update_writes(FULL.build(), entry)


def test_an_empty_partition_has_no_namespace():
    with pytest.raises(NvsError, match="no namespace"):
        update_writes(build_nvs([], NVS_SIZE), SLOT)
