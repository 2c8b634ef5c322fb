"""What the parser makes of recordings of real monitors, however they are cut into pieces."""

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import ALL, NAMES, VERSIONS, answers, recording

from swarmrig.nodes.renode.transcript import NEGOTIATION, TelnetFilter, Transcript, cleaned, error_in


def pieces(data, cuts):
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in itertools.pairwise(places)]


def answer_to(version, name, command, nth=0):
    recorded = recording(version, name)
    return [answer for sent, answer in answers(recorded, [recorded.received]) if sent == command][nth]


@pytest.mark.parametrize(("version", "name"), ALL)
def test_byte_by_byte_is_as_good_as_all_at_once(version, name):
    recorded = recording(version, name)
    at_once = answers(recorded, [recorded.received])
    assert answers(recorded, [bytes([byte]) for byte in recorded.received]) == at_once
    commands = [command for command, _ in at_once]
    assert commands == recorded.lines[: len(commands)]


@settings(max_examples=30, deadline=None)
@given(which=st.sampled_from(ALL), cuts=st.lists(st.integers(0, 1 << 20), max_size=40))
def test_any_pieces_are_as_good_as_all_at_once(which, cuts):
    recorded = recording(*which)
    assert answers(recorded, pieces(recorded.received, cuts)) == answers(recorded, [recorded.received])


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=80).map(lambda b: b.replace(b"a", b"\xff").replace(b"b", b"\x1b[")), cut=st.integers(0))
def test_the_filter_does_not_mind_where_anything_is_cut(data, cut):
    whole, cut_one = TelnetFilter(), TelnetFilter()
    place = cut % (len(data) + 1)
    assert whole.feed(data) == cut_one.feed(data[:place]) + cut_one.feed(data[place:])


@pytest.mark.parametrize("version", VERSIONS)
def test_all_of_a_long_session_is_understood(version):
    recorded = recording(version, "t3_run1")
    assert [command for command, _ in answers(recorded, [recorded.received])] == recorded.lines[:-1]
    assert recorded.lines[-1] == "quit"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("name", "command", "said"),
    [
        ("t1_main", "nosuchcommand", "No such command or device: nosuchcommand"),
        ("t1_main", "sysbus LoadELF @/no/such/file.elf", "There was an error executing command 'sysbus LoadELF"),
        ("t1_main", "machine LoadPlatformDescription @/no/such.repl", "Could not find file '/no/such.repl'."),
        ("t1_main", "connector Connect sysbus.nope term", "Parameters did not match the signature"),
        ("t1_main", "mach", "Bad parameters for command mach"),
        ("t1_main", 'mach set "zzz"', "Machine zzz not found."),
        ("t1_main", "mach set 5", "Wrong machine number."),
        ("t1_main", '"unterminated', "Could not tokenize here:"),
        ("t1_main", "python \"raise Exception('boom')\"", "boom"),
        ("t4_colour", "nosuch", "No such command or device: nosuch"),
        ("t4_colour", 'emulation RunFor "abc"', "There was an error executing command 'emulation RunFor"),
        ("t4_long", 'echo "A"; nosuch; echo "B"', "No such command or device: nosuch"),
        ("t4_long", "include @/rig/fw/fail.resc", "No such command or device: nosuchInScript"),
        ("t5_sock", 'emulation CreateServerSocketTerminal 3456 "s3"', "[AddressAlreadyInUse] Address already in use"),
    ],
)
def test_errors_are_told_from_text(version, name, command, said):
    problem = error_in(answer_to(version, name, command))
    assert problem is not None and said in problem


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("name", "command", "printed"),
    [
        ("t1_main", 'echo "hi there"', "hi there"),
        ("t1_main", "sysbus ReadDoubleWord 0x20000000", "0x12345678"),
        ("t1_main", "start", "Starting emulation..."),
        ("t1_main", 'mach create "x"', ""),
        ("t3_run1", "emulation IsStarted", "True"),
        ("t3_run1", 'emulation RunFor "0.01"', ""),
        ("t4_long", 'echo "žluť"', "žluť"),
    ],
)
def test_what_is_printed_is_no_error(version, name, command, printed):
    answer = answer_to(version, name, command)
    assert error_in(answer) is None
    assert cleaned(answer) == printed


