"""Messages with descriptors, small and large."""

import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmrig.proc.channel import PeerGoneError, receive, send


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        yield ours, theirs


@given(st.recursive(st.none() | st.integers() | st.binary() | st.text(), st.lists, max_leaves=20))
def test_any_message_arrives(message):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        send(ours, message)
        assert receive(theirs) == (message, [])


@pytest.mark.parametrize("size", [0, 65_000, 65_536, 3_000_000])
def test_any_size_arrives_with_its_descriptors(pair, tmp_path, size):
    ours, theirs = pair
    with (tmp_path / "file").open("w") as file:
        send(ours, b"x" * size, [file.fileno(), file.fileno()])
        message, fds = receive(theirs)
        assert message == b"x" * size
        assert {os.fstat(fd).st_ino for fd in fds} == {os.fstat(file.fileno()).st_ino} and len(fds) == 2
        assert not any(os.get_inheritable(fd) for fd in fds)
    for fd in fds:
        os.close(fd)


def test_the_other_end_is_gone(pair):
    ours, theirs = pair
    theirs.close()
    with pytest.raises(PeerGoneError):
        receive(ours)
    with pytest.raises(PeerGoneError):
        send(ours, "hello")


def test_a_full_socket_blocks_nobody(pair):
    ours, theirs = pair
    ours.setblocking(False)
    sent = 0
    with pytest.raises(BlockingIOError):
        while True:
            send(ours, sent)
            sent += 1
    assert [receive(theirs)[0] for _ in range(sent)] == list(range(sent))
