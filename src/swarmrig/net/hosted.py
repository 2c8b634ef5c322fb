"""A Python node inside the engine: called when something is due for it, in exact run time.

Most are resident (see api.steppable) and act in the network's own agenda; those that are advanced step by step are made
resident by `Stepped`. A node that raises has ended: the network goes on without it, and with `on_failure: restart`
makes it anew after a while.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from heapq import heappush
from typing import Any, NamedTuple, cast

from swarmrig.api.steppable import Place, ResidentNode, SteppableNode, Timer
from swarmrig.model.scenario import OnFailure
from swarmrig.net.link import MIN_FRAME, Agenda, Direction

CONSOLE_LIMIT = 100_000
"""Console lines kept until somebody asks; beyond, new ones are dropped and counted."""

AnyNode = ResidentNode | SteppableNode


class BlockedError(BaseException):
    """Raised inside a node that does not return: see net.watchdog. No model catches it by accident."""


class Turn(NamedTuple):
    """A node has ended at `t_ns`, with that traceback, and begins anew at `restart_ns` (None: never); or, without one,
    has begun anew."""

    t_ns: int
    trace: str | None
    restart_ns: int | None


class HostedNode:
    """The lives of one node, and its Place. `receive` is its end of the link."""

    __slots__ = (
        "_agenda", "_console", "_heap", "_make", "_node", "_order", "_policy", "_restarts", "console_dropped",
        "on_line", "send", "turns",
    )  # fmt: skip

    def __init__(
        self, make: Callable[[], AnyNode], egress: Direction, agenda: Agenda, policy: OnFailure = OnFailure()
    ) -> None:
        """`make` makes the node, once for each of its lives."""
        self._make = make
        self._agenda = agenda
        self._heap = agenda.heap
        self._order = agenda.order
        self._policy = policy
        self._node: ResidentNode | None = None
        self._restarts = 0
        self._console: list[tuple[int, str]] = []
        self.send = egress.send
        self.on_line: Callable[[int, str], None] | None = None
        """Called with the time and text of each line of the node's console."""
        self.console_dropped = 0
        self.turns: list[Turn] = []
        self._begin(0)

    @property
    def failure(self) -> str | None:
        """The traceback of what ended the node; None while it lives, or will again."""
        last = self.turns[-1] if self.turns else None
        return last.trace if last is not None and last.restart_ns is None else None

    def receive(self, t_ns: int, frame: bytes) -> None:
        """A frame arrives, by a wire that took its time: the node acts after all else that is due at that instant."""
        heap = self._heap
        if heap and heap[0][0] <= t_ns:
            heappush(heap, (t_ns, self._order(), self._handle, frame))
        else:
            self._handle(t_ns, frame)

    def receive_at_once(self, t_ns: int, frame: bytes) -> None:
        """A frame arrives, by a wire that took no time: whoever sent it is still at work, and finishes before."""
        heappush(self._heap, (t_ns, self._order(), self._handle, frame))

    def report(self) -> Mapping[str, Any]:
        """The node's own report; empty once it has failed. A report that cannot be made says why."""
        try:
            return {} if self._node is None else self._node.report()
        except Exception as error:
            return {"no_report": f"{type(error).__name__}: {error}"}

    def take_console(self) -> list[tuple[int, str]]:
        """Lines since the last call."""
        lines, self._console = self._console, []
        return lines

    # Its place (api.steppable.Place), with `send`.

    def say(self, t_ns: int, line: str) -> None:
        if self.on_line is not None:
            self.on_line(t_ns, line)
        if len(self._console) < CONSOLE_LIMIT:
            self._console.append((t_ns, line))
        else:
            self.console_dropped += 1

    def push(self, timer: Timer) -> None:
        self._agenda.push(timer, self._fire)

    def cancel(self, timer: Timer) -> None:
        self._agenda.cancel(timer)

    # The program that a node may have.

    def connect(self, t_ns: int, fd: int) -> None:
        """Give the node the line to its program; one that has failed begins anew. ValueError when it is not for that;
        the descriptor is the node's from then on."""
        if self._node is None:
            self._begin(t_ns)
        node: Any = self._node
        if not hasattr(node, "connect"):
            raise ValueError("it has no place for a program")
        node.now_ns = t_ns
        try:
            node.connect(fd)
        except (Exception, BlockedError):
            self._fail(t_ns)

    def disconnect(self) -> None:
        """Let go of its program, if it lives and has one."""
        if self._node is not None and hasattr(self._node, "disconnect"):
            self._node.disconnect()

    # Its lives.

    def _begin(self, t_ns: int) -> None:
        try:
            node = self._node = resident(self._make())
            node.live_in(self, t_ns)
        except (Exception, BlockedError):
            self._fail(t_ns)

    def _begin_anew(self, t_ns: int, _: bytes) -> None:
        self.turns.append(Turn(t_ns, None, None))
        self._begin(t_ns)

    def _handle(self, t_ns: int, frame: bytes) -> None:
        node = self._node
        if node is None:
            return
        node.now_ns = t_ns
        try:
            node.receive(t_ns, frame)
        except (Exception, BlockedError):
            self._fail(t_ns)

    def _fire(self, t_ns: int, timer: Timer) -> None:
        callback, node = timer.callback, self._node
        if callback is None or node is None or timer.owner is not node:  # taken back, or of a former life
            return
        period_ns = timer.period_ns
        if period_ns:
            timer.t_ns = t_ns + period_ns
            self._agenda.push(timer, self._fire)
        else:
            timer.callback = None
        node.now_ns = t_ns
        try:
            callback()
        except (Exception, BlockedError):
            self._fail(t_ns)

    def _fail(self, t_ns: int) -> None:
        """The node has ended by the exception that is being handled."""
        self._node = None
        delay_ns = self._policy.restart_after_ns(self._restarts)
        again_ns = None if delay_ns is None else t_ns + max(delay_ns, 1)
        self.turns.append(Turn(t_ns, traceback.format_exc(), again_ns))
        if again_ns is not None:
            self._restarts += 1
            self._agenda.at(again_ns, self._begin_anew)


