"""The client against a server that replays recordings: byte by byte what a real monitor has sent, in pieces."""

import random
import socket
from contextlib import asynccontextmanager

import anyio
import pytest
from recordings import ALL, NAMES, answers, recording

from swarmrig.nodes.renode.errors import CommandError, MonitorLostError
from swarmrig.nodes.renode.monitor import connected
from swarmrig.nodes.renode.transcript import NEGOTIATION, cleaned, error_in
from swarmrig.nodes.renode.wording import COMMAND_LIMIT

pytestmark = pytest.mark.anyio
RENODES_NEGOTIATION = bytes.fromhex("fffd00 fffb01 fffb03 fffc22")


class Replay:
    """One client; its commands are looked for in the recording, one after another. After the last it dies."""

    def __init__(self, recorded, count):
        self.recorded = recorded
        self.left = count
        self.at = 0
        self.random = random.Random(recorded.name)

    async def serve(self, stream):
        async with stream:
            await self.send(stream, self.recorded.received[: len(RENODES_NEGOTIATION)])
            lines = self.lines(stream)
            greeting = await anext(lines)
            assert greeting.startswith(NEGOTIATION)
            echo = greeting.removeprefix(NEGOTIATION + b"\x03")
            token = echo.split(b'"')[1]
            await self.send(stream, echo + b"\n\r" + token + b"\r\r\n(monitor) ")
            while self.left:
                await self.send(stream, self.answer(await anext(lines)))
                self.left -= 1

    async def lines(self, stream):
        data = b""
        while True:
            while b"\n" not in data:
                data += await stream.receive()
            line, _, data = data.partition(b"\n")
            yield line

    def answer(self, command):
        """From its echo to the next prompt, and whatever else came before the next echo."""
        received = self.recorded.received
        start = received.index(command + b"\n\r", self.at)
        self.at = start + len(command)
        later = [received.find(line.encode() + b"\n\r", self.at) for line in self.recorded.lines]
        return received[start : min((place for place in later if place > 0), default=len(received))]

    async def send(self, stream, data):
        while data:
            size = self.random.choice((1, 2, 3, 7, 40, 4096))
            await stream.send(data[:size])
            data = data[size:]


@asynccontextmanager
async def replaying(recorded, count):
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, Replay(recorded, count).serve)
        yield listener.extra(anyio.abc.SocketAttribute.local_port)
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(("version", "name"), [one for one in ALL if answers(recording(*one))])
async def test_the_client_has_every_answer_of_a_recording(version, name):
    recorded = recording(version, name)
    # `macro foo` asks for more lines, with another prompt: that is no command with an answer
    expected = [one for one in answers(recorded) if len(one[0]) <= COMMAND_LIMIT and one[0] != "macro foo"]
    async with replaying(recorded, len(expected)) as port, connected("m1", socket.socket, port, "x") as monitor:
        monitor._names.update(NAMES)  # those of the machines in the recordings
        for command, answer in expected:
            problem = error_in(answer)
            if problem is None:
                assert await monitor.execute(command) == cleaned(answer)
            else:
                with pytest.raises(CommandError) as caught:
                    await monitor.execute(command)
                assert caught.value.answer == problem
        with anyio.fail_after(30), pytest.raises(MonitorLostError):  # sudden death
            await monitor.execute("version")
