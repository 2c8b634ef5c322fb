"""Every type of block of the pcapng format: round trips, damage, and what tshark says of the same bytes."""

from __future__ import annotations

import copy
import subprocess
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmrig.net.pcapng import PcapngReader
from swarmrig.net.pcapng_blocks import (
    IF_NAME,
    IF_TSOFFSET,
    IF_TSRESOL,
    OPT_COMMENT,
    Custom,
    EnhancedPacket,
    Interface,
    InterfaceStatistics,
    JournalEntry,
    NameRecord,
    NameResolution,
    ObsoletePacket,
    Option,
    Secrets,
    Section,
    SimplePacket,
    Unknown,
    encode,
)
from swarmrig.net.pcapng_reader import BlockReader, PcapngError, read_blocks

FRAME = bytes.fromhex("525400000001525400000002") + b"\x88\xb5" + b"payload" * 10
SNAP = 60
KNOWN = {1, 2, 3, 4, 5, 6, 9, 10, 0xBAD, 0x40000BAD, 0x0A0D0D0A}

OPTIONS = st.lists(st.builds(Option, st.integers(1, 0xFFFF), st.binary(max_size=30)), max_size=4).map(tuple)
DATA = st.binary(max_size=SNAP)
TICKS = st.integers(0, 2**64 - 1)
U32 = st.integers(0, 2**32 - 1)
WHOLE = st.binary(max_size=12).map(lambda data: data * 4)
PACKETS = st.one_of(
    st.builds(EnhancedPacket, st.just(0), TICKS, DATA, U32, OPTIONS),
    st.builds(lambda data: SimplePacket(data, len(data)), DATA),
    st.builds(ObsoletePacket, st.just(0), st.integers(0, 0xFFFF), TICKS, DATA, U32, OPTIONS),
)
OTHERS = st.one_of(
    st.builds(
        NameResolution, st.lists(st.builds(NameRecord, st.integers(1, 0xFFFF), DATA), max_size=3).map(tuple), OPTIONS
    ),
    st.builds(InterfaceStatistics, st.just(0), TICKS, OPTIONS),
    st.builds(Secrets, U32, DATA, OPTIONS),
    st.builds(JournalEntry, DATA.map(lambda data: data.rstrip(b"\0"))),
    st.builds(Custom, U32, WHOLE, st.booleans()),
    st.builds(Unknown, U32.filter(lambda kind: kind not in KNOWN), WHOLE),
)
BLOCKS = st.lists(PACKETS | OTHERS, max_size=12)
ORDERS = st.sampled_from("<>")
SECTIONS = st.lists(st.tuples(ORDERS, OPTIONS, BLOCKS), min_size=1, max_size=3)


def section(order, *blocks, options=()):
    """A section with one interface."""
    return [Section(order, options=options), Interface(1, SNAP, (), order), *blocks]


def written(blocks):
    data, order = [], "<"
    for block in blocks:
        order = block.byte_order if isinstance(block, Section) else order
        data.append(encode(block, order))
    return b"".join(data)


@given(sections=SECTIONS, cuts=st.lists(st.integers(0, 3000), max_size=6))
@settings(max_examples=150, deadline=None)
def test_all_blocks_round_trip_in_any_pieces(sections, cuts):
    blocks = [block for order, options, inner in sections for block in section(order, *inner, options=options)]
    data = written(blocks)
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    reader = BlockReader()
    found = [block for start, end in pairwise(edges) for block in reader.feed(data[start:end])]
    reader.finish()
    assert found == blocks


@given(sections=SECTIONS, at=st.integers(0, 5000), value=st.integers(0, 255))
@settings(max_examples=200, deadline=None)
def test_damage_raises_nothing_else(sections, at, value):
    data = bytearray(written(block for order, _, inner in sections for block in section(order, *inner)))
    data[at % len(data)] = value
    for reader in (BlockReader(), PcapngReader()):
        with suppress(PcapngError):
            reader.feed(bytes(data))


