"""A client of Renode's telnet monitor: one command at a time, each with a deadline."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import anyio

from swarmrig.nodes.renode.errors import CommandError, MonitorError, MonitorLostError, MonitorTimeoutError
from swarmrig.nodes.renode.transcript import CLEAR_LINE, NEGOTIATION, NO_MACHINE, Transcript, cleaned, error_in
from swarmrig.nodes.renode.wording import checked_command

ANSWER_S = 30.0
CONNECT_S = 10.0
RETRY_S = 0.05
"""Between two attempts to connect."""
CHUNK = 64 << 10
NewSocket = Callable[[], socket.socket]
"""Gives a TCP socket that was not used before, which is whoever's who asks. NodeError when there are no more."""


class Monitor:
    """Made by `connected`."""

    def __init__(self, node: str, new_socket: NewSocket, port: int, machine: str, *, reconnects: bool) -> None:
        self.node = node
        self.machine = NO_MACHINE
        """The one that was selected when the last foreign command had been executed."""
        self._new_socket = new_socket
        self._socket = new_socket()
        self._port = port
        self._reconnects = reconnects
        self._names = {NO_MACHINE, machine}
        self._transcript = Transcript()
        self._turn = anyio.Lock()
        self._unusable: str | None = None
        self._lost: str | None = None
        """Why there is no connection any more; that is for ever."""

    @property
    def unusable(self) -> str | None:
        """Why no further command can be given; None while it can."""
        return self._lost or self._unusable

    async def execute(self, command: str, *, deadline_s: float = ANSWER_S, foreign: bool = False) -> str:
        """Give one command; returns what it printed, cleaned of line ends.

        `foreign`: somebody else wrote it, and it may print anything, prompts included, and select another machine.
        CommandError when Renode refuses it, MonitorTimeoutError and MonitorLostError when there is no answer.
        ValueError for what is no single line.
        """
        checked_command(command)
        async with self._turn:
            if self._unusable is not None and self._lost is None and self._reconnects:
                await self.connect(CONNECT_S)
            if self.unusable is not None:
                raise self._refusal()
            self._unusable = "an earlier command was interrupted"  # until its answer is here: cancelled, for instance
            answer = await self._within(deadline_s, command, self._exchange(command, foreign))
            self._unusable = None
        problem = error_in(answer)
        if problem is not None:
            raise CommandError(self.node, command, problem)
        return cleaned(answer)

    async def quit(self, deadline_s: float) -> None:
        """Ask Renode to end; returns at once when it cannot be asked, and in any case at the deadline."""
        with anyio.move_on_after(deadline_s):
            async with self._turn:
                if self.unusable is None:
                    self._lost = "it was told to quit"
                    try:
                        await self._send("quit\n")
                        while await self._receive():
                            pass
                    except MonitorLostError:
                        pass

    def break_off(self, reason: str) -> None:
        """There will be no answers any more: whoever waits for one is told at once, and why."""
        if self._lost is None:
            self._lost = reason
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    async def connect(self, deadline_s: float) -> None:
        """Make sure that what listens is a monitor that waits for a command; after that, it is usable.

        Tries until the deadline. MonitorTimeoutError when nobody listens, or when who does is no monitor that is free.
        """
        end_s = anyio.current_time() + deadline_s
        if self._unusable is not None:  # what may still come on the old connection answers nothing that will be asked
            self._socket.close()
            self._socket, self._transcript = self._new_socket(), Transcript()
        self._unusable = "it has not greeted"
        self._socket.setblocking(False)
        await _reach(self.node, self._socket, self._port, deadline_s)
        token = _token()
        hello = NEGOTIATION + CLEAR_LINE + f'echo "{token}"\n'.encode()
        await self._within(max(0.0, end_s - anyio.current_time()), "its greeting", self._until_greeted(hello, token))
        self._unusable = None

    def close(self) -> None:
        """Disconnect, for good."""
        self.break_off("it was disconnected")
        self._socket.close()

    async def _until_greeted(self, hello: bytes, token: str) -> str:
        await self._send_bytes(hello)
        while (greeting := self._transcript.take_greeting(token, self._names)) is None:
            await self._hear(token)
        return greeting

    async def _exchange(self, command: str, foreign: bool) -> str:
        if not foreign:
            await self._send(command + "\n")
            while (answer := self._transcript.take_answer(command, self._names)) is None:
                await self._hear()
            return answer
        token = _token()
        await self._send(f'{command}\necho "{token}"\n')
        while (answer := self._transcript.take_answer_before(command, token, self._names)) is None:
            await self._hear(token)
        return answer

    async def _within(self, deadline_s: float, what: str, exchange: Awaitable[str]) -> str:
        try:
            with anyio.fail_after(deadline_s):
                answer = await exchange
        except TimeoutError:
            self._unusable = f"there was no answer to {what!r} within {deadline_s:g} s"
            raise MonitorTimeoutError(self.node, self._unusable + self._heard()) from None
        return answer

    def _heard(self) -> str:
        """The last of what came, for people."""
        text = cleaned(self._transcript.pending)
        return f"; the monitor said last: {text[-300:]!r}" if text else "; the monitor said nothing"

    async def _hear(self, token: str | None = None) -> None:
        """Take in what comes next. What follows a token that was printed is a prompt, whatever its name."""
        data = await self._receive()
        if not data:
            raise self._refusal()
        self._transcript.feed(data)
        if token is not None and (name := self._transcript.name_after(token)) is not None:
            self._names.add(name)
            self.machine = name

    async def _receive(self) -> bytes:
        try:
            data = await asyncio.get_running_loop().sock_recv(self._socket, CHUNK)
        except OSError:
            data = b""
        if not data:
            self._lost = self._lost or "its connection is closed"
        return data

    async def _send(self, text: str) -> None:
        await self._send_bytes(text.encode())

    async def _send_bytes(self, data: bytes) -> None:
        try:
            await asyncio.get_running_loop().sock_sendall(self._socket, data)
        except OSError:
            self._lost = self._lost or "its connection is closed"
            raise self._refusal() from None

    def _refusal(self) -> MonitorError:
        kind = MonitorLostError if self._lost else MonitorError
        return kind(self.node, f"its monitor cannot be used: {self.unusable}")


@asynccontextmanager
async def connected(
    node: str,
    new_socket: NewSocket,
    port: int,
    machine: str,
    *,
    deadline_s: float = CONNECT_S,
    reconnects: bool = False,
) -> AsyncIterator[Monitor]:
    """A monitor that answers, at a port of 127.0.0.1 as the socket sees it. `machine`: a name that the prompt may have.

    `reconnects`: after a time-out, the next command is given on a new connection; else there is no next one.
    Errors are those of `Monitor.connect`.
    """
    monitor = Monitor(node, new_socket, port, machine, reconnects=reconnects)
    try:
        await monitor.connect(deadline_s)
        yield monitor
    finally:
        monitor.close()


async def _reach(node: str, sock: socket.socket, port: int, deadline_s: float) -> None:
    """Linux lets a socket try again that was refused."""
    try:
        with anyio.fail_after(deadline_s):
            while not await _is_accepted(sock, port):  # noqa: ASYNC110 - nothing tells when a port begins to listen
                await anyio.sleep(RETRY_S)
    except TimeoutError:
        raise MonitorTimeoutError(node, f"nobody listens at its monitor's port {port} after {deadline_s:g} s") from None


async def _is_accepted(sock: socket.socket, port: int) -> bool:
    try:
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    except OSError:
        return False
    return True


def _token() -> str:
    """What nobody can have written before."""
    return secrets.token_hex(8)
