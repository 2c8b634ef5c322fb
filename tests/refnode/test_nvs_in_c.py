"""The firmware's NVS and partition table readers, against partitions made by ESP-IDF's own generator."""

import ctypes
import io
import struct
import zlib

import pytest
from esp_idf_nvs_partition_gen import nvs_partition_gen as generator
from hypothesis import given, settings
from hypothesis import strategies as st
from refnode_virtual import build_nvs

GOOD, EMPTY, DAMAGED = range(3)
PAGE, ENTRY = 4096, 32
KEYS = st.text("abcdefghijklmnopqrstuvwxyz_0123456789", min_size=1, max_size=15)


class Nvs(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("state", ctypes.c_int),
        ("reason", ctypes.c_char_p),
        ("place", ctypes.c_uint32),
        ("torn", ctypes.c_uint32),
        ("torn_place", ctypes.c_uint32),
    )


class Reader:
    def __init__(self, library, image: bytes):
        self.lib = ctypes.CDLL(str(library))
        for name in ("nvs_get_uint", "nvs_get_string", "nvs_get_blob"):
            getattr(self.lib, name).restype = ctypes.c_bool
        self.image, self.nvs = ctypes.create_string_buffer(image, len(image)), Nvs()
        self.lib.nvs_open(ctypes.byref(self.nvs), self.image, ctypes.c_size_t(len(image)))

    @property
    def state(self) -> int:
        return self.nvs.state

    @property
    def reason(self) -> str:
        return self.nvs.reason.decode()

    def uint(self, space: str, key: str, maximum: int = 2**32 - 1) -> int | None:
        value = ctypes.c_uint32()
        found = self.lib.nvs_get_uint(
            ctypes.byref(self.nvs), space.encode(), key.encode(), ctypes.c_uint32(maximum), ctypes.byref(value)
        )
        return value.value if found else None

    def string(self, space: str, key: str, capacity: int = 4096) -> str | None:
        value = ctypes.create_string_buffer(capacity)
        found = self.lib.nvs_get_string(
            ctypes.byref(self.nvs), space.encode(), key.encode(), value, ctypes.c_size_t(capacity)
        )
        return value.value.decode() if found else None

    def blob(self, space: str, key: str, capacity: int = 20000) -> bytes | None:
        value, length = ctypes.create_string_buffer(capacity), ctypes.c_size_t()
        found = self.lib.nvs_get_blob(
            ctypes.byref(self.nvs), space.encode(), key.encode(), value, ctypes.c_size_t(capacity), ctypes.byref(length)
        )
        return value.raw[: length.value] if found else None


def generate(entries, size: int = 0x6000, version=generator.Page.VERSION2) -> bytes:
    """A partition of (namespace, key, encoding, value) entries."""
    buffer, space = io.BytesIO(), None
    nvs = generator.nvs_open(buffer, size - PAGE, version)
    for namespace, key, encoding, value in entries:
        if namespace != space:
            generator.write_entry(nvs, namespace, "namespace", "", "")
            space = namespace
        generator.write_entry(nvs, key, "data", encoding, str(value))
    generator.nvs_close(nvs)
    return buffer.getvalue()


def reseal(image: bytearray, entry: int) -> None:
    """Give an entry of page 0 the checksum that fits its bytes."""
    at = 64 + entry * ENTRY
    crc = zlib.crc32(image[at : at + 4] + image[at + 8 : at + 32], 0xFFFFFFFF)
    image[at + 4 : at + 8] = struct.pack("<I", crc)


