"""The stand-in as a process of its own, for tests of the monitor's client alone."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from swarmrig.nodes.renode.monitor import connected

PROGRAM = Path(__file__).with_name("fake_renode.py")


class Served:
    def __init__(self, process, port, directory):
        self.process = process
        self.port = port
        self.log = directory / "commands"

    @property
    def commands(self):
        return [line for line in self.log.read_text().splitlines() if not line.startswith("echo ")]

    def kill(self):
        os.kill(self.process.pid, signal.SIGKILL)

    @asynccontextmanager
    async def monitor(self, machine="x", deadline_s=30.0, **settings):
        async with connected("m1", socket.socket, self.port, machine, deadline_s=deadline_s, **settings) as monitor:
            yield monitor


@contextmanager
def served(directory, **behaviour):
    """Listening, at a port that was free a moment ago: nobody else here takes ports by number."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    directory.mkdir(exist_ok=True)
    behaviour = {"log": str(directory / "commands"), **behaviour}
    words = [sys.executable, "-B", PROGRAM, json.dumps(behaviour), "--port", str(port), "--pid-file", directory / "pid"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            while b"listens" not in (line := process.stdout.readline()) and b"telnet mode" not in line:
                assert line, "it has ended before it listened"
            yield Served(process, port, directory)
        finally:
            process.kill()


def exchange(port, writes, expected):
    """What a client that writes this gets, up to as many bytes as expected."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        for write in writes:
            client.sendall(write)
        received = b""
        while len(received) < expected and select.select([client], [], [], 30)[0]:
            data = client.recv(expected - len(received))
            if not data:
                break
            received += data
    return received