CALLS = frozenset(each.__code__ for each in (HostedNode._begin, HostedNode._handle, HostedNode._fire))
"""Where nodes are called, for whoever looks at what a process is doing."""


def resident(node: AnyNode) -> ResidentNode:
    """The node, or one that stands for it."""
    return cast(ResidentNode, node) if hasattr(node, "live_in") else Stepped(node)


class Stepped:
    """A steppable node as a resident one: advanced to its own deadlines and to each of its inputs."""

    __slots__ = ("_node", "_place", "_timer", "now_ns")

    def __init__(self, node: SteppableNode) -> None:
        self._node = node
        self._timer: Timer | None = None
        self.now_ns = 0

    def live_in(self, place: Place, t_ns: int) -> None:
        self._place = place
        self._wake_next(t_ns)

    def receive(self, t_ns: int, frame: bytes) -> None:
        self._node.deliver(t_ns, frame)
        self._advance()

    def report(self) -> Mapping[str, Any]:
        return self._node.report()

    def _advance(self) -> None:
        now_ns, place = self.now_ns, self._place
        result = self._node.advance(now_ns)
        for t_ns, line in result.console:
            place.say(t_ns, line)
        for _, frame in result.frames:  # all due now: no deadline of the node is ever passed over
            if len(frame) < MIN_FRAME:
                raise ValueError(f"sent a frame of {len(frame)} bytes: {frame!r}")
            place.send(now_ns, frame)
        self._wake_next(now_ns + 1)

    def _wake_next(self, earliest_ns: int) -> None:
        deadline_ns = self._node.next_deadline_ns()
        due_ns = None if deadline_ns is None else max(deadline_ns, earliest_ns)
        timer = self._timer
        if timer is not None and timer.callback is not None:
            if timer.t_ns == due_ns:
                return
            self._place.cancel(timer)
        if due_ns is not None:
            self._timer = Timer(due_ns, self._advance, self)
            self._place.push(self._timer)
