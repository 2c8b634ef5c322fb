"""Recordings of real monitors: what a client sent, and each byte that came back."""

import re
from dataclasses import dataclass
from pathlib import Path

from swarmrig.nodes.renode.transcript import Transcript

DATA = Path(__file__).parent.parent / "data"
VERSIONS = ("1.15.3", "1.16.1")
_SENT = re.compile(rb"^\[ *[\d.]+\] >>> (.*?)   [^\n]*$", re.M | re.S)


@dataclass(frozen=True)
class Recording:
    version: str
    name: str
    received: bytes
    sent: tuple[bytes, ...]
    """Each write of the client."""

    @property
    def lines(self):
        """The commands that were sent, one line each, as far as they are whole lines."""
        text = b"".join(write for write in self.sent if not write.startswith((b"\xff", b"\x03")))
        return [line.decode() for line in text.split(b"\n") if line.strip()]


def recording(version, name):
    directory = DATA / f"renode-{version}"
    text = (directory / f"{name}.txt").read_bytes()
    sent = tuple(unescaped(match) for match in _SENT.findall(text))
    return Recording(version, name, (directory / f"{name}.rx.bin").read_bytes(), sent)


def unescaped(text):
    """The transcripts show line ends as backslash n (and a line end, for people), other bytes in hexadecimal."""
    text = text.replace(b"\\n\n", b"\\n")
    for shown, meant in ((b"\\n", b"\n"), (b"\\r", b"\r")):
        text = text.replace(shown, meant)
    return re.sub(rb"\\x([0-9a-f]{2})", lambda match: bytes([int(match[1], 16)]), text)


def names(version):
    return sorted(path.name.removesuffix(".rx.bin") for path in (DATA / f"renode-{version}").glob("*.rx.bin"))


ALL = [(version, name) for version in VERSIONS for name in names(version)]

NAMES = ("monitor", "x", "y", "yy", "rv", "abc", "fromE", "machine-0", "machine-1")


def answers(recorded, chunks=None):
    """(command, answer) of all commands that were answered; in pieces, or all at once."""
    transcript, found, waiting = Transcript(), [], list(recorded.lines)
    for chunk in [recorded.received] if chunks is None else chunks:
        transcript.feed(chunk)
        while waiting and (answer := transcript.take_answer(waiting[0], NAMES)) is not None:
            found.append((waiting.pop(0), answer))
    return found
