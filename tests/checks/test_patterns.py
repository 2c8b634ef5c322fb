"""The texts of real consoles, and those that only look like them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmrig.checks import patterns


@pytest.mark.parametrize(
    "text",
    [
        "I (2) main_task: Calling app_main()",
        "i (312) MAIN_TASK: started",
        "ESP32-S3 CSI Node v1.2",
        "cpu_start: Pro cpu up, jumping to app_main",
    ],
)
def test_boot_markers(text):
    assert patterns.is_boot_marker(text)


@pytest.mark.parametrize("text", ["", "rst:0x1 (POWERON),boot:0x8", "I (2) boot: Loaded app from partition", "CSI"])
def test_no_boot_markers(text):
    assert not patterns.is_boot_marker(text)


@pytest.mark.parametrize(
    "text",
    [
        "Guru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.",
        "assert failed: xQueueSemaphoreTake queue.c:1545",
        "abort() was called at PC 0x400d1234 on core 0",
        "Unhandled debug exception: BREAK instr",
        "guru meditation",
        "InstrFetchProhibited",
        "StoreProhibited",
        "IllegalInstruction",
        "Fatal exception (28)",
    ],
)
def test_crashes(text):
    assert patterns.is_crash(text)


@pytest.mark.parametrize("text", ["rst:0x1 (POWERON)", "abort", "aborted by user", "E (5) wifi: assertion is fine"])
def test_no_crashes(text):
    assert not patterns.is_crash(text)


@pytest.mark.parametrize(
    "text",
    [
        "E (9000) heap: HEAP_ERROR: out of memory, malloc(1024) failed",
        "heap_caps_alloc of 4096 bytes failed",
        "CORRUPT HEAP: Bad head at 0x3ffb",
        "malloc of 12 bytes FAILED",
        "***ERROR*** A stack overflow in task main has been detected.",
    ],
)
def test_memory_errors(text):
    assert patterns.is_memory_error(text)


@pytest.mark.parametrize("text", ["heap: 120000 bytes free", "stack high water mark 512", "malloc ok"])
def test_no_memory_errors(text):
    assert not patterns.is_memory_error(text)


@pytest.mark.parametrize(
    ("text", "slot"),
    [
        ("I (2) tdm: TDM slot=1 of 3", 1),
        ("TDM slot: 12", 12),
        ("tdm slot 0", 0),
        ("refnode: tdm_slot=2 tdm_nodes=3", 2),
        ("tdm_slot_index=7", 7),
        ("tdm_nodes=3", None),
        ("TDM slot=", None),
    ],
)
def test_tdm_slot(text, slot):
    assert patterns.tdm_slot(text) == slot


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("I (90) coord: first frame from node_id=1", 1),
        ("I (5000) coord: node_id=1 frames=100 gaps=0 rate=20.0", 1),
        ("received CSI from node id 7", 7),
        ("I (5) swarm_rx: rx NODE_ID: 3 ok", 3),
        # whose console this is, not what was received
        ("I (2) refnode: node_id=0 role=sensor scenario=2 channel=6 tdm_slot=1", None),
        ("I (2) refnode: node_id=0 role=coordinator scenario=2 channel=6 tdm_slot=1", None),
        ("W (7) edge: fall detected node_id=2 accel=17000", None),
        ("coord: frames=100", None),
    ],
)
def test_received_from(text, number):
    assert patterns.received_from(text) == number


@pytest.mark.parametrize(
    "text",
    [
        "W (7000) edge: fall detected node_id=2 accel=17000",
        "FALL_EVENT accel=3",
        "fall=1",
        "Fall detection triggered!",
        "fall_detected",
    ],
)
def test_falls(text):
    assert patterns.reported_fall(text, 2)


@pytest.mark.parametrize(
    "text",
    [
        "W (7000) edge: fall detected node_id=1 accel=17000",
        "fall detection enabled, threshold 15000",
        "fall_detect: disabled",
        "fall events: none",
        "fall_thresh=15000",
        "fall=15000",
        "fall=0",
        "I (5000) edge: presence=1 motion=0.42",
    ],
)
def test_no_falls(text):
    assert not patterns.reported_fall(text, 2)


def test_log_line_is_taken_apart_without_its_colours():
    line = patterns.parse_log_line("\x1b[0;32mI (312) main_task: Calling app_main()\x1b[0m\r\n")
    assert line == patterns.LogLine("I", 312, "main_task", "Calling app_main()")


def test_log_line_with_time_of_day():
    line = patterns.parse_log_line("W (10:11:12.130) edge: fall detected")
    assert line == patterns.LogLine("W", None, "edge", "fall detected")


@pytest.mark.parametrize("text", ["", "rst:0x1 (POWERON)", "X (1) tag: no such level", "I (a) tag: no time"])
def test_other_lines_are_no_log_lines(text):
    assert patterns.parse_log_line(text) is None


@given(st.text())
def test_any_text_is_read_without_an_exception(text):
    patterns.parse_log_line(text)
    patterns.tdm_slot(text)
    patterns.received_from(text)
    patterns.reported_fall(text, 1)
    assert isinstance(patterns.is_crash(text), bool)


@given(
    st.sampled_from("EWIDV"), st.integers(0, 2**40), st.from_regex(r"[a-z_]{1,20}", fullmatch=True), st.text("ab :=")
)
def test_log_lines_come_back(level, millis, tag, text):
    line = patterns.parse_log_line(f"{level} ({millis}) {tag}: {text}")
    assert line == patterns.LogLine(level, millis, tag, text)
