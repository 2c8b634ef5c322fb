"""Whole frames: layers, dotted names, any bytes; and the fast path agrees with the full one."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from swarmrig.wire import arp
from swarmrig.wire.csi import Csi
from swarmrig.wire.decode import FIELDS, LAYERS, csi_key, decode, parse_message
from swarmrig.wire.ethernet import Ethernet
from swarmrig.wire.icmp import Icmp
from swarmrig.wire.ipv4 import Ipv4
from swarmrig.wire.malformed import Malformed, MalformedError
from swarmrig.wire.tdm import Beacon, SyncRequest, SyncResponse
from swarmrig.wire.udp import Udp
from swarmrig.wire.vitals import Vitals

SRC, DST = "10.0.1.11", "10.0.1.10"
CSI = Csi(1, 1, 52, 2437, 1234, -40, -92, bytes(104))
VITALS = Vitals(2, 2, 1500, 720000, -48, 1, 0.5, 2.0, 999)


def udp_frame(payload: bytes, *, options: bytes = b"", flags: int = 0x4000, padding: bytes = b"") -> bytes:
    segment = Udp(5005, 5005, payload).pack(SRC, DST)
    packet = Ipv4(SRC, DST, 17, segment, flags=flags, options=options).pack()
    return Ethernet("52:54:00:01:00:00", "52:54:00:01:00:01", 0x0800, packet + padding).pack()


CSI_FRAME = udp_frame(CSI.pack())


def test_a_csi_frame_is_decoded_down_to_its_fields() -> None:
    decoded = decode(CSI_FRAME)
    assert decoded.csi == CSI
    assert decoded.malformed is None
    assert decoded.get("eth.src") == "52:54:00:01:00:01"
    assert decoded.get("ip.src") == SRC
    assert decoded.get("udp.dport") == 5005
    assert decoded.get("csi.node") == 1
    assert decoded.get("csi.seq") == 1234
    assert decoded.get("csi.channel") == 6
    assert decoded.get("vitals.fall") is None
    assert decoded.get("frame.len") == len(CSI_FRAME)


def test_vitals_fields_have_names() -> None:
    decoded = decode(udp_frame(VITALS.pack()))
    assert decoded.get("vitals.fall") is True
    assert decoded.get("vitals.presence") is False
    assert decoded.get("vitals.breathing") == 15.0
    assert decoded.get("vitals.uptime_ms") == 999


@pytest.mark.parametrize("message", [Beacon(1, 3, 9, 50000, 7), SyncRequest(4, 5), SyncResponse(1, 4, 5, 6, 7)])
def test_tdm_messages_are_found_by_magic(message: Beacon | SyncRequest | SyncResponse) -> None:
    decoded = decode(udp_frame(message.pack()))
    assert message in (decoded.beacon, decoded.sync)


def test_fields_only_a_response_has_are_absent_in_a_request() -> None:
    request = decode(udp_frame(SyncRequest(4, 5).pack()))
    assert (request.get("sync.node"), request.get("sync.t1"), request.get("sync.hub")) == (4, 5, None)


def test_arp_and_icmp_are_decoded() -> None:
    assert decode(arp.request_frame("52:54:00:00:00:01", SRC, DST)).get("arp.target_ip") == DST
    ping = Ethernet("52:54:00:00:00:02", "52:54:00:00:00:01", 0x0800, Ipv4(SRC, DST, 1, Icmp(8, 0, 1, 2).pack()).pack())
    assert decode(ping.pack()).get("icmp.seq") == 2


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"short", Malformed.ETH_SHORT),
        (CSI_FRAME[:20], Malformed.IP_SHORT),
        (CSI_FRAME[:-1], Malformed.IP_TOTAL_LENGTH),
        (CSI_FRAME[:-1] + b"\x01", Malformed.UDP_CHECKSUM),
        (udp_frame(CSI.pack()[:-1]), Malformed.CSI_LENGTH),
        (udp_frame(CSI.pack()[:10]), Malformed.CSI_SHORT),
        (udp_frame(VITALS.pack()[:-1]), Malformed.VITALS_LENGTH),
    ],
)
def test_the_first_thing_that_does_not_parse_is_named(frame: bytes, reason: Malformed) -> None:
    decoded = decode(frame)
    assert decoded.malformed is reason
    assert decoded.get("frame.malformed") == reason.value
    assert csi_key(frame) is None


@pytest.mark.parametrize("payload", [b"", b"abc", b"hello world", b"\x01\x00\x11\xc6" + bytes(30)])
def test_datagrams_that_are_none_of_ours_are_not_malformed(payload: bytes) -> None:
    decoded = decode(udp_frame(payload))
    assert decoded.malformed is None
    assert decoded.udp is not None
    assert csi_key(udp_frame(payload)) is None


def test_what_is_above_a_fragment_is_not_decoded() -> None:
    fragment = udp_frame(CSI.pack(), flags=0x2000)
    assert decode(fragment).get("ip.fragment") is True
    assert decode(fragment).udp is None
    assert csi_key(fragment) is None


def test_padding_of_short_frames_is_ignored() -> None:
    frame = udp_frame(Csi(1, 1, 0, 2437, 5, 0, 0, b"").pack(), padding=bytes(10))
    assert csi_key(frame) == (1, 5)
    assert decode(frame).csi is not None


def test_other_ethertypes_stop_at_ethernet() -> None:
    for kind in (0x86DD, 0x8100, 0x0805):
        frame = CSI_FRAME[:12] + kind.to_bytes(2, "big") + CSI_FRAME[14:]
        assert decode(frame).ip is None
        assert csi_key(frame) is None


def test_every_field_of_every_layer_can_be_read_and_shown() -> None:
    for frame in (CSI_FRAME, udp_frame(VITALS.pack()), arp.request_frame("52:54:00:00:00:01", SRC, DST), b""):
        fields = decode(frame).fields()
        assert json.loads(json.dumps(fields)) == fields
        assert set(fields) <= set(FIELDS)
    assert {name.split(".")[0] for name in FIELDS} == {"frame", *LAYERS}


def test_an_unknown_field_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(KeyError):
        decode(b"").get("csi.nod")


@pytest.mark.parametrize(
    ("payload", "reason"), [(b"abc", Malformed.MESSAGE_SHORT), (b"hello", Malformed.MESSAGE_MAGIC)]
)
def test_a_payload_that_is_no_message_says_why(payload: bytes, reason: Malformed) -> None:
    with pytest.raises(MalformedError) as caught:
        parse_message(payload)
    assert caught.value.reason is reason


@given(st.binary(max_size=200))
@example(b"")
def test_any_bytes_decode_without_raising(data: bytes) -> None:
    decode(data).fields()
    assert csi_key(data) is None or decode(data).csi is not None


@st.composite
def broken_csi_frames(draw: st.DrawFn) -> bytes:
    """Frames that are CSI, or nearly."""
    count = draw(st.integers(0, 3))
    csi = Csi(draw(st.integers(0, 255)), 1, count, 2437, draw(st.integers(0, 2**32 - 1)), -1, -2, bytes(2 * count))
    options = bytes(4 * draw(st.sampled_from([0, 0, 0, 1])))
    frame = bytearray(udp_frame(csi.pack(), options=options, padding=bytes(draw(st.integers(0, 3)))))
    for _ in range(draw(st.integers(0, 2))):
        frame[draw(st.integers(12, len(frame) - 1))] = draw(st.integers(0, 255))
    return bytes(frame[: draw(st.sampled_from([len(frame), len(frame), len(frame) - 1]))])


@settings(max_examples=400)
@given(broken_csi_frames())
def test_the_fast_path_agrees_with_the_decoder(frame: bytes) -> None:
    csi = decode(frame).csi
    assert csi_key(frame) == ((csi.node, csi.seq) if csi else None)


def test_a_frame_without_udp_checksum_counts() -> None:
    frame = bytearray(CSI_FRAME)
    frame[40:42] = b"\0\0"
    assert csi_key(bytes(frame)) == (1, 1234)
    assert csi_key(CSI_FRAME) == (1, 1234)
