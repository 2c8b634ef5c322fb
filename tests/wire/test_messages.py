"""Vitals and TDM messages: exact bytes, round trips, reasons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmrig.wire import tdm
from swarmrig.wire.malformed import Malformed, MalformedError
from swarmrig.wire.tdm import Beacon, SyncRequest, SyncResponse
from swarmrig.wire.vitals import Vitals

u8 = st.integers(0, 2**8 - 1)
u16 = st.integers(0, 2**16 - 1)
u32 = st.integers(0, 2**32 - 1)
u64 = st.integers(0, 2**64 - 1)
f32 = st.floats(width=32, allow_nan=False)

VITALS = Vitals(2, 3, 1500, 720000, -48, 1, 0.5, 2.0, 12345)
VITALS_BYTES = bytes.fromhex("020011c5 02 03 dc05 80fc0a00 d0 01 0000 0000003f 00000040 39300000 00000000")
BEACON = Beacon(1, 3, 0x11223344, 50_000, 0x0102030405060708)
BEACON_BYTES = bytes.fromhex("100011c5 01 01 03 00 44332211 50c30000 0807060504030201")
REQUEST = SyncRequest(5, 0x0102030405060708)
REQUEST_BYTES = bytes.fromhex("110011c5 05 000000 0807060504030201")
RESPONSE = SyncResponse(1, 5, 1, 2, 3)
RESPONSE_BYTES = bytes.fromhex("120011c5 01 05 0000 0100000000000000 0200000000000000 0300000000000000")


@pytest.mark.parametrize(
    ("message", "wire"),
    [(VITALS, VITALS_BYTES), (BEACON, BEACON_BYTES), (REQUEST, REQUEST_BYTES), (RESPONSE, RESPONSE_BYTES)],
)
def test_messages_have_exactly_these_bytes(message: Any, wire: bytes) -> None:
    assert message.pack() == wire
    assert type(message).parse(wire) == message


def test_vitals_derive_their_flags_and_rates() -> None:
    assert (VITALS.presence, VITALS.fall, VITALS.motion) == (True, True, False)
    assert VITALS.breathing_bpm == 15.0
    assert VITALS.heart_bpm == 72.0


def test_reserved_bytes_of_vitals_are_ignored() -> None:
    assert Vitals.parse(VITALS_BYTES[:-4] + b"\xff\xff\xff\xff") == VITALS


@given(st.builds(Vitals, u8, u8, u16, u32, st.integers(-128, 127), u8, f32, f32, u32))
def test_vitals_round_trip(vitals: Vitals) -> None:
    assert Vitals.parse(vitals.pack()) == vitals
    assert len(vitals.pack()) == 32


@given(st.builds(Beacon, u8, u8, u32, u32, u64))
def test_beacons_round_trip(beacon: Beacon) -> None:
    assert Beacon.parse(beacon.pack()) == beacon


@given(st.builds(SyncRequest, u8, u64), st.builds(SyncResponse, u8, u8, u64, u64, u64))
def test_sync_messages_round_trip(request_: SyncRequest, response: SyncResponse) -> None:
    assert SyncRequest.parse(request_.pack()) == request_
    assert SyncResponse.parse(response.pack()) == response


@pytest.mark.parametrize(
    ("parse", "payload", "reason"),
    [
        (Vitals.parse, VITALS_BYTES[:-1], Malformed.VITALS_LENGTH),
        (Vitals.parse, VITALS_BYTES + b"\0", Malformed.VITALS_LENGTH),
        (Vitals.parse, bytes(32), Malformed.MESSAGE_MAGIC),
        (Beacon.parse, BEACON_BYTES[:-1], Malformed.BEACON_LENGTH),
        (Beacon.parse, bytes(24), Malformed.MESSAGE_MAGIC),
        (Beacon.parse, BEACON_BYTES[:4] + b"\x02" + BEACON_BYTES[5:], Malformed.BEACON_VERSION),
        (SyncRequest.parse, REQUEST_BYTES + b"\0", Malformed.SYNC_REQUEST_LENGTH),
        (SyncRequest.parse, bytes(16), Malformed.MESSAGE_MAGIC),
        (SyncResponse.parse, RESPONSE_BYTES[:-1], Malformed.SYNC_RESPONSE_LENGTH),
        (SyncResponse.parse, bytes(32), Malformed.MESSAGE_MAGIC),
    ],
)
def test_each_deviation_of_a_message_has_its_reason(
    parse: Callable[[bytes], object], payload: bytes, reason: Malformed
) -> None:
    with pytest.raises(MalformedError) as caught:
        parse(payload)
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    "message", [Vitals(2, 3, 65536, 0, 0, 0, 0, 0, 0), Vitals(2, 3, 0, 0, 0, 0, 1e300, 0, 0), Beacon(256, 0, 0, 0, 0)]
)
def test_values_out_of_range_are_refused(message: Any) -> None:
    with pytest.raises(ValueError, match="out of range"):
        message.pack()


@pytest.mark.parametrize(
    ("slot", "nodes", "window"), [(0, 1, (0, 50_000)), (1, 3, (16_666, 33_333)), (2, 3, (33_333, 50_000))]
)
def test_slots_tile_the_superframe(slot: int, nodes: int, window: tuple[int, int]) -> None:
    assert tdm.slot_window_us(slot, nodes) == window


def test_a_slot_outside_the_superframe_is_refused() -> None:
    with pytest.raises(ValueError, match="slot 3"):
        tdm.slot_window_us(3, 3)
