"""Removal by label: two requests to whatever is behind the socket."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from swarmrig.proc import containers
from swarmrig.proc.journal import Journal
from swarmrig.proc.sweep import Removed, remove_resources

RUN = "0123456789ab"
Answer = Callable[[str], bytes]


def listing(*found: dict[str, Any]) -> bytes:
    return b"HTTP/1.0 200 OK\r\n\r\n" + json.dumps(list(found)).encode()


def one(run_id: str, **more: Any) -> dict[str, Any]:
    return {"Id": "f" * 64, "Labels": {"swarmrig.run": run_id}, **more}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Callable[[Answer], tuple[str, list[str]]]]:
    """Something that answers each request by its first line; (path of its socket, the requests so far)."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "engine"))
    listener.listen()
    threads: list[threading.Thread] = []

    def start(answer: Answer) -> tuple[str, list[str]]:
        requests: list[str] = []

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    requests.append(connection.recv(4096).decode().split("\r\n")[0])
                    connection.sendall(answer(requests[-1]))

        threads.append(threading.Thread(target=serve))
        threads[0].start()
        return str(tmp_path / "engine"), requests

    yield start
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    for thread in threads:
        thread.join()


def test_all_of_the_run_are_removed_until_there_are_none(engine: Any) -> None:
    lists = [[one(RUN, Names=["/a"]), one(RUN)], [one(RUN, Names=["/late"])], []]
    path, requests = engine(
        lambda line: listing(*lists.pop(0)) if line.startswith("GET") else b"HTTP/1.0 204 No\r\n\r\n"
    )
    assert containers.remove(path, RUN) == ["a", "f" * 12, "late"]
    assert [line.split()[0] for line in requests] == ["GET", "DELETE", "DELETE", "GET", "DELETE", "GET"]
    assert f"DELETE /containers/{'f' * 64}?force=1&v=1" in requests[1]
    assert RUN in requests[0]


def test_those_of_others_are_never_touched(engine: Any) -> None:
    others = (one("another0"), {"Id": "e" * 64, "Labels": None}, {"Id": "d" * 64})
    path, requests = engine(lambda line: listing(*others))
    assert containers.remove(path, RUN) == []
    assert len(requests) == 1


def test_nothing_is_removed_when_it_is_only_asked_what_would_be(engine: Any) -> None:
    path, requests = engine(lambda line: listing(one(RUN, Names=["/a"])))
    assert containers.remove(path, RUN, dry_run=True) == ["a"]
    assert len(requests) == 1


def test_one_that_is_gone_meanwhile_is_fine(engine: Any) -> None:
    lists = [[one(RUN, Names=["/a"])], []]
    path, _ = engine(
        lambda line: listing(*lists.pop(0)) if line.startswith("GET") else b"HTTP/1.0 404 Not Found\r\n\r\n{}"
    )
    assert containers.remove(path, RUN) == ["a"]


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.0 500 Oops\r\n\r\nout of luck", b"nonsense", b"HTTP/1.0 200 OK\r\n\r\nno json", b"\x00" * 100],
    ids=["nothing", "an error", "nonsense", "no JSON", "zeros"],
)
def test_an_engine_that_talks_nonsense_leaves_a_remainder_that_says_so(
    engine: Any, answer: bytes, tmp_path: Path
) -> None:
    path, _ = engine(lambda line: answer)
    removed = swept(Path(path), tmp_path)
    assert removed.containers == []
    (remaining,) = removed.remaining
    assert f"containers labelled swarmrig.run={RUN} of {path}: " in remaining


def test_an_engine_that_is_gone_leaves_a_remainder_that_says_so(tmp_path: Path) -> None:
    (remaining,) = swept(tmp_path / "gone", tmp_path).remaining
    assert "No such file" in remaining


def test_what_is_removed_is_told(engine: Any, tmp_path: Path) -> None:
    lists = [[one(RUN, Names=["/a"])], []]
    path, _ = engine(lambda line: listing(*lists.pop(0)) if line.startswith("GET") else b"HTTP/1.0 204 No\r\n\r\n")
    assert swept(Path(path), tmp_path).lines() == ["container a"]


def swept(engine: Path, directory: Path) -> Removed:
    """After a journal that names the engine twice: it is asked once."""
    records = [{"t": "containers", "engine": str(engine)}] * 2
    removed = Removed()
    remove_resources(records, RUN, (str(directory),), removed, aborted=True)
    return removed


def test_the_journal_names_the_engine(tmp_path: Path) -> None:
    with (tmp_path / "journal").open("w+b") as file:
        Journal(file.fileno()).containers(tmp_path / "sock")
        assert json.loads((tmp_path / "journal").read_text()) == {"t": "containers", "engine": str(tmp_path / "sock")}
