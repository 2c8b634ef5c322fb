"""The stand-in is as good as the recordings: the same client, byte by byte the same answers."""

import pytest
from monitor_process import exchange, served
from recordings import VERSIONS, recording

ALIKE = ("t7_quit", "t7_disconnect", "t7_reset_reader", "t7_quit_running", "t9_abort_start")
"""Sessions with nothing in them that depends on a real machine, but for what is left out below."""


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ALIKE)
def test_a_session_is_repeated_byte_by_byte(version, name, tmp_path):
    recorded = recording(version, name)
    (tmp_path / "a.repl").touch()
    (tmp_path / "f.elf").touch()
    expected = _at(tmp_path, recorded.received)
    writes = [_at(tmp_path, write) for write in recorded.sent]
    if name == "t9_abort_start":  # up to where a processor's registers are read
        expected = expected[: expected.index(b"sysbus.cpu PC")]
        writes = writes[: next(i for i, write in enumerate(writes) if b"sysbus.cpu" in write)]
    with served(tmp_path / "served", version=version) as server:
        assert exchange(server.port, writes, len(expected)) == expected


@pytest.mark.parametrize("version", VERSIONS)
def test_steering_codes_are_those_of_the_recording(version, tmp_path):
    recorded = recording(version, "t4_colour")
    end = recorded.received.index(b"sysbus LoadELF")
    with served(tmp_path / "served", version=version, colours=True) as server:
        (tmp_path / "a.repl").touch()
        writes, expected = ([_at(tmp_path, one) for one in recorded.sent[:4]], _at(tmp_path, recorded.received[:end]))
        assert b"nosuch" in writes[-1]
        assert exchange(server.port, writes, len(expected)) == expected


def _at(directory, data):
    """With paths of here."""
    for path in (b"/rig/fw/stm32f4_nosvd16.repl", b"/rig/fw/stm32f4_nosvd.repl"):
        data = data.replace(path, str(directory / "a.repl").encode())
    for path in (b"/rig/fw/fw.elf", b"/rig/fw/bad.elf"):
        data = data.replace(path, str(directory / "f.elf").encode())
    for path in (b"/rig/tx16/pty7", b"/rig/tx/pty7"):
        data = data.replace(path, str(directory / "pty7").encode())
    return data


@pytest.mark.parametrize("version", VERSIONS)
def test_nine_bytes_are_swallowed_by_the_older_version(version, tmp_path):
    recorded = recording(version, "t2_raw")
    lines = recorded.sent[:2]
    prompt = b"te\r\n(monitor) " if version == "1.15.3" else b"(abc) "
    expected = recorded.received[: recorded.received.index(prompt) + len(prompt)]
    with served(tmp_path / "served", version=version) as server:
        assert exchange(server.port, lines, len(expected)) == expected