@pytest.mark.parametrize("version", VERSIONS)
def test_words_of_an_error_that_are_only_printed_are_none(version):
    for text in ("There was an error executing command 'x'", "No such command or device: x", "Error budget ok"):
        transcript = Transcript()
        transcript.feed(f'echo "{text}"\n\r{text}\r\r\n(x) '.encode())
        assert error_in(transcript.take_answer(f'echo "{text}"', NAMES)) is None


def test_a_failed_download_while_a_platform_is_loaded_is_no_failure():
    answer = answer_to(
        VERSIONS[0], "t1_main", "machine LoadPlatformDescription @platforms/boards/stm32f4_discovery-kit.repl"
    )
    assert "Failed to download" in answer and error_in(answer) is None


def test_only_expected_names_are_prompts():
    transcript = Transcript()
    transcript.feed(b"version\n\rRenode\r\n\r(other) ")
    assert transcript.take_answer("version", ["monitor", "x"]) is None
    transcript.feed(b"\r\n\r(x) ")
    assert cleaned(transcript.take_answer("version", ["monitor", "x"])) == "Renode\n(other)"


def test_a_name_is_taken_literally():
    transcript = Transcript()
    transcript.feed(b"version\n\rA\r\n\r(axb) \r\n\r(a.b) ")
    assert cleaned(transcript.take_answer("version", ["a.b"])) == "A\n(axb)"


def test_a_prompt_that_a_command_prints_shifts_nothing():
    transcript = Transcript()
    transcript.feed(b'echo "(x) "\n\r(x) \r\r\n(x) ')
    transcript.take_answer('echo "(x) "', NAMES)
    transcript.feed(b"version\n\rRenode\r\n\r(x) ")
    assert cleaned(transcript.take_answer("version", NAMES)) == "Renode"


@pytest.mark.parametrize("cut", range(0, 60, 3))
def test_the_answer_of_a_foreign_command_is_whole_whatever_it_prints(cut):
    data = b'echo "(x) "\n\r(x) \r\r\n(x) echo "f00"\n\rf00\r\r\n(x) '
    transcript = Transcript()
    transcript.feed(data[:cut])
    assert cut >= len(data) or transcript.take_answer_before('echo "(x) "', "f00", NAMES) is None
    transcript.feed(data[cut:])
    assert transcript.take_answer_before('echo "(x) "', "f00", NAMES) == "(x) \r\r\n"
    assert transcript.pending == ""


def test_an_error_before_the_token_is_told():
    transcript = Transcript()
    transcript.feed(b'mach set 5\n\rWrong machine number. Type mach.\r\n(x) echo "f00"\n\rf00\r\r\n(x) ')
    assert error_in(transcript.take_answer_before("mach set 5", "f00", NAMES)) == "Wrong machine number. Type mach."


def test_a_late_answer_is_not_taken_for_the_next_one():
    transcript = Transcript()
    transcript.feed(b"sysbus ReadDoubleWord 0x0\n\r0x00000001\r\r\n(x) sysbus ReadDoubleWord 0x4\n\r")
    assert transcript.take_answer("sysbus ReadDoubleWord 0x4", NAMES) is None
    transcript.feed(b"0x00000002\r\r\n(x) ")
    assert cleaned(transcript.take_answer("sysbus ReadDoubleWord 0x4", NAMES)) == "0x00000002"


def test_recordings_begin_with_the_negotiation():
    for version in VERSIONS:
        recorded = recording(version, "t1_main")
        assert recorded.received.startswith(bytes.fromhex("fffd00 fffb01 fffb03 fffc22"))
        assert recorded.sent[0] == NEGOTIATION and len(NEGOTIATION) == 9
        assert not re.search(rb"[\x80-\xff]", TelnetFilter().feed(recorded.received[:100]))
