"""The filter language: what it matches, and where it says that a text is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmrig.wire.csi import Csi
from swarmrig.wire.decode import FIELDS, Decoded, decode
from swarmrig.wire.ethernet import Ethernet
from swarmrig.wire.filter import FilterError, compile_filter
from swarmrig.wire.ipv4 import Ipv4
from swarmrig.wire.udp import Udp
from swarmrig.wire.vitals import Vitals


def frame(payload: bytes, dport: int = 5005) -> bytes:
    src, dst = "10.0.1.11", "10.0.1.10"
    packet = Ipv4(src, dst, 17, Udp(40000, dport, payload).pack(src, dst)).pack()
    return Ethernet("52:54:00:01:00:00", "52:54:00:01:00:01", 0x0800, packet).pack()


CSI = frame(Csi(1, 1, 2, 2437, 77, -40, -92, bytes(4)).pack())
FALL = frame(Vitals(2, 2, 1500, 0, -48, 1, 0.5, 2.0, 9).pack())
OTHER = frame(b"hello", dport=53)


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("udp.dport == 5005 and csi.node == 1", {"csi"}),
        ("csi", {"csi"}),
        ("not csi", {"fall", "other"}),
        ("csi or vitals", {"csi", "fall"}),
        ("csi.node != 1", set()),
        ("not (csi.node == 1)", {"fall", "other"}),
        ("csi.node in {1, 2}", {"csi"}),
        ("csi.node in {2..9, 40}", set()),
        ("csi.seq in {70..80}", {"csi"}),
        ("udp.dport not in {5005}", {"other"}),
        ("csi.node not in {5}", {"csi"}),
        ("ip.src in 10.0.1.0/24", {"csi", "fall", "other"}),
        ("ip.src in 10.0.2.0/24", set()),
        ("ip.src in 0.0.0.0/0 and csi", {"csi"}),
        ("ip.dst == 10.0.1.10 and not vitals.fall", {"csi", "other"}),
        ("ip.src in {10.0.1.11, 10.0.9.9} and csi", {"csi"}),
        ("eth.src == 52:54:00:01:00:01 and csi", {"csi"}),
        ("eth.src == 52-54-00-01-00-01 and csi", {"csi"}),
        ("vitals.fall", {"fall"}),
        ("vitals.fall == true", {"fall"}),
        ("vitals.presence == false", {"fall"}),
        ("vitals.presence", set()),
        ("vitals.breathing >= 14.5", {"fall"}),
        ("vitals.motion_energy > .5", None),
        ("csi.rssi < -39", {"csi"}),
        ("csi.rssi == -0x28", {"csi"}),
        ("eth.type == 0x800 and csi.seq <= 77 and csi.seq >= 77", {"csi"}),
        ("csi and udp.sport == 1 or vitals", {"fall"}),
        ("csi and (udp.sport == 40000 or vitals)", {"csi"}),
        ("not not csi", {"csi"}),
        ("frame.malformed", set()),
        ('frame.malformed == "csi: shorter than its header"', set()),
        (" csi ", {"csi"}),
    ],
)
def test_what_a_filter_matches(text: str, matches: set[str] | None) -> None:
    if matches is None:
        with pytest.raises(FilterError):
            compile_filter(text)
        return
    compiled = compile_filter(text)
    found = {name for name, data in (("csi", CSI), ("fall", FALL), ("other", OTHER)) if compiled.matches(data)}
    assert found == matches
    assert compiled.matches(decode(CSI)) == ("csi" in matches)


def test_malformed_frames_can_be_asked_for() -> None:
    broken = frame(Csi(1, 1, 2, 2437, 77, -40, -92, bytes(4)).pack()[:-1])
    assert compile_filter('frame.malformed == "csi: subcarrier count contradicts the length"').matches(broken)


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", 1, "expected a field"),
        ("   ", 1, "expected a field"),
        ("csi.nod == 1", 1, "did you mean 'csi.node'"),
        ("csi and", 8, "expected a field"),
        ("csi csi", 5, "unexpected 'csi'"),
        ("csi.node ==", 12, "a number"),
        ("csi.node == 10.0.0.1", 13, "a number"),
        ('csi.node == "1"', 13, "a number"),
        ("csi.node = 1", 10, "unexpected character '='"),
        ("csi.node == 1)", 14, "unexpected ')'"),
        ("(csi.node == 1", 15, "expected ')'"),
        ("ip.src == 10.0.0.256", 11, "IPv4"),
        ("ip.src == 5", 11, "IPv4"),
        ("ip.src < 10.0.0.1", 8, "only == and !="),
        ("ip.src in 10.0.0.0/33", 11, "0..32"),
        ("ip.src in 10.0.0.900/8", 11, "IPv4"),
        ("csi.node in 10.0.0.0/8", 13, "no IPv4 address"),
        ("csi.node in 5", 13, "expected '{'"),
        ("csi.node in {}", 14, "a number"),
        ("csi.node in {1,}", 16, "a number"),
        ("csi.node in {1 2}", 16, "expected '}'"),
        ("csi.node not 5", 10, "unexpected 'not'"),
        ("eth.src == 52:54:00", 12, "a MAC"),
        ("vitals.fall == 1", 16, "true or false"),
        ("vitals.fall > true", 13, "only == and !="),
        ("true", 1, "expected a field"),
        ("csi; import os", 4, "unexpected ';'"),
        ("__import__('os')", 1, "unknown field"),
        ("csi.node == 1 && csi", 15, "unexpected '&&'"),
        ("csi.node == 12abc", 13, "a number, not '12abc'"),
        ("csi.nöde == 1", 1, "did you mean 'csi.node'"),
        ("ip.src in 10.0.0.0/", 11, "expected '{'"),
        ("csi.node == 1.", 14, "unexpected '.'"),
        ('frame.malformed == "open', 20, 'a "text"'),
    ],
)
def test_where_a_text_is_wrong(text: str, column: int, message: str) -> None:
    with pytest.raises(FilterError) as caught:
        compile_filter(text)
    assert message in str(caught.value)
    assert caught.value.position + 1 == column


def test_nesting_and_length_are_bounded() -> None:
    assert compile_filter("(" * 30 + "csi" + ")" * 30).matches(CSI)
    with pytest.raises(FilterError, match="nested"):
        compile_filter("(" * 500 + "csi" + ")" * 500)
    with pytest.raises(FilterError, match="nested"):
        compile_filter("not " * 500 + "csi")
    with pytest.raises(FilterError, match="longer"):
        compile_filter("csi or " * 1000 + "csi")
    assert compile_filter("csi or " * 500 + "csi").matches(CSI)


@given(st.text(max_size=60))
def test_any_text_compiles_or_is_refused_with_a_position(text: str) -> None:
    try:
        compile_filter(text)
    except FilterError as error:
        assert 0 <= error.position <= len(text)


TOKENS = [*FIELDS, "csi", "and", "or", "not", "in", "(", ")", "{", "}", ",", "..", "==", "<", "1", "10.0.0.1", "true"]


@given(st.lists(st.sampled_from(TOKENS), max_size=12).map(" ".join))
def test_any_row_of_words_compiles_or_is_refused(text: str) -> None:
    try:
        compiled = compile_filter(text)
    except FilterError:
        return
    assert compiled.matches(CSI) in (True, False)


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_can_be_asked_for(name: str) -> None:
    value = {"number": "1", "text": '"x"', "address": "10.0.0.1", "mac": "52:54:00:00:00:01", "truth": "true"}
    compile_filter(f"{name} == {value[FIELDS[name].type]} or not {name}").matches(Decoded(0))
