"""One guest, as the coordinator's driver sees it: its socket, what it has said, and what it was asked."""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from swarmrig.net.link import Agenda
from swarmrig.timebase import protocol
from swarmrig.timebase.lines import LineJoiner
from swarmrig.timebase.protocol import Decoder, Message, Reply, Report, Stopped
from swarmrig.timebase.recording import InputLog

CREDENTIALS = struct.Struct("3i")
CREDENTIALS_SPACE = socket.CMSG_SPACE(CREDENTIALS.size)
RECEIVE = 16_384
"""Bytes a receive: a larger buffer costs more to hand out than it saves."""
SEND_DEADLINE = struct.pack("@ll", 10, 0)
"""A struct timeval: a guest that hangs must not make its driver hang."""


class Answer(Protocol):
    """Who asked, and waits."""

    def give(self, result: object) -> None: ...

    def refuse(self, reason: str) -> None: ...


@dataclass(slots=True)
class Question:
    """A command that a guest is to perform where it stands. `make(t, tag)` gives its bytes."""

    make: Callable[[int, int], bytes]
    answer: Answer


@dataclass(frozen=True, slots=True)
class Restoring:
    """How an emulator is brought to where another one stood, by the guest's own clock."""

    now: int
    """Where it stood."""
    deadline: int | None
    pc: int
    stores: Sequence[tuple[int, int, bytes]]
    """(time, address, data) of what is to be stored, soon after."""
    until: int
    """Before this it does nothing else."""

    def begin(self) -> bytes:
        """Its first grant."""
        return protocol.grant(self.until, [protocol.memory_write(*store) for store in self.stores])

    def difference(self, guest: Guest) -> str | None:
        """What is not as it was, in words, once it has reported."""
        if (guest.deadline, guest.pc) == (self.deadline, self.pc):
            return None
        return (
            f"{guest.device} is not as it was: it acts next at {guest.deadline} ns, program counter {guest.pc:#x}, "
            f"not at {self.deadline} ns, {self.pc:#x}"
        )


