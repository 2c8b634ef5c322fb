from hypothesis import given
from hypothesis import strategies as st

from swarmrig.runtime.consoles import MAX_BYTES, MAX_LINE, ConsoleSplitter


def split(*chunks, finish=True):
    facts, truncated = [], []
    splitter = ConsoleSplitter("n", facts.append, truncated.append)
    for t_ns, chunk in enumerate(chunks):
        splitter.feed(t_ns, chunk)
    if finish:
        splitter.finish(len(chunks))
    return facts, truncated, splitter


def test_lines_have_the_time_at_which_their_end_arrived():
    facts, _, _ = split(b"one\r\ntw", b"o\r\n")
    assert [(fact.t_ns, fact.line, fact.text) for fact in facts] == [(0, 1, "one"), (1, 2, "two")]


def test_a_line_without_end_counts_when_the_console_ends():
    assert [fact.text for fact in split(b"Guru Med")[0]] == ["Guru Med"]
    assert split(b"Guru Med", finish=False)[0] == []


def test_colours_and_undecodable_bytes_do_not_hide_text():
    facts, _, _ = split(b"\x1b[0;31mE (5) x: bad \xff\x1b[0m\n")
    assert facts[0].text == "E (5) x: bad \ufffd"


def test_an_endless_line_stays_one_line_of_bounded_pieces():
    facts, _, splitter = split(b"x" * (3 * MAX_LINE + 5) + b"\nnext\n")
    assert {fact.line for fact in facts[:-1]} == {1}
    assert all(len(fact.text) <= MAX_LINE for fact in facts)
    assert (facts[-1].line, facts[-1].text, splitter.lines) == (2, "next", 2)


def test_a_flood_is_truncated_once_and_said():
    chunk = b"y" * 99 + b"\n"
    many = MAX_BYTES // len(chunk) + 50
    facts, truncated, splitter = split(chunk * many, chunk, chunk)
    assert truncated == ["n"]
    assert splitter.bytes == len(chunk) * (many + 2)
    assert len(facts) == many


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_any_chunking_gives_the_same_lines(chunks):
    whole = split(b"".join(chunks))[0]
    pieces = split(*chunks)[0]
    assert [(fact.line, fact.text) for fact in whole] == [(fact.line, fact.text) for fact in pieces]
