"""Consoles as the page has them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmrig.reports.page.consoles import LINES_SHOWN, read_console


def lines_of(directory, node="s1", **settings):
    return read_console(directory, node, settings.pop("times", {}), settings.pop("evidence", ()), **settings)


def test_lines_have_numbers_times_and_marks(made):
    said = [
        b"rst:0x1 (POWERON)",
        b"I (0) main_task: Calling app_main()",
        b"\x1b[0;33mW (5) net: slow\x1b[0m\r",
        b"E (6) net: gone",
        b"Guru Meditation Error: Core 0 panic'ed",
        b"hello",
    ]
    made.console("s1", b"\n".join(said) + b"\n")
    console = lines_of(made.path, times={1: 7, 3: 9})
    assert [line.mark for line in console.lines] == ["reboot", "boot", "warning", "error", "crash", ""]
    assert [line.t_ns for line in console.lines] == [7, None, 9, None, None, None]
    assert console.lines[2].text == "W (5) net: slow"
    assert console.total == 6


def test_a_line_without_its_end_is_a_line(made):
    made.console("s1", b"one\ntw")
    assert [line.text for line in lines_of(made.path).lines] == ["one", "tw"]


def test_binary_is_text_in_the_end(made):
    made.console("s1", bytes(range(256)) + b"\n\x00\x01</script>\n")
    (first, *_, last) = lines_of(made.path).lines
    assert "\ufffd" in "".join(line.text for line in lines_of(made.path).lines)
    assert last.text.endswith("</script>")
    assert first.number == 1


def test_a_huge_line_is_shown_in_part_and_counted(made):
    made.console("s1", b"before\n" + b"x" * (10 << 20) + b"\nafter\n")
    console = lines_of(made.path)
    assert [line.number for line in console.lines] == [1, 2, 3]
    assert console.lines[1].text.endswith("(10,485,761 bytes in all)")
    assert len(console.lines[1].text) < 2100
    assert console.lines[2].text == "after"


def test_of_a_flood_the_beginning_the_end_and_all_evidence_is_shown(made):
    count = 4 * LINES_SHOWN
    made.console("s1", b"".join(b"line %d\n" % number for number in range(1, count + 1)))
    console = lines_of(made.path, evidence={count // 2})
    numbers = [line.number for line in console.lines]
    assert console.total == count
    assert numbers[0] == 1
    assert numbers[-1] == count
    assert {count // 2 - 10, count // 2, count // 2 + 10} <= set(numbers)
    assert len(numbers) <= LINES_SHOWN + 21
    assert numbers == sorted(set(numbers))
    assert all(line.text == f"line {line.number}" for line in console.lines)


def test_many_consoles_share_the_room(made):
    made.console("s1", b"y" * 1999 + b"\n" + b"z" * 1999 + b"\n" + (b"w" * 1999 + b"\n") * 3000)
    alone, one_of_hundred = lines_of(made.path), lines_of(made.path, share=100)
    assert sum(len(line.text) for line in one_of_hundred.lines) < 40_000
    assert len(alone.lines) > 10 * len(one_of_hundred.lines)


def test_a_missing_console_is_told(made):
    console = lines_of(made.path, "nobody")
    assert console.lines == []
    assert console.problem == "this node has no console.log"


def test_a_directory_is_no_console(made):
    (made.path / "nodes/s1/console.log").mkdir(parents=True)
    assert "cannot be read" in lines_of(made.path).problem


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    directory = tmp_path_factory.mktemp("consoles")
    (directory / "nodes/s1").mkdir(parents=True)
    return directory


@given(content=st.binary(max_size=400))
def test_any_bytes_are_lines_as_the_file_counts_them(place, content):
    (place / "nodes/s1/console.log").write_bytes(content)
    console = lines_of(place)
    assert [line.number for line in console.lines] == list(range(1, console.total + 1))
    assert console.total == content.count(b"\n") + (not content.endswith(b"\n") and content != b"")