class Guest:
    """Times are network time, but for `now`: a guest that was switched on later has a clock of its own.

    A guest may have several lives, one after another: see `connect`.
    """

    def __init__(self, index: int, device: str, inputs: InputLog, on_line: Callable[[str, int, bytes], None]) -> None:
        """`on_line` is called as (device, t_ns, line) with each line of the console."""
        self.index = index
        self.device = device
        self.inputs = inputs
        self.inbox = Agenda()
        self.alive = False
        """Its emulator is connected."""
        self.unreported = False
        """Its emulator is gone, and nobody has asked how that came."""
        self.pc = 0
        """Program counter where it was last seen."""
        self.deadline: int | None = None
        """When it acts next unless something reaches it, by its own clock; None: only then."""
        self.with_more = False
        """When it was last held, there was more to it than the state of its machine."""
        self.restoring: Restoring | None = None
        """Its emulator is another one now, which begins where the former one stood."""
        self.lines: list[tuple[int, str]] = []
        self.waiting_bytes = 0
        self._on_line = on_line
        self._clear()

    def _clear(self) -> None:
        self.decoder = Decoder()
        self.greeted = False
        self.pid = 0
        """Its emulator, once that has said something; 0 when it cannot be told."""
        self.parted = False
        """It was told to end, or said itself that it does."""
        self.now = 0
        """Its own clock where it was last seen."""
        self.offset_ns = 0
        """Network time at which its own clock showed 0."""
        self.held: Answer | bool = False
        """Its machine is stopped because we asked for it, or (then who wants to hear) is about to be."""
        self.halted = False
        """Its machine is stopped outside of virtual time, by whomever."""
        self.waiting: list[Question] = []
        """To be asked when it stands again."""
        self._asked: dict[int, Answer] = {}
        self._tag = 0
        self._joiner = LineJoiner()

    def connect(self, fd: int, t_ns: int) -> None:
        """A life begins at `t_ns`: an emulator has the other end of the socket, which now belongs to us."""
        self._clear()
        self._own(fd)
        self.alive = True
        self.unreported = False
        self.offset_ns = t_ns
        self.inputs.begin(t_ns)

    def part(self, directory: Path) -> None:
        """This is a copy of the process that the guest was connected to, and has nothing to do with its emulator; what
        it is given from now on is recorded in `directory`. OSError when that fails."""
        self.socket.close()
        self.inputs.go_on_in(directory)
        self.greeted = False
        self.decoder = Decoder()

    def restore(self, fd: int, restoring: Restoring) -> None:
        """An emulator at the other end of the socket goes on where the former one stood."""
        self._own(fd)
        self.restoring = restoring

    def _own(self, fd: int) -> None:
        self.socket = socket.socket(fileno=fd)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, SEND_DEADLINE)

    @property
    def seen_ns(self) -> int:
        """When it was last seen."""
        return self.now + self.offset_ns

    def disconnect(self, reason: str) -> None:
        """Its life is over: so is its last line, and there will be no answers."""
        if not self.alive:
            return
        self.alive = False
        self.unreported = True
        self.inputs.end(self.now)
        rest = self._joiner.take_rest()
        if rest:
            self._add_line(self.seen_ns, rest)
        self.socket.close()
        self.refuse_all(reason)

    def refuse_all(self, reason: str) -> None:
        """There will be no answers."""
        if not isinstance(self.held, bool):
            self.held.refuse(reason)
        for answer in (*self._asked.values(), *(question.answer for question in self.waiting)):
            answer.refuse(reason)
        self.held, self._asked, self.waiting = False, {}, []

    @property
    def is_heard(self) -> bool:
        """There is something to receive, if only its end."""
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        return bool(poll.poll(0))

    def receive(self) -> list[Message] | None:
        """What it has said; None when it will say no more. ProtocolError when it does not keep to the protocol."""
        try:
            data = self.socket.recv(RECEIVE, socket.MSG_DONTWAIT) if self.pid else self._receive_first()
        except BlockingIOError:
            return []
        except OSError:
            return None
        return self.decoder.feed(data) if data else None

    def _receive_first(self) -> bytes:
        """The kernel says who has sent it (unix(7), SCM_CREDENTIALS: pid, uid, gid)."""
        data, messages, _, _ = self.socket.recvmsg(RECEIVE, CREDENTIALS_SPACE, socket.MSG_DONTWAIT)
        for level, kind, credentials in messages:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
                self.pid = CREDENTIALS.unpack(credentials)[0]
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)
        return data

    def send(self, data: bytes) -> None:
        with suppress(OSError):  # its end is read, too, and handled there
            self.socket.sendall(data)

    def grant(self, horizon_ns: int, inputs: Sequence[tuple[int, bytes]]) -> None:
        """Let it live up to the horizon, with frames that arrive on the way."""
        offset = self.offset_ns
        commands = [protocol.frame(due - offset, frame) for due, frame in inputs]
        self.inputs.add(commands)
        self.send(protocol.grant(horizon_ns - offset, commands))

    def ask(self, t_ns: int, questions: Sequence[Question]) -> None:
        """Have it perform commands where it stands, at `t_ns`, and live no further."""
        commands = []
        for question in questions:
            self._tag += 1
            self._asked[self._tag] = question.answer
            commands.append(question.make(t_ns - self.offset_ns, self._tag))
        self.inputs.add(commands)
        self.send(protocol.grant(t_ns - self.offset_ns, commands))

    def hear(self, report: Report) -> list[tuple[int, bytes]]:
        """Take in console and answers; returns the frames."""
        self.now, self.pc, self.halted = report.now, report.pc, False
        self.deadline = None if report.deadline >= protocol.NEVER else report.deadline
        for t_ns, line in self._joiner.feed(report.console):
            self._add_line(t_ns + self.offset_ns, line)
        for reply in report.replies:
            self._reply(reply)
        if not self.offset_ns:
            return report.frames
        return [(t + self.offset_ns, frame) for t, frame in report.frames]

    @property
    def last_seen(self) -> str:
        """Where it was last seen, in words."""
        if not self.greeted:
            return f"{self.device} has not begun"
        return f"{self.device} was last seen at {self.seen_ns / 1e9:.9f} s, program counter {self.pc:#x}"

    def whereabouts(self) -> dict[str, object]:
        """Where it was last seen: `t_ns`, `pc`; whether it said that it ends, or was told to (`parted`); when it acts
        next unless something reaches it (`deadline_ns`); whether, when it was last held, there was more to it than
        the state of its machine (`with_more`)."""
        deadline_ns = None if self.deadline is None else self.deadline + self.offset_ns
        place: dict[str, object] = {"t_ns": self.seen_ns, "pc": self.pc, "deadline_ns": deadline_ns}
        return place | {"parted": self.parted, "with_more": self.with_more}

    def stop(self, stopped: Stopped) -> None:
        """Its machine stands still outside of virtual time; as asked, or somebody else did it."""
        self.now, self.pc, self.halted, self.with_more = stopped.now, stopped.pc, True, stopped.with_more
        if stopped.as_asked and not isinstance(self.held, bool):
            self.held.give({"t_ns": self.seen_ns, "pc": self.pc})
            self.held = True

    @property
    def unfinished(self) -> str:
        """The beginning of a console line that has not ended: a prompt, say."""
        return self._joiner.rest.decode("utf-8", "surrogateescape")

    def take_lines(self) -> list[tuple[int, str]]:
        """Lines of its console since the last call."""
        lines, self.lines, self.waiting_bytes = self.lines, [], 0
        return lines

    def _reply(self, reply: Reply) -> None:
        answer = self._asked.pop(reply.tag)
        if reply.ok:
            answer.give(reply.data.hex())
        else:
            answer.refuse(reply.data.decode(errors="replace"))

    def _add_line(self, t_ns: int, raw: bytes) -> None:
        self.waiting_bytes += len(raw)
        self.lines.append((t_ns, raw.removesuffix(b"\n").decode("utf-8", "surrogateescape")))
        self._on_line(self.device, t_ns, raw)