@given(st.sampled_from("<>"), st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_after_a_header_are_refused_or_waited_for(order, data):
    reader = BlockReader()
    with suppress(PcapngError):
        reader.feed(written(section(order)) + data)
        reader.finish()


ALL = [
    EnhancedPacket(0, 1_700_000_000_000_000, FRAME[:SNAP], len(FRAME), (Option(OPT_COMMENT, "grüß".encode()),)),
    SimplePacket(FRAME[:SNAP], len(FRAME)),
    ObsoletePacket(0, 3, 1_700_000_001_000_000, FRAME[:40], len(FRAME)),
    NameResolution((NameRecord(1, bytes((10, 0, 0, 1)) + b"host\0"),)),
    InterfaceStatistics(0, 5),
    JournalEntry(b"__REALTIME_TIMESTAMP=1\nMESSAGE=x\n"),
    Custom(32473, b"abcdefgh"),
    Custom(32473, b"abcdefgh", copied=False),
    Secrets(0x544C534B, b"CLIENT_RANDOM x"),
    Unknown(0x77, b"abcd"),
    EnhancedPacket(0, 1_700_000_002_000_000, FRAME[:SNAP], len(FRAME)),
]


@pytest.mark.parametrize("orders", ["<", ">", "<>", "><>"])
def test_tshark_says_the_same_of_all_blocks(tmp_path, orders):
    path = tmp_path / "all.pcapng"
    data = written(block for order in orders for block in section(order, *ALL))
    path.write_bytes(data)
    fields = ("frame.number", "frame.time_epoch", "frame.cap_len", "frame.comment", "eth.src")
    command = ["tshark", "-r", str(path), "-T", "fields", *(word for name in fields for word in ("-e", name))]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert rows[-1][0] == str(7 * len(orders))  # journal and custom blocks count as well
    frames = PcapngReader().feed(data)
    assert [row[0] for row in rows if row[4]] == [str(packet.number) for packet in frames]
    assert [(row[1] or "0.000000000", row[2], row[3]) for row in rows if row[4]] == [
        (f"{p.t_ns // 10**9}.{p.t_ns % 10**9:09}", str(len(p.data)), p.comment or "") for p in frames
    ]


@pytest.mark.parametrize("order", "<>")
def test_interfaces_of_several_sections_have_numbers_of_their_own(tmp_path, order):
    path = tmp_path / "two.pcapng"
    named = Interface(1, 0, (Option(IF_NAME, b"eth7"), Option(IF_TSRESOL, b"\x09")), order)
    data = written([Section(order), named, named, EnhancedPacket(1, 5, FRAME, len(FRAME)), *section(order, ALL[0])])
    path.write_bytes(data)
    result = subprocess.run(["capinfos", "-T", "-r", "-c", str(path)], capture_output=True, text=True, check=True)
    assert result.stdout.split()[-1] == "2"
    reader = PcapngReader()
    assert [packet.interface for packet in reader.feed(data)] == [1, 2]
    assert reader.interfaces == ["eth7", "eth7", ""]


def test_dumpcaps_own_files_are_read(tmp_path):
    """What Wireshark's tools write, with name records and comments, comes back as it went in."""
    made, comments = tmp_path / "made.pcapng", tmp_path / "comments.pcapng"
    text = "0000 " + " ".join(f"{byte:02x}" for byte in FRAME) + "\n"
    subprocess.run(["text2pcap", "-q", "-F", "pcapng", "-N", "eth9", "-", str(made)], input=text, text=True, check=True,
                   capture_output=True)  # fmt: skip
    subprocess.run(["editcap", "-F", "pcapng", "-a", "1:seen", "--capture-comment", "whole", str(made), str(comments)],
                   check=True, capture_output=True)  # fmt: skip
    begin, interface, packet = read_blocks(comments)
    assert Option(OPT_COMMENT, b"whole") in begin.options
    assert interface.name == "eth9"
    assert (packet.data, packet.options) == (FRAME, (Option(OPT_COMMENT, b"seen"),))


@pytest.mark.parametrize("kind", ["pcap", "nsecpcap", "modpcap"])
def test_the_command_that_converts_classic_pcap_works(tmp_path, kind):
    old, new = tmp_path / "old.pcap", tmp_path / "new.pcapng"
    new.write_bytes(written(section("<", ALL[0])))
    subprocess.run(["editcap", "-F", kind, str(new), str(old)], check=True, capture_output=True)
    with pytest.raises(PcapngError, match=r"old\.pcap: this is classic pcap.*editcap -F pcapng") as refused:
        list(read_blocks(old))
    words = str(refused.value).split("convert it with: ")[1]
    command = words.replace("OLD.pcap", str(old)).replace("NEW.pcapng", str(new)).split()
    subprocess.run(command, check=True, capture_output=True)
    assert [block.data for block in read_blocks(new) if isinstance(block, EnhancedPacket)] == [FRAME[:SNAP]]


def test_times_have_the_units_and_the_offset_of_their_interface():
    def times(order, resolution, offset=None):
        value = (
            () if offset is None else (Option(IF_TSOFFSET, offset.to_bytes(8, "little" if order == "<" else "big")),)
        )
        options = ((Option(IF_TSRESOL, bytes((resolution,))),) if resolution is not None else ()) + value
        blocks = [Section(order), Interface(1, 0, options, order), EnhancedPacket(0, 3, FRAME, 84)]
        (packet,) = PcapngReader().feed(written(blocks))
        return packet.t_ns

    assert times(">", None) == 3000
    assert times("<", 9, 7) == 7_000_000_003
    assert times(">", 0, 7) == 10_000_000_000
    assert times(">", 0x81) == 1_500_000_000


def test_a_growing_capture_can_be_read_by_two_from_some_point_on():
    data = written(section(">", ALL[0], ALL[-1]))
    reader = PcapngReader()
    assert len(reader.feed(data[:-20])) == 1
    other = copy.deepcopy(reader)
    assert reader.feed(data[-20:]) == other.feed(data[-20:]) != []


HEAD = written(section("<"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"GIF8", "no section header, but 47494638"),
        (b"\x1f\x8b\x08\x00" * 8, "compressed by gzip"),
        (HEAD[:-3], "cut short: 17 bytes"),
        (encode(Section(major=2)), r"version 2\.0"),
        (HEAD + encode(ALL[0]._replace(interface=1)), "packet of 60 bytes on interface 1"),
        (HEAD + encode(ALL[2]._replace(interface=1)), "on interface 1"),
        (HEAD + encode(InterfaceStatistics(2, 5)), "statistics of interface 2"),
        (encode(Section()) + encode(ALL[1]), "without interfaces"),
        (HEAD + encode(SimplePacket(b"abc", 50)), "simple packet of 50 bytes"),
        (encode(Section()) + encode(Interface(1, 0, (Option(IF_TSRESOL, b""),))), "if_tsresol"),
        (HEAD + encode(Unknown(6, bytes(12))), "too short"),
        (HEAD + encode(Unknown(4, b"\x01\x00\x00\x01")), "name record of 256 bytes"),
        (HEAD + encode(Unknown(10, b"KLST\xff\x00\x00\x00")), "secrets of 255 bytes"),
        (HEAD + encode(Unknown(5, bytes(4))), "block of type 5 is too short"),
    ],
)
def test_the_reason_is_said(tmp_path, data, message):
    path = tmp_path / "wrong.pcapng"
    path.write_bytes(data)
    with pytest.raises(PcapngError, match=rf"wrong\.pcapng: .*{message}"):
        list(read_blocks(path))


@pytest.mark.parametrize(
    "block",
    [EnhancedPacket(-1, 0, b"", 0), EnhancedPacket(0, 1 << 64, b"", 0), Custom(1, b"abc"), Unknown(7, bytes(1 << 24))],
)
def test_what_no_block_can_hold_is_not_written(block):
    with pytest.raises(ValueError, match=type(block).__name__):
        encode(block)