def mark(image: bytearray, entry: int, state: int) -> None:
    """Set an entry's state in the bitmap of page 0."""
    image[32 + entry // 4] = image[32 + entry // 4] & ~(3 << entry % 4 * 2) | state << entry % 4 * 2


@pytest.mark.parametrize(
    ("encoding", "value"),
    [("u8", 0), ("u8", 255), ("u16", 65535), ("u32", 2**32 - 1), ("i8", 127), ("i16", 5), ("i32", 2**31 - 1),
     ("u64", 77), ("i64", 2**32 - 1)],
)  # fmt: skip
def test_integers_of_every_width(host_library, encoding, value):
    reader = Reader(host_library, generate([("a", "key", encoding, value)]))
    assert reader.state == GOOD
    assert reader.uint("a", "key") == value


@pytest.mark.parametrize(
    ("encoding", "value", "maximum"),
    [("i8", -1, 255), ("i64", -5, 2**32 - 1), ("u16", 256, 255), ("u64", 2**32, 2**32 - 1)],
)
def test_integers_out_of_range_are_refused(host_library, encoding, value, maximum):
    assert Reader(host_library, generate([("a", "key", encoding, value)])).uint("a", "key", maximum) is None


def test_absent_and_mistyped_keys(host_library):
    reader = Reader(host_library, generate([("a", "text", "string", "5"), ("b", "n", "u8", 5)]))
    assert reader.uint("a", "text") is None
    assert reader.string("b", "n") is None
    assert reader.blob("b", "n") is None
    assert reader.uint("b", "m") is None
    assert reader.uint("a", "n") is None  # the key of another namespace
    assert reader.uint("c", "n") is None


def test_strings_and_their_limits(host_library):
    reader = Reader(host_library, generate([("a", "s", "string", "x" * 30), ("a", "empty", "string", "")]))
    assert reader.string("a", "s", 31) == "x" * 30
    assert reader.string("a", "s", 30) is None
    assert reader.string("a", "empty") == ""


@pytest.mark.parametrize("size", [1, 6, 31, 32, 33, 4000, 9000])
def test_blobs_also_over_several_pages(host_library, size):
    data = bytes(n * 7 % 251 for n in range(size))
    reader = Reader(
        host_library, generate([("a", "n", "u8", 9), ("a", "blob", "hex2bin", data.hex()), ("a", "m", "u8", 8)])
    )
    assert reader.state == GOOD
    assert reader.blob("a", "blob") == data
    assert reader.blob("a", "blob", size - 1) is None
    assert (reader.uint("a", "n"), reader.uint("a", "m")) == (9, 8)


def test_blobs_of_the_first_format(host_library):
    image = generate([("a", "blob", "hex2bin", "00112233")], version=generator.Page.VERSION1)
    assert Reader(host_library, image).blob("a", "blob") == bytes.fromhex("00112233")


@given(
    st.dictionaries(
        KEYS,
        st.one_of(st.integers(0, 2**32 - 1), st.binary(min_size=1, max_size=300), st.text("abc äö", max_size=60)),
        max_size=40,
    )
)
@settings(max_examples=60, deadline=None)
def test_what_the_generator_writes_is_read(host_library, values):
    encodings = {int: "u32", bytes: "hex2bin", str: "string"}
    entries = [("space", key, encodings[type(v)], v.hex() if isinstance(v, bytes) else v) for key, v in values.items()]
    reader = Reader(host_library, generate(entries))
    assert reader.state == GOOD
    read = {int: reader.uint, bytes: reader.blob, str: reader.string}
    for key, value in values.items():
        assert read[type(value)]("space", key) == value


def test_an_erased_partition_is_empty(host_library):
    reader = Reader(host_library, b"\xff" * 0x6000)
    assert reader.state == EMPTY
    assert reader.uint("csi_cfg", "node_id") is None


@pytest.mark.parametrize("size", [0, 100, 4097])
def test_sizes_that_are_no_pages(host_library, size):
    reader = Reader(host_library, b"\xff" * size)
    assert (reader.state, reader.reason) == (DAMAGED, "partition size")


def test_every_flipped_bit_of_what_is_written_is_noticed_or_harmless(host_library):
    image = build_nvs(node_id=3, target_ip="10.0.2.2", filter_mac="aabbccddeeff")
    used = 64 + 9 * ENTRY
    for bit in range(used * 8):
        damaged = bytearray(image)
        damaged[bit // 8] ^= 1 << bit % 8
        reader = Reader(host_library, bytes(damaged))
        if reader.state == DAMAGED:
            assert reader.uint("csi_cfg", "node_id") is None  # nothing of it is used
            continue
        # A full page is as good as an active one; a bit of the bitmap can make an entry look erased; nothing else
        # of the header and only unused bytes behind a value can change unnoticed.
        assert bit == 1 or bit // 8 >= 32
        assert reader.uint("csi_cfg", "node_id") in (3, None)
        assert reader.string("csi_cfg", "target_ip") in ("10.0.2.2", None)
        assert reader.blob("csi_cfg", "filter_mac") in (bytes.fromhex("aabbccddeeff"), None)


def damages():
    def change(name, reason, edit):
        return pytest.param(edit, reason, id=name)

    def span(image, value):
        image[64 + ENTRY + 2] = value
        reseal(image, 1)

    def unterminated_key(image):
        image[64 + ENTRY + 8 : 64 + ENTRY + 24] = b"k" * 16
        reseal(image, 1)

    def entry_type(image, value):
        image[64 + ENTRY + 1] = value
        reseal(image, 1)

    return [
        change("page state", "page state", lambda i: i.__setitem__(slice(0, 4), b"\xf0\xff\xff\xff")),
        change("header", "CRC of a page header", lambda i: i.__setitem__(4, 9)),
        change("entry", "CRC of an entry", lambda i: i.__setitem__(64 + ENTRY + 24, 0x55)),
        change("span 0", "span of an entry", lambda i: span(i, 0)),
        change("span too long", "span of an entry", lambda i: span(i, 127)),
        change("span into nothing", "entry state in a span", lambda i: span(i, 9)),
        change("unknown type", "type of an entry", lambda i: entry_type(i, 0x77)),
        change("key", "unterminated key", unterminated_key),
        change("illegal state", "entry state", lambda i: mark(i, 1, 1)),
        change("hole in a span", "entry state in a span", lambda i: mark(i, 3, 3)),
        change("value", "CRC of a value", lambda i: i.__setitem__(64 + 3 * ENTRY, 0x55)),
        change("junk behind", "data in an empty page", lambda i: i.__setitem__(-1, 0)),
    ]


@pytest.mark.parametrize(("edit", "reason"), damages())
def test_damage_is_named(host_library, edit, reason):
    image = bytearray(generate([("a", "n", "u8", 5), ("a", "s", "string", "hello")]))
    edit(image)
    reader = Reader(host_library, bytes(image))
    assert (reader.state, reader.reason) == (DAMAGED, reason)


def test_a_blob_without_one_of_its_chunks_is_damage(host_library):
    image = bytearray(generate([("a", "blob", "hex2bin", "11" * 40)]))
    for entry in (1, 2, 3):
        mark(image, entry, 0)
    reader = Reader(host_library, bytes(image))
    assert (reader.state, reader.reason) == (DAMAGED, "incomplete blob")


def test_an_erased_entry_is_not_read(host_library):
    image = bytearray(generate([("a", "n", "u8", 5), ("a", "m", "u8", 6)]))
    mark(image, 1, 0)
    reader = Reader(host_library, bytes(image))
    assert reader.state == GOOD
    assert (reader.uint("a", "n"), reader.uint("a", "m")) == (None, 6)


@pytest.mark.parametrize("newer_first", [False, True])
def test_of_two_values_the_page_written_last_counts(host_library, newer_first):
    old, new = (generate([("a", "n", "u8", value)], size=0x3000)[:PAGE] for value in (5, 6))
    new = bytearray(new)
    new[4:8] = struct.pack("<I", 1)
    new[28:32] = struct.pack("<I", zlib.crc32(new[4:28], 0xFFFFFFFF))
    pages = [bytes(new), old] if newer_first else [old, bytes(new)]
    assert Reader(host_library, b"".join(pages)).uint("a", "n") == 6


@given(st.binary(max_size=2000), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_noise_with_a_good_header_is_survived(host_library, noise, sequence):
    head = struct.pack("<IIB", 0xFFFFFFFE, sequence, 0xFE) + b"\xff" * 19
    page = head + struct.pack("<I", zlib.crc32(head[4:], 0xFFFFFFFF)) + noise[32:]
    reader = Reader(host_library, page.ljust(PAGE, b"\xaa"))
    assert reader.state in (GOOD, DAMAGED)


def partition(kind: int, subtype: int, offset: int, size: int) -> bytes:
    return struct.pack("<HBBII16sI", 0x50AA, kind, subtype, offset, size, b"name", 0)


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([partition(1, 2, 0x9000, 0x6000)], (0x9000, 0x6000)),
        ([partition(0, 0, 0x20000, 0x1000), partition(1, 2, 0xA000, 0x4000)], (0xA000, 0x4000)),
        ([b"\xeb\xeb" + b"\xff" * 30, partition(1, 2, 0x9000, 0x6000)], None),  # behind the end
        ([partition(1, 2, 0xF000, 0x6000)], None),  # beyond the flash
        ([partition(1, 2, 0xFFFFF000, 0x2000)], None),
        ([partition(1, 0, 0x9000, 0x2000)], None),  # ota data
        ([], None),
    ],
)
def test_the_partition_table(host_library, entries, expected):
    flash = bytearray(b"\xff" * 0x10000)
    table = b"".join(entries)
    flash[0x8000 : 0x8000 + len(table)] = table
    found = (ctypes.c_uint32 * 2)()
    library = ctypes.CDLL(str(host_library))
    library.partition_find_nvs.restype = ctypes.c_bool
    result = library.partition_find_nvs(bytes(flash), ctypes.c_size_t(len(flash)), found)
    assert (tuple(found) if result else None) == expected
