"""The firmware's writes to NVS, byte by byte: whenever the power goes, the next boot finds the old value or the new
one, and an independent reader agrees."""

import ctypes

import pytest
from refnode_virtual import FLASH_BYTES, NVS_OFFSET, NVS_SIZE, build_nvs, flash_image
from test_nvs_in_c import EMPTY, GOOD, Nvs

from swarmrig.flash.reader import read_nvs

PAGE = 4096
ENTRIES_OF_FIVE_PAGES = 5 * 126


class Flash:
    """The host's flash, and the firmware's own NVS code on it."""

    def __init__(self, library, partition: bytes):
        self.lib = ctypes.CDLL(str(library))
        self.lib.nvs_put_uint.restype = ctypes.c_char_p
        self.lib.nvs_get_uint.restype = ctypes.c_bool
        self.lib.host_cut_power_after(ctypes.c_size_t(2**64 - 1))
        self.lib.host_set_flash(flash_image(partition), ctypes.c_size_t(FLASH_BYTES))
        base = ctypes.c_void_p.in_dll(self.lib, "hal_flash").value
        self.address = base + NVS_OFFSET
        self.nvs = self.open()

    def open(self) -> Nvs:
        nvs = Nvs()
        self.lib.nvs_open(ctypes.byref(nvs), ctypes.c_void_p(self.address), ctypes.c_size_t(NVS_SIZE))
        return nvs

    def put(self, value: int, *, key: str = "writes", power: int | None = None) -> str | None:
        """Write; the power goes after so many bytes."""
        self.lib.host_cut_power_after(ctypes.c_size_t(2**64 - 1 if power is None else power))
        problem = self.lib.nvs_put_uint(ctypes.byref(self.nvs), b"refnode", key.encode(), ctypes.c_uint32(value))
        self.lib.host_cut_power_after(ctypes.c_size_t(2**64 - 1))
        return problem.decode() if problem else None

    def get(self, key: str = "writes", space: str = "refnode") -> int | None:
        value = ctypes.c_uint32()
        found = self.lib.nvs_get_uint(
            ctypes.byref(self.nvs), space.encode(), key.encode(), ctypes.c_uint32(2**32 - 1), ctypes.byref(value)
        )
        return value.value if found else None

    @property
    def partition(self) -> bytes:
        return ctypes.string_at(self.address, NVS_SIZE)

    def independent(self) -> dict[str, object]:
        contents = read_nvs(self.partition)
        assert contents.problems == ()
        return {f"{entry.namespace}.{entry.key}": entry.value for entry in contents.entries}


@pytest.fixture
def flash(host_library):
    return lambda partition=build_nvs(node_id=7): Flash(host_library, partition)


def test_a_value_is_written_and_replaced(flash):
    nvs = flash()
    for value in (1, 2, 2**32 - 1):
        assert nvs.put(value) is None
        assert nvs.get() == value
        assert nvs.open().state == GOOD
        assert nvs.independent() == {"csi_cfg.node_id": 7, "refnode.writes": value}
    assert nvs.put(5, key="other") is None
    assert nvs.independent() == {"csi_cfg.node_id": 7, "refnode.writes": 2**32 - 1, "refnode.other": 5}


def test_an_empty_partition_is_begun(flash):
    nvs = flash(b"\xff" * NVS_SIZE)
    assert nvs.open().state == EMPTY
    assert nvs.put(1) is None
    assert nvs.open().state == GOOD
    assert nvs.independent() == {"refnode.writes": 1}


def test_pages_follow_each_other_until_one_is_left(flash):
    nvs = flash()
    done = 0
    while (problem := nvs.put(done + 1)) is None:
        done += 1
    assert problem == "no room"
    assert ENTRIES_OF_FIVE_PAGES - 10 < done < ENTRIES_OF_FIVE_PAGES
    assert nvs.open().state == GOOD
    assert nvs.independent() == {"csi_cfg.node_id": 7, "refnode.writes": done}
    assert nvs.partition[5 * PAGE :] == b"\xff" * PAGE


def test_nothing_is_written_to_a_damaged_partition(flash):
    partition = bytearray(build_nvs(node_id=7))
    partition[100] ^= 1
    nvs = flash(bytes(partition))
    assert nvs.put(1) == "NVS is damaged"
    assert nvs.partition == partition


def cut_at(nvs: Flash, power: int, old: int | None, new: int) -> bool:
    """Cut one write there and boot; whether it was complete."""
    problem = nvs.put(new, power=power)
    after = nvs.open()
    assert after.state in (GOOD, EMPTY)
    nvs.nvs = after
    assert nvs.get() in (old, new)
    if problem is None:
        assert nvs.get() == new
        assert after.torn == 0
    return problem is None


@pytest.mark.parametrize("before", [0, 1, 123, 124])
def test_a_cut_at_every_byte_leaves_the_old_value_or_the_new(flash, before):
    """The first write makes a namespace too; at the end of a page one begins the next."""
    power, complete, torn = 0, False, set()
    while not complete:
        nvs = flash()
        for value in range(1, before + 1):
            assert nvs.put(value) is None
        complete = cut_at(nvs, power, before or None, before + 1)
        torn.add(nvs.nvs.torn > 0)
        assert nvs.get("node_id", "csi_cfg") == 7
        assert nvs.put(1000) is None  # and the next write succeeds
        assert nvs.get() == 1000
        assert nvs.open().state == GOOD
        assert nvs.independent() == {"csi_cfg.node_id": 7, "refnode.writes": 1000}
        power += 1
    assert torn == {False, True}
    assert power > 33


def test_the_command_writes_one_after_the_other_and_the_next_boot_knows(swarm, host_library):
    device = swarm.add("n", 1, target_ip="10.0.0.1")
    swarm.run_for(0.1)
    swarm.type("n", "flash-write 3")
    swarm.run_for(0.025)
    assert device.lines("flash: write") == [
        "I (110) flash: write 1 of 3 done, writes=1",
        "I (120) flash: write 2 of 3 done, writes=2",
    ]
    swarm.run_for(1)
    assert device.lines("flash: write")[2:] == ["I (130) flash: write 3 of 3 done, writes=3"]
    assert "flash_writes=3" in swarm.type("n", "stats")

    device.lib.host_cut_power_after(ctypes.c_size_t(20))
    swarm.type("n", "flash-write 9")
    swarm.run_for(1)
    assert device.lines("flash: write")[3:] == ["E (1135) flash: write 1 of 9 failed: flash error"]
    base = ctypes.c_void_p.in_dll(device.lib, "hal_flash").value
    again = swarm.add("again", 2, boot_us=swarm.now_us, flash=ctypes.string_at(base, FLASH_BYTES))
    swarm.run_for(0.1)
    assert again.lines("nvs:") == [
        "W (0) nvs: NVS write was cut off (page 0 entry 14), using what was there before",
        "I (0) nvs: writes=3",
    ]


def test_a_damaged_partition_refuses_the_command(swarm):
    device = swarm.add("n", 1, flash=flash_image(b"\0" * NVS_SIZE))
    swarm.run_for(0.1)
    swarm.type("n", "flash-write 2")
    swarm.run_for(1)
    assert device.lines("flash: write") == ["E (110) flash: write 1 of 2 failed: NVS is damaged"]
