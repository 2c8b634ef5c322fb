"""The CSI codec against the format's own words, byte by byte."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmrig.wire.csi import Csi, channel_to_frequency, frequency_to_channel
from swarmrig.wire.malformed import Malformed, MalformedError

EXAMPLE = Csi(7, 2, 3, 2437, 0x01020304, -55, -92, bytes(range(12)))
EXAMPLE_BYTES = bytes.fromhex("010011c5 07 02 0300 85090000 04030201 c9 a4 0000 000102030405060708090a0b")

u8 = st.integers(0, 255)
u32 = st.integers(0, 2**32 - 1)
i8 = st.integers(-128, 127)


@st.composite
def csi_frames(draw: st.DrawFn) -> Csi:
    antennas, subcarriers = draw(st.integers(0, 4)), draw(st.integers(0, 64))
    size = 2 * antennas * subcarriers
    return Csi(
        draw(u8), antennas, subcarriers, draw(u32), draw(u32), draw(i8), draw(i8),
        draw(st.binary(min_size=size, max_size=size)),
    )  # fmt: skip


def test_the_example_packs_to_the_bytes_of_the_format() -> None:
    assert EXAMPLE.pack() == EXAMPLE_BYTES


def test_the_bytes_of_the_format_parse_to_the_example() -> None:
    assert Csi.parse(EXAMPLE_BYTES) == EXAMPLE
    assert Csi.parse(memoryview(EXAMPLE_BYTES)) == EXAMPLE  # type: ignore[arg-type]


@given(csi_frames())
def test_what_is_packed_parses_back(csi: Csi) -> None:
    assert Csi.parse(csi.pack()) == csi


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda b: b[:19], Malformed.CSI_SHORT),
        (lambda b: b"", Malformed.CSI_SHORT),
        (lambda b: b"\x02" + b[1:], Malformed.MESSAGE_MAGIC),
        (lambda b: b[:-1], Malformed.CSI_LENGTH),
        (lambda b: b + b"\0", Malformed.CSI_LENGTH),
        (lambda b: b[:6] + struct.pack("<H", 4) + b[8:], Malformed.CSI_LENGTH),
        (lambda b: b[:6] + struct.pack("<H", 513) + b[8:], Malformed.CSI_SUBCARRIERS),
        (lambda b: b[:18] + b"\x01\x00" + b[20:], Malformed.CSI_RESERVED),
    ],
)
def test_each_deviation_has_its_reason(change: object, reason: Malformed) -> None:
    with pytest.raises(MalformedError) as caught:
        Csi.parse(change(EXAMPLE_BYTES))  # type: ignore[operator]
    assert caught.value.reason is reason


def test_512_subcarriers_are_the_most() -> None:
    assert len(Csi(0, 1, 512, 2412, 0, 0, 0, bytes(1024)).pack()) == 20 + 1024
    with pytest.raises(ValueError, match="512"):
        Csi(0, 1, 513, 2412, 0, 0, 0, bytes(1026)).pack()


def test_a_frame_without_samples_is_a_header() -> None:
    assert Csi.parse(Csi(3, 1, 0, 2437, 9, -1, -2, b"").pack()).subcarriers == 0


@pytest.mark.parametrize(
    "csi",
    [
        Csi(256, 1, 0, 2412, 0, 0, 0, b""),
        Csi(0, 1, 0, 2412, 2**32, 0, 0, b""),
        Csi(0, 1, 0, 2412, 0, -129, 0, b""),
        Csi(0, 1, 1, 2412, 0, 0, 0, b"x"),
    ],
)
def test_fields_that_cannot_be_packed_are_refused(csi: Csi) -> None:
    with pytest.raises(ValueError, match=r"range|expected"):
        csi.pack()


@pytest.mark.parametrize(
    ("channel", "mhz"), [(1, 2412), (6, 2437), (11, 2462), (13, 2472), (14, 2484), (36, 5180), (177, 5885)]
)
def test_channels_have_their_frequency(channel: int, mhz: int) -> None:
    assert channel_to_frequency(channel) == mhz
    assert frequency_to_channel(mhz) == channel


@pytest.mark.parametrize("channel", [0, -1, 15, 35, 178])
def test_other_numbers_are_no_channel(channel: int) -> None:
    with pytest.raises(ValueError, match="channel"):
        channel_to_frequency(channel)


@pytest.mark.parametrize("mhz", [0, 2411, 2413, 2477, 5179, 5181, 5890])
def test_other_frequencies_have_no_channel(mhz: int) -> None:
    assert frequency_to_channel(mhz) is None
